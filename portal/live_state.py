"""What the executor read of the target, laid beside what the call would make of it.

An observation's text is the JSON of what AWS answered to the describe call. Where its members carry other names than the
request's (`BillingModeSummary` for `BillingMode`), AWS's habits of naming are followed; what cannot be found is not shown beside.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from approvals.models import Observation, Revision
from approvals.operations import words
from approvals.operations.catalog import Operation
from portal.shown import leaves, text_of

MISSING: Any = object()
# What a reader wants to know of any target first, where the answer has it.
_TELLING = ("Status", "ItemCount", "SizeBytes", "CreationDate", "Protection", "Arn", "Id", "Count")
MOST_FACTS = 12


@dataclass(frozen=True, slots=True)
class LiveState:
    """One step's target as last read. `state` is the described object, `facts` are its single values."""

    taken_at: datetime | None = None
    problem: str = ""
    state: dict[str, Any] = field(default_factory=dict)
    facts: tuple[tuple[str, str], ...] = ()
    whole: str = ""

    @property
    def was_read(self) -> bool:
        """Whether the executor has looked and could see."""
        return self.taken_at is not None and not self.problem


def newest(revision: Revision, operations: list[Operation]) -> list[LiveState]:
    """For each step the newest observation taken for the review; one query."""
    taken: dict[int, Observation] = {}
    for observation in revision.observations.filter(moment=Observation.Moment.REVIEW).order_by("taken_at", "id"):
        taken[observation.step] = observation
    return [_live(taken.get(index), operation) for index, operation in enumerate(operations)]


def _live(observation: Observation | None, operation: Operation) -> LiveState:
    if observation is None:
        return LiveState()
    if observation.problem:
        return LiveState(observation.taken_at, observation.problem)
    try:
        found = json.loads(observation.text or "{}")
    except ValueError:
        return LiveState(observation.taken_at, "The observation is no JSON, so it cannot be shown.")
    state = found if isinstance(found, dict) else {}
    inner = state.get(operation.facts.get("describe", {}).get("result", ""))
    state = inner if isinstance(inner, dict) else state
    whole = json.dumps(state, indent=2, sort_keys=True, ensure_ascii=True)
    return LiveState(observation.taken_at, "", state, _facts(state), whole)


def _facts(state: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    flat = [(path, value) for name, item in sorted(state.items()) for path, value in leaves(words.visible(str(name)), item)]
    flat.sort(key=lambda pair: (not any(word in pair[0] for word in _TELLING), pair[0].count("."), pair[0]))
    return tuple((path, text_of(value)) for path, value in flat[:MOST_FACTS])


def beside(state: dict[str, Any], path: str) -> str:
    """What the value at this path of the request is now, as text; empty when the observation does not tell."""
    if not state:
        return ""
    first, *rest = path.split(".")
    value = _member(state, first)
    for part in rest:
        value = _inside(value, part)
    return "" if value is MISSING or isinstance(value, dict | list) else text_of(value)


def _member(state: dict[str, Any], name: str) -> Any:
    if name in state:
        return state[name]
    summary = state.get(f"{name}Summary")
    if isinstance(summary, dict) and name in summary:
        return summary[name]
    for ending, other in (("Specification", "Description"), ("", "Description")):
        renamed = name.removesuffix(ending) + other if name.endswith(ending) else ""
        if renamed in state:
            return state[renamed]
    return MISSING


def _inside(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        return value.get(part, MISSING)
    return MISSING
