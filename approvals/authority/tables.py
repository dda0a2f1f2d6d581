"""The tables of authority: read as one state, written to be one; by the owner at genesis, by the authority process later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import connection, models

from approvals.authority.state import SCHEMA, Document, moment_of, text_of, text_of_moment
from approvals.models import (
    Account,
    AuthoritySettings,
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
from approvals.permissions import REVIEW

_Row = TypeVar("_Row", bound=models.Model)


def state_of_tables() -> str:
    """The canonical text of what the tables of authority say now."""
    return text_of(document_of_tables())


def document_of_tables() -> Document:
    """What the tables of authority say now. A dozen queries, whatever the number of rows."""
    return {
        "schema": SCHEMA,
        "settings": _settings(),
        "accounts": [_account(account) for account in Account.objects.all()],
        "persons": _persons(),
        "groups": {
            group.name: [user.get_username() for user in group.user_set.all()]
            for group in Group.objects.prefetch_related("user_set")
        },
        "grants": _grants(),
        "guardrails": [
            {"name": version.guardrail.name, "number": version.number, "hash": version.hash, "text": version.text}
            for version in GuardrailVersion.objects.select_related("guardrail")
        ],
        "invitations": [
            {"id": str(one.pk), "person": str(one.person_id), "until": text_of_moment(one.until), "codes": one.codes}
            for one in Invitation.objects.all()
        ],
    }


def fingerprint() -> tuple[str, ...]:
    """A SHA-256 over all rows of each table that `state_of_tables` reads: while it is the same, so is that state. One query.

    It may differ where the state does not (whoever signs in leaves the moment behind), never the other way round.
    """
    with connection.cursor() as cursor:
        cursor.execute(_fingerprint_of(tuple(_read_from())))
        return tuple(found for (found,) in cursor.fetchall())


@cache
def _fingerprint_of(tables: tuple[tuple[str, str], ...]) -> str:
    # Every function by its full name: a schema that the owner of the database puts in front hides none of them.
    row = "pg_catalog.row_to_json(t)::pg_catalog.text"
    joined = f"pg_catalog.string_agg({row}, ',' ORDER BY {row} COLLATE \"C\")"
    each = f"pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(coalesce({joined}, ''), 'UTF8')), 'hex')"
    # Of names that Django quoted, and of nothing else. Columns by name: one more, called `t`, would stand for the whole row.
    parts = [
        f"SELECT {number} AS number, {each} AS found FROM (SELECT {columns} FROM {name}) t"  # noqa: S608
        for number, (name, columns) in enumerate(tables)
    ]
    return f"SELECT found FROM ({' UNION ALL '.join(parts)}) every ORDER BY number"  # noqa: S608


def _read_from() -> Iterator[tuple[str, str]]:
    """The quoted name and columns of every table that the functions under "reading" look at."""
    users = get_user_model()
    found: tuple[type[models.Model], ...] = (
        AuthoritySettings,
        Account,
        Person,
        Login,
        Principal,
        Passkey,
        Group,
        Permission,
        Guardrail,
        GuardrailVersion,
        GuardrailUserPermission,
        GuardrailGroupPermission,
        Invitation,
        users,
        users.groups.through,
        apps.get_model("socialaccount", "SocialAccount"),
    )
    quoted = connection.ops.quote_name
    for one in found:
        yield quoted(one._meta.db_table), ", ".join(quoted(str(field.column)) for field in one._meta.concrete_fields)


def write(old: Document, new: Document) -> None:
    """Change the rows that differ between two states. What the tables say besides is not looked at: compare afterwards."""
    if old["settings"] != new["settings"]:
        _written(AuthoritySettings, 1, new["settings"])
    for row in _changed(old["accounts"], new["accounts"]):
        _written(Account, row["id"], {name: row[name] for name in _ACCOUNT})
    known = {row["id"]: row for row in old["persons"]}
    changed = [(known.get(row["id"], _NOBODY), row) for row in _changed(old["persons"], new["persons"])]
    # All is taken away before anything is given: a login, key or principal may pass from one person to another in one change.
    for was, row in changed:
        _write_what_is_gone(was, row)
    for was, row in changed:
        _write_person(was, row)
    _write_groups(old["groups"], new["groups"])
    for row in _changed(old["guardrails"], new["guardrails"]):
        guardrail, _ = Guardrail.objects.get_or_create(name=row["name"])
        GuardrailVersion.objects.create(guardrail=guardrail, number=row["number"], text=row["text"], hash=row["hash"])
    _write_grants(old["grants"], new["grants"])
    kept = [row["id"] for row in new["invitations"]]
    Invitation.objects.exclude(pk__in=kept).delete()
    for row in _changed(old["invitations"], new["invitations"]):
        until = datetime.fromisoformat(row["until"])
        _written(Invitation, row["id"], {"person_id": row["person"], "until": until, "codes": row["codes"]})


# --- reading --------------------------------------------------------------------------------------------------------------

_ACCOUNT = ("alias", "partition", "regions", "executor_role_arn", "external_id", "environment", "tags")
_PERSON = {
    "handle": "handle",
    "name": "name",
    "email": "email",
    "human": "is_human",
    "active": "is_active",
    "administrator": "is_administrator",
    "auditor": "is_auditor",
}
_NOBODY: Document = {"logins": [], "sign_on": [], "principals": [], "passkeys": []}


def _settings() -> dict[str, Any]:
    row = AuthoritySettings.objects.filter(pk=1).first() or AuthoritySettings()
    return {"signers": row.signers, "checkpoint_bucket": row.checkpoint_bucket, "checkpoint_every": row.checkpoint_every}


def _account(account: Account) -> dict[str, Any]:
    return {"id": account.pk, **{name: getattr(account, name) for name in _ACCOUNT}}


def _persons() -> list[dict[str, Any]]:
    # By name: this room judges and knows no sign-in library.
    sign_on: dict[int, list[Any]] = {}
    for row in apps.get_model("socialaccount", "SocialAccount")._default_manager.all():
        sign_on.setdefault(row.user_id, []).append(row)
    found = Person.objects.prefetch_related("logins__user", "principals", "passkeys")
    return [_person(person, sign_on) for person in found]


def _person(person: Person, sign_on: Mapping[int, list[Any]]) -> dict[str, Any]:
    users = [login.user for login in person.logins.all()]
    return {
        "id": str(person.pk),
        **{name: getattr(person, column) for name, column in _PERSON.items()},
        "logins": [user.get_username() for user in users],
        "sign_on": [
            {"login": user.get_username(), "provider": row.provider, "subject": row.uid}
            for user in users
            for row in sign_on.get(user.pk, ())
        ],
        "principals": [{"kind": one.kind, "value": one.value, "precedence": one.precedence} for one in person.principals.all()],
        "passkeys": [
            {"credential_id": key.credential_id, "public_key": key.public_key, "label": key.label}
            for key in person.passkeys.all()
        ],
    }


def _grants() -> list[dict[str, Any]]:
    users = GuardrailUserPermission.objects.filter(permission__codename=REVIEW).select_related("user", "content_object")
    groups = GuardrailGroupPermission.objects.filter(permission__codename=REVIEW).select_related("group", "content_object")
    found = [
        {
            **_dates(grant),
            "login": grant.user.get_username(),
            "delegated_by": str(grant.delegated_by_id) if grant.delegated_by_id else None,
        }
        for grant in users
    ]
    return found + [{**_dates(grant), "group": grant.group.name, "delegated_by": None} for grant in groups]


def _dates(grant: GuardrailUserPermission | GuardrailGroupPermission) -> dict[str, Any]:
    return {
        "guardrail": grant.content_object.name,
        "starts": text_of_moment(grant.starts_at),
        "ends": text_of_moment(grant.ends_at),
    }


# --- writing --------------------------------------------------------------------------------------------------------------


def _changed(old: list[Any], new: list[Any]) -> list[Any]:
    return [row for row in new if row not in old]


def _written(model: type[_Row], pk: Any, values: Mapping[str, Any]) -> _Row:
    """The row of this key with these values, made where it is not there.

    Not `update_or_create`, which locks the row against foreign keys: a signature holds the trail's head when it wants its person.
    """
    rows = model._default_manager.filter(pk=pk)
    return rows.get() if rows.update(**values) else model._default_manager.create(pk=pk, **values)


def _write_person(old: Document, new: Document) -> None:
    person = _written(Person, UUID(new["id"]), {column: new[name] for name, column in _PERSON.items()})
    users = get_user_model()
    for name in _changed(old["logins"], new["logins"]):
        user, _ = users.objects.get_or_create(username=name, defaults={"is_staff": new["human"], "first_name": new["name"][:150]})
        # Whoever had the login before keeps neither his password nor, with it, a session that is still open.
        user.set_unusable_password()
        user.is_active, user.email = True, new["email"]
        user.save(update_fields=["password", "is_active", "email"])
        Login.objects.create(user=user, person=person)
    for row in _changed(old["sign_on"], new["sign_on"]):
        user = users.objects.get(username=row["login"])
        _sign_ons().create(user=user, provider=row["provider"], uid=row["subject"], extra_data={})
    for row in _changed(old["principals"], new["principals"]):
        Principal.objects.create(person=person, **row)
    for row in _changed(old["passkeys"], new["passkeys"]):
        Passkey.objects.create(person=person, **row)


def _write_what_is_gone(old: Document, new: Document) -> None:
    person = UUID(new["id"])
    for name in _changed(new["logins"], old["logins"]):
        Login.objects.filter(user__username=name, person=person).delete()
        get_user_model().objects.filter(username=name).update(is_active=False)
    for row in _changed(new["sign_on"], old["sign_on"]):
        # Raw, because Django would look for what hangs on it in tables that the authority process has no business with.
        found = _sign_ons().filter(user__username=row["login"], provider=row["provider"], uid=row["subject"])
        found._raw_delete(found.db)
    for row in _changed(new["principals"], old["principals"]):
        Principal.objects.filter(person=person, kind=row["kind"], value=row["value"]).delete()
    for row in _changed(new["passkeys"], old["passkeys"]):
        Passkey.objects.filter(person=person, credential_id=row["credential_id"]).delete()


def _sign_ons() -> Any:
    return apps.get_model("socialaccount", "SocialAccount")._default_manager


def _write_groups(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    for name, members in new.items():
        if old.get(name) != members:
            group, _ = Group.objects.get_or_create(name=name)
            group.user_set.set(get_user_model().objects.filter(username__in=members))


def _write_grants(old: list[Any], new: list[Any]) -> None:
    permission = Permission.objects.get(content_type__app_label="approvals", codename=REVIEW)
    for row in _changed(new, old):
        if row.get("login"):
            GuardrailUserPermission.objects.filter(
                user__username=row["login"],
                content_object__name=row["guardrail"],
                permission=permission,
                delegated_by=row["delegated_by"],
            ).delete()
        else:
            GuardrailGroupPermission.objects.filter(
                group__name=row["group"], content_object__name=row["guardrail"], permission=permission
            ).delete()
    for row in _changed(old, new):
        dates = {"starts_at": moment_of(row["starts"]), "ends_at": moment_of(row["ends"]), "permission": permission}
        guardrail = Guardrail.objects.get(name=row["guardrail"])
        if row.get("login"):
            user = get_user_model().objects.get(username=row["login"])
            GuardrailUserPermission.objects.create(
                user=user, content_object=guardrail, delegated_by_id=row["delegated_by"], **dates
            )
        else:
            group = Group.objects.get(name=row["group"])
            GuardrailGroupPermission.objects.create(group=group, content_object=guardrail, **dates)
