"""moto must do what was judged: requests that say two things at once."""

import http.client
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from executor.sandbox.server import LocalAws

Send = Callable[..., tuple[int, bytes]]


@pytest.fixture
def send(aws: LocalAws) -> Send:
    """`send(user, service, body, headers, path)`: status and body of a request that the user has signed as it is."""

    def signed(user: str, service: str, body: bytes, headers: dict[str, str], path: str = "/") -> tuple[int, bytes]:
        key = aws.keys[user]
        host = aws.endpoint_url.removeprefix("http://")
        request = AWSRequest("POST", f"{aws.endpoint_url}{path}", {"Host": host, **headers}, body)
        signer = SigV4Auth(Credentials(key["access_key_id"], key["secret_access_key"]), service, "eu-west-1")
        signer.add_auth(request)
        connection = http.client.HTTPConnection(host, timeout=10)
        try:
            connection.request("POST", path, body, dict(request.headers.items()))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    return signed


DESCRIBE = {"X-Amz-Target": "DynamoDB_20120810.DescribeTable", "Content-Type": "application/x-amz-json-1.0"}
PROD_ORDERS = b'{"TableName": "prod-orders"}'


@pytest.mark.parametrize(
    ("body", "headers", "path"),
    [
        (b'{"TableName": "prod-orders", "x": "&Action=DeleteTable&"}', {}, "/"),
        (PROD_ORDERS, {}, "/?Action=DeleteTable"),
        (PROD_ORDERS, {"Content-Type": "application/x-www-form-urlencoded"}, "/?Action=DeleteTable"),
        (PROD_ORDERS, {"User-Agent": "region/us-east-1"}, "/"),
        (PROD_ORDERS, {"X-Moto-Account-Id": "999988887777"}, "/"),
        (PROD_ORDERS, {"Host": "dynamodb.us-east-1.amazonaws.com"}, "/"),
        (PROD_ORDERS, {"Content-Encoding": "identity"}, "/moto-api/reset"),
    ],
)
def test_moto_answers_the_call_that_was_judged(send: Send, client: Any, body: bytes, headers: dict[str, str], path: str) -> None:
    """A second action, region or account anywhere in a request changes nothing: the table is described and stays."""
    status, answer = send("alice", "dynamodb", body, {**DESCRIBE, **headers}, path)
    assert status == 200
    assert json.loads(answer)["Table"]["TableArn"] == "arn:aws:dynamodb:eu-west-1:111122223333:table/prod-orders"
    assert client("alice", "dynamodb").describe_table(TableName="prod-orders")["Table"]["TableStatus"] == "ACTIVE"


def test_values_come_through_unchanged(client: Any) -> None:
    """What is rewritten for moto is only the spelling: ampersands and signs of forms in an item stay what they are."""
    dynamodb = client("alice", "dynamodb")
    item = {"OrderId": {"S": "a&Action=DeleteTable&b=%26+c\\u0026"}, "Note": {"S": '"&amp;"'}}
    dynamodb.put_item(TableName="prod-orders", Item=item)
    assert dynamodb.get_item(TableName="prod-orders", Key={"OrderId": item["OrderId"]})["Item"] == item


def test_the_bytes_of_a_denial_are_dynamodbs(send: Send) -> None:
    """Clients other than botocore read the type with its namespace and a capital Message."""
    status, answer = send("alice", "dynamodb", PROD_ORDERS, {**DESCRIBE, "X-Amz-Target": "DynamoDB_20120810.DeleteTable"})
    assert status == 400
    body = json.loads(answer)
    assert body.pop("Message").startswith("User: arn:aws:iam::111122223333:user/alice is not authorized")
    assert body == {"__type": "com.amazon.coral.service#AccessDeniedException"}


def test_sqs_in_its_old_protocol(send: Send, aws: LocalAws) -> None:
    """A client that still speaks the query protocol to SQS is judged and answered in it."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    url = aws.facts.queue_url(aws.endpoint_url)
    body = f"Action=SendMessage&Version=2012-11-05&QueueUrl={url}&MessageBody=a%26b".encode()
    status, answer = send("mallory", "sqs", body, form)
    assert (status, b"<MessageId>" in answer) == (200, True)
    status, answer = send("alice", "sqs", body, form)
    assert (status, b"<Code>AccessDenied</Code>" in answer) == (403, True)
    body = f"Action=ReceiveMessage&Version=2012-11-05&QueueUrl={url}&WaitTimeSeconds=1".encode()
    status, answer = send("countersign-feed", "sqs", body, form)
    assert (status, b"<Body>a&amp;b</Body>" in answer) == (200, True)


@pytest.mark.parametrize("path", ["/moto-api/data.json", "/moto-api/reset", "/", "/_sandbox/other"])
def test_without_a_signature_there_is_nothing(aws: LocalAws, path: str) -> None:
    """moto's own interface is closed, and so is every other path."""
    connection = http.client.HTTPConnection(aws.endpoint_url.removeprefix("http://"), timeout=10)
    try:
        for method in ("GET", "POST", "DELETE"):
            connection.request(method, path)
            answer = connection.getresponse()
            assert (answer.status, b"MissingAuthenticationToken" in answer.read()) == (403, True)
    finally:
        connection.close()
