"""Writing a request and its revisions: the one place that changes a state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from approvals import canonical, policies
from approvals.errors import NothingMatches, Refused, WrongState
from approvals.models import (
    Account,
    ApprovalRequest,
    GuardrailVersion,
    Person,
    Revision,
    RevisionGuardrail,
    Source,
)
from approvals.operations import catalog, protection, regions, resources, words
from approvals.operations.resources import Where
from approvals.plan import GuardrailPin, Plan, Step
from approvals.policies import Call, Mode, call_of, index_of
from approvals.preconditions import Fact
from approvals.states import Completeness, RequestState, may_move


def actor_of(person: Person) -> str:
    """How the audit trail names a person."""
    return f"person:{person.handle}"


def calls_of(steps: Sequence[Step], account: Account, region: str) -> list[Call]:
    """What guardrails are matched against, one a step."""
    where = Where(account.pk, region, account.partition)
    calls = []
    for step in steps:
        operation = catalog.get(step.name)
        calls.append(
            call_of(
                operation,
                account=account.pk,
                region=regions.recorded_in(operation, account.partition, region),
                resources=resources.arns(operation, step.parameters, where),
                tags=account.tags,
                parameters=step.parameters,
            )
        )
    return calls


def matching(calls: Sequence[Call]) -> list[GuardrailVersion]:
    """The enforcing guardrail versions that protect at least one of the calls. Raises NothingMatches."""
    enforcing = {
        version.rules: version
        for version in GuardrailVersion.objects.current().select_related("guardrail")
        if version.rules.mode is Mode.ENFORCE
    }
    index = index_of(tuple(enforcing))
    protecting = {rules for call in calls for rules in index.matching(call)}
    found = [version for rules, version in enforcing.items() if rules in protecting]
    if not found:
        raise NothingMatches(
            "No guardrail protects this call. Check the name, the account and the region for a slip; if they are right, the call "
            "needs no approval here and is made with your own AWS access."
        )
    _nothing_rides_along(calls, found)
    return found


def _nothing_rides_along(calls: Sequence[Call], versions: Sequence[GuardrailVersion]) -> None:
    """What cannot be undone is reviewed by those whom its own guardrail names, never on the back of another step's."""
    for index, call in enumerate(calls):
        if protection.is_loss(call.operation, call.parameters) and not any(policies.matches(one.rules, call) for one in versions):
            raise NothingMatches(
                f"No guardrail protects step {index + 1}, {call.operation}, and it cannot be undone: nobody is named who may "
                "approve it. Take it out of this plan."
            )


@dataclass(frozen=True, slots=True)
class Denied:
    """What is known of a denied call beside its steps: who made it, what it merges with, whether it is decided unconfirmed."""

    principal: str = ""
    merge_key: str = ""
    unconfirmed: bool = False


def new_request(
    source: Source,
    account: Account,
    region: str,
    steps: Sequence[Step],
    requester: Person | None,
    versions: Sequence[GuardrailVersion],
    now: datetime,
    *,
    about: int = 0,
    denied: Denied | None = None,
) -> ApprovalRequest:
    """A draft without its revision. `about` is the step that the request is named after.

    What approvers may decide although nobody confirms it is pending from the start.
    """
    denied = denied or Denied()
    pending = now + timedelta(seconds=min(version.rules.clocks.pending for version in versions))
    return ApprovalRequest.objects.create(
        id=uuid4(),
        source=source,
        account=account,
        region=region,
        operation=steps[about].name,
        target=words.target_of(steps[about]),
        requester=requester,
        principal=denied.principal,
        merge_key=denied.merge_key,
        created_at=now,
        draft_until=now + timedelta(seconds=min(version.rules.clocks.draft for version in versions)),
        unconfirmed=denied.unconfirmed,
        state=RequestState.PENDING if denied.unconfirmed else RequestState.DRAFT,
        pending_until=pending if denied.unconfirmed else None,
    )


