"""What happened to a request, in the order of the audit trail, which tells of every step once.

Beside its entries stand CloudTrail's records, and what was promised and not kept yet. An entry about a call carries AWS's answer
and the event that proves it, which the trail itself does not repeat.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from approvals import canonical, notifications
from approvals.errors import BadCanonicalForm
from approvals.models import ApprovalRequest, Attempt, AuditEntry, AuditKind, OutboxKind, OutboxMessage, Proof
from portal import put_off
from portal.shown import actor_words, leaves, text_of

# Of one request. More than these is a flood of repeats, whose number the page says.
MOST = 300
# What says again and again that somebody looked, or went on: of these the newest few.
MOST_LOOKS = 30
_LOOKED = (AuditKind.EXECUTION_TAKEN_OVER, AuditKind.EXECUTION_PUT_OFF)

_KINDS = {
    AuditKind.ATTEMPT_SENT: "attempt",
    AuditKind.ATTEMPT_ANSWERED: "attempt",
    AuditKind.ATTEMPT_PROVEN: "proof",
    AuditKind.NOTIFICATION_SENT: "notice",
}
_TOPICS = {
    notifications.DRAFTED: "the draft",
    notifications.PENDING: "the review that is needed",
    notifications.DENIED: "the denial",
    notifications.APPROVED: "the approval",
    notifications.EXPIRED: "the expiry",
    notifications.FINISHED: "how it ended",
    notifications.ALERT: "the alert",
    notifications.ADOPTED: "the adoption",
    notifications.SENT_BACK: "what was sent back",
    notifications.STOPPED: "the stop",
    notifications.COMMENTED: "a comment",
    notifications.REMINDER: "the review that is still needed",
    notifications.ESCALATED: "a review that nobody does",
    notifications.RUNS_OUT: "the time that runs out",
    notifications.NOTICE: "what the executor is about to do",
    notifications.GLASS_BROKEN: "the broken glass",
    notifications.GLASS_REVIEWED: "the review of the broken glass",
    notifications.GLASS_OVERDUE: "the review that is overdue",
    notifications.STATEMENT_PROPOSED: "a statement that waits for a second signature",
    notifications.STATEMENT_ENDED: "what became of a statement",
}
_MOMENTS = {
    "review": "Target read for the review",
    "claim": "Target read right before the call",
    "after": "Target read after the call",
}


@dataclass(frozen=True, slots=True)
class Happening:
    """One line: when, of what kind, what, to whom, by whom, and the facts of it. `number` is the audit entry's."""

    at: datetime
    kind: str
    title: str
    actor: str = ""
    to: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    number: int | None = None


def timeline_of(request: ApprovalRequest) -> list[Happening]:
    """Every happening, oldest first; a constant number of queries.

    Audit entries keep the order of their sequence, whatever the clocks of the processes said; the rest stands among them by time.
    """
    placed: list[tuple[datetime, int, int, Happening]] = []
    reached: datetime | None = None
    for one in _audit(request):
        reached = max(reached, one.at) if reached else one.at
        placed.append((reached, 1, one.number or 0, one))
    beside = [*_records(request), *_notifications(request)]
    placed += [(one.at, 0, index, one) for index, one in enumerate(beside)]
    return [one for *_, one in sorted(placed, key=lambda place: place[:3])]


