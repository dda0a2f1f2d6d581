"""What reviews add up to: a verdict computed from votes and guardrails, never stored as a count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from approvals.policies.rules import Rules
from approvals.states import Verdict

# Whatever a guardrail says: nobody acts alone.
LEAST_PERSONS: Final = 2


@dataclass(frozen=True, slots=True)
class Vote:
    """One signed review that was verified: who, what, the guardrails (by name) on which that person holds the right *now*, and
    the groups that the person is in now."""

    person: str
    verdict: Verdict
    rights: frozenset[str]
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class GroupProgress:
    """How many of one guardrail's approvers are of a group that it names."""

    group: str
    have: tuple[str, ...]
    need: int

    @property
    def met(self) -> bool:
        """Whether enough of the group approved."""
        return len(self.have) >= self.need


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one guardrail's quorum is: the persons who count, how many it asks for, and how many of which group."""

    guardrail: str
    have: tuple[str, ...]
    need: int
    groups: tuple[GroupProgress, ...] = ()

    @property
    def met(self) -> bool:
        """Whether enough distinct persons approved, of every group that is named too."""
        return len(self.have) >= self.need and all(group.met for group in self.groups)

    @property
    def lacking(self) -> str:
        """What is not there yet, such as `1 of 2 approvals, 0 of 1 from database-owners`; empty when met."""
        said = [f"{len(self.have)} of {self.need} approvals"] if len(self.have) < self.need else []
        said += [f"{len(group.have)} of {group.need} from {group.group}" for group in self.groups if not group.met]
        return ", ".join(said)


class Outcome(StrEnum):
    """What the reviews add up to."""

    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Resolution:
    """The verdict computed from votes and guardrails, never stored as a count."""

    outcome: Outcome
    progress: tuple[Progress, ...]
    denied_by: str = ""


def resolve(
    votes: Iterable[Vote],
    *,
    guardrails: Mapping[str, Rules],
    confirmed_by: str | None,
    barred: frozenset[str],
    irreversible: bool,
) -> Resolution:
    """Add up votes under every enforcing guardrail that matched.

    `confirmed_by` is the person who signed as the requester (None for an unconfirmed event), `barred` are persons who may never
    count: the requester and whoever edited the plan. A denial by anybody with the right on one of the guardrails ends it. An
    approval needs every guardrail's number of distinct persons, its number of each group that it names (a person in two groups
    counts for each), and the requester's own signature. What nobody confirmed is approved only where every guardrail lets it be
    decided so, and then by two approvers at least of each. Two persons have signed in any case.
    """
    confirmed_by = confirmed_by or None
    votes = [vote for vote in votes if vote.person not in barred and vote.person != confirmed_by]
    denials = [vote for vote in votes if vote.verdict is Verdict.DENY and vote.rights & guardrails.keys()]
    confirmed = confirmed_by is not None or not unconfirmed_may_be_decided(guardrails.values())
    progress = tuple(
        _progress(name, rules, votes, rules.approvals_needed(irreversible=irreversible, confirmed=confirmed))
        for name, rules in sorted(guardrails.items())
    )
    if denials:
        return Resolution(Outcome.DENIED, progress, denials[0].person)
    signers = {person for one in progress for person in one.have} | ({confirmed_by} if confirmed_by is not None else set())
    decidable = confirmed_by is not None or not confirmed
    if progress and decidable and all(one.met for one in progress) and len(signers) >= LEAST_PERSONS:
        return Resolution(Outcome.APPROVED, progress)
    return Resolution(Outcome.OPEN, progress)


def unconfirmed_may_be_decided(guardrails: Iterable[Rules]) -> bool:
    """Whether an event that nobody confirmed may be decided: every guardrail says so, and there is one."""
    found = list(guardrails)
    return bool(found) and all(rules.unconfirmed for rules in found)


def _progress(name: str, rules: Rules, votes: Sequence[Vote], need: int) -> Progress:
    counted = [vote for vote in votes if vote.verdict is Verdict.APPROVE and name in vote.rights]
    groups = tuple(
        GroupProgress(group, _persons(vote for vote in counted if group in vote.groups), least) for group, least in rules.groups
    )
    return Progress(rules.name, _persons(counted), need, groups)


def _persons(votes: Iterable[Vote]) -> tuple[str, ...]:
    return tuple(sorted({vote.person for vote in votes}))
