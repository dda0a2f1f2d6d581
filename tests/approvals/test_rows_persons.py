"""Rows 1, 2 and 35 of the security design: one human is one voter, however many identities he has, and no identity is guessed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from approvals import decisions, ingest
from approvals.errors import CountersignError, NotAllowed, OwnRequest, Refused, Unmapped, WrongState
from approvals.models import Alert, ApprovalRequest, Execution, GuardrailUserPermission, Login, Passkey, Person, Review
from approvals.permissions import person_of
from approvals.states import RequestState, Verdict
from executor.demo import people
from executor.sandbox.world import DEMO
from tests import cast as standing
from tests.cast import ACCOUNT, envelope, seal, trail_record

_KEYS = [people._new_key() for _ in range(6)]


@dataclass(frozen=True)
class Alias:
    """A login: whose it is (0 is the requester's person), whether that person is a human, whether the login may review."""

    person: int
    right: bool


@pytest.fixture
def two_needed(db, tmp_path, settings):
    """A world whose guardrail wants two approvers."""

    def carol_too(manifest):
        manifest["grants"].append({"guardrail": manifest["guardrails"][0]["name"], "person": "carol"})

    return seal(tmp_path, settings, change=carol_too, approvals=2)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    logins=st.lists(st.builds(Alias, st.integers(0, 4), st.booleans()), min_size=1, max_size=7),
    bots=st.sets(st.integers(1, 4), max_size=2),
    asks=st.permutations(range(7)),
)
def test_row_01_a_second_login_or_a_bot_is_no_second_person(two_needed, logins, bots, asks):
    """Votes key on the person: whatever logins people and bots have, an approval is two humans with the right who did not ask."""
    with transaction.atomic():
        request = two_needed.pending(TableName="prod-orders")
        persons = _people(two_needed, logins, bots)
        users = _logins(logins, persons)
        for number in (one for one in asks if one < len(users)):
            _tries_to_approve(two_needed, request, users[number], _KEYS[logins[number].person])
        able = {alias.person for alias in logins if alias.right and alias.person not in {0} | bots}
        request.refresh_from_db()
        assert {review.person for review in Review.objects.all()} <= {persons[number] for number in able}
        assert (request.state == "approved") is (len(able) >= 2)
        assert Execution.objects.exists() is (len(able) >= 2)
        transaction.set_rollback(True)


def _people(cast, logins, bots):
    made = {0: cast.person("alice")}
    for number in sorted({alias.person for alias in logins} - {0}):
        made[number] = Person.objects.create(handle=f"p{number}", name=f"p{number}", is_human=number not in bots)
    for number, person in made.items():
        key = _KEYS[number]
        public = people.public_key(key["private_key"])
        Passkey.objects.create(person=person, credential_id=key["credential_id"], public_key=public, label="k")
    return made


def _logins(logins, persons):
    known = GuardrailUserPermission.objects.filter(user__username="bob").get()
    made = []
    for number, alias in enumerate(logins):
        user = get_user_model().objects.create_user(f"login-{number}", None, None, is_staff=True)
        Login.objects.create(user=user, person=persons[alias.person])
        if alias.right:
            GuardrailUserPermission.objects.create(user=user, permission=known.permission, content_object=known.content_object)
        made.append(user)
    return made


def _tries_to_approve(cast, request, user, key):
    from portal import software_authenticator

    person = person_of(user)
    assert person is not None
    try:
        opened = decisions.begin(request.pk, person, Verdict.APPROVE)
        assertion = software_authenticator.assertion(key["credential_id"], key["private_key"], opened)
        decisions.review(
            request.pk,
            person,
            digest=opened.digest,
            verdict=Verdict.APPROVE,
            nonce=opened.nonce,
            assertion=assertion,
            reason="me again",
        )
    except Refused:
        pass


def of_session(role: str, session: str, *, issuer: str = "", **context) -> dict:
    """A denied call of a role's session."""
    issued = issuer or f"arn:aws:iam::{ACCOUNT}:role/{role}"
    identity = {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}",
        "accountId": ACCOUNT,
        "accessKeyId": "ASIASHARED",
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": issued, "accountId": ACCOUNT}, **context},
    }
    return trail_record(userIdentity=identity)


def taken_in(record) -> ApprovalRequest | None:
    """What a record became."""
    ingest.ingest([ingest.Message(record["eventID"], envelope(record))])
    return ApprovalRequest.objects.filter(records__event_id=record["eventID"]).first()


