"""What of a target must still hold when its call is made, and what has become of it: for the page of a request.

The same comparison as the executor's at the claim, over rows that this process can read. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from approvals import preconditions
from approvals.errors import BadPlan
from approvals.models import ApprovalRequest, Execution, Observation, Revision
from approvals.operations import words
from approvals.plan import Plan, Step
from approvals.preconditions import Difference, Reading
from approvals.states import ExecutionState
from portal.live_state import Looks


@dataclass(frozen=True, slots=True)
class Pinned:
    """One step's target. `facts` must still hold; `moved` no longer does, so that the call would be stopped.

    `claimed_at` is when it was read right before the call, `besides` what was different then and hindered nothing.
    """

    described: bool
    facts: tuple[tuple[str, str], ...] = ()
    moved: tuple[Difference, ...] = ()
    claimed_at: datetime | None = None
    besides: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Stopped:
    """A former approval that was not carried out because its target had drifted: when, and what was different."""

    at: datetime
    revision: int
    differences: tuple[Difference, ...]


def pinned_of(plan: Plan | None, index: int, step: Step, looks: Looks) -> Pinned:
    """What the plan says of a step's target, beside what was read of it last."""
    if plan is None or not preconditions.is_described(step):
        return Pinned(described=False)
    signed = preconditions.signed_of(plan, index)
    before, claim = looks.before, looks.claim
    moved: Sequence[Difference] = ()
    if signed is not None and before.taken_at and before.reading.says_something() and not claim.taken_at:
        moved = preconditions.compare(step, signed, before.reading).drift
    return Pinned(
        described=True,
        facts=tuple((words.visible(what), words.visible(value)) for what, value in preconditions.words_of(signed or {})),
        moved=_visible(moved),
        claimed_at=claim.taken_at,
        besides=_visible(preconditions.besides(step, before.reading, claim.reading)) if claim.taken_at else (),
    )


def stopped_of(request: ApprovalRequest, revision: Revision) -> Stopped | None:
    """The newest approval of a former revision that drift has stopped; what was signed then beside what was read at its claim."""
    former = Execution.objects.filter(revision__request=request, state=ExecutionState.ABORTED).exclude(revision=revision)
    execution = former.select_related("revision").order_by("-created_at").first()
    if execution is None:
        return None
    read = {
        one.step: Reading(one.text, one.problem)
        for one in execution.revision.observations.filter(moment=Observation.Moment.CLAIM).order_by("taken_at", "id")
    }
    try:
        plan = execution.revision.plan
    except BadPlan:
        return None
    found: list[Difference] = []
    for index, now in read.items():
        signed = preconditions.signed_of(plan, index) if index < len(plan.steps) else None
        if signed is not None:
            found += preconditions.compare(plan.steps[index], signed, now).drift
    at = execution.ended_at or execution.created_at
    return Stopped(at, execution.revision.number, _visible(found)) if found else None


def _visible(found: Sequence[Difference]) -> tuple[Difference, ...]:
    return tuple(Difference(words.visible(one.what), words.visible(one.was), words.visible(one.now)) for one in found)
