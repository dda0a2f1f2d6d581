"""CloudTrail records and how they come to the queue."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from executor.sandbox.deliver import Faults
from executor.sandbox.server import LocalAws
from executor.sandbox.world import DEMO

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def attempt(call: Any, **parameters: Any) -> dict[str, Any]:
    """The error response of a call, or its answer."""
    try:
        return call(**parameters)
    except ClientError as error:
        return error.response  # type: ignore[return-value]  # a TypedDict


def test_a_denied_call_arrives_as_aws_sends_it(client: Any, received: Any, aws: LocalAws) -> None:
    """The envelope of EventBridge, and in it the record of a denial: null parameters, AWS's sentence, the client's
    request id."""
    response = attempt(client("alice", "dynamodb").delete_table, TableName="prod-orders")
    (body,) = received()
    event = json.loads(body)
    detail = event.pop("detail")
    assert UUID.fullmatch(event.pop("id"))
    assert event == {
        "version": "0",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.dynamodb",
        "account": "111122223333",
        "time": detail["eventTime"],
        "region": "eu-west-1",
        "resources": [],
    }
    assert UUID.fullmatch(detail.pop("eventID"))
    assert INSTANT.fullmatch(detail.pop("eventTime"))
    assert detail.pop("userAgent").startswith("Boto3/")
    assert detail.pop("userIdentity") == {
        "type": "IAMUser",
        "principalId": client("alice", "sts").get_caller_identity()["UserId"],
        "arn": "arn:aws:iam::111122223333:user/alice",
        "accountId": "111122223333",
        "accessKeyId": aws.keys["alice"]["access_key_id"],
        "userName": "alice",
    }
    assert detail == {
        "eventVersion": "1.11",
        "eventSource": "dynamodb.amazonaws.com",
        "eventName": "DeleteTable",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "127.0.0.1",
        "errorCode": "AccessDenied",
        "errorMessage": response["Error"]["Message"],
        "requestParameters": None,
        "responseElements": None,
        "requestID": response["ResponseMetadata"]["RequestId"],
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "111122223333",
        "eventCategory": "Management",
    }


def test_a_call_that_worked_arrives_with_its_parameters(client: Any, received: Any) -> None:
    """A success has lower-case parameters, what AWS answered, and its resource."""
    answer = client("mallory", "dynamodb").delete_table(TableName="prod-customers")
    (body,) = received()
    detail = json.loads(body)["detail"]
    assert "errorCode" not in detail
    assert detail["requestParameters"] == {"tableName": "prod-customers"}
    assert detail["requestID"] == answer["ResponseMetadata"]["RequestId"]
    assert detail["resources"] == [
        {
            "accountId": "111122223333",
            "type": "AWS::DynamoDB::Table",
            "ARN": "arn:aws:dynamodb:eu-west-1:111122223333:table/prod-customers",
        }
    ]
    description = detail["responseElements"]["tableDescription"]
    assert description["tableStatus"] == "DELETING"
    assert re.fullmatch(r"[A-Z][a-z]{2} \d{1,2}, \d{4}, \d{1,2}:\d\d:\d\d [AP]M", description["creationDateTime"])


def test_a_call_that_failed_for_another_reason_keeps_its_parameters(client: Any, received: Any) -> None:
    """Only denials lose their parameters."""
    attempt(client("mallory", "dynamodb").delete_table, TableName="missing")
    (body,) = received()
    detail = json.loads(body)["detail"]
    assert detail["errorCode"] == "ResourceNotFoundException"
    assert detail["requestParameters"] == {"tableName": "missing"}
    assert detail["responseElements"] is None


def test_names_within_maps_and_abbreviations_are_written_as_cloudtrail_does(client: Any, aws: LocalAws) -> None:
    """Only the first letter of a member's name changes (`SSESpecification` becomes `sSESpecification`)."""
    client("alice", "dynamodb").update_table(TableName="staging-orders", SSESpecification={"Enabled": True, "SSEType": "KMS"})
    parameters = aws.records()[-1]["requestParameters"]
    assert parameters == {"tableName": "staging-orders", "sSESpecification": {"enabled": True, "sSEType": "KMS"}}


def test_secrets_do_not_stand_in_records(client: Any, aws: LocalAws) -> None:
    """CreateAccessKey is recorded without the secret, CreateLoginProfile without the password."""
    iam = client("mallory", "iam")
    secret = iam.create_access_key(UserName="bob")["AccessKey"]["SecretAccessKey"]
    iam.create_login_profile(UserName="bob", Password="Xa9!long-and-odd")
    text = json.dumps(aws.records())
    assert secret not in text
    assert "Xa9!long-and-odd" not in text
    assert aws.records()[-1]["requestParameters"] == {"userName": "bob"}


@pytest.mark.parametrize("user", ["mallory", "countersign-delivery"])
def test_calls_on_items_and_messages_leave_no_event(client: Any, aws: LocalAws, user: str) -> None:
    """Data events are not in a trail, whether the call worked or was denied."""
    dynamodb = client(user, "dynamodb")
    attempt(dynamodb.put_item, TableName="ApprovalRequests", Item={"ApprovalId": {"S": "1"}})
    attempt(dynamodb.get_item, TableName="prod-orders", Key={"OrderId": {"S": "order-1"}})
    attempt(dynamodb.scan, TableName="prod-orders")
    attempt(client(user, "sqs").receive_message, QueueUrl=aws.facts.queue_url(aws.endpoint_url))
    attempt(client(user, "sns").publish, TopicArn=aws.facts.topic_arn, Message="m")
    assert aws.records() == []


