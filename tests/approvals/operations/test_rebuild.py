"""Parameters out of a denial message: all of them, or a person completes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.operations import catalog, rebuild
from approvals.operations.resources import Where
from approvals.states import Completeness

WHERE = Where("111122223333", "eu-west-1")
HERE = "eu-west-1:111122223333"
KEY = "0d1f9b5e-7a5c-4a54-9b5a-3a0f3c1d2e4f"


def message(action, resource):
    return (
        f"User: arn:aws:iam::111122223333:user/alice is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )


def told(name, resource, action=""):
    operation = catalog.get(name)
    return rebuild.rebuilt(operation, message(action or operation.facts.iam_action, resource), WHERE)


@pytest.mark.parametrize(
    ("name", "resource", "parameters"),
    [
        ("dynamodb:DeleteTable", f"arn:aws:dynamodb:{HERE}:table/prod-orders", {"TableName": "prod-orders"}),
        ("kms:DisableKey", f"arn:aws:kms:{HERE}:key/{KEY}", {"KeyId": KEY}),
        ("logs:DeleteLogGroup", f"arn:aws:logs:{HERE}:log-group:/app/prod:log-stream:", {"logGroupName": "/app/prod"}),
        ("rds:DeleteGlobalCluster", "arn:aws:rds::111122223333:global-cluster:world", {"GlobalClusterIdentifier": "world"}),
        ("iam:DeleteUser", "user alice", {"UserName": "alice"}),
        ("iam:DeleteRole", "arn:aws:iam::111122223333:role/team/deploy", {"RoleName": "deploy"}),
        (
            "iam:SetDefaultPolicyVersion",
            "policy arn:aws:iam::111122223333:policy/x version v2",
            {"PolicyArn": "arn:aws:iam::111122223333:policy/x", "VersionId": "v2"},
        ),
        ("sns:DeleteTopic", f"arn:aws:sns:{HERE}:alarms", {"TopicArn": f"arn:aws:sns:{HERE}:alarms"}),
        ("ec2:DeleteVolume", f"arn:aws:ec2:{HERE}:volume/vol-0123456789abcdef0", {"VolumeId": "vol-0123456789abcdef0"}),
        ("cloudtrail:StopLogging", f"arn:aws:cloudtrail:{HERE}:trail/main", {"Name": "main"}),
    ],
)
def test_a_call_whose_members_all_stand_in_the_message_is_rebuilt(name, resource, parameters):
    """Every member that could matter is recovered from the resource that AWS names."""
    found = told(name, resource)
    assert (found.completeness, found.parameters, found.missing) == (Completeness.REBUILT, parameters, ())


@pytest.mark.parametrize(
    ("name", "resource", "known", "missing"),
    [
        ("rds:DeleteDBInstance", f"arn:aws:rds:{HERE}:db:prod", {"DBInstanceIdentifier": "prod"}, "SkipFinalSnapshot"),
        ("ec2:TerminateInstances", f"arn:aws:ec2:{HERE}:instance/i-1", {"InstanceIds": ["i-1"]}, "InstanceIds"),
        (
            "secretsmanager:DeleteSecret",
            f"arn:aws:secretsmanager:{HERE}:secret:prod/db-AbCdEf",
            {"SecretId": f"arn:aws:secretsmanager:{HERE}:secret:prod/db-AbCdEf"},
            "RecoveryWindowInDays",
        ),
        ("wafv2:DeleteWebACL", f"arn:aws:wafv2:{HERE}:regional/webacl/x/y", {"Name": "x", "Id": "y"}, "Scope"),
        ("efs:DeleteFileSystem", "*", {}, "FileSystemId"),
        ("dynamodb:DeleteTable", f"arn:aws:dynamodb:{HERE}:table/*", {}, "TableName"),
        ("dynamodb:DeleteTable", f"arn:aws:dynamodb:{HERE}:table/prod/index/x", {}, "TableName"),
        ("dynamodb:DeleteTable", "arn:aws:dynamodb:us-east-1:111122223333:table/prod", {}, "TableName"),
        ("dynamodb:DeleteTable", "arn:aws:dynamodb:eu-west-1:999999999999:table/prod", {}, "TableName"),
        ("sns:DeleteTopic", f"arn:aws:sqs:{HERE}:alarms", {}, "TopicArn"),
        ("sns:DeleteTopic", "arn:aws:sns:eu-west-1:999999999999:alarms", {}, "TopicArn"),
        ("iam:DeleteUser", "role alice", {}, "UserName"),
        ("iam:DeleteUser", "user ", {}, "UserName"),
    ],
)
def test_a_call_of_which_something_is_not_told_is_incomplete(name, resource, known, missing):
    """A default, a second item of a list, a mask, another place or kind is never guessed; what is known is kept."""
    found = told(name, resource)
    assert (found.completeness, found.parameters) == (Completeness.INCOMPLETE, known)
    assert missing in found.missing


def test_a_message_about_another_action_rebuilds_nothing():
    """AWS may refuse a dependent action: its resource is not the call's target."""
    found = told("dynamodb:DeleteTable", f"arn:aws:dynamodb:{HERE}:table/prod", action="dynamodb:DescribeTable")
    assert (found.completeness, found.parameters) == (Completeness.INCOMPLETE, {})


def test_a_call_that_takes_nothing_is_whole_without_a_message():
    """Where there are no members, none can be hidden."""
    assert rebuild.rebuilt(catalog.get("organizations:LeaveOrganization"), "", WHERE).completeness is Completeness.EXACT


@given(
    st.sampled_from(["rds:DeleteDBInstance", "iam:DeleteUser", "s3:DeleteObject", "kms:DisableKey", "ec2:RunInstances"]),
    st.text() | st.text("ab:*?/ ").map(lambda text: message("iam:DeleteUser", text)),
)
def test_whatever_the_message_says_there_is_a_verdict(name, said):
    """Never an exception, and rebuilt only with nothing missing."""
    found = rebuild.rebuilt(catalog.get(name), said, WHERE)
    assert found.completeness in (Completeness.REBUILT, Completeness.INCOMPLETE)
    assert (found.completeness is Completeness.REBUILT) == (not found.missing)
