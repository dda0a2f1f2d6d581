"""What a call destroys, whether it can be undone, and which of its members are the dangerous ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from approvals.operations import catalog, iam, sources
from approvals.operations.catalog import Operation
from approvals.operations.facts import Facts

# The class that the end of a family's name stands for.
_OF_FAMILY: Final = {
    "availability": "availability",
    "stop": "availability",
    "failover": "availability",
    "exposure": "exposure",
    "sharing": "exposure",
    "escalation": "escalation",
    "weakening": "weakening",
    "protection-loss": "weakening",
    "guardrail-loss": "weakening",
    "silence": "silence",
}


@dataclass(frozen=True, slots=True)
class Risk:
    """`dangerous` maps a member's name to what is dangerous about it."""

    destroys: str
    irreversible: bool
    undo: str
    dangerous: Mapping[str, str]


def of(operation: Operation) -> Risk:
    """The risk of one operation, from the table."""
    facts = worst(operation)
    why = {name: danger.why for name, danger in operation.facts.dangerous.items()}
    return Risk(facts.destroys, facts.irreversible, facts.undo, why)


def worst(operation: Operation) -> Facts:
    """What the table says of the call: where it cannot be undone by another of its names, what it says of that one."""
    others = (catalog.get(name).facts for name in sources.other_names(operation.full_name))
    return next((one for one in (operation.facts, *others) if one.irreversible), operation.facts)


def classes(operation: Operation) -> frozenset[str]:
    """The classes (`facts.RISK_CLASSES`) that the operation is of. One without a row is judged by its name, as everywhere."""
    facts = operation.facts
    found = {"irreversible"} if facts.irreversible or facts.loses else set()
    if not facts.curated:
        return frozenset(
            found | ({"destructive"} if found else set()) | (set() if iam.only_reads(operation) else {"undescribed"})
        )
    if facts.destroys and not facts.destroys.startswith("nothing"):
        found.add("destructive")
    found |= {name for end, name in _OF_FAMILY.items() if facts.family == end or facts.family.endswith(f"-{end}")}
    return frozenset(found)


def ordered(operation: Operation, parameters: dict[str, Any]) -> list[tuple[str, Any, str]]:
    """The members of a call as (name, value, danger): what identifies the target, then the dangerous ones, then the rest."""
    risk = of(operation)

    def rank(name: str) -> tuple[int, str]:
        return (0 if name in operation.facts.identifies else 1 if name in risk.dangerous else 2, name)

    return [(name, parameters[name], risk.dangerous.get(name, "")) for name in sorted(parameters, key=rank)]
