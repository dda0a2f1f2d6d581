"""What is asked for: drafts from denied calls or filed in the portal, adopted, completed, and opened again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from approvals import audit, notifications, outbox, permissions, policies
from approvals.audit import Trail
from approvals.decisions.checks import (
    given_reason,
    must_be_adoptable,
    must_be_editable,
    must_be_in_time,
)
from approvals.decisions.quotas import may_draft, may_file
from approvals.decisions.steps import Asked, Parameters, foremost, must_stay_about_it, steps_of, subject
from approvals.decisions.writing import (
    Denied,
    actor_of,
    back_to_draft,
    calls_of,
    locked,
    matching,
    move_to_draft,
    new_request,
    revise,
)
from approvals.errors import (
    BadParameters,
    Expired,
    NothingMatches,
    StaleRevision,
)
from approvals.models import (
    Account,
    ApprovalRequest,
    AuditKind,
    Execution,
    GuardrailVersion,
    OutboxKind,
    Person,
    Revision,
    Source,
)
from approvals.operations import catalog, quirks, regions, sensitive, words
from approvals.operations.trail import Conversion
from approvals.plan import Step
from approvals.states import Completeness, RequestState
from approvals.trail_event import TrailEvent


def submit(
    trail: Trail,
    event: TrailEvent,
    *,
    operation: str,
    conversion: Conversion,
    account: Account,
    requester: Person | None,
    versions: Sequence[GuardrailVersion],
    merge_key: str,
    now: datetime,
) -> tuple[ApprovalRequest, bool]:
    """Make a draft of a denied call, or count a repeat of one that is open. Returns (request, whether it is new).

    Runs in the transaction of the feed's batch. Raises TooMany, having written nothing.
    """
    open_one = ApprovalRequest.objects.select_for_update().filter(_still_to_come(), merge_key=merge_key).first()
    if open_one is not None and _clock_is_over(open_one, now):
        # Expiry ends it in a moment; what is denied now must not end with it. It merges with nothing, for the key is taken.
        open_one, merge_key = None, ""
    if open_one is not None:
        ApprovalRequest.objects.filter(pk=open_one.pk).update(repeats=open_one.repeats + 1)
        trail.add(AuditKind.REQUEST_REPEATED, actor="process:feed", request=open_one.pk, event=event.event_id)
        return open_one, False
    may_draft(event.caller)
    service, _, name = operation.partition(":")
    conversion = sensitive.without_secrets(catalog.get(operation), conversion)
    steps = [Step(service, name, quirks.without_marks(conversion.parameters))]
    whole = conversion.completeness in (Completeness.EXACT, Completeness.REBUILT)
    request = new_request(
        Source.EVENT,
        account,
        event.region,
        steps,
        requester,
        versions,
        now,
        denied=Denied(
            principal=event.caller.arn,
            merge_key=merge_key,
            unconfirmed=whole and _may_be_decided_unconfirmed(steps, account, event.region, requester, versions),
        ),
    )
    revision = revise(
        request,
        steps,
        None,
        conversion.completeness,
        conversion.why,
        now,
        versions=versions if whole else (),
        recorded=conversion.told(),
    )
    trail.add(
        AuditKind.REQUEST_DRAFTED,
        actor="process:feed",
        request=request.pk,
        event=event.event_id,
        principal=event.caller.arn,
        requester=requester.handle if requester else None,
        operation=operation,
        completeness=str(conversion.completeness),
        digest=revision.digest or None,
        unconfirmed=request.unconfirmed or None,
    )
    if requester is not None:
        notifications.tell(notifications.DRAFTED, request)
    if request.unconfirmed:
        notifications.tell(notifications.PENDING, request)
        notifications.remind(request, revision, now)
    outbox.put(OutboxKind.MIRROR, request.pk)
    if request.target:
        outbox.put(OutboxKind.INSPECT, revision.pk)
    return request, True


def _may_be_decided_unconfirmed(
    steps: Sequence[Step], account: Account, region: str, requester: Person | None, versions: Sequence[GuardrailVersion]
) -> bool:
    """Whether approvers may decide the recorded call before, or without, its caller's confirmation.

    The caller is an active human with a login, who could confirm or disown it; every guardrail allows it, asks for no ticket
    (nobody gave a reason) and no backup step that is not there, and is one that the executor will demand of the plan.
    """
    rules = [version.rules for version in versions]
    if requester is None or not policies.unconfirmed_may_be_decided(rules) or any(one.ticket for one in rules):
        return False
    if requester.pk not in permissions.active_among([requester.pk]):
        return False
    operations = [catalog.get(step.name) for step in steps]
    if not regions.are_used(region, account.regions, operations, account.partition):
        return False
    calls = calls_of(steps, account, region)
    if policies.unprotected(rules, steps, calls):
        # A person puts the backup step in, and then stands behind the plan.
        return False
    try:
        return {version.pk for version in matching(calls)} == {version.pk for version in versions}
    except NothingMatches:
        return False


def _still_to_come() -> Q:
    """What a repeat of its call is counted under: drafts, what is pending, and what was approved and is not carried out yet."""
    under_way = Execution.objects.filter(revision__request=OuterRef("pk"), state__in=["ready", "claimed", "running"])
    return Q(state__in=["draft", "pending"]) | Q(Exists(under_way.values("pk")), state="approved")


def _clock_is_over(request: ApprovalRequest, now: datetime) -> bool:
    try:
        must_be_in_time(request, now)
    except Expired:
        return True
    return False


def file(
    person: Person,
    *,
    account_id: str,
    region: str,
    operation: str = "",
    parameters: Parameters | None = None,
    steps: Sequence[Asked] = (),
    reason: str = "",
    now: datetime | None = None,
) -> ApprovalRequest:
    """Make a draft without any event; the person is its requester and author. What is asked is `steps`, or one operation.

    `reason` is what the form of the confirmation begins with; it counts once it is signed.

    Raises BadParameters by field (`account`, `region`, `operation` or a parameter's path), NothingMatches when no guardrail
    protects any of the calls (then they need no approval), and TooMany when the person has enough open.
    """
    now = now or timezone.now()
    account = Account.objects.filter(pk=account_id).first()
    if account is None:
        raise BadParameters({"account": [f"Countersign does not know the account {account_id!r}. Choose one of the list."]})
    made = steps_of(steps or [(operation, parameters or {})], account, region)
    if not regions.are_used(region, account.regions, [catalog.get(step.name) for step in made], account.partition):
        raise BadParameters({"region": [f"{account.alias} is used in {', '.join(account.regions)}, not in {region!r}."]})
    calls = calls_of(made, account, region)
    versions = matching(calls)
    about = foremost(made, calls, versions)
    with audit.recorded() as trail:
        may_file(person, now)
        request = new_request(Source.FILED, account, region, made, person, versions, now, about=about)
        if reason:
            ApprovalRequest.objects.filter(pk=request.pk).update(reason=given_reason(reason))
            request.reason = reason
        why = "Filed in the portal with every parameter entered."
        revision = revise(request, made, person, Completeness.EXACT, why, now, versions=versions)
        trail.add(
            AuditKind.REQUEST_DRAFTED,
            actor=actor_of(person),
            request=request.pk,
            operation=request.operation,
            requester=person.handle,
            completeness=str(Completeness.EXACT),
            digest=revision.digest,
        )
        outbox.put(OutboxKind.MIRROR, request.pk)
        outbox.put(OutboxKind.INSPECT, revision.pk)
    return request


def complete(
    request_id: UUID,
    person: Person,
    *,
    number: int,
    parameters: Parameters | None = None,
    steps: Sequence[Asked] = (),
    now: datetime | None = None,
) -> Revision:
    """Enter or edit the plan of a draft: the next revision. `number` is the revision that the person saw.

    `steps` is the whole plan; `parameters` alone are those of the step that the request is about, and the others stay. That
    step has to stay one of the plan's, and a denied call on its target. Editing what is pending sends it back to draft and
    voids every review. Raises BadParameters by path and step, StaleRevision, NotAllowed, NothingMatches, WrongState, Expired.
    """
    now = now or timezone.now()
    with audit.recorded() as trail:
        request = locked(request_id)
        must_be_editable(request, person, now)
        if not _are_the_calls_of(request, number):
            raise StaleRevision("Somebody edited this plan while you did. Open the request again: it shows the current revision.")
        made = steps_of(steps or _with_parameters(request, parameters or {}), request.account, request.region)
        about = must_stay_about_it(request, made)
        versions = matching(calls_of(made, request.account, request.region))
        if request.request_state is RequestState.PENDING:
            move_to_draft(request, versions, now)
        why = f"Completed in the portal by {person.handle}."
        request.revision_number += 1
        request.target = words.target_of(made[about])
        revision = revise(request, made, person, Completeness.EXACT, why, now, versions=versions)
        request.save(update_fields=["revision_number", "target"])
        trail.add(
            AuditKind.REQUEST_COMPLETED,
            actor=actor_of(person),
            request=request.pk,
            revision=revision.number,
            digest=revision.digest,
        )
        outbox.put(OutboxKind.MIRROR, request.pk)
        outbox.put(OutboxKind.INSPECT, revision.pk)
    return revision


def adopt(request_id: UUID, person: Person, *, now: datetime | None = None) -> ApprovalRequest:
    """Stand behind the draft of a bot, or of an AWS identity that belongs to nobody: the person is its requester from now on.

    Raises NotAllowed, WrongState, Expired.
    """
    now = now or timezone.now()
    with audit.recorded() as trail:
        request = locked(request_id)
        must_be_adoptable(request, person, now)
        former = request.requester.handle if request.requester else None
        # A newer picture of it, although its state is the same: the mirror never takes an older one.
        request.version += 1
        ApprovalRequest.objects.filter(pk=request.pk).update(requester=person, version=request.version)
        request.requester = person
        trail.add(
            AuditKind.REQUEST_ADOPTED,
            actor=actor_of(person),
            request=request.pk,
            former=former,
            principal=request.principal or None,
        )
        notifications.tell(notifications.ADOPTED, request)
        outbox.put(OutboxKind.MIRROR, request.pk)
    return request


def _are_the_calls_of(request: ApprovalRequest, number: int) -> bool:
    """Whether the current revision has the calls of the one that somebody saw: freezing it has changed none of them."""
    if number == request.revision_number:
        return True
    calls = {one.draft for one in request.revisions.filter(number__gte=number).only("draft")}
    return 0 < number < request.revision_number and len(calls) == 1


def _with_parameters(request: ApprovalRequest, parameters: Parameters) -> list[Asked]:
    """The current plan with these parameters for the step that the request is about."""
    steps = request.current_revision().steps
    about = subject(request, steps) or 0
    return [(step.name, parameters if index == about else step.parameters) for index, step in enumerate(steps)]


def reopen(trail: Trail, request: ApprovalRequest, why: str, *, now: datetime) -> Revision:
    """After an aborted claim: back to draft as a new revision, prefilled. Called by the executor with the request locked."""
    revision = back_to_draft(request, why, now)
    trail.add(AuditKind.REQUEST_REOPENED, actor="process:execution", request=request.pk, revision=revision.number, why=why)
    outbox.put(OutboxKind.MIRROR, request.pk)
    # What stopped it may be the target: whoever signs it again reads it as it is now.
    outbox.put(OutboxKind.INSPECT, revision.pk)
    return revision
