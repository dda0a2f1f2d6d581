"""The authority worker: with its own database role it applies what was signed, and the web process's role cannot."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
from django.db import DatabaseError, connections, transaction
from django.utils import timezone

from approvals import audit, authority, changes, outbox
from approvals.authority.chain import held_still
from approvals.models import AuditEntry, AuthorityChange, AuthorityLink, OutboxKind, OutboxMessage, Passkey, Person
from approvals.states import Verdict
from executor import tasks
from tests.authenticators import registration
from tests.executor.stage import connect_to

CAROL_REVIEWS = {"edit": "grant", "guardrail": "dynamodb-production", "login": "carol"}


@pytest.fixture
def acting(cloned_database, cast, role_url):
    """Act as a process's own database role for a while."""

    @contextmanager
    def as_role(process):
        connect_to(role_url(process))
        try:
            yield
        finally:
            connect_to(cloned_database)

    return as_role


def sign(cast, change, *handles):
    for handle in handles:
        cast.sign_change(change, handle)


EVERY_EDIT = (
    {"edit": "add_person", "handle": "gina", "name": "Gina Gray", "email": "gina@example.com"},
    {"edit": "add_login", "person": "gina", "login": "gina2"},
    {"edit": "add_sign_on", "person": "gina", "login": "gina", "provider": "oidc", "subject": "s-1"},
    {"edit": "add_principal", "person": "gina", "kind": "sso_user", "value": "gina@*", "precedence": 3},
    {"edit": "add_member", "group": "Night shift", "login": "gina"},
    {"edit": "grant", "guardrail": "dynamodb-production", "group": "Night shift"},
    {"edit": "grant", "guardrail": "dynamodb-production", "login": "gina"},
    {"edit": "set_person", "person": "carol", "name": "Carol C.", "auditor": True},
    {"edit": "invite", "person": "gina"},
    {"edit": "set_settings", "checkpoint_every": 600, "checkpoint_bucket": "audit-heads"},
    {"edit": "put_account", "id": "111122223333", "tags": {"tier": "one"}},
)
AND_BACK = (
    {"edit": "uninvite", "person": "gina"},
    {"edit": "revoke", "guardrail": "dynamodb-production", "login": "gina"},
    {"edit": "revoke", "guardrail": "dynamodb-production", "group": "Night shift"},
    {"edit": "remove_member", "group": "Night shift", "login": "gina"},
    {"edit": "remove_principal", "person": "gina", "kind": "sso_user", "value": "gina@*"},
    {"edit": "remove_sign_on", "person": "gina", "login": "gina", "provider": "oidc", "subject": "s-1"},
    {"edit": "remove_login", "person": "gina", "login": "gina2"},
    {"edit": "set_person", "person": "gina", "active": False},
)


def test_every_kind_of_edit_is_applied_by_the_worker_s_own_role(cast, acting):
    """What the portal proposes as its role, the authority worker writes as its role: rights, keys, persons, there and back."""
    for edits in (EVERY_EDIT, AND_BACK):
        with acting("web"):
            change = cast.proposed(*edits)
            sign(cast, change, "dana", "erin")
        with acting("authority"):
            tasks.apply_changes()
        change.refresh_from_db()
        assert (change.state, change.ended_why) == ("applied", "Applied.")
        authority.walk(cast.genesis)
    assert not Person.objects.get(handle="gina").is_active
    assert audit.verify().holds
    assert set(AuditEntry.objects.filter(kind="change.applied").values_list("role", flat=True)) == {"countersign_authority"}


def test_passkeys_are_registered_through_both_roles(cast, acting):
    """The invited person's browser talks to the web role; the keys are written by the authority role."""
    with acting("web"):
        change = cast.proposed({"edit": "invite", "person": "carol"})
        codes = [cast.sign_change(change, handle) for handle in ("dana", "erin")]
    with acting("authority"):
        tasks.apply_changes()
    carol = cast.person("carol")
    invitation = carol.invitations.get()
    with acting("web"):
        made = registration(changes.begin_registration(invitation.pk, carol))
        changes.registered(made, invitation.pk, carol)
        changes.enrol(invitation.pk, carol, given=codes, registrations=[made])
    with acting("authority"):
        tasks.apply_changes()
    assert carol.passkeys.filter(credential_id=made.credential_id).exists()
    authority.walk(cast.genesis)


