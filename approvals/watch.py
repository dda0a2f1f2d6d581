"""Which guardrails a CloudTrail record may concern. Most records concern none: that has to be told without reading further.

Two steps. `may_concern` knows only where the record was made and what it calls itself; it loads no model and remembers its
answers. `matching` judges the call that was read out of the record. Calls that only read are nobody's concern, unless a guardrail
names the operation to the letter; an operation with a row of ours is a write whatever the record says of itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from approvals.operations import facts, iam, sources
from approvals.operations.catalog import Operation
from approvals.operations.conversion import Conversion
from approvals.policies import Call, Index, Rules, call_of, unknown_in
from approvals.trail_event import TrailEvent

# Names in records are free text: what is remembered of them has an end.
_REMEMBERED: Final = 65_536


# Tags of accounts, by the account's number.
Tags = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True, slots=True)
class Watch:
    """A set of guardrails that records are held against. `tags` are the accounts'; one that is not among them is not known."""

    rules: tuple[Rules, ...]
    tags: Tags = ()
    _known: dict[tuple[str, str, str, str, bool], bool] = field(default_factory=dict, compare=False, repr=False)
    _index: Index = field(init=False, compare=False, repr=False)
    _tags: Mapping[str, Mapping[str, str]] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", Index(self.rules))
        object.__setattr__(self, "_tags", {account: dict(tags) for account, tags in self.tags})

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
        tags = self._tags.get(event.account)
        return any(
            _named(rules, name) or not event.read_only or name in facts.rows()
            for name in sources.candidates(event.event_source, event.event_name)
            for rules in self._index.matching(Call(event.account, event.region, name, (), sources.other_names(name), tags))
        )

    def matching(
        self, event: TrailEvent, operation: Operation, resources: Sequence[str], conversion: Conversion | None = None
    ) -> tuple[Rules, ...]:
        """The guardrails that protect this call. No `resources` and no `conversion` mean that they are not known."""
        call = call_of(
            operation,
            account=event.account,
            region=event.region,
            resources=resources,
            tags=self._tags.get(event.account),
            parameters=conversion.parameters if conversion else None,
            unknown=unknown_in(operation, conversion) if conversion else frozenset(),
        )
        reads = _reads(event, operation)
        return tuple(rules for rules in self._index.matching(call) if not reads or _named(rules, operation.full_name))


def _named(rules: Rules, name: str) -> bool:
    """Whether the guardrail names the operation to the letter, by any of its names."""
    return any(one in rules.operations for one in (name, *sources.other_names(name)))


def _reads(event: TrailEvent, operation: Operation) -> bool:
    return not operation.facts.curated and (event.read_only or iam.only_reads(operation))


@lru_cache(maxsize=4)
def over(rules: tuple[Rules, ...], tags: Tags = ()) -> Watch:
    """The watch over these guardrails and accounts, with what it remembers from batch to batch."""
    return Watch(rules, tags)
