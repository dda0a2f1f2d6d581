"""When what was approved may be carried out: after its hold, inside an execution window, and until the approval runs out.

Computed from the rules alone, so that the decision writes it down and the claim works it out again from what was signed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from approvals.policies import Rules, windows

# What the reason of a promise begins with that waits for others to be through: the executor writes it, the page shows it.
WAITS: Final = "Waits its turn: "


@dataclass(frozen=True, slots=True)
class Term:
    """The earliest moment, and the one from which it is too late."""

    not_before: datetime
    until: datetime


def hold_of(rules: Collection[Rules], *, irreversible: bool) -> int:
    """Seconds that everybody concerned has to stop it: the longest hold of the rules, for what cannot be undone."""
    return max((one.irreversible.hold for one in rules), default=0) if irreversible else 0


def term_of(rules: Collection[Rules], *, resolved: datetime, hold: int, valid_for: int) -> Term | None:
    """The term of an approval that was resolved at a moment and holds for seconds; None when nothing opens within a year."""
    found = windows.opening(rules, resolved + timedelta(seconds=hold))
    if found is None:
        return None
    return Term(found.opens, windows.good_until(rules, resolved, seconds=valid_for, hold=hold))


def opens_at(rules: Collection[Rules], now: datetime) -> datetime | None:
    """When a plan may be carried out next: `now` itself where it may, None when nothing opens within a year."""
    found = windows.opening(rules, now)
    return None if found is None else found.opens


def why_closed(rules: Collection[Rules], now: datetime) -> str:
    """Why no plan may be carried out at this moment, in a sentence's words; empty when one may."""
    return windows.why_closed(rules, now)
