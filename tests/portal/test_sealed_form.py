"""Secrets in the form: typed once, sealed while the POST is read, never on a page again; and the whole path with one of them."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.urls import reverse

from approvals.canonical import Sealed
from approvals.models import ApprovalRequest, Execution, Revision, SealedKey
from approvals.operations import catalog
from config.logs import JsonFormatter
from executor import opening, tasks
from executor.sandbox.world import DEMO
from portal import form_data, operation_form
from tests import sealing_keys
from tests.cast import ACCOUNT, REGION, Cast, seal, trail_record
from tests.portal.hands import browser_of

PLACE = f"{ACCOUNT}/{REGION}"
MODIFY = "rds:ModifyDBInstance"
# Characters that pages, JSON, URLs and shells spell otherwise.
PASSWORD = "h4nter2 <&'\"> §"
FILE = "admin:approvals_approvalrequest_file"


@pytest.fixture
def cast(request: pytest.FixtureRequest, tmp_path, settings) -> Cast:
    """The whole world, whose databases are protected; the portal can seal and has nothing that opens."""
    request.getfixturevalue("cloned_database" if "cloned_database" in request.fixturenames else "db")
    settings.SEALING_KEY = sealing_keys.public_pem()
    settings.OPENING_KEYS = ()
    return seal(tmp_path, settings, whole=True)


class _Inputs(HTMLParser):
    """Names and values of inputs, and what stands in textareas."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, dict[str, Any]] = {}
        self._area = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        if tag in ("input", "textarea") and given.get("name"):
            self.found[given["name"]] = {"tag": tag, "text": "", **given}
            self._area = given["name"] if tag == "textarea" else ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.found[self._area]["text"] += data

    def handle_endtag(self, tag: str) -> None:
        self._area = "" if tag == "textarea" else self._area


def inputs_of(html: str) -> dict[str, dict[str, Any]]:
    parser = _Inputs()
    parser.feed(html)
    return parser.found


def post(browser: Any, operation: str = MODIFY, *, url: str = "", **fields: str) -> Any:
    """File an operation's form: `p_X` stands for the field `p.X`."""
    named = {name.replace("p_", "p.", 1).replace("__", ":"): value for name, value in fields.items()}
    return browser.post(url or reverse(FILE), {"place": PLACE, "operation": operation, **named})


def token_in(response: Any, name: str = "p.MasterUserPassword") -> str:
    """The token that a page's form carries; '' for none."""
    return str(inputs_of(response.content.decode()).get(f"{name}:sealed", {}).get("value", ""))


def filed(browser: Any, **fields: str) -> ApprovalRequest:
    """A request that was filed with these fields."""
    before = set(ApprovalRequest.objects.values_list("pk", flat=True))
    response = post(browser, p_DBInstanceIdentifier="prod-billing", **fields)
    assert response.status_code == 302, response.content.decode()
    return ApprovalRequest.objects.exclude(pk__in=before).get()


def password_in(request: ApprovalRequest) -> Sealed:
    return request.current_revision().plan.steps[0].parameters["MasterUserPassword"]