def test_reading_calls_are_recorded_and_not_delivered(client: Any, received: Any, aws: LocalAws) -> None:
    """EventBridge leaves Describe, List and Get out, although the trail has them; AssumeRole reads, yet it is delivered."""
    events = client("mallory", "events")
    events.put_rule(Name="all", EventPattern=json.dumps({"source": [{"prefix": "aws."}]}))
    queue = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}
    )
    url = aws.facts.queue_url(aws.endpoint_url)
    client("mallory", "sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": queue})
    # What was done before there is a target is not delivered to it, however late its turn comes.
    aws.wait_until_delivered()
    events.put_targets(Rule="all", Targets=[{"Id": "1", "Arn": aws.facts.queue_arn}])
    client("alice", "dynamodb").describe_table(TableName="prod-orders")
    attempt(client("countersign-feed", "dynamodb").list_tables)
    attempt(client("alice", "sts").assume_role, RoleArn=aws.facts.executor_role_arn, RoleSessionName="step-1")
    names = [json.loads(body)["detail"]["eventName"] for body in received(expected=2)]
    assert names == ["PutTargets", "AssumeRole"]
    reading = [record for record in aws.records() if record["eventName"] in ("DescribeTable", "ListTables")]
    assert [record["readOnly"] for record in reading] == [True, True]


def test_only_what_the_rule_asks_for_is_delivered(client: Any, received: Any) -> None:
    """CreateTable is a management event, but no guardrail names it."""
    client("mallory", "dynamodb").create_table(
        TableName="prod-new",
        KeySchema=[{"AttributeName": "Id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "Id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    assert received(seconds=1) == []


def test_a_disabled_rule_and_a_closed_queue_deliver_nothing(client: Any, received: Any, aws: LocalAws) -> None:
    """Delivery needs the rule to be enabled and the queue's policy to name the rule."""
    mallory = client("mallory", "events")
    mallory.disable_rule(Name=aws.facts.rule)
    client("mallory", "dynamodb").delete_table(TableName="prod-orders")
    assert received(seconds=0.5) == []
    mallory.enable_rule(Name=aws.facts.rule)
    url = aws.facts.queue_url(aws.endpoint_url)
    client("mallory", "sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    client("mallory", "dynamodb").delete_table(TableName="prod-customers")
    assert received(seconds=0.5) == []


def test_events_arrive_in_order_and_soon(client: Any, received: Any) -> None:
    """What happens first is delivered first, and nobody waits for a sweep."""
    dynamodb = client("alice", "dynamodb")
    for table in ("prod-orders", "prod-customers", "staging-orders"):
        attempt(dynamodb.delete_table, TableName=table)
    before = time.monotonic()
    bodies = received(expected=3)
    assert time.monotonic() - before < 3
    assert [re.search(r"table/([a-z-]+)", body)[1] for body in bodies[:2]] == ["prod-orders", "prod-customers"]  # type: ignore[index]
    assert json.loads(bodies[2])["detail"]["requestParameters"] == {"tableName": "staging-orders"}


def test_delivery_can_be_late_doubled_and_lossy(client: Any, received: Any) -> None:
    """The faults of real delivery can be switched on: a delay, duplicates with the same eventID, losses."""
    calls = 4
    for faults, expected in ((Faults(delay=0.5, duplicate=1), 2 * calls), (Faults(drop=1), 0)):
        with LocalAws(DEMO, faults=faults, keys={}) as aws:
            alice = client("alice", "dynamodb", **aws.credentials("alice"), endpoint_url=aws.endpoint_url)
            started = time.monotonic()
            for _ in range(calls):
                attempt(alice.delete_table, TableName="prod-orders")
            feed = client("countersign-feed", "sqs", **aws.credentials("countersign-feed"), endpoint_url=aws.endpoint_url)
            ids: list[str] = []
            while len(ids) < expected and time.monotonic() - started < 5:
                answer = feed.receive_message(
                    QueueUrl=aws.facts.queue_url(aws.endpoint_url), MaxNumberOfMessages=10, WaitTimeSeconds=1
                )
                ids += [json.loads(message["Body"])["detail"]["eventID"] for message in answer.get("Messages", [])]
            assert len(ids) == expected
            assert not ids or (time.monotonic() - started >= 0.5 and len(set(ids)) == calls)
            assert len(aws.records()) == calls


def test_a_long_poll_holds_up_nobody(client: Any, aws: LocalAws) -> None:
    """While the feed waits for a message others are served, and the message ends the wait."""
    url = aws.facts.queue_url(aws.endpoint_url)
    feed, alice = client("countersign-feed", "sqs"), client("alice", "dynamodb")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(feed.receive_message, QueueUrl=url, WaitTimeSeconds=15)
        started = time.monotonic()
        for _ in range(5):
            alice.list_tables()
        assert time.monotonic() - started < 5
        assert not waiting.done()
        attempt(alice.delete_table, TableName="prod-orders")
        assert waiting.result(timeout=5)["Messages"]
        assert time.monotonic() - started < 10


def test_parallel_calls_are_each_recorded_once(client: Any, received: Any, aws: LocalAws) -> None:
    """Forty calls of eight threads make forty records and forty messages with different ids."""
    dynamodb = client("alice", "dynamodb")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: attempt(dynamodb.delete_table, TableName="prod-orders"), range(40)))
    ids = {json.loads(body)["detail"]["eventID"] for body in received(seconds=10, expected=40)}
    assert len(ids) == 40
    assert {record["eventID"] for record in aws.records()} == ids
