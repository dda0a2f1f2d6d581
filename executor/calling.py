"""One call on the wire: steps 5 to 7 of `executor.run`. `sent` committed, the call made once, its answer committed.

An attempt that AWS definitely refused for a reason that passes is followed by another under the same approval (`executor.again`).
A call of EC2 is rehearsed first (DryRun), in an attempt of its own.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, InterfaceError, OperationalError, connection
from django.db.models import Exists
from django.utils import timezone

from approvals import audit, statements
from approvals.audit import Trail
from approvals.errors import AuditUnavailable, NotYet
from approvals.models import ApprovalRequest, Attempt, AuditKind, Execution
from approvals.operations import catalog, partial
from approvals.plan import Step
from approvals.states import AttemptState, ExecutionState, RequestState
from approvals.unseen import unseen
from executor import additions, again, aws, endings, holding, outside, plain, points, stuck
from executor.answers import NOT_CONNECTED, NOT_SENT, Accepted, Answer, Rejected, Unknown
from executor.aws import Session
from executor.claim import LEASE, Cleared, Later
from executor.endings import ACTOR, Claim
from executor.errors import Superseded
from executor.opening import Opened
from executor.outside import Held
from executor.points import Point

log = logging.getLogger(__name__)
# A call is only begun when its whole time-out fits into what is left of the lease.
LONGEST_CALL: Final = timedelta(seconds=aws.CONNECT_TIMEOUT + aws.READ_TIMEOUT)
# Of what AWS did not do; its answer is stored whole beside.
LONGEST_LIST: Final = 1500
# Seconds between two tries to record an answer: a deadlock is over at once, a database restarts within some.
PAUSES: Final = (0.1, 0.5, 2.0, 5.0)


def rehearsal_is_due(cleared: Cleared, index: int, step: Step) -> bool:
    """Whether AWS can be asked first whether it would, and did not say so yet."""
    if not additions.may_rehearse(catalog.get(step.name), step):
        return False
    before = Attempt.objects.filter(execution_id=cleared.claim.execution_id, step=index, rehearsal=True)
    return not before.filter(error_code=additions.WOULD_SUCCEED).exists()


def made(
    cleared: Cleared, index: int, step: Step, session: Session, opened: Opened, *, rehearsal: bool = False
) -> Attempt | Later | None:
    """One attempt, from its claim to its answer. None: it was no yes, and the execution is ended or its outcome unknown."""
    points.reached(Point.CLAIMING)
    held = holding.claimed_outside(cleared, index)
    if not isinstance(held, Held):
        return held
    points.reached(Point.CLAIMED_OUTSIDE)
    try:
        attempt = sent(cleared, index, step, session, held, rehearsal=rehearsal)
    except (AuditUnavailable, Superseded):
        # Rolled back for certain: whoever of this process comes again need not take its own claim for another's.
        outside.unused(held)
        raise
    except OperationalError as error:
        if stuck.is_passing(error):  # PostgreSQL broke it off itself, and lives
            outside.unused(held)
        raise
    if not isinstance(attempt, Attempt):
        return attempt
    points.reached(Point.REHEARSAL_SENT if rehearsal else Point.SENT)
    answer = call(cleared, step, session, opened, attempt)
    points.reached(Point.REHEARSAL_CALLED if rehearsal else Point.CALLED)
    found = answered(cleared, attempt, step, answer)
    if isinstance(found, Later):
        points.reached(Point.PUT_OFF)
        return found
    points.reached(Point.REHEARSED if rehearsal else Point.ANSWERED)
    return attempt if found else None


def sent(cleared: Cleared, index: int, step: Step, session: Session, held: Held, *, rehearsal: bool = False) -> Attempt | Later:
    """Say, before the call, that it is being made, under which access key, which claim outside and with which token.

    Later, when somebody paused all executions since this was claimed, or stopped this one while nobody seemed to have it, or when
    the lease is over that was taken with the judgement.
    """
    try:
        with audit.recorded() as trail:
            # The request first: whoever waits for it must not hold up a pause.
            _must_be_wanted(cleared)
            statements.must_still_run(cleared.resumed)
            holding.kept_while_it_lasts(cleared.claim, state=ExecutionState.RUNNING)
            attempt = _announced(cleared, index, step, session, held, rehearsal=rehearsal)
            trail.add(
                AuditKind.ATTEMPT_SENT,
                actor=ACTOR,
                request=cleared.claim.request_id,
                execution=str(cleared.claim.execution_id),
                step=index,
                number=attempt.number,
                operation=step.name,
                access_key_id=session.access_key_id,
                rehearsal=rehearsal or None,
                client_token=attempt.client_token or None,
                claimed_as=held.key or None,
            )
    except NotYet as reason:
        return _not_sent(cleared, index, step, session, held, str(reason), rehearsal=rehearsal)
    except IntegrityError as error:
        raise Superseded(f"The database refused the attempt: {error}") from error
    return attempt


def _must_be_wanted(cleared: Cleared) -> None:
    """Nobody has ended the request, and nobody does until this is committed. Raises NotYet: whoever comes next ends it."""
    asked = ApprovalRequest.objects.select_for_update(no_key=True).filter(pk=cleared.claim.request_id)
    now = asked.values_list("state", "revision_number").first()
    if now != (RequestState.APPROVED, cleared.plan.revision):
        raise NotYet("The request was ended meanwhile.")


def _announced(cleared: Cleared, index: int, step: Step, session: Session, held: Held, *, rehearsal: bool) -> Attempt:
    claim, operation, now = cleared.claim, catalog.get(step.name), timezone.now()
    return Attempt.objects.create(
        execution_id=claim.execution_id,
        step=index,
        number=held.number,
        token=claim.token,
        operation=step.name,
        region=cleared.plan.region,
        access_key_id=session.access_key_id,
        sent_at=now,
        rehearsal=rehearsal,
        claimed_as=held.key,
        client_token=additions.token_for(operation, step, claim.execution_id, index, rehearsal=rehearsal),
    )


def _not_sent(cleared: Cleared, index: int, step: Step, session: Session, held: Held, why: str, *, rehearsal: bool) -> Later:
    """The pause came between the claim outside and `sent`. Whoever comes after it may take over, and judges everything again.

    The claim outside is used up: the attempt that accounts for it is never committed as `sent`, but at once as rejected.
    """
    if held.key:
        try:
            with audit.recorded() as trail:
                endings.move(cleared.claim, state=ExecutionState.RUNNING)
                attempt = _announced(cleared, index, step, session, held, rehearsal=rehearsal)
                said = f"Not sent. {why}"
                endings.answered(
                    trail, cleared.claim, attempt, AttemptState.REJECTED, code=NOT_SENT, message=said, may_repeat=True
                )
        except IntegrityError as error:
            raise Superseded(f"The database refused the attempt: {error}") from error
    endings.move(cleared.claim, lease_until=timezone.now())
    return Later(timezone.now() + holding.PAUSED_FOR, why)


def call(cleared: Cleared, step: Step, session: Session, opened: Opened, attempt: Attempt) -> Answer:
    """The one wire call; not made any more when this worker was held up until somebody may have given it up, or paused it."""
    claim = cleared.claim
    mine = Execution.objects.filter(
        pk=claim.execution_id,
        token=claim.token,
        state=ExecutionState.RUNNING,
        lease_until__gt=timezone.now() + LONGEST_CALL,
    )
    paused = mine.values_list(Exists(statements.paused_since(cleared.resumed)), flat=True).first()
    if paused is None:
        said = "The worker was held up and lost its claim before the call, so the call was not made."
        return Rejected(NOT_SENT, said, passing=attempt.rehearsal)  # a rehearsal changes nothing, and is made again
    if paused:
        return Rejected(NOT_SENT, "Executions were paused before the call, so the call was not made.", passing=True)
    points.reached(Point.FENCED)
    beside = additions.added(catalog.get(step.name), attempt.client_token, rehearsal=attempt.rehearsal)
    with unseen(opened.forms()):
        return opened.hidden(session.mutate(step.service, step.operation, {**opened.parameters, **beside}))


def answered(cleared: Cleared, attempt: Attempt, step: Step, answer: Answer) -> Later | bool:
    """Commit what AWS said; whether it said yes, or when it is asked again. It still counts when it was called unknown meanwhile.

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


