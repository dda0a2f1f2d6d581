"""The genesis manifest: where authority begins. Read strictly, written once, sealed as link 0 of the chain.

A manifest is YAML: accounts, persons with their logins, principals and passkeys, groups, guardrails, grants. Every field that is
not known is refused, so that a misspelt one cannot be silently ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.utils import timezone
from fido2.utils import websafe_decode

from approvals import audit, canonical
from approvals.authority import link_hash, state_of_tables
from approvals.errors import AlreadySealed, BadGuardrail, BadManifest
from approvals.models import (
    Account,
    AuditKind,
    AuthorityLink,
    Guardrail,
    GuardrailGroupPermission,
    GuardrailUserPermission,
    GuardrailVersion,
    Login,
    Passkey,
    Person,
    Principal,
)
from approvals.permissions import REVIEW
from approvals.policies import Mode, Rules, marked, reach, rules_from
from approvals.policies.marked import BadYaml, Marked
from approvals.policies.reading import dotted
from approvals.signatures import cose_key

SCHEMA: Final = "countersign/genesis/1"
LEAST_ADMINISTRATORS: Final = 3
_HANDLE: Final = re.compile(r"[a-z][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that was read and found consistent. Rows are as in the file; rules are parsed."""

    accounts: tuple[dict[str, Any], ...]
    persons: tuple[dict[str, Any], ...]
    groups: dict[str, tuple[str, ...]]
    guardrails: tuple[Rules, ...]
    grants: tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sealed:
    """What `seal` did: the genesis hash to pin in the executor's configuration, and the persons who have no passkey yet."""

    hash: str
    without_passkey: tuple[str, ...]


def read(text: str) -> Manifest:
    """Read a manifest. Raises BadManifest naming the field, or the line that is no YAML."""
    try:
        marks = marked.load(text)
    except BadYaml as error:
        raise BadManifest(
            f"Line {error.line} of the manifest{f', {dotted(error.path)},' if error.path else ''} {error}."
        ) from error
    found = marks.value
    root = _fields(found, "the manifest", {"schema", "accounts", "persons", "guardrails"}, {"groups", "grants"})
    if root["schema"] != SCHEMA:
        raise BadManifest(f"The manifest says schema {root['schema']!r}; this program reads {SCHEMA!r}.")
    persons = tuple(_person(item, index) for index, item in enumerate(_list(root, "persons")))
    handles = [person["handle"] for person in persons]
    _once(handles, "person")
    groups = _groups(root.get("groups", {}), set(handles))
    guardrails = tuple(_guardrail(item, index, marks) for index, item in enumerate(_list(root, "guardrails")))
    _once([rules.name for rules in guardrails], "guardrail")
    accounts = tuple(_account(item, index) for index, item in enumerate(_list(root, "accounts")))
    _once([account["id"] for account in accounts], "account")
    grants = tuple(
        _grant(item, index, {r.name for r in guardrails}, set(handles), groups)
        for index, item in enumerate(root.get("grants", []))
    )
    manifest = Manifest(accounts, persons, groups, guardrails, grants)
    _consistent(manifest)
    return manifest


def seal(manifest: Manifest) -> Sealed:
    """Write the manifest's authority and link 0 of the chain, once. Raises AlreadySealed."""
    with audit.recorded() as trail:
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE approvals_authoritylink IN EXCLUSIVE MODE")
        if AuthorityLink.objects.exists():
            raise AlreadySealed("This installation was bootstrapped already. From now on nobody changes authority alone.")
        for account in manifest.accounts:
            Account.objects.create(**account)
        users = {person["handle"]: _write_person(person) for person in manifest.persons}
        for name, members in manifest.groups.items():
            group = Group.objects.create(name=name)
            group.user_set.set([users[handle] for handle in members])
        _write_guardrails(manifest, users)
        state = state_of_tables()
        link = AuthorityLink.objects.create(number=0, state=state, hash=link_hash(0, "", state), created_at=timezone.now())
        trail.add(AuditKind.GENESIS, actor="process:bootstrap", hash=link.hash, persons=sorted(users))
    return Sealed(link.hash, tuple(person["handle"] for person in manifest.persons if not person["passkeys"] and person["human"]))


def _guardrail(item: Any, index: int, marks: Marked) -> Rules:
    try:
        return rules_from(item)
    except BadGuardrail as error:
        raise BadManifest(f"Line {marks.line(('guardrails', index, *error.path))}: {error}") from error


