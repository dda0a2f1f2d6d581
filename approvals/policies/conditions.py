"""Whether a condition on a parameter holds for a call. What cannot be decided holds, so that a gap in what is known protects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from approvals.policies import patterns
from approvals.policies.rules import Condition, Operator

if TYPE_CHECKING:
    from approvals.policies.matching import Call


class _Absent(Enum):
    """What stands in the place of a value that the call does not have: the member is left out, or what would hold it is."""

    LEFT_OUT = "left out"
    NOWHERE = "nowhere"


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
    return any(
        _fits(condition, said)
        for value in _values(call.parameters, condition.parameter.split("."))
        for said in (_defaults(condition, call) if value is _Absent.LEFT_OUT else (value,))
    )


def _defaults(condition: Condition, call: Call) -> tuple[Any, ...]:
    default = call.defaults.get(condition.parameter)
    if default is None or default in ([], ()):
        return (_Absent.LEFT_OUT,)
    return tuple(default) if isinstance(default, list | tuple) else (default,)


def _values(value: Any, path: list[str]) -> Iterator[Any]:
    """What stands at the path: every item of the lists on the way, and an _Absent where nothing does."""
    if isinstance(value, list | tuple):
        if not value:
            yield _Absent.NOWHERE
        for item in value:
            yield from _values(item, path)
    elif not path or not isinstance(value, Mapping):
        yield value  # the end of the path, or no structure although the path goes on: then nothing can be decided
    else:
        # A map's key may hold a dot itself, so every way of reading on is tried.
        keys = [(".".join(path[:end]), path[end:]) for end in range(1, len(path) + 1)]
        inner = [(value[key], rest) for key, rest in keys if value.get(key) is not None]
        for item, rest in inner:
            yield from _values(item, rest)
        if not inner:
            yield _Absent.LEFT_OUT if len(path) == 1 else _Absent.NOWHERE


def _fits(condition: Condition, value: Any) -> bool:
    if isinstance(value, _Absent):
        return condition.operator in (Operator.ABSENT, Operator.IS_NOT)
    return _DECIDED[condition.operator](value, condition.value) is not False


def _equal(value: Any, wanted: Any) -> bool | None:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted if isinstance(value, bool) and isinstance(wanted, bool) else None
    if isinstance(value, str) and isinstance(wanted, str):
        return value == wanted
    return bool(value == wanted) if _number(value) and isinstance(wanted, int) else None


def _other(value: Any, wanted: Any) -> bool | None:
    equal = _equal(value, wanted)
    return None if equal is None else not equal


def _among(value: Any, wanted: Any) -> bool:
    return any(_equal(value, one) is not False for one in wanted)


def _like(value: Any, wanted: Any) -> bool | None:
    return patterns.any_fits((wanted,), value) if isinstance(value, str) else None


def _least(value: Any, wanted: Any) -> bool | None:
    return bool(value >= wanted) if _number(value) else None


def _most(value: Any, wanted: Any) -> bool | None:
    return bool(value <= wanted) if _number(value) else None


def _number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


# What each operator says of a value that is there and its own; None where the two cannot be compared.
_DECIDED: Final[Mapping[Operator, Callable[[Any, Any], bool | None]]] = {
    Operator.IS: _equal,
    Operator.IS_NOT: _other,
    Operator.IN: _among,
    Operator.MATCHES: _like,
    Operator.AT_LEAST: _least,
    Operator.AT_MOST: _most,
    Operator.PRESENT: lambda _value, _wanted: True,
    Operator.ABSENT: lambda _value, _wanted: False,
}
