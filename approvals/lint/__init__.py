"""What is wrong with guardrails that can be read: quorums that nobody reaches, patterns without a match, rules without effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from approvals.lint import containment, known, overlap, parameters
from approvals.lint.findings import Finding, Kind, Place, Surroundings
from approvals.policies import Mode, Rules, reach, windows

__all__ = ["Finding", "Kind", "Place", "Surroundings", "check"]


def check(guardrails: Sequence[Rules], around: Surroundings, now: datetime) -> list[Finding]:
    """Every finding, in the order of the guardrails. `now` is from when on windows are looked at."""
    found = [*containment.findings(guardrails, around), *overlap.findings(guardrails, now)]
    for index, rules in enumerate(guardrails):
        found += known.findings(index, rules, around)
        found += parameters.findings(index, rules)
        found += _quorum(index, rules, around)
        if windows.opening([rules], now) is None:
            said = "Its windows and freezes leave no moment within a year at which a plan could be carried out."
            found.append(Finding(Kind.NEVER_OPEN, index, rules.name, ("windows" if rules.windows else "freezes",), said))
    return sorted(found, key=lambda one: one.index)


def _quorum(index: int, rules: Rules, around: Surroundings) -> Iterator[Finding]:
    holders = around.holders_of(rules.name)
    if rules.mode is Mode.OBSERVE or holders is None:
        return
    path = ("groups",) if rules.groups and len(holders) >= rules.approvals else ("approvals",)
    if never := reach.never(rules, holders, around.people):
        yield Finding(
            Kind.UNREACHABLE, index, rules.name, path, f"It {never}. Grant the right to more persons, or ask for fewer."
        )
        return
    extra = rules.irreversible.extra_approvals
    if extra and (final := reach.shortfall(rules, holders, irreversible=True)):
        said = f"For what cannot be undone it {final}. Grant the right to more persons, or set irreversible.extra_approvals."
        yield Finding(Kind.UNREACHABLE, index, rules.name, ("irreversible", "extra_approvals"), said)
    if rules.unconfirmed and (open_ := reach.shortfall(rules, holders, confirmed=False)):
        said = f"An event that nobody confirmed {open_}. Grant the right to more persons, or leave unconfirmed out."
        yield Finding(Kind.UNREACHABLE, index, rules.name, ("unconfirmed",), said)
    if alone := reach.left_alone(rules, holders):
        said = f"When {' or '.join(alone)} asks, no quorum is left: it {reach.shortfall(rules, holders, without=alone[0])}."
        yield Finding(Kind.LEFT_ALONE, index, rules.name, ("approvals",), f"{said} Grant the right to one person more.")
