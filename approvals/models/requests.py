"""ApprovalRequest and its immutable revisions. Written by `approvals.decisions` alone."""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import Any

from django.db import models
from django.db.models import Q

from approvals import canonical, plan
from approvals.models.guardrails import Account, Guardrail, GuardrailVersion
from approvals.models.people import Person
from approvals.plan import Step
from approvals.states import OPEN_STATES, Completeness, ExecutionState, RequestState, Status, status_of


def _choices(states: type[RequestState] | type[Completeness]) -> list[tuple[str, str]]:
    return [(state.value, state.value.capitalize()) for state in states]


class Source(models.TextChoices):
    """How a request came to be."""

    EVENT = "event", "denied call"
    FILED = "filed", "filed in the portal"


class ApprovalRequest(models.Model):
    """Something that somebody wants done in AWS. What exactly lives in its revisions."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=10, choices=_choices(RequestState), default=RequestState.DRAFT.value)
    version = models.PositiveIntegerField(
        default=1, help_text="Grows with each change of state; the mirror never goes back behind it."
    )
    source = models.CharField(max_length=10, choices=Source)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="requests")
    region = models.CharField(max_length=64)
    operation = models.CharField(max_length=200, help_text="The first step's operation, as service:Operation.")
    target = models.CharField(max_length=2048, blank=True, help_text="What the first step acts on.")
    requester = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="requests")
    principal = models.CharField(max_length=2048, blank=True, help_text="The AWS identity that made the denied call.")
    unconfirmed = models.BooleanField(
        default=False, help_text="Its guardrails let approvers decide the recorded call although nobody confirmed it."
    )
    break_glass = models.BooleanField(default=False, help_text="Approved by one person's signature, to be reviewed afterwards.")
    reason = models.TextField(blank=True)
    revision_number = models.PositiveIntegerField(default=1, help_text="The current revision.")
    merge_key = models.CharField(max_length=64, blank=True, help_text="Equal for repeats of the same denied call.")
    repeats = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    draft_until = models.DateTimeField()
    pending_until = models.DateTimeField(null=True, blank=True)
    approved_until = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_why = models.TextField(blank=True)

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = (
            models.CheckConstraint(condition=Q(state__in=[s.value for s in RequestState]), name="request_state_is_known"),
            models.CheckConstraint(
                condition=~Q(state__in=["pending", "approved"]) | Q(requester__isnull=False), name="request_pending_has_requester"
            ),
            models.CheckConstraint(
                condition=Q(unconfirmed=False) | Q(source="event", requester__isnull=False),
                name="request_unconfirmed_is_of_somebody",
            ),
            models.CheckConstraint(
                condition=Q(break_glass=False) | ~Q(state__in=["draft", "pending"]), name="request_break_glass_is_approved"
            ),
            models.UniqueConstraint(
                fields=("merge_key",),
                condition=Q(state__in=["draft", "pending"]) & ~Q(merge_key=""),
                name="request_repeats_merge",
            ),
        )
        indexes = (
            models.Index(fields=("-created_at", "-id"), name="request_newest"),
            models.Index(fields=("-created_at",), condition=Q(state="pending"), name="request_pending"),
            models.Index(fields=("requester", "-created_at"), name="request_mine"),
            models.Index(fields=("merge_key",), condition=Q(state="approved") & ~Q(merge_key=""), name="request_repeat_approved"),
        )

    def __str__(self) -> str:
        return f"{self.reference} {self.operation} {self.target}"

    @property
    def reference(self) -> str:
        """A short name for people: the id's first eight digits."""
        return str(self.id)[:8].upper()

    @property
    def request_state(self) -> RequestState:
        """The state, typed."""
        return RequestState(self.state)

    @property
    def is_open(self) -> bool:
        """Whether anything may still happen to it."""
        return self.request_state in OPEN_STATES

    @property
    def place(self) -> str:
        """Where the call would be made, for a sentence: `Production, eu-west-1`."""
        return f"{self.account.alias}, {self.region}"

    def editors(self) -> set[uuid.UUID]:
        """The persons who stand behind the request or edited its plan; they never review it."""
        authors = self.revisions.exclude(author=None).values_list("author_id", flat=True)
        return {person for person in {*authors, self.requester_id} if person is not None}

    def current_revision(self) -> Revision:
        """The revision that would be signed or executed."""
        return self.revisions.get(number=self.revision_number)

    def status(self) -> Status:
        """What people read: derived from the request and its newest execution, or the one whose outcome is not known."""
        if "revisions" in getattr(self, "_prefetched_objects_cache", {}):
            states = [execution.state for revision in self.revisions.all() for execution in _execution_of(revision)]
        else:
            found = self.revisions.order_by("number").values_list("execution__state", flat=True)
            states = [state for state in found if state]
        newest = ExecutionState.UNKNOWN if ExecutionState.UNKNOWN in states else (states or [None])[-1]
        return status_of(self.request_state, ExecutionState(newest) if newest else None)


