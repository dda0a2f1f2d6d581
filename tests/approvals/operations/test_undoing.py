"""Ways back: filled from the call, AWS's answer, the state before and the backup; what nothing tells is left to a person."""

from __future__ import annotations

import pytest

from approvals.operations import inputs, undoing
from approvals.operations.catalog import get
from approvals.operations.facts import rows
from approvals.operations.undoing import Made
from approvals.plan import Step


def made(name, parameters, **known):
    service, _, operation = name.partition(":")
    return Made(Step(service, operation, parameters), **known)


RECORD = {"Name": "www.example.com.", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
CHANGES = [{"Action": "DELETE", "ResourceRecordSet": RECORD}]


@pytest.mark.parametrize(
    ("call", "steps"),
    [
        (made("events:DisableRule", {"Name": "r"}), [("events:EnableRule", {"Name": "r"})]),
        (made("cloudtrail:StopLogging", {"Name": "t"}), [("cloudtrail:StartLogging", {"Name": "t"})]),
        (made("ec2:StopInstances", {"InstanceIds": ["i-1", "i-2"]}), [("ec2:StartInstances", {"InstanceIds": ["i-1", "i-2"]})]),
        (
            made(
                "ec2:DeleteVolume",
                {"VolumeId": "v"},
                before={"AvailabilityZone": "a", "VolumeType": "gp3"},
                backup={"answer": {"SnapshotId": "s"}},
            ),
            [("ec2:CreateVolume", {"SnapshotId": "s", "AvailabilityZone": "a", "VolumeType": "gp3"})],
        ),
        (
            made(
                "rds:DeleteDBInstance",
                {"DBInstanceIdentifier": "d", "FinalDBSnapshotIdentifier": "last"},
                before={
                    "DBInstanceClass": "db.t4g.micro",
                    "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1"}],
                    "PubliclyAccessible": False,  # left out, AWS may make it public
                },
            ),
            [
                (
                    "rds:RestoreDBInstanceFromDBSnapshot",
                    {
                        "DBInstanceIdentifier": "d",
                        "PubliclyAccessible": False,
                        "DBSnapshotIdentifier": "last",
                        "DBInstanceClass": "db.t4g.micro",
                        "VpcSecurityGroupIds": ["sg-1"],
                    },
                )
            ],
        ),
        (
            made("route53:ChangeResourceRecordSets", {"HostedZoneId": "Z", "ChangeBatch": {"Changes": CHANGES}}),
            [
                (
                    "route53:ChangeResourceRecordSets",
                    {"HostedZoneId": "Z", "ChangeBatch": {"Changes": [{"Action": "CREATE", "ResourceRecordSet": RECORD}]}},
                )
            ],
        ),
        (
            made("s3:DeleteObject", {"Bucket": "prod-b", "Key": "k"}, answer={"DeleteMarker": True, "VersionId": "v"}),
            [("s3:DeleteObject", {"Bucket": "prod-b", "Key": "k", "VersionId": "v"})],
        ),
        (
            made("dynamodb:UpdateTable", {"TableName": "ttt", "DeletionProtectionEnabled": False}),
            [("dynamodb:UpdateTable", {"TableName": "ttt", "DeletionProtectionEnabled": True})],
        ),
        (
            made("iam:DetachRolePolicy", {"RoleName": "r", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}),
            [("iam:AttachRolePolicy", {"RoleName": "r", "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"})],
        ),
    ],
)
def test_a_way_back_is_a_call_that_could_be_filed(call, steps):
    """Nothing is missing, and botocore's shapes take what it was filled with."""
    (way,) = undoing.ways(call)
    assert ([(step.name, step.parameters) for step in way.steps], way.missing) == (steps, ())
    for step in way.steps:
        inputs.check(get(step.name), step.parameters)


@pytest.mark.parametrize(
    "call",
    [
        made("secretsmanager:DeleteSecret", {"SecretId": "s", "ForceDeleteWithoutRecovery": True}),
        made("dynamodb:UpdateTable", {"TableName": "ttt", "BillingMode": "PAY_PER_REQUEST"}),
        made("route53:ChangeResourceRecordSets", {"HostedZoneId": "Z", "ChangeBatch": {"Changes": [{"Action": "UPSERT"}]}}),
        made("s3:DeleteObject", {"Bucket": "prod-b", "Key": "k", "VersionId": "v"}, answer={"VersionId": "v"}),
        made("s3:DeleteObject", {"Bucket": "prod-b", "Key": "k"}, answer={"DeleteMarker": True, "VersionId": "null"}),
        made(
            "rds:ModifyDBInstance",
            {"DBInstanceIdentifier": "d", "DeletionProtection": False, "NewDBInstanceIdentifier": "e"},
            before={"DeletionProtection": True},
        ),
        made("sqs:PurgeQueue", {"QueueUrl": "q"}),
        made("ec2:DeleteVolume", {"VolumeId": "v"}, before={"AvailabilityZone": "a"}),
        made("memorydb:DeleteCluster", {"ClusterName": "c"}, before={"NodeType": "n", "ACLName": "a"}),
    ],
)
def test_what_nothing_brings_back_has_no_way_back(call):
    """Deleted for good, changed to what the call does not tell the former of, or to be made from a backup that nobody took."""
    assert undoing.ways(call) == []


