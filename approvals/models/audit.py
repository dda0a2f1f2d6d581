"""The audit trail: one link a step, each carrying the hash of the one before. Rows are appended by a database function alone."""

from __future__ import annotations

from django.db import models


class AuditKind(models.TextChoices):
    """Every kind of entry. Another one is refused."""

    GENESIS = "genesis", "authority sealed"
    CHANGE_PROPOSED = "change.proposed", "change of authority proposed"
    CHANGE_SIGNED = "change.signed", "change of authority signed"
    CHANGE_DENIED = "change.denied", "change of authority denied"
    CHANGE_WITHDRAWN = "change.withdrawn", "change of authority withdrawn"
    CHANGE_EXPIRED = "change.expired", "change of authority expired"
    CHANGE_STALE = "change.stale", "change of authority overtaken"
    CHANGE_APPLIED = "change.applied", "change of authority applied"
    CHANGE_REFUSED = "change.refused", "change of authority not applied"
    PASSKEY_REGISTERED = "passkey.registered", "passkey registered by an enrolment link"
    REQUEST_DRAFTED = "request.drafted", "request drafted"
    REQUEST_REPEATED = "request.repeated", "denied call repeated"
    REQUEST_COMPLETED = "request.completed", "plan completed"
    REQUEST_CONFIRMED = "request.confirmed", "plan confirmed and signed"
    REQUEST_REVIEWED = "request.reviewed", "reviewed and signed"
    REQUEST_APPROVED = "request.approved", "approved"
    REQUEST_DENIED = "request.denied", "denied"
    REQUEST_EXPIRED = "request.expired", "expired"
    REQUEST_WITHDRAWN = "request.withdrawn", "withdrawn"
    REQUEST_DISOWNED = "request.disowned", "disowned"
    REQUEST_REOPENED = "request.reopened", "sent back to draft"
    REQUEST_SENT_BACK = "request.sent-back", "sent back with a message"
    REQUEST_COMMENTED = "request.commented", "commented"
    REQUEST_ADOPTED = "request.adopted", "adopted"
    REQUEST_STOPPED = "request.stopped", "stopped before it ran"
    REQUEST_GLASS_BROKEN = "request.glass-broken", "glass broken: approved by one signature"
    REQUEST_GLASS_REVIEWED = "request.glass-reviewed", "break-glass reviewed"
    EXECUTION_NOTICED = "execution.noticed", "notice written from the signed bytes"
    EXECUTION_CLAIMED = "execution.claimed", "execution claimed"
    EXECUTION_TAKEN_OVER = "execution.taken-over", "execution taken over"
    EXECUTION_PUT_OFF = "execution.put-off", "execution put off"
    EXECUTION_ABORTED = "execution.aborted", "execution aborted"
    EXECUTION_SUCCEEDED = "execution.succeeded", "execution succeeded"
    EXECUTION_FAILED = "execution.failed", "execution failed"
    EXECUTION_UNKNOWN = "execution.unknown", "execution's outcome unknown"
    EXECUTION_CLOSED = "execution.closed", "unknown outcome closed by two persons"
    EXECUTIONS_PAUSED = "switch.paused", "executions paused"
    EXECUTIONS_RESUMED = "switch.resumed", "executions resumed"
    STATEMENT_PROPOSED = "statement.proposed", "statement proposed"
    STATEMENT_SIGNED = "statement.signed", "statement signed"
    STATEMENT_DENIED = "statement.denied", "statement denied"
    STATEMENT_WITHDRAWN = "statement.withdrawn", "statement withdrawn"
    STATEMENT_EXPIRED = "statement.expired", "statement expired"
    STATEMENT_REFUSED = "statement.refused", "statement not acted on"
    ATTEMPT_SENT = "attempt.sent", "call about to be sent"
    ATTEMPT_ANSWERED = "attempt.answered", "call answered"
    ATTEMPT_SETTLED = "attempt.settled", "call settled"
    ATTEMPT_PROVEN = "attempt.proven", "call proven by CloudTrail"
    TARGET_OBSERVED = "target.observed", "target observed"
    TARGET_FROZEN = "target.frozen", "plan frozen with the target's state"
    TARGET_DRIFTED = "target.drifted", "target changed since it was reviewed"
    NOTIFICATION_SENT = "notification.sent", "notification sent"
    ALERT_RAISED = "alert.raised", "alert raised"
    ALERT_CLOSED = "alert.closed", "alert closed"
    EXPORTED = "exported", "exported"


class AuditEntry(models.Model):
    """One link. The hash covers `role` and `body`, canonical JSON; other columns repeat parts of it for searching."""

    sequence = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    actor = models.CharField(max_length=200)
    request_id = models.UUIDField(null=True, blank=True)
    role = models.CharField(max_length=63, help_text="The database role that appended it, as PostgreSQL knows it.")
    body = models.TextField()
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ("-sequence",)
        indexes = (
            models.Index(fields=("request_id", "sequence"), name="audit_of_request"),
            models.Index(fields=("kind", "-sequence"), name="audit_of_kind"),
        )

    def __str__(self) -> str:
        return f"#{self.sequence} {self.kind}"


class ChainHead(models.Model):
    """The newest link: one row, locked last in every transaction that appends."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    sequence = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64)

    class Meta:
        constraints = (models.CheckConstraint(condition=models.Q(id=1), name="chain_has_one_head"),)

    def __str__(self) -> str:
        return f"head #{self.sequence}"
