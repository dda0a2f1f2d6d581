"""Carrying out what was approved, at most once. The only writer of an execution's state besides `executor.reconcile`.

1. Lock the request, then the execution. It must be `ready` and past its hold, or its owner's lease ran out with no call sent.
2. Judge all of it again: walk the chain of authority from the pinned genesis, verify signatures, rights, clocks and guardrails.
3. Commit `claimed` with a new fencing token and a lease. Whatever does not hold aborts here, and nothing is sent.
4. For each step: assume the account's role afresh, held down to this call on this target; open what is sealed in it.
5. Claim the attempt outside the database (`executor.outside`), then commit `running` and the attempt as `sent`, with the access
   key id of the session, on condition that the token is still ours.
6. Make one wire call. Nobody ever makes it again for this attempt.
7. Commit the answer: accepted, rejected (failed, no effect) or unknown.
8. Look at the target until the call has settled, and a backup is usable; commit that, with the ARN of the backup. Before a step
   that an earlier one's backup protects, that backup is looked at once more (`executor.protecting`).
9. Commit the end; tell the requester, write the mirror, raise an alert where it did not go well.

A worker lost before the claim of 5 is taken over when its lease ends; one lost between that claim and 7 leaves `unknown`; see
`executor.reconcile`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from django.utils import timezone

from approvals import audit, correlation, outbox
from approvals.errors import AuditUnavailable
from approvals.models import Attempt, OutboxMessage
from approvals.plan import Step
from approvals.states import ExecutionState
from executor import aws, calling, endings, points, protecting, target
from executor.answers import Accepted
from executor.aws import Session
from executor.claim import Cleared, Later, take
from executor.errors import Superseded, WillNotSettle
from executor.opening import Opened
from executor.outside import Held
from executor.points import Point
from executor.target import Patience

log = logging.getLogger(__name__)


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


# --- 4 to 8: the steps (4 to 7 are in `executor.calling`) ---


def _steps(cleared: Cleared, patience: Patience) -> Later | None:
    claim = cleared.claim
    left = [(index, step) for index, step in enumerate(cleared.plan.steps) if index not in cleared.done]
    # A plan is not begun of which a later step could not be made.
    for _, step in left[1:]:
        if not isinstance(later := calling.opened_step(claim, cleared, step), Opened):
            return later
    for index, step in left:
        if (stands := protecting.still_protected(cleared, index, step)) is not True:
            return stands or None
        session = calling.assume(cleared, index, step)
        if not isinstance(session, Session):
            return session
        with session:
            opened = calling.opened_step(claim, cleared, step)
            if not isinstance(opened, Opened):
                return opened
            points.reached(Point.ASSUMED)
            held = calling.claimed_outside(cleared, index)
            if not isinstance(held, Held):
                return held
            points.reached(Point.OUTSIDE)
            attempt = calling.sent(cleared, index, step, session, held)
            points.reached(Point.SENT)
            answer = calling.call(claim, step, session, opened)
            points.reached(Point.CALLED)
            if not calling.answered(cleared, attempt, step, answer):
                return None
            points.reached(Point.ANSWERED)
        if not _settled(cleared, attempt, step, answer.answer if isinstance(answer, Accepted) else {}, patience):
            return None
        points.reached(Point.SETTLED)
    calling.end_alone(claim, ExecutionState.SUCCEEDED, target.end_in_words(cleared.plan.steps))
    return None


def _settled(cleared: Cleared, attempt: Attempt, step: Step, answer: Mapping[str, Any], patience: Patience) -> bool:
    """Look until the call's effect is complete and commit that. False: that is not known, and nothing after it is made now."""
    claim, place = cleared.claim, target.where(cleared.plan)
    reading = aws.reading(cleared.account, target.reading_policy(step, place, answer), region=cleared.plan.region)
    keep_claim = partial(calling.renew, claim)
    try:
        trouble = target.wait_until_settled(reading, step, patience, still_mine=keep_claim, answer=answer)
        made = "" if trouble else protecting.name_of(reading, step, place, answer)
    except WillNotSettle as error:
        with audit.recorded() as trail:
            endings.fall_short(trail, claim, attempt, str(error))
        return False
    if trouble and target.makes_a_backup(step):
        # It takes as long as it takes. The sweep looks on, and hands the rest to whoever is free once it is usable.
        log.info("the backup is not usable yet: %s", trouble)
        calling.move(claim, lease_until=timezone.now())
        return False
    if trouble:
        calling.end_alone(claim, ExecutionState.UNKNOWN, f"AWS accepted {step.operation}, but its end was not seen: {trouble}.")
        return False
    endings.settled(claim, attempt, how=target.how_it_settled(step), made=made)
    return True
