"""What guardrails are looked at against: accounts, persons, groups and grants, from a manifest or from the database."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError

from approvals import genesis, permissions
from approvals.errors import BadGuardrail, CountersignError
from approvals.genesis import Manifest
from approvals.lint import Place, Surroundings
from approvals.models import Account, Guardrail, GuardrailVersion, Person, Principal, tags_of
from approvals.policies import Rules, files
from approvals.policies.files import GuardrailFile

USAGE: Final = 2


@dataclass(frozen=True, slots=True)
class World:
    """What is known around a guardrails file; `source` says where from.

    `current` are the guardrails of today, `roles` the executor's by account, `principals` the persons' handles by (kind, value).
    """

    source: str
    around: Surroundings
    current: tuple[Rules, ...] | None = None
    roles: Mapping[str, str] | None = None
    principals: Mapping[tuple[str, str], str] = field(default_factory=dict)


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
        accounts={account["id"]: Place(tuple(account["regions"])) for account in manifest.accounts},
        groups={name: frozenset(members) & people for name, members in manifest.groups.items()},
        holders={name: frozenset(persons) for name, persons in holders.items()},
        people=people,
    )
    roles = {account["id"]: account["executor_role_arn"] for account in manifest.accounts}
    principals = {one: person["handle"] for person in manifest.persons for one in person["principals"]}
    return World("manifest", around, manifest.guardrails, roles, principals)


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
        accounts={number: Place(tuple(account.regions), tags_of(account)) for number, account in accounts.items()},
        groups={name: frozenset(handles) for name, handles in groups.items()},
        holders={name: frozenset(handles) for name, handles in holders.items()},
        people=frozenset(persons.values()),
    )
    current = tuple(version.rules for version in GuardrailVersion.objects.current())
    roles = {number: account.executor_role_arn for number, account in accounts.items()}
    mapped = Principal.objects.filter(person__is_active=True).values_list("kind", "value", "person__handle")
    return World("database", around, current, roles, {(kind, value): handle for kind, value, handle in mapped})
