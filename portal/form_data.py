"""Parameters of an AWS call as the flat names and texts of an HTML form, and back, along botocore's input shape.

A member's field is named by its dotted path: `p.ProvisionedThroughput.ReadCapacityUnits`, with the index of a row in
lists and maps: `p.GlobalSecondaryIndexUpdates.0.Update.IndexName`. Beside it may stand

- `<name>:n`      how many rows a list or map has,
- `<name>:key`    the key of a map's row,
- `<name>:empty`  the box "send it empty" (an empty text, group, list or map is something else than leaving it out),
- `<name>:open`   a group that was unfolded on demand,
- `<name>:sealed`, `<name>:drop`   of a secret: see `portal.secret_fields`.

A member that takes any JSON is one field with the JSON's text. Line ends are line feeds: browsers do not tell them apart.

Only what a person set goes into the parameters: an empty field is a member left out. What was asked for and then left empty is
a slip that is said: a row that was added, a group that was unfolded.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from botocore.model import ListShape, MapShape, Shape, StructureShape

from approvals.canonical import Sealed
from approvals.operations import inputs
from approvals.sealing import Place
from portal import secret_fields
from portal.secret_fields import AGAIN, Held, Seals

ROOT: Final = "p"
# A form deeper or longer than this is not one that a person fills in.
DEEPEST: Final = 24
MOST_ROWS: Final = 100
MOST_ROWS_IN_ALL: Final = 300

Data = Mapping[str, str]
_UNSET: Final = object()


def written(shape: Shape | None, parameters: dict[str, Any]) -> dict[str, str]:
    """The form fields that mean these parameters; `read(shape, written(shape, p)).parameters == p` for what fits the shape."""
    data: dict[str, str] = {}
    if isinstance(shape, StructureShape):
        for name, value in parameters.items():
            if name in shape.members:
                _write(shape.members[name], f"{ROOT}.{name}", value, data)
    return data


def is_json(shape: Shape) -> bool:
    """Whether the member holds any JSON value (a document, a JSON header): no fields can be made of it, so it is one text."""
    return bool(getattr(shape, "is_document_type", False) or shape.serialization.get("jsonvalue"))


def _write(shape: Shape, name: str, value: Any, data: dict[str, str]) -> None:
    if is_json(shape) and not isinstance(value, Sealed):
        data[name] = json.dumps(value, ensure_ascii=False, indent=1)
    elif isinstance(shape, StructureShape):
        members = value if isinstance(value, dict) else {}
        for member, item in members.items():
            if member in shape.members:
                _write(shape.members[member], f"{name}.{member}", item, data)
        if not members:
            data[f"{name}:empty"] = "on"
    elif isinstance(shape, ListShape | MapShape):
        _write_rows(shape, name, value, data)
        if not value:
            data[f"{name}:empty"] = "on"
    elif isinstance(value, Sealed):
        data[f"{name}:sealed"] = value.token
    else:
        text = _leaf_text(value)
        data[name] = text
        if not text:
            data[f"{name}:empty"] = "on"


def _write_rows(shape: ListShape | MapShape, name: str, value: Any, data: dict[str, str]) -> None:
    count = 0
    if isinstance(shape, MapShape):
        for index, (key, item) in enumerate(value.items() if isinstance(value, dict) else ()):
            count = index + 1
            data[f"{name}.{index}:key"] = str(key)
            _write(shape.value, f"{name}.{index}", item, data)
    else:
        for index, item in enumerate(value if isinstance(value, list | tuple) else ()):
            count = index + 1
            _write(shape.member, f"{name}.{index}", item, data)
    if count:
        data[f"{name}:n"] = str(count)


def _leaf_text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case bytes() | bytearray():
            return base64.b64encode(bytes(value)).decode("ascii")
        case datetime():
            return value.astimezone(UTC).isoformat()
        case float():
            return repr(value)
        case None:
            return ""
    return str(value)


@dataclass(slots=True)
class Reading:
    """What a form said: the parameters, what could not be read by field name, and the field of each path of the parameters.

    `data` is the form as it may go back to the page: with tokens where secrets were typed.
    """

    data: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    sealer: Seals | None = None
    held: list[Held] = field(default_factory=list)

    def place_of(self, path: str) -> str:
        """The field to lay an error of this dotted path beside: its own, or that of the nearest group around it."""
        parts = path.split(".")
        for length in range(len(parts), 0, -1):
            known = self.places.get(".".join(parts[:length]))
            if known is not None:
                return known
        return ROOT


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where the reading is: the field's name, the dotted path, the same exactly, members' names alone; whether it is secret."""

    name: str
    path: str
    place: Place
    names: tuple[str, ...]
    secret: bool = False

    def member(self, name: str) -> _Spot:
        return _Spot(f"{self.name}.{name}", f"{self.path}.{name}", (*self.place, name), (*self.names, name), self.secret)

    def row(self, index: int) -> _Spot:
        return _Spot(f"{self.name}.{index}", f"{self.path}.{index}", (*self.place, index), self.names, self.secret)

    def entry(self, index: int, key: str) -> _Spot:
        return _Spot(f"{self.name}.{index}", f"{self.path}.{key}", (*self.place, key), self.names, self.secret)


