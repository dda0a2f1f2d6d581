"""Whether executions are paused, by verified signatures: what the executor asks at each claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from approvals import ceremonies, signatures
from approvals.authority import Authority
from approvals.errors import BadAuthority
from approvals.models import Statement
from approvals.signatures import RelyingParty
from approvals.statements.switch import counting
from approvals.statements.texts import Said
from approvals.statements.verifying import approvers
from approvals.states import StatementState, Verdict

_RESUMERS: Final = 2


@dataclass(frozen=True, slots=True)
class Pauses:
    """Which pauses hold, which were resumed, and what of either does not verify, in words."""

    holding: tuple[Statement, ...]
    resumed: frozenset[UUID]
    forged: tuple[str, ...]


def pauses(authority: Authority, party: RelyingParty) -> Pauses:
    """Every pause holds until two persons' signatures under one resuming that names it verify and it was put in force.

    That these two were administrators is judged when it is put in force; whoever leaves the administrators later undoes nothing
    that he signed. A pause that does not verify holds too: what nobody understands stops everything.
    """
    every = list(counting().select_related("proposer"))
    if not every:
        return Pauses((), frozenset(), ())
    resumed: set[UUID] = set()
    forged: list[str] = []
    for resuming in Statement.objects.filter(kind=Statement.Kind.RESUME, state=StatementState.IN_FORCE):
        try:
            resumed |= set(_signed(resuming, _RESUMERS, authority, party).pauses)
        except BadAuthority as error:
            forged.append(str(error))
    for one in every:
        if one.pk not in resumed and _says_denied(one) and not _signs(one, Verdict.APPROVE, authority, party):
            resumed.add(one.pk)  # which it need not be: nobody has paused
            if not _signs(one, Verdict.DENY, authority, party):
                forged.append(f"Statement {one.reference} says that it was denied, and nobody signed that.")
    holding = [one for one in every if one.pk not in resumed]
    for one in holding:
        try:
            _signed(one, 1, authority, party)
        except BadAuthority as error:
            forged.append(str(error))
    return Pauses(tuple(holding), frozenset(one.pk for one in every) & frozenset(resumed), tuple(forged))


def _says_denied(pause: Statement) -> bool:
    """Whether its rows say so, which may be anybody's."""
    return pause.state == StatementState.DENIED and all(one.verdict == Verdict.DENY for one in pause.signatures.all())


def _signs(pause: Statement, verdict: Verdict, authority: Authority, party: RelyingParty) -> bool:
    """Whether somebody's signature under it is of this verdict, whatever its row says."""
    for one in pause.signatures.select_related("person"):
        one.verdict = verdict
        try:
            ceremonies.verified(one, pause.digest, authority, party, domain=signatures.STATEMENT)
        except BadAuthority:
            continue
        return True
    return False


def _signed(statement: Statement, least: int, authority: Authority, party: RelyingParty) -> Said:
    said, persons = approvers(statement, authority, party)
    if len(persons) < least:
        raise BadAuthority(f"Statement {statement.reference} says that it is in force, and {len(persons)} signed it.")
    return said
