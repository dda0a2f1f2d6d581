"""Targets on which a call took effect, and which by their looks could be taken for untouched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from approvals.canonical import Sealed
from approvals.plan import Step
from executor import waiting
from tests.executor.stage import QUICK

ARN = "arn:aws:kms:eu-west-1:111122223333:key/5a0c6bd6-0d7f-4a1b-9d0e-0123456789ab"
TRAIL = {"Name": "main", "TrailARN": "arn:aws:cloudtrail:eu-west-1:111122223333:trail/main", "HomeRegion": "eu-west-1"}
QUEUE = {"QueueArn": "arn:aws:sqs:eu-west-1:111122223333:q", "CreatedTimestamp": "1700000000"}
DB = {"DBInstanceStatus": "available", "DbiResourceId": "db-1", "InstanceCreateTime": "2026-01-01T00:00:00+00:00"}
GROUP = {"AutoScalingGroupName": "g", "AutoScalingGroupARN": "arn:g", "CreatedTime": "2026-01-01T00:00:00+00:00"}
SECRET = {
    "ARN": "arn:s",
    "CreatedDate": "2026-01-01T00:00:00+00:00",
    "Name": "s",
    "KmsKeyId": ARN,
    "VersionIdsToStages": {"v1": ["AWSCURRENT"]},
}
TABLE = {"TableStatus": "ACTIVE", "TableId": "t", "CreationDateTime": "2026-01-01T00:00:00+00:00"}
CLUSTER = {"Status": "available", "DbClusterResourceId": "cluster-1", "ClusterCreateTime": "2026-01-01T00:00:00+00:00"}
RECORDER = {"name": "default", "recording": True, "arn": "arn:r", "lastStartTime": "2026-01-01T00:00:00+00:00"}
USER = {
    "UserId": "u",
    "Status": "active",
    "AccessString": "on ~* &* +@all",
    "ARN": "arn:u",
    "Authentication": {"PasswordCount": 1},
}
SEALED = Sealed(f"1.{32 * '0'}.{64 * 'A'}")
SERVICE = {"serviceArn": "arn:svc", "createdAt": "2026-01-01T00:00:00+00:00", "status": "ACTIVE", "desiredCount": 3}


class Shows:
    """An AWS that answers every reading call alike."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self._answer = answer

    def read(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return self._answer


def volume(instance: str) -> dict[str, Any]:
    attached = [{"InstanceId": instance, "State": "attached", "AttachTime": f"2026-01-01T00:00:0{instance[-1]}+00:00"}]
    return {"VolumeId": "vol-1", "CreateTime": "2026-01-01T00:00:00+00:00", "State": "in-use", "Attachments": attached}


@pytest.mark.parametrize(
    ("step", "around", "before", "now"),
    [
        # The key was given by its alias; AWS tells the key's ARN.
        (
            Step("cloudtrail", "UpdateTrail", {"Name": "main", "KmsKeyId": "alias/trail"}),
            "Trail",
            TRAIL,
            {**TRAIL, "KmsKeyId": ARN},
        ),
        # One member is spelt otherwise in AWS's answer, as it was before; another shows the effect.
        (
            Step("cloudtrail", "UpdateTrail", {"Name": "main", "KmsKeyId": "alias/trail", "S3BucketName": "new"}),
            "Trail",
            {**TRAIL, "KmsKeyId": ARN, "S3BucketName": "old"},
            {**TRAIL, "KmsKeyId": ARN, "S3BucketName": "new"},
        ),
        # AWS writes a policy of a queue down in its own way.
        (
            Step("sqs", "SetQueueAttributes", {"QueueUrl": "q", "Attributes": {"RedrivePolicy": '{"maxReceiveCount": "5"}'}}),
            "Attributes",
            QUEUE,
            {**QUEUE, "RedrivePolicy": '{"maxReceiveCount":5}'},
        ),
        # What is taken away at the next maintenance window is there until then.
        (
            Step("rds", "ModifyDBInstance", {"DBInstanceIdentifier": "db", "MultiAZ": False}),
            "DBInstances",
            {**DB, "MultiAZ": True},
            {**DB, "MultiAZ": True, "PendingModifiedValues": {"MultiAZ": False}},
        ),
        (
            Step("autoscaling", "UpdateAutoScalingGroup", {"AutoScalingGroupName": "g", "VPCZoneIdentifier": "a,b"}),
            "AutoScalingGroups",
            {**GROUP, "VPCZoneIdentifier": "c"},
            {**GROUP, "VPCZoneIdentifier": "b,a"},
        ),
        # The row looks at the key, which is spelt otherwise and was so before; what changed stands elsewhere.
        (
            Step("cloudtrail", "UpdateTrail", {"Name": "main", "KmsKeyId": "alias/trail", "SnsTopicName": "mine"}),
            "Trail",
            {**TRAIL, "KmsKeyId": ARN, "SnsTopicName": "theirs"},
            {**TRAIL, "KmsKeyId": ARN, "SnsTopicName": "mine"},
        ),
        (
            Step("secretsmanager", "UpdateSecret", {"SecretId": "s", "KmsKeyId": "alias/app", "SecretString": "new"}),
            "",
            SECRET,
            {**SECRET, "VersionIdsToStages": {"v2": ["AWSCURRENT"], "v1": ["AWSPREVIOUS"]}},
        ),
        (
            Step(
                "autoscaling",
                "UpdateAutoScalingGroup",
                {"AutoScalingGroupName": "g", "VPCZoneIdentifier": "b,a", "LaunchTemplate": {"LaunchTemplateId": "lt-2"}},
            ),
            "AutoScalingGroups",
            {**GROUP, "VPCZoneIdentifier": "a,b", "LaunchTemplate": {"LaunchTemplateId": "lt-1"}},
            {**GROUP, "VPCZoneIdentifier": "a,b", "LaunchTemplate": {"LaunchTemplateId": "lt-2"}},
        ),
        # A scaling policy has put back what the call set.
        (
            Step("dynamodb", "UpdateTable", {"TableName": "t", "ProvisionedThroughput": {"ReadCapacityUnits": 1}}),
            "Table",
            {**TABLE, "ProvisionedThroughput": {"ReadCapacityUnits": 10, "NumberOfDecreasesToday": 0}},
            {**TABLE, "ProvisionedThroughput": {"ReadCapacityUnits": 10, "NumberOfDecreasesToday": 1}},
        ),
        (
            Step("ecs", "UpdateService", {"cluster": "c", "service": "s", "desiredCount": 5, "taskDefinition": "td:2"}),
            "services",
            {**SERVICE, "taskDefinition": "td:1"},
            {**SERVICE, "taskDefinition": "td:2"},
        ),
        (
            Step("autoscaling", "SetDesiredCapacity", {"AutoScalingGroupName": "g", "DesiredCapacity": 0}),
            "AutoScalingGroups",
            {**GROUP, "DesiredCapacity": 1, "Instances": [{"InstanceId": "i-1"}]},
            {**GROUP, "DesiredCapacity": 1, "Instances": [{"InstanceId": "i-2"}]},
        ),
    ],
    ids=[
        "alias",
        "alias beside",
        "queue",
        "pending",
        "order",
        "beside the row's members",
        "a secret's version",
        "a template beside",
        "put back",
        "put back beside",
        "other instances",
    ],
)
def test_what_changed_is_not_untouched(step: Step, around: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    """The call took effect: that AWS spells it otherwise, or has it pending, must not make it a call without one."""
    shown = Shows({around: [now] if around.endswith("s") and around != "Attributes" else now} if around else now)
    assert waiting.look_no_effect(shown, step, before, QUICK)


@pytest.mark.parametrize(
    ("step", "answer", "before"),
    [
        # It was detached, and attached to another instance since.
        (
            Step("ec2", "DetachVolume", {"VolumeId": "vol-1"}),
            {"Volumes": [volume("i-2")]},
            volume("i-1"),
        ),
        # They were stopped, and started again since.
        (
            Step("ec2", "StopInstances", {"InstanceIds": ["i-1"]}),
            {"Reservations": [{"Instances": [{"InstanceId": "i-1", "State": {"Name": "running"}, "LaunchTime": "2026-02"}]}]},
            {"Instances": [{"InstanceId": "i-1", "State": {"Name": "running"}, "LaunchTime": "2026-01"}]},
        ),
    ],
    ids=["detached", "stopped"],
)
def test_what_was_undone_since_is_not_untouched(step: Step, answer: dict[str, Any], before: dict[str, Any]) -> None:
    """Somebody undid it before the executor looked: it took effect all the same."""
    assert waiting.look_no_effect(Shows(answer), step, before, QUICK)


def test_what_is_as_it_was_is_untouched() -> None:
    """Nothing of what the call was to change has changed: it had no effect."""
    step = Step("cloudtrail", "UpdateTrail", {"Name": "main", "S3BucketName": "new"})
    old = {**TRAIL, "S3BucketName": "old"}
    assert waiting.look_no_effect(Shows({"Trail": old}), step, old, QUICK) == ""


@pytest.mark.parametrize(
    ("step", "around", "before", "now"),
    [
        (Step("sqs", "DeleteQueue", {"QueueUrl": "q"}), "Attributes", QUEUE, {**QUEUE, "ApproximateNumberOfMessages": "4"}),
        (
            Step("rds", "DeleteDBCluster", {"DBClusterIdentifier": "c", "SkipFinalSnapshot": True}),
            "DBClusters",
            {**CLUSTER, "EarliestRestorableTime": "2026-11-29"},
            {**CLUSTER, "EarliestRestorableTime": "2026-11-30"},
        ),
        (
            Step("ecs", "DeleteService", {"cluster": "c", "service": "s"}),
            "services",
            {**SERVICE, "events": [{"id": "1"}]},
            {**SERVICE, "events": [{"id": "2"}, {"id": "1"}]},
        ),
        (
            Step("config", "StopConfigurationRecorder", {"ConfigurationRecorderName": "default"}),
            "ConfigurationRecordersStatus",
            {**RECORDER, "lastStatusChangeTime": "2026-11-29"},
            {**RECORDER, "lastStatusChangeTime": "2026-11-30"},
        ),
    ],
    ids=["messages", "moments", "events", "statuses"],
)
def test_what_is_busy_and_still_there_was_not_taken_away(
    step: Step, around: str, before: dict[str, Any], now: dict[str, Any]
) -> None:
    """The very same target is there, whatever it did meanwhile: nothing that a deletion takes away can be put back."""
    shown = now if around == "Attributes" else [now]
    assert waiting.look_no_effect(Shows({around: shown}), step, before, QUICK) == ""


@pytest.mark.parametrize(
    ("step", "around", "state"),
    [
        (Step("elasticache", "ModifyUser", {"UserId": "u", "AccessString": "on ~*", "Passwords": [SEALED]}), "Users", USER),
        (
            Step("rds", "ModifyDBInstance", {"DBInstanceIdentifier": "db", "EngineVersion": "8.0", "MasterUserPassword": SEALED}),
            "DBInstances",
            {**DB, "EngineVersion": "8.0.35"},
        ),
    ],
)
def test_a_new_secret_shows_nowhere(step: Step, around: str, state: dict[str, Any]) -> None:
    """What AWS spells otherwise was so before, and whether the password is the new one it tells nobody: nothing is decided."""
    assert "secret" in waiting.look_no_effect(Shows({around: [state]}), step, state, QUICK)


@pytest.mark.parametrize(
    ("step", "around", "before", "now"),
    [
        (
            Step("dynamodb", "UpdateTable", {"TableName": "t", "ProvisionedThroughput": {"ReadCapacityUnits": 1}}),
            "Table",
            {**TABLE, "ProvisionedThroughput": {"ReadCapacityUnits": 10}, "ItemCount": 4, "TableSizeBytes": 400},
            {**TABLE, "ProvisionedThroughput": {"ReadCapacityUnits": 10}, "ItemCount": 5, "TableSizeBytes": 500},
        ),
        (
            Step("rds", "ModifyDBInstance", {"DBInstanceIdentifier": "db", "MultiAZ": False}),
            "DBInstances",
            {**DB, "MultiAZ": True, "LatestRestorableTime": "2026-01-01T00:00:00+00:00", "VpcSecurityGroups": ["a", "b"]},
            {**DB, "MultiAZ": True, "LatestRestorableTime": "2026-01-01T00:05:00+00:00", "VpcSecurityGroups": ["b", "a"]},
        ),
    ],
    ids=["items", "moments"],
)
def test_what_a_target_does_by_itself_is_no_change(step: Step, around: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    """It is counted, and may be restored to a later moment, whoever calls or does not."""
    assert waiting.look_no_effect(Shows({around: [now] if around.endswith("s") else now}), step, before, QUICK) == ""