class TestTheFields:
    def test_a_secret_has_a_write_only_field(self, cast, browser):
        """A password field without a value, which no browser fills in; a key or a document gets an area."""
        page = browser("alice").get(reverse(FILE), {"place": PLACE, "operation": MODIFY})
        field = inputs_of(page.content.decode())["p.MasterUserPassword"]
        assert (field["type"], field["value"], field["autocomplete"]) == ("password", "", "off")
        page = browser("alice").get(reverse(FILE), {"place": PLACE, "operation": "secretsmanager:PutSecretValue"})
        fields = inputs_of(page.content.decode())
        for name in ("p.SecretString", "p.SecretBinary"):
            assert (fields[name]["tag"], fields[name]["text"], fields[name]["autocomplete"]) == ("textarea", "", "off")

    def test_what_was_typed_is_sealed_and_gone(self, cast, browser):
        """The plan carries the token, its data key lies beside, and the plain text is nowhere in either."""
        request = filed(browser("alice"), p_MasterUserPassword=PASSWORD)
        sealed = password_in(request)
        row = SealedKey.objects.get()
        assert (row.pk.hex, row.sealed_by.handle) == (sealed.key_id, "alice")
        assert len(base64.b64decode(row.wrapped)) == 384
        assert PASSWORD not in Revision.objects.get().text + Revision.objects.get().draft

    def test_an_error_elsewhere_keeps_the_token_and_not_the_text(self, cast, browser):
        """Another field was wrong: the page says that this one is sealed, and sending it again needs no second typing."""
        alice = browser("alice")
        wrong = post(alice, p_DBInstanceIdentifier="prod-billing", p_MasterUserPassword=PASSWORD, p_AllocatedStorage="many")
        assert wrong.status_code == 400
        said = wrong.content.decode()
        assert "Leave this empty to keep it; enter it again to replace it." in said
        assert_hidden(said)
        request = filed(alice, p_AllocatedStorage="200", p_MasterUserPassword__sealed=token_in(wrong))
        assert password_in(request).token == token_in(wrong)

    @pytest.mark.parametrize("button", [{"add": "p.VpcSecurityGroupIds"}, {"unfold": "p.TagSpecifications"}])
    def test_the_forms_own_buttons_keep_it_too(self, cast, browser, button):
        """A row is added on the server: the page that comes back holds the token, never the text."""
        page = post(browser("alice"), p_DBInstanceIdentifier="prod-billing", p_MasterUserPassword=PASSWORD, **button)
        assert page.status_code == 200
        assert_hidden(page.content.decode())
        assert token_in(page)

    def test_an_edit_keeps_replaces_or_drops_it(self, cast, browser):
        """On edit the field is empty: left so it keeps the token, typed into it becomes another, ticked it is left out."""
        alice = browser("alice")
        request = filed(alice, p_MasterUserPassword=PASSWORD, p_AllocatedStorage="200")
        first = password_in(request).token
        url = alice.page("complete", request)
        page = alice.get(url)
        assert token_in(page) == first
        assert_hidden(page.content.decode())
        tokens = []
        for number, change in enumerate(({}, {"p_MasterUserPassword": "another"}, {"p_MasterUserPassword__drop": "on"}), 1):
            known = {"p_DBInstanceIdentifier": "prod-billing", "p_AllocatedStorage": "201"}
            kept = {"p_MasterUserPassword__sealed": token_in(alice.get(url))}
            done = post(alice, url=url, revision=str(number), **{**known, **kept, **change})
            assert done.status_code == 302, done.content.decode()
            request.refresh_from_db()
            parameters = request.current_revision().plan.steps[0].parameters
            tokens.append(parameters["MasterUserPassword"].token if "MasterUserPassword" in parameters else "")
        assert tokens[0] == first
        assert tokens[1] not in ("", first)
        assert tokens[2] == ""

    def test_bytes_and_lines_are_sealed_as_they_are(self, cast, settings, tmp_path):
        """Base64 becomes bytes, line breaks stay, and what is no base64 is refused without being kept or quoted."""
        operation = catalog.get("secretsmanager:PutSecretValue")
        shape, sealer = operation.model.input_shape, Recorder(operation)
        data = {"p.SecretId": "prod/db/password", "p.SecretString": "a\nb\n", "p.SecretBinary": "AAEC"}
        reading = form_data.read(shape, data, sealer)
        assert sealer.values == {("SecretString",): "a\nb\n", ("SecretBinary",): b"\x00\x01\x02"}
        assert reading.problems == {}
        bad = form_data.read(shape, {**data, "p.SecretBinary": "no base64!"}, sealer)
        assert list(bad.problems) == ["p.SecretBinary"]
        assert "no base64" not in json.dumps(bad.problems) + json.dumps(bad.data)

    def test_what_does_not_fit_is_said_before_it_is_sealed(self, cast, browser):
        """Nobody seals what AWS would refuse; the message does not repeat it."""
        long = "x" * 70_000
        page = post(browser("alice"), "secretsmanager:PutSecretValue", p_SecretId="prod/db/password", p_SecretString=long)
        said = page.content.decode()
        assert (page.status_code, "At most 65536 characters." in said, long in said) == (400, True, False)
        assert not SealedKey.objects.exists()

    def test_without_a_key_the_form_says_what_to_set(self, cast, browser, settings):
        """No field to type into, and a value that is posted all the same is refused and not kept."""
        settings.SEALING_KEY = ""
        page = browser("alice").get(reverse(FILE), {"place": PLACE, "operation": MODIFY})
        assert "COUNTERSIGN_SEALING_KEY" in page.content.decode()
        assert "p.MasterUserPassword" not in inputs_of(page.content.decode())
        refused = post(browser("alice"), p_DBInstanceIdentifier="prod-billing", p_MasterUserPassword=PASSWORD)
        assert refused.status_code == 400
        assert_hidden(refused.content.decode())
        assert not ApprovalRequest.objects.exists()

    def test_secrets_in_rows_are_found_at_any_depth(self):
        """A list of structures and a map: each secret leaf is sealed to its exact place."""
        operation = catalog.get("mq:CreateBroker")
        sealer = Recorder(operation)
        data = {"p.Users:n": "2", "p.Users.0.Username": "u", "p.Users.0.Password": "one", "p.Users.1.Password": "two"}
        reading = form_data.read(operation.model.input_shape, data, sealer)
        assert sealer.values == {("Users", 0, "Password"): "one", ("Users", 1, "Password"): "two"}
        assert {"one", "two"}.isdisjoint(reading.data.values())
        variables = catalog.get("lambda:UpdateFunctionConfiguration")
        sealer = Recorder(variables)
        data = {"p.Environment.Variables:n": "1", "p.Environment.Variables.0:key": "A.B", "p.Environment.Variables.0": "x"}
        form_data.read(variables.model.input_shape, data, sealer)
        assert sealer.values == {("Environment", "Variables", "A.B"): "x"}

    def test_a_field_never_shows_what_the_data_says_in_clear(self):
        """Even where nobody sealed it: the tree of fields has no text for a secret."""
        fields = operation_form.fields_of(catalog.get(MODIFY), {"p.MasterUserPassword": PASSWORD})
        (field,) = [field for field in fields if field.label == "MasterUserPassword"]
        assert (field.kind, field.text) == ("secret", "")
        assert PASSWORD not in repr(field)


