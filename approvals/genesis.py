"""The genesis manifest: where authority begins. Read strictly, written once, sealed as link 0 of the chain.

A manifest is YAML: accounts, persons with their logins, principals and passkeys, groups, guardrails, grants. Every field that is
not known is refused, so that a misspelt one cannot be silently ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

from django.db import connection
from django.utils import timezone
from fido2.utils import websafe_decode

from approvals import audit, canonical
from approvals.authority import codes, link_hash, soundness, state, tables
from approvals.authority.soundness import LEAST_ADMINISTRATORS
from approvals.errors import AlreadySealed, BadChange, BadGuardrail, BadManifest
from approvals.models import AuditKind, AuthorityLink, Principal
from approvals.policies import Rules, marked, rules_from
from approvals.policies.marked import BadYaml
from approvals.policies.reading import dotted
from approvals.policies.shapes import Path
from approvals.signatures import cose_key

SCHEMA: Final = "countersign/genesis/1"
# A change of authority takes as many administrators at least.
LEAST_SIGNERS: Final = 2
# How long the enrolment links that `bootstrap` prints are good.
INVITED_FOR: Final = timedelta(days=14)
_Row = TypeVar("_Row")
_HANDLE: Final = re.compile(r"[a-z][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that was read and found consistent. Rows are as in the file; rules are parsed."""

    accounts: tuple[dict[str, Any], ...]
    persons: tuple[dict[str, Any], ...]
    groups: dict[str, tuple[str, ...]]
    guardrails: tuple[Rules, ...]
    grants: tuple[dict[str, str], ...]
    settings: dict[str, int]


@dataclass(frozen=True, slots=True)
class Invited:
    """An enrolment link of somebody who has no passkey yet. `code` opens it once; it is stored nowhere."""

    handle: str
    id: UUID
    code: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Sealed:
    """What `seal` did: the hash to pin in the executor's configuration, who has no passkey yet, and their enrolment links."""

    hash: str
    without_passkey: tuple[str, ...]
    invited: tuple[Invited, ...] = ()


def read(text: str) -> Manifest:
    """Read a manifest. Raises BadManifest naming line and field, where it is one field that is wrong."""
    try:
        marks = marked.load(text)
    except BadYaml as error:
        raise BadManifest(
            f"Line {error.line} of the manifest{f', {dotted(error.path)},' if error.path else ''} {error}."
        ) from error
    try:
        return _manifest(marks.value)
    except BadManifest as error:
        place = f"Line {marks.line(error.path)}, {dotted(error.path)}: " if error.path else ""
        raise BadManifest(f"{place}{error}", path=error.path) from error


def _manifest(found: Any) -> Manifest:
    root = _fields(found, "the manifest", {"schema", "accounts", "persons", "guardrails"}, {"groups", "grants", "settings"})
    if root["schema"] != SCHEMA:
        raise BadManifest(f"The manifest says schema {root['schema']!r}; this program reads {SCHEMA!r}.", path=("schema",))
    persons = _each(root, "persons", _person)
    handles = [person["handle"] for person in persons]
    _once(handles, "person", ("persons",))
    with _inside("groups"):
        groups = _groups(root.get("groups", {}), set(handles))
    guardrails = _each(root, "guardrails", _guardrail)
    names = [rules.name for rules in guardrails]
    _once(names, "guardrail", ("guardrails",))
    accounts = _each(root, "accounts", _account)
    _once([account["id"] for account in accounts], "account", ("accounts",))
    grants = _each(root, "grants", partial(_grant, guardrails=set(names), handles=set(handles), groups=groups), least=0)
    with _inside("settings"):
        settings = _settings(root.get("settings", {}))
    manifest = Manifest(accounts, persons, groups, guardrails, grants, settings)
    _consistent(manifest)
    return manifest


@contextmanager
def _inside(*path: str | int) -> Iterator[None]:
    """Whatever is wrong in here is wrong at this path."""
    try:
        yield
    except BadManifest as error:
        raise BadManifest(str(error), path=(*path, *error.path)) from error


