"""The feed: every batch with the fate of its messages, and the messages that could not be read."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from approvals.models import FeedBatch, QuarantinedMessage
from approvals.operations import words
from portal.admin.audit import BoundedPaginator
from portal.admin.base import Cell, Detail, ReadOnlyAdmin, Section
from portal.templatetags.portal import moment

_FATES = (
    ("requests", "became requests"),
    ("merged", "repeated an open request"),
    ("executor", "were the executor's own calls"),
    ("alerts", "raised alerts"),
    ("observed", "were only observed"),
    ("harmless", "had no effect"),
    ("ignored", "concerned nothing protected"),
    ("duplicates", "were delivered before"),
    ("quarantined", "could not be read"),
)


class FeedBatchAdmin(ReadOnlyAdmin):
    """One batch from the queue a line."""

    list_display = ("at_column", "received", "requests", "merged", "executor", "alerts", "ignored", "duplicates", "quarantined")
    ordering = ("-id",)
    sortable_by = ()
    paginator = BoundedPaginator
    list_lead = "Every message from the queue has exactly one fate; a constraint in the database holds that the sum is what came."
    list_empty = "No message came yet. Either nothing happened, or the event rule or the queue is not connected."

    @admin.display(description="At")
    def at_column(self, batch: FeedBatch) -> SafeString | str:
        """When it was taken in."""
        return moment(batch.at)

    def detail(self, http: HttpRequest, found: FeedBatch) -> Detail:
        """The account of the batch."""
        facts = [("Received", Cell(found.received)), *((label, Cell(getattr(found, name))) for name, label in _FATES)]
        return Detail(title=f"Batch {found.pk}", lead=self.list_lead, sections=[Section("Fates", facts=facts)])


class QuarantinedMessageAdmin(ReadOnlyAdmin):
    """One message that could not be read a line."""

    list_display = ("message_column", "reason_column", "size", "received_column")
    sortable_by = ()
    paginator = BoundedPaginator
    list_lead = "Messages that are no CloudTrail event. They were kept with the reason; the rest of their batch went on."
    list_empty = "Nothing in quarantine."

    @admin.display(description="Message")
    def message_column(self, message: QuarantinedMessage) -> str:
        """The queue's id of it."""
        return words.visible(message.message_id)

    @admin.display(description="Reason")
    def reason_column(self, message: QuarantinedMessage) -> str:
        """Why it could not be read."""
        return words.visible(message.reason)

    @admin.display(description="Received")
    def received_column(self, message: QuarantinedMessage) -> SafeString | str:
        """When."""
        return moment(message.received_at)

    def detail(self, http: HttpRequest, found: QuarantinedMessage) -> Detail:
        """The message as far as it was kept."""
        facts = [
            ("Reason", Cell(found.reason, "lines")),
            ("Received", Cell(found.received_at, "time")),
            ("Size", Cell(f"{found.size} bytes")),
            ("SHA-256 of the whole", Cell(found.sha256, "code")),
            ("Body, at most its first 64 KiB", Cell(found.body, "code")),
        ]
        return Detail(title=f"Message {found.message_id}", sections=[Section("Message", facts=facts)])
