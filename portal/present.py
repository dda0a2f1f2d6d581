"""What a request has become, in a few lines: shown with every refusal, so that nobody has to guess what happened meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from approvals.models import ApprovalRequest, Review
from approvals.operations import words
from approvals.states import Status
from portal.listing import asker_of, clock_of


@dataclass(frozen=True, slots=True)
class Now:
    """The request as it stands: the sentence and digest of its current plan, its state, how it ended, and who has decided."""

    who: str
    sentence: str
    status: Status
    ended_why: str
    clock: datetime | None
    revision: int
    digest: str
    edited: datetime
    reviews: tuple[Review, ...]


def now_of(request: ApprovalRequest) -> Now:
    """Read it anew: what the caller holds is what somebody saw before."""
    found = ApprovalRequest.objects.select_related("account", "requester").get(pk=request.pk)
    revision = found.current_revision()
    return Now(
        who=asker_of(found),
        sentence=words.sentence_of(revision.steps, found.place),
        status=found.status(),
        ended_why=found.ended_why,
        clock=clock_of(found),
        revision=revision.number,
        digest=revision.digest,
        edited=revision.created_at,
        reviews=tuple(revision.reviews.select_related("person")),
    )
