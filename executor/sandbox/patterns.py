"""Wildcards and policy variables, as IAM reads them in actions, resources and conditions."""

import re
from collections.abc import Mapping
from functools import lru_cache

# Condition keys and their values, keys in lower case. Every value is a tuple: most keys have one, sets have several.
Context = Mapping[str, tuple[str, ...]]

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_LITERALS = {"*": "*", "?": "?", "$": "$"}
# A star and a question mark as parts of a pattern taken to pieces, where the characters themselves stand for themselves.
_ANYTHING, _ONE = "any characters", "one character"


class MissingVariableError(LookupError):
    """A policy variable has neither a value in this request nor a default: the element does not match."""


def glob(pattern: str, value: str, *, ignore_case: bool = False) -> bool:
    """Whether `value` matches `pattern`, in which `*` stands for any characters and `?` for exactly one."""
    return _compiled(pattern, ignore_case).fullmatch(value) is not None


def matches(pattern: str, value: str, context: Context) -> bool:
    """As `glob`, with policy variables filled in from the request first; their values never act as wildcards."""
    if "${" not in pattern:
        return glob(pattern, value)
    try:
        expression = "".join(re.escape(text) if literal else _expression(text) for text, literal in _parts(pattern, context))
    except MissingVariableError:
        return False
    return re.fullmatch(expression, value, re.DOTALL) is not None


def overlaps(pattern: str, other: str, context: Context) -> bool:
    """Whether some value matches both: `pattern` as in `matches`, and `other`, a plain pattern of what is not known in full."""
    try:
        ours = [token for text, literal in _parts(pattern, context) for token in _tokens(text, literal=literal)]
    except MissingVariableError:
        return False
    theirs = _tokens(other)
    # meeting[j] says whether the rest of ours and theirs[j:] have a value in common; filled from the ends.
    meeting = [all(token is _ANYTHING for token in theirs[j:]) for j in range(len(theirs) + 1)]
    for one in reversed(ours):
        below, meeting = meeting, [False] * (len(theirs) + 1)
        meeting[-1] = one is _ANYTHING and below[-1]
        for j in range(len(theirs) - 1, -1, -1):
            if one is _ANYTHING or theirs[j] is _ANYTHING:
                meeting[j] = below[j] or meeting[j + 1]
            else:
                meeting[j] = below[j + 1] and (one == theirs[j] or one is _ONE or theirs[j] is _ONE)
    return meeting[0]


def filled(text: str, context: Context) -> str:
    """The text with policy variables replaced, for operators that know no wildcards. Raises MissingVariableError."""
    return "".join(part for part, _ in _parts(text, context))


def arn_matches(pattern: str, arn: str, context: Context) -> bool:
    """ArnEquals and ArnLike: each of the six parts is matched by itself, so that no wildcard reaches over a colon."""
    wanted, given = _arn_parts(pattern), arn.split(":", 5)
    if pattern == "*":
        return True
    return len(wanted) == len(given) == 6 and all(
        matches(part, value, context) for part, value in zip(wanted, given, strict=True)
    )


def _arn_parts(pattern: str) -> list[str]:
    """The six parts of an ARN pattern; colons inside `${...}` do not separate."""
    parts: list[str] = []
    depth = start = 0
    for index, character in enumerate(pattern):
        if pattern.startswith("${", index):
            depth += 1
        elif character == "}" and depth:
            depth -= 1
        elif character == ":" and not depth and len(parts) < 5:
            parts.append(pattern[start:index])
            start = index + 1
    return [*parts, pattern[start:]]


def _parts(text: str, context: Context) -> list[tuple[str, bool]]:
    """The text as (piece, is literal): what stood outside of `${...}`, and the values of what stood inside."""
    parts: list[tuple[str, bool]] = []
    end = 0
    for match in _VARIABLE.finditer(text):
        parts.append((text[end : match.start()], False))
        parts.append((_variable(match.group(1), context), True))
        end = match.end()
    return [*parts, (text[end:], False)]


def _variable(inside: str, context: Context) -> str:
    """The value of `${key}`, `${key, 'default'}`, or one of the escapes `${*}`, `${?}`, `${$}`."""
    if inside in _LITERALS:
        return _LITERALS[inside]
    key, comma, default = inside.partition(",")
    values = context.get(key.strip().lower(), ())
    if len(values) == 1:
        return values[0]
    if comma and not values:
        return default.strip().strip("'")
    raise MissingVariableError(key)


def _tokens(text: str, *, literal: bool = False) -> list[str]:
    return list(text) if literal else [_ANYTHING if c == "*" else _ONE if c == "?" else c for c in text]


def _expression(pattern: str) -> str:
    return "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in re.sub(r"\*+", "*", pattern))


@lru_cache(maxsize=4096)
def _compiled(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    return re.compile(_expression(pattern), re.DOTALL | (re.IGNORECASE if ignore_case else 0))
