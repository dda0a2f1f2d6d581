"""Writing how a call and its execution went, for run and reconcile: every write is conditional on the claim's fencing token.

Locks are taken in one order, the one of decisions: request, execution, attempt. Each verb here begins with the first two, since
an alert's foreign key wants the request after the execution was written. They are taken as NO KEY UPDATE, which shuts out every
other such lock and lets foreign keys through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.utils import timezone

from approvals import audit, notifications, outbox, statements
from approvals.alerts import raise_alert
from approvals.audit import Trail
from approvals.errors import WrongState
from approvals.models import AlertKind, ApprovalRequest, Attempt, AuditKind, Execution, OutboxKind, Statement
from approvals.operations import catalog
from approvals.plan import Step
from approvals.states import EXECUTION_MOVES, SETTLED_EXECUTIONS, AttemptState, ExecutionState, StatementState
from executor.errors import Superseded

ACTOR: Final = "process:execution"
# AWS takes a signed request for a quarter of an hour at most: until then one that hung on the way may still arrive. CloudTrail
# mostly tells within it, so the target's own state is asked only afterwards.
SIGNED_FOR: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to act for one execution: worth nothing once the execution's token has grown."""

    execution_id: UUID
    request_id: UUID
    token: int


_KINDS: Final[Mapping[ExecutionState, AuditKind]] = {
    ExecutionState.SUCCEEDED: AuditKind.EXECUTION_SUCCEEDED,
    ExecutionState.FAILED: AuditKind.EXECUTION_FAILED,
    ExecutionState.ABORTED: AuditKind.EXECUTION_ABORTED,
    ExecutionState.UNKNOWN: AuditKind.EXECUTION_UNKNOWN,
}
_ALERTS: Final[Mapping[ExecutionState, tuple[AlertKind, str]]] = {
    ExecutionState.FAILED: (AlertKind.EXECUTION_FAILED, "Failed: {0.operation} {0.target}"),
    ExecutionState.UNKNOWN: (AlertKind.UNKNOWN_OUTCOME, "Outcome unknown: {0.operation} {0.target}"),
}


def locked(execution_id: UUID) -> Execution | None:
    """The execution with its request, both locked in the order that decisions lock them; None when there is none."""
    # What joins the two never changes, so that a wait for the lock cannot make it another request.
    asked = ApprovalRequest.objects.select_for_update(of=("self",), no_key=True)
    if asked.only("pk").order_by().filter(revisions__execution=execution_id).first() is None:
        return None
    rows = Execution.objects.select_for_update(of=("self",), no_key=True).select_related("revision__request__account")
    return rows.get(pk=execution_id)


def _hold(claim: Claim) -> None:
    # The same two locks for whoever has a claim in hand; taken again by the same transaction they cost nothing.
    ApprovalRequest.objects.select_for_update(no_key=True).only("pk").get(pk=claim.request_id)
    Execution.objects.select_for_update(no_key=True).only("pk").get(pk=claim.execution_id)


def claim_of(execution: Execution) -> Claim:
    """The claim that the row says is current."""
    return Claim(execution.pk, execution.revision.request_id, execution.token)


def end(trail: Trail, claim: Claim, state: ExecutionState, outcome: str, *, tell: bool = True, in_part: bool = False) -> None:
    """End an execution, or say that its outcome is unknown, in the caller's transaction. Raises Superseded.

    Tells the requester, writes the mirror, and raises an alert for `failed` (`in_part`: something was done all the same)
    and `unknown`.
    """
    _hold(claim)
    now = timezone.now()
    moved = Execution.objects.filter(pk=claim.execution_id, token=claim.token, state__in=_before(state)).update(
        state=state, outcome=outcome, ended_at=now if state in SETTLED_EXECUTIONS else None, lease_until=None
    )
    if not moved:
        raise Superseded("The claim was taken over or ended meanwhile.")
    request = ApprovalRequest.objects.get(pk=claim.request_id)
    trail.add(_KINDS[state], actor=ACTOR, request=request.pk, execution=str(claim.execution_id), outcome=outcome)
    if state in _ALERTS:
        kind, title = (AlertKind.PARTIAL, "Done in part: {0.operation} {0.target}") if in_part else _ALERTS[state]
        raise_alert(trail, kind, title=title.format(request), detail=outcome, actor=ACTOR, request=request)
    if tell:
        notifications.tell(notifications.FINISHED, request)
    outbox.put(OutboxKind.MIRROR, request.pk)
    if state in SETTLED_EXECUTIONS:
        _overtake(trail, claim)
    if state is ExecutionState.SUCCEEDED:
        revision = Execution.objects.values_list("revision_id", flat=True).get(pk=claim.execution_id)
        outbox.put(OutboxKind.INSPECT, revision)


def end_alone(claim: Claim, state: ExecutionState, outcome: str) -> None:
    """The same in a transaction of its own."""
    with audit.recorded() as trail:
        end(trail, claim, state, outcome)