def _audit(request: ApprovalRequest) -> Iterator[Happening]:
    labels = dict(AuditKind.choices)
    calls = _calls(request)
    for entry in _entries(request):
        detail = _detail(entry)
        title, to = str(labels.get(entry.kind, entry.kind)), ""
        if entry.kind == AuditKind.NOTIFICATION_SENT:
            told = detail.pop("to", None)
            to = ", ".join(str(handle) for handle in told) if isinstance(told, list) and told else "nobody"
            title = f"Notification of {_topic(detail.pop('topic', ''))} sent"
        elif entry.kind == AuditKind.EXECUTION_PUT_OFF and (later := put_off.read(entry)) and later.words:
            title = f"Put off: {later.words} follows"
        elif entry.kind == AuditKind.EXECUTION_TAKEN_OVER and detail.pop("was_let_go", False):
            title = "Claimed again for what is left"
        elif entry.kind == AuditKind.TARGET_OBSERVED:
            title = _MOMENTS.get(str(detail.pop("moment", "")), title)
        facts = [
            (path, text_of(leaf))
            for name, value in sorted(detail.items())
            for path, leaf in leaves(name, value)
            if leaf is not None
        ]
        call = calls.get((str(detail.get("execution")), detail.get("step"), detail.get("number")))
        facts += _of_call(entry.kind, call) if call else ()
        kind = _KINDS.get(AuditKind(entry.kind), "audit") if entry.kind in labels else "audit"
        yield Happening(entry.at, kind, title, actor_words(entry.actor), to, tuple(facts), entry.sequence)


def _entries(request: ApprovalRequest) -> list[AuditEntry]:
    """The newest, in their order; of those that say again and again that somebody looked no more than a few."""
    of_it = AuditEntry.objects.filter(request_id=request.pk).order_by("-sequence")
    found = [*of_it.exclude(kind__in=_LOOKED)[:MOST], *of_it.filter(kind__in=_LOOKED)[:MOST_LOOKS]]
    return sorted(found, key=lambda entry: entry.sequence)


def _detail(entry: AuditEntry) -> dict[str, Any]:
    try:
        detail = canonical.decode(canonical.loads(entry.body).get("detail", {}))
    except (BadCanonicalForm, AttributeError):
        return {"body": entry.body}
    return dict(detail) if isinstance(detail, dict) else {"body": entry.body}


def _topic(topic: Any) -> str:
    return _TOPICS.get(str(topic), str(topic))


def _calls(request: ApprovalRequest) -> dict[tuple[str, Any, Any], Attempt]:
    attempts = Attempt.objects.filter(execution__revision__request=request).select_related("proof__record")
    return {(str(one.execution_id), one.step, one.number): one for one in attempts.order_by("sent_at", "id")[:MOST]}


def _of_call(kind: str, attempt: Attempt) -> tuple[tuple[str, str], ...]:
    """What the rows know of a call and the trail does not say: AWS's answer, and the event that proves it."""
    if kind == AuditKind.ATTEMPT_ANSWERED:
        error = f"{attempt.error_code} {attempt.error_message}".strip()
        return _shown({"error": error, "AWS's answer": attempt.answer})
    proof: Proof | None = getattr(attempt, "proof", None)
    if kind == AuditKind.ATTEMPT_PROVEN and proof is not None:
        return _shown({"event name": proof.record.event_name})
    return ()


def _records(request: ApprovalRequest) -> Iterator[Happening]:
    for record in request.records.order_by("received_at", "id")[:MOST]:
        facts = {
            "event id": record.event_id,
            "made by": record.principal,
            "access key": record.access_key_id,
            "at": record.event_time.isoformat(),
            "answer": record.error_code or record.outcome,
            "meaning": record.why,
            "deliveries repeated": record.duplicates or "",
        }
        title = f"CloudTrail: {record.event_name} {record.get_fate_display()}"
        yield Happening(record.received_at, "trail", title, facts=_shown(facts))


def _notifications(request: ApprovalRequest) -> Iterator[Happening]:
    """What was promised and is not sent yet; what was sent is told by the trail."""
    waiting = OutboxMessage.objects.filter(kind=OutboxKind.NOTIFY, subject=str(request.pk), done_at=None).order_by("id")[:MOST]
    for message in waiting:
        facts = {"attempts": message.attempts, "problem": message.error}
        yield Happening(
            message.created_at, "notice", f"Notification of {_topic(message.topic)} not sent yet", facts=_shown(facts)
        )


def _shown(facts: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in facts.items() if str(value) != "")
