"""Which member of a botocore shape a key of CloudTrail's means.

CloudTrail writes lowerCamelCase of the member's name, or its name on the wire (`locationName`, `queryName`, a header), or EC2's
`xSet`. Names are compared without case; that is safe (4 collisions in 34,577 structures), and where two keys of one record mean
the same member the converter keeps the first and says so. Tables are made once a shape and kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.model import ListShape, MapShape, Shape, StructureShape

from approvals.operations import quirks

# A verb and what it is done to: `CreateSpace`.
_THING: Final = re.compile(r"[A-Z][a-z]+([A-Z]\w*)")
_ELSEWHERE: Final = ("uri", "header", "headers", "querystring", "statusCode")


@dataclass(slots=True)
class _Names:
    """A structure's members by lower-case name: `own` by the member's, `wire` by the name on the wire, `body` the wire names of
    what stands in the request's body, `elements` list members by what one element is called, `headers` maps by their prefix."""

    own: dict[str, str] = field(default_factory=dict)
    wire: dict[str, str] = field(default_factory=dict)
    body: dict[str, str] = field(default_factory=dict)
    elements: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    payload: str = ""


_TABLES: dict[tuple[str, str], _Names] = {}


def names(service: str, shape: StructureShape) -> _Names:
    """The table of a structure."""
    key = (service, shape.name)
    found = _TABLES.get(key)
    if found is None:
        found = _TABLES[key] = _made(shape)
    return found


def _made(shape: StructureShape) -> _Names:
    table = _Names(payload=shape.serialization.get("payload", ""))
    for name, member in shape.members.items():
        table.own.setdefault(name.lower(), name)
        place = member.serialization.get("location", "")
        for alias in (member.serialization.get("name"), member.serialization.get("queryName")):
            if alias:
                table.wire.setdefault(alias.lower(), name)
                if place not in _ELSEWHERE:
                    table.body.setdefault(alias.lower(), name)
        if place == "headers" and isinstance(member, MapShape):
            table.headers[member.serialization.get("name", "").lower()] = name
        if isinstance(member, ListShape):
            called = (member.serialization.get("name", ""), member.member.serialization.get("name", ""), _one(name))
            for alias in {alias.lower() for alias in called} - {"", "item"}:
                table.elements.setdefault(alias, []).append(name)
    return table


def _one(name: str) -> str:
    return name[:-3] + "y" if name.endswith("ies") else name.removesuffix("s")


def member(service: str, operation: str, shape: StructureShape, key: str, value: Any, *, in_body: bool = False) -> str | None:
    """The name of the member that this key means, or None. `in_body`: the key stands in a wrapper of the request's body."""
    table, low = names(service, shape), key.lower()
    if in_body and (found := table.body.get(low)) is not None:
        return found
    found = table.own.get(low) or table.wire.get(low)
    if found is not None:
        return found
    for alias in quirks.aliases(service, operation, key):
        if alias in shape.members:
            return alias
    for prefix, name in table.headers.items():
        if low.startswith(prefix):
            return name
    return _plural(service, shape, table, low, value) if quirks.is_xml(service) else None


def akin(service: str, operation: str, shape: StructureShape, key: str) -> str | None:
    """The member of an operation's input that a key means which no member is called as, or None.

    With what the operation is about before it, or without it (`CreateSpace` has a `name` that is recorded as `spaceName`,
    `CreateWorkload` a `WorkloadName` that is recorded as `Name`), with the service's name begun before it (`rtbGatewayId`), or
    called as the member's shape, where that is no single value: shapes of those are shared by what is not the same.
    """
    table, low = names(service, shape), key.lower()
    thing = _THING.fullmatch(operation)
    about = thing[1].lower() if thing else ""
    called = service.replace("-", "")
    for guess in (about + low, low.removeprefix(about), *(low[n:] for n in range(2, len(low)) if called.startswith(low[:n]))):
        if (found := table.own.get(guess)) is not None:
            return found
    shaped = [name for name, member in shape.members.items() if _is_made_up(member) and member.name.lower() == low]
    return shaped[0] if len(shaped) == 1 else None


def _is_made_up(shape: Shape) -> bool:
    return isinstance(shape, StructureShape | ListShape | MapShape)


def _plural(service: str, shape: StructureShape, table: _Names, low: str, value: Any) -> str | None:
    """EC2's `instancesSet: {items: [{instanceId}]}` is InstanceIds: by the set's name, then by what an item is called."""
    if low.endswith("set") and isinstance(value, Mapping):
        stem = low.removesuffix("set")
        for guess in (stem, f"{stem}s", stem.removesuffix("s")):
            name = table.own.get(guess) or table.wire.get(guess)
            if name is not None and isinstance(shape.members[name], ListShape):
                return name
        return _by_item(service, shape, table, value)
    for guess in (f"{low}s", low.removesuffix("s")):
        name = table.own.get(guess)
        if name is not None and isinstance(shape.members[name], ListShape):
            return name
    return None


def _by_item(service: str, shape: StructureShape, table: _Names, value: Mapping[str, Any]) -> str | None:
    items = value.get("items")
    if not isinstance(items, list) or not items:
        return None
    keys = {key.lower() for item in items if isinstance(item, Mapping) for key in item}
    if len(keys) != 1:
        return None
    item = keys.pop()
    found = table.elements.get(item) or [name for name in quirks.item_members(service, item) if name in shape.members]
    return found[0] if len(found) == 1 else None


def structure(shape: Shape) -> StructureShape | None:
    """The shape as a structure, or None."""
    return shape if isinstance(shape, StructureShape) else None


_SECRET: dict[tuple[str, str], tuple[str, ...]] = {}


def secret(service: str, shape: StructureShape) -> tuple[str, ...]:
    """The members of a structure that botocore marks as sensitive, and the blobs."""
    key = (service, shape.name)
    found = _SECRET.get(key)
    if found is None:
        found = _SECRET[key] = tuple(
            name for name, member in shape.members.items() if member.metadata.get("sensitive") or member.type_name == "blob"
        )
    return found
