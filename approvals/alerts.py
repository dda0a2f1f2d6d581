"""Raising and closing alerts."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from approvals import audit, outbox
from approvals.audit import Trail
from approvals.errors import NotAllowed, Refused, WrongState
from approvals.models import Alert, AlertKind, ApprovalRequest, AuditKind, OutboxKind, Person, TrailRecord


def raise_alert(
    trail: Trail,
    kind: AlertKind,
    *,
    title: str,
    detail: str,
    actor: str,
    request: ApprovalRequest | None = None,
    record: TrailRecord | None = None,
    due_at: datetime | None = None,
) -> Alert:
    """Raise an alert in the transaction of what it is about: the row, its entry in the trail and the promise to tell."""
    now = timezone.now()
    alert = Alert.objects.create(
        kind=kind, title=title[:500], detail=detail, request=request, record=record, raised_at=now, due_at=due_at
    )
    outbox.put(OutboxKind.NOTIFY, alert.pk, topic="alert.raised")
    trail.add(
        AuditKind.ALERT_RAISED,
        actor=actor,
        request=request.pk if request else None,
        alert=alert.pk,
        alert_kind=str(kind),
        title=title[:500],
        event=record.event_id if record else None,
    )
    return alert


def raise_once(trail: Trail, kind: AlertKind, *, title: str, detail: str, actor: str, record: TrailRecord | None = None) -> bool:
    """Raise it unless one of this kind and title is open already; whether it is new."""
    if Alert.objects.filter(kind=kind, title=title[:500], closed_at=None).exists():
        return False
    raise_alert(trail, kind, title=title, detail=detail, actor=actor, record=record)
    return True


def close(alert_id: int, person: Person, why: str) -> Alert:
    """An administrator has looked at it and says what it was. Raises NotAllowed, WrongState, Refused."""
    if not person.is_administrator:
        raise NotAllowed("Only an administrator closes an alert.")
    if not why.strip():
        raise Refused("Say what it was and what was done; the next reader of this alert will want to know.")
    with audit.recorded() as trail:
        alert = Alert.objects.select_for_update().get(pk=alert_id)
        if alert.kind == AlertKind.GLASS:
            raise NotAllowed("Another approver reviews a break-glass, on the page of its request; an administrator does not.")
        if alert.closed_at is not None:
            raise WrongState("This alert was closed already.")
        alert.closed_at, alert.closed_by, alert.closed_why = timezone.now(), person, why.strip()
        alert.save(update_fields=["closed_at", "closed_by", "closed_why"])
        trail.add(
            AuditKind.ALERT_CLOSED, actor=f"person:{person.handle}", request=alert.request_id, alert=alert.pk, why=why.strip()
        )
    return alert