def _each(found: dict[str, Any], key: str, read_one: Callable[[Any, int], _Row], *, least: int = 1) -> tuple[_Row, ...]:
    """Every item of a list, read."""
    rows = []
    for index, item in enumerate(_list(found, key, least=least)):
        with _inside(key, index):
            rows.append(read_one(item, index))
    return tuple(rows)


def seal(manifest: Manifest, *, now: datetime | None = None) -> Sealed:
    """Write the manifest's authority and link 0 of the chain, once. Raises AlreadySealed.

    Every human without a passkey gets an invitation: the codes are returned, and only their fingerprints are stored.
    """
    now = now or timezone.now()
    made = [
        Invited(person["handle"], uuid4(), codes.new_code(), now + INVITED_FOR)
        for person in manifest.persons
        if person["human"] and not person["passkeys"]
    ]
    with audit.recorded() as trail:
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE approvals_authoritylink IN EXCLUSIVE MODE")
        if AuthorityLink.objects.exists():
            raise AlreadySealed("This installation was bootstrapped already. From now on nobody changes authority alone.")
        document = document_of(manifest, made)
        tables.write(_EMPTY, document)
        text = state.text_of(document)
        if tables.state_of_tables() != text:
            raise BadManifest("The tables of authority hold rows that no manifest put there. Begin with an empty database.")
        link = AuthorityLink.objects.create(number=0, state=text, hash=link_hash(0, "", text), created_at=now)
        handles = sorted(person["handle"] for person in manifest.persons)
        trail.add(AuditKind.GENESIS, actor="process:bootstrap", hash=link.hash, persons=handles)
    return Sealed(link.hash, tuple(one.handle for one in made), tuple(made))


def document_of(manifest: Manifest, invited: Sequence[Invited] = ()) -> state.Document:
    """The state of authority that a manifest says."""
    ids = {person["handle"]: str(person["id"]) for person in manifest.persons}
    return {
        "schema": state.SCHEMA,
        "settings": {"checkpoint_bucket": "", "checkpoint_every": 3600, **manifest.settings},
        "accounts": [{**account, "tags": account.get("tags", {})} for account in manifest.accounts],
        "persons": [_person_row(person) for person in manifest.persons],
        "groups": {name: list(members) for name, members in manifest.groups.items()},
        "grants": [
            {
                "guardrail": grant["guardrail"],
                **({"login": grant["person"]} if "person" in grant else {"group": grant["group"]}),
                "starts": None,
                "ends": None,
                "delegated_by": None,
            }
            for grant in manifest.grants
        ],
        "guardrails": [
            {"name": rules.name, "number": 1, "hash": canonical.digest(rules.text()), "text": rules.text()}
            for rules in manifest.guardrails
        ],
        "invitations": [
            {
                "id": str(one.id),
                "person": ids[one.handle],
                "until": state.text_of_moment(one.until),
                "codes": [codes.fingerprint(one.code).hex()],
            }
            for one in invited
        ],
    }


def _person_row(person: dict[str, Any]) -> dict[str, Any]:
    sign_on = person.get("single_sign_on")
    return {
        "id": str(person["id"]),
        "handle": person["handle"],
        "name": person["name"],
        "email": person.get("email", ""),
        "human": person["human"],
        "active": True,
        "administrator": person["administrator"],
        "auditor": person["auditor"],
        "logins": [person["handle"]],
        "sign_on": [{"login": person["handle"], **sign_on}] if sign_on else [],
        "principals": person["principals"],
        "passkeys": person["passkeys"],
    }


_EMPTY: Final[state.Document] = {
    "settings": {},
    "accounts": [],
    "persons": [],
    "groups": {},
    "grants": [],
    "guardrails": [],
    "invitations": [],
}


def _guardrail(item: Any, index: int) -> Rules:
    try:
        return rules_from(item)
    except BadGuardrail as error:
        raise BadManifest(str(error), path=error.path) from error


