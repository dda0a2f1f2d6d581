"""Which guardrails a CloudTrail record may concern. Most records concern none: that has to be told without reading further.

Two steps. `may_concern` knows only where the record was made and what it calls itself; it loads no model and remembers its
answers. `matching` judges the call that was read out of the record. Calls that only read are nobody's concern, unless a guardrail
names the operation to the letter; an operation with a row of ours is a write whatever the record says of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from approvals import policies
from approvals.operations import facts, iam, sources
from approvals.operations.catalog import Operation
from approvals.policies import Call, Rules
from approvals.trail_event import TrailEvent

# Names in records are free text: what is remembered of them has an end.
_REMEMBERED: Final = 65_536


@dataclass(frozen=True, slots=True)
class Watch:
    """A set of guardrails that records are held against."""

    rules: tuple[Rules, ...]
    _known: dict[tuple[str, str, str, str, bool], bool] = field(default_factory=dict, compare=False, repr=False)

    def may_concern(self, event: TrailEvent) -> bool:
        """Whether any guardrail may match, whatever resource the record is about. False is certain."""
        key = (event.account, event.region, event.event_source, event.event_name, event.read_only)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[key] = self._may_concern(event)
        return found

    def _may_concern(self, event: TrailEvent) -> bool:
        return any(
            policies.matches(rules, Call(event.account, event.region, name, (), sources.other_names(name)))
            and (_named(rules, name) or not event.read_only or name in facts.rows())
            for name in sources.candidates(event.event_source, event.event_name)
            for rules in self.rules
        )

    def matching(self, event: TrailEvent, operation: Operation, resources: Sequence[str]) -> tuple[Rules, ...]:
        """The guardrails that protect this call. No `resources` means that they are not known."""
        name = operation.full_name
        call = Call(event.account, event.region, name, tuple(resources), sources.other_names(name))
        reads = _reads(event, operation)
        return tuple(rules for rules in self.rules if (not reads or _named(rules, name)) and policies.matches(rules, call))


def _named(rules: Rules, name: str) -> bool:
    """Whether the guardrail names the operation to the letter, by any of its names."""
    return any(one in rules.operations for one in (name, *sources.other_names(name)))


def _reads(event: TrailEvent, operation: Operation) -> bool:
    return not operation.facts.curated and (event.read_only or iam.only_reads(operation))


@lru_cache(maxsize=4)
def over(rules: tuple[Rules, ...]) -> Watch:
    """The watch over these guardrails, with what it remembers from batch to batch."""
    return Watch(rules)
