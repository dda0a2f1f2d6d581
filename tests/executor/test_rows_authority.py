"""Rows 12 and 21 of the security design: whoever owns the database writes authority as he likes, and nothing is claimed on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.utils import timezone

from approvals import audit, authority, canonical, changes, clearance, decisions, signatures
from approvals.authority import chain, edits, links, state, tables
from approvals.ceremonies import Ceremony
from approvals.changes.writing import head
from approvals.errors import BadAuthority
from approvals.models import (
    Account,
    Alert,
    AuditKind,
    AuthorityChange,
    AuthorityLink,
    AuthoritySettings,
    Execution,
    Guardrail,
    GuardrailGroupPermission,
    GuardrailUserPermission,
    GuardrailVersion,
    Invitation,
    Login,
    Passkey,
    Person,
    Principal,
)
from approvals.states import Verdict
from executor.claim import take
from executor.demo import people
from portal.models import User
from tests.cast import Cast

CAROL_REVIEWS = {"edit": "grant", "guardrail": "dynamodb-production", "login": "carol"}
DANA_REVIEWS = {**CAROL_REVIEWS, "login": "dana"}
EVERY_MINUTE = {"edit": "set_settings", "checkpoint_every": 60}


def carol() -> User:
    return User.objects.get(username="carol")


def review() -> Permission:
    return Permission.objects.get(codename="review_guardrail")


# --- rows without a link ---


def a_passkey_for_bob() -> None:
    """A key of the attacker's own."""
    key = people._new_key()
    public = people.public_key(key["private_key"])
    bob = Person.objects.get(handle="bob")
    Passkey.objects.create(person=bob, credential_id=key["credential_id"], public_key=public, label="a new phone")


def another_key_under_bobs_id() -> None:
    """Bob's credential with the public half of the attacker's key."""
    public = people.public_key(people._new_key()["private_key"])
    Passkey.objects.filter(person__handle="bob").update(public_key=public)


def a_passkey_that_changes_hands() -> None:
    """Carol's key, said to be bob's."""
    Passkey.objects.filter(person__handle="carol").update(person=Person.objects.get(handle="bob"))


def a_grant() -> None:
    """The right to review, for carol's login."""
    guardrail = Guardrail.objects.get()
    GuardrailUserPermission.objects.create(user=carol(), permission=review(), content_object=guardrail)


def a_grant_to_a_group() -> None:
    """The right to review, for everybody in a group."""
    group = Group.objects.get(name="Requesters")
    GuardrailGroupPermission.objects.create(group=group, permission=review(), content_object=Guardrail.objects.get())


def a_delegation() -> None:
    """Bob's right, lent to carol by nobody but a row."""
    until = timezone.now() + timedelta(days=1)
    bob = Person.objects.get(handle="bob")
    guardrail = Guardrail.objects.get()
    GuardrailUserPermission.objects.create(
        user=carol(), permission=review(), content_object=guardrail, delegated_by=bob, ends_at=until
    )


def a_guardrail() -> None:
    """Another guardrail, of the attacker's making."""
    version = GuardrailVersion.objects.get()
    text = version.text.replace("dynamodb-production", "mine")
    made = Guardrail.objects.create(name="mine")
    GuardrailVersion.objects.create(guardrail=made, number=1, text=text, hash=canonical.digest(text))


def a_guardrail_version() -> None:
    """A version that protects nothing of what is protected."""
    version = GuardrailVersion.objects.get()
    text = version.text.replace("prod-*", "none-*")
    GuardrailVersion.objects.create(guardrail=version.guardrail, number=2, text=text, hash=canonical.digest(text))


def a_principal() -> None:
    """Mallory's IAM user, said to be bob."""
    bob = Person.objects.get(handle="bob")
    Principal.objects.create(kind="iam_user", value="arn:aws:iam::111122223333:user/mallory", person=bob)


def an_account() -> None:
    """Another role to act as."""
    Account.objects.update(executor_role_arn="arn:aws:iam::111122223333:role/Another")


