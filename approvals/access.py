"""What each process's database role may do: the least that its work needs, declared table by table.

Everything not listed is refused by PostgreSQL itself. The web role reads the tables of authority and writes none of them; no role
can write the audit trail but through its function, and none can change or delete what is meant to stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.apps import apps
from django.db import connection
from psycopg import sql

WEB: Final = "countersign_web"
FEED: Final = "countersign_feed"
DELIVERY: Final = "countersign_delivery"
EXECUTION: Final = "countersign_execution"
AUTHORITY: Final = "countersign_authority"
ROLES: Final = (WEB, FEED, DELIVERY, EXECUTION, AUTHORITY)

_READ: Final = "SELECT"
_ADD: Final = "SELECT, INSERT"
# A lock for update needs the right to update something: these columns are the ones that its decisions move.
_REQUEST_MOVES: Final = (
    "state, version, reason, revision_number, target, repeats, draft_until, pending_until, approved_until, ended_at, ended_why, "
    "unconfirmed, break_glass"
)
_AUTHORITY: Final = (
    "approvals.Account",
    "approvals.AuthoritySettings",
    "approvals.Invitation",
    "socialaccount.SocialAccount",
    "approvals.Guardrail",
    "approvals.GuardrailVersion",
    "approvals.GuardrailUserPermission",
    "approvals.GuardrailGroupPermission",
    "approvals.Person",
    "approvals.Login",
    "approvals.Principal",
    "approvals.Passkey",
    "approvals.AuthorityLink",
    "auth.Group",
    "auth.Permission",
    "auth.Group.permissions",
    "contenttypes.ContentType",
    "portal.User",
    "portal.User.groups",
    "portal.User.user_permissions",
)
_OUTBOX_KEPT: Final = "SELECT, INSERT, UPDATE (attempts, due_at, done_at, error)"
_HISTORY: Final = dict.fromkeys(
    (
        "approvals.ApprovalRequest",
        "approvals.Revision",
        "approvals.RevisionGuardrail",
        "approvals.Review",
        "approvals.Signature",
        "approvals.Execution",
        "approvals.Attempt",
        "approvals.Proof",
        "approvals.Observation",
        "approvals.TrailRecord",
        "approvals.Alert",
        "approvals.Comment",
        "approvals.Notice",
        "approvals.AuditEntry",
        "approvals.ChainHead",
    ),
    _READ,
)

GRANTS: Final[Mapping[str, Mapping[str, str]]] = {
    WEB: {
        **dict.fromkeys(_AUTHORITY, _READ),
        **_HISTORY,
        "approvals.QuarantinedMessage": _READ,
        "approvals.FeedBatch": _READ,
        # The requester changes when a person adopts what a bot or nobody asked for.
        "approvals.ApprovalRequest": f"SELECT, INSERT, UPDATE ({_REQUEST_MOVES}, requester_id)",
        "approvals.Revision": _ADD,
        "approvals.RevisionGuardrail": _ADD,
        "approvals.SignatureChallenge": "SELECT, INSERT, UPDATE (consumed_at)",
        "approvals.Signature": _ADD,
        "approvals.Review": _ADD,
        "approvals.Comment": _ADD,
        # A new permission to carry out; never its state, which belongs to the executor.
        "approvals.Execution": _ADD,
        "approvals.Alert": "SELECT, INSERT, UPDATE (closed_at, closed_by_id, closed_why)",
        "approvals.OutboxMessage": _ADD,
        # It proposes changes of authority and collects signatures; whether they are applied is not its to write.
        "approvals.AuthorityChange": "SELECT, INSERT, UPDATE (state, ended_at, ended_why)",
        "approvals.ChangeChallenge": "SELECT, INSERT, UPDATE (consumed_at)",
        "approvals.ChangeSignature": _ADD,
        "approvals.RegistrationChallenge": "SELECT, INSERT, UPDATE (consumed_at)",
        # It seals; what it sealed it knows by the mark. What opens is for the executor's eyes alone.
        "approvals.SealedKey": "SELECT (id, mark, sealed_by_id), INSERT",
        # Sign-in: sessions, factors and single sign-on accounts; of a user only when he last came.
        "portal.User": "SELECT, UPDATE (last_login)",
        "sessions.Session": "SELECT, INSERT, UPDATE, DELETE",
        "account.EmailAddress": _READ,
        "account.EmailConfirmation": _READ,
        "mfa.Authenticator": "SELECT, INSERT, UPDATE, DELETE",
        "socialaccount.SocialAccount": "SELECT, UPDATE (last_login, extra_data)",
        "socialaccount.SocialToken": _READ,
        "socialaccount.SocialApp": _READ,
    },
    FEED: {
        **dict.fromkeys(_AUTHORITY, _READ),
        "approvals.TrailRecord": "SELECT, INSERT, UPDATE (fate, why, request_id, duplicates)",
        "approvals.QuarantinedMessage": _ADD,
        "approvals.FeedBatch": _ADD,
        "approvals.ApprovalRequest": "SELECT, INSERT, UPDATE (repeats)",
        # Whether what was approved is still to be carried out: then a repeat of its call is one.
        "approvals.Execution": "SELECT (id, revision_id, state)",
        "approvals.Revision": _ADD,
        "approvals.RevisionGuardrail": _ADD,
        "approvals.Alert": _ADD,
        "approvals.OutboxMessage": _ADD,
    },
    DELIVERY: {
        **dict.fromkeys(_AUTHORITY, _READ),
        **_HISTORY,
        "approvals.OutboxMessage": _OUTBOX_KEPT,
        "approvals.Notice": "SELECT, UPDATE (delivered_at)",
        "approvals.Proof": _ADD,
        "approvals.TrailRecord": "SELECT, UPDATE (fate, why)",
        "approvals.Alert": _ADD,
        "approvals.AuthorityChange": _READ,
        # Expiry by beat.
        "approvals.ApprovalRequest": "SELECT, UPDATE (state, version, ended_at, ended_why)",
    },
    EXECUTION: {
        **dict.fromkeys(_AUTHORITY, _READ),
        **_HISTORY,
        "approvals.OutboxMessage": _OUTBOX_KEPT,
        "approvals.ApprovalRequest": f"SELECT, UPDATE ({_REQUEST_MOVES})",
        "approvals.Revision": _ADD,
        "approvals.RevisionGuardrail": _ADD,
        "approvals.Execution": "SELECT, UPDATE (state, token, worker, lease_until, claimed_at, ended_at, outcome)",
        "approvals.Attempt": (
            "SELECT, INSERT, UPDATE (state, aws_request_id, answered_at, settled_at, answer, made, error_code, error_message, "
            "may_repeat)"
        ),
        "approvals.Observation": _ADD,
        # Whether somebody has his key in hand: then the plan under it stays as it is.
        "approvals.SignatureChallenge": "SELECT (revision_id, consumed_at, expires_at)",
        # What it read from the signed bytes: no other process can say it in its place.
        "approvals.Notice": _ADD,
        "approvals.SealedKey": "SELECT, UPDATE (wrapped, fingerprint, rewrapped_at)",
        "approvals.Alert": _ADD,
    },
    # The only role that writes authority. It has no AWS credentials, and believes nothing but the signed chain.
    AUTHORITY: {
        **dict.fromkeys(_AUTHORITY, _READ),
        "approvals.AuthorityLink": _ADD,
        # Which link is the newest stands in the trail as well.
        "approvals.AuditEntry": _READ,
        "approvals.AuthoritySettings": "SELECT, INSERT, UPDATE",
        "approvals.Account": "SELECT, INSERT, UPDATE",
        "approvals.Person": "SELECT, INSERT, UPDATE",
        "approvals.Login": "SELECT, INSERT, DELETE",
        "approvals.Principal": "SELECT, INSERT, DELETE",
        "approvals.Passkey": "SELECT, INSERT, DELETE",
        "approvals.Invitation": "SELECT, INSERT, UPDATE, DELETE",
        "approvals.RegistrationChallenge": "SELECT, DELETE",
        "approvals.Guardrail": _ADD,
        "approvals.GuardrailVersion": _ADD,
        "approvals.GuardrailUserPermission": "SELECT, INSERT, DELETE",
        "approvals.GuardrailGroupPermission": "SELECT, INSERT, DELETE",
        "auth.Group": _ADD,
        "portal.User": "SELECT, INSERT, UPDATE (password, is_active, email)",
        "portal.User.groups": "SELECT, INSERT, DELETE",
        "socialaccount.SocialAccount": "SELECT, INSERT, DELETE",
        "approvals.AuthorityChange": "SELECT, UPDATE (state, ended_at, ended_why)",
        "approvals.ChangeSignature": _READ,
        "approvals.OutboxMessage": _OUTBOX_KEPT,
        "approvals.Alert": _ADD,
        "approvals.ApprovalRequest": _READ,
        "approvals.TrailRecord": _READ,
    },
}

# Tables that belong to the owner alone.
OWNERS_ONLY: Final = frozenset(
    {"django_migrations", "django_admin_log", "guardian_userobjectpermission", "guardian_groupobjectpermission"}
)


def table_of(label: str) -> str:
    """The table of `app.Model`, or of a many-to-many field `app.Model.field`."""
    app, model, *through = label.split(".")
    found = apps.get_model(app, model)
    if through:
        return str(found._meta.get_field(through[0]).m2m_db_table())
    return str(found._meta.db_table)


def create_roles() -> list[str]:
    """Create the roles that are missing, without the right to sign in; return their names."""
    made = []
    with connection.cursor() as cursor:
        for role in ROLES:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
            if cursor.fetchone() is None:
                cursor.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
                made.append(role)
    return made


def apply_grants() -> None:
    """Take every right on this database's tables from the roles and from PUBLIC, then give what is declared. Safe to repeat."""
    with connection.cursor() as cursor:
        schema = sql.SQL("SCHEMA public")
        cursor.execute(sql.SQL("REVOKE ALL ON ALL TABLES IN {} FROM PUBLIC").format(schema))
        cursor.execute(sql.SQL("REVOKE CREATE ON {} FROM PUBLIC").format(schema))
        cursor.execute(sql.SQL("REVOKE ALL ON FUNCTION approvals_audit_append(text[]) FROM PUBLIC"))
        for role in ROLES:
            name = sql.Identifier(role)
            cursor.execute(sql.SQL("REVOKE ALL ON ALL TABLES IN {} FROM {}").format(schema, name))
            cursor.execute(sql.SQL("REVOKE ALL ON ALL SEQUENCES IN {} FROM {}").format(schema, name))
            cursor.execute(sql.SQL("GRANT USAGE ON {} TO {}").format(schema, name))
            cursor.execute(sql.SQL("GRANT EXECUTE ON FUNCTION approvals_audit_append(text[]) TO {}").format(name))
            for label, rights in GRANTS[role].items():
                table = table_of(label)
                cursor.execute(sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(rights), sql.Identifier(table), name))
                if "INSERT" in rights:
                    _grant_sequence(cursor, table, name)


def _grant_sequence(cursor: object, table: str, role: sql.Identifier) -> None:
    cursor.execute(  # type: ignore[attr-defined]
        "SELECT pg_get_serial_sequence(%s, a.attname) FROM pg_attribute a WHERE a.attrelid = %s::regclass AND a.attname = 'id'",
        [table, table],
    )
    row = cursor.fetchone()  # type: ignore[attr-defined]
    if row and row[0]:
        schema, _, name = row[0].partition(".")
        cursor.execute(  # type: ignore[attr-defined]
            sql.SQL("GRANT USAGE ON SEQUENCE {} TO {}").format(sql.Identifier(schema, name.strip('"')), role)
        )