def revise(
    request: ApprovalRequest,
    steps: Sequence[Step],
    author: Person | None,
    completeness: Completeness,
    why: str,
    now: datetime,
    *,
    versions: Sequence[GuardrailVersion],
    recorded: str = "",
    preconditions: Sequence[Fact] = (),
) -> Revision:
    """Write the revision of the request's current number; with guardrail versions it has a plan that can be signed."""
    draft = [{"service": s.service, "operation": s.operation, "parameters": canonical.encode(s.parameters)} for s in steps]
    text = _plan(request, steps, versions, preconditions).text() if versions else ""
    revision = Revision.objects.create(
        request=request,
        number=request.revision_number,
        text=text,
        digest=canonical.digest(text) if text else "",
        draft=canonical.dumps(draft),
        completeness=completeness,
        why=why,
        recorded=recorded,
        author=author,
        created_at=now,
    )
    RevisionGuardrail.objects.bulk_create(
        RevisionGuardrail(revision=revision, version=version, guardrail=version.guardrail, request=request, created_at=now)
        for version in versions
    )
    return revision


def _plan(
    request: ApprovalRequest, steps: Sequence[Step], versions: Sequence[GuardrailVersion], preconditions: Sequence[Fact]
) -> Plan:
    return Plan(
        request_id=str(request.pk),
        revision=request.revision_number,
        account=request.account.pk,
        partition=request.account.partition,
        region=request.region,
        role=request.account.executor_role_arn,
        steps=tuple(steps),
        guardrails=tuple(
            GuardrailPin(version.guardrail.name, version.number, version.hash)
            for version in sorted(versions, key=lambda version: version.guardrail.name)
        ),
        valid_for=min(version.rules.clocks.approval for version in versions),
        preconditions=tuple(preconditions),
    )


def back_to_draft(request: ApprovalRequest, why: str, now: datetime) -> Revision:
    """Draft again, as a new revision with the same calls: every signature is void. The row is locked."""
    former = request.current_revision()
    steps = list(former.plan.steps)
    # Nothing may match any more; then the draft stays as it is until somebody ends it.
    try:
        versions: Sequence[GuardrailVersion] = matching(calls_of(steps, request.account, request.region))
    except NothingMatches:
        versions = ()
    move_to_draft(request, versions, now)
    request.revision_number += 1
    request.save(update_fields=["revision_number"])
    return revise(request, steps, former.author, Completeness.EXACT, why, now, versions=versions)


def move_to_draft(request: ApprovalRequest, versions: Sequence[GuardrailVersion], now: datetime) -> None:
    """From pending or approved to draft, with the clock of a fresh draft; its requester has to sign again."""
    draft = min([version.rules.clocks.draft for version in versions], default=policies.Clocks().draft)
    until = now + timedelta(seconds=draft)
    cleared = {"pending_until": None, "approved_until": None, "unconfirmed": False, "break_glass": False}
    move(request, RequestState.DRAFT, draft_until=until, **cleared)


def move(request: ApprovalRequest, state: RequestState, **fields: Any) -> None:
    """Change the state by a conditional UPDATE; the row count says whether it was still where we saw it."""
    moved = ApprovalRequest.objects.filter(pk=request.pk, state=request.state, version=request.version).update(
        state=state, version=request.version + 1, **fields
    )
    if not moved or not may_move(request.request_state, state):
        raise WrongState("Somebody else moved this request a moment ago. Open it again.")
    request.state, request.version = state, request.version + 1
    for name, value in fields.items():
        setattr(request, name, value)


def locked(request_id: UUID) -> ApprovalRequest:
    """The request with its row locked, as it is once the lock is ours. Raises Refused when there is none.

    Without a join: after a wait PostgreSQL reads the locked row anew, and joined ones as they were when the wait began.
    """
    try:
        return ApprovalRequest.objects.select_for_update().get(pk=request_id)
    except ApprovalRequest.DoesNotExist:
        raise Refused("There is no such request.") from None
