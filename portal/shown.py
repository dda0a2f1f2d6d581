"""Parameters as rows for eyes: flat, full, unambiguous. A text stands in quotes, so `"true"` is never taken for true."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from approvals.canonical import Sealed
from approvals.operations import words

# Of every sealed value the same, so that not even its length shows.
SEALED: Final = "•••••••• (sealed; only the executor can open it)"


@dataclass(frozen=True, slots=True)
class Shown:
    """One value: where it stands (`A.B.0`), what it will be, what is dangerous about it, and what was read of it.

    `now` and `after` are what it is as read for the review and after the call; where they are empty, `why_not_now` and
    `why_not_after` say why. Of a dangerous member's leaves the first carries the note.
    """

    path: str
    value: str
    danger: str = ""
    note: str = ""
    now: str = ""
    why_not_now: str = ""
    after: str = ""
    why_not_after: str = ""
    identifies: bool = False

    @property
    def changes(self) -> bool:
        """Whether the value is known to become another one."""
        return bool(self.now) and self.value not in (self.now, SEALED)

    @property
    def differs(self) -> bool:
        """Whether it is known not to be, after the call, what the call asked for."""
        return bool(self.after) and self.value not in (self.after, SEALED)


def leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every value inside, with its path; what is empty is a value itself."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from leaves(f"{path}.{words.visible(str(name))}", item)
    elif isinstance(value, list | tuple) and value:
        for index, item in enumerate(value):
            yield from leaves(f"{path}.{index}", item)
    else:
        yield path, value


def actor_words(actor: str) -> str:
    """Who did it, as a person says it: a handle, or one of our own processes. What is neither is shown as it is."""
    kind, _, name = actor.partition(":")
    if kind == "person":
        return name
    return _PROCESSES.get(name, f"the {name} process") if kind == "process" else actor


_PROCESSES = {
    "execution": "the executor",
    "delivery": "the delivery",
    "feed": "the feed",
    "expiry": "the clock",
    "bootstrap": "the bootstrap",
    "authority": "the authority process",
    "decisions": "the rules of decision",
}


def text_of(value: Any) -> str:
    """A single value as text: nothing is cut, nothing is hidden."""
    match value:
        case Sealed():
            return SEALED
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{words.visible(escaped)}"'
        case bytes() | bytearray():
            return f"{len(value)} bytes, base64 {base64.b64encode(bytes(value)).decode('ascii')}"
        case datetime() | date():
            return value.isoformat()
        case dict() | list() | tuple():
            return words.visible(json.dumps(value, ensure_ascii=True, default=str)) if value else "(empty)"
        case _:
            return words.visible(str(value))
