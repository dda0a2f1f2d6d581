"""The story's calls over HTTP, with the clients that people use."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from executor.sandbox.server import LocalAws

DENY = "arn:aws:iam::111122223333:policy/CountersignGuardrail-dynamodb-production"
DENIED = (
    "User: arn:aws:iam::111122223333:user/alice is not authorized to perform: dynamodb:DeleteTable on resource: "
    f"arn:aws:dynamodb:eu-west-1:111122223333:table/prod-orders with an explicit deny in an identity-based policy: {DENY}"
)


def refusal(call: Callable[..., Any], **parameters: Any) -> dict[str, Any]:
    """The response of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response  # type: ignore[return-value]  # a TypedDict


def test_the_guardrail_refuses_in_dynamodbs_own_format(client: Any) -> None:
    """alice's DeleteTable on a protected table gets AccessDeniedException with status 400 and AWS's sentence."""
    response = refusal(client("alice", "dynamodb").delete_table, TableName="prod-orders")
    assert response["Error"] == {"Code": "AccessDeniedException", "Message": DENIED}
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert len(response["ResponseMetadata"]["RequestId"]) == 52


def test_only_the_protected_calls_on_the_protected_tables_are_refused(client: Any) -> None:
    """DescribeTable and items of prod-orders work, and DeleteTable of staging-orders does."""
    dynamodb = client("alice", "dynamodb")
    assert dynamodb.describe_table(TableName="prod-orders")["Table"]["TableStatus"] == "ACTIVE"
    assert dynamodb.get_item(TableName="prod-orders", Key={"OrderId": {"S": "order-1"}})["Item"]["Total"] == {"N": "10"}
    dynamodb.delete_table(TableName="staging-orders")
    assert refusal(dynamodb.update_table, TableName="prod-customers", BillingMode="PROVISIONED")["Error"]["Code"] == (
        "AccessDeniedException"
    )


def test_an_arn_in_the_name_does_not_get_around_the_guardrail(client: Any, aws: LocalAws) -> None:
    """TableName may be an ARN: the same table, the same refusal."""
    response = refusal(client("alice", "dynamodb").delete_table, TableName=aws.facts.table_arn("prod-orders"))
    assert response["Error"]["Message"] == DENIED


@pytest.mark.parametrize("user", ["bob", "carol"])
def test_approvers_are_denied_as_well(client: Any, user: str) -> None:
    """Who approves may not act either."""
    response = refusal(client(user, "dynamodb").delete_table, TableName="prod-orders")
    assert response["Error"]["Code"] == "AccessDeniedException"


def test_a_stolen_administrator_key_is_not_denied(client: Any) -> None:
    """mallory's group lacks the deny: her call works, and is the bypass that the portal must notice."""
    description = client("mallory", "dynamodb").delete_table(TableName="prod-customers")["TableDescription"]
    assert description["TableStatus"] == "DELETING"


