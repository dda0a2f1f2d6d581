"""The REST protocols: which operation a method, path and query are, and the parameters in path, query, headers and body.

Source: Smithy, "HTTP bindings". A route is found by the pattern of its path and by what it demands of the query and the
headers; the most specific one wins (a literal before a label, a label before a greedy label, more demands before fewer).
Two routes of a service that are equally specific are two ways to read the request, and it is then not read at all.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.etree.ElementTree import Element, ParseError, fromstring

from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from botocore.utils import is_json_value_header

from executor.sandbox.models import service_model
from executor.sandbox.values import Unreadable, from_json, from_text, from_xml, header_list, json_header

_LABEL = re.compile(r"\{([^}+]+)(\+?)\}")
_TEXTUAL = ("blob", "string")
# Some clients name the operation in the query, for logs; it decides nothing.
_HINT = "x-id"
# HTTP's own, of which nobody can tell whether it was a parameter too; the body has that length in any case.
_LENGTH = "Content-Length"
# Reached only under the host names of S3 Express, where it takes the place of ListBuckets.
_ELSEWHERE = frozenset({("s3", "ListDirectoryBuckets")})


@dataclass(frozen=True)
class Incoming:
    """A request as the REST protocols see it. `path` is percent-encoded, header names are in lower case."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Route:
    """How one operation is asked for. `rank` grows with how specific it is."""

    operation: str
    path: re.Pattern[str]
    labels: tuple[str, ...]
    literals: tuple[tuple[str, str], ...]
    queries: tuple[str, ...]
    headers: tuple[str, ...]
    rank: tuple[Any, ...]
    deprecated: bool

    def accepts(self, request: Incoming) -> bool:
        """Whether the query and the headers have what this route demands; its path has matched before."""
        given = dict(request.query)
        return (
            all(name in given and (not value or given[name] == value) for name, value in self.literals)
            and all(name in given for name in self.queries)
            and all(name in request.headers for name in self.headers)
        )


