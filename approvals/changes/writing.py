"""What every verb on a change shares: the newest link, the locked row, how a proposal ends."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from approvals import outbox
from approvals.audit import Trail
from approvals.authority import Standing, state
from approvals.errors import Expired, Refused, StaleChange, WrongState
from approvals.models import AuditKind, AuthorityChange, AuthorityLink, OutboxKind
from approvals.states import ChangeState

LONGEST_REASON = 2000

_KIND = {
    ChangeState.DENIED: AuditKind.CHANGE_DENIED,
    ChangeState.WITHDRAWN: AuditKind.CHANGE_WITHDRAWN,
    ChangeState.EXPIRED: AuditKind.CHANGE_EXPIRED,
    ChangeState.STALE: AuditKind.CHANGE_STALE,
}


def head() -> Standing:
    """The newest link as it is stored. The web process has no pin, so it reads; whoever applies walks the chain."""
    newest = AuthorityLink.objects.order_by("-number").first()
    if newest is None:
        raise Refused("There is no authority yet. Run `manage.py bootstrap MANIFEST` first.")
    return Standing(newest.number, newest.hash, newest.state, state.read(newest.state))


def locked(change_id: UUID, now: datetime) -> AuthorityChange:
    """The change, locked and still open. Raises Refused, WrongState, Expired, StaleChange."""
    change = AuthorityChange.objects.select_for_update(of=("self",)).select_related("proposer").filter(pk=change_id).first()
    if change is None:
        raise Refused("There is no such change of authority.")
    must_be_open(change, now)
    return change


def must_be_open(change: AuthorityChange, now: datetime) -> None:
    """Raise WrongState, Expired or StaleChange unless it can still be signed."""
    if change.state != ChangeState.OPEN:
        raise WrongState(f"This change is {change.state}. {change.ended_why} Nothing was changed.".replace("  ", " "))
    if change.open_until <= now:
        raise Expired("The time for this change has run out. Propose it again if it is still wanted.")
    newest = AuthorityLink.objects.order_by("-number").values_list("hash", flat=True).first()
    if newest != change.previous:
        raise StaleChange(
            "Another change of authority was applied since this one was proposed, so it follows nothing any more. Propose it "
            "again: the page shows what it would change now."
        )


def end(trail: Trail, change: AuthorityChange, state_: ChangeState, why: str, actor: str, now: datetime) -> None:
    """End a proposal. Raises WrongState when it has ended meanwhile."""
    ended = AuthorityChange.objects.filter(pk=change.pk, state=ChangeState.OPEN).update(state=state_, ended_at=now, ended_why=why)
    if not ended:
        raise WrongState("Somebody else ended this change a moment ago. Open it again.")
    change.state, change.ended_at, change.ended_why = state_, now, why
    trail.add(_KIND[state_], actor=actor, change=str(change.pk), digest=change.digest, why=why)
    outbox.put(OutboxKind.NOTIFY, change.pk, topic="change.ended")


def given_reason(reason: str, *, needed: bool = True, reader: str = "whoever signs this") -> str:
    """The reason, stripped. Raises Refused when it is needed and missing, too long or cannot be stored."""
    reason = reason.strip()
    if needed and not reason:
        raise Refused(f"Give a reason; {reader} wants to know why.")
    if len(reason) > LONGEST_REASON or "\0" in reason:
        raise Refused(f"A reason is a text of at most {LONGEST_REASON} characters without NUL. Shorten it.")
    return reason
