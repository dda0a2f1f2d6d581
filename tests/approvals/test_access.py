"""The database roles: each process may do what its work needs, and PostgreSQL refuses the rest."""

from __future__ import annotations

import json

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from approvals import access
from approvals.models import AuditEntry


@pytest.fixture
def as_role(cloned_database, cast, role_url):
    """Run one statement as a process's role on a sealed world with an approved request."""
    cast.approved()

    def run(process, statement):
        with psycopg.connect(role_url(process), autocommit=True) as session:
            return session.execute(statement)

    return run


def test_every_table_is_spoken_for(db):
    """A new table belongs to somebody by declaration, not by accident."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = {row[0] for row in cursor.fetchall()}
    declared = {access.table_of(label) for grants in access.GRANTS.values() for label in grants}
    assert tables - declared == access.OWNERS_ONLY & tables
    assert not declared & access.OWNERS_ONLY


def test_what_is_declared_is_what_the_database_says(db):
    """Rights of each role on each table, asked of PostgreSQL, are those of the declaration and no more."""
    with connection.cursor() as cursor:
        for role, grants in access.GRANTS.items():
            rights = {access.table_of(label): rights for label, rights in grants.items()}
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            for (table,) in cursor.fetchall():
                for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER", "REFERENCES"):
                    cursor.execute("SELECT has_table_privilege(%s, %s, %s)", [role, table, right])
                    whole = right in [word.strip() for word in rights.get(table, "").split(",")]
                    assert cursor.fetchone()[0] is whole, (role, table, right)


AUTHORITY = ("person", "login", "principal", "passkey", "account", "guardrail", "guardrailversion", "guardrailuserpermission",
             "guardrailgrouppermission", "authoritylink")  # fmt: skip


FORBIDDEN = (
    (
        "INSERT INTO approvals_auditentry (sequence, at, kind, actor, body, previous, hash) "
        "VALUES (99, now(), 'x', 'x', '{}', 'x', 'x')"
    ),
    "UPDATE approvals_auditentry SET kind = 'x'",
    "DELETE FROM approvals_auditentry",
    "UPDATE approvals_chainhead SET sequence = 0",
    "ALTER TABLE approvals_auditentry DISABLE TRIGGER USER",
    "SET session_replication_role = replica",
    "DROP FUNCTION approvals_audit_append(text[])",
    "CREATE TABLE mine (id int)",
    "CREATE FUNCTION public.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT $1'",
    "DELETE FROM approvals_review",
    "UPDATE approvals_revision SET text = ''",
    "UPDATE approvals_signature SET verdict = 'approve'",
    "UPDATE approvals_signaturechallenge SET nonce = 'x'",
    "UPDATE approvals_guardrailversion SET text = ''",
    "DELETE FROM approvals_approvalrequest",
    "UPDATE approvals_approvalrequest SET principal = ''",
    "UPDATE approvals_comment SET text = 'x'",
    "UPDATE approvals_notice SET text = 'x'",
    "UPDATE approvals_execution SET revision_id = revision_id",
    "UPDATE portal_user SET is_superuser = true",
    "UPDATE portal_user SET password = 'x'",
    "INSERT INTO auth_group (name) VALUES ('mine')",
    "INSERT INTO portal_user_groups (user_id, group_id) VALUES (1, 1)",
)


@pytest.mark.parametrize("process", ["web", "feed", "delivery", "execution"])
class TestNoProcess:
    """What none of them may do."""

    def test_writes_authority(self, as_role, process):
        """Persons, keys, grants, guardrails and accounts are read only."""
        for table in AUTHORITY:
            for statement in (
                f"DELETE FROM approvals_{table}",
                f"INSERT INTO approvals_{table} DEFAULT VALUES",
                f"TRUNCATE approvals_{table} CASCADE",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    as_role(process, statement)

    def test_changes_what_stays(self, as_role, process):
        """The trail, its function, revisions, signatures, rights: refused by PostgreSQL, whatever our code does."""
        for statement in FORBIDDEN:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                as_role(process, statement)


def test_the_web_role_cannot_move_an_execution(as_role):
    """Whether and how a call is made is the executor's to write."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_role("web", "UPDATE approvals_execution SET state = 'claimed'")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_role("web", "INSERT INTO approvals_attempt DEFAULT VALUES")


