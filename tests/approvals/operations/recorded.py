"""Calls made up along botocore's shapes, written as CloudTrail writes them, and spoilt in every way that one can think of."""

from __future__ import annotations

import base64
import copy
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from approvals.operations import catalog, quirks, sources
from approvals.operations.catalog import Operation

SERVICES = (
    "dynamodb",
    "rds",
    "docdb",
    "neptune",
    "elasticache",
    "memorydb",
    "redshift",
    "redshift-serverless",
    "opensearch",
    "s3",
    "kms",
    "secretsmanager",
    "efs",
    "backup",
    "ec2",
    "cloudformation",
    "ecs",
    "eks",
    "route53",
    "iam",
    "organizations",
    "lambda",
    "ssm",
    "sns",
    "sqs",
    "cloudwatch",
    "logs",
    "events",
    "cloudfront",
    "elbv2",
    "autoscaling",
)
READING = ("Get", "List", "Describe", "Head", "Search", "Query", "Scan", "Select", "BatchGet", "Lookup", "Preview", "Simulate")
ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
DEEPEST = 6
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def writes(service: str) -> list[Operation]:
    """Every operation of the service that a record may speak of, does not only read by its name, and takes parameters."""
    source = sources.event_source(service)
    names = [name for name in catalog.service_model(service).operation_names if not name.startswith(READING)]
    found = [catalog.get(full) for name in names if (full := f"{service}:{name}") in sources.candidates(source, name)]
    return [operation for operation in found if operation.members]


def parameters(chance: random.Random, operation: Operation) -> dict[str, Any]:
    """Parameters that botocore's validator accepts, without empty structures: XML and queries cannot say them."""
    shape = operation.model.input_shape
    assert shape is not None
    found: dict[str, Any] = _value(chance, shape, 0)
    return found


def _value(chance: random.Random, shape: Shape, depth: int) -> Any:
    if isinstance(shape, StructureShape):
        return _structure(chance, shape, depth)
    least = max(1, int(shape.metadata.get("min", 0)))
    if isinstance(shape, ListShape):
        return [_value(chance, shape.member, depth + 1) for _ in range(max(least, chance.randint(1, 2)))]
    if isinstance(shape, MapShape):
        return {_text(chance, shape.key): _value(chance, shape.value, depth + 1) for _ in range(least)}
    makers = {
        "boolean": lambda: chance.random() < 0.5,
        "integer": lambda: least + chance.randint(0, 50),
        "long": lambda: least + chance.randint(0, 2**40),
        "float": lambda: float(least) + 0.5,
        "double": lambda: float(least) + 0.25,
        "blob": lambda: chance.randbytes(12),
        "timestamp": lambda: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randint(0, 2**27)),
    }
    return makers.get(shape.type_name, lambda: _text(chance, shape))()


def _structure(chance: random.Random, shape: StructureShape, depth: int) -> dict[str, Any]:
    if shape.is_document_type:
        return {"any": [1, "thing"]}
    wanted = [name for name in shape.members if name in shape.required_members or (depth < DEEPEST and chance.random() < 0.5)]
    if shape.is_tagged_union:
        wanted = [chance.choice(list(shape.members))]
    elif not wanted and shape.members:
        wanted = [min(shape.members, key=lambda name: isinstance(shape.members[name], StructureShape | ListShape | MapShape))]
    return {name: _value(chance, shape.members[name], depth + 1) for name in wanted}


def _text(chance: random.Random, shape: Shape) -> str:
    if choices := getattr(shape, "enum", None):
        return str(chance.choice(choices))
    least = int(shape.metadata.get("min", 0))
    return "".join(chance.choices(ALPHABET, k=max(least, chance.randint(3, 9))))


def written(chance: random.Random, operation: Operation, call: dict[str, Any]) -> dict[str, Any]:
    """The call's parameters as CloudTrail records them for the service's protocol."""
    shape = operation.model.input_shape
    assert shape is not None
    protocol = operation.model.service_model.protocol
    if protocol == "ec2":
        wrapped = chance.random() < 0.5
        inner = _ec2(chance, shape, call, wrapped=wrapped)
        return {f"{operation.name}Request": inner or ""} if wrapped else inner
    if operation.service == "s3":
        return {"Host": "bucket.example", **_s3(chance, shape, call)}
    found = _plain(chance, shape, call, xml=quirks.is_xml(operation.service))
    assert isinstance(found, dict)
    return found


def _low(name: str) -> str:
    return name[:1].lower() + name[1:]


def _plain(chance: random.Random, shape: Shape, value: Any, *, xml: bool) -> Any:
    if isinstance(shape, StructureShape) and not shape.is_document_type:
        return {_low(name): _plain(chance, shape.members[name], item, xml=xml) for name, item in value.items()}
    if isinstance(shape, ListShape):
        return [_plain(chance, shape.member, item, xml=xml) for item in value]
    if isinstance(shape, MapShape):
        return {key: _plain(chance, shape.value, item, xml=xml) for key, item in value.items()}
    return _scalar(chance, value)


