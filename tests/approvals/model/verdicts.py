"""What the votes of the model add up to: the product's own `approvals.policies.resolve`, remembered because it is pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from approvals import policies
from approvals.policies import Outcome, Rules, Vote
from approvals.states import Verdict
from tests.approvals.model.guards import Guards
from tests.approvals.model.people import LOGINS

GUARDRAIL = "model"
SOMEBODY = "(somebody who confirmed)"


@lru_cache(maxsize=16)
def _rules(approvals: int) -> Rules:
    return policies.rules_from({"name": GUARDRAIL, "accounts": ["*"], "operations": ["*"], "approvals": approvals})


@lru_cache(maxsize=1 << 16)
def _resolved(approvals: int, votes: tuple[Vote, ...], confirmed_by: str | None, barred: frozenset[str]) -> Outcome:
    return policies.resolve(
        votes,
        guardrails={GUARDRAIL: _rules(approvals)},
        confirmed_by=confirmed_by,
        barred=barred,
        irreversible=False,
    ).outcome


def outcome(guards: Guards, request: Any, rule: Any, rights: frozenset[str], active: frozenset[str]) -> Outcome:
    """The verdict of the stored votes under these rights and with these persons switched on."""
    votes = []
    for login, vote in zip(LOGINS, request.votes, strict=True):
        if vote:
            person = guards["aliases_are_merged"](login)
            held = person in active and login in rights and guards["only_humans_hold_rights"](login)
            verdict = Verdict.DENY if vote == "d" else Verdict.APPROVE
            votes.append(Vote(person, verdict, frozenset({GUARDRAIL}) if held else frozenset()))
            if vote == "aa" and not guards["persons_are_counted"]():
                votes.append(Vote(f"{person} again", verdict, votes[-1].rights))
    confirmed = request.confirmed.rstrip("!")
    standing: str | None = confirmed if confirmed and confirmed in active else None
    approvals = rule.approvals
    if not confirmed and rule.unconfirmed:
        standing = SOMEBODY
        approvals = max(approvals, 2) if guards["nobody_confirmed_wants_two"]() else approvals
    barred = request.authors | {request.requester} - {""}
    if not guards["requester_and_editors_are_barred"]():
        standing, barred = standing and SOMEBODY, frozenset()
    return _resolved(approvals, tuple(votes), standing, frozenset(barred))
