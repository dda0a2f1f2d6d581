"""A started local AWS and clients of it, as any program would make them."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from executor.sandbox.server import LocalAws
from executor.sandbox.world import DEMO

NO_RETRIES = Config(retries={"total_max_attempts": 1})

ClientFor = Callable[..., Any]


@pytest.fixture
def aws() -> Iterator[LocalAws]:
    with LocalAws(DEMO) as started:
        yield started


@pytest.fixture
def client(aws: LocalAws) -> Iterator[ClientFor]:
    """`client("alice", "dynamodb")`, with other credentials or settings as keywords; closed after the test."""
    opened = []

    def make(user: str, service: str, **changes: Any) -> Any:
        settings = {**aws.credentials(user), "endpoint_url": aws.endpoint_url, "config": NO_RETRIES, **changes}
        make_client: Any = boto3.client  # typed for names written out, which these are not
        opened.append(make_client(service, **settings))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.fixture
def received(aws: LocalAws, client: ClientFor) -> Callable[..., list[str]]:
    """`received()`: the bodies of the messages on the event queue, waiting up to `seconds` for the first."""
    sqs = client(aws.facts.feed_user, "sqs")
    url = aws.facts.queue_url(aws.endpoint_url)

    def receive(seconds: float = 2, expected: int = 1) -> list[str]:
        bodies: list[str] = []
        end = time.monotonic() + seconds
        while len(bodies) < expected and time.monotonic() < end:
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in answer.get("Messages", []):
                bodies.append(message["Body"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    return receive


@pytest.fixture
def assume(aws: LocalAws, client: ClientFor) -> Callable[..., dict[str, str]]:
    """`assume("countersign-execution", SourceIdentity=...)`: client keywords of a session of the executor's role."""

    def assume_role(user: str = aws.facts.execution_user, **parameters: Any) -> dict[str, str]:
        sts = client(user, "sts", **parameters.pop("credentials", {}))
        usual = {
            "RoleArn": aws.facts.executor_role_arn,
            "RoleSessionName": "step-1",
            "ExternalId": aws.facts.external_id,
            "SourceIdentity": "execution-1",
        }
        credentials = sts.assume_role(**{**usual, **parameters})["Credentials"]
        return {
            "aws_access_key_id": credentials["AccessKeyId"],
            "aws_secret_access_key": credentials["SecretAccessKey"],
            "aws_session_token": credentials["SessionToken"],
        }

    return assume_role