def read(shape: Shape | None, data: Data, sealer: Seals | None = None) -> Reading:
    """Read a form back. Values that cannot be read are named in `problems`; whether the rest fits is for `inputs.check`.

    With a sealer every secret is sealed on the way; without one no token is believed, and a secret stays what was typed.
    """
    reading = Reading(data=dict(data), sealer=sealer)
    if not isinstance(shape, StructureShape):
        return reading
    seen: set[str] = set()
    for name, member in shape.members.items():
        value = _read(member, _Spot(f"{ROOT}.{name}", name, (name,), (name,)), data, reading, seen, depth=1, in_row=False)
        if value is not _UNSET:
            reading.parameters[name] = value
    if sealer is not None:
        reading.parameters = secret_fields.settled(reading.parameters, reading.held, reading.data, reading.problems, sealer)
    for name in sorted(data):
        # A field that the shape does not have was not on the form that we sent.
        if name.startswith(f"{ROOT}.") and name.partition(":")[0] not in seen and data[name]:
            reading.problems.setdefault(ROOT, []).append(f"There is no field {name[len(ROOT) + 1 :][:200]!r}.")
    return reading


def _read(shape: Shape, spot: _Spot, data: Data, reading: Reading, seen: set[str], *, depth: int, in_row: bool) -> Any:
    name = spot.name
    seen.add(name)
    reading.places[spot.path] = name
    if reading.sealer is not None and reading.sealer.rule.holds(shape, spot.names, around=spot.secret) is not spot.secret:
        spot = replace(spot, secret=not spot.secret)
    if depth > DEEPEST:
        if any(key.startswith(f"{name}.") for key in data):
            reading.problems.setdefault(name, []).append(f"Deeper than {DEEPEST} levels; file this call in another way.")
        return _UNSET
    empty = bool(data.get(f"{name}:empty"))
    if is_json(shape):
        return _read_json(name, data, reading, in_row=in_row, secret=spot.secret)
    if isinstance(shape, StructureShape):
        found: dict[str, Any] = {}
        # An untouched group costs nothing, however large its shape is.
        for member, inner in () if _untouched(name, data) else shape.members.items():
            value = _read(inner, spot.member(member), data, reading, seen, depth=depth + 1, in_row=False)
            if value is not _UNSET:
                found[member] = value
        if found or empty:
            return found
        return _left_empty(name, reading, _EMPTY_ROW if in_row else _EMPTY_GROUP if data.get(f"{name}:open") else "")
    if isinstance(shape, ListShape):
        rows = [
            _read(shape.member, spot.row(i), data, reading, seen, depth=depth + 1, in_row=True)
            for i in range(_row_count(name, data, reading))
        ]
        rows = [row for row in rows if row is not _UNSET]
        return rows if rows or empty else _left_empty(name, reading, _EMPTY_ROW if in_row else "")
    if isinstance(shape, MapShape):
        entries = _read_map(shape, spot, data, reading, seen, depth)
        return entries if entries or empty else _left_empty(name, reading, _EMPTY_ROW if in_row else "")
    if spot.secret:
        return _read_secret(shape, spot, data, reading, empty=empty, in_row=in_row)
    return _read_leaf(shape, name, data, reading, empty=empty, in_row=in_row)


