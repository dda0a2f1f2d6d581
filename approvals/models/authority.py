"""The chain of authority, and what is proposed to become its next link.

Each link is the whole state of who may do what, and the signatures that brought it about. A change is a proposal of the next
link: edits, the state that they lead to, and the signatures of administrators over both. The web process proposes and collects
signatures; the authority process alone applies.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from approvals.models.ceremonies import Challenge, SignedAssertion
from approvals.models.people import Person
from approvals.states import ChangeState, Verdict


class AuthorityLink(models.Model):
    """One link. `state` is canonical JSON; link 0 is the genesis, whose hash the executor pins in its own configuration."""

    number = models.PositiveIntegerField(primary_key=True)
    previous = models.CharField(max_length=64, blank=True)
    state = models.TextField()
    hash = models.CharField(max_length=64)
    proof = models.TextField(default="{}", help_text="What makes the link valid, as canonical JSON (approvals.authority.links).")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("number",)

    def __str__(self) -> str:
        return f"authority #{self.number}"


class AuthoritySettings(models.Model):
    """What the portal asks of itself: one row. Authority, so the web process only reads it."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    signers = models.PositiveSmallIntegerField(default=2, help_text="How many administrators sign a change of authority.")
    checkpoint_bucket = models.CharField(max_length=63, blank=True, help_text="Where checkpoints of the audit trail are kept.")
    checkpoint_every = models.PositiveIntegerField(default=3600, help_text="Seconds between two checkpoints.")

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(id=1), name="settings_are_one_row"),
            models.CheckConstraint(condition=Q(signers__gte=2), name="settings_two_persons_at_least"),
        )

    def __str__(self) -> str:
        return f"{self.signers} administrators sign a change"


class Invitation(models.Model):
    """A link by which one person registers passkeys, once. `codes` are the fingerprints of codes that genesis printed; for

    an invitation that a quorum made they are empty, and each signer holds a code of his own (approvals.authority.enrolment).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="invitations")
    until = models.DateTimeField()
    codes = models.JSONField(default=list)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"invitation of {self.person}"


class AuthorityChange(models.Model):
    """A proposal of the next link: of edits that administrators sign, or of the passkeys that an invited person registered."""

    class Kind(models.TextChoices):
        EDITS = "edits", "change of authority"
        ENROLMENT = "enrolment", "registration of passkeys"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    state = models.CharField(max_length=10, choices=[(s.value, s.value.capitalize()) for s in ChangeState], default="open")
    proposer = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="changes")
    reason = models.TextField()
    number = models.PositiveIntegerField(help_text="Of the link that it would become.")
    previous = models.CharField(max_length=64, help_text="The hash of the link that it follows.")
    edits = models.TextField(help_text="What was asked for, as canonical JSON.")
    next_state = models.TextField(help_text="The whole state that the edits lead to, as canonical JSON.")
    digest = models.CharField(max_length=64, help_text="The hash of the link that it would become: what is signed.")
    registration = models.TextField(blank=True, help_text="Of an enrolment: keys, registrations and proofs, as canonical JSON.")
    created_at = models.DateTimeField()
    open_until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_why = models.TextField(blank=True)

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = (
            models.CheckConstraint(condition=Q(state__in=[s.value for s in ChangeState]), name="change_state_is_known"),
            models.CheckConstraint(condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="change_has_a_digest"),
        )
        indexes = (models.Index(fields=("-created_at",), condition=Q(state="open"), name="change_open"),)

    def __str__(self) -> str:
        return f"change {self.reference}"

    @property
    def reference(self) -> str:
        """A short name for people: the id's first eight digits."""
        return str(self.id)[:8].upper()


_VERDICTS = [(verdict.value, verdict.value.capitalize()) for verdict in (Verdict.APPROVE, Verdict.DENY)]


class ChangeChallenge(Challenge):
    """A nonce that one person may use once to sign one verdict on one change. Consumed by a conditional UPDATE."""

    change = models.ForeignKey(AuthorityChange, on_delete=models.PROTECT, related_name="challenges")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=12, choices=_VERDICTS)

    def __str__(self) -> str:
        return f"{self.person} may sign {self.verdict}"


class ChangeSignature(SignedAssertion):
    """One WebAuthn assertion, whole, by one person over the digest of one change. A trigger forbids every later change."""

    change = models.ForeignKey(AuthorityChange, on_delete=models.PROTECT, related_name="signatures")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=12, choices=_VERDICTS)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ("created_at", "id")
        constraints = (models.UniqueConstraint(fields=("change", "person"), name="signature_per_change_and_person"),)
        indexes = (models.Index(fields=("credential_id", "-counter"), name="change_signature_counter"),)

    def __str__(self) -> str:
        return f"{self.person} signed {self.verdict}"


class RegistrationChallenge(Challenge):
    """A nonce that an invited person may use once to register a passkey."""

    invitation = models.ForeignKey(Invitation, on_delete=models.CASCADE, related_name="+")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return f"{self.person} may register a passkey"