def _fields(found: Any, where: str, needed: set[str], optional: set[str]) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise BadManifest(f"{where[:1].upper()}{where[1:]} is an object with {', '.join(sorted(needed))}.")
    if missing := needed - found.keys():
        raise BadManifest(f"{where[:1].upper()}{where[1:]} lacks {', '.join(sorted(missing))}.")
    if unknown := sorted(found.keys() - needed - optional):
        raise BadManifest(f"{where[:1].upper()}{where[1:]} has an unknown field: {', '.join(unknown)}.", path=(unknown[0],))
    return found


def _list(found: dict[str, Any], key: str, *, least: int = 0) -> list[Any]:
    value = found.get(key, [])
    if not isinstance(value, list) or len(value) < least:
        raise BadManifest(f"{key} is a list{' of at least one' if least else ''}.", path=(key,))
    return value


def _text(found: dict[str, Any], key: str, *, empty: bool = False) -> str:
    value = found.get(key, "")
    if not isinstance(value, str) or not (value or empty):
        raise BadManifest(f"{key} is a text; write it in quotes.", path=(key,))
    return value


def _once(names: list[str], what: str, path: Path) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise BadManifest(f"The {what} {name} occurs twice.", path=(*path, index))


def _account(item: Any, index: int) -> dict[str, Any]:
    needed = {"id", "alias", "regions", "executor_role_arn", "external_id"}
    found = dict(_fields(item, f"account {index + 1}", needed, {"partition", "environment", "tags"}))
    if not isinstance(found["id"], str) or not re.fullmatch(r"\d{12}", found["id"]):
        raise BadManifest(f"Account {index + 1}: the id is 12 digits in quotes.", path=("id",))
    if not all(isinstance(region, str) and region for region in _list(found, "regions", least=1)):
        raise BadManifest(f"Account {found['id']}: regions are texts.", path=("regions",))
    for name in ("alias", "external_id"):
        _text(found, name)
    if not re.fullmatch(rf"arn:[\w-]+:iam::{found['id']}:role/\S+", str(found["executor_role_arn"])):
        raise BadManifest(
            f"Account {found['id']}: executor_role_arn is the ARN of a role in this account.", path=("executor_role_arn",)
        )
    found.setdefault("partition", "aws")
    found.setdefault("environment", "")
    _text(found, "partition")
    _text(found, "environment", empty=True)
    tags = found.setdefault("tags", {})
    if not isinstance(tags, dict) or not all(isinstance(text, str) and text for pair in tags.items() for text in pair):
        raise BadManifest(f"Account {found['id']}: tags map texts to texts.", path=("tags",))
    return found


def _person(item: Any, index: int) -> dict[str, Any]:
    optional = {"id", "email", "human", "administrator", "auditor", "principals", "passkeys", "single_sign_on"}
    found = dict(_fields(item, f"person {index + 1}", {"handle", "name"}, optional))
    if not isinstance(found["handle"], str) or not _HANDLE.fullmatch(found["handle"]):
        raise BadManifest(f"Person {index + 1}: the handle is lower-case letters, digits, dots and dashes.", path=("handle",))
    _text(found, "name")
    _text(found, "email", empty=True)
    for flag, usual in (("human", True), ("administrator", False), ("auditor", False)):
        if not isinstance(found.setdefault(flag, usual), bool):
            raise BadManifest(f"Person {found['handle']}: {flag} is true or false.", path=(flag,))
    found["id"] = _uuid(found.get("id"), found["handle"])
    found["principals"] = list(_each(found, "principals", lambda item, _: _principal(item, found["handle"]), least=0))
    found["passkeys"] = list(_each(found, "passkeys", lambda item, _: _passkey(item, found["handle"]), least=0))
    if "single_sign_on" in found:
        subject = _fields(found["single_sign_on"], f"person {found['handle']}'s single_sign_on", {"provider", "subject"}, set())
        if not all(isinstance(value, str) and value for value in subject.values()):
            raise BadManifest(
                f"Person {found['handle']}: provider and subject of single_sign_on are texts; write them in quotes.",
                path=("single_sign_on",),
            )
    return found


