"""Parameters as rows for eyes: flat, full, unambiguous. A text stands in quotes, so `"true"` is never taken for true."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from approvals.operations import words

NOT_SET = "not set"


@dataclass(frozen=True, slots=True)
class Shown:
    """One value: where it stands (`A.B.0`), what it will be, what is dangerous about it, what it is now where that is known."""

    path: str
    value: str
    danger: str = ""
    is_set: bool = True
    now: str = ""
    identifies: bool = False

    @property
    def changes(self) -> bool:
        """Whether the value is known to become another one."""
        return self.is_set and bool(self.now) and self.now != self.value


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


def text_of(value: Any) -> str:
    """A single value as text: nothing is cut, nothing is hidden."""
    match value:
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
