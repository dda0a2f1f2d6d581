"""Enrolment links: passkeys for whom a quorum invited, with the codes of those who invited him, and for nobody else."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from uuid import uuid4

import pytest
import yaml
from django.utils import timezone
from fido2.utils import websafe_encode
from fido2.webauthn import AuthenticatorData
from hypothesis import given
from hypothesis import strategies as st

from approvals import authority, canonical, changes, genesis
from approvals.authority import codes
from approvals.errors import BadAuthority, BadSignature, Expired, NotAllowed, Refused
from approvals.models import Alert, AuditEntry, AuthorityChange, AuthorityLink, Invitation, Passkey, RegistrationChallenge
from approvals.states import Verdict
from tests.authenticators import registration

UP, UV = AuthenticatorData.FLAG.UP, AuthenticatorData.FLAG.UV
INVITE = {"edit": "invite", "person": "carol"}


@pytest.fixture
def invited(cast):
    """Carol is invited by dana and erin, who hold a code each."""
    change = cast.proposed(INVITE)
    given = [cast.sign_change(change, "dana"), cast.sign_change(change, "erin")]
    assert changes.apply(change.pk)
    return cast, Invitation.objects.get(), given


def keys(cast, invitation, count=2, **how):
    """That many authenticators, registered as `changes.registered` accepts them."""
    carol, made = cast.person("carol"), []
    for _ in range(count):
        asked = changes.begin_registration(invitation.pk, carol)
        made.append(registration(asked, **how))
        changes.registered(made[-1], invitation.pk, carol)
    return made


class TestTheWay:
    """From two signatures to a passkey that signs."""

    def test_an_invited_person_registers_two_passkeys(self, invited):
        """With both codes two keys become carol's, the invitation is used, and the chain says who opened it."""
        cast, invitation, given = invited
        made = keys(cast, invitation)
        change = changes.enrol(invitation.pk, cast.person("carol"), given=given, registrations=made)
        assert changes.apply(change.pk)
        assert Passkey.objects.filter(person__handle="carol").count() == 3
        assert not Invitation.objects.exists()
        walked = authority.walk(cast.genesis)
        assert {one.credential_id for one in made} <= walked.passkeys.keys()
        assert AuditEntry.objects.filter(kind="passkey.registered").count() == 1

    def test_codes_are_typed_as_people_type(self, invited):
        """Lower case, spaces and missing dashes do not matter."""
        cast, invitation, given = invited
        typed = [given[0].lower().replace("-", " "), given[1].replace("-", "")]
        change = changes.enrol(invitation.pk, cast.person("carol"), given=typed, registrations=keys(cast, invitation, 1))
        assert changes.apply(change.pk)

    def test_another_change_in_between_does_no_harm(self, invited):
        """What the person registered is not about the rest of the state: it follows whatever holds when it is applied."""
        cast, invitation, given = invited
        change = changes.enrol(invitation.pk, cast.person("carol"), given=given, registrations=keys(cast, invitation, 1))
        cast.changed({"edit": "set_settings", "checkpoint_every": 600})
        assert changes.apply(change.pk)
        authority.walk(cast.genesis)

    def test_no_code_is_stored_anywhere(self, invited):
        """Neither in the change, the chain, the trail, nor anywhere else in the database."""
        from django.db import connection

        cast, invitation, given = invited
        change = changes.enrol(invitation.pk, cast.person("carol"), given=given, registrations=keys(cast, invitation))
        assert changes.apply(change.pk)
        plain = [code.replace("-", "") for code in given]
        with connection.cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            for (table,) in cursor.fetchall():
                cursor.execute(f"SELECT row_to_json(t)::text FROM {table} t")
                text = "\n".join(row[0] for row in cursor.fetchall())
                assert not any(code in text for code in (*given, *plain)), table