def test_the_web_s_role_applies_nothing(cast, acting):
    """With every signature there, the web process still cannot write a table of authority, nor call a change applied."""
    change = cast.proposed(CAROL_REVIEWS)
    sign(cast, change, "dana", "erin")
    with acting("web"):
        with pytest.raises(DatabaseError):
            changes.apply(change.pk)
        connections.close_all()
        with pytest.raises(DatabaseError, match="applied when its link"), transaction.atomic():
            AuthorityChange.objects.filter(pk=change.pk).update(state="applied")
    assert AuthorityLink.objects.count() == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE approvals_authoritylink SET state = '{}'",
        "DELETE FROM approvals_authoritylink",
        "UPDATE approvals_guardrailversion SET text = ''",
        "INSERT INTO approvals_changesignature DEFAULT VALUES",
        "INSERT INTO approvals_authoritychange DEFAULT VALUES",
        "UPDATE approvals_approvalrequest SET state = 'approved'",
        "INSERT INTO approvals_signature DEFAULT VALUES",
        "INSERT INTO approvals_review DEFAULT VALUES",
        "INSERT INTO approvals_execution DEFAULT VALUES",
        "UPDATE portal_user SET is_superuser = true",
        "UPDATE approvals_auditentry SET kind = 'x'",
    ],
)
def test_the_authority_s_role_decides_nothing(cast, acting, role_url, statement):
    """It writes what was signed: it can neither sign, nor decide a request, nor rewrite the chain."""
    with psycopg.connect(role_url("authority"), autocommit=True) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(statement)


def test_a_promise_of_nothing_stops_nobody(cast, acting):
    """Rows that whoever can write the outbox made up are kept by doing nothing; the change behind them is applied."""
    with transaction.atomic():
        for subject in ("nonsense", "0" * 36, str(7)):
            OutboxMessage.objects.create(
                kind=OutboxKind.APPLY, subject=subject, created_at=timezone.now(), due_at=timezone.now() - timedelta(hours=1)
            )
    change = cast.proposed(CAROL_REVIEWS)
    sign(cast, change, "dana", "erin")
    with acting("authority"):
        tasks.apply_changes()
    change.refresh_from_db()
    assert change.state == "applied"
    assert not outbox.take([OutboxKind.APPLY])


def test_a_claim_sees_authority_of_one_moment(cast, acting):
    """While a change is being applied a walk waits: it never meets new tables with the old chain, which would be an alarm."""
    change = cast.proposed(CAROL_REVIEWS)
    sign(cast, change, "dana", "erin")
    seen: list[str] = []

    def walk():
        try:
            for _ in range(40):
                authority.walk(cast.genesis)
            seen.append("walked")
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            seen.append(str(error))
        finally:
            connections.close_all()

    walkers = [threading.Thread(target=walk) for _ in range(6)]
    for walker in walkers:
        walker.start()
    for _ in range(5):
        assert changes.apply(change.pk)
        change = cast.proposed({**CAROL_REVIEWS, "edit": "revoke"} if change_gave(cast) else CAROL_REVIEWS)
        sign(cast, change, "dana", "erin")
    for walker in walkers:
        walker.join()
    assert seen == ["walked"] * 6


def change_gave(cast):
    """Whether carol holds the right now."""
    return cast.person("carol").logins.get().user.guardrailuserpermission_set.exists()


def test_who_changes_waits_for_who_looks(cast, acting):
    """A claim that has walked the chain keeps authority still until it is committed."""
    change = cast.proposed(CAROL_REVIEWS)
    sign(cast, change, "dana", "erin")
    done = threading.Event()

    def apply():
        try:
            changes.apply(change.pk)
            done.set()
        finally:
            connections.close_all()

    with transaction.atomic():
        held_still()
        worker = threading.Thread(target=apply)
        worker.start()
        assert not done.wait(0.5)
    worker.join(10)
    assert done.is_set()


def test_two_changes_that_race_are_one(cast, acting):
    """Two workers and two signed changes of the same state: one is applied, the other is stale, and the chain holds."""
    two = [cast.proposed(CAROL_REVIEWS), cast.proposed({"edit": "set_settings", "checkpoint_every": 600})]
    for change in two:
        sign(cast, change, "dana", "erin")
    barrier, applied = threading.Barrier(4), []

    def apply(pk):
        barrier.wait()
        try:
            applied.append(changes.apply(pk))
        finally:
            connections.close_all()

    workers = [threading.Thread(target=apply, args=(change.pk,)) for change in two * 2]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(applied) == [False, False, False, True]
    assert sorted(AuthorityChange.objects.values_list("state", flat=True)) == ["applied", "stale"]
    assert AuthorityLink.objects.count() == 2
    authority.walk(cast.genesis)


def test_a_key_that_was_reset_signs_no_more(cast, acting):
    """Bob's passkey is taken away by two administrators: his next signature is refused, and so is what waited for it."""
    from approvals.errors import NotAllowed

    request = cast.pending()
    key = Passkey.objects.get(person__handle="bob")
    cast.changed({"edit": "remove_passkey", "person": "bob", "credential_id": key.credential_id})
    with pytest.raises(NotAllowed, match="no registered passkey"):
        cast.sign_review(request, "bob", Verdict.APPROVE)
