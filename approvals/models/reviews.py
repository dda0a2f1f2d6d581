"""Challenges, signatures and reviews. Signatures are stored whole, so that they can be verified again from stored bytes."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from approvals.models.ceremonies import Challenge, SignedAssertion
from approvals.models.people import Person
from approvals.models.requests import ApprovalRequest, Revision
from approvals.states import Verdict

_VERDICTS = [(verdict.value, verdict.value.capitalize()) for verdict in Verdict]


class SignatureChallenge(Challenge):
    """A nonce that one person may use once to sign one verdict on one revision. Consumed by a conditional UPDATE."""

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="challenges")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=10, choices=_VERDICTS)

    def __str__(self) -> str:
        return f"{self.person} may sign {self.verdict}"


class Signature(SignedAssertion):
    """One WebAuthn assertion, whole, by one person over one revision's digest. A trigger forbids every change."""

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="signatures")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="signatures")
    verdict = models.CharField(max_length=10, choices=_VERDICTS)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("revision", "person"), name="signature_per_revision_and_person"),)
        indexes = (models.Index(fields=("credential_id", "-counter"), name="signature_counter"),)

    def __str__(self) -> str:
        return f"{self.person} signed {self.verdict}"


class Comment(models.Model):
    """One word in the thread of a request. A trigger forbids every change; `returned` is the message of who sent it back."""

    class Kind(models.TextChoices):
        COMMENT = "comment", "comment"
        RETURNED = "returned", "sent back"

    request = models.ForeignKey(ApprovalRequest, on_delete=models.PROTECT, related_name="comments")
    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="comments")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="comments")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.COMMENT)
    text = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("created_at", "id")
        constraints = (models.CheckConstraint(condition=~Q(text=""), name="comment_says_something"),)
        indexes = (models.Index(fields=("request", "created_at"), name="comment_of_request"),)

    def __str__(self) -> str:
        return f"{self.person}: {self.text[:40]}"


class Review(models.Model):
    """One signed verdict of one person on one revision. A trigger refuses the requester, editors, and another signature."""

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="reviews")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="reviews")
    verdict = models.CharField(max_length=10, choices=_VERDICTS)
    reason = models.TextField()
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, related_name="review")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("created_at", "id")
        constraints = (
            models.UniqueConstraint(fields=("revision", "person"), name="review_per_revision_and_person"),
            models.CheckConstraint(condition=Q(verdict__in=["approve", "deny"]), name="review_approves_or_denies"),
        )

    def __str__(self) -> str:
        return f"{self.person}: {self.verdict}"