class TestNobodyElse:
    """Whoever lacks one part of it registers nothing."""

    @pytest.mark.parametrize("which", ["none", "first", "first twice", "second", "wrong"])
    def test_one_who_invited_cannot_register_alone(self, invited, which):
        """One administrator's code, however often, opens nothing: two persons issued the link."""
        cast, invitation, given = invited
        some = {
            "none": [],
            "first": given[:1],
            "first twice": [given[0], given[0].lower()],
            "second": given[1:],
            "wrong": [codes.new_code(), codes.new_code()],
        }[which]
        with pytest.raises(BadSignature, match="codes of 2"):
            changes.enrol(invitation.pk, cast.person("carol"), given=some, registrations=keys(cast, invitation, 1))
        assert Passkey.objects.filter(person__handle="carol").count() == 1

    def test_a_code_of_a_signature_that_was_no_approval_opens_nothing(self, cast):
        """Only who signed the invitation holds a code for it; another change's code is none."""
        change, other = cast.proposed(INVITE), None
        given = [cast.sign_change(change, "dana"), cast.sign_change(change, "erin")]
        assert changes.apply(change.pk)
        other = cast.proposed({"edit": "invite", "person": "bob"})
        foreign = [cast.sign_change(other, "dana"), cast.sign_change(other, "frank")]
        invitation = Invitation.objects.get(person__handle="carol")
        with pytest.raises(BadSignature):
            changes.enrol(
                invitation.pk, cast.person("carol"), given=[given[0], foreign[1]], registrations=keys(cast, invitation, 1)
            )

    @pytest.mark.parametrize("handle", ["alice", "bob", "dana"])
    def test_a_link_is_for_one_person(self, invited, handle):
        """Somebody else who has both codes is refused: he is signed in as somebody else."""
        cast, invitation, given = invited
        for step in (
            lambda: changes.begin_registration(invitation.pk, cast.person(handle)),
            lambda: changes.enrol(invitation.pk, cast.person(handle), given=given, registrations=[]),
        ):
            with pytest.raises(NotAllowed, match="issued for somebody else"):
                step()

    def test_without_an_invitation_nobody_registers(self, cast):
        """Being signed in enrols for nothing."""
        with pytest.raises(NotAllowed):
            changes.begin_registration(uuid4(), cast.person("carol"))
        assert not RegistrationChallenge.objects.exists()

    def test_a_used_link_is_over(self, invited):
        """The second use of a link finds nothing."""
        cast, invitation, given = invited
        made = keys(cast, invitation, 1)
        assert changes.apply(changes.enrol(invitation.pk, cast.person("carol"), given=given, registrations=made).pk)
        with pytest.raises(NotAllowed):
            changes.begin_registration(invitation.pk, cast.person("carol"))

    def test_a_lapsed_link_is_over(self, invited):
        """After its time a link registers nothing, nor is what was asked before applied."""
        cast, invitation, given = invited
        change = changes.enrol(invitation.pk, cast.person("carol"), given=given, registrations=keys(cast, invitation, 1))
        late = timezone.now() + timedelta(days=8)
        with pytest.raises(Expired):
            changes.begin_registration(invitation.pk, cast.person("carol"), now=late)
        assert changes.apply(change.pk, now=late) is False

    def test_a_newer_link_makes_the_older_worthless(self, invited):
        """Invited again, the person uses the new codes; the old ones open nothing."""
        cast, invitation, given = invited
        cast.changed(INVITE)
        with pytest.raises(NotAllowed):
            changes.enrol(invitation.pk, cast.person("carol"), given=given, registrations=[])

    @pytest.mark.parametrize(
        ("how", "says"),
        [
            ({"flags": UP}, "did not verify that it was you"),
            ({"flags": UV}, "did not verify that it was you"),
            ({"origin": "https://elsewhere.example"}, "not for this portal"),
            ({"party": "elsewhere.example"}, "another site"),
            ({"kind": "webauthn.get"}, "another ceremony"),
            ({"challenge": websafe_encode(b"x" * 32)}, "another ceremony"),
        ],
    )
    def test_a_registration_that_is_not_for_this_is_refused(self, invited, how, says):
        """Without user verification, for another site, or as the answer to something else: no passkey."""
        cast, invitation, _ = invited
        with pytest.raises(BadSignature, match=says):
            keys(cast, invitation, 1, **how)

    def test_a_registration_is_used_once(self, invited):
        """Its challenge is consumed in the database."""
        cast, invitation, _ = invited
        (made,) = keys(cast, invitation, 1)
        with pytest.raises(BadSignature, match="used already"):
            changes.registered(made, invitation.pk, cast.person("carol"))

    def test_the_same_key_twice_is_one(self, invited):
        """Two passkeys are two authenticators."""
        cast, invitation, given = invited
        (made,) = keys(cast, invitation, 1)
        with pytest.raises(Refused, match="different passkeys"):
            changes.enrol(invitation.pk, cast.person("carol"), given=given, registrations=[made, made])


