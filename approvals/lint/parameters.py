"""Conditions that no call can decide: parameters that an operation does not have, values of another kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from botocore.model import ListShape, MapShape, Shape, StructureShape

from approvals.lint.findings import Finding, Kind, nearest
from approvals.operations import catalog
from approvals.operations.catalog import Operation
from approvals.policies import Condition, Operator, Rules, patterns
from approvals.policies.naming import operations_named

# A pattern that names more operations than this is not followed into each of them.
_FOLLOWED: Final = 100
_NUMBERS: Final = frozenset({"integer", "long", "float", "double", "bigdecimal", "biginteger"})
_WORDS: Final[Mapping[type, str]] = {str: "a text", int: "a number", bool: "true or false"}


def findings(index: int, rules: Rules) -> Iterator[Finding]:
    """Conditions on what an operation of the guardrail does not have, and values that can never be compared."""
    for number, condition in enumerate(rules.conditions):
        path = ("conditions", number, "parameter")
        for said in _condition(condition, rules):
            yield Finding(Kind.PARAMETER, index, rules.name, path, said)


def _condition(condition: Condition, rules: Rules) -> Iterator[str]:
    for pattern in rules.operations:
        names = operations_named(pattern)
        if pattern == "*" or len(names) > _FOLLOWED:
            continue
        operations = [catalog.get(name) for name in names]
        lacking = [(one, why) for one in operations if (why := _lacks(one, condition))]
        if lacking and (not patterns.is_wild(pattern) or len(lacking) == len(operations)):
            operation, why = lacking[0]
            whose = operation.full_name if not patterns.is_wild(pattern) else f"No operation of {pattern}: {operation.full_name}"
            yield f"{whose} {why}, so the condition is never decided there and the guardrail protects every such call."


def _lacks(operation: Operation, condition: Condition) -> str:
    """Why the operation's calls never decide the condition; empty when they can."""
    shape: Shape | None = operation.model.input_shape
    path = condition.parameter.split(".")
    for depth, name in enumerate(path):
        shape = _item(shape)
        if isinstance(shape, MapShape):
            return _other_kind(_item(shape.value), condition) if depth + 1 == len(path) else ""
        members: Mapping[str, Shape] = shape.members if isinstance(shape, StructureShape) else {}
        if name not in members:
            where = f" in {'.'.join(path[:depth])}" if depth else ""
            return f"has no parameter {name}{where}{nearest(name, members)}"
        shape = members[name]
    return _other_kind(_item(shape), condition)


def _item(shape: Shape | None) -> Shape | None:
    while isinstance(shape, ListShape):
        shape = shape.member
    return shape


def _other_kind(shape: Shape | None, condition: Condition) -> str:
    """Why what stands there can never be compared with the condition's value."""
    if shape is None or condition.operator in (Operator.PRESENT, Operator.ABSENT):
        return ""
    kind = _kind(shape)
    if kind is None:
        return f"has a {shape.type_name} as {condition.parameter}, which cannot be compared"
    kinds = {type(one) for one in (condition.value if isinstance(condition.value, tuple) else (condition.value,))}
    if kinds == {kind}:
        return ""
    given = " or ".join(sorted(_WORDS[one] for one in kinds))
    return f"has {_WORDS[kind]} as {condition.parameter}, which cannot be compared with {given}"


def _kind(shape: Shape) -> type | None:
    if shape.type_name in _NUMBERS:
        return int
    return {"boolean": bool, "string": str}.get(shape.type_name)
