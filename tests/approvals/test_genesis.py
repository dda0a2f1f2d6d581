"""The genesis manifest: read strictly, sealed once, pinned by the executor."""

from __future__ import annotations

import io
import json
import re

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from approvals import authority, genesis
from approvals.authority import codes
from approvals.errors import AlreadySealed, BadAuthority, BadManifest
from approvals.models import AuthorityLink, GuardrailUserPermission, GuardrailVersion, Invitation, Passkey, Person
from executor.demo import people
from executor.demo.state import StateFolder
from tests import cast as the_cast


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    path = people.write_manifest(StateFolder(tmp_path_factory.mktemp("genesis")), the_cast._KEYS)
    return yaml.safe_load(path.read_text())


def changed(manifest, path, value):
    """A deep copy of the manifest with one place replaced (or removed, with `...`)."""
    copy = json.loads(json.dumps(manifest))
    place = copy
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return yaml.safe_dump(copy)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("schema",), "countersign/genesis/9", "schema"),
        (("guardrails",), ..., "lacks guardrails"),
        (("colour",), "red", "unknown field: colour"),
        (("accounts", 0, "id"), "1234", "12 digits"),
        (("accounts", 0, "id"), 111122223333, "12 digits"),
        (("accounts", 0, "executor_role_arn"), "arn:aws:iam::999999999999:role/x", "role in this account"),
        (("accounts", 0, "regions"), [], "regions"),
        (("persons", 0, "handle"), "Alice!", "handle"),
        (("persons", 0, "handle"), "bob", "occurs twice"),
        (("persons", 0, "principals"), ["user:x"], "kind:value"),
        (("persons", 0, "principals"), ["iam_user:alice"], "no IAM user"),
        (("persons", 0, "principals"), ["iam_user:arn:aws:iam::111122223333:user/bob"], "principal .* belongs to one"),
        (("persons", 0, "passkeys", 0, "public_key"), "AAAA", "cannot be read"),
        (("persons", 0, "admin"), True, "unknown field: admin"),
        (("persons", 3, "administrator"), False, "2 administrators"),
        (("persons", 0, "id"), "1", "UUID"),
        (("groups", "Requesters"), ["nobody"], "no person of this manifest"),
        (("grants", 0, "guardrail"), "other", "no guardrail"),
        (("grants", 0, "person"), "nobody", "no person"),
        (("grants", 0, "group"), "Approvers", "one person or one group"),
        (("grants",), [], "asks for 1 approval and 0 persons"),
        (("guardrails", 0, "approvals"), 2, "asks for 2 approvals and 1 person"),
        (("guardrails", 0, "operations"), [], r"Line \d+, guardrails\[0\].operations: Guardrail dynamodb"),
        (("guardrails", 0, "groups"), {"Approvers": 2}, "asks for 2 approvals from Approvers and 1 of its members may"),
        (("guardrails", 0, "groups"), {"Nobody": 1}, "0 of its members"),
        (("guardrails", 0, "windows"), [{"days": ["mon"], "from": "9"}], "windows"),
    ],
)
def test_each_wrong_field_is_named(manifest, path, value, says):
    """A manifest that cannot be sealed says which field is wrong and why."""
    with pytest.raises(BadManifest, match=says):
        genesis.read(changed(manifest, path, value))


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("schema",), "countersign/genesis/9", "schema"),
        (("colour",), "red", "colour"),
        (("accounts", 0, "id"), "1234", r"accounts\[0\].id"),
        (("accounts", 0, "alias"), 5, r"accounts\[0\].alias"),
        (("accounts", 0, "regions"), [1], r"accounts\[0\].regions"),
        (("persons", 2, "admin"), True, r"persons\[2\].admin"),
        (("persons", 2, "handle"), "bob", r"persons\[2\]"),
        (("persons", 2, "name"), ["Carol"], r"persons\[2\].name"),
        (("persons", 2, "principals"), 5, r"persons\[2\].principals"),
        (("persons", 2, "principals"), ["user:x"], r"persons\[2\].principals\[0\]"),
        (("persons", 2, "passkeys"), "none", r"persons\[2\].passkeys"),
        (("groups", "Requesters"), 7, "groups.Requesters"),
        (("groups", "Requesters"), [["alice"]], "groups.Requesters"),
        (("guardrails", 0, "approvals"), 0, r"guardrails\[0\].approvals"),
        (("grants",), 5, "grants"),
        (("grants", 0, "person"), ["bob"], r"grants\[0\].person"),
        (("settings",), {"signers": 1}, "settings.signers"),
        (("settings",), "none", "settings"),
    ],
)
def test_a_wrong_field_of_a_manifest_is_led_to_by_line_and_path(manifest, path, value, place):
    """Whatever stands in the place of a field: line and field are named, and it is never a crash."""
    text = changed(manifest, path, value)
    with pytest.raises(BadManifest, match=rf"^Line \d+, {place}: ") as refusal:
        genesis.read(text)
    line = int(str(refusal.value).partition(",")[0].removeprefix("Line "))
    if isinstance(field := refusal.value.path[-1], str):
        assert f"{field}:" in text.splitlines()[line - 1]


