"""The form of any AWS operation, made from its botocore input shape: a tree of fields for the template, never raw JSON.

Groups (structures) nest as fieldsets; lists and maps have rows that server-side buttons add and remove, so that the form works
without JavaScript; a group that would repeat itself, or lies deep, unfolds on demand.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

from botocore.model import ListShape, MapShape, Shape, StructureShape

from approvals.operations import risk, sensitive
from approvals.operations.catalog import Operation
from portal import sealer
from portal.form_data import DEEPEST, MOST_ROWS_IN_ALL, ROOT, Data, is_json, rows_said

# Groups below this depth are unfolded on demand; most operations fit without a click.
UNFOLDED_TO: Final = 2
LONGEST_HELP: Final = 600
# A text that may be longer than this gets an area instead of a line.
LONG_TEXT: Final = 256
# Secrets that people have in one line; of others (keys, documents) a line would lose the breaks.
_PASSWORD: Final = re.compile(r"(?:passwords?|passphrase|pin|token)(?: \d+)?\Z", re.IGNORECASE)


@dataclass(slots=True)
class FormField:
    """One field or group. `kind` chooses the widget.

    text, area, number, choice, flag, time, bytes, secret (one line) and secret-area, group, rows, map, folded. A secret never has
    a text: what was entered is `sealed`, a token; `unsealable` says why nothing can be entered.
    """

    name: str
    label: str
    kind: str
    required: bool = False
    # Whether a group around it may be left out, and nothing of that group is filled in yet.
    optional_around: bool = False
    help: str = ""
    danger: str = ""
    text: str = ""
    choices: tuple[str, ...] = ()
    least: str = ""
    most: str = ""
    may_be_empty: bool = False
    is_empty: bool = False
    in_row: bool = False
    is_open: bool = False
    sealed: str = ""
    unsealable: str = ""
    is_binary: bool = False
    errors: list[str] = field(default_factory=list)
    members: list[FormField] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    @property
    def id(self) -> str:
        """An id for labels and fragments."""
        return id_of(self.name)

    @property
    def needed(self) -> str:
        """What the badge beside the label says; nothing for what may be left out."""
        if not self.required:
            return ""
        return "required if this group is used" if self.optional_around else "required"

    @property
    def touched(self) -> bool:
        """Whether something in here is set or wrong, so that the group stands open."""
        if self.errors or self.text or self.sealed or self.is_empty or self.rows or self.is_open:
            return True
        return any(member.touched for member in self.members)


@dataclass(slots=True)
class Row:
    """One row of a list or map: its name for the remove button, its key (maps), its value."""

    name: str
    value: FormField
    key: str = ""
    errors: list[str] = field(default_factory=list)


def id_of(name: str) -> str:
    """A field's name as an id of HTML."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)


