"""Which guardrails a CloudTrail record may concern. Most records concern none: that has to be told without reading further.

Two steps. `may_concern` knows only where the record was made and what it calls itself; it loads no model and remembers its
answers. `read` takes the call out of the record and judges it, for the feed and for `trail_explain` alike. Calls that only
read are nobody's concern, unless a guardrail names the operation to the letter; an operation with a row of ours is a write
whatever the record says of itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from approvals.operations import agreement, catalog, facts, iam, sources, trail
from approvals.operations.catalog import Operation
from approvals.operations.conversion import Conversion
from approvals.operations.resources import Where
from approvals.policies import Call, Index, Rules, call_of, resources_in, unknown_in
from approvals.states import Completeness
from approvals.trail_event import TrailEvent

# Names in records are free text: what is remembered of them has an end.
_REMEMBERED: Final = 65_536


# Tags of accounts, by the account's number.
Tags = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True, slots=True)
class Meant:
    """A record taken for a call of one operation. No `resources` means that they are not known."""

    operation: Operation
    conversion: Conversion
    resources: tuple[str, ...]


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

    def read(self, event: TrailEvent, where: Where) -> tuple[Meant | None, tuple[Rules, ...]]:
        """What the record means, and the guardrails that protect that; nothing where it is of no public API.

        Services that share an API (rds, docdb, neptune) have the same call by several names. A guardrail matches it under any of
        them; what is drafted is called as the guardrail calls it, if it may be. Of calls that only share a name, the one is meant
        whose target the denial message tells.
        """
        operations = catalog.all_of_event(event.event_source, event.event_name, event.request_parameters)
        found = [_meant(event, operation, where) for operation in operations]
        if len(found) > 1:
            found = [_doubted(one, found, event) for one in sorted(found, key=lambda one: self._rank(event, one))]
        for meant in found:
            if matching := self.matching(event, meant.operation, meant.resources, meant.conversion):
                return meant, matching
        return next(iter(found), None), ()

    def _rank(self, event: TrailEvent, meant: Meant) -> tuple[bool, bool]:
        named = any(meant.operation.full_name in rules.operations for rules in self.rules)
        return (event.request_parameters is None and not meant.conversion.parameters, not named)

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


def _meant(event: TrailEvent, operation: Operation, where: Where) -> Meant:
    conversion = trail.convert(operation, event.request_parameters, event.error_message, where)
    conversion = agreement.weighed(operation, conversion, where, event.record.get("resources"))
    return Meant(operation, conversion, resources_in(operation, conversion, where))


def _doubted(meant: Meant, found: Sequence[Meant], event: TrailEvent) -> Meant:
    """The same, incomplete where the record may as well mean another call, or the same one with what this name has no member for.

    `DeleteDBInstance` of docdb takes nothing but a name: a record without parameters may be of rds, with SkipFinalSnapshot.
    """
    if meant.conversion.completeness not in _WHOLE:
        return meant
    for other in found:
        same = other.operation.full_name in sources.all_names(meant.operation.full_name)
        whole = other.conversion.completeness in _WHOLE
        told = bool(other.conversion.parameters) if event.request_parameters is None else whole
        if told and not (same and (whole or event.request_parameters is not None)):
            rest = f", of which {', '.join(other.conversion.missing)} is not known" if other.conversion.missing else ""
            why = f"The record may as well mean {other.operation.full_name}{rest}. Find out which was meant; complete it."
            missing = other.conversion.missing or meant.operation.facts.identifies
            doubted = replace(meant.conversion, completeness=Completeness.INCOMPLETE, why=why, missing=tuple(missing))
            return replace(meant, conversion=doubted)
    return meant


_WHOLE: Final = (Completeness.EXACT, Completeness.REBUILT)


def _named(rules: Rules, name: str) -> bool:
    """Whether the guardrail names the operation to the letter, by any of its names."""
    return any(one in rules.operations for one in sources.all_names(name))


def _reads(event: TrailEvent, operation: Operation) -> bool:
    return not operation.facts.curated and (event.read_only or iam.only_reads(operation))


@lru_cache(maxsize=4)
def over(rules: tuple[Rules, ...], tags: Tags = ()) -> Watch:
    """The watch over these guardrails and accounts, with what it remembers from batch to batch."""
    return Watch(rules, tags)
