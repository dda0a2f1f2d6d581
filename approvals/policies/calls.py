"""The call that guardrails are matched against, with everything that the operations table and a record say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from approvals.operations import catalog, resources, risk, sources, templates
from approvals.operations.catalog import Operation
from approvals.operations.conversion import Conversion
from approvals.operations.resources import Where
from approvals.policies.matching import Call
from approvals.states import Completeness


@dataclass(frozen=True, slots=True)
class _Known:
    """What is the same for every call of an operation."""

    members: frozenset[str]
    defaults: Mapping[str, Any]
    risk: frozenset[str]
    families: frozenset[str]


@lru_cache(maxsize=4096)
def _known(full_name: str) -> _Known:
    operation = catalog.get(full_name)
    # The same call by its other names; its own row comes last and has the last word.
    every = [*(catalog.get(name) for name in sources.other_names(full_name)), operation]
    return _Known(
        members=frozenset(operation.members),
        defaults={path: danger.default for one in every for path, danger in one.facts.dangerous.items() if danger.has_default},
        risk=frozenset().union(*(risk.classes(one) for one in every)),
        families=frozenset(one.facts.family for one in every if one.facts.family),
    )


def call_of(
    operation: Operation,
    *,
    account: str,
    region: str,
    resources: Sequence[str],
    tags: Mapping[str, str] | None,
    parameters: Mapping[str, Any] | None = None,
    unknown: frozenset[str] = frozenset(),
) -> Call:
    """The call of an operation: `region` as it is recorded, no `resources` or None of the rest for what is not known.

    `parameters` are boto3's keyword arguments as far as they are known, `unknown` the top-level members that are not, `tags` the
    account's.
    """
    known = _known(operation.full_name)
    return Call(
        account=account,
        region=region,
        operation=operation.full_name,
        resources=tuple(resources),
        also=sources.other_names(operation.full_name),
        tags=tags,
        parameters=parameters,
        unknown=unknown,
        members=known.members,
        defaults=known.defaults,
        risk=known.risk,
        families=known.families,
    )


def resources_in(operation: Operation, conversion: Conversion, where: Where) -> tuple[str, ...]:
    """The ARNs, or patterns of them, that a record tells of; none where the record hides or lacks what names the target."""
    open_ends = {path.partition(".")[0] for path in (*conversion.redacted, *conversion.missing)}
    slots = (slot.member for text in operation.facts.resources for slot in templates.parsed(text).slots)
    if open_ends & {*operation.facts.identifies, *slots}:
        return ()
    return resources.arns(operation, conversion.parameters, where)


def unknown_in(operation: Operation, conversion: Conversion) -> frozenset[str]:
    """The top-level members of which a record does not tell what the call had.

    Where it has keys that nobody knows, or does not say what it lacks, those may be any member that it does not show.
    """
    if conversion.completeness in (Completeness.EXACT, Completeness.REBUILT):
        return frozenset()
    named = {path.partition(".")[0] for path in (*conversion.redacted, *conversion.missing)}
    members = operation.members.keys()
    if conversion.unknown or not named or not named <= members:
        named |= members - conversion.parameters.keys()
    return frozenset(named)
