"""What guardrails are looked at against: accounts, persons, groups and grants, from a manifest or from the database."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError

from approvals import genesis, permissions, principals
from approvals.caller import Caller
from approvals.errors import BadGuardrail, CountersignError
from approvals.genesis import Manifest
from approvals.lint import Place, Surroundings
from approvals.models import Account, Guardrail, GuardrailVersion, Person
from approvals.policies import Rules, files, overlap
from approvals.policies.files import GuardrailFile
from approvals.replay import Who

USAGE: Final = 2


@dataclass(frozen=True, slots=True)
class World:
    """What is known around a guardrails file; `source` says where from.

    `current` are the guardrails of today, `roles` the executor's by account, `who` names the person behind a caller.
    """

    source: str
    around: Surroundings
    current: tuple[Rules, ...] | None = None
    roles: Mapping[str, str] | None = None
    who: Who = lambda _: ""


class Out(Protocol):
    """Where a command writes lines."""

    def write(self, msg: str) -> Any:
        """Write one line."""


def tell(out: Out, lines: Iterable[str]) -> None:
    """Write the lines; a reader that has had enough (`| head`) is no fault, and Python must not complain at its exit."""
    try:
        for line in lines:
            out.write(line)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def count(number: int, what: str) -> str:
    """`1 finding`, `2 findings`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def add_arguments(parser: CommandParser) -> None:
    """The file, and where the rest is known from."""
    parser.add_argument("file", metavar="FILE", help="a guardrails file, see docs/guardrails.md; - is standard input")
    parser.add_argument(
        "--manifest",
        type=Path,
        metavar="MANIFEST",
        help="take accounts, persons, groups and grants from this genesis manifest instead of the database",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of sentences")


def read_file(name: str) -> GuardrailFile:
    """The guardrails file. Raises BadGuardrailFile for what stands in it, CommandError (2) when there is none to read."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise CommandError(f"{name} cannot be read: {why}. Look at the path.", returncode=USAGE) from error
    return files.read(text, "standard input" if name == "-" else name)


def world(manifest: Path | None) -> World:
    """What is known: from the manifest where one is given, else from the database where there is one, else nothing."""
    if manifest is not None:
        try:
            return _of_manifest(genesis.read(manifest.read_text("utf-8")))
        except (OSError, UnicodeDecodeError, CountersignError) as error:
            raise CommandError(f"The manifest {manifest} cannot be used: {error}", returncode=USAGE) from error
    if "postgresql" not in settings.DATABASES.get("default", {}).get("ENGINE", ""):
        return World("none", Surroundings())
    try:
        return _of_database()
    except DatabaseError as error:
        raise CommandError(f"The database could not be read: {error}", returncode=USAGE) from error
    except BadGuardrail as error:
        raise CommandError(f"The database holds a guardrail that cannot be read: {error}", returncode=USAGE) from error


def _of_manifest(manifest: Manifest) -> World:
    people = frozenset(person["handle"] for person in manifest.persons if person["human"])
    holders: dict[str, set[str]] = {rules.name: set() for rules in manifest.guardrails}
    for grant in manifest.grants:
        holders[grant["guardrail"]] |= {grant["person"]} if "person" in grant else set(manifest.groups[grant["group"]])
    around = Surroundings(
        accounts={account["id"]: Place(tuple(account["regions"]), account["tags"]) for account in manifest.accounts},
        groups={name: frozenset(members) & people for name, members in manifest.groups.items()},
        holders={name: frozenset(persons) for name, persons in holders.items()},
        people=people,
    )
    roles = {account["id"]: account["executor_role_arn"] for account in manifest.accounts}
    rows = [_Mapped(person["handle"], **one) for person in manifest.persons for one in person["principals"]]
    return World("manifest", around, manifest.guardrails, roles, lambda caller: _behind(caller, rows))


@dataclass(frozen=True, slots=True)
class _Mapped:
    """A principal of the manifest and the handle of its person."""

    handle: str
    kind: str
    value: str
    precedence: int


def _behind(caller: Caller, rows: Sequence[_Mapped]) -> str:
    """The same as `principals.behind` says, among the manifest's rows."""
    for kind, value in caller.principals():
        alike = [one for one in rows if one.kind == kind]
        exact = [one for one in alike if one.value == value]
        fitting = exact or principals.foremost(one for one in alike if overlap(one.value, value))
        if fitting:
            return fitting[0].handle if len({one.handle for one in fitting}) == 1 else ""
    return ""


def _of_database() -> World:
    persons = {person.pk: person.handle for person in Person.objects.filter(is_active=True, is_human=True)}
    rights = permissions.rights_of(list(persons))
    holders: dict[str, set[str]] = {name: set() for name in Guardrail.objects.values_list("name", flat=True)}
    for person, guardrails in rights.items():
        for guardrail in guardrails:
            holders[guardrail].add(persons[person])
    groups: dict[str, set[str]] = {name: set() for name in Group.objects.values_list("name", flat=True)}
    members = Group.objects.filter(user__is_active=True, user__login__person__in=list(persons))
    for name, handle in members.values_list("name", "user__login__person__handle"):
        groups[name].add(handle)
    accounts = {account.pk: account for account in Account.objects.all()}
    around = Surroundings(
        accounts={number: Place(tuple(account.regions), account.tags) for number, account in accounts.items()},
        groups={name: frozenset(handles) for name, handles in groups.items()},
        holders={name: frozenset(handles) for name, handles in holders.items()},
        people=frozenset(persons.values()),
    )
    current = tuple(version.rules for version in GuardrailVersion.objects.current())
    roles = {number: account.executor_role_arn for number, account in accounts.items()}
    return World("database", around, current, roles, _remembered())


def _remembered() -> Who:
    """Who is behind a caller, by the tables; each identity is looked up once."""
    found: dict[tuple[tuple[str, str], ...], str] = {}

    def who(caller: Caller) -> str:
        key = caller.principals()
        if key not in found:
            person = principals.behind(caller).person
            found[key] = person.handle if person else ""
        return found[key]

    return who
