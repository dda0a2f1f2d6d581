"""Alerts: what an administrator must look at."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from approvals.models.events import TrailRecord
from approvals.models.people import Person
from approvals.models.requests import ApprovalRequest


class AlertKind(models.TextChoices):
    """Why it was raised."""

    BYPASS = "bypass", "A protected call succeeded outside the portal"
    ROGUE_EXECUTOR = "rogue", "The executor's role made a call that no attempt accounts for"
    UNPROVEN = "unproven", "CloudTrail shows no event for an execution"
    UNKNOWN_OUTCOME = "unknown", "The outcome of a call is not known"
    EXECUTION_FAILED = "failed", "An approved call failed"
    DISOWNED = "disowned", "Somebody says that a denied call was not theirs"
    ROOT = "root", "The root user tried a protected call"
    STUCK = "stuck", "A promise cannot be kept"
    CONFLICT = "conflict", "Two different records carry the same event id"
    FORGERY = "forgery", "Rows that do not verify were about to be executed"
    FLOOD = "flood", "One identity asks for more than anybody could look at"
    WEAKENED = "weakened", "A control was taken away"
    GLASS = "glass", "Somebody broke the glass: another approver reviews it"
    PARTIAL = "partial", "AWS carried out only a part of a call"
    CLAIMED = "claimed", "A claim outside the database was found that no attempt here accounts for"
    PAUSED = "paused", "Executions are paused"
    CONTRADICTED = "contrary", "CloudTrail contradicts how a call is said to have ended"


class Alert(models.Model):
    """One thing that an administrator must look at. Closing it says who did and why.

    One of kind `glass` is the review of a break-glass: another approver closes it, until `due_at`, and a trigger refuses whoever
    stands behind its request.
    """

    kind = models.CharField(max_length=10, choices=AlertKind)
    title = models.CharField(max_length=500)
    detail = models.TextField()
    request = models.ForeignKey(ApprovalRequest, null=True, blank=True, on_delete=models.PROTECT, related_name="alerts")
    record = models.ForeignKey(TrailRecord, null=True, blank=True, on_delete=models.PROTECT, related_name="alerts")
    raised_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, blank=True, help_text="Of a review that must be closed by then.")
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    closed_why = models.TextField(blank=True)

    class Meta:
        ordering = ("-raised_at", "-id")
        constraints = (
            models.UniqueConstraint(fields=("kind", "record"), condition=Q(record__isnull=False), name="alert_once_per_record"),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=True) | (Q(closed_by__isnull=False) & ~Q(closed_why="")),
                name="alert_closed_with_reason",
            ),
            models.CheckConstraint(
                condition=~Q(kind="glass") | (Q(request__isnull=False) & Q(due_at__isnull=False)), name="alert_glass_has_a_clock"
            ),
        )

    def __str__(self) -> str:
        return self.title
