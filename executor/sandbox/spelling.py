"""Parameters as CloudTrail writes them: for each kind of service another spelling of the same call.

Most services: boto3's names with a small first letter. EC2: its XML of old with `xSet: {items: [...]}`, or, for the
operations that came after 2014, one `<Operation>Request` with `{tag: n, content: v}` for the elements of lists. S3: names of
headers, query and XML as they were on the wire. Sources: public records; the services' pages on CloudTrail; for EC2 the
elements of its API of 2014.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from executor.sandbox.ec2_elements import OF_OLD, element_of, set_of
from executor.sandbox.hiding import HIDDEN, REMOVED, Fate, fate

_S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_WHOLE_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})")

Parameters = Mapping[str, Any]


def spelled(model: OperationModel, parameters: Parameters, region: str = "us-east-1") -> dict[str, Any] | None:
    """`requestParameters` of a call with these boto3 parameters; None where CloudTrail has none."""
    spell = _BY_SERVICE.get(model.service_model.service_name, _camel)
    return spell(model, parameters, region) or None


def trail_value(shape: Shape | None, value: Any, told: tuple[str, str] = ("", "")) -> Any:
    """A boto3 value with small first letters; `told` is the service and operation, which decide what is hidden."""
    if isinstance(shape, StructureShape) and not shape.is_document_type and isinstance(value, Mapping):
        return {small(name): inner for name, _, inner in _members(shape, value, told, trail_value)}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [HIDDEN if _is_secret(shape.member) else trail_value(shape.member, inner, told) for inner in value]
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {key: HIDDEN if _is_secret(shape.value) else trail_value(shape.value, inner, told) for key, inner in value.items()}
    return _scalar(value)


def small(name: str) -> str:
    """The name with a small first letter: `dBInstanceIdentifier`."""
    return name[:1].lower() + name[1:]


Write = Callable[[Any, Any, tuple[str, str]], Any]


def _members(
    shape: StructureShape, value: Parameters, told: tuple[str, str], write: Write
) -> Iterator[tuple[str, Shape | None, Any]]:
    """(name, shape, written value) of each member that CloudTrail tells of."""
    for name, inner in value.items():
        member = shape.members.get(name)
        what = fate(*told, name, member)
        if what is not Fate.ABSENT and inner is not None:
            yield name, member, HIDDEN if what is Fate.HIDDEN else write(member, inner, told)


def _is_secret(shape: Shape) -> bool:
    return bool(shape.metadata.get("sensitive")) or shape.type_name == "blob"


def _scalar(value: Any) -> Any:
    if isinstance(value, datetime):
        moment = value.astimezone(UTC)
        return f"{moment:%b} {moment.day}, {moment.year}, {moment.strftime('%I').lstrip('0')}:{moment:%M:%S} {moment:%p}"
    if isinstance(value, bytes):
        return HIDDEN
    return value if value is None or isinstance(value, str | int | float | bool | list | dict) else str(value)


def _told(model: OperationModel) -> tuple[str, str]:
    return model.service_model.service_name, model.name


def _camel(model: OperationModel, parameters: Parameters, region: str) -> dict[str, Any]:
    written: dict[str, Any] = trail_value(model.input_shape, parameters, _told(model))
    return written


def _eks(model: OperationModel, parameters: Parameters, region: str) -> dict[str, Any]:
    """EKS writes what stands in the path as it stands there: by the label's name, percent-encoded."""
    written = _camel(model, parameters, region)
    for name, member in (model.input_shape.members if model.input_shape else {}).items():
        if member.serialization.get("location") == "uri" and name in parameters:
            written.pop(small(name), None)
            written[str(member.serialization.get("name", name))] = quote(str(parameters[name]), safe="")
    return written


# EC2


def _ec2(model: OperationModel, parameters: Parameters, region: str) -> dict[str, Any]:
    shape = model.input_shape
    if shape is None or model.name not in OF_OLD:
        inside = _tagged(shape, parameters, _told(model)) if shape else {}
        return {f"{model.name}Request": inside or ""}
    written = _element(shape, parameters, _told(model))
    return _run_instances(written) if model.name == "RunInstances" else written


def _tagged(shape: StructureShape, value: Parameters, told: tuple[str, str]) -> dict[str, Any]:
    """A structure of the newer spelling: names of the query protocol, `tag` counts the elements of a list."""
    written: dict[str, Any] = {}
    for name, member, inner in _members(shape, value, told, lambda _shape, inner, _told: inner):
        if member is not None:
            written[_query_name(name, member)] = _tagged_value(member, inner, told)
    return written


def _tagged_value(shape: Shape, value: Any, told: tuple[str, str]) -> Any:
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        return _tagged(shape, value, told) or ""
    if isinstance(shape, ListShape) and isinstance(value, list):
        elements = [_numbered(_tagged_value(shape.member, inner, told), tag) for tag, inner in enumerate(value, 1)]
        return elements[0] if len(elements) == 1 else elements
    return _iso(value)


