"""Who is looking: the person behind the session, what he may see, what waits for him. Verdicts are for `decisions`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Exists, F, OuterRef, Prefetch, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from approvals import permissions
from approvals.decisions import checks
from approvals.errors import NotAllowed
from approvals.models import (
    Alert,
    AlertKind,
    ApprovalRequest,
    AuthorityChange,
    ChangeSignature,
    Execution,
    Guardrail,
    Person,
    Review,
    Revision,
    RevisionGuardrail,
    Signature,
    Statement,
    StatementSignature,
)
from approvals.permissions import person_of, reviewable_by
from approvals.states import OPEN_STATES, SETTLED_EXECUTIONS, ExecutionState, RequestState


@dataclass(frozen=True)
class Viewer:
    """One person for the length of one HTTP request. His guardrails are read once, never once a row."""

    person: Person

    @property
    def sees_everything(self) -> bool:
        """Administrators and auditors look after the whole; looking gives no right to decide."""
        return self.person.is_administrator or self.person.is_auditor

    @cached_property
    def guardrails(self) -> frozenset[str]:
        """The names of the guardrails whose requests the person may review."""
        return reviewable_by(self.person)

    @cached_property
    def guardrail_ids(self) -> list[int]:
        """The same as ids, for the queries below."""
        return list(Guardrail.objects.filter(name__in=self.guardrails).values_list("pk", flat=True)) if self.guardrails else []

    def requests(self) -> QuerySet[ApprovalRequest]:
        """Every request that the person may read: his own, those under his guardrails; all for administrators and auditors."""
        return permissions.requests_seen_by(self.person, [] if self.sees_everything else self.guardrail_ids)

    def waiting_to_be_adopted(self) -> QuerySet[ApprovalRequest]:
        """Drafts that no person stands behind. Whoever is a person may read one, since he may adopt it; lists keep them apart."""
        return permissions.waiting_to_be_adopted() if self.person.is_human else ApprovalRequest.objects.none()

    def may_stop(self) -> QuerySet[ApprovalRequest]:
        """What is approved, with something left to be made, and this person could stop: he signed it, or reviews such."""
        signed = Signature.objects.filter(
            revision__request=OuterRef("pk"), revision__number=OuterRef("revision_number"), person=self.person
        )
        free = Execution.objects.filter(checks.let_go(timezone.now()))
        # Few are under way at any time; which steps a plan has only its signed text says.
        begun = free.filter(state=ExecutionState.RUNNING).select_related("revision").prefetch_related("attempts")
        made = [one.pk for one in begun if checks.nothing_is_left(one, one.attempts.all())]
        waits = free.exclude(pk__in=made).filter(revision__request=OuterRef("pk"), revision__number=OuterRef("revision_number"))
        return ApprovalRequest.objects.filter(
            Exists(waits), Exists(signed) | self._under_my_guardrails(current=True), state="approved"
        )

    def glass_to_review(self) -> QuerySet[Alert]:
        """Break-glasses of others that wait for a review, under the person's guardrails."""
        if not self.guardrail_ids:
            return Alert.objects.none()
        matched = RevisionGuardrail.objects.filter(request=OuterRef("request"), guardrail__in=self.guardrail_ids)
        open_ones = Alert.objects.filter(Exists(matched), kind=AlertKind.GLASS, closed_at=None)
        return open_ones.exclude(request__requester=self.person).select_related("request__account")

    def changes(self) -> QuerySet[AuthorityChange]:
        """Every change of authority that the person may read: all for administrators and auditors, else what he proposed."""
        every = AuthorityChange.objects.all()
        return every if self.sees_everything else every.filter(proposer=self.person)

    def changes_to_sign(self) -> QuerySet[AuthorityChange]:
        """Open changes that an administrator has not signed yet; whether he gains by one, its page says."""
        if not self.person.is_administrator:
            return AuthorityChange.objects.none()
        signed = ChangeSignature.objects.filter(change=OuterRef("pk"), person=self.person)
        return AuthorityChange.objects.filter(state="open", kind=AuthorityChange.Kind.EDITS).exclude(Exists(signed))

    def statements(self) -> QuerySet[Statement]:
        """Every statement that the person may read: all for administrators and auditors, else closings about his requests."""
        every = Statement.objects.all()
        return every if self.sees_everything else every.filter(execution__revision__request__in=self.requests())

    def statements_to_sign(self) -> QuerySet[Statement]:
        """Open statements that wait for this person's signature: resumings for administrators, closings for reviewers."""
        signed = StatementSignature.objects.filter(statement=OuterRef("pk"), person=self.person)
        mine: Any = Q(kind=Statement.Kind.RESUME) if self.person.is_administrator else Q(pk__in=[])
        if self.guardrail_ids and self.person.is_human:
            under = RevisionGuardrail.objects.filter(revision=OuterRef("execution__revision"), guardrail__in=self.guardrail_ids)
            edited = Revision.objects.filter(request=OuterRef("execution__revision__request"), author=self.person)
            others = ~Q(execution__revision__request__requester=self.person) & ~Exists(edited)
            mine |= Q(Exists(under), kind=Statement.Kind.CLOSING) & others
        return Statement.objects.filter(mine, state="open", open_until__gt=timezone.now()).exclude(Exists(signed))

    def my_requests(self) -> QuerySet[ApprovalRequest]:
        """What the person asked for."""
        return ApprovalRequest.objects.filter(requester=self.person)

    def waiting_for_review(self) -> QuerySet[ApprovalRequest]:
        """Pending requests of others under the person's guardrails that he has neither edited nor reviewed."""
        if not self.guardrail_ids or not self.person.is_human:
            return ApprovalRequest.objects.none()
        edited = Revision.objects.filter(request=OuterRef("pk"), author=self.person)
        reviewed = Review.objects.filter(
            revision__request=OuterRef("pk"), revision__number=OuterRef("revision_number"), person=self.person
        )
        return (
            ApprovalRequest.objects.filter(self._under_my_guardrails(current=True), state="pending")
            .exclude(requester=self.person)
            .exclude(Exists(edited))
            .exclude(Exists(reviewed))
        )

    def running(self) -> QuerySet[Execution]:
        """Executions on their way, of requests that the person may read; a step that was made settles on after a stop, too."""
        wanted = Q(state__in=["ready", "claimed", "running", "unknown"], revision__request__state="approved")
        return Execution.objects.filter(
            wanted | Q(state__in=["running", "unknown"]),
            revision__number=F("revision__request__revision_number"),
            revision__request__in=self.requests(),
        )

    def twins_of(self, request: ApprovalRequest) -> list[ApprovalRequest]:
        """Other open requests of the same requester for the same call on the same target, as far as the person may read them."""
        settled = Execution.objects.filter(revision__request=OuterRef("pk"), state__in=SETTLED_EXECUTIONS)
        is_over = Q(state=RequestState.APPROVED) & Exists(settled)
        if request.requester_id is None or not ApprovalRequest.objects.filter(pk=request.pk, state__in=OPEN_STATES).exclude(
            is_over
        ):
            return []
        same = self.requests().filter(
            requester=request.requester_id,
            account=request.account_id,
            region=request.region,
            operation=request.operation,
            target=request.target,
            state__in=OPEN_STATES,
        )
        return list(for_listing(same.exclude(pk=request.pk).exclude(is_over)).order_by("-created_at")[:5])

    def must_see(self, request: ApprovalRequest) -> None:
        """Raise NotAllowed when the person may not read this request."""
        if not permissions.may_read(self.person, request, self.guardrails):
            raise NotAllowed(
                "This request is not yours, and you review under none of the guardrails that protect what it touches. "
                "If you should, ask the administrators: two of them sign a change that gives the right; a link alone gives none."
            )

    def _under_my_guardrails(self, *, current: bool = False) -> Exists:
        match = RevisionGuardrail.objects.filter(request=OuterRef("pk"), guardrail__in=self.guardrail_ids)
        return Exists(match.filter(revision__number=OuterRef("revision_number")) if current else match)


def viewer_of(http: HttpRequest) -> Viewer:
    """The viewer of an HTTP request, found once. Raises NotAllowed for a login that belongs to no active person."""
    known: Viewer | None = getattr(http, "countersign_viewer", None)
    if known is None:
        person = person_of(http.user)
        if person is None:
            raise NotAllowed(
                "Your login belongs to no active person in Countersign's authority, so there is nothing you may see or do here. "
                "Ask the administrators: two of them sign a change that adds you."
            )
        known = Viewer(person)
        http.countersign_viewer = known  # type: ignore[attr-defined]
    return known


def for_listing(requests: QuerySet[ApprovalRequest]) -> QuerySet[ApprovalRequest]:
    """With what a line of a list shows, in a constant number of queries."""
    revisions = Revision.objects.select_related("execution")
    return requests.select_related("account", "requester").prefetch_related(Prefetch("revisions", revisions))
