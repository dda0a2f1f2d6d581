"""The promises of the outbox: notifications, the mirror; what cannot be kept now changes no state and is kept later."""

from __future__ import annotations

import json

import pytest
from django.utils import timezone

from approvals.models import ApprovalRequest, AuditEntry, OutboxMessage
from executor import aws, delivery, errands
from executor.sandbox.world import DEMO
from tests.executor.stage import Stage, inbox


def deliver(stage: Stage) -> int:
    with stage.acting("delivery"):
        return delivery.drain()


def mirrored(stage: Stage) -> dict[str, dict[str, str]]:
    """The rows of the mirror by ApprovalId, typed values without their types."""
    with stage.acting("delivery", keys_of="mallory"):
        dynamodb = aws.client("dynamodb", DEMO.region)
        items = dynamodb.scan(TableName=DEMO.mirror_table)["Items"]
        dynamodb.close()
    return {item["ApprovalId"]["S"]: {name: next(iter(value.values())) for name, value in item.items()} for item in items}


def test_whom_it_concerns_is_told_and_the_trail_says_so(stage: Stage) -> None:
    """A pending request tells its reviewers through SNS, with the topic and the names to filter on, and an entry in the trail."""
    request = stage.cast.pending()
    deliver(stage)
    (message,) = inbox(stage)
    assert message["MessageAttributes"]["topic"]["Value"] == "request.pending"
    assert json.loads(message["MessageAttributes"]["to"]["Value"]) == ["bob"]
    assert "delete table prod-orders" in message["Message"]
    assert AuditEntry.objects.filter(kind="notification.sent", request_id=request.pk).count() == 1
    due = OutboxMessage.objects.filter(kind__in=["notify", "mirror"], done_at=None, due_at__lte=timezone.now())
    assert not due.exists()


def test_the_mirror_follows_a_request_to_its_end(stage: Stage) -> None:
    """From draft to done: one row, with the status, the approver and a version that only grows."""
    request = stage.cast.filed()
    seen = []
    for step in (lambda: None, lambda: stage.cast.sign_confirm(request), lambda: stage.cast.sign_review(request), stage.execute):
        step()
        deliver(stage)
        row = mirrored(stage)[str(request.pk)]
        seen.append((row["Status"], row["Approver"], int(row["Version"])))
    assert [status for status, _, _ in seen] == ["Draft", "Waiting for review", "Approved, about to run", "Done"]
    assert [approver for _, approver, _ in seen] == ["", "", "bob", "bob"]
    assert [version for _, _, version in seen] == sorted({version for _, _, version in seen})
    assert row["EventName"] == "DeleteTable"
    assert json.loads(row["RequestParameters"]) == {"TableName": "prod-orders"}
    assert row["Requester"] == "alice"


def test_a_late_write_never_regresses_the_mirror(stage: Stage) -> None:
    """A picture of the draft that is written after the picture of the approval changes nothing."""
    request = stage.cast.filed()
    early = delivery.row_of(request.pk)
    stage.cast.sign_confirm(request)
    deliver(stage)
    with stage.acting("delivery"):
        assert not errands.mirror(DEMO.mirror_table, early, region=DEMO.region)
    assert mirrored(stage)[str(request.pk)]["Status"] == "Waiting for review"


def test_an_edit_reaches_the_mirror(stage: Stage) -> None:
    """Other parameters of a draft are a newer picture, although the state is the same."""
    from approvals import decisions

    request = stage.cast.filed()
    deliver(stage)
    decisions.complete(request.pk, stage.cast.person("alice"), parameters={"TableName": "prod-customers"}, number=1)
    deliver(stage)
    assert json.loads(mirrored(stage)[str(request.pk)]["RequestParameters"]) == {"TableName": "prod-customers"}


def test_an_adoption_reaches_the_mirror(stage: Stage) -> None:
    """Another requester of the same draft is a newer picture, too."""
    from approvals import decisions

    request = stage.cast.denied_event(user="stranger")
    deliver(stage)
    assert mirrored(stage)[str(request.pk)]["Requester"].endswith("user/stranger")
    decisions.adopt(request.pk, stage.cast.person("alice"))
    deliver(stage)
    assert mirrored(stage)[str(request.pk)]["Requester"] == "alice"


def test_a_failing_notification_changes_no_state_and_is_delivered_later(stage: Stage) -> None:
    """SNS is away: the request goes on as if nothing were, the promise is put off, and kept when SNS is back."""
    request = stage.cast.pending()
    stage.endpoint = "http://127.0.0.1:9"
    assert deliver(stage) == 0
    assert ApprovalRequest.objects.get(pk=request.pk).state == "pending"
    promise = OutboxMessage.objects.get(kind="notify", topic="request.pending")
    assert promise.done_at is None
    assert "AwsUnavailable" in promise.error
    stage.endpoint = ""
    stage.sql("UPDATE approvals_outboxmessage SET due_at = now() WHERE id = %s", promise.pk)
    deliver(stage)
    assert [message["MessageAttributes"]["topic"]["Value"] for message in inbox(stage)] == ["request.pending"]


def test_alerts_reach_the_administrators(stage: Stage) -> None:
    """An alert goes to every administrator by name, with a subject that SNS takes."""
    from approvals import decisions

    request = stage.cast.denied_event()
    decisions.disown(request.pk, stage.cast.person("alice"))
    deliver(stage)
    (alert,) = [message for message in inbox(stage) if message["MessageAttributes"]["topic"]["Value"] == "alert.raised"]
    assert json.loads(alert["MessageAttributes"]["to"]["Value"]) == ["dana", "erin", "frank"]
    assert len(alert["Subject"]) <= 100


def test_secrets_stay_out_of_the_mirror() -> None:
    """What botocore's model calls sensitive, at any depth, is hidden."""
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    from executor.plain import without_secrets

    rds = ServiceModel(Loader().load_service_model("rds", "service-2"))
    shape = rds.operation_model("CreateDBInstance").input_shape
    shown = without_secrets(shape, {"DBInstanceIdentifier": "prod", "MasterUserPassword": "hunter2", "Tags": [{"Key": "a"}]})
    assert shown == {"DBInstanceIdentifier": "prod", "MasterUserPassword": "(hidden)", "Tags": [{"Key": "a"}]}


@pytest.mark.parametrize("subject", ["00000000-0000-0000-0000-000000000000"])
def test_a_promise_about_nothing_is_put_off_and_the_rest_goes_on(stage: Stage, subject: str) -> None:
    """A row that names no request holds nothing up."""
    stage.sql(
        "INSERT INTO approvals_outboxmessage (kind, subject, topic, created_at, due_at, attempts, error) "
        "VALUES ('notify', %s, 'request.pending', '2000-01-01', '2000-01-01', 0, '')",
        subject,
    )
    stage.cast.pending()
    deliver(stage)
    assert len(inbox(stage)) == 1