_EMPTY_ROW: Final = "Fill this in, or remove the row."
_EMPTY_GROUP: Final = "Nothing is filled in here. Fill it in, or close it."


def _left_empty(name: str, reading: Reading, said: str) -> Any:
    """A member left out; with a problem where the person had asked for it, unless one is named inside already."""
    if said and not any(place == name or place.startswith(f"{name}.") for place in reading.problems):
        reading.problems[name] = [said]
    return _UNSET


def _untouched(name: str, data: Data) -> bool:
    prefix = f"{name}."
    return not any(key.startswith(prefix) and value for key, value in data.items())


def _row_count(name: str, data: Data, reading: Reading) -> int:
    count = _number(data.get(f"{name}:n") or "0")
    if count is None:
        reading.problems.setdefault(name, []).append("The number of rows is no number; reload the page.")
        return 0
    allowed = min(count, MOST_ROWS, MOST_ROWS_IN_ALL - reading.rows)
    if count > allowed:
        said = f"At most {MOST_ROWS} rows fit into a list of this form, and {MOST_ROWS_IN_ALL} into all of them."
        reading.problems.setdefault(name, []).append(said)
    reading.rows += allowed
    return allowed


def rows_said(name: str, data: Data) -> int:
    """How many rows the form has for this list or map, within its bounds."""
    return min(_number(data.get(f"{name}:n") or "0") or 0, MOST_ROWS)


def _number(text: str) -> int | None:
    """A count that a form may hold; None for what is none, or has more digits than any count of ours."""
    return int(text) if text.isdecimal() and len(text) <= 6 else None


def _read_map(shape: MapShape, spot: _Spot, data: Data, reading: Reading, seen: set[str], depth: int) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for index in range(_row_count(spot.name, data, reading)):
        row = f"{spot.name}.{index}"
        key = data.get(f"{row}:key", "")
        if key in entries:
            reading.problems.setdefault(row, []).append(f"The key {key!r} occurs twice.")
        value = _read(shape.value, spot.entry(index, key), data, reading, seen, depth=depth + 1, in_row=True)
        if value is not _UNSET:
            entries[key] = value
    return entries


def _read_secret(shape: Shape, spot: _Spot, data: Data, reading: Reading, *, empty: bool, in_row: bool) -> Any:
    """A secret: held until it can be sealed. What was typed goes no further than this."""
    name, typed, token = spot.name, data.get(spot.name, ""), data.get(f"{spot.name}:sealed", "")
    secret_fields.scrubbed(reading.data, name)
    if typed or (empty and not token):
        before = len(reading.problems.get(name, ()))
        value = _read_leaf(shape, name, data, reading, empty=empty, in_row=in_row)
        said = [] if value is _UNSET else inputs.of_secret(shape, value)
        if said or len(reading.problems.get(name, ())) > before:
            reading.problems.setdefault(name, []).extend([*said, AGAIN])
            return _UNSET
        held = Held(name, spot.place, value)
    elif token and not data.get(f"{name}:drop"):
        held = Held(name, spot.place, token=token)
    else:
        return _left_empty(name, reading, _EMPTY_ROW if in_row else "")
    reading.held.append(held)
    return held