def fields_of(operation: Operation, data: Data, problems: dict[str, list[str]] | None = None) -> list[FormField]:
    """The fields of an operation with what `data` says: what identifies the target first, then required, dangerous, the rest."""
    dangers = risk.of(operation).dangerous
    identifies = operation.facts.identifies
    required = operation.required

    def rank(name: str) -> tuple[int, str]:
        place = 0 if name in identifies else 1 if name in required else 2 if name in dangers else 3
        return (place, name if place else str(identifies.index(name)))

    builder = _Builder(data, problems or {}, sensitive.rule(operation))
    found = []
    for name in sorted(operation.members, key=rank):
        spot = _Spot(f"{ROOT}.{name}", (name,))
        member = builder.build(operation.members[name], spot, name, (), required=name in required)
        member.danger = dangers.get(name, "")
        found.append(member)
    return found


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where the building is: the field's name, members' names alone, and whether what is around is secret."""

    name: str
    names: tuple[str, ...]
    secret: bool = False

    def member(self, name: str) -> _Spot:
        return _Spot(f"{self.name}.{name}", (*self.names, name), self.secret)

    def row(self, index: int) -> _Spot:
        return _Spot(f"{self.name}.{index}", self.names, self.secret)


class _Builder:
    """Walks a shape beside the form's data."""

    def __init__(self, data: Data, problems: dict[str, list[str]], rule: sensitive.Rule) -> None:
        self._data = data
        self._problems = problems
        self._rule = rule
        self._rows_made = 0

    def build(
        self,
        shape: Shape,
        spot: _Spot,
        label: str,
        above: tuple[str, ...],
        *,
        required: bool = False,
        in_row: bool = False,
        optional_around: bool = False,
    ) -> FormField:
        """The field for one shape; `above` are the names of the shapes around it, outermost first."""
        name = spot.name
        spot = replace(spot, secret=self._rule.holds(shape, spot.names, around=spot.secret))
        made = FormField(
            name=name,
            label=label,
            kind="text",
            required=required,
            optional_around=optional_around,
            help=plain(shape.documentation),
            is_empty=bool(self._data.get(f"{name}:empty")),
            is_open=bool(self._data.get(f"{name}:open")),
            in_row=in_row,
            errors=list(self._problems.get(name, [])),
        )
        if is_json(shape):
            made.kind, made.text = "area", self._data.get(name, "")
            made.help = f"Any JSON. {made.help}".strip()
        elif isinstance(shape, StructureShape):
            self._group(shape, made, spot, above)
        elif isinstance(shape, ListShape | MapShape):
            self._rows(shape, made, spot, above)
        elif spot.secret:
            self._secret(shape, made)
        else:
            self._leaf(shape, made)
        return made

    def _group(self, shape: StructureShape, made: FormField, spot: _Spot, above: tuple[str, ...]) -> None:
        wanted = made.required or made.in_row or made.is_open or self._has_data(made.name)
        folded = shape.name in above or len(above) >= UNFOLDED_TO
        if len(above) >= DEEPEST or (folded and not wanted):
            made.kind = "folded"
            return
        made.kind = "group"
        required = set(shape.required_members)
        made.may_be_empty = not required and not made.in_row
        inside = (*above, shape.name)
        # Whoever opened a group or filled in a part of it has to fill in what it needs.
        certain = made.in_row or (made.required and not made.optional_around) or self._is_used(made.name)
        made.members = [
            self.build(member, spot.member(name), name, inside, required=name in required, optional_around=not certain)
            for name, member in sorted(shape.members.items(), key=lambda pair: (pair[0] not in required, pair[0]))
        ]

    def _rows(self, shape: ListShape | MapShape, made: FormField, spot: _Spot, above: tuple[str, ...]) -> None:
        made.kind = "map" if isinstance(shape, MapShape) else "rows"
        made.least, made.most = _bound(shape, "min"), _bound(shape, "max")
        made.may_be_empty = made.least in ("", "0")
        inner = shape.value if isinstance(shape, MapShape) else shape.member
        count = min(rows_said(made.name, self._data), MOST_ROWS_IN_ALL - self._rows_made)
        self._rows_made += count
        for index in range(count):
            row = f"{made.name}.{index}"
            value = self.build(inner, spot.row(index), f"{made.label} {index + 1}", (*above, shape.name), in_row=True)
            made.rows.append(Row(row, value, self._data.get(f"{row}:key", "")))

    def _secret(self, shape: Shape, made: FormField) -> None:
        """A secret: whatever the data says in clear is not shown, not even to whoever typed it."""
        made.least, made.most = _bound(shape, "min"), _bound(shape, "max")
        made.sealed = self._data.get(f"{made.name}:sealed", "")
        made.is_empty = False
        made.is_binary = shape.type_name == "blob"
        made.unsealable = "" if sealer.is_configured() else sealer.NOT_CONFIGURED
        one_line = _PASSWORD.search(made.label) or (made.most.isdecimal() and int(made.most) <= LONG_TEXT)
        made.kind = "secret" if one_line and shape.type_name == "string" else "secret-area"
        made.may_be_empty = shape.type_name == "string" and made.least in ("", "0") and "pattern" not in shape.metadata

    def _leaf(self, shape: Shape, made: FormField) -> None:
        made.text = self._data.get(made.name, "")
        made.least, made.most = _bound(shape, "min"), _bound(shape, "max")
        match shape.type_name:
            case "boolean":
                made.kind = "flag"
            case "integer" | "long" | "bigint" | "float" | "double":
                made.kind = "number"
            case "timestamp":
                made.kind = "time"
            case "blob":
                made.kind = "bytes"
            case _:
                self._text(shape, made)

    def _text(self, shape: Shape, made: FormField) -> None:
        enum = tuple(getattr(shape, "enum", ()) or ())
        if enum:
            made.kind = "choice"
            # What a draft says stays visible even where this botocore does not know it yet; the check refuses it by name.
            made.choices = enum if not made.text or made.text in enum else (*enum, made.text)
            return
        if "\n" in made.text or (made.most.isdecimal() and int(made.most) > LONG_TEXT and made.text.count("") > LONG_TEXT):
            made.kind = "area"
        made.may_be_empty = made.least in ("", "0") and "pattern" not in shape.metadata

    def _is_used(self, name: str) -> bool:
        if self._data.get(f"{name}:open") or self._data.get(f"{name}:empty"):
            return True
        inside = f"{name}."
        return any(
            key.startswith(inside) and value and (key, value) != (f"{key.removesuffix(':n')}:n", "0")
            for key, value in self._data.items()
        )

    def _has_data(self, name: str) -> bool:
        marks = (f"{name}.", f"{name}:")
        return any(key.startswith(marks) and value for key, value in self._data.items()) or any(
            key == name or key.startswith(f"{name}.") for key in self._problems
        )


def _bound(shape: Shape, which: str) -> str:
    value: Any = shape.metadata.get(which)
    return "" if value is None else str(value)


@lru_cache(maxsize=4096)
def plain(documentation: str) -> str:
    """botocore's documentation without its HTML, cut at a sentence."""
    text = html.unescape(re.sub(r"<[^>]*>", " ", documentation or ""))
    text = re.sub(r"\s+([.,;:)])", r"\1", " ".join(text.split()))
    if len(text) <= LONGEST_HELP:
        return text
    cut = text.rfind(". ", 0, LONGEST_HELP)
    return text[: cut + 1] if cut > LONGEST_HELP // 3 else text[:LONGEST_HELP] + " …"
