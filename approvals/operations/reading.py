"""One CloudTrail record's parameters, read along an operation's input shape: what became of each key.

Where a service writes XML or a query, one element and a list of one are written alike, and an absent list as `{}`: that is
settled by the shape. Everything else that deviates from botocore's models is data (`approvals.operations.quirks`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import unquote

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from approvals.canonical import is_storable, storable
from approvals.operations import naming, quirks, reencoding
from approvals.operations.catalog import Operation
from approvals.operations.resources import Where

# The ingest reads nothing deeper; botocore's own validator goes down one frame a level.
DEEPEST: Final = 64
_NOTHING: Final = reencoding.UNREADABLE
_ARN_ENCODED: Final = re.compile(r"arn%3A", re.IGNORECASE)
# A header that botocore encodes: what it was given is the text itself.
_ENCODED_BY_BOTO: Final = "x-amz-copy-source"
# A list of pairs that stands for a map: how the key and the value may be called.
_KEYS: Final = ("key", "name", "attributename")
_VALUES: Final = ("value", "attributevalue")
# The only key of an object that stands for a single value.
_AROUND: Final = ("name", "value", "content")


@dataclass(slots=True)
class Reading:
    """What became of a record's keys. `unfit` are values that no reading makes fit their member; they are left out.

    `doubtful` are members that were recorded empty although no call can carry them empty (left out), or cut short (what is
    there is kept). Paths of `redacted`, `unfit`, `doubtful` and the second of `renamed` are of boto3's members, all others as
    recorded.
    """

    service: str
    operation: str
    where: Where
    xml: bool
    ec2: bool
    parameters: dict[str, Any] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    redacted: list[str] = field(default_factory=list)
    unfit: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)

    def fill(
        self, found: dict[str, Any], shape: StructureShape, recorded: Mapping[str, Any], path: str, to: str, *, body: bool = False
    ) -> None:
        """Read a structure's keys into `found`. `path` is where the keys stand in the record, `to` where the members stand."""
        for key, value in recorded.items():
            where = _join(path, printable(key))
            if value is None or self._is_index(key, value):
                continue
            if quirks.noise(self.service, self.operation, key, value):
                self.dropped.append(where)
            elif not path and self._at_the_top(found, shape, key, value, where):
                continue
            else:
                self._one(found, shape, key, value, where, to, body=body)

    def _is_index(self, key: str, value: Any) -> bool:
        """EC2 numbers the elements of a list (`tag: 1`)."""
        return self.ec2 and key == "tag" and isinstance(value, int)

    def _at_the_top(self, found: dict[str, Any], shape: StructureShape, key: str, value: Any, where: str) -> bool:
        """Keys that wrap the request, or whose content belongs elsewhere. True when it was dealt with."""
        if self._wraps(shape, key, value):
            self.fill(found, shape, value or {}, where, "", body=True)
            return True
        if quirks.lifted(self.service, self.operation, key) and isinstance(value, dict):
            items = value.get("items", value or [])
            items, at = ([items], where) if isinstance(items, dict) else (items, f"{where}.items.0")
            if isinstance(items, list) and len(items) <= 1 and all(isinstance(item, dict) for item in items):
                for item in items:
                    self.fill(found, shape, item, at, "")
                return True
        target = quirks.moved(self.service, self.operation).get(key)
        if target is not None:
            self._move(found, shape, target, value, where)
            return True
        return False

    def _wraps(self, shape: StructureShape, key: str, value: Any) -> bool:
        """`CreateLaunchTemplateRequest`, `createRestApiInput`; EC2 has some of a name of their own (`DelTGwVpcAttachReq`)."""
        if key in shape.members:
            return False
        if quirks.is_wrapper(self.operation, key, value):
            return True
        own = self.ec2 and key[:1].isupper() and isinstance(value, dict) and bool(value)
        return own and naming.member(self.service, self.operation, shape, key, value) is None

    def _move(self, found: dict[str, Any], shape: StructureShape, target: str, value: Any, where: str) -> None:
        outer, _, inner = target.partition(".")
        within = found.setdefault(outer, {})
        self._put(within, cast("StructureShape", shape.members[outer]), inner, value, where, target)
        self.renamed.append((where, target))

    def _one(
        self, found: dict[str, Any], shape: StructureShape, key: str, value: Any, where: str, to: str, *, body: bool
    ) -> None:
        name = naming.member(self.service, self.operation, shape, key, value, in_body=body)
        if name is None:
            self._stranger(found, shape, key, value, where, to)
            return
        target = _join(to, name)
        if name.lower() != key.lower():
            self.renamed.append((where, target))
        member = shape.members[name]
        if isinstance(member, MapShape) and member.serialization.get("location") == "headers" and not isinstance(value, dict):
            inner = key[len(member.serialization.get("name", "")) :]
            read = self._value(member.value, value, where, target) if is_storable(inner) else self._unreadable(target)
            if read is not _NOTHING:
                found.setdefault(name, {})[inner] = read
            return
        self._put(found, shape, name, value, where, target)

    def _stranger(self, found: dict[str, Any], shape: StructureShape, key: str, value: Any, where: str, to: str) -> None:
        """A key that no member has: what the service adds, one that says nothing new, a key of the body's structure, or unknown.

        Services record switches of their own beside what was sent, off where nobody of the public API can switch them on.
        """
        payload = naming.names(self.service, shape).payload if not to else ""
        body = naming.structure(shape.members[payload]) if payload else None
        if quirks.added(self.service, self.operation, key):
            self.dropped.append(where)
        elif body is not None and (name := naming.member(self.service, self.operation, body, key, value)) is not None:
            self._put(found.setdefault(payload, {}), body, name, value, where, f"{payload}.{name}")
            self.renamed.append((where, f"{payload}.{name}"))
        elif not to and (name := naming.akin(self.service, self.operation, shape, key)) is not None:
            self._put(found, shape, name, value, where, name)
            self.renamed.append((where, name))
        elif _says_no(value) or (not to and self._says_where(key, value)):
            self.dropped.append(where)
        else:
            self.unknown.append(where)

    def _says_where(self, key: str, value: Any) -> bool:
        """Whether the key only repeats the account or the region that the record itself is of."""
        here = {"accountid": self.where.account, "region": self.where.region}.get(key.lower().removeprefix("aws"))
        return isinstance(value, str) and value == here

    def _put(self, found: dict[str, Any], shape: StructureShape, name: str, value: Any, where: str, target: str) -> None:
        if self.ec2 and value == {}:
            if not isinstance(shape.members[name], StringShape):
                return  # EC2 writes what was not given as an empty object
            value = ""  # and so a text that was given empty: `NoDevice` says by being there that a device is left out
        emptied = quirks.hollow(value) and target in quirks.silent(self.service, self.operation)
        if emptied and name not in shape.required_members:
            self.dropped.append(where)  # Lambda empties what it hides: sent on, it would empty the real one
            return
        value = quirks.value(self.service, self.operation, target, value)
        read = self._value(shape.members[name], value, where, target, name=name)
        if read is _NOTHING or self._says_nothing(shape, name, read, where, target):
            return
        if name in found and found[name] != read:
            # Two keys mean one member and disagree: which one AWS took is not known.
            self.unknown.append(where)
            self.unfit.append(target)
            return
        found[name] = read

    def _says_nothing(self, shape: StructureShape, name: str, read: Any, where: str, target: str) -> bool:
        """Whether a member that may be left out was recorded empty although no call can carry it empty.

        Mostly it was not given (consoles send their empty fields along), but some services empty what they hide.
        """
        member = shape.members[name]
        if name in shape.required_members:
            return False
        if read in ("", []) and member.metadata.get("min", 0) > 0:
            self.dropped.append(where)
            self.doubtful.append(target)
            return True
        if read == {} and isinstance(member, StructureShape) and member.required_members:
            self.unfit.append(target)
            return True
        return False

    def _value(self, shape: Shape, value: Any, where: str, target: str, *, name: str = "") -> Any:
        if quirks.hidden(value) or (value == "" and isinstance(shape, StringShape) and quirks.empties(self.service)):
            self.redacted.append(target)
            if shape.type_name == "blob":
                return str(value).encode()
            fits = isinstance(shape, StringShape) and len(value) >= max(1, shape.metadata.get("min", 0))
            return storable(value) if fits else _NOTHING
        if where.count(".") > DEEPEST:
            return self._unreadable(target)
        if isinstance(shape, StructureShape):
            return self._structure(shape, value, where, target)
        if isinstance(shape, ListShape):
            return self._list(shape, value, where, target)
        if isinstance(shape, MapShape):
            return self._map(shape, value, where, target)
        return self._scalar(shape, value, where, target, name)

    def _unreadable(self, target: str) -> Any:
        self.unfit.append(target)
        return _NOTHING

    def _structure(self, shape: StructureShape, value: Any, where: str, target: str) -> Any:
        if shape.is_document_type:
            return self._unreadable(target) if _unstorable(value) else value
        if isinstance(value, str) and (parsed := _parsed(value, dict)) is not None:
            value = parsed
        if self.xml and not isinstance(value, dict | list):
            if value == "":
                return {}
            value = {"value" if "Value" in shape.members else next(iter(shape.members), "value"): value}
        if not isinstance(value, dict):
            return self._unreadable(target)
        found: dict[str, Any] = {}
        self.fill(found, shape, value, where, target)
        return found

    def _list(self, shape: ListShape, value: Any, where: str, target: str) -> Any:
        if isinstance(value, str) and (parsed := _parsed(value, list)) is not None:
            value = parsed
        if isinstance(value, dict):
            value, where = self._items(shape, value, where)
        alone = self.xml and not isinstance(value, list)
        if alone:
            value = [] if value in ("", {}) else [value]
        if not isinstance(value, list):
            return self._unreadable(target)
        read = [
            self._element(shape.member, item, where if alone else f"{where}.{n}", f"{target}.{n}") for n, item in enumerate(value)
        ]
        return [item for item in read if item is not _NOTHING]

    def _items(self, shape: ListShape, value: dict[str, Any], where: str) -> tuple[Any, str]:
        """What stands in `items`, `member`, or under the element's name (`TagSet: {Tag: [...]}`)."""
        keys = [key for key in value if not self._is_index(key, value[key])]
        element = shape.member.serialization.get("name", "")
        structure = naming.structure(shape.member)
        if len(keys) == 1 and keys[0].lower() in ("items", "item", "member", element.lower()):
            known = structure is not None and naming.names(self.service, structure).own.get(keys[0].lower())
            if not known or isinstance(value[keys[0]], list):
                return value[keys[0]], f"{where}.{keys[0]}"
        return value, where

    def _element(self, shape: Shape, item: Any, where: str, target: str) -> Any:
        if self.xml and isinstance(item, dict) and not isinstance(shape, StructureShape | ListShape | MapShape):
            inner = {key: value for key, value in item.items() if not self._is_index(key, value)}
            if len(inner) == 1:
                ((key, item),) = inner.items()
                where = f"{where}.{printable(key)}"
        return self._value(shape, item, where, target)

    def _map(self, shape: MapShape, value: Any, where: str, target: str) -> Any:
        if isinstance(value, str) and (parsed := _parsed(value, dict)) is not None:
            value = parsed
        if isinstance(value, dict) and list(value) == ["entry"] and isinstance(value["entry"], dict | list):
            value, where = value["entry"], f"{where}.entry"
            value = value if isinstance(value, list) else [value]
        pairs = list(_pairs(value)) if isinstance(value, list) else None
        if pairs is not None and len({key for _, key, _ in pairs}) == len(value):
            value, where_of = {key: item for _, key, item in pairs}, {key: at for at, key, _ in pairs}
        elif isinstance(value, dict):
            where_of = {}
        else:
            return self._unreadable(target)
        found = {}
        for key, item in value.items():
            shown = printable(key)
            if quirks.hidden(key):
                self.redacted.append(f"{target}.{shown}")
            if not is_storable(key):
                self._unreadable(f"{target}.{shown}")
                continue
            read = self._value(shape.value, item, f"{where}.{where_of.get(key, shown)}", f"{target}.{shown}", name=shown)
            if item is not None and read is not _NOTHING:
                found[key] = read
        return found

    def _scalar(self, shape: Shape, value: Any, where: str, target: str, name: str) -> Any:
        inner = self._unwrapped(shape, value, name)
        if inner is not value:
            return self._value(shape, inner, where, target, name=name)
        if isinstance(value, dict | list) and isinstance(shape, StringShape):
            if shape.serialization.get("jsonvalue"):
                return self._unreadable(target) if _unstorable(value) else value
            if quirks.is_document(name):
                if any(quirks.hidden(leaf) for leaf in _leaves(value)):
                    self.redacted.append(target)
                value = reencoding.document(value)
        if isinstance(value, str) and shape.serialization.get("location") == "uri" and _ARN_ENCODED.match(value):
            value = _decoded(value)
        if isinstance(value, str) and shape.serialization.get("name") == _ENCODED_BY_BOTO:
            value = unquote(value)
        read = reencoding.scalar(shape.type_name, value)
        if read is _NOTHING or isinstance(read, dict | list) or (isinstance(read, str) and not is_storable(read)):
            return self._unreadable(target)
        if isinstance(value, dict) and quirks.is_mark(read):
            self.redacted.append(target)  # a buffer that was overwritten with asterisks
        elif isinstance(value, dict) and reencoding.is_cut(value):
            self.doubtful.append(target)
        return read

    def _unwrapped(self, shape: Shape, value: Any, name: str) -> Any:
        """The single value that an object or a list stands for; what stands for none comes back as it is."""
        if self.xml and isinstance(value, list) and len(value) == 1 and not isinstance(value[0], dict | list):
            return value[0]  # S3 lists the values of a header
        if not isinstance(value, dict) or isinstance(value.get("hb"), list):
            return value
        inner = {key.lower(): item for key, item in value.items() if not self._is_index(key, item)}
        if len(inner) != 1:
            return value
        ((key, item),) = inner.items()
        if self.xml and key in ("content", "value"):
            return item
        document = isinstance(shape, StringShape) and (shape.serialization.get("jsonvalue") or quirks.is_document(name))
        # Route 53's domain names were once objects.
        return item if key in _AROUND and isinstance(item, str | int | float) and not document else value


