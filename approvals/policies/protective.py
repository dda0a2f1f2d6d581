"""Backup steps that guardrails ask for: which losses of a plan go without one although a guardrail that protects them asks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from approvals.operations import protection
from approvals.plan import Step
from approvals.policies.matching import Call, matches
from approvals.policies.rules import Rules


def unprotected(rules: Iterable[Rules], steps: Sequence[Step], calls: Sequence[Call]) -> dict[int, str]:
    """The steps, counted from 0, that a guardrail wants a backup before and that have none, each with what to do, in a sentence.

    `calls` are those of the steps, in their order. Where the table knows no backup of a target nothing is asked for.
    """
    asking = [one for one in rules if one.protective_step]
    found: dict[int, str] = {}
    for index in protection.lacking(steps) if asking else ():
        names = sorted({one.name for one in asking if matches(one, calls[index])})
        if names:
            found[index] = f"Guardrail {', '.join(names)} asks for a backup first: {protection.asked_for(steps, index)}."
    return found
