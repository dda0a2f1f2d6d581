"""One request as a line of a list."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from approvals.models import ApprovalRequest, Revision
from approvals.operations import words
from approvals.states import RequestState, Status


@dataclass(frozen=True, slots=True)
class Line:
    """What a list shows of a request. Texts are made visible already; `until` is the clock that runs now."""

    reference: str
    url: str
    sentence: str
    who: str
    status: Status
    since: datetime
    until: datetime | None
    complete: bool


def line_of(request: ApprovalRequest) -> Line:
    """Needs `portal.viewer.for_listing`, or asks the database for each line."""
    revision = newest(request)
    return Line(
        reference=request.reference,
        url=url_of(request),
        sentence=sentence_of(request, revision),
        who=asker_of(request),
        status=request.status(),
        since=request.created_at,
        until=clock_of(request),
        complete=bool(revision.digest),
    )


def newest(request: ApprovalRequest) -> Revision:
    """The current revision, from what was prefetched."""
    return next(revision for revision in request.revisions.all() if revision.number == request.revision_number)


def sentence_of(request: ApprovalRequest, revision: Revision) -> str:
    """What is asked for, read from the plan's bytes; from the draft while there is no plan."""
    return words.sentence_of(revision.steps, request.place)


def asker_of(request: ApprovalRequest) -> str:
    """The requester's handle, or the AWS identity that belongs to nobody."""
    if request.requester is not None:
        return request.requester.handle
    return words.visible(request.principal) or "somebody unmapped"


def clock_of(request: ApprovalRequest) -> datetime | None:
    """When the time of the present state runs out; None once it has ended, or once it is being carried out."""
    if request.status() not in (Status.DRAFT, Status.WAITING, Status.APPROVED):
        return None
    return {
        RequestState.DRAFT: request.draft_until,
        RequestState.PENDING: request.pending_until,
        RequestState.APPROVED: request.approved_until,
    }.get(request.request_state)


def url_of(request: ApprovalRequest) -> str:
    """The review page."""
    return reverse("admin:approvals_approvalrequest_change", args=[request.pk])