def _read_leaf(shape: Shape, name: str, data: Data, reading: Reading, *, empty: bool, in_row: bool) -> Any:
    text = data.get(name, "")
    kind = shape.type_name
    if not text:
        if empty and kind in ("string", "character"):
            return ""
        if empty and kind == "blob":
            return b""
        return _left_empty(name, reading, _EMPTY_ROW if in_row else "")
    try:
        return _leaf(kind, text)
    except (ValueError, ArithmeticError, binascii.Error) as error:
        reading.problems.setdefault(name, []).append(_SAYS.get(kind) or str(error))
        return _UNSET


def _read_json(name: str, data: Data, reading: Reading, *, in_row: bool, secret: bool) -> Any:
    text = data.get(name, "")
    if not text.strip():
        return _left_empty(name, reading, _EMPTY_ROW if in_row else "")
    said = ""
    if secret:
        reading.data[name] = ""
        said = "This is a secret document, which cannot be sealed yet. Leave it out, or make this call in another way."
    try:
        found = json.loads(text, parse_constant=lambda _: _refuse())
    except (ValueError, RecursionError):
        said = said or 'Enter a JSON value, such as {"a": 1}.'
    if said:
        reading.problems.setdefault(name, []).append(said)
        return _UNSET
    return found


def _leaf(kind: str, text: str) -> Any:
    match kind:
        case "integer" | "long" | "bigint":
            if not text.strip().lstrip("+-").isdecimal():
                raise ValueError
            return int(text)
        case "boolean":
            return {"true": True, "false": False}[text] if text in ("true", "false") else _refuse()
        case "float" | "double":
            found = float(Decimal(text.strip()))
            return found if found - found == 0 else _refuse()  # neither infinite nor NaN
        case "timestamp":
            when = datetime.fromisoformat(text.strip())
            return when if when.tzinfo is not None else _refuse()
        case "blob":
            return base64.b64decode("".join(text.split()), validate=True)
    if "\0" in text:
        raise ValueError("A NUL character cannot be sent.")
    # Browsers send every line's end as CR LF, whatever stood there: a script with those would not start.
    return text.replace("\r\n", "\n")


def _refuse() -> Any:
    raise ValueError


_SAYS: Final = {
    "integer": "Enter a whole number.",
    "long": "Enter a whole number.",
    "bigint": "Enter a whole number.",
    "boolean": "Choose true or false.",
    "float": "Enter a number.",
    "double": "Enter a number.",
    "timestamp": "Enter an instant with its time zone, like 2026-01-31T12:00:00+00:00.",
    "blob": "Enter the bytes as base64.",
}


def with_row(data: Data, name: str) -> dict[str, str]:
    """The same form with one row more in the list or map of this name."""
    changed = dict(data)
    changed[f"{name}:n"] = str(min(rows_said(name, data) + 1, MOST_ROWS))
    changed.pop(f"{name}:empty", None)
    return changed


def without_row(data: Data, row: str) -> dict[str, str]:
    """The same form without this row (`<list>.<index>`); the rows behind it move up."""
    name, _, index_text = row.rpartition(".")
    gone, count = _number(index_text), rows_said(name, data)
    if gone is None or gone >= count:
        return dict(data)
    changed: dict[str, str] = {}
    for key, value in data.items():
        index = _index_under(name, key)
        if index is None or index < gone:
            changed[key] = value
        elif index > gone:
            head = f"{name}.{index}"
            changed[f"{name}.{index - 1}{key[len(head) :]}"] = value
    changed[f"{name}:n"] = str(count - 1)
    return changed


def _index_under(name: str, key: str) -> int | None:
    """Which row of the list a field belongs to; None for fields elsewhere."""
    if not key.startswith(f"{name}."):
        return None
    digits = key[len(name) + 1 :].partition(".")[0].partition(":")[0]
    return _number(digits)


def unfolded(data: Data, name: str) -> dict[str, str]:
    """The same form with the group of this name unfolded."""
    return {**data, f"{name}:open": "on"}


def closed(data: Data, name: str) -> dict[str, str]:
    """The same form with the group of this name closed, and nothing in it."""
    inside = (f"{name}.", f"{name}:")
    return {key: value for key, value in data.items() if not key.startswith(inside)}
