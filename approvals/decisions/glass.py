"""Break-glass: one eligible person acts at once, everybody is told, and another approver reviews it afterwards.

Off unless every guardrail that protects the call has one; never for what cannot be undone. It waits for no window and no freeze.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.utils import timezone

from approvals import audit, notifications, outbox, permissions
from approvals.alerts import raise_alert
from approvals.decisions.checks import given_reason, must_be_breakable, must_be_current, must_be_protected
from approvals.decisions.quorum import editors_of, guardrails_of
from approvals.decisions.signing import consume, sign
from approvals.decisions.writing import actor_of, calls_of, locked, matching, move
from approvals.errors import NotAllowed, OwnRequest, Refused, WrongState
from approvals.models import Alert, AlertKind, ApprovalRequest, AuditKind, Execution, OutboxKind, Person, Revision
from approvals.signatures import Assertion
from approvals.states import RequestState, Verdict

# A review that is late is escalated when it is due, and then after twice and four times as long.
ESCALATIONS: Final = (1, 2, 4)


def break_glass(
    request_id: UUID, person: Person, *, digest: str, nonce: str, assertion: Assertion, reason: str, now: datetime | None = None
) -> ApprovalRequest:
    """The requester, eligible under every guardrail, approves his own plan alone: draft -> approved, due at once.

    Tells every approver and administrator, and opens the review. Raises NotAllowed, WrongState, Expired, StaleRevision,
    BadSignature, Refused.
    """
    now = now or timezone.now()
    reason = given_reason(reason)
    consume(nonce, person, now)
    with audit.recorded() as trail:
        request = locked(request_id)
        revision = request.current_revision()
        must_be_breakable(request, revision, person, now)
        must_be_current(revision, digest)
        versions = matching(calls_of(list(revision.plan.steps), request.account, request.region))
        if {version.pk for version in versions} != set(revision.guardrails.values_list("version_id", flat=True)):
            raise Refused(
                "A guardrail changed since this plan was frozen. Save the parameters again, read the new plan and sign that."
            )
        must_be_protected(request, revision, [version.rules for version in versions])
        signature = sign(revision, person, Verdict.BREAK_GLASS, nonce, assertion, now)
        start = max(now, signature.created_at)
        until = start + timedelta(seconds=revision.plan.valid_for)
        move(request, RequestState.APPROVED, break_glass=True, reason=reason, approved_until=until)
        execution = Execution.objects.create(revision=revision, not_before=start, valid_until=until, created_at=now)
        within = min(version.rules.break_glass.review_within for version in versions if version.rules.break_glass)
        trail.add(
            AuditKind.REQUEST_GLASS_BROKEN,
            actor=actor_of(person),
            request=request.pk,
            execution=str(execution.pk),
            digest=digest,
            reason=reason,
            review_within=within,
        )
        alert = raise_alert(
            trail,
            AlertKind.GLASS,
            title=f"{person.handle} broke the glass: {request.operation} {request.target}",
            detail=(
                f"Approved by this one signature and carried out at once. The reason given: {reason}\n"
                "Another approver reviews it on the request's page, with what was found."
            ),
            actor=actor_of(person),
            request=request,
            due_at=now + timedelta(seconds=within),
        )
        notifications.tell(notifications.GLASS_BROKEN, request)
        for times in ESCALATIONS:
            notifications.tell_about(notifications.GLASS_OVERDUE, alert.pk, due_at=now + timedelta(seconds=within * times))
        outbox.put(OutboxKind.EXECUTE, execution.pk)
        outbox.put(OutboxKind.MIRROR, request.pk)
    return request


def review_glass(alert_id: int, person: Person, *, reason: str, now: datetime | None = None) -> Alert:
    """Another approver has looked at a break-glass and says what was found; that closes its review.

    He may review under one of the guardrails, and neither broke the glass nor edited the plan. Raises NotAllowed, OwnRequest,
    WrongState, Refused.
    """
    now = now or timezone.now()
    reason = given_reason(reason)
    with audit.recorded() as trail:
        alert = Alert.objects.select_for_update(of=("self",)).filter(pk=alert_id, kind=AlertKind.GLASS).first()
        if alert is None or alert.request is None:
            raise Refused("There is no such review.")
        must_be_reviewer_of_glass(alert, alert.request, person)
        alert.closed_at, alert.closed_by, alert.closed_why = now, person, reason
        alert.save(update_fields=["closed_at", "closed_by", "closed_why"])
        late = alert.due_at is not None and now > alert.due_at
        trail.add(
            AuditKind.REQUEST_GLASS_REVIEWED,
            actor=actor_of(person),
            request=alert.request.pk,
            alert=alert.pk,
            reason=reason,
            late=late or None,
        )
        notifications.tell_about(notifications.GLASS_REVIEWED, alert.pk)
    return alert


def must_be_reviewer_of_glass(alert: Alert, request: ApprovalRequest, person: Person) -> None:
    """Another approver than the one who broke the glass; not closed yet. Raises OwnRequest, NotAllowed, WrongState."""
    behind_it = editors_of(request)
    if person.pk in behind_it:
        raise OwnRequest("You broke the glass, or edited the plan. Another approver reviews it.")
    if not permissions.reviewable_by(person, apart_from=behind_it) & guardrails_of(_broken(request)).keys():
        raise NotAllowed("Whoever may review under the guardrails of this request reviews its break-glass; you may not.")
    if alert.closed_at is not None:
        raise WrongState(f"This was reviewed by {alert.closed_by} already: {alert.closed_why}")


def _broken(request: ApprovalRequest) -> Revision:
    return request.revisions.filter(signatures__verdict=Verdict.BREAK_GLASS).latest("number")


def why_not_review_glass(alert: Alert, request: ApprovalRequest, person: Person) -> str:
    """Why this person cannot close the review, in a sentence for him; empty when he can."""
    try:
        must_be_reviewer_of_glass(alert, request, person)
    except Refused as refusal:
        return str(refusal)
    return ""