def _scalar(chance: random.Random, value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime):
        spoken = f"{MONTHS[value.month - 1]} {value.day}, {value.year} {value:%I:%M:%S %p}"
        return chance.choice([spoken.replace(" 0", " "), value.isoformat(), value.timestamp()])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return chance.choice([value, str(value)])


def _ec2(chance: random.Random, shape: Shape, value: Any, *, wrapped: bool) -> Any:
    if isinstance(shape, StructureShape):
        found = {}
        for name, item in value.items():
            member = shape.members[name]
            wire = member.serialization.get("name", name)
            if isinstance(member, ListShape):
                key = wire if wrapped else f"{_low(wire)}Set"
                found[key] = _ec2_list(chance, member, name, item, wrapped=wrapped)
            else:
                found[wire if wrapped else _low(wire)] = _ec2(chance, member, item, wrapped=wrapped)
        return found
    if isinstance(shape, ListShape):
        return _ec2_list(chance, shape, "item", value, wrapped=wrapped)
    return _scalar(chance, value)


def _ec2_list(chance: random.Random, shape: ListShape, name: str, value: list[Any], *, wrapped: bool) -> Any:
    items = [_ec2(chance, shape.member, item, wrapped=wrapped) for item in value]
    scalars = not isinstance(shape.member, StructureShape | ListShape)
    if not wrapped:
        called = _low(name.removesuffix("s"))
        return {"items": [{called: item} for item in items] if scalars else items}
    if isinstance(shape.member, ListShape):
        return items
    numbered = [{"tag": n, **({"content": item} if scalars else item)} for n, item in enumerate(items, 1)]
    return numbered[0] if len(numbered) == 1 else numbered


def _s3(chance: random.Random, shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape):
        found: dict[str, Any] = {}
        for name, item in value.items():
            member = shape.members[name]
            wire = member.serialization.get("name", name)
            if isinstance(member, MapShape):
                found |= {f"{wire}{key}": inner for key, inner in item.items()}
            elif name == "Bucket" and member.serialization.get("location") == "uri":
                found["bucketName"] = item
            else:
                found[wire] = _s3(chance, member, item)
        return found | ({"xmlns": "http://s3.example"} if chance.random() < 0.2 else {})
    if isinstance(shape, ListShape):
        items = [_s3(chance, shape.member, item) for item in value]
        flat = items[0] if len(items) == 1 else items
        return flat if shape.serialization.get("flattened") else {shape.member.serialization.get("name", "member"): flat}
    return _scalar(chance, value)


def record(operation: Operation, recorded: Any) -> dict[str, Any]:
    """A CloudTrail record of this call, denied."""
    return {
        "eventVersion": "1.11",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice", "accountId": "111122223333"},
        "eventTime": "2026-11-23T10:00:00Z",
        "eventSource": sources.event_source(operation.service),
        "eventName": operation.name,
        "awsRegion": "eu-west-1",
        "errorCode": "AccessDenied",
        "errorMessage": f"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: {operation.facts.iam_action}",
        "requestParameters": recorded,
        "eventID": "11111111-2222-3333-4444-555555555555",
        "readOnly": False,
        "recipientAccountId": "111122223333",
    }


ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**70, 1e300, float("inf"), float("nan"), "", " ", "null", "\x00", "\ud800", "****", "{", "[1]",
    '{"a": {"b": []}}', "HIDDEN_DUE_TO_SECURITY_REASONS", "Feb 31, 2024 3:30:23 PM", "9" * 400, "arn%3Aaws%ff", [], {}, [[]],
    {"items": "x"}, {"items": [None, 1, {"a": 1}]}, {"tag": 1}, {"content": {}}, {"value": [1]}, {"hb": [300]}, {"entry": [1]},
    {"": {"": ""}}, {"omitted": True}, [{"key": 1, "value": 2}], [{"key": "a", "value": 1}, {"key": "a", "value": 2}], 10**4000,
)  # fmt: skip


def odd(chance: random.Random) -> Any:
    """Something that does not belong where it will stand; a copy, because records are changed in place."""
    return copy.deepcopy(chance.choice(ODD))


def spoilt(chance: random.Random, value: Any) -> Any:
    """The value with something in it replaced, taken away, added, repeated, or buried."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        key = chance.choice(list(value))
        rest = {name: item for name, item in value.items() if name != key}
        way = chance.random()
        if way < 0.15:
            return rest
        if way < 0.3:
            return rest | {chance.choice([key.swapcase(), f"{key}Set", f"{key}.x", "", "\udfff", "tag", "items"]): value[key]}
        if way < 0.4:
            return value | {chance.choice(["unheardOf", "items", "member", "Host", "template"]): odd(chance)}
        return value | {key: spoilt(chance, value[key])}
    if isinstance(value, list) and value and chance.random() < 0.7:
        index = chance.randrange(len(value))
        return [*value[:index], spoilt(chance, value[index]), *value[index:]]
    if chance.random() < 0.03:
        for _ in range(chance.choice([10, 70, 200])):
            value = chance.choice([[value], {"a": value}, {"items": [value]}])
        return value
    return odd(chance)
