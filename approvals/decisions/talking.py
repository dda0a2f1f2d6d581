"""The thread of a request: comments stay as they were written."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.utils import timezone

from approvals import audit, notifications
from approvals.decisions.checks import given_reason, must_be_in_the_conversation
from approvals.decisions.writing import actor_of, locked
from approvals.errors import Refused
from approvals.models import AuditKind, Comment, Person

# More is a flood, not a conversation; every one is told to everybody in it.
MOST_COMMENTS: Final = 200


def comment(request_id: UUID, person: Person, *, text: str, now: datetime | None = None) -> Comment:
    """Add to the thread, whatever the request's state: whoever may read it may. Decides nothing.

    Tells the requester and whoever reviewed it or commented. Raises NotAllowed, Refused.
    """
    now = now or timezone.now()
    text = given_reason(text)
    with audit.recorded() as trail:
        request = locked(request_id)
        must_be_in_the_conversation(request, person)
        if request.comments.count() >= MOST_COMMENTS:
            raise Refused(f"This thread has {MOST_COMMENTS} comments, which is as many as are kept. Talk elsewhere, and link it.")
        made = Comment.objects.create(
            request=request, revision=request.current_revision(), person=person, text=text, created_at=now
        )
        trail.add(AuditKind.REQUEST_COMMENTED, actor=actor_of(person), request=request.pk, comment=made.pk, text=text)
        notifications.tell_about(notifications.COMMENTED, made.pk)
    return made