@pytest.mark.parametrize("text", ["", "- a", "a: [", "schema: x\nschema: y", "!!python/object/apply:os.system ['true']"])
def test_a_text_that_is_no_manifest_is_refused(text):
    """Neither empty, broken, duplicate nor code-carrying YAML is read."""
    with pytest.raises(BadManifest):
        genesis.read(text)


def test_a_guardrail_that_everybody_holds_needs_one_more(manifest):
    """Whoever asks may not approve: where everybody holds the right, as many as there are is one too many."""
    humans = [person["handle"] for person in manifest["persons"]]
    name = manifest["guardrails"][0]["name"]
    grants = [{"guardrail": name, "person": handle} for handle in humans]
    others = [grant for grant in manifest["grants"] if grant["guardrail"] != name]
    text = changed(manifest | {"grants": grants + others}, ("guardrails", 0, "approvals"), len(humans) - 1)
    assert genesis.read(text).guardrails[0].approvals == len(humans) - 1
    with pytest.raises(BadManifest, match="whoever asks may not approve"):
        genesis.read(changed(manifest | {"grants": grants + others}, ("guardrails", 0, "approvals"), len(humans)))


def test_what_is_no_yaml_is_told_by_its_line(manifest):
    """The person who wrote it is led to the place, and a key that stands twice is none that is overwritten."""
    with pytest.raises(BadManifest, match=r"[Ll]ine 3 .*'schema' twice"):
        genesis.read("# a comment\nschema: x\nschema: y\n")


def test_sealing_happens_once(cast, manifest):
    """bootstrap seals itself: afterwards authority changes only through two persons."""
    with pytest.raises(AlreadySealed):
        genesis.seal(genesis.read(yaml.safe_dump(manifest)))


def test_the_command_checks_seals_and_seals_itself(db, manifest, tmp_path):
    """--check writes nothing; the first run prints the hash to pin; the second is refused with exit status 1."""
    path = tmp_path / "genesis.yaml"
    path.write_text(yaml.safe_dump(manifest))
    call_command("bootstrap", str(path), "--check", stdout=io.StringIO())
    assert not Person.objects.exists()
    out = io.StringIO()
    call_command("bootstrap", str(path), "--json", stdout=out)
    pin = json.loads(out.getvalue())["genesis"]
    assert authority.walk(pin).is_voter(str(Person.objects.get(handle="bob").pk))
    with pytest.raises(CommandError) as refusal:
        call_command("bootstrap", str(path))
    assert refusal.value.returncode == 1


class TestEnrolmentLinks:
    """What `bootstrap` prints for whoever has no passkey yet."""

    @pytest.fixture
    def path(self, manifest, tmp_path):
        path = tmp_path / "genesis.yaml"
        path.write_text(changed(manifest, ("persons", 2, "passkeys"), ...))
        return path

    def test_a_line_for_each_person_without_a_passkey(self, db, path, settings):
        """The link with its code, until when, once; the code opens that invitation."""
        settings.ORIGIN = "https://countersign.example.com"
        out = io.StringIO()
        call_command("bootstrap", str(path), stdout=out)
        invitation = Invitation.objects.get()
        (line,) = [line for line in out.getvalue().splitlines() if line.startswith("carol")]
        found = re.fullmatch(
            rf"carol  https://countersign.example.com/enrol/{invitation.pk}/#([A-Z2-7-]{{39}})  until (.+) UTC", line
        )
        assert found is not None, line
        assert codes.fingerprint(found[1]).hex() in invitation.codes
        assert found[2] == f"{invitation.until:%Y-%m-%d %H:%M}"
        assert "COUNTERSIGN_ORIGIN" not in out.getvalue()

    def test_without_an_origin_the_path_is_printed_and_said_to_be_one(self, db, path, settings):
        """The owner's process needs no address of the portal; then the link cannot be whole."""
        settings.ORIGIN = "https://countersign.invalid"
        out = io.StringIO()
        call_command("bootstrap", str(path), stdout=out)
        assert f"carol  /enrol/{Invitation.objects.get().pk}/#" in out.getvalue()
        assert "COUNTERSIGN_ORIGIN is not set" in out.getvalue()

    def test_as_json(self, db, path, settings):
        """For a program that hands the links on."""
        settings.ORIGIN = "https://countersign.example.com"
        out = io.StringIO()
        call_command("bootstrap", str(path), "--json", stdout=out)
        (one,) = json.loads(out.getvalue())["enrolment"]
        assert (one["handle"], one["until"]) == ("carol", Invitation.objects.get().until.isoformat())
        assert one["link"].startswith(f"https://countersign.example.com/enrol/{Invitation.objects.get().pk}/#")


