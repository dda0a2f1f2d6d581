"""One call on the wire: steps 4 to 7 of `executor.run`. A session, `sent` committed, the call made once, its answer committed."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, InterfaceError, OperationalError, connection
from django.utils import timezone

from approvals import audit
from approvals.alerts import raise_alert
from approvals.errors import AuditUnavailable
from approvals.models import AlertKind, ApprovalRequest, Attempt, AuditKind, Execution
from approvals.operations import catalog
from approvals.plan import Step
from approvals.states import AttemptState, ExecutionState
from approvals.unseen import unseen
from executor import aws, endings, opening, outside, stuck, target
from executor.answers import Accepted, Answer, Rejected
from executor.aws import Session
from executor.claim import LEASE, Cleared, Later
from executor.endings import ACTOR, Claim
from executor.errors import AwsError, AwsRefused, AwsUnavailable, ClaimedElsewhere, NoPlaceForClaims, Superseded
from executor.opening import Opened
from executor.outside import Held

log = logging.getLogger(__name__)
# A call is only begun when its whole time-out fits into what is left of the lease.
LONGEST_CALL: Final = timedelta(seconds=aws.CONNECT_TIMEOUT + aws.READ_TIMEOUT)
# Of what AWS did not do; its answer is stored whole beside.
LONGEST_LIST: Final = 1500
BACK_OFF: Final = timedelta(seconds=10)
# Seconds between two tries to record an answer: a deadlock is over at once, a database restarts within some.
PAUSES: Final = (0.1, 0.5, 2.0, 5.0)


def assume(cleared: Cleared, index: int, step: Step) -> Session | Later | None:
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


def opened_step(claim: Claim, cleared: Cleared, step: Step) -> Opened | Later | None:
    """The step with what is sealed in it open. None: it does not open, and the execution has failed without this call."""
    try:
        return opening.opened(step, target.where(cleared.plan))
    except AwsError as error:
        return _not_begun(claim, error, f"What is sealed in {step.operation} could not be opened")


def _not_begun(claim: Claim, error: AwsError, what: str) -> Later | None:
    """Nothing was sent for this step: later, where AWS may have a better answer then; else the execution has failed."""
    if isinstance(error, AwsUnavailable) or (isinstance(error, AwsRefused) and error.throttled):
        # Whoever comes next may take over at once, and judges everything again.
        move(claim, lease_until=timezone.now())
        return Later(timezone.now() + BACK_OFF, str(error))
    end_alone(claim, ExecutionState.FAILED, f"{what}, so no call was made. {error}")
    return None


def claimed_outside(cleared: Cleared, index: int) -> Held | Later | None:
    """The claim of the step's next attempt outside the database; it lies there before `sent` is committed.

    None: somebody else's was found, so that the outcome is unknown and nothing is sent.
    """
    claim = cleared.claim
    # Who was taken over meanwhile leaves no claim behind that nobody could account for.
    move(claim, lease_until=timezone.now() + LEASE)
    try:
        return outside.claim(claim, cleared.digest, index)
    except ClaimedElsewhere as found:
        _unknown_by_claim(claim, found)
        return None
    except AwsError as error:
        # Nothing was sent, and nothing is by this worker. Whoever comes next may find what we wrote, and calls it unknown.
        log.warning("no claim outside the database, so no call: %s", error)
        if isinstance(error, NoPlaceForClaims):
            stuck.say_once("Nothing is executed: the bucket for claims cannot be used", str(error), actor=ACTOR)
        move(claim, lease_until=timezone.now())
        return Later(
            timezone.now() + BACK_OFF, f"The claim outside the database could not be written, so nothing was sent. {error}"
        )


def _unknown_by_claim(claim: Claim, found: ClaimedElsewhere) -> None:
    outcome = (
        f"It is not known whether this was carried out before: a claim that this database does not know of lies outside of it. "
        f"{found.found} Nothing was sent now. Either this database was restored from a backup, or a worker was lost right before "
        "the call. Look at the target, at CloudTrail and at the claim before anybody closes this or asks for it again."
    )
    with audit.recorded() as trail:
        endings.end(trail, claim, ExecutionState.UNKNOWN, outcome)
        request = ApprovalRequest.objects.get(pk=claim.request_id)
        raise_alert(
            trail,
            AlertKind.CLAIMED,
            title=f"Claimed outside this database: {request.operation} {request.target}",
            detail=f"{found.key}: {found.found} The execution {claim.execution_id} was stopped before its call.",
            actor=ACTOR,
            request=request,
        )


def sent(cleared: Cleared, index: int, step: Step, session: Session, held: Held) -> Attempt:
    """Say, before the call, that it is being made, under which access key and which claim outside the database."""
    claim, now = cleared.claim, timezone.now()
    try:
        with audit.recorded() as trail:
            move(claim, state=ExecutionState.RUNNING, lease_until=now + LEASE)
            attempt = Attempt.objects.create(
                execution_id=claim.execution_id,
                step=index,
                number=held.number,
                claimed_as=held.key,
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


def call(claim: Claim, step: Step, session: Session, opened: Opened) -> Answer:
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


def answered(cleared: Cleared, attempt: Attempt, step: Step, answer: Answer) -> bool:
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
            if left := target.not_done(step, answer.answer):
                endings.answered(trail, claim, attempt, AttemptState.PARTIAL, request_id=answer.request_id, answer=text)
                what = (
                    f"AWS carried out only a part of {step.operation}, and names the rest: {_short(left)} No later step was made."
                )
                endings.end(trail, claim, ExecutionState.FAILED, what, in_part=True)
                return False
            endings.answered(trail, claim, attempt, AttemptState.ACCEPTED, request_id=answer.request_id, answer=text)
            move(claim, lease_until=timezone.now() + LEASE)
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


def _short(text: str) -> str:
    return f"{text}." if len(text) <= LONGEST_LIST else f"{text[:LONGEST_LIST]}... (AWS's whole answer stands in the timeline)."


def renew(claim: Claim) -> None:
    """Keep the claim while the target settles. Raises Superseded."""
    move(claim, lease_until=timezone.now() + LEASE)


def move(claim: Claim, **fields: object) -> None:
    open_states = [ExecutionState.CLAIMED, ExecutionState.RUNNING, ExecutionState.UNKNOWN]
    if "state" in fields:
        open_states = [ExecutionState.CLAIMED, ExecutionState.RUNNING]
    moved = Execution.objects.filter(pk=claim.execution_id, token=claim.token, state__in=open_states).update(**fields)
    if not moved:
        raise Superseded("The claim was taken over or ended meanwhile.")


def end_alone(claim: Claim, state: ExecutionState, outcome: str) -> None:
    with audit.recorded() as trail:
        endings.end(trail, claim, state, outcome)