def _uuid(value: Any, handle: str) -> UUID:
    if value is None:
        return uuid4()
    try:
        return UUID(str(value))
    except ValueError as error:
        raise BadManifest(f"Person {handle}: the id is a UUID.", path=("id",)) from error


def _principal(found: Any, handle: str) -> dict[str, Any]:
    """`kind:value`, or an object with kind, value and precedence."""
    precedence = 0
    text = str(found)
    if isinstance(found, dict):
        whole = _fields(found, f"person {handle}'s principal", {"kind", "value"}, {"precedence"})
        text, precedence = f"{whole['kind']}:{whole['value']}", whole.get("precedence", 0)
    kind, _, value = text.partition(":")
    if type(precedence) is not int or not -1000 <= precedence <= 1000:
        raise BadManifest(f"Person {handle}: a principal's precedence is a whole number from -1000 to 1000.")
    if kind not in Principal.Kind.values or not value:
        raise BadManifest(
            f"Person {handle}: a principal is written kind:value with a kind of {', '.join(Principal.Kind.values)}."
        )
    path = {Principal.Kind.IAM_USER: "user", Principal.Kind.ROLE: "role"}.get(Principal.Kind(kind))
    if path and not re.fullmatch(rf"arn:[\w*?-]+:iam::[\d*?]{{1,12}}:{path}/\S+", value):
        raise BadManifest(f"Person {handle}: {value} is no IAM {path}'s ARN.")
    if not value.strip("*?"):
        raise BadManifest(f"Person {handle}: a pattern of stars alone would make everybody this person.")
    return {"kind": kind, "value": value, "precedence": precedence}


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
    groups: dict[str, tuple[str, ...]] = {}
    for name in found:
        members = _list(found, name) if found[name] is not None else []
        if strangers := [str(one) for one in members if not isinstance(one, str) or one not in handles]:
            raise BadManifest(f"Group {name}: {', '.join(strangers)} is no person of this manifest.", path=(name,))
        groups[name] = tuple(members)
    return groups


def _grant(
    item: Any, index: int, *, guardrails: set[str], handles: set[str], groups: dict[str, tuple[str, ...]]
) -> dict[str, str]:
    found = _fields(item, f"grant {index + 1}", {"guardrail"}, {"person", "group"})
    for name in found:
        _text(found, name)
    if found["guardrail"] not in guardrails:
        raise BadManifest(f"Grant {index + 1}: there is no guardrail {found['guardrail']!r}.", path=("guardrail",))
    if ("person" in found) == ("group" in found):
        raise BadManifest(f"Grant {index + 1}: name one person or one group.")
    if "person" in found and found["person"] not in handles:
        raise BadManifest(f"Grant {index + 1}: there is no person {found['person']!r}.", path=("person",))
    if "group" in found and found["group"] not in groups:
        raise BadManifest(f"Grant {index + 1}: there is no group {found['group']!r}.", path=("group",))
    return found


def _settings(found: Any) -> dict[str, int]:
    settings = {"signers": LEAST_SIGNERS, **_fields(found, "settings", set(), {"signers"})}
    if type(settings["signers"]) is not int or not LEAST_SIGNERS <= settings["signers"] <= 20:
        raise BadManifest(
            f"settings.signers is a whole number from {LEAST_SIGNERS} to 20: how many administrators sign.", path=("signers",)
        )
    return settings


def _consistent(manifest: Manifest) -> None:
    administrators = [person for person in manifest.persons if person["administrator"] and person["human"]]
    if len(administrators) < LEAST_ADMINISTRATORS:
        raise BadManifest(
            f"The manifest has {len(administrators)} administrators; at least {LEAST_ADMINISTRATORS} persons are needed, so that "
            "a lost key does not lock everybody out."
        )
    humans = [person["handle"] for person in manifest.persons if person["human"] and not person["passkeys"]]
    someday = datetime(2999, 1, 1, tzinfo=UTC)
    invited = [Invited(handle, uuid4(), "", someday) for handle in humans]
    try:
        soundness.must_be_sound(document_of(manifest, invited), timezone.now())
    except BadChange as error:
        raise BadManifest(str(error)) from error
