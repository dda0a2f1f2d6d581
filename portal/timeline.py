"""What happened to a request, in order: audit entries, CloudTrail records, notifications, observations, attempts, proofs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from approvals import canonical
from approvals.errors import BadCanonicalForm
from approvals.models import ApprovalRequest, Attempt, AuditEntry, AuditKind, Observation, OutboxKind, OutboxMessage, Proof
from portal.shown import leaves, text_of

# Of one request. More than these is a flood of repeats, whose number the page says.
MOST = 300


@dataclass(frozen=True, slots=True)
class Happening:
    """One line: when, of what kind, what, and the facts of it."""

    at: datetime
    kind: str
    title: str
    actor: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    number: int | None = None


def timeline_of(request: ApprovalRequest) -> list[Happening]:
    """Every happening, oldest first; a constant number of queries."""
    found = [
        *_audit(request),
        *_records(request),
        *_notifications(request),
        *_observations(request),
        *_attempts(request),
    ]
    return sorted(found, key=lambda happening: (happening.at, happening.number or 0))


def _audit(request: ApprovalRequest) -> Iterator[Happening]:
    labels = dict(AuditKind.choices)
    for entry in AuditEntry.objects.filter(request_id=request.pk).order_by("sequence")[:MOST]:
        facts = tuple((name, value) for name, value in _detail(entry) if value != "null")
        yield Happening(entry.at, "audit", str(labels.get(entry.kind, entry.kind)), entry.actor, facts, entry.sequence)


def _detail(entry: AuditEntry) -> Iterator[tuple[str, str]]:
    try:
        detail = canonical.decode(canonical.loads(entry.body).get("detail", {}))
    except (BadCanonicalForm, AttributeError):
        yield "body", text_of(entry.body)
        return
    for name, value in sorted(detail.items()):
        for path, leaf in leaves(name, value):
            yield path, text_of(leaf)


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
        yield Happening(
            record.received_at, "trail", f"CloudTrail: {record.event_name} {record.get_fate_display()}", "", _shown(facts)
        )


def _notifications(request: ApprovalRequest) -> Iterator[Happening]:
    told = OutboxMessage.objects.filter(kind=OutboxKind.NOTIFY, subject=str(request.pk)).order_by("id")[:MOST]
    for message in told:
        facts = {
            "sent": message.done_at.isoformat() if message.done_at else f"not yet, {message.attempts} attempts",
            "problem": "" if message.done_at else message.error,
        }
        yield Happening(message.created_at, "notice", f"Notification promised: {message.topic}", "", _shown(facts))


def _observations(request: ApprovalRequest) -> Iterator[Happening]:
    for seen in Observation.objects.filter(revision__request=request).select_related("revision")[:MOST]:
        facts = {"revision": seen.revision.number, "step": seen.step + 1, "problem": seen.problem}
        yield Happening(seen.taken_at, "observation", f"Target read {seen.get_moment_display()}", "", _shown(facts))


def _attempts(request: ApprovalRequest) -> Iterator[Happening]:
    attempts = Attempt.objects.filter(execution__revision__request=request).select_related("proof__record", "execution")
    for attempt in attempts.order_by("sent_at", "id")[:MOST]:
        facts = {
            "execution": attempt.execution_id,
            "step": attempt.step + 1,
            "attempt": attempt.number,
            "access key of the session": attempt.access_key_id,
            "AWS request id": attempt.aws_request_id,
            "answered": attempt.answered_at.isoformat() if attempt.answered_at else "",
            "settled": attempt.settled_at.isoformat() if attempt.settled_at else "",
            "error": f"{attempt.error_code} {attempt.error_message}".strip(),
            "AWS's answer": attempt.answer,
        }
        title = f"Call {attempt.operation} in {attempt.region}: {attempt.state}"
        yield Happening(attempt.sent_at, "attempt", title, "process:execution", _shown(facts))
        proof: Proof | None = getattr(attempt, "proof", None)
        if proof is not None:
            found = {"event id": proof.record.event_id, "event": proof.record.event_name, "attempt": attempt.number}
            yield Happening(proof.matched_at, "proof", "Proven by CloudTrail", "", _shown(found))


def _shown(facts: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in facts.items() if str(value) != "")
