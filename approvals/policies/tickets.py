"""Patterns of tickets that a reason must name: `OPS-#`, `INC# | CHG#`.

`#` stands for a number (one digit or more), `?` for one character, `*` for any run of characters; none of them takes white space.
`|` parts alternatives; everything else stands for itself, upper and lower case alike. A ticket stands in the reason as a word of
its own: `OPS-1` is not in `DEVOPS-1`. All beginnings are followed at once and nothing is tried twice, so none takes more than
len(pattern) * len(reason) steps.
"""

from __future__ import annotations

from typing import Final

_MOST_ALTERNATIVES: Final = 20


def check(pattern: str) -> None:
    """Raise ValueError (a sentence's end) for a pattern that any reason, or none, would satisfy."""
    if not pattern:
        return
    found = _alternatives(pattern)
    if len(found) > _MOST_ALTERNATIVES:
        raise ValueError(f"has at most {_MOST_ALTERNATIVES} alternatives, not {len(found)}")
    for one in found:
        if not one:
            raise ValueError("has an empty alternative, which every reason would satisfy")
        if not any(char == "#" or char.isalnum() for char in one):
            raise ValueError(f"has the alternative {one!r}, which every reason would satisfy; write a letter or # in it")
        if any(char.isspace() for char in one):
            raise ValueError(f"has the alternative {one!r} with white space in it; a ticket is one word")


def named_in(pattern: str, reason: str) -> bool:
    """Whether the reason names a ticket that fits; every reason does when there is no pattern."""
    if not pattern:
        return True
    text = reason.casefold()
    starts = [at for at in range(len(text)) if at == 0 or not text[at - 1].isalnum()]
    return any(_stands(one.casefold(), text, starts) for one in _alternatives(pattern))


def _alternatives(pattern: str) -> list[str]:
    return [one.strip() for one in pattern.split("|")]


def _stands(pattern: str, text: str, starts: list[int]) -> bool:
    """Whether the pattern fits from one of the starts up to the end of a word; all starts are followed at once."""
    positions = set(starts)
    for char in pattern:
        positions = _after(char, text, positions)
        if not positions:
            return False
    return any(at == len(text) or not text[at].isalnum() for at in positions)


def _after(char: str, text: str, positions: set[int]) -> set[int]:
    """Where the text may be read on when this character of the pattern has taken its part."""
    if char not in "#?*":
        return {at + 1 for at in positions if at < len(text) and text[at] == char}
    if char == "?":
        return {at + 1 for at in positions if at < len(text) and not text[at].isspace()}
    found = set(positions) if char == "*" else set()
    for start in sorted(positions):
        for at in range(start, len(text)):
            if at + 1 in found or not (text[at].isdecimal() if char == "#" else not text[at].isspace()):
                break
            found.add(at + 1)
    return found
