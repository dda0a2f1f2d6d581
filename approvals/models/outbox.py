"""The outbox: a promise to tell somebody or to act, written in the transaction that made it true."""

from __future__ import annotations

from uuid import UUID

from django.db import models
from django.db.models import Q


class OutboxKind(models.TextChoices):
    """What is promised. Delivery keeps the first three, execution the next three, the feed and the authority worker one each."""

    NOTIFY = "notify", "tell somebody"
    MIRROR = "mirror", "write the mirror"
    PROVE = "prove", "match a record to an attempt"
    EXECUTE = "execute", "carry out"
    INSPECT = "inspect", "read the target's state"
    CLOSE = "close", "close an unknown outcome"
    LOGS = "logs", "read CloudTrail's log files"
    APPLY = "apply", "apply a change of authority"


class OutboxMessage(models.Model):
    """One promise. The row stays when it is kept. `subject` is an id, never a command: workers trust verified rows only."""

    kind = models.CharField(max_length=10, choices=OutboxKind)
    subject = models.CharField(max_length=64)
    topic = models.CharField(max_length=40, blank=True, help_text="For a notification: what happened.")
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    done_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)

    class Meta:
        indexes = (
            models.Index(fields=("kind", "due_at"), condition=Q(done_at__isnull=True), name="outbox_due"),
            models.Index(fields=("subject", "kind"), name="outbox_about"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"

    @property
    def subject_id(self) -> UUID:
        """The subject as an id. Whoever can write the outbox can write anything into it: what is no id is one of nothing."""
        try:
            return UUID(self.subject)
        except ValueError:
            return UUID(int=0)