def incoming(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Incoming:
    path, _, query = target.partition("?")
    return Incoming(method, path or "/", tuple(parse_qsl(query, keep_blank_values=True)), headers, body)


def route(request: Incoming, service: ServiceModel) -> Route | None:
    """The route of a service that a request takes. Raises Unreadable where two are as good."""
    for path in dict.fromkeys((request.path, request.path.rstrip("/") or "/")):
        taken = [one for one in _routes(service.service_name).get(request.method, ()) if one.path.fullmatch(path)]
        taken = [one for one in taken if one.accepts(request)]
        if taken:
            found = _most_specific(taken)
            _names_nothing_else(request, found, service)
            return found
    return None


def _names_nothing_else(request: Incoming, found: Route, service: ServiceModel) -> None:
    """Raises Unreadable for `DELETE /bucket?acl`: what is left of the query is a sub-resource, and that of another operation."""
    literals = {name for one in _all_routes(service.service_name) for name, _ in one.literals}
    shape = service.operation_model(found.operation).input_shape
    own = {name for name, _ in found.literals} | {
        str(member.serialization.get("name", name)) for name, member in (shape.members if shape else {}).items()
    }
    if other := sorted({name for name, _ in request.query} & literals - own):
        raise Unreadable(f"{found.operation} has no {other[0]}")


@lru_cache(maxsize=64)
def _all_routes(service: str) -> tuple[Route, ...]:
    return tuple(one for found in _routes(service).values() for one in found)


def _most_specific(taken: list[Route]) -> Route:
    best = max(one.rank for one in taken)
    first = [one for one in taken if one.rank == best]
    current = [one for one in first if not one.deprecated] or first
    if len(current) > 1:
        raise Unreadable(f"this could be {' or '.join(sorted(one.operation for one in current))}")
    return current[0]


@lru_cache(maxsize=64)
def _routes(service: str) -> Mapping[str, tuple[Route, ...]]:
    """The routes of a service by HTTP method."""
    model = service_model(service)
    routes: dict[str, list[Route]] = {}
    for name in model.operation_names:
        if (service, name) not in _ELSEWHERE:
            operation = model.operation_model(name)
            routes.setdefault(operation.http.get("method", "POST"), []).append(_route(operation))
    return {method: tuple(found) for method, found in routes.items()}


def _route(operation: OperationModel) -> Route:
    path, _, query = operation.http.get("requestUri", "/").partition("?")
    literals = tuple((name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != _HINT)
    demanded = list(_demanded(operation.input_shape))
    queries = tuple(name for location, name in demanded if location == "querystring" and name not in dict(literals))
    headers = tuple(name.lower() for location, name in demanded if location == "header")
    return Route(
        operation=operation.name,
        path=re.compile(_pattern(path), re.DOTALL),
        labels=tuple(name for name, _ in _LABEL.findall(path)),
        literals=literals,
        queries=queries,
        headers=headers,
        rank=(tuple(_weight(segment) for segment in path.split("/")), len(literals), len(queries) + len(headers)),
        deprecated=operation.deprecated,
    )


def _demanded(shape: StructureShape | None) -> Iterator[tuple[str, str]]:
    """(location, name) of the required members outside path and body."""
    for name in shape.required_members if shape else ():
        member = shape.members[name] if shape else None
        if member is not None and not isinstance(member, MapShape):
            yield str(member.serialization.get("location")), str(member.serialization.get("name", name))


def _pattern(path: str) -> str:
    """A path template as a regular expression: labels end at a slash, greedy ones do not."""
    pattern, end = "", 0
    for label in _LABEL.finditer(path):
        pattern += re.escape(path[end : label.start()]) + ("(.+)" if label[2] else "([^/]+)")
        end = label.end()
    return pattern + re.escape(path[end:])


def _weight(segment: str) -> tuple[int, int]:
    """Literals weigh most; of two with a label, the one with more literal characters."""
    label = _LABEL.search(segment)
    if label is None:
        return 3, len(segment)
    return (1 if label[2] else 2), len(_LABEL.sub("", segment))


def read_rest(request: Incoming, found: Route, operation: OperationModel, *, xml: bool) -> dict[str, Any]:
    """The parameters of a request that took a route, by their names in boto3. Raises Unreadable."""
    shape = operation.input_shape
    if shape is None:
        return {}
    match = found.path.fullmatch(request.path) or found.path.fullmatch(request.path.rstrip("/") or "/")
    labels = dict(zip(found.labels, match.groups() if match else (), strict=True))
    query = _query(request, found)
    read: dict[str, Any] = {}
    # A map takes what is left of the query, so it comes last.
    for name, member in sorted(shape.members.items(), key=lambda item: isinstance(item[1], MapShape)):
        value = _located(name, member, request, labels, query)
        if value is not None:
            read[name] = value
    return read | _body(shape, request.body, xml=xml)


def _query(request: Incoming, found: Route) -> dict[str, list[str]]:
    """The query without what only names the operation."""
    values: dict[str, list[str]] = {}
    for name, value in request.query:
        if name != _HINT and name not in dict(found.literals):
            values.setdefault(name, []).append(value)
    return values


def _located(name: str, member: Shape, request: Incoming, labels: Mapping[str, str], query: dict[str, list[str]]) -> Any:
    """The value of a member outside the body, or None where it is not there."""
    location, wire = member.serialization.get("location"), str(member.serialization.get("name", name))
    if location == "uri":
        return from_text(member, unquote(labels[wire])) if wire in labels else None
    if location == "querystring":
        return _of_query(member, wire, query)
    if location == "header" and wire != _LENGTH:
        text = request.headers.get(wire.lower())
        return None if text is None else _of_header(member, text)
    if location == "headers":
        prefix = wire.lower()
        found = {key[len(prefix) :]: value for key, value in request.headers.items() if key.startswith(prefix)}
        return found or None
    return None


def _of_query(member: Shape, wire: str, query: dict[str, list[str]]) -> Any:
    if isinstance(member, MapShape):
        many = isinstance(member.value, ListShape)
        return {name: values if many else _only(name, values) for name, values in query.items()} or None
    values = query.pop(wire, None)
    if values is None:
        return None
    return (
        [from_text(member.member, value) for value in values]
        if isinstance(member, ListShape)
        else from_text(member, _only(wire, values))
    )


def _only(name: str, values: list[str]) -> str:
    if len(values) > 1:
        raise Unreadable(f"{name} is there twice")
    return values[0]


def _of_header(member: Shape, text: str) -> Any:
    if isinstance(member, ListShape):
        return [from_text(member.member, element) for element in header_list(text)]
    return json_header(text) if is_json_value_header(member) else from_text(member, text)


def _body(shape: StructureShape, body: bytes, *, xml: bool) -> dict[str, Any]:
    """The members in the body: one that is the whole of it, or all that have no other place."""
    payload = shape.serialization.get("payload")
    if payload is None:
        unplaced = {name for name, member in shape.members.items() if "location" not in member.serialization}
        if not unplaced or not body:
            return {}
        read = from_xml(shape, parsed_xml(body)) if xml else from_json(shape, parsed_json(body))
        return {name: value for name, value in read.items() if name in unplaced}
    member = shape.members[payload]
    if not body:
        return {}
    if member.type_name in _TEXTUAL:
        return {payload: body if member.type_name == "blob" else _text(body)}
    value = from_xml(member, parsed_xml(body)) if xml else from_json(member, parsed_json(body))
    # A client that passes nothing writes an empty object all the same.
    return {payload: value} if value or xml else {}


def parsed_json(body: bytes) -> Any:
    """The JSON of a body. Raises Unreadable, also where a name is given twice."""
    try:
        return json.loads(body, object_pairs_hook=without_duplicates)
    except Unreadable:
        raise
    except ValueError as error:
        raise Unreadable("the body is no JSON") from error


def parsed_xml(body: bytes) -> Element:
    """The root element of a body. Raises Unreadable; documents that define entities are not read."""
    if b"<!DOCTYPE" in body:
        raise Unreadable("the body has a document type")
    try:
        return fromstring(body)  # noqa: S314  # without a document type there are no entities to expand
    except ParseError as error:
        raise Unreadable("the body is no XML") from error


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as a mapping. A name given twice could be read in two ways by the judge and by moto."""
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise Unreadable("a name is given twice")
    return mapping


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Unreadable("the body is no UTF-8") from error
