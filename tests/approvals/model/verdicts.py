"""What the votes of the model add up to: the product's own `approvals.policies.resolve`, remembered because it is pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from approvals import policies
from approvals.policies import Outcome, Rules, Vote
from approvals.states import Verdict
from tests.approvals.model.guards import Guards
from tests.approvals.model.people import LOGINS

GUARDRAIL: Final = "model"
GROUP: Final = "owners"
# Stands for whoever confirmed, where a test lets the requester's own vote count too.
SOMEBODY: Final = "(somebody)"


@lru_cache(maxsize=64)
def _rules(approvals: int, owners: int, unconfirmed: bool) -> Rules:
    found: dict[str, Any] = {"name": GUARDRAIL, "accounts": ["*"], "operations": ["*"], "approvals": approvals}
    if owners:
        found["groups"] = {GROUP: owners}
    return policies.rules_from(found | {"unconfirmed": unconfirmed})


@lru_cache(maxsize=1 << 16)
def _resolved(rules: Rules, votes: tuple[Vote, ...], confirmed_by: str | None, barred: frozenset[str]) -> Outcome:
    return policies.resolve(
        votes, guardrails={GUARDRAIL: rules}, confirmed_by=confirmed_by, barred=barred, irreversible=False
    ).outcome


def outcome(
    guards: Guards, request: Any, rule: Any, rights: frozenset[str], owners: frozenset[str], active: frozenset[str]
) -> Outcome:
    """The verdict of the stored votes under these rights and groups, with these persons switched on."""
    votes = []
    for login, vote in zip(LOGINS, request.votes, strict=True):
        if vote:
            person = guards["aliases_are_merged"](login)
            held = person in active and login in rights and guards["only_humans_hold_rights"](login)
            verdict = Verdict.DENY if vote == "d" else Verdict.APPROVE
            groups = frozenset({GROUP} & ({GROUP} if login in owners and person in active else set()))
            votes.append(Vote(person, verdict, frozenset({GUARDRAIL}) if held else frozenset(), groups))
            if vote == "aa" and not guards["persons_are_counted"]():
                votes.append(Vote(f"{person} again", verdict, votes[-1].rights, groups))
    signed = request.confirmed.rstrip("!")
    stands = signed and signed in active and guards["only_humans_hold_rights"](signed)
    standing: str | None = signed if stands else None
    barred = request.authors | {request.requester} - {""}
    if not guards["requester_and_editors_are_barred"]():
        standing, barred = standing and SOMEBODY, frozenset()
    if standing is None and rule.unconfirmed and not guards["nobody_confirmed_wants_two"]():
        standing = SOMEBODY
    rules = _rules(rule.approvals, rule.owners if guards["groups_are_counted"]() else 0, rule.unconfirmed)
    found = _resolved(rules, tuple(votes), standing, frozenset(barred))
    if found is Outcome.APPROVED and standing is None and not guards["silence_of_the_caller_alone"](request, active):
        return Outcome.OPEN
    return found
