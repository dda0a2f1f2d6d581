"""Whether a condition on a parameter holds for a call. What cannot be decided holds, so that a gap in what is known protects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from approvals.policies import patterns
from approvals.policies.rules import Condition, Operator, Scalar

if TYPE_CHECKING:
    from approvals.policies.matching import Call


def holds(condition: Condition, call: Call) -> bool:
    """Whether the condition holds for the call, or cannot be decided.

    Not decided: nothing or not this member is known of the call, the operation has no such member, or what stands there cannot
    be compared (a sealed value, a structure, a text with a number). A member that the call leaves out has AWS's default, where
    the operations table says one; else it is absent. Where the path meets several values, one that fits suffices.
    """
    if call.parameters is None or condition.member in call.unknown:
        return True
    if call.members is not None and condition.member not in call.members:
        return True
    found = list(_values(call.parameters, condition.parameter.split(".")))
    if not found and condition.parameter in call.defaults:
        default = call.defaults[condition.parameter]
        found = list(default) if isinstance(default, list | tuple) else [] if default is None else [default]
    match condition.operator:
        case Operator.PRESENT:
            return bool(found)
        case Operator.ABSENT:
            return not found
        case Operator.IS_NOT if not found:
            return True
    return any(_fits(condition, value) for value in found)


def _values(value: Any, path: list[str]) -> Iterator[Any]:
    """What stands at the path: every item of the lists on the way."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _values(item, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping):
        # A map's key may hold a dot itself, so every way of reading on is tried.
        for end in range(1, len(path) + 1):
            if (key := ".".join(path[:end])) in value:
                yield from _values(value[key], path[end:])
    else:
        yield value  # not a structure although the path goes on: nothing can be decided


def _fits(condition: Condition, value: Any) -> bool:
    wanted = condition.value
    match condition.operator:
        case Operator.IS:
            return _equal(value, wanted) is not False
        case Operator.IS_NOT:
            return _equal(value, wanted) is not True
        case Operator.IN:
            return not isinstance(wanted, tuple) or any(_equal(value, one) is not False for one in wanted)
        case Operator.MATCHES:
            return not isinstance(value, str) or patterns.any_fits((str(wanted),), value)
        case Operator.AT_LEAST:
            return not _number(value) or not isinstance(wanted, int) or value >= wanted
        case Operator.AT_MOST:
            return not _number(value) or not isinstance(wanted, int) or value <= wanted
    return True


def _equal(value: Any, wanted: Scalar | tuple[Scalar, ...]) -> bool | None:
    """Whether two values are equal; None when they are of kinds that cannot be compared."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted if isinstance(value, bool) and isinstance(wanted, bool) else None
    if isinstance(value, str) and isinstance(wanted, str):
        return value == wanted
    return value == wanted if _number(value) and isinstance(wanted, int) else None


def _number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
