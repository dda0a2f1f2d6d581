"""Statements: what persons sign beside plans and changes of authority, and what was looked at before one is needed.

A pause of all executions, the resuming of pauses, the closing of an outcome that nothing else settles.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from approvals.models.ceremonies import Challenge, SignedAssertion
from approvals.models.executions import Execution
from approvals.models.people import Person
from approvals.states import StatementState, Verdict

_VERDICTS = [(verdict.value, verdict.value.capitalize()) for verdict in (Verdict.APPROVE, Verdict.DENY)]


class Statement(models.Model):
    """One statement. Its text (approvals.statements.texts) never changes; triggers hold its moves and who makes them."""

    class Kind(models.TextChoices):
        PAUSE = "pause", "pause of all executions"
        RESUME = "resume", "resuming of executions"
        CLOSING = "closing", "closing of an unknown outcome"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    state = models.CharField(max_length=10, choices=[(s.value, s.value.capitalize()) for s in StatementState], default="open")
    execution = models.ForeignKey(Execution, null=True, blank=True, on_delete=models.PROTECT, related_name="statements")
    text = models.TextField(help_text="What is signed, as canonical JSON.")
    digest = models.CharField(max_length=64, help_text="Of the text.")
    evidence = models.TextField(blank=True, help_text="What was attached; the text carries its hash.")
    proposer = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="statements")
    created_at = models.DateTimeField()
    open_until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_why = models.TextField(blank=True)

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = (
            models.CheckConstraint(condition=Q(state__in=[s.value for s in StatementState]), name="statement_state_is_known"),
            models.CheckConstraint(condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="statement_has_a_digest"),
            models.CheckConstraint(
                condition=Q(kind="closing", execution__isnull=False) | Q(kind__in=["pause", "resume"], execution__isnull=True),
                name="statement_is_about_an_execution_or_all",
            ),
        )
        indexes = (models.Index(fields=("kind", "state"), name="statement_of_kind"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"

    @property
    def reference(self) -> str:
        """A short name for people: the id's first eight digits."""
        return str(self.id)[:8].upper()


class StatementChallenge(Challenge):
    """A nonce that one person may use once to sign one verdict on one statement. Consumed by a conditional UPDATE."""

    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="challenges")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=12, choices=_VERDICTS)

    def __str__(self) -> str:
        return f"{self.person} may sign {self.verdict}"


class StatementSignature(SignedAssertion):
    """One WebAuthn assertion, whole, by one person over the digest of one statement. A trigger forbids every later change."""

    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="signatures")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=12, choices=_VERDICTS)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ("created_at", "id")
        constraints = (models.UniqueConstraint(fields=("statement", "person"), name="signature_per_statement_and_person"),)
        indexes = (models.Index(fields=("credential_id", "-counter"), name="statement_signature_counter"),)

    def __str__(self) -> str:
        return f"{self.person} signed {self.verdict}"


class Look(models.Model):
    """Where it was looked for what became of a call, and what that said last: one row a source, however often it was looked."""

    class Source(models.TextChoices):
        EVENTS = "events", "CloudTrail's events and log files taken in so far"
        LOGS = "logs", "CloudTrail's log files"
        TARGET = "target", "the target, as AWS describes it"

    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="looks")
    source = models.CharField(max_length=10, choices=Source)
    times = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    looked_at = models.DateTimeField()
    said = models.TextField()

    class Meta:
        ordering = ("source",)
        constraints = (models.UniqueConstraint(fields=("execution", "source"), name="look_per_execution_and_source"),)

    def __str__(self) -> str:
        return f"{self.source}: {self.said[:60]}"
