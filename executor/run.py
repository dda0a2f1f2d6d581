"""Carrying out what was approved, at most once. The only writer of its state besides `reconcile` and `concluding`.

1. Lock the request, then the execution. It must be `ready` and past its hold, or its owner's lease ran out with no call sent.
2. Judge all of it again: walk the chain of authority from the pinned genesis, verify signatures, rights, clocks and guardrails.
3. Commit `claimed` with a new fencing token and a lease. Whatever does not hold aborts here, and nothing is sent; where it is the
   target, only once nothing was claimed outside either: it may have changed because this call was made.
4. For the next step: assume the account's role afresh, held down to this call on this target; ask AWS who the session is; open
   what is sealed in it. EC2 is asked first whether it would (DryRun), in an attempt of its own by 5 to 7.
5. Claim the attempt outside the database; then commit `running` and the attempt as `sent`, with the session's access key id, on
   condition that the token is still ours.
6. Make one wire call. Nobody ever makes it again for this attempt.
7. Commit the answer: accepted, rejected (no effect: failed, or put off and made again as a new attempt) or unknown.
8. Look at the target until the call has settled, and a backup is usable; commit that, with the ARN of the backup. Before a step
   that an earlier one's backup protects, that backup is looked at once more (`executor.protecting`).
9. Begin again at 1 for the step after it; a right, a window or the target of that one may not be what they were. After the last
   step commit the end; tell the requester, write the mirror, raise an alert where it did not go well.

A worker lost up to 5 is taken over when its lease ends; one lost between 5 and 7 leaves `unknown`; see
`executor.reconcile`, and for how that ends `executor.concluding`.
"""

from __future__ import annotations

import logging
from functools import partial
from uuid import UUID

from django.utils import timezone

from approvals import audit, correlation, outbox
from approvals.errors import AuditUnavailable
from approvals.models import Attempt, OutboxMessage
from approvals.plan import Step
from approvals.states import ExecutionState
from executor import aws, backups, calling, endings, holding, points, protecting, readying, rights, target, waiting
from executor.aws import Session
from executor.claim import Cleared, Later, Stopped, take
from executor.endings import Claim
from executor.errors import AwsError, Superseded, WillNotSettle
from executor.opening import Opened
from executor.points import Point
from executor.waiting import Patience

log = logging.getLogger(__name__)


def keep(message: OutboxMessage, *, patience: Patience | None = None) -> None:
    """Keep an `execute` promise. Repeats are harmless: the second finds the claim and stops."""
    with correlation.bound(execution_id=message.subject):
        points.reached(Point.TAKEN)
        try:
            later = carry_out(message.subject_id, patience=patience)
        except AuditUnavailable as error:
            log.exception("nothing was executed: the audit trail cannot be written")
            outbox.put_off(message, str(error))
            return
        if later is not None:
            outbox.put_off(message, later.why, until=later.until)
            return
        points.reached(Point.FINISHED)
        outbox.done(message)


def carry_out(execution_id: UUID, *, patience: Patience | None = None) -> Later | None:
    """Carry out one step of an execution. None: nothing is left for this promise. See the module's numbered steps.

    Raises AuditUnavailable, and DatabaseError when the database is down: then nothing was sent that is not recorded as `sent`.
    """
    found = take(execution_id)
    if found is None or isinstance(found, Later):
        return found
    points.reached(Point.CLAIMED)
    try:
        if isinstance(found, Stopped):
            return holding.stopped(found)
        return _next_step(found, patience or waiting.PATIENCE)
    except Superseded as error:
        log.warning("stopped: %s", error)
        return None


# --- 4 to 8: the steps (4 is in `executor.readying`, 5 to 7 are in `executor.calling`) ---


def _next_step(cleared: Cleared, patience: Patience) -> Later | None:
    claim = cleared.claim
    (index, step), *after = [(index, step) for index, step in enumerate(cleared.plan.steps) if index not in cleared.done]
    if not cleared.done and (ready := readying.all_can_be_made(cleared)) is not True:
        return ready or None
    points.reached(Point.STEP)
    attempt = _one(cleared, index, step)
    if not isinstance(attempt, Attempt):
        return attempt
    if not _settled(cleared, attempt, step, patience):
        return None
    points.reached(Point.SETTLED)
    if after:
        return _let_go(claim)
    endings.end_alone(claim, ExecutionState.SUCCEEDED, endings.end_in_words(cleared.plan.steps))
    return None


def _let_go(claim: Claim) -> Later:
    """The steps after this one are claimed anew, by whoever is free: it took its time, and the world may have changed since."""
    endings.move(claim, lease_until=timezone.now(), worker="")
    return Later(timezone.now(), "The next step is judged anew.")


def _one(cleared: Cleared, index: int, step: Step) -> Attempt | Later | None:
    """The attempt that AWS said yes to; or when to come back; None: it is over."""
    session = readying.assume(cleared, index, step)
    if not isinstance(session, Session):
        return session
    with session:
        opened = readying.opened_step(cleared.claim, cleared, step)
        if not isinstance(opened, Opened):
            return opened
        points.reached(Point.OPENED)
        if calling.rehearsal_is_due(cleared, index, step):
            passed = calling.made(cleared, index, step, session, opened, rehearsal=True)
            if not isinstance(passed, Attempt):
                return passed
        if (stands := protecting.still_protected(cleared, index, step)) is not True:
            return stands or None
        return calling.made(cleared, index, step, session, opened)


def _settled(cleared: Cleared, attempt: Attempt, step: Step, patience: Patience) -> bool:
    """Look until the call's effect is complete and commit that. False: that is not known, and nothing after it is made now."""
    claim, place = cleared.claim, target.where(cleared.plan)
    answer = backups.stored(Attempt.objects.values_list("answer", flat=True).get(pk=attempt.pk))
    reading = aws.reading(cleared.account, rights.reading_policy(step, place, answer), region=cleared.plan.region)
    try:
        trouble = waiting.wait_until_settled(reading, step, patience, still_mine=partial(_looking, claim), answer=answer)
        made = "" if trouble else protecting.name_of(reading, step, place, answer)
    except WillNotSettle as error:
        with audit.recorded() as trail:
            endings.fall_short(trail, claim, attempt, str(error))
        return False
    except AwsError as error:
        trouble, made = f"What it made could not be asked for. {error}", ""
    if trouble:
        # It takes as long as it takes. The sweep looks on, and hands the rest to whoever is free once it has settled.
        log.info("not settled yet: %s", trouble)
        endings.move(claim, lease_until=timezone.now())
        return False
    points.reached(Point.SEEN)
    return _settled_and_wanted(cleared, attempt, endings.how_it_settled(step), made)


def _settled_and_wanted(cleared: Cleared, attempt: Attempt, how: str, made: str) -> bool:
    """Commit that it has settled. What was called unknown meanwhile ends by it at once, as it would by evidence."""
    claim, steps = cleared.claim, cleared.plan.steps
    with audit.recorded() as trail:
        execution = endings.locked(claim.execution_id)
        endings.settle(trail, claim, attempt, how=how, made=made)
        if execution is None or execution.execution_state is not ExecutionState.UNKNOWN:
            return True
        endings.end_after(trail, claim, attempt, len(steps), how="AWS's answer", whole=endings.end_in_words(steps))
    return False


def _looking(claim: Claim) -> None:
    calling.renew(claim)
    points.reached(Point.LOOKING)
