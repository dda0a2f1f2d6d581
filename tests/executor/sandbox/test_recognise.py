"""Requests as botocore writes them must be read back as what they were."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.serialize import create_serializer

from executor.sandbox.models import service_model
from executor.sandbox.recognise import Call, recognise
from executor.sandbox.signing import Signature
from executor.sandbox.wire import HttpRequest

SERVICES = ["dynamodb", "dynamodbstreams", "sqs", "sns", "iam", "sts", "kms", "events", "rds"]


def signed(service: str) -> Signature:
    return Signature("AKIAEXAMPLE", "20260101", "eu-west-1", service, ("host",), "0" * 64)


def request(body: bytes, query: str = "", **headers: str) -> HttpRequest:
    target = f"/?{query}" if query else "/"
    return HttpRequest("POST", target, {name.replace("_", "-"): value for name, value in headers.items()}, body, "127.0.0.1")


def form(body: str, query: str = "") -> HttpRequest:
    return request(body.encode(), query, content_type="application/x-www-form-urlencoded; charset=utf-8")


def example(shape: Shape, depth: int = 0) -> Any:
    """A value of a shape, two elements in each list and map; None for what has no one spelling on the wire."""
    if isinstance(shape, StructureShape):
        members = {name: example(member, depth + 1) for name, member in shape.members.items() if depth < 4}
        return {name: value for name, value in members.items() if value is not None} or None
    if isinstance(shape, ListShape):
        value = example(shape.member, depth + 1)
        return None if value is None else [value, value]
    if isinstance(shape, MapShape):
        value = example(shape.value, depth + 1)
        return None if value is None else {"one": value, "two": value}
    simple = {"integer": 7, "long": 2**40, "float": 0.5, "double": 0.25, "boolean": True, "string": "a b&c=d+ü%"}
    return simple.get(shape.type_name)


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_is_read_back(service: str) -> None:
    """For each operation of a service, what botocore serialises is recognised with the same parameters."""
    model = service_model(service)
    serializer = create_serializer(model.metadata["protocol"], include_validation=False)
    for operation in model.operation_names:
        operation_model = model.operation_model(operation)
        parameters = (example(operation_model.input_shape) if operation_model.input_shape else {}) or {}
        wire = serializer.serialize_to_request(parameters, operation_model)
        body = wire["body"]
        json_target = wire["headers"].get("X-Amz-Target")
        sent = request(body, x_amz_target=json_target) if json_target else form(urlencode(body))
        call = recognise(sent, signed(model.signing_name))
        assert call is not None, operation
        assert (call.service, call.operation, call.region) == (service, operation, "eu-west-1")
        assert call.parameters == parameters, operation


def test_sqs_is_read_in_its_old_protocol_too() -> None:
    """Older clients speak the query protocol to SQS, with flattened lists and maps that the model no longer shows."""
    sent = form(
        "Action=SetQueueAttributes&Version=2012-11-05&QueueUrl=http%3A%2F%2Flocalhost%2F1%2Fq"
        "&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=30&Attribute.2.Name=DelaySeconds&Attribute.2.Value=1"
    )
    call = recognise(sent, signed("sqs"))
    assert isinstance(call, Call)
    assert call.parameters["Attributes"] == {"VisibilityTimeout": "30", "DelaySeconds": "1"}


def delete_table(body: bytes = b"{}", target: str = "DynamoDB_20120810.DeleteTable") -> HttpRequest:
    return request(body, x_amz_target=target)


@pytest.mark.parametrize(
    ("service", "sent"),
    [
        ("dynamodb", delete_table(target="DynamoDB_20120810.DropTable")),
        ("dynamodb", delete_table(target="DynamoDB_20111205.DeleteTable")),
        ("dynamodb", delete_table(target="DeleteTable")),
        ("sqs", delete_table()),
        ("nosuchservice", delete_table()),
        ("dynamodb", delete_table(b"no json")),
        ("dynamodb", delete_table(b"[]")),
        ("dynamodb", delete_table(b'{"TableName": "staging-orders", "TableName": "prod-orders"}')),
        ("iam", form("Action=DeleteUser&Version=2010-05-08&UserName=bob&UserName=alice")),
        ("iam", form("Action=DeleteUser&Action=GetUser&Version=2010-05-08&UserName=bob")),
        ("iam", form("Action=GetUser&Version=2010-05-08", query="Action=DeleteUser&UserName=bob")),
        ("iam", form("Action=DeleteUser&Version=2000-01-01&UserName=bob")),
        ("iam", form("Action=DropUser&Version=2010-05-08")),
        ("iam", form("\xff")),
        ("iam", form("")),
        ("s3", HttpRequest("DELETE", "/bucket", {}, b"", "127.0.0.1")),
    ],
)
def test_what_cannot_be_read_in_one_way_only_is_nothing(service: str, sent: HttpRequest) -> None:
    """Unknown operations, other versions and names given twice are not recognised, so they are never passed on."""
    assert recognise(sent, signed(service)) is None


def test_a_body_may_be_empty() -> None:
    """An operation without parameters may come without a body."""
    call = recognise(request(b"", x_amz_target="DynamoDB_20120810.ListTables"), signed("dynamodb"))
    assert call is not None
    assert json.dumps(call.parameters) == "{}"
