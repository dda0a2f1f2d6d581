"""Guardrails that another one makes superfluous: it matches all that they match and asks for no less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from approvals.lint.findings import Finding, Kind, Surroundings
from approvals.policies import Rules, patterns


def findings(guardrails: Sequence[Rules], around: Surroundings) -> Iterator[Finding]:
    """Of two that are the same, the later; else the one whose matches and demands are within another's."""
    rivals = _Rivals(guardrails)
    for index, one in enumerate(guardrails):
        for other_index in rivals.of(one):
            other = guardrails[other_index]
            if index == other_index or not (_within(one, other) and _asks_no_more(one, other) and _no_others(one, other, around)):
                continue
            same = _within(other, one) and _asks_no_more(other, one)
            if same and index < other_index:
                continue
            whose = "" if around.holders is not None else ", if the same persons review under both"
            if same:
                said = f"It matches the same calls as {other.name} and asks for the same{whose}. Keep one of them."
                yield Finding(Kind.DUPLICATE, index, one.name, ("operations",), said)
            else:
                said = f"Every call that it matches is matched by {other.name} too, which asks for no less{whose}. Take it away."
                yield Finding(Kind.SHADOWED, index, one.name, ("operations",), said)
            break


class _Rivals:
    """Which guardrails may match all that one matches: those that name its first operation's service, or any."""

    def __init__(self, guardrails: Sequence[Rules]) -> None:
        self._by_service: dict[str, set[int]] = {}
        for index, rules in enumerate(guardrails):
            for pattern in rules.operations:
                self._by_service.setdefault(_service(pattern), set()).add(index)

    def of(self, one: Rules) -> list[int]:
        """Their places, in order."""
        services = {_service(one.operations[0]), ""}
        return sorted(set().union(*(self._by_service.get(service, set()) for service in services)))


def _service(pattern: str) -> str:
    """The service that a pattern of operations names; empty where it may be several."""
    service, colon, _ = pattern.partition(":")
    return "" if not colon or patterns.is_wild(service) else service


def _within(one: Rules, other: Rules) -> bool:
    """Whether every call that matches one matches the other, as far as their texts tell; never yes wrongly."""
    return (
        _all(one.operations, other.operations)
        and _all(one.resources, other.resources)
        and _all(one.regions, other.regions)
        and _accounts(one, other)
        and (not other.risk or bool(one.risk and set(one.risk) <= set(other.risk)))
        and (not other.families or bool(one.families and set(one.families) <= set(other.families)))
        and set(other.conditions) <= set(one.conditions)
    )


def _all(narrow: Sequence[str], wide: Sequence[str]) -> bool:
    return all(any(patterns.contains(pattern, one) for pattern in wide) for one in narrow)


def _accounts(one: Rules, other: Rules) -> bool:
    if not _all(one.accounts, other.accounts):
        return False
    if not one.account_tags or "*" in other.accounts:
        return True
    wanted, mine = dict(other.account_tags), dict(one.account_tags)
    return bool(wanted) and wanted.keys() <= mine.keys() and all(_all(mine[key], wanted[key]) for key in wanted)


def _asks_no_more(one: Rules, other: Rules) -> bool:
    """Whether whatever satisfies the other satisfies one, given that the same persons may review under both."""
    mine, theirs = one.irreversible, other.irreversible
    groups = dict(other.groups)
    return (
        one.mode is other.mode
        and one.approvals <= other.approvals
        and one.approvals + mine.extra_approvals <= other.approvals + theirs.extra_approvals
        and (not mine.typed_name or theirs.typed_name)
        and mine.hold <= theirs.hold
        and all(least <= groups.get(name, 0) for name, least in one.groups)
        and (not one.reason or other.reason)
        and one.ticket in ("", other.ticket)
        and (one.unconfirmed or not other.unconfirmed)
        and (not one.windows or set(one.windows) >= set(other.windows) != set())
        and set(one.freezes) <= set(other.freezes)
        and (one.delegation or not other.delegation)
        and (not one.protective_step or other.protective_step)
        and other.break_glass in (None, one.break_glass)
        and one.clocks.draft >= other.clocks.draft
        and one.clocks.pending >= other.clocks.pending
        and one.clocks.approval >= other.clocks.approval
    )


def _no_others(one: Rules, other: Rules, around: Surroundings) -> bool:
    """Whether everybody who may review under the other may under one; where nothing is known it is taken so."""
    mine, theirs = around.holders_of(one.name), around.holders_of(other.name)
    return mine is None or theirs is None or theirs.keys() <= mine.keys()