class TestTwoForWhoeverDecides:
    """Approvers and administrators have two passkeys: a lost one is no person less."""

    @pytest.mark.parametrize("handle", ["bob", "frank"])
    def test_one_key_is_too_few_after_a_reset(self, cast, handle):
        """Whose keys were taken away registers two, in one go."""
        gone = {"edit": "remove_passkey", "person": handle, "credential_id": cast.keys[handle]["credential_id"]}
        change = cast.proposed(gone, {"edit": "invite", "person": handle})
        given = [cast.sign_change(change, signer) for signer in ("dana", "erin")]
        assert changes.apply(change.pk)
        person, invitation = cast.person(handle), Invitation.objects.get()
        made = []
        for _ in "ab":
            made.append(registration(changes.begin_registration(invitation.pk, person)))
            changes.registered(made[-1], invitation.pk, person)
        with pytest.raises(Refused, match="two passkeys on two authenticators"):
            changes.enrol(invitation.pk, person, given=given, registrations=made[:1])
        assert changes.apply(changes.enrol(invitation.pk, person, given=given, registrations=made).pk)
        assert Passkey.objects.filter(person=person).count() == 2

    def test_one_more_is_enough_for_who_has_one(self, cast):
        """A second key is added to the first; who decides nothing needs one."""
        assert changes.keys_asked(cast.person("bob")) == 1
        Passkey.objects.filter(person__handle__in=["bob", "carol"]).delete()
        assert [changes.keys_asked(cast.person(handle)) for handle in ("bob", "carol", "dana")] == [2, 1, 1]


class TestWhatTheWorkerFinds:
    """The web process may write what it likes: the authority process verifies the registration from stored bytes."""

    def forge(self, invited, change_it):
        """An enrolment as the web process would write it, with something changed in what it shows."""
        cast, invitation, given = invited
        made = keys(cast, invitation, 1)
        real = changes.enrol(invitation.pk, cast.person("carol"), given=given, registrations=made)
        shown = canonical.loads(real.registration)
        change_it(shown, cast, invitation)
        forged = AuthorityChange.objects.create(
            kind="enrolment",
            proposer=real.proposer,
            reason="x",
            number=real.number,
            previous=real.previous,
            edits="[]",
            next_state=real.next_state,
            digest=real.digest,
            registration=canonical.dumps(shown),
            created_at=real.created_at,
            open_until=real.open_until,
        )
        assert changes.apply(forged.pk) is False
        return forged

    def another_key(self, shown, cast, invitation):
        """A key of the attacker's, registered by his own browser under the same invitation."""
        asked = changes.begin_registration(invitation.pk, cast.person("carol"))
        made = registration(asked)
        shown["registrations"] = [asdict(made)]

    def no_codes(self, shown, cast, invitation):
        """The codes left out."""
        shown["codes"] = []

    def one_code_twice(self, shown, cast, invitation):
        """One administrator's proof, twice."""
        shown["codes"] = [shown["codes"][0]] * 2

    def made_up_codes(self, shown, cast, invitation):
        """Proofs that verify, under codes that nobody issued."""
        passkeys = [{name: row[name] for name in ("credential_id", "public_key", "label")} for row in shown["registrations"]]
        shown["codes"] = [codes.proof(codes.new_code(), shown["invitation"], passkeys) for _ in range(2)]

    def another_label(self, shown, cast, invitation):
        """A label that the codes were not used for."""
        shown["registrations"][0]["label"] = "mallory's"

    def no_verification(self, shown, cast, invitation):
        """A public key that the authenticator's answer does not hold."""
        shown["registrations"][0]["public_key"] = "AAAA"

    @pytest.mark.parametrize(
        "change_it", ["another_key", "no_codes", "one_code_twice", "made_up_codes", "another_label", "no_verification"]
    )
    @pytest.mark.security_row(36)
    def test_a_forged_enrolment_registers_nothing_and_raises_the_alarm(self, invited, change_it):
        """Whoever reads the pending rows, or is the web process, cannot put a key of his own in the place of carol's."""
        forged = self.forge(invited, getattr(self, change_it))
        forged.refresh_from_db()
        assert forged.state == "refused"
        assert Passkey.objects.filter(person__handle="carol").count() == 1
        assert Alert.objects.get().kind == "forgery"
        assert AuthorityLink.objects.count() == 2


