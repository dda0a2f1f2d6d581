"""AWS's patterns for members, applied only where that takes a bounded time.

They are written for an engine that never goes back. Python's goes back: `[a-zA-Z](?:-?[a-zA-Z0-9]+)*` of RDS takes minutes over
thirty letters and an exclamation mark, and whoever makes a denied call chooses the letters. A pattern that could cost too much
over a value is left to AWS, as is one that Python cannot read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from typing import Any, Final

# Steps of the engine, some ten million of them a second.
_MOST_STEPS: Final = 2_000_000
# What repeats no oftener than this is a handful of choices, no loop.
_FEW: Final = 4
# By how much a choice inside of a loop may multiply the time, for each character of a value.
_CHOICES: Final = 3
_LONGEST: Final = 64
_TRIED: Final = tuple(map(chr, range(0x09, 0x7F)))
_REPEATS: Final = (_constants.MAX_REPEAT, _constants.MIN_REPEAT)
_SINGLE: Final = (_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN)


def fits(pattern: str, value: str) -> bool:
    """Whether the whole value fits; True as well where finding out could take too long, or Python cannot read the pattern."""
    known = _read(pattern)
    if known is None:
        return True
    compiled, loops = known
    # Each loop that takes the same characters may hand any of them to the next.
    steps = len(value) ** loops if loops else _CHOICES ** min(len(value), _LONGEST)
    return steps > _MOST_STEPS or compiled.fullmatch(value) is not None


@lru_cache(maxsize=8192)
def _read(pattern: str) -> tuple[re.Pattern[str], int] | None:
    """The pattern and how many of its loops take the same character (0 for a choice inside of a loop); None for no pattern."""
    try:
        compiled, parsed = re.compile(pattern), _parser.parse(pattern)
        loops = list(_loops(parsed, looped=False))
    except (re.error, RecursionError, OverflowError):
        return None
    if None in loops:
        return compiled, 0
    return compiled, max(Counter(char for taken in loops if taken for char in taken).values(), default=1)


def _loops(part: Any, *, looped: bool) -> Iterator[frozenset[str] | None]:
    """What each loop of the pattern takes; None for a choice inside of a loop, whose time may double with each character."""
    for name, value in part:
        if looped and name is _constants.BRANCH:
            yield None
        if name not in _REPEATS:
            for inner in _parts(value):
                yield from _loops(inner, looped=looped)
            continue
        least, most, body = value
        if looped and most > least:
            yield None
        elif most - least > _FEW:
            yield frozenset(_taken(body))
        yield from _loops(body, looped=looped or most > _FEW)


def _taken(part: Any) -> Iterator[str]:
    """The characters that can stand anywhere in a part."""
    for item in part:
        if item[0] in _SINGLE:
            one = _compiler.compile(_parser.SubPattern(part.state, [item]))
            yield from filter(one.fullmatch, _TRIED)
        else:
            for inner in _parts(item[1]):
                yield from _taken(inner)


def _parts(value: Any) -> Iterator[Any]:
    """The parts of a repeat, a group, of alternatives, of a look around."""
    if isinstance(value, _parser.SubPattern):
        yield value
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _parts(one)
