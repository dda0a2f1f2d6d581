"""What a person could do now: why a verb would be refused, in a sentence for him; empty when it would not.

`revision` is the current one, where the caller has it at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.utils import timezone

from approvals.decisions import checks
from approvals.decisions.quorum import guardrails_of
from approvals.errors import Refused
from approvals.models import ApprovalRequest, Person, Revision
from approvals.states import RequestState


def why_not_review(
    request: ApprovalRequest, person: Person, *, revision: Revision | None = None, now: datetime | None = None
) -> str:
    """Why this person cannot approve or deny."""
    return _why(checks.must_be_reviewable, request, revision or request.current_revision(), person, now or timezone.now())


def why_not_return(
    request: ApprovalRequest, person: Person, *, revision: Revision | None = None, now: datetime | None = None
) -> str:
    """Why this person cannot send it back."""
    return _why(checks.must_be_returnable, request, revision or request.current_revision(), person, now or timezone.now())


def why_not_confirm(
    request: ApprovalRequest, person: Person, *, revision: Revision | None = None, now: datetime | None = None
) -> str:
    """Why this person cannot confirm."""
    return _why(checks.must_be_confirmable, request, revision or request.current_revision(), person, now or timezone.now())


def why_held(revision: Revision) -> str:
    """Which lock of AWS's keeps the plan's targets against everybody, while people may still sign it; empty where none does."""
    if not revision.digest or revision.request.request_state not in (RequestState.DRAFT, RequestState.PENDING):
        return ""
    return checks.why_held(revision, guardrails_of(revision).values(), timezone.now())


def why_not_break(
    request: ApprovalRequest, person: Person, *, revision: Revision | None = None, now: datetime | None = None
) -> str:
    """Why this person cannot break the glass."""
    return _why(checks.must_be_breakable, request, revision or request.current_revision(), person, now or timezone.now())


def why_not_complete(request: ApprovalRequest, person: Person, *, now: datetime | None = None) -> str:
    """Why this person cannot enter or edit the parameters."""
    return _why(checks.must_be_editable, request, person, now or timezone.now())


def why_not_adopt(request: ApprovalRequest, person: Person, *, now: datetime | None = None) -> str:
    """Why this person cannot adopt the draft."""
    return _why(checks.must_be_adoptable, request, person, now or timezone.now())


def why_not_end(request: ApprovalRequest, person: Person, end: RequestState) -> str:
    """Why this person cannot withdraw or disown."""
    return _why(checks.must_be_endable, request, person, end)


def why_not_stop(request: ApprovalRequest, person: Person, *, revision: Revision | None = None) -> str:
    """Why this person cannot stop what is approved."""
    return _why(checks.must_be_stoppable, request, revision or request.current_revision(), person)


def why_not_comment(request: ApprovalRequest, person: Person) -> str:
    """Why this person cannot comment."""
    return _why(checks.must_be_in_the_conversation, request, person)


def _why(must: Callable[..., None], *facts: Any) -> str:
    try:
        must(*facts)
    except Refused as refusal:
        return str(refusal)
    return ""
