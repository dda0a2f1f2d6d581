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
from approvals.operations import counterparts, words
from approvals.operations.catalog import Operation
from approvals.preconditions import Reading
from portal.shown import leaves, text_of

# What a reader wants to know of any target first, where the answer has it, in this order.
_TELLING = (
    "Status",
    "State",
    "Tags",
    "Protection",
    "ItemCount",
    "SizeBytes",
    "Creat",
    "Type",
    "Engine",
    "Count",
    "Arn",
    "Name",
    "Id",
)
MOST_FACTS = 12


@dataclass(frozen=True, slots=True)
class LiveState:
    """One step's target as last read. `state` is the described object, `facts` are its single values."""

    taken_at: datetime | None = None
    problem: str = ""
    state: dict[str, Any] = field(default_factory=dict)
    facts: tuple[tuple[str, str], ...] = ()
    whole: str = ""
    gone: bool = False
    reading: Reading = field(default=Reading())

    @property
    def was_read(self) -> bool:
        """Whether the executor has looked and could see."""
        return self.taken_at is not None and not self.problem and not self.gone


@dataclass(frozen=True, slots=True)
class Looks:
    """What was read of one step's target: for the review, right before the call, and after it had succeeded."""

    before: LiveState
    claim: LiveState
    after: LiveState


def newest(revision: Revision, operations: list[Operation]) -> list[Looks]:
    """For each step the newest observation of each moment; one query. Of those for the review, what reviewers could have seen."""
    taken: dict[tuple[int, str], Observation] = {}
    execution = getattr(revision, "execution", None)
    for observation in revision.observations.order_by("taken_at", "id"):
        place = (observation.step, observation.moment)
        late = execution is not None and observation.taken_at > execution.created_at
        if not (late and observation.moment == Observation.Moment.REVIEW and place in taken):
            taken[place] = observation
    return [
        Looks(
            _live(taken.get((index, Observation.Moment.REVIEW)), [operation]),
            _live(taken.get((index, Observation.Moment.CLAIM)), [operation]),
            # What a later step took away is gone for the steps before it too.
            _live(taken.get((index, Observation.Moment.AFTER)), operations[index:]),
        )
        for index, operation in enumerate(operations)
    ]


def _live(observation: Observation | None, operations: list[Operation]) -> LiveState:
    if observation is None:
        return LiveState()
    reading = Reading(observation.text, observation.problem)
    if any(reading.says_absent(operation) for operation in operations):
        return LiveState(observation.taken_at, gone=True, reading=reading)
    if observation.problem:
        return LiveState(observation.taken_at, observation.problem, reading=reading)
    if reading.state is None:
        return LiveState(observation.taken_at, "The observation is no JSON, so it cannot be shown.", reading=reading)
    state = reading.state if isinstance(reading.state, dict) else {}
    whole = json.dumps(reading.state, indent=2, sort_keys=True, ensure_ascii=True)
    return LiveState(observation.taken_at, "", state, _facts(state), whole, reading=reading)


def _facts(state: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    flat = [(path, value) for name, item in sorted(state.items()) for path, value in leaves(words.visible(str(name)), item)]
    flat.sort(key=lambda pair: (_rank(pair[0]), pair[0].count("."), pair[0]))
    return tuple((path, text_of(value)) for path, value in flat[:MOST_FACTS])


def _rank(path: str) -> int:
    return next((rank for rank, word in enumerate(_TELLING) if word in path), len(_TELLING))


def beside(operation: Operation, state: dict[str, Any], path: str) -> str:
    """What the value at this path of the request is now, as text; empty when the observation does not tell."""
    value = counterparts.of(operation, state, path.split("."))
    return "" if value is counterparts.MISSING or isinstance(value, dict | list) else text_of(value)


def without_value(live: LiveState, operation: Operation, path: str) -> str:
    """Why nothing stands beside this path: it was not read, the target has none of it, or it cannot be laid side by side."""
    if live.gone:
        return "gone"
    if not live.was_read:
        return "not read"
    first, described = path.partition(".")[0], counterparts.described(operation)
    known = [name for name in counterparts.names(first) if name in described]
    if any(name in live.state for name in known):
        return "see the live state"
    # AWS leaves out a list or group that the target has none of; an absent single value means something else each time.
    groups = [name for name in known if described[name].type_name in ("structure", "list", "map")]
    return "none now" if groups and not _single(operation, first) else "not told by AWS"


def _single(operation: Operation, name: str) -> bool:
    return operation.members[name].type_name not in ("structure", "list", "map") if name in operation.members else True
