"""What is told of statements: that one waits for signatures, and what became of it."""

from __future__ import annotations

from django.conf import settings
from django.urls import reverse

from approvals.models import Statement
from approvals.notifications.topics import STATEMENT_PROPOSED
from approvals.notifications.wording import Notification, administrators, plain_subject, reviewers, sentence_of
from approvals.states import StatementState


def of_statement(topic: str, statement: Statement) -> Notification | None:
    """Whoever may sign it is told that it waits; they and who made it are told how it ended. A link only leads to a page."""
    link = settings.ORIGIN + reverse("admin:approvals_statement_change", args=[statement.pk])
    request = statement.execution.revision.request if statement.execution is not None else None
    to = set(administrators()) if request is None else set(reviewers(request))
    what = statement.get_kind_display()
    about = f": {sentence_of(request)}" if request is not None else ""
    if topic == STATEMENT_PROPOSED:
        if statement.state != StatementState.OPEN:
            return None
        to.discard(statement.proposer.handle)
        subject = f"Waits for a second signature: {what}"
        body = f"{statement.proposer.handle} asks for your signature. The {what}{about}.\nRead it before you sign."
    else:
        to.add(statement.proposer.handle)
        subject = f"{what.capitalize()}: {statement.state}"
        body = f"The {what}{about} is {statement.state}. {statement.ended_why}".strip()
    request_id = request.pk if request is not None else None
    return Notification(
        topic, tuple(sorted(to)), plain_subject(subject), f"{body}\nDigest: {statement.digest}\n{link}", request_id
    )
