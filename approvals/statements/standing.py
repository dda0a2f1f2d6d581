"""Whether executions are paused, by verified signatures: what the executor asks at each claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from approvals.authority import Authority
from approvals.errors import BadAuthority
from approvals.models import Statement
from approvals.signatures import RelyingParty
from approvals.statements.switch import counting, resumings
from approvals.statements.texts import Said
from approvals.statements.verifying import approvers

_RESUMERS: Final = 2


@dataclass(frozen=True, slots=True)
class Pauses:
    """Which pauses hold, which were resumed, why some of the former do not verify, and which resumings do not (why)."""

    holding: tuple[Statement, ...]
    resumed: frozenset[UUID]
    forged: tuple[BadAuthority, ...]
    spoiled: tuple[tuple[Statement, BadAuthority], ...]


def pauses(authority: Authority, party: RelyingParty) -> Pauses:
    """Every pause holds until two persons' signatures under one resuming that names it verify and it was put in force.

    That these two were administrators is judged when it is put in force; whoever leaves the administrators later undoes nothing
    that he signed. A pause that does not verify holds too: what nobody understands stops everything. Pages judge alike
    (`switch.in_force`), once the resumings that do not verify are taken back.
    """
    every = list(counting().select_related("proposer"))
    if not every:
        return Pauses((), frozenset(), (), ())
    resumed: set[UUID] = set()
    spoiled: list[tuple[Statement, BadAuthority]] = []
    for resuming in resumings():
        try:
            resumed |= set(_signed(resuming, _RESUMERS, authority, party).pauses)
        except BadAuthority as error:
            spoiled.append((resuming, error))
    holding = [one for one in every if one.pk not in resumed]
    forged: list[BadAuthority] = []
    for one in holding:
        try:
            _signed(one, 1, authority, party)
        except BadAuthority as error:
            forged.append(error)
    return Pauses(tuple(holding), frozenset(one.pk for one in every) & frozenset(resumed), tuple(forged), tuple(spoiled))


def _signed(statement: Statement, least: int, authority: Authority, party: RelyingParty) -> Said:
    said, persons = approvers(statement, authority, party, least=least)
    if len(persons) < least:
        raise BadAuthority(f"Statement {statement.reference} says that it is in force, and {len(persons)} signed it.")
    return said
