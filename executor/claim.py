"""The claim: steps 1 to 3 of `executor.run`. Everything is judged again, and a token is won or nothing is sent."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from approvals import audit, authority, clearance, decisions
from approvals.alerts import raise_alert
from approvals.audit import Trail
from approvals.authority import Authority, KnownAccount
from approvals.clearance import Verified
from approvals.decisions import checks
from approvals.errors import BadAuthority, CountersignError, NotYet, Refused, WrongState
from approvals.models import Alert, AlertKind, ApprovalRequest, Attempt, AuditKind, Execution, Notice
from approvals.plan import Plan
from approvals.states import AttemptState, ExecutionState, RequestState
from executor import drift, endings, limits, notices, points, switch
from executor.endings import ACTOR, Claim
from executor.errors import Superseded
from executor.points import Point

log = logging.getLogger(__name__)
# Longer than a session's assumption or one wire call can take; the owner renews it while a target settles.
LEASE: Final = timedelta(seconds=120)
# Where nobody knows when: look again after this.
EARLY: Final = timedelta(seconds=10)
# What is over in a moment is not looked for in a circle meanwhile.
AT_ONCE: Final = timedelta(milliseconds=200)
# A window may open, or a freeze be lifted, sooner than the rules of now say: look again after this at the latest.
LATEST: Final = timedelta(minutes=10)
_TAKEN: Final = "The claim was taken over or ended meanwhile."


@dataclass(frozen=True, slots=True)
class Later:
    """Not now: when to come back, and why."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """A claim that was won and what it permits: the plan parsed from the signed bytes, the account as the chain knows it."""

    claim: Claim
    plan: Plan
    account: KnownAccount
    done: frozenset[int]
    digest: str
    # Handles, as the chain of authority knows them: for AWS's own record of the session.
    asked_by: str
    approved_by: tuple[str, ...]
    # The pauses that were known to be resumed then: any other one that is found before a call stops it.
    resumed: frozenset[UUID] = frozenset()
    # What AWS said of the targets right before, by step.
    states: Mapping[int, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stopped:
    """What does not hold any more, as it was found: what was claimed outside is asked before it is ended."""

    claim: Claim
    why: CountersignError


@dataclass(frozen=True, slots=True)
class _Judged:
    """What everything that holds was judged by."""

    known: Authority
    verified: Verified
    resumed: frozenset[UUID]


def take(execution_id: UUID) -> Cleared | Stopped | Later | None:
    """Read the targets, lock, judge, claim. None: there is nothing to do, or what did not hold has ended it."""
    seen = drift.look(execution_id)
    now = timezone.now()
    with audit.recorded() as trail:
        execution = endings.locked(execution_id)
        if execution is None:
            log.error("a promise names an execution that does not exist")
            return None
        was, attempts = execution.execution_state, list(execution.attempts.all())
        if was is not ExecutionState.READY and not _may_be_taken_over(execution, attempts, now):
            return None
        if was is ExecutionState.RUNNING and checks.is_made(execution, attempts):
            # Nothing is left to permit: an approval that ran out meanwhile does not make a failure of what succeeded.
            claim = endings.claim_of(execution)
            endings.end(trail, claim, ExecutionState.SUCCEEDED, endings.end_in_words(execution.revision.plan.steps))
            return None
        done = frozenset(attempt.step for attempt in attempts if attempt.state == AttemptState.SUCCEEDED)
        judged: _Judged | Later
        try:
            judged = _judge(trail, execution, seen, attempts, done, now)
        except NotYet as reason:
            # By the clocks of what was signed, to the second. Nothing is ended by being early.
            judged = Later(min(max(reason.until or now + EARLY, now + AT_ONCE), now + LATEST), str(reason))
        except CountersignError as reason:
            if not settings.CLAIMS_BUCKET:
                _abort(trail, execution, reason, now)
                return None
            # What nobody has is not claimed by it: whoever wants to stop it still can, and it takes nobody's place. Whoever had
            # it and stands still must not wake up between the question and the end, though.
            # Who asked in vain has said so: nobody has it, and no further token is needed to fence anybody off.
            nobody = was is ExecutionState.READY or not execution.worker
            return Stopped(endings.claim_of(execution) if nobody else _won(trail, execution, now), reason)
        if isinstance(judged, Later):
            return judged
        claim = _won(trail, execution, now)
        points.reached(Point.JUDGED)
    return _cleared(claim, judged, done, seen)


def _judge(
    trail: Trail,
    execution: Execution,
    seen: drift.Look | None,
    attempts: Collection[Attempt],
    done: frozenset[int],
    now: datetime,
) -> _Judged | Later:
    """Everything that must hold, with the request and the execution locked. Raises the first that does not."""
    ready = execution.execution_state is ExecutionState.READY
    known = authority.walk(settings.GENESIS)
    # First: what does not hold any more is ended while executions are paused, too. Nothing is carried out by that.
    verified = clearance.verify(execution, known, decisions.relying_party(), now=now)
    resumed = switch.must_not_be_paused(trail, known, now)
    if ready:
        if waits := notices.waiting_for(trail, execution, verified, known, now):
            return Later(*waits)
        if execution.not_before > now:
            return Later(execution.not_before, "Its time has not come yet.")
    elif not attempts:
        notices.must_have_gone_out(execution, verified)
    clearance.must_be_in_time(verified, now=now, told_at=_told_at(execution) if verified.hold else None)
    if ready or limits.gave_up_its_place(attempts):
        # First: what was read is kept with the trail, and not at every look of one that waits its turn.
        limits.must_have_a_place(execution, verified, now)
    drift.must_be_as_signed(trail, execution, verified, seen, done, now)
    return _Judged(known, verified, resumed)


def _won(trail: Trail, execution: Execution, now: datetime) -> Claim:
    """The next token, and the lease that goes with it."""
    ready, token = execution.execution_state is ExecutionState.READY, execution.token + 1
    claim = Claim(execution.pk, execution.revision.request_id, token)
    Execution.objects.filter(pk=execution.pk, state=execution.state, token=execution.token).update(
        state=ExecutionState.CLAIMED if ready else execution.state,
        token=token,
        worker=worker_name(),
        lease_until=now + LEASE,
        claimed_at=now,
    )
    trail.add(
        AuditKind.EXECUTION_CLAIMED if ready else AuditKind.EXECUTION_TAKEN_OVER,
        actor=ACTOR,
        request=claim.request_id,
        execution=str(claim.execution_id),
        token=token,
        digest=execution.revision.digest,
        worker=worker_name(),
        was_let_go=(not ready and not execution.worker) or None,
    )
    return claim


def _cleared(claim: Claim, judged: _Judged, done: frozenset[int], seen: drift.Look | None) -> Cleared:
    known, verified = judged.known, judged.verified
    handles = {person: str(row["handle"]) for person, row in known.persons.items()}
    approvers = tuple(sorted(handles.get(person, "") for person in verified.approved_by))
    asked_by = handles.get(verified.confirmed_by or verified.broken_by or "", "")
    account = known.accounts[verified.plan.account]
    states = {index: reading.state for index, reading in seen.readings.items()} if seen is not None else {}
    return Cleared(claim, verified.plan, account, done, verified.digest, asked_by, approvers, judged.resumed, states)


def _told_at(execution: Execution) -> datetime | None:
    """When the notice went out, where there is one."""
    return Notice.objects.filter(execution=execution).values_list("delivered_at", flat=True).first()


def _may_be_taken_over(execution: Execution, attempts: Collection[Attempt], now: datetime) -> bool:
    """Whether its owner is gone and every call that was sent is known to have succeeded, or to have had no effect."""
    return (
        execution.execution_state in {ExecutionState.CLAIMED, ExecutionState.RUNNING}
        and execution.lease_until is not None
        and execution.lease_until <= now
        and all(attempt.state == AttemptState.SUCCEEDED or _left_nothing(attempt) for attempt in attempts)
    )


def _left_nothing(attempt: Attempt) -> bool:
    """Whether it definitely had no effect and its step may be made all the same: it was to be tried again, or a rehearsal."""
    return attempt.state == AttemptState.REJECTED and (attempt.may_repeat or attempt.rehearsal)


def _abort(trail: Trail, execution: Execution, reason: CountersignError, now: datetime) -> None:
    """A check did not hold, so nothing is sent. A lost right or a changed plan goes back to draft, unless a call took effect; a
    forgery is an alert."""
    request = execution.revision.request
    under_way = execution.execution_state is ExecutionState.RUNNING
    # What AWS refused and was to be tried again has changed nothing: it asks for a new review like what was never sent.
    untouched = all(_left_nothing(attempt) for attempt in execution.attempts.all())
    stopped = "Stopped before it was tried again" if untouched else "Stopped before the next step"
    wanted = request.request_state is RequestState.APPROVED and _is_current(execution)
    endings.end(
        trail,
        Claim(execution.pk, request.pk, execution.token),
        ExecutionState.FAILED if under_way else ExecutionState.ABORTED,
        f"{stopped}: {reason}" if under_way else str(reason),
        tell=wanted,
    )
    if isinstance(reason, BadAuthority):
        warn_of_forgery(trail, request, reason)
    elif isinstance(reason, Refused) and not isinstance(reason, WrongState) and untouched and wanted:
        decisions.reopen(trail, request, str(reason), now=now)


def warn_of_forgery(trail: Trail, request: ApprovalRequest, reason: BadAuthority, *, once: bool = False) -> None:
    """Rows do not verify: whoever wrote them is to be found."""
    if once and Alert.objects.filter(kind=AlertKind.FORGERY, request=request, closed_at=None).exists():
        return
    raise_alert(
        trail,
        AlertKind.FORGERY,
        title=f"Not executed: {request.operation} {request.target} does not verify",
        detail=f"{reason} Nothing was sent to AWS now. Find out who wrote these rows before anything else is approved.",
        actor=ACTOR,
        request=request,
    )
    log.critical("nothing was executed: %s", reason)


def _is_current(execution: Execution) -> bool:
    """Whether it is of the request's newest revision: what was sent back and approved anew is not opened again by the former."""
    return execution.revision.number == execution.revision.request.revision_number


def win(claim: Claim) -> Claim:
    """The next token of what nobody has taken meanwhile. Raises Superseded."""
    with audit.recorded() as trail:
        execution = _not_taken(claim)
        if execution.execution_state not in {ExecutionState.READY, ExecutionState.CLAIMED, ExecutionState.RUNNING}:
            raise Superseded(_TAKEN)
        return _won(trail, execution, timezone.now())


def give_back(claim: Claim, reason: CountersignError) -> None:
    """What was signed cannot be carried out as it is: the same end as that of a check which does not hold. Raises Superseded."""
    with audit.recorded() as trail:
        _abort(trail, _not_taken(claim), reason, timezone.now())


def _not_taken(claim: Claim) -> Execution:
    """The execution, locked, with the claim's token still. Raises Superseded."""
    execution = endings.locked(claim.execution_id)
    if execution is None or execution.token != claim.token:
        raise Superseded(_TAKEN)
    return execution


def worker_name() -> str:
    """Which process holds a claim, for people."""
    return f"{socket.gethostname()}:{os.getpid()}"[:200]
