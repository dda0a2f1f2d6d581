"""Values as they stand on the wire, read into what boto3 would have been given for them.

Sources: Smithy, "Serialization and protocol traits" (timestamp formats, flattened lists and maps, XML names and attributes)
and "HTTP bindings" for text in paths, queries and headers. The inverse of botocore's serializers.
"""

import base64
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from xml.etree.ElementTree import Element

from botocore.model import ListShape, MapShape, Shape, StructureShape

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ELEMENT = re.compile(r'(?:^|,)\s*(?:(")((?:[^"\\]|\\.)*)"\s*(?=,|$)|([^,]*))')
_NUMBERS = frozenset({"integer", "long", "float", "double"})


class Unreadable(ValueError):
    """A request that says something else than its operation's input shape, or says it twice."""


def from_text(shape: Shape, text: str) -> Any:
    """Text as the shape's type. A number that is none stays text: the service complains of it, in its own words."""
    kind = shape.type_name
    if kind in _NUMBERS:
        return _number(kind, text)
    if kind == "boolean":
        return text.lower() == "true"
    if kind == "blob":
        return _bytes(text)
    return timestamp(text) if kind == "timestamp" else text


def from_json(shape: Shape, value: Any) -> Any:
    """A JSON value as the shape's type; members that the shape lacks and members that are null are left out."""
    if value is None:
        return None
    if isinstance(shape, StructureShape):
        return value if shape.is_document_type else _json_structure(shape, _required(dict, value))
    if isinstance(shape, ListShape):
        return [from_json(shape.member, inner) for inner in _required(list, value)]
    if isinstance(shape, MapShape):
        return {key: from_json(shape.value, inner) for key, inner in _required(dict, value).items()}
    if shape.type_name == "blob":
        return _bytes(_required(str, value))
    if shape.type_name == "timestamp":
        return timestamp(value)
    if shape.type_name in ("float", "double") and isinstance(value, str):
        return _number(shape.type_name, value)
    return value


def _json_structure(shape: StructureShape, value: Mapping[str, Any]) -> dict[str, Any]:
    read = {}
    for name, member in shape.members.items():
        inner = value.get(member.serialization.get("name", name))
        if inner is not None:
            read[name] = from_json(member, inner)
    return read


def from_xml(shape: Shape, element: Element) -> Any:
    """An XML element as the shape's type. Elements that the shape lacks are left out; raises Unreadable for one too many."""
    if isinstance(shape, StructureShape):
        return _xml_structure(shape, element)
    if isinstance(shape, ListShape):
        return [from_xml(shape.member, child) for child in _named(element, shape.member.serialization.get("name", "member"))]
    if isinstance(shape, MapShape):
        return _xml_map(shape, _named(element, "entry"))
    return from_text(shape, element.text or "")


def _xml_structure(shape: StructureShape, element: Element) -> dict[str, Any]:
    read: dict[str, Any] = {}
    attributes = {_local(name): text for name, text in element.attrib.items()}
    for name, member in shape.members.items():
        wire = member.serialization.get("name", name)
        if member.serialization.get("xmlAttribute"):
            text = attributes.get(wire.partition(":")[2] or wire)
            if text is not None:
                read[name] = from_text(member, text)
            continue
        children = _named(element, wire)
        if not children:
            continue
        if member.serialization.get("flattened") and isinstance(member, ListShape):
            read[name] = [from_xml(member.member, child) for child in children]
        elif member.serialization.get("flattened") and isinstance(member, MapShape):
            read[name] = _xml_map(member, children)
        elif len(children) > 1:
            raise Unreadable(f"{wire} is there twice")
        else:
            read[name] = from_xml(member, children[0])
    return read


def _xml_map(shape: MapShape, entries: list[Element]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for entry in entries:
        (key,) = _one(entry, shape.key.serialization.get("name", "key"))
        (value,) = _one(entry, shape.value.serialization.get("name", "value"))
        read[from_text(shape.key, key.text or "")] = from_xml(shape.value, value)
    if len(read) != len(entries):
        raise Unreadable("a key of a map is there twice")
    return read


def _one(entry: Element, name: str) -> list[Element]:
    found = _named(entry, name)
    if len(found) != 1:
        raise Unreadable(f"an entry of a map has {len(found)} elements {name}")
    return found


def _named(element: Element, name: str) -> list[Element]:
    return [child for child in element if _local(child.tag) == name]


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def timestamp(value: str | float) -> datetime:
    """A moment in any of the three formats: seconds since 1970, ISO 8601, or the dates of HTTP. Raises Unreadable."""
    try:
        seconds = float(value)
    except ValueError:
        return _date(str(value))
    if not math.isfinite(seconds):
        raise Unreadable(f"{value} is no moment")
    try:
        return _EPOCH + timedelta(microseconds=round(seconds * 1_000_000))
    except OverflowError as error:
        raise Unreadable(f"{value} is no moment") from error


def _date(text: str) -> datetime:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = parse(text)
        except ValueError:
            continue
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    raise Unreadable(f"{text[:40]} is no moment")


def header_list(text: str) -> list[str]:
    """The elements of a header that is a list: separated by commas, quoted where they have a comma or a quote themselves."""
    return [quoted.replace('\\"', '"') if start else plain.strip() for start, quoted, plain in _ELEMENT.findall(text)]


def json_header(text: str) -> Any:
    """The value of a header that carries JSON in base64."""
    try:
        return json.loads(_bytes(text))
    except ValueError as error:
        raise Unreadable("a header is no JSON") from error


def _number(kind: str, text: str) -> Any:
    try:
        return int(text) if kind in ("integer", "long") else float(text)
    except ValueError:
        return text


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Unreadable("a blob is no base64") from error


def _required(kind: type[Any], value: Any) -> Any:
    if not isinstance(value, kind):
        raise Unreadable(f"a {kind.__name__} is expected")
    return value