def nobody_can_have_it_approved(cast, request) -> None:
    """Neither confirmed nor approved by anybody, with whatever right."""
    assert request.requester is None
    for handle in ("alice", "bob", "carol", "dana", "olivia"):
        for verdict in (Verdict.CONFIRM, Verdict.APPROVE):
            with pytest.raises((NotAllowed, Unmapped, WrongState)):
                decisions.begin(request.pk, cast.person(handle), verdict)
    assert decisions.why_not_end(request, cast.person("alice"), RequestState.WITHDRAWN)


class TestRow02:
    def test_row_02_two_identities_are_one_person_and_nobody_s_are_not_approvable(self, cast):
        """A second IAM user of alice's is alice; a shared role and an unmapped key are nobody, and nobody's draft is inert."""
        second = DEMO.iam_arn("user/alice-admin")
        cast.changed({"edit": "add_principal", "person": "alice", "kind": "iam_user", "value": second})
        cast.changed({"edit": "grant", "guardrail": "dynamodb-production", "login": "alice"})
        mine = cast.sign_confirm(cast.denied_event(user="alice-admin"))
        assert mine.requester == cast.person("alice")
        with pytest.raises(OwnRequest):
            decisions.begin(mine.pk, cast.person("alice"), Verdict.APPROVE)
        for record in (of_session("shared", "alice"), of_session("shared", "bob"), trail_record(user="stranger")):
            request = taken_in(record)
            assert request is not None
            nobody_can_have_it_approved(cast, request)

    def test_root_opens_no_request_and_is_an_alert(self, cast):
        """Root stands for nobody in particular."""
        root = {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT, "principalId": ACCOUNT}
        assert taken_in(trail_record(userIdentity=root, table="prod-rooted")) is None
        assert [alert.kind for alert in Alert.objects.all()] == ["root"]

    def test_a_role_that_two_persons_claim_is_nobody_s(self, cast):
        """Two persons whose patterns fit equally well: a person is never guessed."""
        for handle in ("alice", "bob"):
            value = f"arn:aws:iam::{ACCOUNT}:role/{'share?' if handle == 'alice' else '?hared'}"
            cast.changed({"edit": "add_principal", "person": handle, "kind": "role", "value": value})
        request = taken_in(of_session("shared", "x"))
        nobody_can_have_it_approved(cast, request)


class TestRow35:
    RESERVED = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0123456789abcdef"

    @pytest.fixture
    def mapped(self, cast):
        """alice@example.com is alice in Identity Center."""
        cast.changed({"edit": "add_principal", "person": "alice", "kind": "sso_user", "value": "alice@example.com"})
        return cast

    def test_the_reserved_path_is_believed(self, mapped):
        """AWS alone can make a role there, and names its sessions after who signed in."""
        role = "AWSReservedSSO_Admin_0123456789abcdef"
        request = taken_in(of_session(role, "alice@example.com", issuer=self.RESERVED))
        assert request.requester == mapped.person("alice")

    @pytest.mark.parametrize(
        "path",
        [
            "AWSReservedSSO_Admin_0123456789abcdef",
            "sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef",
            "aws-reserved/AWSReservedSSO_Admin_0123456789abcdef",
            "my/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef",
            "aws-reserved/sso.amazonaws.com.evil/AWSReservedSSO_Admin_0123456789abcdef",
            "aws-reserved/sso-amazonaws-com/AWSReservedSSO_Admin_0123456789abcdef",
            "aws-reserved/sso.amazonaws.com/a/b/AWSReservedSSO_Admin_0123456789abcdef",
            "aws-reserved/sso.amazonaws.com/Admin",
        ],
    )
    def test_row_35_a_role_with_a_look_alike_name_is_nobody(self, mapped, path):
        """A session name counts only under the path that AWS keeps for Identity Center; whoever copies the name is unmapped."""
        issuer = f"arn:aws:iam::{ACCOUNT}:role/{path}"
        request = taken_in(of_session(path.rsplit("/", 1)[-1], "alice@example.com", issuer=issuer))
        nobody_can_have_it_approved(mapped, request)


def test_the_keys_of_this_page_are_nobody_s_of_the_cast():
    """Otherwise a vote above could be bob's own."""
    assert not {key["credential_id"] for key in _KEYS} & {key["credential_id"] for key in standing._KEYS.values()}
    assert issubclass(OwnRequest, CountersignError)