def _recorded(cleared: Cleared, attempt: Attempt, step: Step, answer: Answer) -> Later | bool:
    claim = cleared.claim
    with audit.recorded() as trail:
        answer = _unless_in_part(attempt, step, _unless_given_before(attempt, answer))
        if isinstance(answer, Rejected):
            return _refused(trail, claim, attempt, step, answer)
        if attempt.rehearsal:
            return _odd_rehearsal(trail, claim, attempt, step, answer)
        if isinstance(answer, Accepted):
            return _accepted(trail, claim, attempt, step, answer)
        endings.answered(
            trail, claim, attempt, AttemptState.UNKNOWN, request_id=answer.request_id, code="Unknown", message=answer.what
        )
        what = f"It is not known whether {step.operation} took effect. {answer.what}"
        endings.end(trail, claim, ExecutionState.UNKNOWN, what)
        return False


def _unless_given_before(attempt: Attempt, answer: Answer) -> Answer:
    """The answer, unless it was given to another call: somebody who keeps answers of AWS's may have let this one through."""
    if not answer.request_id or not Attempt.objects.filter(aws_request_id=answer.request_id).exclude(pk=attempt.pk).exists():
        return answer
    return Unknown(f"The answer has the request id of an earlier call's ({answer.request_id}).")


def _unless_in_part(attempt: Attempt, step: Step, answer: Answer) -> Answer:
    """The answer, unless it is a refusal of a call that AWS may have carried out in part before it refused the rest."""
    if attempt.rehearsal or not isinstance(answer, Rejected) or not partial.may_be_done(step, answer.code):
        return answer
    what = f"AWS refused it ({answer.code}: {answer.message}), which by its documentation may come after a part of it was done."
    return Unknown(what, answer.request_id)


