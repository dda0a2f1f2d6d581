"""What must never be, said without a word of the product's: from what the model knows to have really happened.

I1: no effect without a quorum of distinct persons over exactly this revision, two signers at least. I3: at most one effect.
I10: nor a second after a restore. I11: a right taken away counts. I12: deny, expiry and silence beat approve. R28: nothing in the
hold. R38: a worker that was given up makes no call. O: what is written as the end is what happened.
"""

from __future__ import annotations

from typing import Final

from approvals.states import RequestState
from tests.approvals.model.people import BOTS, LOGINS, OWNERS, RIGHTS, human_behind
from tests.approvals.model.request import Request, Scope

INVARIANTS: Final = ("I1", "I3", "I10", "I11", "I12", "R28", "R38", "O")


def wrong_with_a_claim(scope: Scope, request: Request, revision: int) -> str:
    """The invariant that an effect would break if this revision were claimed now; "" when all is well."""
    if revision != request.revision:
        return "I1"
    if request.no or request.late or "d" in request.votes or request.state is not RequestState.APPROVED:
        return "I12"
    if request.hold:
        return "R28"
    if request.glass and scope.rule.break_glass:
        # The one exception, where the guardrail makes it: its requester alone, who must still be there.
        return "" if request.requester in request.active - BOTS else "I11"
    if _suffices(scope, request, request.rights, request.owners, request.active):
        return ""
    return "I11" if _suffices(scope, request, RIGHTS, OWNERS, frozenset(LOGINS)) else "I1"


def _suffices(scope: Scope, request: Request, rights: frozenset[str], owners: frozenset[str], active: frozenset[str]) -> bool:
    asked = {human_behind(who) for who in request.authors | {request.requester}}
    approvers = {
        human_behind(login)
        for login, vote in zip(LOGINS, request.votes, strict=True)
        if vote in ("a", "aa") and login in rights and human_behind(login) in active - asked - BOTS
    }
    confirmed = request.confirmed in active - BOTS - {""} and request.confirmed == request.requester
    if not confirmed:
        # Undecided by its requester is only what was recorded, of a human who is there and has signed nothing.
        recorded = scope.rule.unconfirmed and request.source == "event" and request.revision == 1 and not request.confirmed
        if not recorded or request.requester not in active - BOTS - {""}:
            return False
    enough = len(approvers) >= scope.rule.approvals and len(approvers & owners) >= scope.rule.owners
    return enough and len(approvers) + confirmed >= 2