@pytest.mark.parametrize(
    "call",
    [
        made("kms:DisableKey", {"KeyId": "k"}, before={"KeyState": "Disabled"}),
        made("kms:DisableKey", {"KeyId": "k"}, before={"KeyState": "PendingDeletion"}),
        made("ecs:UpdateService", {"service": "s", "desiredCount": 3, "taskDefinition": "t:2"}, before={"desiredCount": 3}),
        made(
            "lambda:PutFunctionConcurrency",
            {"FunctionName": "f", "ReservedConcurrentExecutions": 5},
            before={"ReservedConcurrentExecutions": 5},
        ),
        made("kms:DisableKeyRotation", {"KeyId": "k"}, before={"KeyRotationEnabled": False}),
        made("events:DisableRule", {"Name": "r"}, before={"State": "DISABLED"}),
        made("cloudtrail:StopLogging", {"Name": "t"}, before={"IsLogging": False}),
        made("config:StopConfigurationRecorder", {"ConfigurationRecorderName": "d"}, before={"recording": False}),
        made(
            "dynamodb:UpdateTable",
            {"TableName": "ttt", "DeletionProtectionEnabled": False},
            before={"DeletionProtectionEnabled": False},
        ),
        made(
            "rds:ModifyDBInstance",
            {"DBInstanceIdentifier": "d", "DeletionProtection": False},
            before={"DeletionProtection": False},
        ),
        made(
            "s3:PutBucketVersioning",
            {"Bucket": "b", "VersioningConfiguration": {"Status": "Suspended"}},
            before={"Status": "Suspended"},
        ),
        # What S3 says of a bucket that never had versions.
        made("s3:PutBucketVersioning", {"Bucket": "b", "VersioningConfiguration": {"Status": "Suspended"}}, before={}),
        made(
            "cloudformation:UpdateTerminationProtection",
            {"StackName": "s", "EnableTerminationProtection": False},
            before={"EnableTerminationProtection": False},
        ),
        made(
            "cloudwatch:DisableAlarmActions",
            {"AlarmNames": ["a"]},
            before={"Alarms": [{"AlarmName": "a", "ActionsEnabled": False}]},
        ),
        made(
            "ec2:StopInstances",
            {"InstanceIds": ["i-1"]},
            answer={"StoppingInstances": [{"InstanceId": "i-1", "PreviousState": {"Name": "stopped"}}]},
        ),
        made(
            "ec2:StopInstances",
            {"InstanceIds": ["i-1"]},
            before={"Instances": [{"InstanceId": "i-1", "State": {"Name": "stopped"}}]},
        ),
    ],
)
def test_what_changed_nothing_has_no_way_back(call):
    """What was off before a call that switches it off is not switched on by the reverse."""
    assert undoing.ways(call) == []


