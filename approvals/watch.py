"""Which guardrails a CloudTrail record may concern. Most records concern none: that has to be told without reading further.

Two steps. `may_concern` knows only where the record was made and what it calls itself; it loads no model and remembers its
answers. `read` takes the call out of the record and judges it, for the feed and for `trail_explain` alike. Calls that only
read are nobody's concern, unless a guardrail names the operation to the letter; an operation with a row of ours is a write
whatever the record says of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from approvals import policies
from approvals.operations import agreement, catalog, facts, iam, resources, sources, trail
from approvals.operations.catalog import Operation
from approvals.operations.conversion import Conversion
from approvals.operations.resources import Where
from approvals.policies import Call, Rules
from approvals.trail_event import TrailEvent

# Names in records are free text: what is remembered of them has an end.
_REMEMBERED: Final = 65_536


@dataclass(frozen=True, slots=True)
class Meant:
    """A record taken for a call of one operation. No `resources` means that they are not known."""

    operation: Operation
    conversion: Conversion
    resources: tuple[str, ...]


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

    def read(self, event: TrailEvent, where: Where) -> tuple[Meant | None, tuple[Rules, ...]]:
        """What the record means, and the guardrails that protect that; nothing where it is of no public API.

        Services that share an API (rds, docdb, neptune) have the same call by several names. A guardrail matches it under any of
        them; what is drafted is called as the guardrail calls it, if it may be.
        """
        first = None
        for operation in self._as_guardrails_call_it(event):
            meant = _meant(event, operation, where)
            if matching := self.matching(event, operation, meant.resources):
                return meant, matching
            first = first or meant
        return first, ()

    def _as_guardrails_call_it(self, event: TrailEvent) -> list[Operation]:
        operations = catalog.all_of_event(event.event_source, event.event_name, event.request_parameters)
        return sorted(operations, key=lambda one: not any(one.full_name in rules.operations for rules in self.rules))

    def matching(self, event: TrailEvent, operation: Operation, touched: Sequence[str]) -> tuple[Rules, ...]:
        """The guardrails that protect this call. Nothing `touched` means that it is not known what is."""
        name = operation.full_name
        call = Call(event.account, event.region, name, tuple(touched), sources.other_names(name))
        reads = _reads(event, operation)
        return tuple(rules for rules in self.rules if (not reads or _named(rules, name)) and policies.matches(rules, call))


def _meant(event: TrailEvent, operation: Operation, where: Where) -> Meant:
    conversion = trail.convert(operation, event.request_parameters, event.error_message, where)
    conversion = agreement.weighed(operation, conversion, where, event.record.get("resources"))
    open_ends = {path.partition(".")[0] for path in (*conversion.redacted, *conversion.missing)}
    hidden = bool(open_ends & set(operation.facts.identifies))
    return Meant(operation, conversion, () if hidden else resources.arns(operation, conversion.parameters, where))


def _named(rules: Rules, name: str) -> bool:
    """Whether the guardrail names the operation to the letter, by any of its names."""
    return any(one in rules.operations for one in (name, *sources.other_names(name)))


def _reads(event: TrailEvent, operation: Operation) -> bool:
    return not operation.facts.curated and (event.read_only or iam.only_reads(operation))


@lru_cache(maxsize=4)
def over(rules: tuple[Rules, ...]) -> Watch:
    """The watch over these guardrails, with what it remembers from batch to batch."""
    return Watch(rules)
