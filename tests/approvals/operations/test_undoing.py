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
                before={"DBInstanceClass": "db.t4g.micro", "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1"}]},
            ),
            [
                (
                    "rds:RestoreDBInstanceFromDBSnapshot",
                    {
                        "DBInstanceIdentifier": "d",
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
        made("sqs:PurgeQueue", {"QueueUrl": "q"}),
    ],
)
def test_what_nothing_brings_back_has_no_way_back(call):
    """Deleted for good, or changed to what the call does not tell the former of."""
    assert undoing.ways(call) == []


def test_what_is_not_known_is_left_to_a_person():
    """Without a backup that the plan took its ARN is entered in the form, never guessed."""
    (way,) = undoing.ways(made("dynamodb:DeleteTable", {"TableName": "ttt"}))
    assert (way.missing, way.steps[0].parameters) == (("BackupArn",), {"TargetTableName": "ttt"})


def test_every_way_back_says_what_stays_lost():
    """As many as the table honestly knows, each with its sentence."""
    found = [one for row in rows().values() for one in row.get("reverse", ())]
    assert len(found) >= 45
    assert all(one["lost"].endswith(".") for one in found)