def tags_of_an_account() -> None:
    """Tags by which a guardrail would not match any more."""
    Account.objects.update(tags={"stage": "sandbox"})


def a_login() -> None:
    """A second login of bob's, for somebody else to sign in with."""
    Login.objects.create(
        user=User.objects.create_user("bob2", None, None, is_staff=True), person=Person.objects.get(handle="bob")
    )


def a_login_that_changes_hands() -> None:
    """Carol's login, said to be bob's."""
    Login.objects.filter(user=carol()).update(person=Person.objects.get(handle="bob"))


def a_group_member() -> None:
    """Alice among the approvers."""
    Group.objects.get(name="Approvers").user_set.add(User.objects.get(username="alice"))


def a_person() -> None:
    """Somebody who was never there."""
    Person.objects.create(handle="trent", name="Trent")


def an_administrators_flag() -> None:
    """Carol, an administrator by a flag."""
    Person.objects.filter(handle="carol").update(is_administrator=True)


def a_bot_made_human() -> None:
    """Olivia switched from auditor to nothing: a flag less is a change as well."""
    Person.objects.filter(handle="olivia").update(is_auditor=False)


def an_invitation() -> None:
    """A link to register passkeys as bob, with a code of the attacker's."""
    until = timezone.now() + timedelta(days=1)
    Invitation.objects.create(id=uuid4(), person=Person.objects.get(handle="bob"), until=until, codes=["0" * 64])


def a_subject_of_single_sign_on() -> None:
    """Mallory's subject at the provider, said to be bob's login."""
    SocialAccount.objects.create(user=User.objects.get(username="bob"), provider="oidc", uid="mallory", extra_data={})


def the_settings() -> None:
    """Where the checkpoints go."""
    AuthoritySettings.objects.update(checkpoint_bucket="somebody-elses")


ROWS: Sequence[Callable[[], None]] = (
    a_passkey_for_bob,
    another_key_under_bobs_id,
    a_passkey_that_changes_hands,
    a_grant,
    a_grant_to_a_group,
    a_delegation,
    a_guardrail,
    a_guardrail_version,
    a_principal,
    an_account,
    tags_of_an_account,
    a_login,
    a_login_that_changes_hands,
    a_group_member,
    a_person,
    an_administrators_flag,
    a_bot_made_human,
    an_invitation,
    a_subject_of_single_sign_on,
    the_settings,
)


def is_cleared(execution: Execution) -> bool:
    """Everything that the claim asks of rows holds; whether the target is still the same is another matter."""
    plan = clearance.clear(execution, authority.walk(settings.GENESIS), decisions.relying_party(), now=timezone.now())
    return plan == execution.revision.plan


def nothing_is_claimed(execution: Execution) -> None:
    """The claim is refused, the execution is over, and the alert is the gravest."""
    assert take(execution.pk) is None
    assert Execution.objects.get(pk=execution.pk).state == "aborted"
    assert [alert.kind for alert in Alert.objects.all()] == ["forgery"]


