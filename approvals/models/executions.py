"""Executions, attempts, proofs and observations. States are written by `executor.run` and `executor.reconcile` alone."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from approvals.models.events import TrailRecord
from approvals.models.requests import Revision
from approvals.states import AttemptState, ExecutionState


class Execution(models.Model):
    """One permission to carry out a revision. Its id is the SourceIdentity of the session that makes the call."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    revision = models.OneToOneField(Revision, on_delete=models.PROTECT, related_name="execution")
    state = models.CharField(
        max_length=10, choices=[(s.value, s.value.capitalize()) for s in ExecutionState], default=ExecutionState.READY.value
    )
    token = models.PositiveIntegerField(default=0, help_text="The fencing token: grows with each claim; only its holder may act.")
    worker = models.CharField(max_length=200, blank=True)
    not_before = models.DateTimeField(help_text="The end of the hold.")
    valid_until = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    claimed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.TextField(blank=True, help_text="AWS's answer, or why nothing was done, in words.")

    class Meta:
        ordering = ("-created_at",)
        constraints = (
            models.CheckConstraint(condition=Q(state__in=[s.value for s in ExecutionState]), name="execution_state_is_known"),
        )
        indexes = (
            models.Index(
                fields=("state", "lease_until"), name="execution_open", condition=~Q(state__in=["succeeded", "failed", "aborted"])
            ),
            models.Index(fields=("-claimed_at",), name="execution_begun", condition=Q(claimed_at__isnull=False)),
        )

    def __str__(self) -> str:
        return f"execution {self.id}"

    @property
    def execution_state(self) -> ExecutionState:
        """The state, typed."""
        return ExecutionState(self.state)


class Notice(models.Model):
    """What the execution process read from the signed bytes and tells everybody concerned before it acts.

    Inserted by the execution role alone; delivery says when it went out, and the hold counts from there. Triggers hold both.
    """

    execution = models.OneToOneField(Execution, on_delete=models.PROTECT, related_name="notice")
    digest = models.CharField(max_length=64, help_text="Of the bytes that it was read from.")
    to = models.JSONField(help_text="Handles: every signer, and whoever may review under the guardrails.")
    text = models.TextField()
    hold = models.PositiveIntegerField(help_text="Seconds from the delivery to the claim.")
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"notice of {self.execution}"


class Attempt(models.Model):
    """One call on the wire. The row is committed as `sent` before the call is made, and never a second call is made for it."""

    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="attempts")
    step = models.PositiveIntegerField(help_text="Counted from 0.")
    number = models.PositiveIntegerField(help_text="Counted from 1 within the step.")
    state = models.CharField(
        max_length=10, choices=[(s.value, s.value.capitalize()) for s in AttemptState], default=AttemptState.SENT.value
    )
    token = models.PositiveIntegerField(help_text="The fencing token of the claim that it was made under.")
    operation = models.CharField(max_length=200)
    region = models.CharField(max_length=64)
    access_key_id = models.CharField(max_length=128, help_text="Of the session that makes the call; a proof must carry it.")
    aws_request_id = models.CharField(max_length=256, blank=True)
    sent_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    rehearsal = models.BooleanField(default=False, help_text="EC2's DryRun: AWS says whether it would, and does nothing.")
    claimed_as = models.CharField(max_length=300, blank=True, help_text="The key of its claim outside the database.")
    client_token = models.CharField(max_length=64, blank=True, help_text="What AWS takes for the same call when it comes again.")
    answer = models.TextField(blank=True, help_text="What AWS answered, as JSON without secrets.")
    made = models.CharField(max_length=2048, blank=True, help_text="What the call made, as AWS names it: the ARN of a backup.")
    error_code = models.CharField(max_length=256, blank=True)
    error_message = models.TextField(blank=True)
    may_repeat = models.BooleanField(default=False, help_text="Definitely no effect, and the same call may succeed later.")

    class Meta:
        ordering = ("step", "number")
        constraints = (
            models.UniqueConstraint(fields=("execution", "step", "number"), name="attempt_number_once"),
            models.CheckConstraint(condition=Q(state__in=[s.value for s in AttemptState]), name="attempt_state_is_known"),
        )
        indexes = (
            models.Index(fields=("access_key_id",), name="attempt_by_access_key"),
            # Each answer is compared with all earlier ones.
            models.Index(fields=("aws_request_id",), name="attempt_by_aws_request"),
        )

    def __str__(self) -> str:
        return f"{self.operation} attempt {self.number}: {self.state}"


class Proof(models.Model):
    """The CloudTrail event that matches an attempt, one to one."""

    attempt = models.OneToOneField(Attempt, on_delete=models.PROTECT, related_name="proof")
    record = models.OneToOneField(TrailRecord, on_delete=models.PROTECT, related_name="proof")
    matched_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.record} proves {self.attempt}"


class Observation(models.Model):
    """The target's state as read from AWS at a time, as JSON text."""

    class Moment(models.TextChoices):
        REVIEW = "review", "before review"
        CLAIM = "claim", "at the claim"
        AFTER = "after", "after the call"

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="observations")
    step = models.PositiveIntegerField()
    moment = models.CharField(max_length=10, choices=Moment)
    taken_at = models.DateTimeField()
    text = models.TextField(blank=True)
    problem = models.TextField(blank=True, help_text="Why it could not be read.")

    class Meta:
        ordering = ("taken_at", "id")

    def __str__(self) -> str:
        return f"{self.revision} step {self.step + 1} {self.moment}"
