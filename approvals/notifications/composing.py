"""The notification that an outbox message promises."""

from __future__ import annotations

from uuid import UUID

from approvals.models import Alert, ApprovalRequest, AuthorityChange, OutboxMessage, Statement
from approvals.notifications.about_requests import ABOUT_REQUEST
from approvals.notifications.about_rows import ABOUT_ROW, alert_raised, change_of_authority
from approvals.notifications.about_statements import of_statement
from approvals.notifications.topics import ALERT, CHANGE_ENDED, CHANGE_PROPOSED, STATEMENT_ENDED, STATEMENT_PROPOSED
from approvals.notifications.wording import Notification


def compose(message: OutboxMessage) -> Notification | None:
    """The notification that an outbox message promises, in words that are true now; None when there is nothing left to say."""
    if message.topic == ALERT:
        return alert_raised(Alert.objects.select_related("request", "record").get(pk=int(message.subject)))
    if message.topic in (CHANGE_PROPOSED, CHANGE_ENDED):
        return change_of_authority(
            message.topic, AuthorityChange.objects.select_related("proposer").get(pk=UUID(message.subject))
        )
    if message.topic in (STATEMENT_PROPOSED, STATEMENT_ENDED):
        rows = Statement.objects.select_related("proposer", "execution__revision__request__account")
        return of_statement(message.topic, rows.get(pk=UUID(message.subject)))
    if message.topic in ABOUT_ROW:
        return ABOUT_ROW[message.topic](int(message.subject))
    request = ApprovalRequest.objects.select_related("account", "requester").get(pk=UUID(message.subject))
    return ABOUT_REQUEST[message.topic](request)