class Recorder:
    """Seals by remembering."""

    def __init__(self, operation: Any) -> None:
        from approvals.operations import sensitive

        self.rule = sensitive.rule(operation)
        self.values: dict[Any, Any] = {}

    def seal(self, parameters: Any, place: Any, value: Any) -> Sealed:
        self.values[place] = value
        return Sealed("1." + "0" * 32 + ".AAAA")

    def kept(self, parameters: Any, place: Any, token: str) -> Sealed:
        return Sealed(token)


class TestTokensOfOthers:
    def test_somebody_elses_token_is_not_taken(self, cast, browser):
        """Bob read alice's token somewhere and pastes it into a form of his own, for the same member and target."""
        token = password_in(filed(browser("alice"), p_MasterUserPassword=PASSWORD)).token
        page = post(browser("bob"), p_DBInstanceIdentifier="prod-billing", p_MasterUserPassword__sealed=token)
        assert (page.status_code, token_in(page)) == (400, "")
        assert "Enter it again." in page.content.decode()
        assert ApprovalRequest.objects.count() == 1

    @pytest.mark.parametrize(
        ("operation", "fields", "name"),
        [
            (MODIFY, {"p_DBInstanceIdentifier": "prod-ledger"}, "MasterUserPassword"),
            (MODIFY, {"p_DBInstanceIdentifier": "prod-billing"}, "TdeCredentialPassword"),
            ("rds:CreateDBInstance", {"p_DBInstanceIdentifier": "prod-billing", "p_DBInstanceClass": "x", "p_Engine": "y"},
             "MasterUserPassword"),
        ],
    )  # fmt: skip
    def test_ones_own_token_holds_for_its_place_alone(self, cast, browser, operation, fields, name):
        """Another target, member or operation: it is entered again."""
        alice = browser("alice")
        token = password_in(filed(alice, p_MasterUserPassword=PASSWORD)).token
        page = post(alice, operation, **fields, **{f"p_{name}__sealed": token})
        assert (page.status_code, token_in(page, f"p.{name}")) == (400, "")
        assert "not for this place or target" in page.content.decode()

    def test_a_made_up_token_is_not_taken(self, cast, browser):
        """A known data key with another body, a well-formed token of nobody's, and no token at all."""
        alice = browser("alice")
        token = password_in(filed(alice, p_MasterUserPassword=PASSWORD)).token
        forged = token[:-8] + ("AAAAAAAA" if not token.endswith("AAAAAAAA") else "BBBBBBBB")
        for made_up in (forged, "1." + "0" * 32 + ".AAAA", "plain", PASSWORD):
            page = post(alice, p_DBInstanceIdentifier="prod-billing", p_MasterUserPassword__sealed=made_up)
            assert (page.status_code, token_in(page)) == (400, ""), made_up
        assert ApprovalRequest.objects.count() == 1

    def test_a_token_where_no_secret_is_wanted_is_no_field(self, cast, browser):
        """Nobody hides an ordinary member from reviewers by sealing it."""
        alice = browser("alice")
        token = password_in(filed(alice, p_MasterUserPassword=PASSWORD)).token
        page = post(alice, p_DBInstanceIdentifier="prod-billing", p_AllocatedStorage="200", p_MonitoringRoleArn__sealed=token)
        request = ApprovalRequest.objects.order_by("-created_at").first()
        assert page.status_code in (302, 400)
        assert "MonitoringRoleArn" not in request.current_revision().plan.steps[0].parameters