@pytest.mark.parametrize(
    ("call", "steps"),
    [
        (
            made(
                "cloudwatch:DisableAlarmActions",
                {"AlarmNames": ["a", "b"]},
                before={"Alarms": [{"AlarmName": "a", "ActionsEnabled": False}, {"AlarmName": "b", "ActionsEnabled": True}]},
            ),
            [("cloudwatch:EnableAlarmActions", {"AlarmNames": ["b"]})],
        ),
        (
            made(
                "ec2:StopInstances",
                {"InstanceIds": ["i-1", "i-2"]},
                answer={
                    "StoppingInstances": [
                        {"InstanceId": "i-1", "PreviousState": {"Name": "stopped"}},
                        {"InstanceId": "i-2", "PreviousState": {"Name": "running"}},
                    ]
                },
            ),
            [("ec2:StartInstances", {"InstanceIds": ["i-2"]})],
        ),
        (
            made(
                "ec2:StopInstances",
                {"InstanceIds": ["i-1", "i-2"]},
                before={
                    "Instances": [
                        {"InstanceId": "i-1", "State": {"Name": "running"}},
                        {"InstanceId": "i-2", "State": {"Name": "stopped"}},
                    ]
                },
            ),
            [("ec2:StartInstances", {"InstanceIds": ["i-1"]})],
        ),
        (
            made(
                "ec2:DetachVolume",
                {"VolumeId": "v"},
                before={"Attachments": [{"InstanceId": "i-1", "Device": "/dev/sdf"}]},
            ),
            [("ec2:AttachVolume", {"VolumeId": "v", "InstanceId": "i-1", "Device": "/dev/sdf"})],
        ),
        (
            made(
                "dynamodb:UpdateContinuousBackups",
                {"TableName": "ttt", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": False}},
                before={"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 7}},
            ),
            [
                (
                    "dynamodb:UpdateContinuousBackups",
                    {
                        "TableName": "ttt",
                        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 7},
                    },
                )
            ],
        ),
        (
            made("kms:ScheduleKeyDeletion", {"KeyId": "k"}, before={"KeyState": "Disabled"}),
            [("kms:CancelKeyDeletion", {"KeyId": "k"})],
        ),
        (
            made("kms:ScheduleKeyDeletion", {"KeyId": "k"}, before={"KeyState": "Enabled"}),
            [("kms:CancelKeyDeletion", {"KeyId": "k"}), ("kms:EnableKey", {"KeyId": "k"})],
        ),
        (
            made(
                "lambda:PutFunctionConcurrency",
                {"FunctionName": "f", "ReservedConcurrentExecutions": 5},
                before={"ReservedConcurrentExecutions": 0},
            ),
            [("lambda:PutFunctionConcurrency", {"FunctionName": "f", "ReservedConcurrentExecutions": 0})],
        ),
        (
            made("lambda:PutFunctionConcurrency", {"FunctionName": "f", "ReservedConcurrentExecutions": 0}),
            [("lambda:DeleteFunctionConcurrency", {"FunctionName": "f"})],
        ),
    ],
)
def test_a_way_back_brings_back_what_was(call, steps):
    """Only what the call changed is changed back, to what was read before it."""
    (way,) = undoing.ways(call)
    assert ([(step.name, step.parameters) for step in way.steps], way.missing) == (steps, ())


def test_what_a_way_leaves_as_it_is_is_said():
    """A call that changed more than the way takes back: the rest is named, and nothing waiting is brought forward."""
    call = {"DBInstanceIdentifier": "d", "DeletionProtection": False, "BackupRetentionPeriod": 0, "ApplyImmediately": False}
    (way,) = undoing.ways(made("rds:ModifyDBInstance", call, before={"DeletionProtection": True}))
    assert way.lost == ("What the call sets besides: BackupRetentionPeriod.", "What failed or was missed meanwhile stays so.")
    assert way.steps[0].parameters == {"DBInstanceIdentifier": "d", "DeletionProtection": True}
    service = {"service": "s", "cluster": "c", "desiredCount": 0, "taskDefinition": "t:2"}
    (way,) = undoing.ways(made("ecs:UpdateService", service, before={"desiredCount": 2}))
    assert way.lost[0] == "What the call sets besides: taskDefinition."


def test_a_volume_of_several_instances_is_attached_where_a_person_says():
    """Which of them it was detached from is not told by the state alone."""
    both = [{"InstanceId": "i-1", "Device": "/dev/sdf"}, {"InstanceId": "i-2", "Device": "/dev/sdg"}]
    (way,) = undoing.ways(made("ec2:DetachVolume", {"VolumeId": "v", "InstanceId": "i-2"}, before={"Attachments": both}))
    assert (way.missing, way.steps[0].parameters) == (("Device",), {"VolumeId": "v", "InstanceId": "i-2"})


@pytest.mark.parametrize(
    ("call", "enters"),
    [
        (made("dynamodb:DeleteTable", {"TableName": "ttt"}), "BackupArn"),
        (made("rds:DeleteDBInstance", {"DBInstanceIdentifier": "d", "SkipFinalSnapshot": True}), "DBSnapshotIdentifier"),
        (made("redshift:DeleteCluster", {"ClusterIdentifier": "c", "SkipFinalClusterSnapshot": True}), "SnapshotArn"),
    ],
)
def test_a_backup_that_nobody_took_is_named_by_a_person(call, enters):
    """It is entered in the form, never guessed, and the offer does not speak of one that was taken."""
    (way,) = undoing.ways(call)
    assert (way.missing, enters in way.steps[0].parameters) == ((enters,), False)
    assert way.title.endswith(" that you name")
    assert "this request is not known to have taken one" in way.lost[0]


def test_every_way_back_says_what_stays_lost():
    """As many as the table honestly knows, each with its sentence."""
    found = [one for row in rows().values() for one in row.get("reverse", ())]
    assert len(found) >= 45
    assert all(one["lost"].endswith(".") for one in found)
