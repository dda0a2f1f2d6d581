"""What ends without a review: withdrawn, disowned, stopped, expired."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.utils import timezone

from approvals import audit, notifications, outbox
from approvals.alerts import raise_alert
from approvals.audit import Trail
from approvals.decisions.checks import (
    LONGEST_REASON,
    given_reason,
    must_be_endable,
    must_be_in_time,
    must_be_stoppable,
    must_be_unclaimed,
)
from approvals.decisions.writing import (
    actor_of,
    locked,
    move,
)
from approvals.errors import (
    Expired,
    WrongState,
)
from approvals.models import (
    AlertKind,
    ApprovalRequest,
    AuditKind,
    Execution,
    OutboxKind,
    Person,
)
from approvals.states import ExecutionState, RequestState, may_move


def withdraw(request_id: UUID, person: Person, *, reason: str = "", now: datetime | None = None) -> ApprovalRequest:
    """The requester no longer wants it; possible until it is claimed. Raises NotAllowed, WrongState."""
    said = reason.strip()[:LONGEST_REASON]
    why = f"Withdrawn by {person.handle}: {said}" if said else f"Withdrawn by {person.handle}."
    return _end(request_id, person, RequestState.WITHDRAWN, AuditKind.REQUEST_WITHDRAWN, why, now)


def disown(request_id: UUID, person: Person, *, now: datetime | None = None) -> ApprovalRequest:
    """ "This was not me": closes the request and raises an alert. Raises NotAllowed, WrongState."""
    why = f"{person.handle} says that this call was not theirs."
    return _end(request_id, person, RequestState.DISOWNED, AuditKind.REQUEST_DISOWNED, why, now)


def _end(
    request_id: UUID, person: Person, state: RequestState, kind: AuditKind, why: str, now: datetime | None
) -> ApprovalRequest:
    now = now or timezone.now()
    with audit.recorded() as trail:
        request = locked(request_id)
        must_be_endable(request, person, state)
        move(request, state, ended_at=now, ended_why=why)
        trail.add(kind, actor=actor_of(person), request=request.pk, why=why)
        if state is RequestState.DISOWNED:
            raise_alert(
                trail,
                AlertKind.DISOWNED,
                title=f"{person.handle} disowns {request.operation} {request.target}",
                detail=f"The denied call came from {request.principal}. Its key may be in other hands: look at it now.",
                actor=actor_of(person),
                request=request,
            )
        outbox.put(OutboxKind.MIRROR, request.pk)
    return request


def stop(request_id: UUID, person: Person, *, reason: str, now: datetime | None = None) -> ApprovalRequest:
    """Whoever signed it, or may review it, stops what is approved before it runs: denied, for good. Asks for no signature.

    The row's lock decides against the claim: whichever has it first, the other finds what became of it. Raises NotAllowed,
    WrongState, Refused.
    """
    now = now or timezone.now()
    reason = given_reason(reason)
    with audit.recorded() as trail:
        request = locked(request_id)
        must_be_stoppable(request, request.current_revision(), person)
        begun = Execution.objects.filter(revision__request=request, state=ExecutionState.RUNNING).exists()
        why = f"Stopped by {person.handle} before {'its next step' if begun else 'it ran'}: {reason}"
        move(request, RequestState.DENIED, ended_at=now, ended_why=why)
        trail.add(AuditKind.REQUEST_STOPPED, actor=actor_of(person), request=request.pk, why=why)
        notifications.tell(notifications.STOPPED, request)
        outbox.put(OutboxKind.MIRROR, request.pk)
    return request


def expire(*, now: datetime | None = None, most: int = 500) -> int:
    """End what has run out of its clock, each in its own transaction; return how many. Every other verb checks the clock too."""
    now = now or timezone.now()
    due = ApprovalRequest.objects.filter(state="draft", draft_until__lte=now)
    due |= ApprovalRequest.objects.filter(state="pending", pending_until__lte=now)
    # Neither what was never claimed nor what a worker refused too late stays approved for ever.
    unclaimed = ["ready", "aborted"]
    due |= ApprovalRequest.objects.filter(state="approved", approved_until__lte=now, revisions__execution__state__in=unclaimed)
    ended = 0
    for pk in list(due.order_by("created_at").distinct().values_list("pk", flat=True)[:most]):
        with audit.recorded() as trail:
            ended += _expire(trail, locked(pk), now)
    return ended


def _expire(trail: Trail, request: ApprovalRequest, now: datetime) -> int:
    was = request.request_state
    try:
        must_be_in_time(request, now)
    except Expired:
        pass
    else:
        return 0  # somebody moved it while we waited for the lock
    try:
        must_be_unclaimed(request)
    except WrongState:
        return 0
    if not may_move(was, RequestState.EXPIRED):
        return 0
    why = {
        RequestState.DRAFT: "The draft was never confirmed.",
        RequestState.PENDING: "Nobody decided in time.",
        RequestState.APPROVED: "It was approved but could not be carried out in time.",
    }[was]
    move(request, RequestState.EXPIRED, ended_at=now, ended_why=why)
    trail.add(AuditKind.REQUEST_EXPIRED, actor="process:expiry", request=request.pk, why=why, was=str(was))
    if was is not RequestState.DRAFT:
        notifications.tell(notifications.EXPIRED, request)
    outbox.put(OutboxKind.MIRROR, request.pk)
    return 1
