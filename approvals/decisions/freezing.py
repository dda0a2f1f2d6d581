"""Freezing a draft: the next revision, with the same calls and with what the executor read of their targets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from django.db.models import Q

from approvals import outbox
from approvals.audit import Trail
from approvals.decisions.writing import calls_of, locked, matching, revise
from approvals.errors import NothingMatches
from approvals.models import ApprovalRequest, AuditKind, OutboxKind, Revision, SignatureChallenge
from approvals.preconditions import Fact
from approvals.states import Completeness, RequestState

# A nonce is used up just before the decision's own transaction; whoever signed must find the plan that he signed.
_IN_FLIGHT: Final = timedelta(seconds=15)


class NotFrozen(StrEnum):
    """Why a revision stays as it is. `BEING_SIGNED`: somebody has his key in hand, so it may be tried again later."""

    SETTLED = "it is no draft any more, was signed, or another revision has taken its place"
    THE_SAME = "the target is as it was when it was frozen"
    BEING_SIGNED = "somebody is about to sign it"
    NOTHING_MATCHES = "no guardrail protects it any more"


def freeze(trail: Trail, seen: Revision, preconditions: Sequence[Fact], *, now: datetime) -> Revision | NotFrozen:
    """The next revision of an unsigned draft, with these preconditions. Called by the executor, which has read the targets.

    Steps, author, completeness and what the record left open stay, so that who asked, who edited and what it is about do too.
    """
    request = locked(seen.request_id)
    former = request.current_revision()
    if why := _why_not(request, former, seen, preconditions, now):
        return why
    steps = list(former.plan.steps)
    try:
        versions = matching(calls_of(steps, request.account, request.region))
    except NothingMatches:
        return NotFrozen.NOTHING_MATCHES
    request.revision_number += 1
    request.save(update_fields=["revision_number"])
    revision = revise(
        request,
        steps,
        former.author,
        Completeness(former.completeness),
        former.why,
        now,
        versions=versions,
        recorded=former.recorded,
        preconditions=preconditions,
    )
    trail.add(
        AuditKind.TARGET_FROZEN,
        actor="process:execution",
        request=request.pk,
        former=former.number,
        revision=revision.number,
        digest=revision.digest,
        preconditions=list(preconditions),
    )
    outbox.put(OutboxKind.MIRROR, request.pk)
    return revision


def _why_not(
    request: ApprovalRequest, former: Revision, seen: Revision, preconditions: Sequence[Fact], now: datetime
) -> NotFrozen | None:
    if request.request_state is not RequestState.DRAFT or former.pk != seen.pk or not former.text:
        return NotFrozen.SETTLED
    if former.signatures.exists():
        return NotFrozen.SETTLED
    if list(former.plan.preconditions) == list(preconditions):
        return NotFrozen.THE_SAME
    open_ones = Q(consumed_at=None, expires_at__gt=now) | Q(consumed_at__gt=now - _IN_FLIGHT)
    if SignatureChallenge.objects.filter(open_ones, revision=former).exists():
        return NotFrozen.BEING_SIGNED
    return None