@pytest.fixture
def everything_logged() -> Iterator[io.StringIO]:
    """What our formatter makes of every line at DEBUG, botocore's own included, which shows each request's body."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter())
    loggers = [logging.getLogger(name) for name in ("", "botocore", "boto3", "urllib3", "django")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    loggers[0].addHandler(handler)
    yield out
    loggers[0].removeHandler(handler)
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


def spellings(secret: str = PASSWORD) -> list[str]:
    """The secret as a page, JSON, a URL, base64 or a dump would write it; and its telling beginning."""
    from urllib.parse import quote

    return [secret, json.dumps(secret)[1:-1], quote(secret), base64.b64encode(secret.encode()).decode(), "h4nter2"]


def assert_hidden(text: str) -> None:
    for spelling in spellings():
        assert spelling not in text


class TestTheWholePath:
    @pytest.fixture(autouse=True)
    def _quiet(self, monkeypatch, settings, cloned_database):
        from tests.executor.stage import QUICK

        settings.OUTBOX_NUDGE = ""
        settings.HOME_REGION = DEMO.region
        settings.TOPIC_ARN = DEMO.topic_arn
        monkeypatch.setattr("executor.waiting.PATIENCE", QUICK)

    def test_filed_approved_executed_and_nowhere_to_be_found(
        self, cast, cloned_database, role_url, settings, tmp_path, capsys, everything_logged
    ):
        """A password goes from alice's form to the database in AWS; pages, logs, exports, audit and the whole dump lack it."""
        from executor.sandbox.server import LocalAws
        from tests.executor.stage import Stage, connect_to

        with LocalAws(DEMO, settle_seconds=0.2) as aws:
            stage = Stage(cast, aws, cloned_database, role_url)
            pages: list[str] = []
            alice, bob = browser_of(cast, "alice"), browser_of(cast, "bob")
            # As the portal is: with its own database role.
            connect_to(role_url("web"))
            wrong = post(alice, p_DBInstanceIdentifier="prod-billing", p_MasterUserPassword=PASSWORD, p_AllocatedStorage="many")
            pages.append(wrong.content.decode())
            request = filed(alice, p_MasterUserPassword__sealed=token_in(wrong))
            pages.append(alice.get(alice.page("change", request)).content.decode())
            stage.read(request)
            connect_to(role_url("web"))
            request.refresh_from_db()
            assert alice.sign("confirm", request).status_code == 302
            pages += [handle.get(handle.page("change", request)).content.decode() for handle in (alice, bob)]
            assert "sealed; only the executor can open it" in pages[-1]
            assert bob.sign("decide", request, verdict="approve").status_code == 302
            # From here on there is a private key, in the executor alone.
            settings.OPENING_KEYS = (sealing_keys.private_file(tmp_path),)
            opening._by_fingerprint.cache_clear()
            stage.execute()
            with stage.acting("delivery"):
                tasks.deliver()
            settings.OPENING_KEYS = ()
            execution = Execution.objects.get()
            assert execution.state == "succeeded", execution.outcome
            from moto.rds.models import rds_backends

            arrived = rds_backends[ACCOUNT][REGION].databases["prod-billing"]._master_user_password
            pages.append(alice.get(alice.page("change", request)).content.decode())
            pages.append(alice.get(reverse("admin:approvals_approvalrequest_changelist")).content.decode())
            records = json.dumps(aws.records())
        assert arrived == PASSWORD
        for page in pages:
            assert_hidden(page)
        for command in ("requests_export", "audit_export"):
            call_command(command, "--format", "jsonl")
        assert_hidden(capsys.readouterr().out)
        assert "ModifyDBInstance" in everything_logged.getvalue()
        assert_hidden(everything_logged.getvalue())
        assert_hidden(records)
        assert_hidden(dump(cloned_database))

    def test_a_token_that_is_moved_by_hand_in_the_database_is_not_executed(
        self, cast, cloned_database, role_url, settings, tmp_path
    ):
        """Whoever writes as the web process puts alice's token into carol's request, on a target of his: two people sign,
        and still nothing is opened."""
        from executor.sandbox.server import LocalAws
        from tests.executor.stage import Stage

        alice = browser_of(cast, "alice")
        token = password_in(filed(alice, p_MasterUserPassword=PASSWORD))
        from approvals import decisions

        steps = [(MODIFY, {"DBInstanceIdentifier": "prod-ledger", "MasterUserPassword": token})]
        moved = decisions.file(cast.person("carol"), account_id=ACCOUNT, region=REGION, steps=steps)
        with LocalAws(DEMO, settle_seconds=0.2) as aws:
            stage = Stage(cast, aws, cloned_database, role_url)
            cast.before_signing = stage.read
            cast.sign_review(cast.sign_confirm(moved, "carol"))
            settings.OPENING_KEYS = (sealing_keys.private_file(tmp_path),)
            opening._by_fingerprint.cache_clear()
            stage.execute()
            execution = Execution.objects.get()
            assert (execution.state, execution.attempts.count()) == ("failed", 0)
            assert "not for this place" in execution.outcome
            assert stage.calls("ModifyDBInstance") == []