def test_the_web_role_cannot_approve_by_writing_the_state(as_role):
    """It may write a request's state, yet a trigger wants two persons' signatures for `approved`."""
    as_role("web", "UPDATE approvals_approvalrequest SET state = 'draft', version = version + 1")
    with pytest.raises(psycopg.errors.CheckViolation, match="breaking the glass"):
        as_role("web", "UPDATE approvals_approvalrequest SET state = 'approved', version = version + 1")
    with pytest.raises(psycopg.errors.CheckViolation, match="breaking the glass"):
        as_role("web", "UPDATE approvals_approvalrequest SET state = 'approved', version = version + 1, break_glass = true")


def test_the_web_role_takes_nobody_his_request(as_role):
    """It writes the requester for adoption alone: what a person asked for stays that person's, and never becomes nobody's."""
    carol = "(SELECT id FROM approvals_person WHERE handle = 'carol')"
    with pytest.raises(psycopg.errors.CheckViolation, match="in a draft only"):
        as_role("web", f"UPDATE approvals_approvalrequest SET requester_id = {carol}")
    as_role("web", "UPDATE approvals_approvalrequest SET state = 'draft', version = version + 1")
    for other in (carol, "NULL"):
        with pytest.raises(psycopg.errors.CheckViolation, match="a person adopts"):
            as_role("web", f"UPDATE approvals_approvalrequest SET requester_id = {other}")


def test_only_the_execution_role_writes_a_notice(as_role):
    """What was read from the signed bytes is said by the process that read them; delivery only says when it went out."""
    for process in ("web", "feed", "delivery"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_role(process, "INSERT INTO approvals_notice DEFAULT VALUES")
    for process in ("web", "feed", "execution"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_role(process, "UPDATE approvals_notice SET delivered_at = now()")


@pytest.mark.parametrize("process", ["feed", "delivery"])
def test_feed_and_delivery_cannot_sign_or_permit(as_role, process):
    """What reads hostile input, and what talks to the world, can neither review nor create an execution."""
    for table in ("signature", "review", "execution", "attempt"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_role(process, f"INSERT INTO approvals_{table} DEFAULT VALUES")


def entry(actor, kind, at=None, **more):
    body = {"actor": actor, "at": at or timezone.now().isoformat(), "detail": {}, "kind": kind, "request": None, **more}
    return f"SELECT approvals_audit_append(ARRAY['{json.dumps(body)}'])"


OWN_WORK = {
    "web": ("person:bob", "request.reviewed"),
    "feed": ("process:feed", "request.drafted"),
    "delivery": ("process:delivery", "notification.sent"),
    "execution": ("process:execution", "execution.succeeded"),
    "authority": ("process:authority", "change.applied"),
}


@pytest.mark.parametrize("process", OWN_WORK)
def test_a_process_speaks_of_its_own_work_and_of_now(as_role, process):
    """No role says what another process does, in another's name, of another day, of an unknown kind, or with other fields."""
    actor, kind = OWN_WORK[process]
    forged = [entry(*other) for name, other in OWN_WORK.items() if name != process]
    forged += [entry(actor, "nonsense"), entry(actor, kind, "2020-01-01T00:00:00+00:00"), entry(actor, kind, more=1)]
    for statement in forged:
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.CheckViolation)):
            as_role(process, statement)


def test_every_process_appends_through_the_function_alone(as_role):
    """The function computes the link and notes whose it is; junk is refused."""
    for process, (actor, kind) in OWN_WORK.items():
        as_role(process, entry(actor, kind))
    from approvals import audit

    assert audit.verify().holds
    roles = AuditEntry.objects.order_by("-sequence").values_list("role", flat=True)[:5]
    assert set(roles) == {f"countersign_{process}" for process in OWN_WORK}
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        as_role("web", "SELECT approvals_audit_append(ARRAY['junk'])")
