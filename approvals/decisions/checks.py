"""What must hold before a verb may happen; each check raises one named refusal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from approvals import permissions
from approvals.decisions.quorum import editors_of, guardrails_of
from approvals.errors import (
    AlreadyReviewed,
    Expired,
    NotAllowed,
    OwnRequest,
    Refused,
    StaleRevision,
    WrongState,
)
from approvals.models import (
    ApprovalRequest,
    Execution,
    Person,
    Review,
    Revision,
    Source,
)
from approvals.operations import risk
from approvals.policies import Rules
from approvals.states import REVIEWABLE_STATES, RequestState, may_move

LONGEST_REASON = 2000


def must_be_requester(request: ApprovalRequest, person: Person) -> None:
    """The requester himself, and active. Raises NotAllowed."""
    if request.requester_id != person.pk or not person.is_active:
        raise NotAllowed("Only the requester can do this.")


def must_be_in(request: ApprovalRequest, states: Sequence[RequestState] | frozenset[RequestState]) -> None:
    """In one of these states. Raises WrongState, saying how it ended."""
    if request.request_state not in states:
        ended = f" {request.ended_why}" if request.ended_why else ""
        raise WrongState(f"This request is {request.state}.{ended} Nothing was changed.")


def must_be_in_time(request: ApprovalRequest, now: datetime) -> None:
    """Before the clock of its state runs out. Raises Expired."""
    until = {
        RequestState.DRAFT: request.draft_until,
        RequestState.PENDING: request.pending_until,
        RequestState.APPROVED: request.approved_until,
    }.get(request.request_state)
    if until is not None and until <= now:
        raise Expired("The time for this request has run out. File it again if it is still wanted.")


def must_be_unclaimed(request: ApprovalRequest) -> None:
    """Nobody has begun to carry it out. Raises WrongState."""
    if Execution.objects.filter(revision__request=request).exclude(state__in=["ready", "aborted"]).exists():
        raise WrongState("The call is being made or was made already; it can no longer be stopped here.")


def must_be_editable(request: ApprovalRequest, person: Person, now: datetime) -> None:
    """The requester enters or edits parameters while it is a draft or pending, in time."""
    must_be_requester(request, person)
    must_be_in(request, (RequestState.DRAFT, RequestState.PENDING))
    must_be_in_time(request, now)


def must_be_endable(request: ApprovalRequest, person: Person, end: RequestState) -> None:
    """The requester withdraws or disowns what is open and not claimed; only a denied call can be disowned."""
    must_be_requester(request, person)
    must_be_unclaimed(request)
    if end is RequestState.DISOWNED and request.source != Source.EVENT:
        raise WrongState("You filed this request yourself; withdraw it instead.")
    if not may_move(request.request_state, end):
        raise WrongState(f"This request is {request.state} already; there is nothing to end.")


def must_be_confirmable(request: ApprovalRequest, revision: Revision, person: Person, now: datetime) -> None:
    """The requester, a human, signs a complete draft in time. Raises NotAllowed, WrongState, Expired, Refused."""
    must_be_requester(request, person)
    if not person.is_human:
        raise NotAllowed("A bot may ask, but only a person can sign.")
    must_be_in(request, (RequestState.DRAFT,))
    must_be_in_time(request, now)
    if not revision.digest:
        raise Refused(f"The plan is not complete, so there is nothing to sign yet. {revision.why}")


def must_be_reviewable(request: ApprovalRequest, revision: Revision, person: Person, now: datetime) -> None:
    """An active human with the right, who neither asked nor edited nor reviewed before. Raises the refusal that fits."""
    if not person.is_active or not person.is_human:
        raise NotAllowed("Only an active person can review.")
    if person.pk in editors_of(request):
        raise OwnRequest("You asked for this, or edited it. Somebody else must review it.")
    if not permissions.reviewable_by(person, apart_from=editors_of(request)) & guardrails_of(revision).keys():
        raise NotAllowed("You have no right to review requests under the guardrails that protect this resource.")
    if request.request_state is RequestState.DRAFT:
        raise WrongState(
            f"This is a draft, revision {revision.number}: its requester has not signed it yet, or has edited it since. "
            "There is nothing to decide until it is signed again."
        )
    must_be_in(request, REVIEWABLE_STATES)
    must_be_in_time(request, now)
    must_be_unclaimed(request)
    if Review.objects.filter(revision=revision, person=person).exists():
        raise AlreadyReviewed("You have reviewed this revision already.")


def must_be_current(revision: Revision, digest: str) -> None:
    """The digest is that of the current revision. Raises StaleRevision."""
    if not revision.digest or revision.digest != digest:
        raise StaleRevision(
            "The plan was edited since you opened it, so your signature would be over something else. Read it again."
        )


def must_have_typed(typed: str, request: ApprovalRequest, revision: Revision, guardrails: dict[str, Rules]) -> None:
    """The target's name was typed where a guardrail asks for it. Raises Refused."""
    asked_for = risk.irreversible(revision.plan.steps) and any(rules.irreversible.typed_name for rules in guardrails.values())
    if asked_for and typed.strip() != request.target:
        raise Refused(f"This cannot be undone. Type the name of what it acts on, {request.target}, to approve it.")


def given_reason(reason: str) -> str:
    """The reason, stripped. Raises Refused when it is missing, too long or cannot be stored."""
    reason = reason.strip()
    if not reason:
        raise Refused("Give a reason; whoever reads this later will want to know why.")
    if len(reason) > LONGEST_REASON:
        raise Refused(f"The reason has {len(reason)} characters; at most {LONGEST_REASON} are kept. Shorten it.")
    if "\0" in reason:
        raise Refused("The reason holds a NUL character, which cannot be stored. Remove it.")
    return reason
