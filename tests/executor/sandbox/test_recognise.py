"""Requests as botocore writes them must be read back as what they were."""

import base64
import json
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.sandbox.models import operation_model, service_model
from executor.sandbox.recognise import Call, recognise
from executor.sandbox.wire import HttpRequest
from tests.executor.sandbox.shapes import example, on_the_wire, parameters, signed

SERVICES = [
    *["backup", "cloudformation", "cloudfront", "dynamodb", "dynamodbstreams", "ec2", "ecs", "efs", "eks", "elasticache"],
    *["elbv2", "events", "iam", "kms", "lambda", "memorydb", "opensearch", "organizations", "rds", "redshift"],
    *["redshift-serverless", "route53", "s3", "s3control", "secretsmanager", "sns", "sqs", "sts"],
]
# Operations that are another one on the wire: S3's of old beside their successors, and the list of S3 Express.
SAME_ON_THE_WIRE = {
    ("s3", "GetBucketLifecycle"): "GetBucketLifecycleConfiguration",
    ("s3", "GetBucketNotification"): "GetBucketNotificationConfiguration",
    ("s3", "ListDirectoryBuckets"): "ListBuckets",
    ("s3", "PutBucketLifecycle"): "PutBucketLifecycleConfiguration",
    ("s3", "PutBucketNotification"): "PutBucketNotificationConfiguration",
}


def request(body: bytes, query: str = "", **headers: str) -> HttpRequest:
    target = f"/?{query}" if query else "/"
    return HttpRequest("POST", target, {name.replace("_", "-"): value for name, value in headers.items()}, body, "127.0.0.1")


def form(body: str, query: str = "") -> HttpRequest:
    return request(body.encode(), query, content_type="application/x-www-form-urlencoded; charset=utf-8")


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_is_read_back(service: str) -> None:
    """For each operation of a service, what botocore serialises is recognised with the same parameters."""
    model = service_model(service)
    for operation in model.operation_names:
        given_parameters = example(model.operation_model(operation))
        call = recognise(on_the_wire(model.operation_model(operation), given_parameters), signed(model.signing_name))
        assert call is not None, operation
        expected = SAME_ON_THE_WIRE.get((service, operation), operation)
        assert (call.service, call.operation, call.region) == (service, expected, "eu-west-1")
        assert call.protocol == model.resolved_protocol
        assert call.operation != operation or call.parameters == given_parameters, operation


@pytest.mark.parametrize("service", ["docdb", "neptune"])
def test_what_rds_also_has_is_rds(service: str) -> None:
    """Neptune and DocumentDB sign as RDS with its version and names: their calls are read as RDS's, parameters unchanged."""
    model = service_model(service)
    for operation in model.operation_names:
        given_parameters = example(model.operation_model(operation))
        call = recognise(on_the_wire(model.operation_model(operation), given_parameters), signed("rds"))
        assert call is not None, operation
        assert call.service in ("rds", service)
        assert (call.operation, call.parameters) == (operation, given_parameters)


