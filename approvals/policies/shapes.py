"""What a value of a guardrails file may look like: declarations that a reader checks by and that a JSON schema is written from.

Each shape can do two things: `check` a parsed value, raising Misfit at the place that is wrong, and say itself as JSON schema.
What a schema cannot say (that a date exists, that a time zone is known) is checked where the value is read, not here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

Path = tuple[str | int, ...]
# A text of a person's is quoted this far in a message.
_QUOTED: Final = 80


class Misfit(ValueError):
    """A value that does not fit: `path` leads to it (keys and indexes), the text is a sentence's end (`is a text`)."""

    def __init__(self, path: Path, said: str) -> None:
        super().__init__(said)
        self.path = path


class Shape(Protocol):
    """What a value may look like."""

    def check(self, value: Any, path: Path) -> None:
        """Raise Misfit where the value does not fit."""

    def schema(self) -> dict[str, Any]:
        """The same as JSON schema (2020-12)."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text of `least` to `most` characters that fits the regular expression, which `like` says in words."""

    least: int = 0
    most: int | None = None
    pattern: str = ""
    like: str = ""

    def check(self, value: Any, path: Path) -> None:
        if not isinstance(value, str):
            mend = "; write it in quotes" if isinstance(value, int) else ""
            raise Misfit(path, f"is a text{self._of}, not {quoted(value)}{mend}")
        if len(value) < self.least:
            raise Misfit(path, "is a text of at least one character")
        if self.most is not None and len(value) > self.most:
            raise Misfit(path, f"is a text of at most {self.most} characters, not {len(value)}")
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise Misfit(path, f"is{self._of or ' another text'}, not {quoted(value)}")

    @property
    def _of(self) -> str:
        return f" {self.like}" if self.like else ""

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "string"}
        if self.least:
            found["minLength"] = self.least
        if self.most is not None:
            found["maxLength"] = self.most
        if self.pattern:
            found["pattern"] = f"^(?:{self.pattern})$"
        return found


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number in a range."""

    least: int
    most: int

    def check(self, value: Any, path: Path) -> None:
        if type(value) is not int or not self.least <= value <= self.most:  # bool is an int to isinstance
            raise Misfit(path, f"is a whole number from {self.least} to {self.most}, not {quoted(value)}")

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    def check(self, value: Any, path: Path) -> None:
        if not isinstance(value, bool):
            raise Misfit(path, f"is true or false, not {quoted(value)}")

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of these values."""

    values: tuple[str | bool, ...]

    def check(self, value: Any, path: Path) -> None:
        if not any(value == one and type(value) is type(one) for one in self.values):
            raise Misfit(path, f"is {' or '.join(quoted(one) for one in self.values)}, not {quoted(value)}")

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.values)}


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A value of one of several shapes; `like` says which in words."""

    shapes: tuple[Shape, ...]
    like: str

    def check(self, value: Any, path: Path) -> None:
        for shape in self.shapes:
            try:
                return shape.check(value, path)
            except Misfit:
                continue
        raise Misfit(path, f"is {self.like}, not {quoted(value)}")

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [shape.schema() for shape in self.shapes]}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of `least` items or more, of one shape; `what` names an item in words."""

    item: Shape
    least: int = 1
    what: str = "text"

    def check(self, value: Any, path: Path) -> None:
        if not isinstance(value, list | tuple) or len(value) < self.least:
            raise Misfit(path, f"is a list{f' of at least one {self.what}' if self.least else ''}")
        for index, item in enumerate(value):
            self.item.check(item, (*path, index))

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "array", "items": self.item.schema()}
        if self.least:
            found["minItems"] = self.least
        return found


@dataclass(frozen=True, slots=True)
class MapOf:
    """An object of `least` keys or more, texts of one shape, whose values are of another; `what` says it in words."""

    key: Text
    value: Shape
    what: str
    least: int = 0

    def check(self, value: Any, path: Path) -> None:
        if not isinstance(value, dict):
            raise Misfit(path, f"is {self.what}")
        if len(value) < self.least:
            raise Misfit(path, f"is {self.what}; it holds none")
        for key, item in value.items():
            self.key.check(key, (*path, str(key)))
            self.value.check(item, (*path, key))

    def schema(self) -> dict[str, Any]:
        found = {"type": "object", "propertyNames": self.key.schema(), "additionalProperties": self.value.schema()}
        return found | ({"minProperties": self.least} if self.least else {})


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an object: its shape, whether it must be there, and what it means (the schema's description)."""

    shape: Shape
    about: str
    needed: bool = False
    default: Any = None


@dataclass(frozen=True, slots=True)
class Object:
    """An object with these fields and no others: of each of `one_of` exactly one is there, of each of `any_of` at least one."""

    fields: Mapping[str, Field]
    one_of: tuple[tuple[str, ...], ...] = ()
    any_of: tuple[tuple[str, ...], ...] = ()
    titled: str = ""
    also: Mapping[str, Any] = field(default_factory=dict)

    def check(self, value: Any, path: Path) -> None:
        if not isinstance(value, dict):
            raise Misfit(path, "is an object")
        if unknown := sorted(str(key) for key in value if key not in self.fields):
            raise Misfit((*path, unknown[0]), "unknown field")
        for name in (name for name, one in self.fields.items() if one.needed and name not in value):
            raise Misfit((*path, name), f"is missing: {self.fields[name].about}")
        for names in self.any_of:
            if not any(name in value for name in names):
                raise Misfit((*path, names[0]), f"is missing: give {' or '.join(names)}")
        for names in self.one_of:
            if sum(name in value for name in names) != 1:
                raise Misfit(path, f"has exactly one of {', '.join(names)}")
        for name, item in value.items():
            self.fields[name].shape.check(item, (*path, name))

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {"title": self.titled} if self.titled else {}
        found |= {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: self._property(one) for name, one in self.fields.items()},
        }
        if needed := [name for name, one in self.fields.items() if one.needed]:
            found["required"] = needed
        rules = [{"anyOf": [{"required": [name]} for name in names]} for names in self.any_of]
        rules += [{"oneOf": [{"required": [name]} for name in names]} for names in self.one_of]
        return found | ({"allOf": rules} if rules else {}) | dict(self.also)

    @staticmethod
    def _property(one: Field) -> dict[str, Any]:
        found = {"description": one.about, **one.shape.schema()}
        return found | ({"default": one.default} if one.default is not None else {})


def quoted(value: Any) -> str:
    """A value in a message, cut where it is long."""
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"