def _numbered(written: Any, tag: int) -> dict[str, Any]:
    return {**written, "tag": tag} if isinstance(written, dict) else {"content": written, "tag": tag}


def _query_name(name: str, member: Shape) -> str:
    wire = str(member.serialization.get("queryName") or member.serialization.get("name") or name)
    return wire[:1].upper() + wire[1:]


def _iso(value: Any) -> Any:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else _scalar(value)


def _element(shape: StructureShape, value: Parameters, told: tuple[str, str]) -> dict[str, Any]:
    """A structure of EC2's XML of old."""
    written: dict[str, Any] = {}
    for name, member, inner in _members(shape, value, told, lambda _shape, inner, _told: inner):
        if inner == HIDDEN:
            written[small(name)] = REMOVED
        elif isinstance(member, ListShape):
            written[set_of(told[1], name, member)] = {"items": [_item(name, member, one, told) for one in inner]}
        elif isinstance(member, StructureShape):
            written[element_of(told[1], name)] = _element(member, inner, told)
        else:
            written[element_of(told[1], name)] = _scalar(inner)
    return written


def _item(name: str, shape: ListShape, value: Any, told: tuple[str, str]) -> dict[str, Any]:
    if isinstance(shape.member, StructureShape):
        item = _element(shape.member, value, told)
        if name == "TagSpecifications" and "tagSet" in item:
            item["tags"] = item.pop("tagSet")["items"]
        return item
    return {element_of(told[1], name, of_list=shape): _scalar(value)}


def _run_instances(written: dict[str, Any]) -> dict[str, Any]:
    """What is of the instances stands in their set, and the placement's members beside it."""
    of_instances = ("imageId", "keyName", "minCount", "maxCount")
    item = {name: written.pop(name) for name in of_instances if name in written}
    placement = written.get("placement", {})
    beside = {name: placement.pop(name) for name in ("availabilityZone", "tenancy") if name in placement}
    return {"instancesSet": {"items": [item]}} | beside | {name: value for name, value in written.items() if value != {}}


# S3


def _s3(model: OperationModel, parameters: Parameters, region: str) -> dict[str, Any]:
    """Bucket, host, markers of sub-resources, and everything else by its name on the wire."""
    shape = model.input_shape
    bucket = parameters.get("Bucket")
    host = f"{bucket}.s3.{region}.amazonaws.com" if bucket else f"s3.{region}.amazonaws.com"
    written: dict[str, Any] = {"bucketName": bucket} if bucket else {}
    written["Host"] = host
    written |= dict(parse_qsl(model.http.get("requestUri", "").partition("?")[2], keep_blank_values=True))
    for name, member, value in _members(shape, parameters, _told(model), lambda _shape, inner, _told: inner) if shape else ():
        if member is not None and name != "Bucket":
            written |= _of_s3(name, member, value, is_payload=shape is not None and shape.serialization.get("payload") == name)
    return written


def _of_s3(name: str, member: Shape, value: Any, *, is_payload: bool) -> dict[str, Any]:
    wire = str(member.serialization.get("name", name))
    if value == HIDDEN:
        return {wire: HIDDEN}
    location = member.serialization.get("location")
    if location == "uri":
        return {small(name): value}
    if location == "headers":
        return {f"{wire}{key}": inner for key, inner in value.items()}
    if location:
        return {wire: [_header(one) for one in value] if isinstance(value, list) else _header(value)}
    if name == "Policy" and is_payload:
        return {"bucketPolicy": _policy(value)}
    inside = _xml(member, value)
    return {wire: {"xmlns": _S3_NAMESPACE, **(inside if isinstance(inside, dict) else {})}}


def _header(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _policy(document: str) -> Any:
    try:
        return json.loads(document)
    except ValueError:
        return {}


def _xml(shape: Shape, value: Any) -> Any:
    """XML made into JSON: one element stands for itself, several are a list, and text that looks like a number is one."""
    if isinstance(shape, StructureShape):
        written: dict[str, Any] = {}
        for name, inner in value.items():
            member = shape.members[name]
            wire = str(member.serialization.get("name", name))
            if isinstance(member, ListShape) and not inner:
                continue
            written[wire] = _xml(member, inner)
            if member.serialization.get("xmlAttribute"):
                written |= {f"xmlns:{wire.partition(':')[0]}": "http://www.w3.org/2001/XMLSchema-instance"}
        return written or ""
    if isinstance(shape, ListShape):
        elements = [_xml(shape.member, inner) for inner in value]
        several = elements[0] if len(elements) == 1 else elements
        return several if shape.serialization.get("flattened") else {shape.member.serialization.get("name", "member"): several}
    if isinstance(value, str):
        if value in ("true", "false"):
            return value == "true"
        return int(value) if _WHOLE_NUMBER.fullmatch(value) else value
    return _iso(value)


_BY_SERVICE: Mapping[str, Callable[[OperationModel, Parameters, str], dict[str, Any]]] = {"ec2": _ec2, "eks": _eks, "s3": _s3}
