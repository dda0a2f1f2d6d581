"""What is signed: the requester confirms, reviewers approve or deny."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from approvals import audit, notifications, outbox, permissions
from approvals.audit import Trail
from approvals.decisions.checks import (
    given_reason,
    must_be_confirmable,
    must_be_current,
    must_be_editable,
    must_be_endable,
    must_be_reviewable,
    must_have_typed,
)
from approvals.decisions.quorum import guardrails_of, resolution_of
from approvals.decisions.signing import consume, sign
from approvals.decisions.writing import (
    actor_of,
    calls_of,
    locked,
    matching,
    move,
)
from approvals.errors import (
    AlreadyReviewed,
    Refused,
    WrongState,
)
from approvals.models import (
    ApprovalRequest,
    AuditKind,
    Execution,
    OutboxKind,
    Person,
    Review,
    Revision,
)
from approvals.operations import risk
from approvals.policies import Outcome, Rules
from approvals.signatures import Assertion
from approvals.states import RequestState, Verdict


def confirm(
    request_id: UUID, person: Person, *, digest: str, nonce: str, assertion: Assertion, reason: str, now: datetime | None = None
) -> ApprovalRequest:
    """The requester signs the plan: draft -> pending.

    Raises NotAllowed, WrongState, Expired, StaleRevision, BadSignature; Refused when the guardrails changed since the revision
    was frozen (edit it to freeze it anew).
    """
    now = now or timezone.now()
    reason = given_reason(reason)
    consume(nonce, person, now)
    with audit.recorded() as trail:
        request = locked(request_id)
        revision = request.current_revision()
        must_be_confirmable(request, revision, person, now)
        must_be_current(revision, digest)
        versions = matching(calls_of(list(revision.plan.steps), request.account, request.region))
        if {version.pk for version in versions} != set(revision.guardrails.values_list("version_id", flat=True)):
            raise Refused(
                "A guardrail changed since this plan was frozen. Save the parameters again, read the new plan and sign that."
            )
        sign(revision, person, Verdict.CONFIRM, nonce, assertion, now)
        clocks = [version.rules.clocks for version in versions]
        move(request, RequestState.PENDING, reason=reason, pending_until=now + timedelta(seconds=min(c.pending for c in clocks)))
        trail.add(
            AuditKind.REQUEST_CONFIRMED,
            actor=actor_of(person),
            request=request.pk,
            revision=revision.number,
            digest=digest,
            reason=reason,
        )
        notifications.tell(notifications.PENDING, request)
        outbox.put(OutboxKind.MIRROR, request.pk)
        # A draft may have waited for days: reviewers see the target as it is now.
        outbox.put(OutboxKind.INSPECT, revision.pk)
    return request


def review(
    request_id: UUID,
    person: Person,
    *,
    digest: str,
    verdict: Verdict,
    nonce: str,
    assertion: Assertion,
    reason: str,
    typed_name: str = "",
    now: datetime | None = None,
) -> ApprovalRequest:
    """One signed verdict of one person on one digest. A denial is final; enough approvals make an execution.

    Raises OwnRequest, NotAllowed, AlreadyReviewed, WrongState, Expired, StaleRevision, BadSignature, Refused.
    """
    now = now or timezone.now()
    reason = given_reason(reason)
    if verdict not in (Verdict.APPROVE, Verdict.DENY):
        raise Refused("A reviewer approves or denies.")
    consume(nonce, person, now)
    with audit.recorded() as trail:
        request = locked(request_id)
        revision = request.current_revision()
        must_be_reviewable(request, revision, person, now)
        must_be_current(revision, digest)
        guardrails = guardrails_of(revision)
        if verdict is Verdict.APPROVE:
            if request.request_state is not RequestState.PENDING:
                raise WrongState("This request is approved already. You can still deny it until it runs.")
            if request.requester_id not in permissions.active_among([request.requester_id] if request.requester_id else []):
                raise Refused("The requester was switched off, so nobody stands behind this any more. It can only be denied.")
            must_have_typed(typed_name, request, revision, guardrails)
        signature = sign(revision, person, verdict, nonce, assertion, now)
        try:
            with transaction.atomic():
                Review.objects.create(
                    revision=revision, person=person, verdict=verdict, reason=reason, signature=signature, created_at=now
                )
        except IntegrityError as error:
            raise AlreadyReviewed("You have reviewed this revision before, or you stand behind it.") from error
        trail.add(
            AuditKind.REQUEST_REVIEWED,
            actor=actor_of(person),
            request=request.pk,
            revision=revision.number,
            digest=digest,
            verdict=str(verdict),
            reason=reason,
        )
        settle(trail, request, revision, guardrails, now)
    return request


def why_not_review(request: ApprovalRequest, person: Person, *, now: datetime | None = None) -> str:
    """Why this person cannot review the request now, in a sentence for him; empty when he can."""
    try:
        must_be_reviewable(request, request.current_revision(), person, now or timezone.now())
    except Refused as refusal:
        return str(refusal)
    return ""


def why_not_confirm(request: ApprovalRequest, person: Person, *, now: datetime | None = None) -> str:
    """Why this person cannot confirm the request now, in a sentence for him; empty when he can."""
    try:
        must_be_confirmable(request, request.current_revision(), person, now or timezone.now())
    except Refused as refusal:
        return str(refusal)
    return ""


def why_not_complete(request: ApprovalRequest, person: Person, *, now: datetime | None = None) -> str:
    """Why this person cannot enter or edit the parameters now, in a sentence for him; empty when he can."""
    try:
        must_be_editable(request, person, now or timezone.now())
    except Refused as refusal:
        return str(refusal)
    return ""


def why_not_end(request: ApprovalRequest, person: Person, end: RequestState) -> str:
    """Why this person cannot withdraw or disown the request now, in a sentence for him; empty when he can."""
    try:
        must_be_endable(request, person, end)
    except Refused as refusal:
        return str(refusal)
    return ""


def settle(trail: Trail, request: ApprovalRequest, revision: Revision, guardrails: dict[str, Rules], now: datetime) -> None:
    resolution = resolution_of(revision, guardrails)
    if resolution.outcome is Outcome.DENIED:
        denial = revision.reviews.select_related("person").get(person_id=UUID(resolution.denied_by))
        why = f"Denied by {denial.person.handle}: {denial.reason}"
        move(request, RequestState.DENIED, ended_at=now, ended_why=why)
        trail.add(AuditKind.REQUEST_DENIED, actor=actor_of(denial.person), request=request.pk, why=why)
        notifications.tell(notifications.DENIED, request)
        outbox.put(OutboxKind.MIRROR, request.pk)
    elif resolution.outcome is Outcome.APPROVED and request.request_state is RequestState.PENDING:
        plan = revision.plan
        hold = max(rules.irreversible.hold for rules in guardrails.values()) if risk.irreversible(plan.steps) else 0
        # The clocks of several web processes differ: the hold begins with the newest signature, as the executor counts it.
        signed = revision.signatures.aggregate(newest=Max("created_at"))["newest"]
        not_before = max(now, signed) + timedelta(seconds=hold)
        until = not_before + timedelta(seconds=plan.valid_for)
        move(request, RequestState.APPROVED, approved_until=until)
        execution = Execution.objects.create(revision=revision, not_before=not_before, valid_until=until, created_at=now)
        trail.add(
            AuditKind.REQUEST_APPROVED,
            actor="process:decisions",
            request=request.pk,
            execution=str(execution.pk),
            digest=revision.digest,
            quorum={progress.guardrail: list(progress.have) for progress in resolution.progress},
        )
        notifications.tell(notifications.APPROVED, request)
        outbox.put(OutboxKind.EXECUTE, execution.pk, due_at=not_before)
        outbox.put(OutboxKind.MIRROR, request.pk)
