"""What was left behind: lost workers, unknown outcomes, calls without proof. Swept every few seconds; each row in a transaction.

- `ready` or `claimed` without an owner, or `running` with every call settled: back through the queue, where a worker takes over.
- `running` with a call that has no answer: the outcome is unknown. Absence of evidence never makes it anything else.
- `unknown`, or accepted by AWS with nobody waiting: AWS's answer or the proof from CloudTrail, and then the target, settle it.
- `succeeded` without a proof for too long: one alert.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, TextField, When
from django.db.models.functions import Cast
from django.utils import timezone

from approvals import audit, correlation, outbox
from approvals.alerts import raise_alert
from approvals.errors import AuditUnavailable
from approvals.models import (
    Alert,
    AlertKind,
    Attempt,
    Execution,
    OutboxKind,
    OutboxMessage,
)
from approvals.states import AttemptState, ExecutionState
from executor import additions, concluding, endings, stuck, waiting
from executor.errors import Superseded
from executor.waiting import Patience

log = logging.getLogger(__name__)
# Seconds after which a sweep leaves the rest to the next.
ROUND: Final = 60.0
# How many a sweep looks at.
MOST: Final = 500
_OPEN: Final = [ExecutionState.READY, ExecutionState.CLAIMED, ExecutionState.RUNNING, ExecutionState.UNKNOWN]

# Calls of which AWS or its records may tell more.
_UNSETTLED: Final = [AttemptState.ACCEPTED, AttemptState.UNKNOWN]


def sweep(*, patience: Patience | None = None) -> None:
    """Look once at everything that is open. Raises DatabaseError and AuditUnavailable when nothing can be written."""
    now = timezone.now()
    end = time.monotonic() + ROUND
    for pk in list(_waiting(now).values_list("pk", flat=True)[:MOST]):
        if time.monotonic() > end:
            break
        with correlation.bound(execution_id=str(pk)):
            try:
                _one(pk, now, patience or waiting.PATIENCE)
            except Superseded as error:
                log.info("left alone: %s", error)
            except Exception as error:  # noqa: BLE001 - logged there; the next row may be a call whose outcome somebody waits for
                _stumbled(pk, error)
    unproven(now)


def _waiting(now: datetime) -> QuerySet[Execution]:
    """What nobody looks after, the longest first: what AWS was asked about is looked at again later, so that each has its turn.

    Not those that wait for a worker with a promise to them, as thousands do during a pause: for them there is nothing to do.
    """
    lapsed = Q(lease_until__lte=now) | Q(lease_until=None, not_before__lte=now)
    promise = OutboxMessage.objects.filter(kind=OutboxKind.EXECUTE, subject=Cast(OuterRef("pk"), TextField()), done_at=None)
    promised = Q(Exists(promise), state__in=[ExecutionState.READY, ExecutionState.CLAIMED])
    calls = Attempt.objects.filter(execution=OuterRef("pk"))
    # What became unknown without a call that could have been made waits for people alone.
    settled = Q(~Exists(calls.filter(state__in=_UNSETTLED)), state=ExecutionState.UNKNOWN)
    # A lost worker's call first: nobody knows of it yet. What AWS is asked about takes turns, whatever it is.
    lost = Case(When(Exists(calls.filter(state=AttemptState.SENT)), then=0), default=1)
    waiting = Execution.objects.filter(lapsed, state__in=_OPEN).exclude(promised).exclude(settled)
    return waiting.order_by(lost, F("lease_until").asc(nulls_first=True))


def _stumbled(pk: UUID, error: Exception) -> None:
    """One row that we cannot digest must not stop the others from being looked after. Raises when nothing can be written."""
    if stuck.database_is_down(error) or isinstance(error, AuditUnavailable):
        raise error
    log.error("an execution could not be looked after", exc_info=error)
    if not stuck.is_passing(error):
        request_id = Execution.objects.filter(pk=pk).values_list("revision__request_id", flat=True).first()
        stuck.say_once(
            f"Nobody can look after execution {pk}",
            f"Each sweep fails with {stuck.in_words(error)}. What became of its calls is not being settled: look at its rows.",
            actor=endings.ACTOR,
            request_id=request_id,
        )


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
        open_one = next((one for one in attempts if one.state in _UNSETTLED), None)
        if execution.execution_state is not ExecutionState.UNKNOWN and open_one is None:
            _back_to_the_queue(execution)
            return
    if open_one is not None:
        concluding.by_evidence(execution, open_one, patience)


def _lost_in_the_call(trail: audit.Trail, execution: Execution, attempt: Attempt) -> None:
    claim = endings.claim_of(execution)
    if attempt.rehearsal:
        # It changes nothing, whatever became of it: the next sweep hands the execution to whoever is free.
        what = "The worker was lost during a rehearsal, which changes nothing."
        endings.answered(trail, claim, attempt, AttemptState.REJECTED, code=additions.NO_ANSWER, message=what, may_repeat=True)
        return
    what = "The worker was lost after it said that it was making the call and before it recorded an answer."
    endings.answered(trail, claim, attempt, AttemptState.UNKNOWN, code="Unknown", message=what)
    outcome = f"It is not known whether {attempt.operation} took effect. {what} CloudTrail's record of the call will settle it."
    endings.end(trail, claim, ExecutionState.UNKNOWN, outcome)


def _back_to_the_queue(execution: Execution) -> None:
    """A promise for whoever is free; unless there is one already."""
    promised = OutboxMessage.objects.filter(kind=OutboxKind.EXECUTE, subject=str(execution.pk), done_at=None)
    if not promised.exists():
        outbox.put(OutboxKind.EXECUTE, execution.pk)


# --- calls without proof ---


def unproven(now: datetime) -> None:
    """One alert for each request whose call succeeded, by AWS's own answer, and that CloudTrail shows nothing of for too long."""
    warned = Alert.objects.filter(kind=AlertKind.UNPROVEN, request=OuterRef("execution__revision__request"))
    found = Attempt.objects.filter(
        ~Exists(warned),
        state=AttemptState.SUCCEEDED,
        proof=None,
        execution__state__in=[ExecutionState.SUCCEEDED, ExecutionState.FAILED],
        settled_at__lte=now - timedelta(seconds=settings.UNPROVEN_AFTER),
    )
    for pk in list(found.values_list("execution_id", flat=True).distinct()[:100]):
        with correlation.bound(execution_id=str(pk)):
            try:
                _warn_of_no_proof(pk, found)
            except Exception as error:  # noqa: BLE001 - logged there; the next row may be the one to be warned of
                _stumbled(pk, error)


def _warn_of_no_proof(pk: UUID, found: QuerySet[Attempt]) -> None:
    with audit.recorded() as trail:
        execution = endings.locked(pk)
        if execution is None or not found.filter(execution=execution).exists():
            return
        request = execution.revision.request
        raise_alert(
            trail,
            AlertKind.UNPROVEN,
            title=f"CloudTrail shows nothing of {request.operation} {request.target}",
            detail=(
                f"A call of execution {pk} succeeded by AWS's own answer, and no event of it arrived. Look whether the "
                "trail, the rule and the queue still work: what the executor does is not being watched."
            ),
            actor=endings.ACTOR,
            request=request,
        )