def _execution_of(revision: Revision) -> list[Any]:
    execution = getattr(revision, "execution", None)
    return [] if execution is None else [execution]


class Revision(models.Model):
    """An immutable plan with its digest. A trigger forbids every change; editing makes the next revision.

    While parameters are missing there is no plan: `text` and `digest` are empty and `draft` holds what is known, canonically.
    """

    request = models.ForeignKey(ApprovalRequest, on_delete=models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    text = models.TextField(blank=True)
    digest = models.CharField(max_length=64, blank=True)
    draft = models.TextField(help_text="The steps as far as they are known, as canonical text.")
    completeness = models.CharField(max_length=10, choices=_choices(Completeness))
    why = models.TextField(help_text="Why it is as complete as it is, in words for a person.")
    recorded = models.TextField(
        blank=True,
        default="",
        help_text="What the record left open (Conversion.told), as canonical text.",
    )
    author = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="revisions")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("number",)
        constraints = (
            models.UniqueConstraint(fields=("request", "number"), name="revision_number_once"),
            models.UniqueConstraint(fields=("digest",), condition=~Q(digest=""), name="revision_digest_once"),
            models.CheckConstraint(
                condition=(Q(text="") & Q(digest="")) | (~Q(text="") & Q(digest__regex=r"^[0-9a-f]{64}$")),
                name="revision_digest_with_text",
            ),
        )

    def __str__(self) -> str:
        return f"{self.request.reference} revision {self.number}"

    @property
    def plan(self) -> plan.Plan:
        """The plan, parsed from the same bytes that are hashed, signed and sent. Raises BadPlan while there is none."""
        return plan.parse(self.text)

    @cached_property
    def protecting(self) -> list[RevisionGuardrail]:
        """The guardrail versions that it is reviewed under: written with it, and never changed."""
        return list(self.guardrails.select_related("version", "guardrail"))

    @property
    def steps(self) -> list[Step]:
        """The plan's steps; while there is no plan, the draft's as far as they are known."""
        if self.text:
            return list(self.plan.steps)
        return [Step(step["service"], step["operation"], step["parameters"]) for step in self.draft_steps]

    @property
    def draft_steps(self) -> list[dict[str, Any]]:
        """The steps as far as known: objects with service, operation and parameters (boto3 keyword arguments)."""
        return [
            {"service": step["service"], "operation": step["operation"], "parameters": canonical.decode(step["parameters"])}
            for step in canonical.loads(self.draft)
        ]


class RevisionGuardrail(models.Model):
    """An enforcing guardrail version that a revision must satisfy."""

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="guardrails")
    version = models.ForeignKey(GuardrailVersion, on_delete=models.PROTECT, related_name="+")
    guardrail = models.ForeignKey(Guardrail, on_delete=models.PROTECT, related_name="+")
    request = models.ForeignKey(ApprovalRequest, on_delete=models.PROTECT, related_name="matches")
    created_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("revision", "guardrail"), name="revision_guardrail_once"),)
        indexes = (models.Index(fields=("guardrail", "-created_at", "request"), name="match_newest"),)

    def __str__(self) -> str:
        return f"{self.revision} under {self.version}"