def answered(
    trail: Trail,
    claim: Claim,
    attempt: Attempt,
    state: AttemptState,
    *,
    request_id: str = "",
    answer: str = "",
    code: str = "",
    message: str = "",
    may_repeat: bool = False,
) -> None:
    """Record the answer to an attempt: once, unless it was called unknown before. Raises Superseded."""
    _hold(claim)
    moved = Attempt.objects.filter(pk=attempt.pk, token=claim.token, state__in=[AttemptState.SENT, AttemptState.UNKNOWN]).update(
        state=state,
        answered_at=timezone.now(),
        aws_request_id=request_id[:256],
        answer=answer,
        error_code=code[:256],
        error_message=message,
        may_repeat=may_repeat,
    )
    if not moved:
        raise Superseded("The attempt was settled by evidence meanwhile.")
    trail.add(
        AuditKind.ATTEMPT_ANSWERED,
        actor=ACTOR,
        request=claim.request_id,
        execution=str(claim.execution_id),
        step=attempt.step,
        number=attempt.number,
        state=str(state),
        aws_request_id=request_id,
        error=f"{code}: {message}"[:2000] if code else None,
    )


def settle(trail: Trail, claim: Claim, attempt: Attempt, *, how: str, made: str = "") -> None:
    """Record that the call's effect is complete, and the ARN of the backup that it made, in the caller's transaction.

    Raises Superseded.
    """
    _hold(claim)
    moved = Attempt.objects.filter(
        pk=attempt.pk, execution__token=claim.token, state__in=[AttemptState.ACCEPTED, AttemptState.UNKNOWN]
    ).update(state=AttemptState.SUCCEEDED, settled_at=timezone.now(), made=made)
    if not moved:
        raise Superseded("The attempt was settled, or its claim taken over, meanwhile.")
    trail.add(
        AuditKind.ATTEMPT_SETTLED,
        actor=ACTOR,
        request=claim.request_id,
        execution=str(claim.execution_id),
        step=attempt.step,
        number=attempt.number,
        how=how,
        made=made or None,
    )


def end_after(trail: Trail, claim: Claim, attempt: Attempt, steps: int, *, how: str, whole: str) -> None:
    """End with the step of this attempt, which took effect by `how`: nothing after it is made. `whole` is said of the last one.

    In the caller's transaction. Raises Superseded.
    """
    if left := steps - attempt.step - 1:
        said = f"Step {attempt.step + 1} took effect, by {how}; the {left} after it were not made. File them again."
        end(trail, claim, ExecutionState.FAILED, said)
    else:
        end(trail, claim, ExecutionState.SUCCEEDED, whole)


def _overtake(trail: Trail, claim: Claim) -> None:
    """Whoever was about to say how it went need not any more: it is known."""
    for waiting in Statement.objects.filter(execution_id=claim.execution_id, state=StatementState.OPEN):
        why = "The outcome became known by evidence before two persons had said it."
        with suppress(WrongState):  # somebody ended it in this moment, which is as good
            statements.end(trail, waiting, StatementState.REFUSED, why, ACTOR, timezone.now())


def fall_short(trail: Trail, claim: Claim, attempt: Attempt, why: str) -> None:
    """A backup that AWS accepted will never be usable: the step is partial, and no later one is made. Raises Superseded."""
    _hold(claim)
    moved = Attempt.objects.filter(
        pk=attempt.pk, execution__token=claim.token, state__in=[AttemptState.ACCEPTED, AttemptState.UNKNOWN]
    ).update(state=AttemptState.PARTIAL, error_code="NotUsable", error_message=why)
    if not moved:
        raise Superseded("The attempt was settled, or its claim taken over, meanwhile.")
    trail.add(
        AuditKind.ATTEMPT_ANSWERED,
        actor=ACTOR,
        request=claim.request_id,
        execution=str(claim.execution_id),
        step=attempt.step,
        number=attempt.number,
        state=str(AttemptState.PARTIAL),
        error=why[:2000],
    )
    what = f"The backup of step {attempt.step + 1} cannot be used, so nothing after it was made. {why}"
    end(trail, claim, ExecutionState.FAILED, what)


def _before(state: ExecutionState) -> list[ExecutionState]:
    return [old for old, new in EXECUTION_MOVES.items() if state in new]


def move(claim: Claim, **fields: object) -> None:
    open_states = [ExecutionState.CLAIMED, ExecutionState.RUNNING, ExecutionState.UNKNOWN]
    if "state" in fields:
        open_states = [ExecutionState.CLAIMED, ExecutionState.RUNNING]
    moved = Execution.objects.filter(pk=claim.execution_id, token=claim.token, state__in=open_states).update(**fields)
    if not moved:
        raise Superseded("The claim was taken over or ended meanwhile.")


def how_it_settled(step: Step) -> str:
    """What shows that the call's effect is complete, for the trail."""
    facts = catalog.get(step.name).facts
    if facts.protects is not None or not facts.settled.at_once:
        return "described"
    return "AWS's answer" if facts.curated else "AWS's answer alone: the operations table does not know the call"


def end_in_words(steps: Sequence[Step]) -> str:
    """How an execution ended all of whose steps did."""
    unknown = [step.operation for step in steps if not catalog.get(step.name).facts.curated]
    done = f"AWS carried out {steps[-1].operation}"
    if not unknown:
        return f"{done}, and the target has settled."
    names = ", ".join(dict.fromkeys(unknown))
    return f"{done}. Of {names} only AWS's answer says so: whether its effect is complete is looked at by nobody here."
