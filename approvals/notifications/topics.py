"""What people are told of, and the promises to tell them, made in the transaction that makes them true."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from approvals import outbox
from approvals.models import ApprovalRequest, OutboxKind, Revision, Statement

DRAFTED = "request.drafted"
PENDING = "request.pending"
DENIED = "request.denied"
APPROVED = "request.approved"
EXPIRED = "request.expired"
FINISHED = "execution.finished"
ALERT = "alert.raised"
CHANGE_PROPOSED = "change.proposed"
CHANGE_ENDED = "change.ended"
ADOPTED = "request.adopted"
SENT_BACK = "request.sent-back"
STOPPED = "request.stopped"
COMMENTED = "request.commented"
REMINDER = "review.reminder"
ESCALATED = "review.escalated"
RUNS_OUT = "review.runs-out"
NOTICE = "execution.notice"
GLASS_BROKEN = "glass.broken"
GLASS_REVIEWED = "glass.reviewed"
GLASS_OVERDUE = "glass.overdue"
STATEMENT_PROPOSED = "statement.proposed"
STATEMENT_ENDED = "statement.ended"

# Of the time that a request may be pending: when its reviewers are reminded (each pause twice the one before), when the
# administrators are told that nobody decides, and when its requester is told that it runs out.
_REMINDED: Final = (1 / 8, 3 / 8, 7 / 8)
_ESCALATED: Final = 1 / 2
_RUNS_OUT: Final = 3 / 4


def tell(topic: str, request: ApprovalRequest) -> None:
    """Promise, in the current transaction, to tell whom this topic concerns."""
    outbox.put(OutboxKind.NOTIFY, request.pk, topic=topic)


def tell_about(topic: str, row: int, *, due_at: datetime | None = None) -> None:
    """The same of a row that is no request: a comment, a notice, an alert, a revision that waits for its reviewers."""
    outbox.put(OutboxKind.NOTIFY, row, topic=topic, due_at=due_at)


def tell_of_statement(topic: str, statement: Statement) -> None:
    """The same of a statement: that it waits for signatures, or what became of it."""
    outbox.put(OutboxKind.NOTIFY, statement.pk, topic=topic)


def remind(request: ApprovalRequest, revision: Revision, now: datetime) -> None:
    """Promise what is said while a request is pending: to reviewers with back-off, to administrators, to the requester.

    Each is dropped without a word when it comes due and the revision is not pending any more.
    """
    if request.pending_until is None:
        return
    whole = request.pending_until - now
    for topic, parts in ((REMINDER, _REMINDED), (ESCALATED, (_ESCALATED,)), (RUNS_OUT, (_RUNS_OUT,))):
        for part in parts:
            tell_about(topic, revision.pk, due_at=now + timedelta(seconds=whole.total_seconds() * part))