def _accepted(trail: Trail, claim: Claim, attempt: Attempt, step: Step, answer: Accepted) -> bool:
    text = plain.answer_text(catalog.get(step.name), answer.answer)
    if left := plain.not_done(step, answer.answer):
        endings.answered(trail, claim, attempt, AttemptState.PARTIAL, request_id=answer.request_id, answer=text)
        what = f"AWS carried out only a part of {step.operation}, and names the rest: {_short(left)} No later step was made."
        endings.end(trail, claim, ExecutionState.FAILED, what, in_part=True)
        return False
    endings.answered(trail, claim, attempt, AttemptState.ACCEPTED, request_id=answer.request_id, answer=text)
    endings.move(claim, lease_until=timezone.now() + LEASE)
    return True


def _refused(trail: Trail, claim: Claim, attempt: Attempt, step: Step, answer: Rejected) -> Later | bool:
    """Definitely no effect: a rehearsal that passed, a call that is made again later, or the end."""
    passed = attempt.rehearsal and answer.code == additions.WOULD_SUCCEED
    # Locked before it is asked: what somebody called unknown meanwhile is not tried again.
    execution = endings.locked(claim.execution_id)
    running = execution is not None and execution.execution_state is ExecutionState.RUNNING
    until = again.next_try(claim, attempt) if answer.passing and running else None
    endings.answered(
        trail,
        claim,
        attempt,
        AttemptState.REJECTED,
        request_id=answer.request_id,
        code=answer.code,
        message=answer.message,
        may_repeat=until is not None,
    )
    if passed:
        return True  # the lease is begun anew with the claim outside of the call itself, while it lasts
    refused = f"AWS refused {step.operation}: {answer.code}: {answer.message}"
    said = answer.message if answer.code in {NOT_SENT, NOT_CONNECTED} else refused
    if until is not None:
        again.put_off(trail, claim, until, said, attempt=attempt)
        return Later(until, said)
    if answer.passing:
        said += f" It was tried {again.tries_of(attempt)} times, and is not tried again."
    if attempt.rehearsal:
        said += " This was a rehearsal (DryRun); the call itself was not made."
    endings.end(trail, claim, ExecutionState.FAILED, said)
    return False


def _odd_rehearsal(trail: Trail, claim: Claim, attempt: Attempt, step: Step, answer: Accepted | Unknown) -> Later | bool:
    """A rehearsal without an answer had no effect by AWS's contract and is made again; a yes to one breaks that contract."""
    if isinstance(answer, Accepted):
        text = plain.answer_text(catalog.get(step.name), answer.answer)
        endings.answered(trail, claim, attempt, AttemptState.ACCEPTED, request_id=answer.request_id, answer=text)
        what = f"AWS took the rehearsal (DryRun) of {step.operation} for the call itself. What it did is not known."
        endings.end(trail, claim, ExecutionState.UNKNOWN, what)
        return False
    silent = Rejected(additions.NO_ANSWER, f"A rehearsal changes nothing. {answer.what}", answer.request_id, passing=True)
    return _refused(trail, claim, attempt, step, silent)


def _short(text: str) -> str:
    return f"{text}." if len(text) <= LONGEST_LIST else f"{text[:LONGEST_LIST]}... (AWS's whole answer stands in the timeline)."


def renew(claim: Claim) -> None:
    """Keep the claim while the target settles. Raises Superseded."""
    endings.move(claim, lease_until=timezone.now() + LEASE)
