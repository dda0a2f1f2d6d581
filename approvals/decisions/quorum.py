"""What the stored reviews of a revision add up to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from approvals import permissions, policies
from approvals.models import (
    ApprovalRequest,
    Person,
    Revision,
)
from approvals.operations import protection
from approvals.permissions import Held
from approvals.policies import Outcome, Resolution, Rules, Vote
from approvals.states import RequestState, Verdict


@dataclass(frozen=True, slots=True)
class Concerned:
    """Everybody on whom a decision about a revision depends, looked at once: who stands behind it, and what each one holds."""

    behind_it: frozenset[UUID]
    held: Held


def concerned_in(revision: Revision, *besides: Person) -> Concerned:
    """Who signed or reviewed the revision, who asks, and `besides`. Nobody who stands behind it lends anybody a right for it."""
    behind_it = frozenset(editors_of(revision.request))
    signed, reviewed = (of.order_by().values_list("person_id", flat=True) for of in (revision.signatures, revision.reviews))
    persons = {*signed.union(reviewed), *(person.pk for person in besides), *filter(None, [revision.request.requester_id])}
    return Concerned(behind_it, permissions.held_by(persons, apart_from=behind_it))


def resolution_of(
    revision: Revision, guardrails: dict[str, Rules] | None = None, concerned: Concerned | None = None
) -> Resolution:
    """What the stored reviews of a revision add up to, under the rights that their authors hold now, as `concerned` says."""
    guardrails = guardrails if guardrails is not None else guardrails_of(revision)
    concerned = concerned or concerned_in(revision)
    held = concerned.held
    reviews = list(revision.reviews.select_related("person"))
    votes = [
        Vote(str(review.person_id), Verdict(review.verdict), held.rights[review.person_id], held.groups[review.person_id])
        for review in reviews
    ]
    confirmed = revision.signatures.filter(verdict=Verdict.CONFIRM).first()
    request = revision.request
    # A draft is shown as it will be once its requester has signed; nothing can be decided on it before.
    signs = request.requester_id if request.request_state is RequestState.DRAFT else None
    standing = confirmed.person_id if confirmed else signs
    if standing not in held.active:
        standing = None  # whoever was switched off stands behind nothing any more
    found = policies.resolve(
        votes,
        guardrails=guardrails,
        confirmed_by=str(standing) if standing else None,
        barred=frozenset(str(person) for person in concerned.behind_it),
        irreversible=bool(revision.text) and protection.is_final(revision.plan.steps),
    )
    if found.outcome is Outcome.APPROVED and standing is None and not may_stay_unconfirmed(request, revision):
        return replace(found, outcome=Outcome.OPEN)
    return found


def may_stay_unconfirmed(request: ApprovalRequest, revision: Revision) -> bool:
    """Whether approvers may decide it without the requester's signature: so marked at the draft, as recorded, of an active human.

    A confirmation whose author was switched off is no silence: then nobody stands behind it.
    """
    if not request.unconfirmed or revision.signatures.filter(verdict=Verdict.CONFIRM).exists():
        return False
    return request.requester_id is not None and request.requester_id in permissions.active_among([request.requester_id])


def guardrails_of(revision: Revision) -> dict[str, Rules]:
    """The rules that a revision must satisfy, by the guardrail's name."""
    return {match.guardrail.name: match.version.rules for match in revision.protecting}


def editors_of(request: ApprovalRequest) -> set[UUID]:
    """The persons who stand behind the request or edited its plan; they never review it."""
    return request.editors()