def without_triggers(*statements: str) -> None:
    """As the owner of the tables, with the triggers of the chain out of the way."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("approvals_authoritylink", "approvals_authoritychange", "approvals_changesignature"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for statement in statements:
            cursor.execute(statement)


@pytest.mark.parametrize("forge", ROWS, ids=lambda forge: forge.__name__)
def test_row_21_a_forged_row_of_any_kind_is_refused_at_the_claim(cast: Cast, forge: Callable[[], None]) -> None:
    """Whatever table of authority somebody writes without the signatures for it: nothing is carried out, and it is an alarm."""
    execution = cast.approved()
    # This process has found the tables to be the chain's state before, and remembers what they looked like.
    assert is_cleared(execution)
    forge()
    nothing_is_claimed(execution)


@pytest.mark.parametrize("forge", ROWS, ids=lambda forge: forge.__name__)
def test_row_21_a_forged_row_is_noticed_by_a_process_that_begins_with_it(cast: Cast, forge: Callable[[], None]) -> None:
    """Nothing is remembered of tables before: they are read row by row, and are not what the chain says."""
    forge()
    chain.forget()
    with pytest.raises(BadAuthority, match="differ from the signed chain"):
        authority.walk(settings.GENESIS)


def test_without_a_forgery_the_same_execution_is_claimed(cast: Cast) -> None:
    """What the tests above refuse, they refuse for the row that was written."""
    cast.changed(CAROL_REVIEWS)
    assert is_cleared(cast.approved())


# --- links with proofs that prove nothing ---


def forged_link(cast: Cast, edit: Mapping[str, Any], *signers: str, over: str = "", verdict: Verdict = Verdict.APPROVE) -> None:
    """A next link whose rows agree with it, signed by these: in everything but the signers what the authority process writes."""
    newest = head()
    document = edits.apply(newest.document, [edit])
    text = state.text_of(document)
    digest = links.link_hash(newest.number + 1, newest.hash, text)
    rows = [_signature(cast, handle, over or digest, verdict) for handle in signers]
    proof = canonical.dumps({"kind": "edits", "change": str(uuid4()), "signatures": rows})
    tables.write(newest.document, document)
    assert tables.state_of_tables() == text
    AuthorityLink.objects.create(
        number=newest.number + 1, previous=newest.hash, state=text, hash=digest, proof=proof, created_at=timezone.now()
    )
    audit.append(AuditKind.CHANGE_APPLIED, actor="process:authority", hash=digest, number=newest.number + 1)


def _signature(cast: Cast, handle: str, digest: str, verdict: Verdict) -> dict[str, str]:
    nonce = signatures.new_nonce(timezone.now())
    asked = signatures.websafe(signatures.challenge(digest, verdict, nonce, domain=signatures.AUTHORITY))
    opened = Ceremony(signatures.websafe(nonce), asked, digest, verdict, (), authority.relying_party())
    made = cast.assertion(handle, opened)
    parts = {name: getattr(made, name) for name in ("credential_id", "client_data", "authenticator_data", "signature")}
    return {"person": str(cast.person(handle).pk), "verdict": str(verdict), "nonce": opened.nonce, **parts}


class TestForgedLinks:
    def test_a_link_with_the_signatures_for_it_is_believed(self, cast: Cast) -> None:
        """The forger of this page writes links as they are written: with the right signatures one holds."""
        forged_link(cast, CAROL_REVIEWS, "dana", "erin")
        assert authority.walk(cast.genesis).rights_at(str(cast.person("carol").pk), timezone.now())
        assert is_cleared(cast.approved())

    @pytest.mark.parametrize(
        ("edit", "signers", "how"),
        [
            (CAROL_REVIEWS, (), {}),
            (CAROL_REVIEWS, ("dana",), {}),
            (CAROL_REVIEWS, ("dana", "dana"), {}),
            (CAROL_REVIEWS, ("dana", "bob"), {}),
            (CAROL_REVIEWS, ("alice", "bob", "carol", "olivia"), {}),
            (DANA_REVIEWS, ("dana", "erin"), {}),
            (CAROL_REVIEWS, ("dana", "erin"), {"over": "0" * 64}),
            (CAROL_REVIEWS, ("dana", "erin"), {"verdict": Verdict.DENY}),
        ],
        ids=["nobody", "one", "one twice", "no administrator", "many who are none", "who gains", "another state", "denials"],
    )
    def test_row_21_a_link_without_a_quorum_s_signatures_is_refused(self, cast: Cast, edit: Any, signers: Any, how: Any) -> None:
        """Rows, link and trail agree: without two administrators who gain nothing it is a forgery all the same."""
        execution = cast.approved()
        forged_link(cast, edit, *signers, **how)
        nothing_is_claimed(execution)

    def test_row_12_a_grant_or_delegation_by_one_is_inert(self, cast: Cast) -> None:
        """Proposed and signed by one administrator, a right is none: not in the portal, not for the executor; two make it one."""
        from approvals.permissions import reviewable_by

        until = state.text_of_moment(timezone.now() + timedelta(days=1))
        lent = {**CAROL_REVIEWS, "delegated_by": "bob", "ends": until}
        for edit in (CAROL_REVIEWS, lent):
            change = cast.proposed(edit, by="bob")
            cast.sign_change(change, "dana")
            assert changes.apply(change.pk) is False
            assert not reviewable_by(cast.person("carol"))
            assert not authority.walk(cast.genesis).rights_at(str(cast.person("carol").pk), timezone.now())
        cast.changed(CAROL_REVIEWS)
        assert reviewable_by(cast.person("carol")) == {"dynamodb-production"}


class TestTheChainItself:
    @pytest.fixture
    def long_chain(self, cast: Cast) -> tuple[Cast, Execution]:
        """Three links after the genesis, and something approved."""
        cast.changed(CAROL_REVIEWS)
        cast.changed(EVERY_MINUTE)
        cast.changed({"edit": "revoke", "guardrail": "dynamodb-production", "login": "carol"})
        return cast, cast.approved()

    @pytest.mark.parametrize(
        "statements",
        [
            ["DELETE FROM approvals_authoritylink WHERE number = 3"],
            ["DELETE FROM approvals_authoritylink WHERE number = 2"],
            [
                "UPDATE approvals_authoritylink SET number = 9 WHERE number = 1",
                "UPDATE approvals_authoritylink SET number = 1 WHERE number = 2",
                "UPDATE approvals_authoritylink SET number = 2 WHERE number = 9",
            ],
            ["UPDATE approvals_authoritylink SET proof = (SELECT proof FROM approvals_authoritylink WHERE number = 1)"],
            ["UPDATE approvals_authoritylink SET state = replace(state, 'Carol', 'Karol') WHERE number = 1"],
            ["UPDATE approvals_authoritylink SET hash = repeat('0', 64) WHERE number = 3"],
        ],
        ids=["newest removed", "middle removed", "re-ordered", "another proof", "another state", "another hash"],
    )
    def test_row_21_a_link_that_is_removed_moved_or_edited_is_missed(self, long_chain: Any, statements: list[str]) -> None:
        """The chain is walked from its pinned beginning, link by link, with no gap."""
        _, execution = long_chain
        without_triggers(*statements)
        authority.chain.forget()
        nothing_is_claimed(execution)

    @pytest.mark.parametrize("remembered", [True, False])
    def test_row_21_an_older_state_that_is_consistent_in_itself_is_missed(self, long_chain: Any, remembered: bool) -> None:
        """Links cut off together with their rows would bring a right back that was taken away: the trail knows of them."""
        _, execution = long_chain
        former = AuthorityLink.objects.get(number=1)
        tables.write(head().document, state.read(former.state))
        without_triggers("DELETE FROM approvals_authoritylink WHERE number > 1")
        assert tables.state_of_tables() == former.state
        if not remembered:
            authority.chain.forget()
        nothing_is_claimed(execution)

    def test_row_21_a_change_edited_after_it_was_signed_is_not_applied(self, cast: Cast) -> None:
        """The signatures are over the former state: carol's grant does not become erin's."""
        change = cast.proposed(CAROL_REVIEWS)
        cast.sign_change(change, "dana")
        cast.sign_change(change, "frank")
        newest = head()
        text = state.text_of(edits.apply(newest.document, [{**CAROL_REVIEWS, "login": "erin"}]))
        digest = links.link_hash(newest.number + 1, newest.hash, text)
        for values in (f"next_state = $${text}$$", f"next_state = $${text}$$, digest = '{digest}'"):
            without_triggers(f"UPDATE approvals_authoritychange SET state = 'open', {values}")
            assert changes.apply(change.pk) is False
            assert AuthorityChange.objects.get().state == "refused"
        assert {alert.kind for alert in Alert.objects.all()} == {"forgery"}
        assert AuthorityLink.objects.count() == 1
