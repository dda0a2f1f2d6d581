"""How far each guardrail of a request is, as the review page shows it."""

from __future__ import annotations

from dataclasses import dataclass

from approvals.models import ApprovalRequest, Person, Revision
from approvals.operations import protection
from approvals.policies import Resolution, Rules
from approvals.states import RequestState


@dataclass(frozen=True, slots=True)
class OfGroup:
    """How many of a guardrail's approvers are of a group that it names."""

    name: str
    have: tuple[str, ...]
    need: int


@dataclass(frozen=True, slots=True)
class Quorum:
    """How far one guardrail is: who counts, who is needed, and what it says."""

    guardrail: str
    version: int
    description: str
    have: tuple[str, ...]
    need: int
    groups: tuple[OfGroup, ...]
    ticket: str

    @property
    def met(self) -> bool:
        """Whether enough distinct persons approved, of every group that is named too."""
        return len(self.have) >= self.need and all(len(group.have) >= group.need for group in self.groups)

    @property
    def missing(self) -> int:
        """How many approvals are still to come at least."""
        return max([self.need - len(self.have), *(group.need - len(group.have) for group in self.groups), 0])


def quorum_of(
    request: ApprovalRequest, revision: Revision, rules: dict[str, Rules], resolution: Resolution
) -> tuple[Quorum, ...]:
    """One line a guardrail, from the resolution of the current revision. Two queries."""
    numbers = {match.guardrail.name: match.version.number for match in revision.guardrails.select_related("version", "guardrail")}
    ids = {person for progress in resolution.progress for person in progress.have}
    handles = {str(person.pk): person.handle for person in Person.objects.filter(pk__in=ids)}
    # A draft is not confirmed yet, and will be before anybody reviews it: show what will be asked then.
    draft = request.request_state is RequestState.DRAFT
    irreversible = bool(revision.text) and protection.is_final(revision.plan.steps)
    return tuple(
        Quorum(
            progress.guardrail,
            numbers[progress.guardrail],
            rules[progress.guardrail].description,
            tuple(handles[person] for person in progress.have),
            rules[progress.guardrail].approvals_needed(irreversible=irreversible) if draft else progress.need,
            tuple(OfGroup(one.group, tuple(handles[person] for person in one.have), one.need) for one in progress.groups),
            rules[progress.guardrail].ticket,
        )
        for progress in resolution.progress
    )