def dump(url: str) -> str:
    """Every row of every table, as text."""
    lines = []
    with psycopg.connect(url) as session:
        for (table,) in session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall():
            lines += [str(row) for row in session.execute(f"SELECT t::text FROM {table} t").fetchall()]
    assert len(lines) > 100
    return "\n".join(lines)


def test_what_cloudtrail_hides_is_entered_in_the_form(cast, browser):
    """The record's marker is no value: the field of the draft is empty, asks for it, and the plan is made with what is typed."""
    from approvals import ingest
    from tests.cast import envelope

    record = trail_record("ModifyDBInstance", eventSource="rds.amazonaws.com", errorCode="InvalidDBInstanceState")
    record["requestParameters"] = {"dBInstanceIdentifier": "prod-billing", "masterUserPassword": "****"}
    record["errorCode"] = "AccessDenied"
    ingest.ingest([ingest.Message("m", envelope(record))])
    request = ApprovalRequest.objects.get()
    alice = browser("alice")
    url = alice.page("complete", request)
    page = alice.get(url)
    assert "****" not in request.current_revision().draft
    assert (inputs_of(page.content.decode())["p.MasterUserPassword"]["value"], token_in(page)) == ("", "")
    post(alice, url=url, revision="1", p_DBInstanceIdentifier="prod-billing", p_MasterUserPassword=PASSWORD)
    assert isinstance(password_in(ApprovalRequest.objects.get()), Sealed)