@pytest.mark.parametrize("content", [None, "junk: ["])
def test_a_manifest_that_cannot_be_read_is_a_usage_error(db, tmp_path, content):
    """A missing or broken file exits with 2 and writes nothing."""
    path = tmp_path / "genesis.yaml"
    if content:
        path.write_text(content)
    with pytest.raises(CommandError) as refusal:
        call_command("bootstrap", str(path))
    assert refusal.value.returncode == 2
    assert not Person.objects.exists()


class TestWalking:
    """The executor walks from the pinned genesis; whatever was written beside it is found."""

    def test_the_pinned_genesis_is_believed(self, cast):
        """The chain says who may do what: bob has the right on the guardrail, carol has not."""
        found = authority.walk(cast.genesis)
        assert found.rights_at(str(cast.person("bob").pk), timezone.now()) == {"dynamodb-production"}
        assert found.rights_at(str(cast.person("carol").pk), timezone.now()) == set()
        assert found.passkeys[cast.keys["bob"]["credential_id"]][0] == str(cast.person("bob").pk)

    @pytest.mark.parametrize("pin", ["", "0" * 64])
    def test_another_pin_believes_nothing(self, cast, pin):
        """Without the right pin in the executor's own configuration there is no authority."""
        with pytest.raises(BadAuthority):
            authority.walk(pin)

    def test_a_forged_passkey_is_found(self, cast):
        """Registering a key "for bob" in the table does not make it his."""
        Passkey.objects.create(person=cast.person("bob"), credential_id="x", public_key="x", label="mine")
        with pytest.raises(BadAuthority, match="differ"):
            authority.walk(cast.genesis)

    def test_a_forged_grant_is_found(self, cast):
        """A permission row for carol is no right."""
        known = GuardrailUserPermission.objects.get()
        GuardrailUserPermission.objects.create(
            user=cast.person("carol").logins.get().user, permission=known.permission, content_object=known.content_object
        )
        with pytest.raises(BadAuthority, match="differ"):
            authority.walk(cast.genesis)

    def test_a_forged_guardrail_version_is_found(self, cast):
        """A laxer version in the table is no rule."""
        version = GuardrailVersion.objects.get()
        GuardrailVersion.objects.create(guardrail=version.guardrail, number=2, text=version.text, hash=version.hash)
        with pytest.raises(BadAuthority, match="differ"):
            authority.walk(cast.genesis)

    def test_a_forged_link_is_found(self, cast):
        """A second link without a quorum's signatures is a forgery, even when the tables agree with it."""
        from django.utils import timezone

        Passkey.objects.create(person=cast.person("bob"), credential_id="x", public_key="x", label="mine")
        state = authority.state_of_tables()
        first = AuthorityLink.objects.get()
        AuthorityLink.objects.create(
            number=1, previous=first.hash, state=state, hash=authority.link_hash(1, first.hash, state), created_at=timezone.now()
        )
        with pytest.raises(BadAuthority, match="signatures"):
            authority.walk(cast.genesis)

    def test_a_chain_begun_anew_is_found(self, cast):
        """Rewriting the genesis itself meets the pin."""
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE approvals_authoritylink DISABLE TRIGGER USER")
        Passkey.objects.create(person=cast.person("bob"), credential_id="x", public_key="x", label="mine")
        state = authority.state_of_tables()
        AuthorityLink.objects.update(state=state, hash=authority.link_hash(0, "", state))
        with pytest.raises(BadAuthority, match="pins"):
            authority.walk(cast.genesis)


@pytest.mark.parametrize(
    "table", ["revision", "guardrailversion", "signature", "review", "authoritylink", "revisionguardrail", "feedbatch"]
)
def test_what_was_written_stays(cast, table):
    """Revisions, versions, signatures, reviews and links are neither changed, deleted nor truncated."""
    from approvals import ingest

    cast.approved()
    ingest.ingest([ingest.Message("1", "junk")])
    with connection.cursor() as cursor:
        # TRUNCATE waits for no pending foreign key check.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    column = {"authoritylink": "number", "feedbatch": "received"}.get(table, "id")
    for statement in (
        f"UPDATE approvals_{table} SET {column} = {column}",
        f"DELETE FROM approvals_{table}",
        f"TRUNCATE approvals_{table} CASCADE",
    ):
        with pytest.raises(IntegrityError, match="never"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_no_superuser_can_exist(cast):
    """The flag is forbidden by the database, so it can mean nothing."""
    user = cast.person("alice").logins.get().user
    user.is_superuser = True
    with pytest.raises(IntegrityError), transaction.atomic():
        user.save()
