"""Carrying out what was approved, at most once. The only writer of an execution's state besides `executor.reconcile`.

1. Lock the request, then the execution. It must be `ready` and past its hold, or its owner's lease ran out with no call sent.
2. Judge all of it again: walk the chain of authority from the pinned genesis, verify signatures, rights, clocks and guardrails.
3. Commit `claimed` with a new fencing token and a lease. Whatever does not hold aborts here, and nothing is sent.
4. For each step: assume the account's role afresh, held down to this call on this target; open what is sealed in it.
5. Commit `running` and the attempt as `sent`, with the session's access key id, on condition that the token is still ours.
6. Make one wire call. Nobody ever makes it again for this attempt.
7. Commit the answer: accepted, rejected (failed, no effect) or unknown.
8. Look at the target until the call has settled; commit that.
9. Commit the end; tell the requester, write the mirror, raise an alert where it did not go well.

A worker lost up to 5 is taken over when its lease ends; one lost between 5 and 7 leaves `unknown`; see `executor.reconcile`.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from django.db import IntegrityError, InterfaceError, OperationalError, connection
from django.utils import timezone

from approvals import audit, correlation, outbox
from approvals.errors import AuditUnavailable
from approvals.models import Attempt, AuditKind, Execution, OutboxMessage
from approvals.operations import catalog
from approvals.plan import Step
from approvals.states import AttemptState, ExecutionState
from approvals.unseen import unseen
from executor import aws, endings, opening, points, target
from executor.answers import Accepted, Answer, Rejected
from executor.aws import Session
from executor.claim import LEASE, Cleared, Later, take
from executor.endings import ACTOR, Claim
from executor.errors import AwsError, AwsRefused, AwsUnavailable, Superseded
from executor.opening import Opened
from executor.points import Point
from executor.target import Patience

log = logging.getLogger(__name__)
# A call is only begun when its whole time-out fits into what is left of the lease.
LONGEST_CALL: Final = timedelta(seconds=aws.CONNECT_TIMEOUT + aws.READ_TIMEOUT)
BACK_OFF: Final = timedelta(seconds=10)
# Seconds between two tries to record an answer: a deadlock is over at once, a database restarts within some.
PAUSES: Final = (0.1, 0.5, 2.0, 5.0)


def keep(message: OutboxMessage, *, patience: Patience | None = None) -> None:
    """Keep an `execute` promise. Repeats are harmless: the second finds the claim and stops."""
    with correlation.bound(execution_id=message.subject):
        try:
            later = carry_out(_id(message.subject), patience=patience)
        except AuditUnavailable as error:
            log.exception("nothing was executed: the audit trail cannot be written")
            outbox.put_off(message, str(error))
            return
        if later is not None:
            outbox.put_off(message, later.why, until=later.until)
            return
        points.reached(Point.FINISHED)
        outbox.done(message)


def _id(subject: str) -> UUID:
    # Whoever can write the outbox can write anything into it; what is no id names no execution.
    try:
        return UUID(subject)
    except ValueError:
        return UUID(int=0)


def carry_out(execution_id: UUID, *, patience: Patience | None = None) -> Later | None:
    """Carry out one execution as far as it goes now. None: nothing is left for this promise. See the module's numbered steps.

    Raises AuditUnavailable, and DatabaseError when the database is down: then nothing was sent that is not recorded as `sent`.
    """
    found = take(execution_id)
    if not isinstance(found, Cleared):
        return found
    points.reached(Point.CLAIMED)
    try:
        return _steps(found, patience or target.PATIENCE)
    except Superseded as error:
        log.warning("stopped: %s", error)
        return None


# --- 4 to 8: the steps ---


def _steps(cleared: Cleared, patience: Patience) -> Later | None:
    claim, last = cleared.claim, ""
    left = [(index, step) for index, step in enumerate(cleared.plan.steps) if index not in cleared.done]
    # A plan is not begun of which a later step could not be made.
    for _, step in left[1:]:
        if not isinstance(later := _opened(claim, cleared, step), Opened):
            return later
    for index, step in left:
        session = _assume(cleared, index, step)
        if not isinstance(session, Session):
            return session
        with session:
            opened = _opened(claim, cleared, step)
            if not isinstance(opened, Opened):
                return opened
            points.reached(Point.ASSUMED)
            attempt = _sent(cleared, index, step, session)
            points.reached(Point.SENT)
            answer = _call(claim, step, session, opened)
            points.reached(Point.CALLED)
            if not _answered(cleared, attempt, step, answer):
                return None
            points.reached(Point.ANSWERED)
            keep_claim = partial(renew, claim)
            trouble = target.wait_until_settled(session, step, patience, still_mine=keep_claim)
        if trouble:
            _end_alone(claim, ExecutionState.UNKNOWN, f"AWS accepted {step.operation}, but its end was not seen: {trouble}.")
            return None
        endings.settled(claim, attempt)
        points.reached(Point.SETTLED)
        last = step.operation
    _end_alone(claim, ExecutionState.SUCCEEDED, f"AWS carried out {last or 'every step'}, and the target has settled.")
    return None


def _assume(cleared: Cleared, index: int, step: Step) -> Session | Later | None:
    """A session for this step alone. None: AWS refused it for good, and the execution has failed without a call."""
    claim = cleared.claim
    try:
        return aws.assume(
            cleared.account,
            str(claim.execution_id),
            target.policy(step, target.where(cleared.plan), acting=True),
            region=cleared.plan.region,
            name=f"countersign-step-{index + 1}",
            tags={"countersign:request": str(claim.request_id)},
        )
    except AwsError as error:
        return _not_begun(claim, error, "The executor's role could not be assumed")


def _opened(claim: Claim, cleared: Cleared, step: Step) -> Opened | Later | None:
    """The step with what is sealed in it open. None: it does not open, and the execution has failed without this call."""
    try:
        return opening.opened(step, target.where(cleared.plan))
    except AwsError as error:
        return _not_begun(claim, error, f"What is sealed in {step.operation} could not be opened")


def _not_begun(claim: Claim, error: AwsError, what: str) -> Later | None:
    """Nothing was sent for this step: later, where AWS may have a better answer then; else the execution has failed."""
    if isinstance(error, AwsUnavailable) or (isinstance(error, AwsRefused) and error.throttled):
        # Whoever comes next may take over at once, and judges everything again.
        _move(claim, lease_until=timezone.now())
        return Later(timezone.now() + BACK_OFF, str(error))
    _end_alone(claim, ExecutionState.FAILED, f"{what}, so no call was made. {error}")
    return None


def _sent(cleared: Cleared, index: int, step: Step, session: Session) -> Attempt:
    """Say, before the call, that it is being made and under which access key."""
    claim, now = cleared.claim, timezone.now()
    try:
        with audit.recorded() as trail:
            _move(claim, state=ExecutionState.RUNNING, lease_until=now + LEASE)
            attempt = Attempt.objects.create(
                execution_id=claim.execution_id,
                step=index,
                number=Attempt.objects.filter(execution_id=claim.execution_id, step=index).count() + 1,
                token=claim.token,
                operation=step.name,
                region=cleared.plan.region,
                access_key_id=session.access_key_id,
                sent_at=now,
            )
            trail.add(
                AuditKind.ATTEMPT_SENT,
                actor=ACTOR,
                request=claim.request_id,
                execution=str(claim.execution_id),
                step=index,
                number=attempt.number,
                operation=step.name,
                access_key_id=session.access_key_id,
            )
    except IntegrityError as error:
        raise Superseded(f"The database refused the attempt: {error}") from error
    return attempt


def _call(claim: Claim, step: Step, session: Session, opened: Opened) -> Answer:
    """The one wire call; not made any more when this worker was held up for so long that somebody may have given it up."""
    mine = Execution.objects.filter(
        pk=claim.execution_id,
        token=claim.token,
        state=ExecutionState.RUNNING,
        lease_until__gt=timezone.now() + LONGEST_CALL,
    )
    if not mine.exists():
        return Rejected("NotSent", "The worker was held up and lost its claim before the call, so the call was not made.")
    with unseen(opened.forms()):
        return opened.hidden(session.mutate(step.service, step.operation, opened.parameters))


def _answered(cleared: Cleared, attempt: Attempt, step: Step, answer: Answer) -> bool:
    """Commit what AWS said; whether it said yes. An answer that comes after somebody called it unknown still counts.

    AWS says it once: the recording, never the call, is repeated when the database breaks off (a deadlock, a restart).
    """
    log.info("AWS answered", extra={"operation": step.name, "aws_request_id": answer.request_id, "answer": type(answer).__name__})
    for pause in (*PAUSES, None):
        try:
            return _recorded(cleared, attempt, step, answer)
        except (OperationalError, InterfaceError, AuditUnavailable) as error:
            cause = error.__cause__ if isinstance(error, AuditUnavailable) else error
            if pause is None or not isinstance(cause, OperationalError | InterfaceError):
                log.critical("AWS's answer is not recorded", extra={"operation": step.name, "aws_request_id": answer.request_id})
                raise
            log.warning("AWS's answer could not be recorded; once more: %s", error)
            # A connection that was lost is made anew by the next query.
            connection.close()
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _recorded(cleared: Cleared, attempt: Attempt, step: Step, answer: Answer) -> bool:
    claim, operation = cleared.claim, catalog.get(step.name)
    with audit.recorded() as trail:
        if isinstance(answer, Accepted):
            text = target.answer_text(operation, answer.answer)
            if target.only_a_part(step, answer.answer):
                endings.answered(trail, claim, attempt, AttemptState.PARTIAL, request_id=answer.request_id, answer=text)
                what = f"AWS carried out only a part of {step.operation}; its answer names the rest. No later step was made."
                endings.end(trail, claim, ExecutionState.FAILED, what)
                return False
            endings.answered(trail, claim, attempt, AttemptState.ACCEPTED, request_id=answer.request_id, answer=text)
            _move(claim, lease_until=timezone.now() + LEASE)
        elif isinstance(answer, Rejected):
            endings.answered(
                trail,
                claim,
                attempt,
                AttemptState.REJECTED,
                request_id=answer.request_id,
                code=answer.code,
                message=answer.message,
            )
            endings.end(trail, claim, ExecutionState.FAILED, f"AWS refused {step.operation}: {answer.code}: {answer.message}")
        else:
            endings.answered(
                trail, claim, attempt, AttemptState.UNKNOWN, request_id=answer.request_id, code="Unknown", message=answer.what
            )
            what = f"It is not known whether {step.operation} took effect. {answer.what}"
            endings.end(trail, claim, ExecutionState.UNKNOWN, what)
    return isinstance(answer, Accepted)


def renew(claim: Claim) -> None:
    """Keep the claim while the target settles. Raises Superseded."""
    _move(claim, lease_until=timezone.now() + LEASE)


def _move(claim: Claim, **fields: object) -> None:
    open_states = [ExecutionState.CLAIMED, ExecutionState.RUNNING, ExecutionState.UNKNOWN]
    if "state" in fields:
        open_states = [ExecutionState.CLAIMED, ExecutionState.RUNNING]
    moved = Execution.objects.filter(pk=claim.execution_id, token=claim.token, state__in=open_states).update(**fields)
    if not moved:
        raise Superseded("The claim was taken over or ended meanwhile.")


def _end_alone(claim: Claim, state: ExecutionState, outcome: str) -> None:
    with audit.recorded() as trail:
        endings.end(trail, claim, state, outcome)
