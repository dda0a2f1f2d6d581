"""What is signed: the requester confirms, reviewers approve or deny. And what a reviewer may do unsigned: send it back."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError
from django.db.models import Max
from django.utils import timezone

from approvals import audit, notifications, outbox, terms
from approvals.audit import Trail
from approvals.decisions.checks import (
    asks_for_a_reason,
    given_reason,
    must_be_confirmable,
    must_be_current,
    must_be_protected,
    must_be_returnable,
    must_be_reviewable,
    must_have_typed,
    must_name_its_ticket,
    must_not_be_held,
)
from approvals.decisions.quorum import Concerned, concerned_in, guardrails_of, resolution_of
from approvals.decisions.signing import consume, sign
from approvals.decisions.writing import (
    actor_of,
    back_to_draft,
    calls_of,
    locked,
    matching,
    move,
)
from approvals.errors import (
    AlreadyReviewed,
    NotAllowed,
    Refused,
    WrongState,
)
from approvals.models import (
    ApprovalRequest,
    AuditKind,
    Comment,
    Execution,
    OutboxKind,
    Person,
    Review,
    Revision,
)
from approvals.operations import protection
from approvals.policies import Outcome, Resolution, Rules
from approvals.signatures import Assertion
from approvals.states import RequestState, Verdict


def confirm(
    request_id: UUID, person: Person, *, digest: str, nonce: str, assertion: Assertion, reason: str, now: datetime | None = None
) -> ApprovalRequest:
    """The requester signs the plan: draft -> pending. What was pending unconfirmed counts from now on as confirmed.

    Raises NotAllowed, WrongState, Expired, StaleRevision, BadSignature; Refused when the guardrails changed since the revision
    was frozen (edit it to freeze it anew), or when one asks for a ticket that the reason does not name.
    """
    now = now or timezone.now()
    reason = given_reason(reason, needed=False)
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
        guardrails = {version.guardrail.name: version.rules for version in versions}
        given_reason(reason, needed=asks_for_a_reason(guardrails.values()))
        must_name_its_ticket(reason, guardrails.values())
        must_be_protected(request, revision, guardrails.values())
        sign(revision, person, Verdict.CONFIRM, nonce, assertion, now)
        was = request.request_state
        if was is RequestState.DRAFT:
            until = now + timedelta(seconds=min(rules.clocks.pending for rules in guardrails.values()))
            move(request, RequestState.PENDING, reason=reason, pending_until=until)
        else:
            ApprovalRequest.objects.filter(pk=request.pk).update(reason=reason)
            request.reason = reason
        trail.add(
            AuditKind.REQUEST_CONFIRMED,
            actor=actor_of(person),
            request=request.pk,
            revision=revision.number,
            digest=digest,
            reason=reason,
        )
        if was is RequestState.DRAFT:
            notifications.tell(notifications.PENDING, request)
            notifications.remind(request, revision, now)
        outbox.put(OutboxKind.MIRROR, request.pk)
        # A draft may have waited for days: reviewers see the target as it is now.
        outbox.put(OutboxKind.INSPECT, revision.pk)
        # Of what was pending unconfirmed somebody may have approved enough already.
        settle(trail, request, revision, guardrails, now)
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
    reason = given_reason(reason, needed=verdict is not Verdict.APPROVE)
    if verdict not in (Verdict.APPROVE, Verdict.DENY):
        raise Refused("A reviewer approves or denies.")
    consume(nonce, person, now)
    with audit.recorded() as trail:
        request = locked(request_id)
        revision = request.current_revision()
        concerned = concerned_in(revision, person)
        must_be_reviewable(request, revision, person, now, concerned)
        must_be_current(revision, digest)
        guardrails = guardrails_of(revision)
        if verdict is Verdict.APPROVE:
            given_reason(reason, needed=asks_for_a_reason(guardrails.values()))
            if request.request_state is not RequestState.PENDING:
                raise WrongState("This request is approved already. You can still deny it until it runs.")
            if request.requester_id not in concerned.held.active:
                raise Refused("The requester was switched off, so nobody stands behind this any more. It can only be denied.")
            must_not_be_held(revision, guardrails.values(), now)
            must_be_protected(request, revision, guardrails.values())
            must_have_typed(typed_name, request, revision, guardrails)
        signature = sign(revision, person, verdict, nonce, assertion, now)
        try:
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
        # Rights are looked at once more: storing the signature may have waited for whoever took one away. One that counts for
        # nothing would stand in the way of its author when he has the right again.
        concerned = concerned_in(revision)
        if not concerned.held.rights[person.pk] & guardrails.keys():
            raise NotAllowed("Your right to review this ended while you signed, so nothing was decided.")
        settle(trail, request, revision, guardrails, now, concerned)
    return request


def send_back(request_id: UUID, person: Person, *, message: str, now: datetime | None = None) -> Revision:
    """A reviewer returns it to its requester: draft again, as a new revision with the same calls; every review is void.

    The message stays in the thread. Raises OwnRequest, NotAllowed, WrongState, Expired, Refused.
    """
    now = now or timezone.now()
    message = given_reason(message)
    with audit.recorded() as trail:
        request = locked(request_id)
        former = request.current_revision()
        must_be_returnable(request, former, person, now)
        was = request.request_state
        revision = back_to_draft(request, f"Sent back by {person.handle}, with a message.", now)
        Comment.objects.create(
            request=request, revision=former, person=person, kind=Comment.Kind.RETURNED, text=message, created_at=now
        )
        trail.add(
            AuditKind.REQUEST_SENT_BACK,
            actor=actor_of(person),
            request=request.pk,
            revision=revision.number,
            was=str(was),
            message=message,
        )
        notifications.tell(notifications.SENT_BACK, request)
        outbox.put(OutboxKind.MIRROR, request.pk)
        outbox.put(OutboxKind.INSPECT, revision.pk)
    return revision


def settle(
    trail: Trail,
    request: ApprovalRequest,
    revision: Revision,
    guardrails: dict[str, Rules],
    now: datetime,
    concerned: Concerned | None = None,
) -> None:
    """Do what the reviews add up to, if that is anything yet. Raises Refused when nothing could ever be carried out."""
    resolution = resolution_of(revision, guardrails, concerned)
    if resolution.outcome is Outcome.DENIED:
        denial = revision.reviews.select_related("person").get(person_id=UUID(resolution.denied_by))
        why = f"Denied by {denial.person.handle}: {denial.reason}"
        move(request, RequestState.DENIED, ended_at=now, ended_why=why)
        trail.add(AuditKind.REQUEST_DENIED, actor=actor_of(denial.person), request=request.pk, why=why)
        notifications.tell(notifications.DENIED, request)
        outbox.put(OutboxKind.MIRROR, request.pk)
    elif resolution.outcome is Outcome.APPROVED and request.request_state is RequestState.PENDING:
        _approve(trail, request, revision, guardrails, resolution, now)


def _approve(
    trail: Trail,
    request: ApprovalRequest,
    revision: Revision,
    guardrails: dict[str, Rules],
    resolution: Resolution,
    now: datetime,
) -> None:
    plan, rules = revision.plan, list(guardrails.values())
    hold = terms.hold_of(rules, irreversible=protection.is_final(plan.steps))
    # The clocks of several web processes differ: the hold begins with the newest signature, as the executor counts it.
    signed = revision.signatures.aggregate(newest=Max("created_at"))["newest"]
    term = terms.term_of(rules, resolved=max(now, signed), hold=hold, valid_for=plan.valid_for)
    if term is None:
        raise Refused(
            "No execution window of these guardrails opens within a year, so an approval could never be carried out. Deny it or "
            "send it back; the windows are a matter for the administrators."
        )
    move(request, RequestState.APPROVED, approved_until=term.until)
    execution = Execution.objects.create(revision=revision, not_before=term.not_before, valid_until=term.until, created_at=now)
    trail.add(
        AuditKind.REQUEST_APPROVED,
        actor="process:decisions",
        request=request.pk,
        execution=str(execution.pk),
        digest=revision.digest,
        quorum={progress.guardrail: list(progress.have) for progress in resolution.progress},
    )
    # With a hold the executor has something to do at once: it tells everybody what it read. Its nudge goes out first.
    outbox.put(OutboxKind.EXECUTE, execution.pk, due_at=now if hold else term.not_before)
    notifications.tell(notifications.APPROVED, request)
    outbox.put(OutboxKind.MIRROR, request.pk)
