"""From the queue into the judgement: every message is accounted for, and nothing is deleted that was not taken in."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import psycopg
import pytest
from django.db import connections
from django.db.models import Sum

from approvals.models import ApprovalRequest, FeedBatch, QuarantinedMessage, TrailRecord
from executor import aws, errands, feed
from executor.sandbox.world import DEMO
from tests.cast import envelope, trail_record
from tests.executor.stage import Stage


def put(stage: Stage, *bodies: str) -> None:
    """Mallory's stolen keys may send to the queue."""
    with stage.acting("feed", keys_of="mallory"):
        sqs = aws.client("sqs", DEMO.region)
        for body in bodies:
            sqs.send_message(QueueUrl=DEMO.queue_url(stage.aws.endpoint_url), MessageBody=body)
        sqs.close()


def poll(stage: Stage) -> int:
    return stage.poll()


def waiting(stage: Stage) -> int:
    """How many messages the queue still holds, seen or not."""
    with stage.acting("feed", keys_of="mallory"):
        sqs = aws.client("sqs", DEMO.region)
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = sqs.get_queue_attributes(QueueUrl=DEMO.queue_url(stage.aws.endpoint_url), AttributeNames=names)
        sqs.close()
    return sum(map(int, found["Attributes"].values()))


def denied_delete(stage: Stage, user: str = "alice") -> None:
    from botocore.exceptions import ClientError

    with stage.acting("feed", keys_of=user):
        dynamodb = aws.client("dynamodb", DEMO.region)
        with pytest.raises(ClientError, match="AccessDeniedException"):
            dynamodb.delete_table(TableName="prod-orders")
        dynamodb.close()


def test_a_denied_call_becomes_alices_draft(stage: Stage) -> None:
    """boto3 with alice's keys is denied; through EventBridge and the queue it becomes a draft with the table's name."""
    denied_delete(stage)
    assert poll(stage) == 1
    request = ApprovalRequest.objects.get()
    assert (request.operation, request.target, request.state) == ("dynamodb:DeleteTable", "prod-orders", "draft")
    assert request.requester == stage.cast.person("alice")
    assert waiting(stage) == 0


BAD = {
    "no JSON": "not json",
    "no envelope": "{}",
    "another envelope": json.dumps({"detail-type": "Something else", "detail": {}}),
    "no record": envelope({}),
    "a list": "[]",
    "a number": "7",
    "duplicate keys": '{"detail-type": "a", "detail-type": "AWS API Call via CloudTrail", "detail": {}}',
    "deep": "[" * 5000 + "]" * 5000,
    "an account of another": envelope(trail_record(), account="999999999999"),
    "a lone surrogate": envelope(trail_record(userAgent="\ud800")),
    "large": envelope(trail_record(userAgent="x" * 300_000)),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_message_is_accounted_for_and_the_rest_goes_on(stage: Stage, kind: str) -> None:
    """What cannot be read is in quarantine with its reason (or read after all); its neighbours become requests."""
    put(stage, BAD[kind], envelope(trail_record()))
    assert poll(stage) == 2
    assert FeedBatch.objects.aggregate(all=Sum("received"))["all"] == 2
    assert ApprovalRequest.objects.count() == 1
    assert QuarantinedMessage.objects.count() + FeedBatch.objects.aggregate(m=Sum("merged"))["m"] == 1
    assert waiting(stage) == 0


def test_duplicates_in_any_order_make_one_request(stage: Stage) -> None:
    """The same three events thirty times, shuffled: one request each, the rest counted as duplicates."""
    records = [trail_record(table=name) for name in ("prod-orders", "prod-customers", "prod-x")]
    bodies = [envelope(record) for record in records for _ in range(10)]
    random.Random(7).shuffle(bodies)  # noqa: S311 - an order, not a secret
    put(stage, *bodies)
    taken = 0
    while got := poll(stage):
        taken += got
    assert taken == 30
    sums = FeedBatch.objects.aggregate(requests=Sum("requests"), duplicates=Sum("duplicates"))
    assert sums == {"requests": 3, "duplicates": 27}
    assert ApprovalRequest.objects.count() == TrailRecord.objects.count() == 3


def test_nothing_is_deleted_while_the_database_is_down(stage: Stage, settings: Any) -> None:
    """The database is not there: the message stays on the queue, and is taken in when it is back."""
    denied_delete(stage)
    with stage.acting("feed", keys_of="mallory"):
        sqs = aws.client("sqs", DEMO.region)
        sqs.set_queue_attributes(QueueUrl=DEMO.queue_url(stage.aws.endpoint_url), Attributes={"VisibilityTimeout": "1"})
        sqs.close()
    with stage.acting("feed"):
        connections["default"].close()
        port = connections["default"].settings_dict["PORT"]
        connections["default"].settings_dict["PORT"] = 9
        assert feed.poll(wait=1) == 0
        connections["default"].close()
        connections["default"].settings_dict["PORT"] = port
    assert waiting(stage) == 1
    end = time.monotonic() + 10
    while not poll(stage) and time.monotonic() < end:
        time.sleep(0.5)
    assert ApprovalRequest.objects.count() == 1


def test_a_queue_that_cannot_be_read_is_no_error(stage: Stage) -> None:
    """The queue is away: nothing is raised, the next sweep tries again."""
    stage.endpoint = "http://127.0.0.1:9"
    assert poll(stage) == 0


def test_the_feed_can_do_nothing_but_read_its_queue(stage: Stage) -> None:
    """With the feed's own keys no message is published and no role assumed."""
    from approvals.authority import KnownAccount
    from executor.errors import AwsRefused

    account = KnownAccount(DEMO.account, "aws", (DEMO.region,), DEMO.executor_role_arn, DEMO.external_id)
    with stage.acting("feed"):
        with pytest.raises(AwsRefused, match=r"not authorized|AccessDenied|AuthorizationError"):
            errands.publish(DEMO.topic_arn, region=DEMO.region, subject="s", body="b", attributes={})
        with pytest.raises(AwsRefused, match="AccessDenied"):
            aws.assume(account, "x-1", "{}", region=DEMO.region, name="step-1")


def test_whatever_breaks_the_ingest_leaves_the_messages_on_the_queue(stage: Stage) -> None:
    """Tables that are not what the code expects end the poll without raising; nothing is deleted, and later it is taken in."""
    denied_delete(stage)
    with stage.acting("feed", keys_of="mallory"):
        sqs = aws.client("sqs", DEMO.region)
        sqs.set_queue_attributes(QueueUrl=DEMO.queue_url(stage.aws.endpoint_url), Attributes={"VisibilityTimeout": "1"})
        sqs.close()
    with psycopg.connect(stage.owner_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE approvals_feedbatch RENAME TO elsewhere")
        assert poll(stage) == 0
        owner.execute("ALTER TABLE elsewhere RENAME TO approvals_feedbatch")
    assert waiting(stage) == 1
    end = time.monotonic() + 10
    while not poll(stage) and time.monotonic() < end:
        time.sleep(0.5)
    assert ApprovalRequest.objects.count() == 1
