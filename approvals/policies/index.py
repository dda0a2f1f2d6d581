"""Many guardrails held against a call at once: by the service and operation that they name, then by place, then by the rest."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from approvals.policies import matching, patterns
from approvals.policies.matching import Call
from approvals.policies.rules import Rules

# Names of operations and regions may come out of anybody's records: what is remembered of them has an end.
_REMEMBERED: Final = 65_536
_NONE: Final[frozenset[int]] = frozenset()
_Key = tuple[str, str, str, tuple[str, ...], tuple[tuple[str, str], ...] | None]


class Index:
    """An index over guardrails. `matching` gives what `matches` says of each of them, in their order.

    Which guardrails name an operation in a place is looked up once for each and remembered, so a call costs as much as the
    guardrails that concern its operation, however many there are of others.
    """

    def __init__(self, rules: Iterable[Rules]) -> None:
        self.rules: Final = tuple(rules)
        self._by_operation: dict[str, set[int]] = {}
        self._by_service: dict[str, set[int]] = {}
        self._anywhere: set[int] = set()
        self._remembered: dict[_Key, tuple[Rules, ...]] = {}
        for number, one in enumerate(self.rules):
            for pattern in one.operations:
                self._place(pattern).add(number)

    def _place(self, pattern: str) -> set[int]:
        service, colon, _ = pattern.partition(":")
        if not colon or patterns.is_wild(service):
            return self._anywhere
        if patterns.is_wild(pattern):
            return self._by_service.setdefault(service, set())
        return self._by_operation.setdefault(pattern, set())

    def matching(self, call: Call) -> tuple[Rules, ...]:
        """The guardrails that protect the call, in the order of the index."""
        return tuple(rules for rules in self.naming(call) if matching.meets_the_rest(rules, call))

    def naming(self, call: Call) -> tuple[Rules, ...]:
        """The guardrails that name the call's operation, account and region, whatever its resources and parameters are."""
        tags = None if call.tags is None else tuple(sorted(call.tags.items()))
        key = (call.operation, call.account, call.region, call.also, tags)
        found = self._remembered.get(key)
        if found is None:
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            found = self._remembered[key] = tuple(
                rules for rules in map(self.rules.__getitem__, self._named(call)) if matching.in_place(rules, call)
            )
        return found

    def _named(self, call: Call) -> list[int]:
        """The numbers of the guardrails that name the operation, in order: those to the letter need no further look."""
        letter: set[int] = set()
        wild = set(self._anywhere)
        for name in (call.operation, *call.also):
            letter |= self._by_operation.get(name, _NONE)
            wild |= self._by_service.get(name.partition(":")[0], _NONE)
        return sorted(letter | {number for number in wild - letter if matching.names_the_operation(self.rules[number], call)})


@lru_cache(maxsize=4)
def index_of(rules: tuple[Rules, ...]) -> Index:
    """The index over these guardrails, kept with what it remembers."""
    return Index(rules)
