"""Rounds of a measurement beside a reference in the same run, and the line that says how they went."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

ROUNDS = 7


def rates(work: Callable[[], int], reference: Callable[[], int], rounds: int = ROUNDS) -> tuple[list[float], list[float]]:
    """Things a second of `work` and of `reference`, each returning how many it did; interleaved, after one round of warm-up."""
    work(), reference()
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for kept, one in zip(found, (work, reference), strict=True):
            began = time.perf_counter()
            count = one()
            kept.append(count / (time.perf_counter() - began))
    return found


def line(
    name: str, values: Sequence[float], goal: float, unit: str, *, at_most: bool = False, digits: int = 0, more: str = ""
) -> str:
    """`name: median (min to max) unit, goal, pass or short`; numbers with so many digits behind the point."""
    median = statistics.median(values)
    met = median <= goal if at_most else median >= goal
    sign = "<=" if at_most else ">="
    shown = f"{median:,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f}) {unit}"
    return f"{name:52} {shown:38} goal {sign} {goal:,g}  {'pass' if met else 'short'}{f'  {more}' if more else ''}"


def beside(work: Sequence[float], reference: Sequence[float], what: str) -> str:
    """The ratio to the reference of the same run, which is what other machines can be compared by."""
    ratios = [one / other for one, other in zip(work, reference, strict=True)]
    return f"{statistics.median(ratios):.2f} of {what}"