def _fields(found: Any, where: str, needed: set[str], optional: set[str]) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise BadManifest(f"{where[:1].upper()}{where[1:]} is an object with {', '.join(sorted(needed))}.")
    if missing := needed - found.keys():
        raise BadManifest(f"{where[:1].upper()}{where[1:]} lacks {', '.join(sorted(missing))}.")
    if unknown := found.keys() - needed - optional:
        raise BadManifest(f"{where[:1].upper()}{where[1:]} has an unknown field: {', '.join(sorted(map(str, unknown)))}.")
    return found


def _list(found: dict[str, Any], key: str) -> list[Any]:
    value = found[key]
    if not isinstance(value, list) or not value:
        raise BadManifest(f"The manifest's {key} is a list of at least one.")
    return value


def _once(names: list[str], what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise BadManifest(f"The {what} {name} occurs twice.")


def _account(item: Any, index: int) -> dict[str, Any]:
    needed = {"id", "alias", "regions", "executor_role_arn", "external_id"}
    found = dict(_fields(item, f"account {index + 1}", needed, {"partition", "environment"}))
    if not isinstance(found["id"], str) or not re.fullmatch(r"\d{12}", found["id"]):
        raise BadManifest(f"Account {index + 1}: the id is 12 digits in quotes.")
    if not isinstance(found["regions"], list) or not found["regions"]:
        raise BadManifest(f"Account {found['id']}: regions is a list of at least one.")
    if not re.fullmatch(rf"arn:[\w-]+:iam::{found['id']}:role/\S+", str(found["executor_role_arn"])):
        raise BadManifest(f"Account {found['id']}: executor_role_arn is the ARN of a role in this account.")
    found.setdefault("partition", "aws")
    found.setdefault("environment", "")
    return found


def _person(item: Any, index: int) -> dict[str, Any]:
    optional = {"id", "email", "human", "administrator", "auditor", "principals", "passkeys", "single_sign_on"}
    found = dict(_fields(item, f"person {index + 1}", {"handle", "name"}, optional))
    if not isinstance(found["handle"], str) or not _HANDLE.fullmatch(found["handle"]):
        raise BadManifest(f"Person {index + 1}: the handle is lower-case letters, digits, dots and dashes.")
    for flag, usual in (("human", True), ("administrator", False), ("auditor", False)):
        if not isinstance(found.setdefault(flag, usual), bool):
            raise BadManifest(f"Person {found['handle']}: {flag} is true or false.")
    found["id"] = _uuid(found.get("id"), found["handle"])
    found["principals"] = [_principal(text, found["handle"]) for text in found.get("principals", [])]
    found["passkeys"] = [_passkey(key, found["handle"]) for key in found.get("passkeys", [])]
    if "single_sign_on" in found:
        subject = _fields(found["single_sign_on"], f"person {found['handle']}'s single_sign_on", {"provider", "subject"}, set())
        if not all(isinstance(value, str) and value for value in subject.values()):
            raise BadManifest(
                f"Person {found['handle']}: provider and subject of single_sign_on are texts; write them in quotes."
            )
    return found


def _uuid(value: Any, handle: str) -> UUID:
    if value is None:
        return uuid4()
    try:
        return UUID(str(value))
    except ValueError as error:
        raise BadManifest(f"Person {handle}: the id is a UUID.") from error


def _principal(text: Any, handle: str) -> tuple[str, str]:
    kind, _, value = str(text).partition(":")
    if kind not in Principal.Kind.values or not value:
        raise BadManifest(
            f"Person {handle}: a principal is written kind:value with a kind of {', '.join(Principal.Kind.values)}."
        )
    if kind == Principal.Kind.IAM_USER and not re.fullmatch(r"arn:[\w-]+:iam::\d{12}:user/\S+", value):
        raise BadManifest(f"Person {handle}: {value} is no IAM user's ARN.")
    return kind, value


def _passkey(key: Any, handle: str) -> dict[str, str]:
    found = _fields(key, f"person {handle}'s passkey", {"credential_id", "public_key"}, {"label"})
    try:
        cose_key(websafe_decode(found["public_key"]))
        websafe_decode(found["credential_id"])
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise BadManifest(
            f"Person {handle}: the passkey cannot be read. Copy both texts as the portal's passkey page shows them."
        ) from error
    return {
        "credential_id": found["credential_id"],
        "public_key": found["public_key"],
        "label": str(found.get("label", "passkey")),
    }


def _groups(found: Any, handles: set[str]) -> dict[str, tuple[str, ...]]:
    if not isinstance(found, dict):
        raise BadManifest("The manifest's groups map a name to a list of handles.")
    groups = {str(name): tuple(members or ()) for name, members in found.items()}
    for name, members in groups.items():
        if stranger := set(members) - handles:
            raise BadManifest(f"Group {name}: {', '.join(sorted(map(str, stranger)))} is no person of this manifest.")
    return groups


def _grant(item: Any, index: int, guardrails: set[str], handles: set[str], groups: dict[str, tuple[str, ...]]) -> dict[str, str]:
    found = _fields(item, f"grant {index + 1}", {"guardrail"}, {"person", "group"})
    if found["guardrail"] not in guardrails:
        raise BadManifest(f"Grant {index + 1}: there is no guardrail {found['guardrail']!r}.")
    if ("person" in found) == ("group" in found):
        raise BadManifest(f"Grant {index + 1}: name one person or one group.")
    if "person" in found and found["person"] not in handles:
        raise BadManifest(f"Grant {index + 1}: there is no person {found['person']!r}.")
    if "group" in found and found["group"] not in groups:
        raise BadManifest(f"Grant {index + 1}: there is no group {found['group']!r}.")
    return found


def _consistent(manifest: Manifest) -> None:
    administrators = [person for person in manifest.persons if person["administrator"] and person["human"]]
    if len(administrators) < LEAST_ADMINISTRATORS:
        raise BadManifest(
            f"The manifest has {len(administrators)} administrators; at least {LEAST_ADMINISTRATORS} persons are needed, so that "
            "a lost key does not lock everybody out."
        )
    _once([f"{kind}:{value}" for person in manifest.persons for kind, value in person["principals"]], "principal")
    _once([key["credential_id"] for person in manifest.persons for key in person["passkeys"]], "passkey")
    _once([account["alias"] for account in manifest.accounts], "account alias")
    signs_on = [person["single_sign_on"] for person in manifest.persons if "single_sign_on" in person]
    _once([f"{one['provider']}:{one['subject']}" for one in signs_on], "single sign-on subject")
    humans = {person["handle"] for person in manifest.persons if person["human"]}
    for rules in manifest.guardrails:
        if rules.mode is Mode.OBSERVE:
            continue
        voters = {
            handle
            for grant in manifest.grants
            if grant["guardrail"] == rules.name
            for handle in ([grant["person"]] if "person" in grant else manifest.groups[grant["group"]])
        } & humans
        holders = {handle: frozenset(name for name, members in manifest.groups.items() if handle in members) for handle in voters}
        if lacking := reach.never(rules, holders, humans):
            raise BadManifest(f"Guardrail {rules.name} {lacking}.")
        if strange := sorted({name for name, _ in rules.groups} - manifest.groups.keys()):
            raise BadManifest(f"Guardrail {rules.name}: there is no group {strange[0]!r}.")


def _write_person(person: dict[str, Any]) -> Any:
    row = Person.objects.create(
        id=person["id"],
        handle=person["handle"],
        name=person["name"],
        email=person.get("email", ""),
        is_human=person["human"],
        is_administrator=person["administrator"],
        is_auditor=person["auditor"],
    )
    user = get_user_model().objects.create_user(
        person["handle"], person.get("email") or None, None, first_name=person["name"][:150], is_staff=person["human"]
    )
    Login.objects.create(user=user, person=row)
    if sign_on := person.get("single_sign_on"):
        # By name: this room judges and knows no sign-in library.
        account = apps.get_model("socialaccount", "SocialAccount")
        account._default_manager.create(user=user, provider=sign_on["provider"], uid=sign_on["subject"], extra_data={})
    for kind, value in person["principals"]:
        Principal.objects.create(person=row, kind=kind, value=value)
    for key in person["passkeys"]:
        Passkey.objects.create(person=row, **key)
    return user


def _write_guardrails(manifest: Manifest, users: dict[str, Any]) -> None:
    permission = Permission.objects.get(content_type__app_label="approvals", codename=REVIEW)
    rows = {}
    for rules in manifest.guardrails:
        rows[rules.name] = Guardrail.objects.create(name=rules.name)
        text = rules.text()
        GuardrailVersion.objects.create(guardrail=rows[rules.name], number=1, text=text, hash=canonical.digest(text))
    for grant in manifest.grants:
        guardrail = rows[grant["guardrail"]]
        if "person" in grant:
            GuardrailUserPermission.objects.create(user=users[grant["person"]], permission=permission, content_object=guardrail)
        else:
            group = Group.objects.get(name=grant["group"])
            GuardrailGroupPermission.objects.create(group=group, permission=permission, content_object=guardrail)