@settings(max_examples=100)
@given(st.data())
def test_any_parameters_are_read_back(data: st.DataObject) -> None:
    """Whatever texts, numbers, dates and blobs a call has, they are the same after the way over the wire."""
    service = data.draw(st.sampled_from(["dynamodb", "ec2", "rds", "iam", "eks", "lambda", "s3", "route53", "efs"]))
    operations = service_model(service).operation_names
    name = data.draw(st.sampled_from([name for name in operations if (service, name) not in SAME_ON_THE_WIRE]))
    model = operation_model(service, name)
    given_parameters = data.draw(parameters(model))
    call = recognise(on_the_wire(model, given_parameters), signed(model.service_model.signing_name))
    assert call is not None
    assert (call.operation, call.parameters) == (name, given_parameters)


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
        ("ec2", form("Action=TerminateInstances&Version=2016-11-15&InstanceId.1=i-1&InstanceId.01=i-2")),
        ("elasticloadbalancing", form("Action=CreateRule&Version=2012-06-01")),
        ("s3", HttpRequest("DELETE", "/bucket?acl&nonsense", {"x-amz-target": "DeleteTable"}, b"<a/>", "127.0.0.1")),
        ("s3", HttpRequest("PUT", "/bucket?acl&policy", {}, b"", "127.0.0.1")),
        ("s3", HttpRequest("PATCH", "/bucket", {}, b"", "127.0.0.1")),
        ("s3", HttpRequest("DELETE", "/bucket/key?versionId=1&versionId=2", {}, b"", "127.0.0.1")),
        ("s3", HttpRequest("PUT", "/bucket?versioning", {}, b"<a><Status>Enabled</Status><Status>No</Status></a>", "127.0.0.1")),
        ("s3", HttpRequest("PUT", "/bucket?versioning", {}, b"<!DOCTYPE a><a/>", "127.0.0.1")),
        ("eks", HttpRequest("POST", "/clusters", {}, b'{"name": "a", "name": "b"}', "127.0.0.1")),
        ("eks", HttpRequest("POST", "/clusters", {}, b"[]", "127.0.0.1")),
        ("eks", HttpRequest("DELETE", "/clusters/a/b", {}, b"", "127.0.0.1")),
        ("kms", request(b'{"KeyId": "k", "Plaintext": "%"}', x_amz_target="TrentService.Encrypt")),
        ("kms", request(b"")),
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


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("127.0.0.1:4566", "/prod.logs/a/b%20c"),
        ("sandbox:4566", "/prod.logs/a/b%20c"),
        ("s3.eu-west-1.amazonaws.com", "/prod.logs/a/b%20c"),
        ("prod.logs.localhost:4566", "/a/b%20c"),
        ("prod.logs.s3.eu-west-1.amazonaws.com", "/a/b%20c"),
        ("prod.logs.s3.amazonaws.com", "/a/b%20c"),
        ("prod.logs.s3.dualstack.eu-west-1.amazonaws.com", "/a/b%20c"),
    ],
)
def test_the_bucket_is_in_the_path_or_in_the_host(host: str, target: str) -> None:
    """Both of S3's ways to name the bucket are the same call."""
    call = recognise(HttpRequest("DELETE", target, {"host": host}, b"", "127.0.0.1"), signed("s3"))
    assert isinstance(call, Call)
    assert (call.operation, call.parameters) == ("DeleteObject", {"Bucket": "prod.logs", "Key": "a/b c"})


def chunked(body: bytes, checksum: str, length: int) -> HttpRequest:
    headers = {
        "host": "127.0.0.1",
        "content-encoding": "aws-chunked",
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": str(length),
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    return HttpRequest("PUT", "/b/k", headers, body + f"x-amz-checksum-crc32:{checksum}\r\n\r\n".encode(), "127.0.0.1")


SUM = base64.b64encode(zlib.crc32(b"hello world").to_bytes(4, "big")).decode()


def test_a_body_in_chunks_is_put_together() -> None:
    """S3's chunks with a trailer are one body, and the trailer's checksum is a parameter like one in a header."""
    call = recognise(chunked(b"5\r\nhello\r\n6\r\n world\r\n0\r\n", SUM, 11), signed("s3"))
    assert call is not None
    assert call.parameters == {"Bucket": "b", "Key": "k", "Body": b"hello world", "ChecksumCRC32": SUM}


@pytest.mark.parametrize(
    ("body", "checksum", "length"),
    [
        (b"5\r\nhello\r\n6\r\n world\r\n0\r\n", "AAAAAA==", 11),
        (b"5\r\nhello\r\n6\r\n world\r\n0\r\n", SUM, 12),
        (b"5\r\nhello\r\n7\r\n world\r\n0\r\n", SUM, 11),
        (b"zz\r\nhello\r\n", SUM, 5),
        (b"ff\r\nhello\r\n", SUM, 5),
        (b"", SUM, 0),
    ],
)
def test_a_body_that_is_cut_wrongly_is_nothing(body: bytes, checksum: str, length: int) -> None:
    """Another checksum, another length and broken chunks are refused."""
    assert recognise(chunked(body, checksum, length), signed("s3")) is None


def test_a_compressed_body_is_read() -> None:
    """botocore compresses large metrics; what is not what it says is nothing."""
    squeeze = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    body = squeeze.compress(b'{"Namespace": "n"}') + squeeze.flush()
    headers: dict[str, Any] = {"x_amz_target": "GraniteServiceVersion20100801.PutMetricData", "content_encoding": "gzip"}
    call = recognise(request(body, **headers), signed("monitoring"))
    assert call is not None
    assert call.parameters == {"Namespace": "n"}
    assert recognise(request(body[:-1], **headers), signed("monitoring")) is None
    assert recognise(request(b"{}", **headers), signed("monitoring")) is None
