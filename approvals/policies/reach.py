"""Whether the persons who hold the right on a guardrail can give what it asks for; the reason where they cannot.

`holders` are the active humans who hold the right on the guardrail, each with the groups that he or she is in; `askers` are the
active humans who may stand behind a request. The manifest's reader and the linter judge by the same functions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from approvals.policies.rules import Rules

Holders = Mapping[str, frozenset[str]]


def shortfall(rules: Rules, holders: Holders, *, without: str = "", irreversible: bool = False, confirmed: bool = True) -> str:
    """What lacks when all of them approve, `without` the one who asked: a sentence's words, empty when nothing does."""
    voters = {person: groups for person, groups in holders.items() if person != without}
    need = rules.approvals_needed(irreversible=irreversible, confirmed=confirmed)
    said = [f"asks for {_count(need, 'approval')} and {_count(len(voters), 'person')} may give one"] if len(voters) < need else []
    for group, least in rules.groups:
        members = sum(group in groups for groups in voters.values())
        if members < least:
            said.append(f"asks for {_count(least, 'approval')} from {group} and {members} of its members may give one")
    return "; ".join(said)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def never(rules: Rules, holders: Holders, askers: Collection[str]) -> str:
    """Why nobody's request can ever be approved under the guardrail; empty when somebody's can."""
    if lacking := shortfall(rules, holders):
        return lacking
    if not askers or set(askers) - holders.keys() or any(not shortfall(rules, holders, without=one) for one in askers):
        return ""
    lacking = shortfall(rules, holders, without=min(askers))
    return f"{lacking}: everybody here holds the right, and whoever asks may not approve"


def left_alone(rules: Rules, holders: Holders) -> tuple[str, ...]:
    """The persons whose own requests nobody else could approve, although other people's can be."""
    if shortfall(rules, holders):
        return ()
    return tuple(person for person in sorted(holders) if shortfall(rules, holders, without=person))