def of(operation: Operation, recorded: Mapping[str, Any], where: Where) -> Reading:
    """Read the recorded parameters of this operation, which was called there."""
    protocol = operation.model.service_model.protocol
    reading = Reading(operation.service, operation.name, where, xml=quirks.is_xml(operation.service), ec2=protocol == "ec2")
    shape = operation.model.input_shape
    if isinstance(shape, StructureShape):
        reading.fill(reading.parameters, shape, recorded, "", "")
    else:
        for key, value in recorded.items():
            told = reading.dropped if quirks.noise(operation.service, operation.name, key, value) else reading.unknown
            if value is not None and not _says_no(value):
                told.append(printable(key))
    return reading


def _says_no(value: Any) -> bool:
    """Whether a value only says that nothing was asked for."""
    return value is False or value in ("", {}, [])


def _pairs(value: list[Any]) -> Iterator[tuple[str, str, Any]]:
    """Where the value stands, key and value of each pair in a list that stands for a map."""
    for index, item in enumerate(value):
        if not isinstance(item, dict) or len(item) > 2:
            return
        low = {key.lower(): key for key in item}
        key = next((low[name] for name in _KEYS if name in low), None)
        inner = next((low[name] for name in _VALUES if name in low), None)
        if key is None or inner is None or not isinstance(item[key], str):
            return
        yield f"{index}.{inner}", item[key], item[inner]


