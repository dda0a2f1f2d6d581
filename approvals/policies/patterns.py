"""Patterns with `*` and `?`, which are wild; every other character stands for itself. No pattern takes long, whoever wrote it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_FIELDS_OF_ARN: Final = 6
_RUN: Final = re.compile(r"[*?]+")


@lru_cache(maxsize=65536)
def any_fits(patterns: tuple[str, ...], value: str) -> bool:
    """Whether the text fits one of the patterns."""
    return any(pattern == "*" or _wild(pattern).fullmatch(value) is not None for pattern in patterns)


@lru_cache(maxsize=65536)
def any_may_name(patterns: tuple[str, ...], arn: str) -> bool:
    """Whether one of a guardrail's patterns can name what an ARN, or a pattern of one, stands for."""
    return any(_may_name(pattern, arn) for pattern in patterns)


def _may_name(pattern: str, arn: str) -> bool:
    """Where both have the five fields before the resource and those agree, the resources decide: without that, `*:*:db:prod-*`
    would meet `cluster:*` in a cluster that nobody can call `x:db:prod-y`.
    """
    if is_wild(arn):
        ours, theirs = pattern.split(":", 5), arn.split(":", 5)
        if len(ours) == len(theirs) == _FIELDS_OF_ARN and all(overlap(*pair) for pair in zip(ours[:5], theirs[:5], strict=True)):
            return overlap(ours[5], theirs[5])
    return overlap(pattern, arn)


def is_wild(pattern: str) -> bool:
    """Whether the text has a wild character."""
    return "*" in pattern or "?" in pattern


@lru_cache(maxsize=8192)
def _wild(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression whose stars never go back on what they took: no pattern takes more than m * n steps."""
    first, *rest = ("".join("." if c == "?" else re.escape(c) for c in piece) for piece in pattern.split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1] if piece)
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)


def overlap(one: str, other: str) -> bool:
    """Whether two patterns can name a common text. Takes at most len(one) * len(other) steps."""
    if not is_wild(other):
        return _wild(one).fullmatch(other) is not None
    if not is_wild(one):
        return _wild(other).fullmatch(one) is not None
    for mine, theirs in zip(one, other, strict=False):
        if mine in "*?" or theirs in "*?":
            break
        if mine != theirs:
            return False
    # reach[j]: the rest of `one` and other[j:] can name a common text; built from the end of `one`.
    reach = [False] * len(other) + [True]
    for j in range(len(other) - 1, -1, -1):
        reach[j] = other[j] == "*" and reach[j + 1]
    for char in reversed(one):
        row = [False] * len(other) + [char == "*" and reach[-1]]
        for j in range(len(other) - 1, -1, -1):
            if char == "*" or other[j] == "*":
                row[j] = reach[j] or row[j + 1]
            else:
                row[j] = (char == "?" or other[j] in ("?", char)) and reach[j + 1]
        reach = row
    return reach[0]


@lru_cache(maxsize=65536)
def contains(wide: str, narrow: str) -> bool:
    """Whether every text that fits `narrow` fits `wide`. Takes at most len(wide) * len(narrow) steps.

    A wild character of `narrow` is a letter that no pattern writes, so only a wild one of `wide` takes it. That never says yes
    wrongly, and no only for pairs such as `?*` and `*?`, where a star and a question mark change places.
    """
    if wide in ("*", narrow):
        return True
    pieces = _RUN.split(wide)
    if len(pieces) == 1 or not (narrow.startswith(pieces[0]) and narrow.endswith(pieces[-1])):
        return False
    # row[j]: the rest of `wide` takes narrow[j:]; built from the end of `wide`.
    row = [False] * len(narrow) + [True]
    for char in reversed(_settled(wide)):
        new = [False] * (len(narrow) + 1)
        new[-1] = char == "*" and row[-1]
        for j in range(len(narrow) - 1, -1, -1):
            if char == "*":
                new[j] = row[j] or new[j + 1]
            else:
                new[j] = narrow[j] != "*" and char in ("?", narrow[j]) and row[j + 1]
        row = new
    return row[0]


def _settled(pattern: str) -> str:
    """The same pattern with the question marks of a run of wild characters before its star."""
    return _RUN.sub(lambda run: "?" * run[0].count("?") + "*" * ("*" in run[0]), pattern)
