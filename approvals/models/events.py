"""What came through the feed: records that matter, messages that could not be read, and the account of every batch."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from approvals.models.requests import ApprovalRequest


class TrailRecord(models.Model):
    """A CloudTrail record that concerned something protected. Unique per (event, recipient account, content):

    deliveries repeat, and a record that only borrows the id of another must not make that one look like a repeat.
    """

    class Fate(models.TextChoices):
        REQUEST = "request", "became a request"
        MERGED = "merged", "repeated a request"
        EXECUTOR = "executor", "a call of the executor"
        ALERT = "alert", "raised an alert"
        OBSERVED = "observed", "only observed"
        HARMLESS = "harmless", "had no effect"

    event_id = models.CharField(max_length=64)
    account = models.CharField(max_length=12)
    region = models.CharField(max_length=64)
    event_source = models.CharField(max_length=128)
    event_name = models.CharField(max_length=128)
    event_time = models.DateTimeField()
    outcome = models.CharField(max_length=10)
    error_code = models.CharField(max_length=256, blank=True)
    principal = models.CharField(max_length=2048, blank=True)
    session_issuer = models.CharField(max_length=2048, blank=True)
    source_identity = models.CharField(max_length=256, blank=True)
    access_key_id = models.CharField(max_length=128, blank=True)
    aws_request_id = models.CharField(max_length=256, blank=True)
    fate = models.CharField(max_length=10, choices=Fate)
    why = models.TextField(blank=True)
    request = models.ForeignKey(ApprovalRequest, null=True, blank=True, on_delete=models.PROTECT, related_name="records")
    received_at = models.DateTimeField()
    duplicates = models.PositiveIntegerField(default=0)
    raw = models.TextField(help_text="The record as it came, as text.")
    sha256 = models.CharField(max_length=64, help_text="Of the record with its keys sorted.")

    class Meta:
        ordering = ("-received_at", "-id")
        constraints = (models.UniqueConstraint(fields=("event_id", "account", "sha256"), name="trail_record_once"),)
        indexes = (models.Index(fields=("access_key_id",), name="trail_record_by_access_key"),)

    def __str__(self) -> str:
        return f"{self.event_name} {self.event_id}"


class QuarantinedMessage(models.Model):
    """A message that could not be read, with the reason. `body` keeps at most the first 64 KiB; `sha256` is of the whole."""

    message_id = models.CharField(max_length=200)
    reason = models.TextField()
    size = models.PositiveIntegerField(help_text="Bytes.")
    sha256 = models.CharField(max_length=64)
    body = models.TextField()
    received_at = models.DateTimeField()

    class Meta:
        ordering = ("-received_at", "-id")

    def __str__(self) -> str:
        return f"{self.message_id}: {self.reason}"


class FeedBatch(models.Model):
    """The account of one batch from the queue: every message has exactly one fate, which a constraint holds."""

    at = models.DateTimeField()
    received = models.PositiveIntegerField()
    requests = models.PositiveIntegerField(default=0)
    merged = models.PositiveIntegerField(default=0)
    executor = models.PositiveIntegerField(default=0)
    alerts = models.PositiveIntegerField(default=0)
    observed = models.PositiveIntegerField(default=0)
    harmless = models.PositiveIntegerField(default=0)
    ignored = models.PositiveIntegerField(default=0)
    duplicates = models.PositiveIntegerField(default=0)
    quarantined = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "feed batches"
        constraints = (
            models.CheckConstraint(
                condition=Q(
                    received=F("requests")
                    + F("merged")
                    + F("executor")
                    + F("alerts")
                    + F("observed")
                    + F("harmless")
                    + F("ignored")
                    + F("duplicates")
                    + F("quarantined")
                ),
                name="feed_batch_accounts_for_all",
            ),
        )

    def __str__(self) -> str:
        return f"{self.received} messages at {self.at}"