def _leaves(value: Any) -> Iterator[Any]:
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, dict | list):
            rest.extend(item.values() if isinstance(item, dict) else item)
        else:
            yield item


def too_deep(value: Any) -> bool:
    """Whether a record is nested deeper than any that CloudTrail writes: that is meant to exhaust a reader."""
    level, depth = [value], 0
    while level and depth <= DEEPEST:
        depth += 1
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [item for items in inner for item in items]
    return bool(level)


def _decoded(text: str) -> str:
    """An ARN that stood in a path, without its percent-encoding."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def _parsed(text: str, kind: type) -> Any:
    """The object or list that a text holds as JSON, or None."""
    start = "{" if kind is dict else "["
    if not text.lstrip().startswith(start):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, kind) else None


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def printable(key: str) -> str:
    """The key with NULs and half surrogates as escapes, so that a path can be written anywhere, and an empty one to be seen."""
    return storable(key) if key else '""'


def _unstorable(value: Any) -> bool:
    """Whether something that no plan can hold stands in the value: such a text, or a number without end (JSON's `1e400`)."""
    if isinstance(value, dict):
        return any(not is_storable(key) or _unstorable(item) for key, item in value.items())
    if isinstance(value, list):
        return any(map(_unstorable, value))
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, str) and not is_storable(value)
