"""What was left behind: lost workers, unknown outcomes, calls without proof. Swept every few seconds; each row in a transaction.

- `ready` or `claimed` without an owner, or `running` with every call settled: back through the queue, where a worker takes over.
- `running` with a call that has no answer: the outcome is unknown. Absence of evidence never makes it anything else.
- `unknown`, or accepted by AWS with nobody waiting: AWS's answer or the proof from CloudTrail, and then the target, settle it.
- `succeeded` without a proof for too long: one alert.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from approvals import audit, authority, correlation, outbox
from approvals.alerts import raise_alert
from approvals.errors import CountersignError
from approvals.models import Alert, AlertKind, Attempt, AuditKind, Execution, OutboxKind, OutboxMessage, Proof
from approvals.plan import Plan, Step
from approvals.states import AttemptState, ExecutionState
from approvals.trail_event import Outcome
from executor import aws, endings, target
from executor.claim import LEASE
from executor.endings import Claim
from executor.errors import Superseded
from executor.target import Patience

log = logging.getLogger(__name__)
# CloudTrail writes these also for calls that had an effect before they failed.
INCONCLUSIVE: Final = frozenset(
    {"InternalFailure", "InternalServerError", "InternalError", "ServiceUnavailable", "ServiceException"}
)
LOOK_AGAIN: Final = timedelta(seconds=20)
_OPEN: Final = [ExecutionState.READY, ExecutionState.CLAIMED, ExecutionState.RUNNING, ExecutionState.UNKNOWN]


def sweep(*, patience: Patience | None = None) -> None:
    """Look once at everything that is open. Raises DatabaseError and AuditUnavailable when nothing can be written."""
    now = timezone.now()
    lapsed = Q(lease_until__lte=now) | Q(lease_until=None, not_before__lte=now)
    for pk in list(Execution.objects.filter(lapsed, state__in=_OPEN).values_list("pk", flat=True)[:500]):
        with correlation.bound(execution_id=str(pk)):
            try:
                _one(pk, now, patience or target.PATIENCE)
            except Superseded as error:
                log.info("left alone: %s", error)
    unproven(now)


def _one(pk: UUID, now: datetime, patience: Patience) -> None:
    with audit.recorded() as trail:
        execution = endings.locked(pk)
        if execution is None or (execution.lease_until is not None and execution.lease_until > now):
            return
        attempts = list(execution.attempts.all())
        unanswered = [one for one in attempts if one.state == AttemptState.SENT]
        if execution.execution_state is ExecutionState.RUNNING and unanswered:
            _lost_in_the_call(trail, execution, unanswered[0])
            return
        open_one = next((one for one in attempts if one.state in {AttemptState.ACCEPTED, AttemptState.UNKNOWN}), None)
        if execution.execution_state is not ExecutionState.UNKNOWN and open_one is None:
            _back_to_the_queue(execution)
            return
    if open_one is not None:
        _by_evidence(execution, open_one, patience)


def _lost_in_the_call(trail: audit.Trail, execution: Execution, attempt: Attempt) -> None:
    claim = endings.claim_of(execution)
    what = "The worker was lost after it said that it was making the call and before it recorded an answer."
    endings.answered(trail, claim, attempt, AttemptState.UNKNOWN, code="Unknown", message=what)
    outcome = f"It is not known whether {attempt.operation} took effect. {what} CloudTrail's record of the call will settle it."
    endings.end(trail, claim, ExecutionState.UNKNOWN, outcome)


def _back_to_the_queue(execution: Execution) -> None:
    """A promise for whoever is free; unless there is one already."""
    promised = OutboxMessage.objects.filter(kind=OutboxKind.EXECUTE, subject=str(execution.pk), done_at=None)
    if not promised.exists():
        outbox.put(OutboxKind.EXECUTE, execution.pk)


# --- settling by evidence ---


def _by_evidence(execution: Execution, attempt: Attempt, patience: Patience) -> None:
    """AWS's answer or CloudTrail's record says whether it took effect; then the target must have settled."""
    proof = Proof.objects.select_related("record").filter(attempt=attempt).first()
    claim = _fenced(execution)
    if attempt.state != AttemptState.ACCEPTED:
        if proof is None:
            return
        record = proof.record
        if record.outcome != Outcome.SUCCEEDED:
            if record.error_code not in INCONCLUSIVE:
                _had_no_effect(claim, attempt, record.error_code, record.event_id)
            return
    try:
        plan = execution.revision.plan
        trouble = _look(claim, plan, plan.steps[attempt.step], patience)
    except CountersignError as error:
        trouble = str(error)
    if trouble:
        log.info("not settled yet: %s", trouble)
        _give_up_waiting(execution, claim, attempt, trouble, patience)
        return
    how = f"CloudTrail event {proof.record.event_id}" if proof else "AWS's answer"
    with audit.recorded() as trail:
        endings.settle(trail, claim, attempt, how=how)
        if attempt.step + 1 == len(plan.steps):
            endings.end(trail, claim, ExecutionState.SUCCEEDED, f"It took effect, by {how}, and the target has settled.")
        elif execution.execution_state is ExecutionState.UNKNOWN:
            left = len(plan.steps) - attempt.step - 1
            endings.end(
                trail,
                claim,
                ExecutionState.FAILED,
                f"Step {attempt.step + 1} took effect, by {how}; the {left} after it were not made. File them again.",
            )
        else:
            _let_go(claim, timedelta(0))  # the next sweep hands the steps that are left to whoever is free


def _fenced(execution: Execution) -> Claim:
    """A running execution gets a new token, so that its former worker, should it wake up, writes nothing any more."""
    claim = endings.claim_of(execution)
    if execution.execution_state is ExecutionState.UNKNOWN:
        return claim
    with audit.recorded() as trail:
        moved = Execution.objects.filter(pk=claim.execution_id, token=claim.token, lease_until=execution.lease_until).update(
            token=claim.token + 1, lease_until=timezone.now() + LEASE
        )
        if not moved:
            raise Superseded("Somebody else took it meanwhile.")
        trail.add(
            AuditKind.EXECUTION_TAKEN_OVER,
            actor=endings.ACTOR,
            request=claim.request_id,
            execution=str(claim.execution_id),
            token=claim.token + 1,
        )
    return Claim(claim.execution_id, claim.request_id, claim.token + 1)


def _look(claim: Claim, plan: Plan, step: Step, patience: Patience) -> str:
    """Whether the target has settled, seen twice by a session that may only read; "" or why not. Raises CountersignError."""
    account = authority.walk(settings.GENESIS).accounts[plan.account]
    policy = target.policy(step, target.where(plan), acting=False)
    source = f"reconcile-{claim.execution_id}"
    with aws.assume(account, source, policy, region=plan.region, name="countersign-reconcile") as session:
        return target.look_twice(session, step, patience)


def _give_up_waiting(execution: Execution, claim: Claim, attempt: Attempt, trouble: str, patience: Patience) -> None:
    """A call that AWS accepted and whose worker was lost: after as long as that worker would have waited it is unknown."""
    if execution.execution_state is not ExecutionState.RUNNING:
        return
    with audit.recorded() as trail:
        if (attempt.answered_at or attempt.sent_at) + timedelta(seconds=patience.bound) <= timezone.now():
            outcome = f"AWS accepted {attempt.operation}, but its end was not seen: {trouble}."
            endings.end(trail, claim, ExecutionState.UNKNOWN, outcome)
        else:
            _let_go(claim, LOOK_AGAIN)


def _let_go(claim: Claim, after: timedelta) -> None:
    Execution.objects.filter(pk=claim.execution_id, token=claim.token).update(lease_until=timezone.now() + after)


def _had_no_effect(claim: Claim, attempt: Attempt, code: str, event: str) -> None:
    with audit.recorded() as trail:
        message = f"CloudTrail event {event} says that AWS refused the call."
        endings.answered(trail, claim, attempt, AttemptState.REJECTED, code=code, message=message)
        endings.end(trail, claim, ExecutionState.FAILED, f"It had no effect: {code}. {message}")


# --- calls without proof ---


def unproven(now: datetime) -> None:
    """One alert for each request whose call succeeded, by AWS's own answer, and that CloudTrail shows nothing of for too long."""
    warned = Alert.objects.filter(kind=AlertKind.UNPROVEN, request=OuterRef("execution__revision__request"))
    found = Attempt.objects.filter(
        ~Exists(warned),
        state=AttemptState.SUCCEEDED,
        proof=None,
        execution__state=ExecutionState.SUCCEEDED,
        settled_at__lte=now - timedelta(seconds=settings.UNPROVEN_AFTER),
    )
    for pk in list(found.values_list("execution_id", flat=True).distinct()[:100]):
        with audit.recorded() as trail:
            execution = endings.locked(pk)
            if execution is None or not found.filter(execution=execution).exists():
                continue
            request = execution.revision.request
            raise_alert(
                trail,
                AlertKind.UNPROVEN,
                title=f"CloudTrail shows nothing of {request.operation} {request.target}",
                detail=(
                    f"Execution {pk} succeeded by AWS's own answer, and no event of it arrived. Look whether the trail, the rule "
                    "and the queue still work: what the executor does is not being watched."
                ),
                actor=endings.ACTOR,
                request=request,
            )