def test_the_executor_deletes_the_table_and_waits_until_it_is_gone(client: Any, assume: Any) -> None:
    """A session of the executor's role may do what everybody else is denied; the table is DELETING for a while."""
    session = assume(SourceIdentity="execution-1")
    dynamodb = client("alice", "dynamodb", **session)
    dynamodb.delete_table(TableName="prod-orders")
    assert dynamodb.describe_table(TableName="prod-orders")["Table"]["TableStatus"] == "DELETING"
    assert refusal(dynamodb.delete_table, TableName="prod-orders")["Error"]["Code"] == "ResourceInUseException"
    dynamodb.get_waiter("table_not_exists").wait(TableName="prod-orders", WaiterConfig={"Delay": 1, "MaxAttempts": 5})


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("dynamodb", "list_tables", "UnrecognizedClientException"),
        ("sqs", "list_queues", "InvalidClientTokenId"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("iam", "list_users", "InvalidClientTokenId"),
        ("sns", "list_topics", "InvalidClientTokenId"),
    ],
)
def test_an_unknown_key_is_refused_in_the_services_words(client: Any, service: str, operation: str, code: str) -> None:
    """A key that belongs to nobody gets each protocol's code for it."""
    unknown = client("alice", service, aws_access_key_id="AKIAIOSFODNN7EXAMPLE")
    assert refusal(getattr(unknown, operation))["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("dynamodb", "list_tables", "InvalidSignatureException"),
        ("sts", "get_caller_identity", "SignatureDoesNotMatch"),
        ("sns", "list_topics", "SignatureDoesNotMatch"),
    ],
)
def test_a_wrong_secret_is_refused_in_the_services_words(client: Any, service: str, operation: str, code: str) -> None:
    """A known key with another secret gets each protocol's code for a bad signature."""
    wrong = client("alice", service, aws_secret_access_key="not alice's secret")
    assert refusal(getattr(wrong, operation))["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("user", "service", "operation", "parameters"),
    [
        ("countersign-feed", "dynamodb", "list_tables", {}),
        ("countersign-feed", "sqs", "receive_message", {"QueueUrl": "http://localhost/111122223333/countersign-inbox"}),
        ("countersign-feed", "sqs", "send_message", {"QueueUrl": "http://localhost/1/countersign-events", "MessageBody": "{}"}),
        ("alice", "sqs", "send_message", {"QueueUrl": "http://localhost/1/countersign-events", "MessageBody": "{}"}),
        ("countersign-delivery", "sqs", "receive_message", {"QueueUrl": "http://localhost/1/countersign-events"}),
        ("countersign-delivery", "dynamodb", "delete_table", {"TableName": "ApprovalRequests"}),
        ("countersign-execution", "dynamodb", "delete_table", {"TableName": "prod-orders"}),
        ("alice", "iam", "create_user", {"UserName": "eve"}),
    ],
)
def test_nobody_does_what_was_not_given_to_them(
    client: Any, aws: LocalAws, user: str, service: str, operation: str, parameters: dict[str, str]
) -> None:
    """Each process has the least policy of its generator; what is not in it is denied."""
    if "QueueUrl" in parameters:
        parameters = {**parameters, "QueueUrl": aws.facts.queue_url(aws.endpoint_url, parameters["QueueUrl"].rpartition("/")[2])}
    response = refusal(getattr(client(user, service), operation), **parameters)
    assert response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
    assert "because no identity-based policy allows the" in response["Error"]["Message"]


def test_delivery_publishes_and_mirrors(client: Any, aws: LocalAws) -> None:
    """The delivery process may publish on the topic, whose message reaches the inbox, and write the mirror."""
    client("countersign-delivery", "sns").publish(TopicArn=aws.facts.topic_arn, Subject="s", Message="Please review")
    client("countersign-delivery", "dynamodb").put_item(TableName="ApprovalRequests", Item={"ApprovalId": {"S": "1"}})
    sqs = client("mallory", "sqs")
    inbox = aws.facts.queue_url(aws.endpoint_url, aws.facts.inbox)
    (message,) = sqs.receive_message(QueueUrl=inbox, WaitTimeSeconds=2)["Messages"]
    assert json.loads(message["Body"])["Message"] == "Please review"


@pytest.mark.skipif(shutil.which("aws") is None, reason="the AWS CLI is not installed")
def test_the_aws_cli_sees_the_same(aws: LocalAws) -> None:
    """The command line gets AccessDenied on prod-orders and an answer on staging-orders."""
    key = aws.keys["alice"]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", ""),
        "AWS_ACCESS_KEY_ID": key["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": key["secret_access_key"],
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def delete(table: str) -> subprocess.CompletedProcess[str]:
        command = ["aws", "--endpoint-url", aws.endpoint_url, "--region", "eu-west-1", "dynamodb", "delete-table"]
        command += ["--output", "json", "--table-name", table]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    denied = delete("prod-orders")
    assert denied.returncode != 0
    assert f"(AccessDeniedException) when calling the DeleteTable operation: {DENIED}" in denied.stderr
    assert json.loads(delete("staging-orders").stdout)["TableDescription"]["TableName"] == "staging-orders"