class TestGenesis:
    """The first passkeys of all: by the links that `bootstrap` prints."""

    @pytest.fixture
    def bare(self, db, tmp_path, settings):
        """A manifest without any passkey, sealed: everybody has a link."""
        from executor.demo import people
        from executor.demo.state import StateFolder
        from tests import cast as the_cast

        path = people.write_manifest(StateFolder(tmp_path), the_cast._KEYS)
        manifest = yaml.safe_load(path.read_text())
        for person in manifest["persons"]:
            del person["passkeys"]
        sealed = genesis.seal(genesis.read(yaml.safe_dump(manifest)))
        settings.GENESIS = sealed.hash
        return the_cast.Cast(sealed.hash, the_cast._KEYS), {one.handle: one for one in sealed.invited}

    def test_everybody_without_a_passkey_gets_a_link(self, bare):
        """Three administrators at least can begin, and nobody can sign before."""
        cast, links = bare
        assert links.keys() == {"alice", "bob", "carol", "dana", "erin", "frank", "olivia"}
        with pytest.raises(NotAllowed, match="no registered passkey"):
            changes.begin(cast.proposed(INVITE).pk, cast.person("dana"), Verdict.APPROVE)

    def test_one_code_opens_a_genesis_link(self, bare):
        """The code that `bootstrap` printed registers the person's passkeys; another one does not."""
        cast, links = bare
        carol, mine = cast.person("carol"), links["carol"]
        invitation = Invitation.objects.get(pk=mine.id)
        made = keys(cast, invitation, 1)
        with pytest.raises(BadSignature, match="not the code"):
            changes.enrol(mine.id, carol, given=[links["dana"].code], registrations=made)
        assert changes.apply(changes.enrol(mine.id, carol, given=[mine.code], registrations=made).pk)
        assert authority.walk(cast.genesis).passkeys.keys() == {made[0].credential_id}

    def test_the_genesis_holds_no_code(self, bare):
        """Only fingerprints are sealed: whoever reads the database cannot enrol."""
        _, links = bare
        text = AuthorityLink.objects.get().state
        assert not any(one.code in text or one.code.replace("-", "") in text for one in links.values())


@given(st.text(min_size=1, max_size=40), st.binary(min_size=1, max_size=40))
def test_a_proof_is_for_one_invitation_and_one_list_of_keys(code, data):
    """What shows knowledge of a code for some passkeys shows nothing for others, or under another invitation."""
    passkeys = [{"credential_id": data.hex()}]
    shown = codes.proof(code, "one", passkeys)
    assert codes.verified(shown, "one", passkeys) == codes.fingerprint(code)
    for invitation, others in (("two", passkeys), ("one", [{"credential_id": data.hex() + "00"}]), ("one", [])):
        with pytest.raises(BadSignature):
            codes.verified(shown, invitation, others)


@given(st.dictionaries(st.sampled_from(["public", "signature"]), st.one_of(st.none(), st.text(max_size=90), st.integers())))
def test_a_proof_that_is_none_is_refused(shown):
    """Whatever stands in the place of a proof: an answer, never an exception of another kind."""
    with pytest.raises(BadSignature):
        codes.verified(shown, "one", [])


def test_the_chain_refuses_what_the_tables_alone_say(cast):
    """An invitation written into the table is none: the chain does not know it."""
    Invitation.objects.create(person=cast.person("carol"), until=timezone.now() + timedelta(days=1), codes=["ab" * 32])
    with pytest.raises(BadAuthority, match="differ"):
        authority.walk(cast.genesis)
