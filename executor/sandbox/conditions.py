"""The Condition element of IAM policies: operators, `...IfExists`, and set operators.

Source: IAM User Guide, "IAM JSON policy elements: Condition operators" and "Set operators for multi-valued context keys".
All operators and keys of a block must hold; of the values of one key, one is enough (none may hold for negated operators).
"""

import base64
import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from executor.sandbox.patterns import Context, MissingVariableError, arn_matches, filled, matches

_EPOCH = re.compile(r"-?\d{5,}(\.\d+)?")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# Dates that are no more than a year, or a year and a month.
_YEAR_MONTH = re.compile(r"(\d{4})(?:-(\d{2}))?", re.ASCII)
_QUANTIFIERS = ("", "ForAllValues", "ForAnyValue")

Comparison = Callable[[str, str, Context], bool]


class UnknownOperatorError(ValueError):
    """A policy names a condition operator that IAM does not have, or that this evaluator does not know."""


def conditions_hold(block: Mapping[str, Any], context: Context) -> bool:
    """Whether every condition of a statement's Condition block holds. Raises UnknownOperatorError."""
    return all(
        _holds(operator, key.lower(), _listed(wanted), context)
        for operator, keys in block.items()
        for key, wanted in keys.items()
    )


def _holds(operator: str, key: str, wanted: list[str], context: Context) -> bool:
    quantifier, _, name = operator.rpartition(":")
    if quantifier not in _QUANTIFIERS:
        raise UnknownOperatorError(operator)
    given = context.get(key, ())
    if name == "Null":
        return any((value.lower() == "true") == (not given) for value in wanted)
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    comparison, negated = _operator(name)
    if not given:
        # A missing key fails a positive operator and satisfies a negated one; over no values "for all" holds.
        return if_exists or quantifier == "ForAllValues" or (negated and quantifier != "ForAnyValue")

    def one(value: str) -> bool:
        return any(_compared(comparison, want, value, context) for want in wanted) is not negated

    return all(map(one, given)) if quantifier == "ForAllValues" else any(map(one, given))


def _compared(comparison: Comparison, wanted: str, given: str, context: Context) -> bool:
    """One comparison; a value that is no number, date or address, or a variable without a value, matches nothing."""
    try:
        return comparison(wanted, given, context)
    except (ValueError, MissingVariableError):
        return False


def _operator(name: str) -> tuple[Comparison, bool]:
    if name in _OPERATORS:
        return _OPERATORS[name], False
    if name in _NEGATED:
        return _OPERATORS[_NEGATED[name]], True
    raise UnknownOperatorError(name)


def _listed(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in values]


def _number(text: str) -> float:
    # float() reads more than IAM's numbers: "nan", "inf", "1_000".
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return float(text)


def _moment(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 date, from a year alone to fractions of a second, or of a number of seconds."""
    if _EPOCH.fullmatch(text):
        return float(text)
    if short := _YEAR_MONTH.fullmatch(text):
        return datetime(int(short[1]), int(short[2] or 1), 1, tzinfo=UTC).timestamp()
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _ordered(read: Callable[[str], float], accept: Callable[[float, float], bool]) -> Comparison:
    """Numbers and dates; policy variables stand for texts and ARNs alone, so here they are no value."""
    return lambda wanted, given, context: accept(read(given), read(wanted))


def _same_bytes(wanted: str, given: str, context: Context) -> bool:
    """BinaryEquals: both are base64, which writes the same bytes in more than one way. Raises ValueError for what is not."""
    return base64.b64decode(wanted, validate=True) == base64.b64decode(given, validate=True)


def _in_network(wanted: str, given: str, context: Context) -> bool:
    return ipaddress.ip_address(given) in ipaddress.ip_network(wanted, strict=False)


_ORDER: dict[str, Callable[[float, float], bool]] = {
    "Equals": lambda given, wanted: given == wanted,
    "LessThan": lambda given, wanted: given < wanted,
    "LessThanEquals": lambda given, wanted: given <= wanted,
    "GreaterThan": lambda given, wanted: given > wanted,
    "GreaterThanEquals": lambda given, wanted: given >= wanted,
}

_OPERATORS: dict[str, Comparison] = {
    "StringEquals": lambda wanted, given, context: filled(wanted, context) == given,
    "StringEqualsIgnoreCase": lambda wanted, given, context: filled(wanted, context).lower() == given.lower(),
    "StringLike": matches,
    "ArnEquals": arn_matches,
    "ArnLike": arn_matches,
    "Bool": lambda wanted, given, context: wanted.lower() == given.lower(),
    "BinaryEquals": _same_bytes,
    "IpAddress": _in_network,
    **{f"Numeric{name}": _ordered(_number, accept) for name, accept in _ORDER.items()},
    **{f"Date{name}": _ordered(_moment, accept) for name, accept in _ORDER.items()},
}

_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}
