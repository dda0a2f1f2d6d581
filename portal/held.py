"""What an approved request waits for before it is carried out: its hold, with the notice that went out, and its windows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from approvals import terms
from approvals.models import ApprovalRequest, Execution, Notice, OutboxKind, OutboxMessage, Revision
from approvals.operations import protection
from approvals.policies import Rules
from approvals.states import ExecutionState, RequestState


@dataclass(frozen=True, slots=True)
class Held:
    """`hold` in seconds. `told_at` is None until the notice went out, `over_at` with it; `closed`: why no window is open.

    `put_off` is why the executor has put it off although it is due, in its own words.
    """

    hold: int
    told_to: tuple[str, ...]
    told_at: datetime | None
    text: str
    over_at: datetime | None
    not_before: datetime
    closed: str
    put_off: str


def held_of(request: ApprovalRequest, revision: Revision, rules: Collection[Rules]) -> Held | None:
    """None unless it is approved and nobody has begun with it."""
    execution: Execution | None = getattr(revision, "execution", None)
    if (
        request.request_state is not RequestState.APPROVED
        or execution is None
        or execution.execution_state is not ExecutionState.READY
    ):
        return None
    hold = terms.hold_of(rules, irreversible=protection.is_final(revision.plan.steps))
    notice = Notice.objects.filter(execution=execution).first()
    told_at = notice.delivered_at if notice else None
    over_at = told_at + timedelta(seconds=max(hold, notice.hold)) if notice and told_at else None
    closed = "" if request.break_glass else terms.why_closed(rules, timezone.now())
    # Until then the page says in words of its own what it waits for.
    begins = max(execution.not_before, over_at or execution.not_before)
    due = not closed and begins <= timezone.now() and (not hold or over_at is not None)
    return Held(
        hold=hold,
        told_to=tuple(notice.to) if notice else (),
        told_at=told_at,
        text=notice.text if notice else "",
        over_at=over_at,
        not_before=execution.not_before,
        closed=closed,
        put_off=_put_off(execution) if due else "",
    )


def _put_off(execution: Execution) -> str:
    promised = OutboxMessage.objects.filter(kind=OutboxKind.EXECUTE, subject=str(execution.pk), done_at=None)
    return promised.exclude(error="").values_list("error", flat=True).first() or ""
