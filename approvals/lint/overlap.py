"""Guardrails that may match one and the same call, and whose windows and freezes leave it no moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import combinations

from approvals.lint.findings import Finding, Kind
from approvals.lint.known import alike
from approvals.policies import Mode, Rules, patterns, windows


def findings(guardrails: Sequence[Rules], now: datetime) -> Iterator[Finding]:
    """Of two that overlap, the later. One that is never open by itself is another finding."""
    timed = [
        (index, rules)
        for index, rules in enumerate(guardrails)
        if rules.mode is Mode.ENFORCE and (rules.windows or rules.freezes) and windows.opening([rules], now) is not None
    ]
    for (_, one), (index, other) in combinations(timed, 2):
        if _may_meet(one, other) and windows.opening([one, other], now) is None:
            said = (
                f"It overlaps with {one.name}, and within a year there is no moment at which both are open: what both match is "
                "never carried out. Give them a window in common."
            )
            yield Finding(Kind.OVERLAPPING, index, other.name, ("windows" if other.windows else "freezes",), said)


def _may_meet(one: Rules, other: Rules) -> bool:
    """Whether some call may match both, as far as their patterns tell; never no wrongly."""
    tagged = bool(one.account_tags or other.account_tags)
    return (
        _overlap(one.operations, other.operations)
        and any(alike(ours, theirs) for ours in one.resources for theirs in other.resources)
        and _overlap(one.regions, other.regions)
        and (tagged or _overlap(one.accounts, other.accounts))
    )


def _overlap(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    return any(patterns.overlap(one, other) for one in ours for other in theirs)
