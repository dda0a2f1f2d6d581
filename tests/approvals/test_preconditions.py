"""What must still hold of a target: made of what was read, signed, and held against what is read at the claim."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from approvals import earlier_steps, plan, preconditions
from approvals.canonical import Sealed
from approvals.operations import facts
from approvals.plan import Step
from approvals.preconditions import Reading

TABLE = {
    "TableId": "11111111-2222-3333-4444-555555555555",
    "CreationDateTime": "2026-01-01T00:00:00+00:00",
    "TableStatus": "ACTIVE",
    "ItemCount": 7,
    "DeletionProtectionEnabled": True,
    "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5, "NumberOfDecreasesToday": 0},
    "GlobalSecondaryIndexes": [{"IndexName": "by-day", "ItemCount": 7}, {"IndexName": "by-name", "ItemCount": 2}],
}
DELETE = Step("dynamodb", "DeleteTable", {"TableName": "prod-orders"})
UNPROTECT = Step("dynamodb", "UpdateTable", {"TableName": "prod-orders", "DeletionProtectionEnabled": False})
RESIZE = Step(
    "dynamodb",
    "UpdateTable",
    {"TableName": "prod-orders", "ProvisionedThroughput": {"ReadCapacityUnits": 50, "WriteCapacityUnits": 50}},
)
GONE = Reading(problem="AWS says ResourceNotFoundException: Requested resource not found")
DENIED = Reading(problem="AWS says AccessDeniedException: no")


def read(**changes: Any) -> Reading:
    return Reading(json.dumps(TABLE | changes))


def fact(step: Step, reading: Reading) -> dict[str, Any]:
    found = preconditions.of(0, step, reading)
    assert found is not None
    return found


def differences(step: Step, was: Reading, now: Reading, **how: Any) -> list[str]:
    return [str(one) for one in preconditions.compare(step, fact(step, was), now, **how).drift]


def test_what_identifies_the_target_and_what_the_call_changes_is_kept():
    """The row's identity, and of the members that the call sets what the state tells of them; nothing else of the state."""
    assert fact(DELETE, read()) == {
        "step": 0,
        "identity": {"TableId": TABLE["TableId"], "CreationDateTime": TABLE["CreationDateTime"]},
        "fields": {},
    }
    assert fact(UNPROTECT, read())["fields"] == {"DeletionProtectionEnabled": True}
    assert fact(RESIZE, read())["fields"] == {
        "ProvisionedThroughput.ReadCapacityUnits": 5,
        "ProvisionedThroughput.WriteCapacityUnits": 5,
    }


def test_a_target_that_was_made_anew_under_its_name_has_drifted():
    """Another TableId is another table, whatever it is called."""
    assert differences(DELETE, read(), read(TableId="other")) == [f'TableId was "{TABLE["TableId"]}" and is "other"']


def test_a_field_that_the_call_changes_has_drifted_and_another_has_not():
    """What reviewers saw beside the call must still be so; an item count may be any, and is shown."""
    assert differences(UNPROTECT, read(), read(DeletionProtectionEnabled=False)) == [
        "DeletionProtectionEnabled was true and is false"
    ]
    assert differences(DELETE, read(), read(ItemCount=9, DeletionProtectionEnabled=False)) == []
    said = [str(one) for one in preconditions.besides(DELETE, read(), read(ItemCount=9))]
    assert said == ["ItemCount was 7 and is 9"]


def test_a_field_that_aws_tells_only_when_it_is_set_has_drifted_when_it_appears():
    """AWS leaves out what was never set: not told is a value like any other, where the state has a place for it."""
    bare = Reading(json.dumps({name: value for name, value in TABLE.items() if name != "DeletionProtectionEnabled"}))
    assert fact(UNPROTECT, bare)["fields"] == {"DeletionProtectionEnabled": None}
    assert differences(UNPROTECT, bare, bare) == []
    assert differences(UNPROTECT, bare, read()) == ["DeletionProtectionEnabled was not told and is true"]


def test_a_group_that_the_call_changes_is_compared_without_what_aws_counts_in_it_and_in_any_order():
    """Of the indexes that a call changes their definition is kept; their item counts and order are not."""
    step = Step("dynamodb", "UpdateTable", {"TableName": "prod-orders", "GlobalSecondaryIndexUpdates": [{"Delete": {}}]})
    indexes = [{"IndexName": "by-name", "ItemCount": 99}, {"IndexName": "by-day", "ItemCount": 1}]
    assert differences(step, read(), read(GlobalSecondaryIndexes=indexes)) == []
    assert differences(step, read(), read(GlobalSecondaryIndexes=indexes[:1])) != []


def test_a_target_that_is_gone_or_has_come_has_drifted():
    """What was there and is not, and what was not and is."""
    assert differences(DELETE, read(), GONE) == ["the target was there and is gone"]
    assert differences(DELETE, GONE, read()) == ["the target was not there and is there"]
    assert differences(DELETE, GONE, GONE) == []


def test_a_target_that_can_no_longer_be_read_is_said_to_be_so():
    """AWS refuses to tell what it told before the review: neither the same nor another."""
    found = preconditions.compare(DELETE, fact(DELETE, read()), DENIED)
    assert (found.drift, found.unread) == ((), DENIED.problem)
    unread = fact(DELETE, DENIED)
    assert unread == {"step": 0, "unread": "AccessDeniedException"}
    assert preconditions.compare(DELETE, unread, DENIED) == preconditions.Comparison()


@pytest.mark.parametrize("now", [read(), GONE], ids=["there", "gone"])
def test_what_nobody_could_see_is_seen_anew_once_aws_tells(now: Reading):
    """AWS refused to tell before the review and tells now: who signed has not seen it, and what it may have become since."""
    assert differences(DELETE, DENIED, now) == ["the target was not told by AWS and is told"]


def test_what_an_earlier_step_lets_aws_tell_is_no_drift():
    """The key's policy kept everybody from reading it; the plan's first step mends that, and its second is made."""
    policy = Step("kms", "PutKeyPolicy", {"KeyId": "k", "PolicyName": "default", "Policy": "{}"})
    gone = Step("kms", "ScheduleKeyDeletion", {"KeyId": "k"})
    unread, now = {"step": 1, "unread": "AccessDeniedException"}, Reading('{"KeyId": "k", "KeyState": "Enabled"}')
    assert preconditions.compare(gone, unread, now).drift
    assert preconditions.compare(gone, unread, now, done=[policy]) == preconditions.Comparison()


@pytest.mark.parametrize(
    ("step", "earlier"),
    [
        (
            Step("eks", "DeleteAccessEntry", {"clusterName": "prod", "principalArn": "arn:aws:iam::111122223333:role/a"}),
            Step("eks", "DeleteAccessEntry", {"clusterName": "prod", "principalArn": "arn:aws:iam::111122223333:role/b"}),
        ),
        (Step("kms", "ScheduleKeyDeletion", {"KeyId": "k"}), Step("kms", "EnableKey", {"KeyId": "other"})),
        (
            Step("secretsmanager", "DeleteSecret", {"SecretId": "prod/db"}),
            Step("secretsmanager", "PutResourcePolicy", {"SecretId": "prod/db", "ResourcePolicy": "{}"}),
        ),
    ],
    ids=["a part of its name", "another target", "acts on what AWS tells"],
)
def test_an_earlier_step_excuses_no_target_that_nobody_saw(step: Step, earlier: Step):
    """Only a step on the very target lets AWS tell of it; what a call acts on besides has to be seen before it is signed."""
    unread, now = {"step": 1, "unread": "AccessDeniedException"}, Reading('{"KeyId": "k", "ARN": "arn:aws:x"}')
    assert preconditions.compare(step, unread, now, done=[earlier]).drift


def test_nothing_is_expected_where_nothing_was_told():
    """A read that failed says nothing of the target, and an operation without a row has no target that could be read."""
    assert preconditions.of(0, DELETE, Reading(problem="AWS could not be reached")) is None
    assert preconditions.of(0, Step("athena", "DeleteWorkGroup", {"WorkGroup": "x"}), read()) is None


@pytest.mark.parametrize(
    ("step", "state", "waits"),
    [
        (DELETE, {"TableStatus": "UPDATING"}, 'TableStatus "UPDATING"'),
        (DELETE, {"TableStatus": "ACTIVE"}, ""),
        (Step("rds", "DeleteDBInstance", {"DBInstanceIdentifier": "x"}), {"DBInstanceStatus": "backing-up"}, "backing-up"),
        (Step("opensearch", "DeleteDomain", {"DomainName": "x"}), {"Processing": True}, "Processing true"),
        (
            Step("ec2", "TerminateInstances", {"InstanceIds": ["i-1", "i-2"]}),
            {"Instances": [{"State": {"Name": "running"}}, {"State": {"Name": "pending"}}]},
            "pending",
        ),
    ],
)
def test_a_target_that_aws_is_still_changing_waits(step, state, waits):
    """The row names the statuses that pass; of several targets one is enough."""
    found = preconditions.status_of(step, Reading(json.dumps(state)))
    assert waits in found if waits else found == ""


def test_what_an_earlier_step_of_the_same_plan_changed_is_no_drift():
    """Unprotect, then delete: once the first is done the second finds the protection off, and still the same table."""
    expected = fact(UNPROTECT, read())
    now = read(DeletionProtectionEnabled=False)
    assert preconditions.compare(UNPROTECT, expected, now, done=[UNPROTECT]).drift == ()
    assert preconditions.compare(DELETE, fact(DELETE, read()), read(TableId="other"), done=[UNPROTECT]).drift != ()
    elsewhere = Step("dynamodb", "UpdateTable", {"TableName": "prod-customers", "DeletionProtectionEnabled": False})
    assert preconditions.compare(UNPROTECT, expected, now, done=[elsewhere]).drift != ()


def test_what_an_earlier_step_shows_under_another_name_is_no_drift():
    """AWS may show the effect of a step in any field of its target, where it stays the same one; a backup changes nothing."""
    grow = Step("rds", "ModifyDBInstance", {"DBInstanceIdentifier": "x", "AllocatedStorage": 40})
    before, now = (Reading(json.dumps({"DbiResourceId": "db-1", "AllocatedStorage": size})) for size in (20, 30))
    other = Reading(json.dumps({"DbiResourceId": "db-2", "AllocatedStorage": 20}))
    stop = Step("rds", "StopDBInstance", {"DBInstanceIdentifier": "x"})
    backup = Step("rds", "CreateDBSnapshot", {"DBInstanceIdentifier": "x", "DBSnapshotIdentifier": "x-last"})
    assert preconditions.compare(grow, fact(grow, before), now, done=[stop]).drift == ()
    assert preconditions.compare(grow, fact(grow, before), other, done=[stop]).drift != ()
    assert preconditions.compare(grow, fact(grow, before), now, done=[backup]).drift != ()


def test_what_an_earlier_step_set_inside_of_a_group_is_no_drift():
    """Versioning is suspended, then objects are deleted: what was read of the versioning is as the first step made it."""
    suspend = Step("s3", "PutBucketVersioning", {"Bucket": "b", "VersioningConfiguration": {"Status": "Suspended"}})
    delete = Step("s3", "DeleteObjects", {"Bucket": "b", "Delete": {"Objects": [{"Key": "k"}]}})
    before, now = (Reading(json.dumps({"Status": status})) for status in ("Enabled", "Suspended"))
    assert preconditions.compare(delete, fact(delete, before), now, done=[suspend]).drift == ()
    assert preconditions.compare(delete, fact(delete, before), now).drift != ()
    zone = Step("route53", "ChangeResourceRecordSets", {"HostedZoneId": "z", "ChangeBatch": {"Changes": [{"Id": "x"}]}})
    gone = Step("route53", "DeleteHostedZone", {"Id": "z"})
    before, now = (Reading(json.dumps({"Id": one, "CallerReference": one})) for one in ("a", "b"))
    assert preconditions.compare(gone, fact(gone, before), now, done=[zone]).drift != ()


PHONE = "arn:aws:iam::111122223333:mfa/phone"


@pytest.mark.parametrize(
    ("earlier", "step", "was", "now"),
    [
        (
            Step("iam", "DeactivateMFADevice", {"UserName": "alice", "SerialNumber": PHONE}),
            Step("iam", "DeleteVirtualMFADevice", {"SerialNumber": PHONE}),
            {
                "UserName": "alice",
                "SerialNumber": PHONE,
                "EnableDate": "2026-01-01",
            },
            {"SerialNumber": PHONE},
        ),
        (
            Step("iam", "DeactivateMFADevice", {"UserName": "alice", "SerialNumber": PHONE}),
            Step("iam", "DeleteVirtualMFADevice", {"SerialNumber": PHONE}),
            {
                "UserName": "alice",
                "SerialNumber": PHONE,
                "EnableDate": "2026-01-01",
            },
            None,  # NoSuchEntity
        ),
        (
            Step("route53", "DeleteKeySigningKey", {"HostedZoneId": "Z1", "Name": "a"}),
            Step("route53", "DeleteKeySigningKey", {"HostedZoneId": "Z1", "Name": "b"}),
            {"KeySigningKeys": [{"Name": "a", "CreatedDate": "2026-01-01"}, {"Name": "b", "CreatedDate": "2026-02-01"}]},
            {"KeySigningKeys": [{"Name": "b", "CreatedDate": "2026-02-01"}]},
        ),
        (
            Step("organizations", "DisableAWSServiceAccess", {"ServicePrincipal": "a.amazonaws.com"}),
            Step("organizations", "DisableAWSServiceAccess", {"ServicePrincipal": "b.amazonaws.com"}),
            {"EnabledServicePrincipals": [{"ServicePrincipal": "a.amazonaws.com"}, {"ServicePrincipal": "b.amazonaws.com"}]},
            {"EnabledServicePrincipals": [{"ServicePrincipal": "b.amazonaws.com"}]},
        ),
        (
            Step(
                "organizations",
                "DeregisterDelegatedAdministrator",
                {"AccountId": "2", "ServicePrincipal": "a.amazonaws.com"},
            ),
            Step(
                "organizations",
                "DeregisterDelegatedAdministrator",
                {"AccountId": "2", "ServicePrincipal": "b.amazonaws.com"},
            ),
            {"DelegatedServices": [{"ServicePrincipal": "a.amazonaws.com"}, {"ServicePrincipal": "b.amazonaws.com"}]},
            {"DelegatedServices": [{"ServicePrincipal": "b.amazonaws.com"}]},
        ),
        (
            Step("s3", "PutObject", {"Bucket": "b", "Key": "k"}),
            Step("s3", "PutObjectLegalHold", {"Bucket": "b", "Key": "k", "LegalHold": {"Status": "ON"}}),
            {"ETag": "1", "VersionId": "1"},
            {"ETag": "2", "VersionId": "2"},
        ),
    ],
    ids=["mfa", "mfa gone", "two signing keys", "two trusts", "two delegations", "object written without a row"],
)
def test_what_the_plan_itself_changes_of_what_identifies_a_target_is_no_drift(
    earlier: Step, step: Step, was: Any, now: Any
) -> None:
    """AWS tells a target from another by what it holds, too: that an earlier step on it has changed that is what was signed."""
    expected = preconditions.of(1, step, Reading(json.dumps(was)))
    reading = Reading(json.dumps(now)) if now is not None else Reading(problem="AWS says NoSuchEntity: none")
    assert expected is not None
    assert preconditions.compare(step, expected, reading, done=[earlier]).drift == ()


BLOCK = Step("s3", "PutPublicAccessBlock", {"Bucket": "b", "PublicAccessBlockConfiguration": {"BlockPublicAcls": True}})
NO_MORE = Step("lambda", "PutFunctionConcurrency", {"FunctionName": "f", "ReservedConcurrentExecutions": 0})
KEYS = [{"Name": "a", "CreatedDate": "2026-01-01"}, {"Name": "b", "CreatedDate": "2026-02-01"}]
ANEW = {"Name": "b", "CreatedDate": "2026-03-01"}


@pytest.mark.parametrize(
    ("earlier", "step", "was", "now"),
    [
        (BLOCK, Step("s3", "DeleteBucketPolicy", {"Bucket": "b"}), {"Policy": "{}"}, {"Policy": '{"Statement": []}'}),
        (BLOCK, Step("s3", "PutBucketPolicy", {"Bucket": "b", "Policy": "{}"}), {"Policy": "1"}, {"Policy": "2"}),
        (NO_MORE, Step("lambda", "DeleteFunction", {"FunctionName": "f"}), {"CodeSha256": "1"}, {"CodeSha256": "2"}),
        (
            Step("route53", "DeleteKeySigningKey", {"HostedZoneId": "Z1", "Name": "a"}),
            Step("route53", "DeleteKeySigningKey", {"HostedZoneId": "Z1", "Name": "b"}),
            {"KeySigningKeys": KEYS},
            {"KeySigningKeys": [ANEW]},
        ),
        (
            Step("route53", "DeactivateKeySigningKey", {"HostedZoneId": "Z1", "Name": "b"}),
            Step("route53", "DeleteKeySigningKey", {"HostedZoneId": "Z1", "Name": "b"}),
            {"KeySigningKeys": KEYS},
            {"KeySigningKeys": [KEYS[0], ANEW]},
        ),
    ],
    ids=["a policy goes", "a policy is put", "a function goes", "another key went", "the key was switched off"],
)
def test_what_an_earlier_step_cannot_have_changed_is_compared(earlier: Step, step: Step, was: Any, now: Any) -> None:
    """A setting of a bucket or a function changes nothing that another question reads, and of several keys makes none new."""
    expected, same, other = fact(step, Reading(json.dumps(was))), Reading(json.dumps(was)), Reading(json.dumps(now))
    assert preconditions.compare(step, expected, same, done=[earlier]).drift == ()
    assert preconditions.compare(step, expected, other, done=[earlier]).drift != ()


def test_what_s3_tells_once_versioning_is_on_is_no_drift():
    """S3 says `null` of the version of an object that was there before its bucket's versioning, and said nothing before."""
    on = Step("s3", "PutBucketVersioning", {"Bucket": "b", "VersioningConfiguration": {"Status": "Enabled"}})
    step = Step("s3", "DeleteObject", {"Bucket": "b", "Key": "k"})
    before = {"ETag": '"a"', "LastModified": "2026-01-01"}
    was, now, other = (Reading(json.dumps(before | more)) for more in ({}, {"VersionId": "null"}, {"VersionId": "v1"}))
    assert preconditions.compare(step, fact(step, was), now, done=[on]).drift == ()
    assert [one.what for one in preconditions.compare(step, fact(step, was), other, done=[on]).drift] == ["VersionId"]


def test_what_was_renamed_away_and_made_anew_is_no_drift():
    """The way of RDS's user guide: rename the instance, restore under its name, protect that; it is another one."""
    names = {"DBInstanceIdentifier": "prod", "NewDBInstanceIdentifier": "prod-old"}
    rename = Step("rds", "ModifyDBInstance", {**names, "ApplyImmediately": True})
    restore = Step("rds", "RestoreDBInstanceFromDBSnapshot", {"DBInstanceIdentifier": "prod", "DBSnapshotIdentifier": "good"})
    step = Step("rds", "ModifyDBInstance", {"DBInstanceIdentifier": "prod", "DeletionProtection": True})
    was, now = (Reading(json.dumps({"DbiResourceId": one, "DeletionProtection": False})) for one in ("db-1", "db-2"))
    assert preconditions.compare(step, fact(step, was), now, done=[rename, restore]).drift == ()
    assert preconditions.compare(step, fact(step, was), now, done=[rename]).drift != ()
    assert preconditions.compare(step, fact(step, was), now, done=[restore]).drift != ()


def test_what_takes_the_name_of_another_is_no_drift():
    """Renamed away, the restored one renamed onto the name, then set up: it is another one, as was signed; so is what it has."""
    names = ("DBInstanceIdentifier", "NewDBInstanceIdentifier")
    away, onto = (
        Step("rds", "ModifyDBInstance", {**dict(zip(names, pair, strict=True)), "ApplyImmediately": True})
        for pair in (("prod", "prod-old"), ("restored", "prod"))
    )
    step = Step("rds", "ModifyDBInstance", {"DBInstanceIdentifier": "prod", "BackupRetentionPeriod": 35})
    was, now = (Reading(json.dumps({"DbiResourceId": one, "BackupRetentionPeriod": 1})) for one in ("db-1", "db-2"))
    assert preconditions.compare(step, fact(step, was), now, done=[away, onto]).drift == ()
    assert preconditions.compare(step, fact(step, was), now, done=[onto, away]).drift != ()
    rename = Step("redshift", "ModifyCluster", {"ClusterIdentifier": "w", "NewClusterIdentifier": "w2"})
    logging = Step("redshift", "DisableLogging", {"ClusterIdentifier": "w2"})
    there = Reading(json.dumps({"LoggingEnabled": True}))
    assert preconditions.compare(logging, {"step": 1, "absent": True}, there, done=[rename]).drift == ()


def test_what_is_only_called_the_same_excuses_no_swap():
    """A user named like an identity provider, and a rename that waits for the maintenance window, change nothing of it."""
    user = Step("iam", "CreateAccessKey", {"UserName": "okta"})
    saml = Step("iam", "UpdateSAMLProvider", {"SAMLProviderArn": "arn:aws:iam::111122223333:saml-provider/okta"})
    was, now = (Reading(json.dumps({"SAMLMetadataDocument": one, "CreateDate": "t"})) for one in ("a", "b"))
    assert preconditions.compare(saml, fact(saml, was), now, done=[user]).drift != ()
    replica = Step("rds", "CreateDBInstanceReadReplica", {"SourceDBInstanceIdentifier": "a", "DBInstanceIdentifier": "c"})
    later = Step("rds", "ModifyDBInstance", {"DBInstanceIdentifier": "a", "NewDBInstanceIdentifier": "a-old"})
    gone = Step("rds", "DeleteDBInstance", {"DBInstanceIdentifier": "a", "SkipFinalSnapshot": True})
    one, other = (Reading(json.dumps({"DbiResourceId": resource})) for resource in ("db-1", "db-2"))
    assert preconditions.compare(gone, fact(gone, one), other, done=[replica, later]).drift != ()


@pytest.mark.parametrize(
    ("maker", "is_excused"),
    [
        (Step("iam", "CreateRole", {"RoleName": "deploy", "AssumeRolePolicyDocument": "{}"}), False),
        (Step("iam", "CreateInstanceProfile", {"InstanceProfileName": "deploy"}), False),
        (Step("iam", "CreateUser", {"UserName": "deploy"}), True),
        (Step("iam", "UpdateUser", {"UserName": "former", "NewUserName": "deploy"}), True),
    ],
)
def test_a_plan_makes_nothing_of_another_kind(maker: Step, *, is_excused: bool):
    """The user that was signed as absent and is there now was made by somebody else, where the plan made a role of its name."""
    step = Step("iam", "PutUserPolicy", {"UserName": "deploy", "PolicyName": "p", "PolicyDocument": "{}"})
    there = Reading(json.dumps({"PolicyName": "p", "UserName": "deploy"}))
    drift = preconditions.compare(step, {"step": 1, "absent": True}, there, done=[maker]).drift
    assert (drift == ()) is is_excused


@pytest.mark.parametrize(
    ("member", "other", "may"),
    [
        ("TableName", "TargetTableName", True),
        ("SnapshotIdentifier", "FinalDBSnapshotIdentifier", True),
        ("service", "serviceName", True),
        ("SecurityGroupIds", "GroupId", True),
        ("Name", "FunctionName", True),
        ("ResourceName", "DBInstanceIdentifier", True),
        ("KeyId", "TargetKeyId", True),
        ("UserName", "RoleName", False),
        ("DBClusterIdentifier", "DBInstanceIdentifier", False),
        ("InstanceProfileName", "RoleName", False),
    ],
)
def test_members_that_may_name_one_thing(member: str, other: str, *, may: bool):
    """By the word that says of which kind it is, whatever stands before it; one that says none may be of any."""
    assert earlier_steps._may_be_one(member, other) is may
    assert earlier_steps._may_be_one(other, member) is may


SQS = "https://sqs.eu-west-1.amazonaws.com/111122223333"


@pytest.mark.parametrize(
    ("done", "step", "was", "now"),
    [
        (
            [Step("logs", "CreateLogGroup", {"logGroupName": "g"})],
            Step("logs", "PutRetentionPolicy", {"logGroupName": "g", "retentionInDays": 30}),
            None,
            {"logGroupName": "g", "creationTime": 1},
        ),
        (
            [Step("logs", "DeleteLogGroup", {"logGroupName": "g"}), Step("logs", "CreateLogGroup", {"logGroupName": "g"})],
            Step("logs", "PutRetentionPolicy", {"logGroupName": "g", "retentionInDays": 30}),
            {"logGroupName": "g", "creationTime": 1},
            {"logGroupName": "g", "creationTime": 2},
        ),
        (
            [Step("sqs", "CreateQueue", {"QueueName": "q"})],
            Step(
                "sqs", "SetQueueAttributes", {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/111122223333/q", "Attributes": {}}
            ),
            None,
            {"QueueArn": "arn:aws:sqs:eu-west-1:111122223333:q", "CreatedTimestamp": "1"},
        ),
    ],
    ids=["a log group", "a log group made anew", "a queue"],
)
def test_what_a_plan_makes_by_another_name_is_its_own(done: list[Step], step: Step, was: Any, now: Any):
    """A question that asks by the beginning of a name, a queue that is told by its URL: the plan made it, and nobody else."""
    known = {"step": 1, "absent": True} if was is None else fact(step, Reading(json.dumps(was)))
    assert preconditions.compare(step, known, Reading(json.dumps(now)), done=done).drift == ()


@pytest.mark.parametrize(
    ("step", "was", "now"),
    [
        (
            Step("ec2", "ModifyInstanceAttribute", {"InstanceId": "i-1", "InstanceType": {"Value": "t3.large"}}),
            {"InstanceId": "i-1", "InstanceType": "t3.micro"},
            {"InstanceId": "i-1", "InstanceType": "m7i.large"},
        ),
        (
            Step("iam", "UpdateAssumeRolePolicy", {"RoleName": "r", "PolicyDocument": "{}"}),
            {"RoleId": "A", "CreateDate": "t", "AssumeRolePolicyDocument": {"Statement": [1]}},
            {"RoleId": "A", "CreateDate": "t", "AssumeRolePolicyDocument": {"Statement": [2]}},
        ),
        (
            Step("iam", "DeleteRolePolicy", {"RoleName": "r", "PolicyName": "p"}),
            {"RoleName": "r", "PolicyName": "p", "PolicyDocument": {"Statement": [1]}},
            {"RoleName": "r", "PolicyName": "p", "PolicyDocument": {"Statement": [2]}},
        ),
        (
            Step("iam", "SetDefaultPolicyVersion", {"PolicyArn": "arn:aws:iam::111122223333:policy/p", "VersionId": "v3"}),
            {"PolicyId": "A", "CreateDate": "t", "DefaultVersionId": "v1"},
            {"PolicyId": "A", "CreateDate": "t", "DefaultVersionId": "v2"},
        ),
        (
            Step("rds", "ModifyDBInstance", {"DBInstanceIdentifier": "d", "VpcSecurityGroupIds": ["sg-3"]}),
            {"DbiResourceId": "db-1", "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-1"}]},
            {"DbiResourceId": "db-1", "VpcSecurityGroups": [{"VpcSecurityGroupId": "sg-2"}]},
        ),
        (
            Step("secretsmanager", "PutSecretValue", {"SecretId": "s", "SecretString": "x"}),
            {"ARN": "arn:s", "CreatedDate": "t", "VersionIdsToStages": {"v1": ["AWSCURRENT"]}},
            {"ARN": "arn:s", "CreatedDate": "t", "VersionIdsToStages": {"v1": ["AWSPREVIOUS"], "v2": ["AWSCURRENT"]}},
        ),
    ],
    ids=lambda one: one.name if isinstance(one, Step) else "",
)
def test_what_a_call_replaces_is_compared(step: Step, was: Any, now: Any):
    """Somebody else replaced it after it was signed, and AWS tells it in its own form: that is drift."""
    assert preconditions.compare(step, fact(step, Reading(json.dumps(was))), Reading(json.dumps(was))).drift == ()
    assert preconditions.compare(step, fact(step, Reading(json.dumps(was))), Reading(json.dumps(now))).drift != ()


def test_only_what_earlier_steps_acted_on_may_come_to_a_list_and_go():
    """A volume that the plan attached is no drift; another one is, though the plan named its device or a word that it has."""
    attach = Step("ec2", "AttachVolume", {"VolumeId": "vol-2", "InstanceId": "i-1", "Device": "/dev/sdf"})
    mapping = {"DeviceName": "/dev/sdf", "Ebs": {"DeleteOnTermination": False}}
    step = Step("ec2", "ModifyInstanceAttribute", {"InstanceId": "i-1", "BlockDeviceMappings": [mapping]})

    def instance(*volumes: str) -> Reading:
        mappings = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeId": one, "DeleteOnTermination": True}} for one in volumes]
        return Reading(json.dumps({"InstanceId": "i-1", "LaunchTime": "t", "BlockDeviceMappings": mappings}))

    expected = fact(step, instance("vol-1"))
    assert preconditions.compare(step, expected, instance("vol-1", "vol-2"), done=[attach]).drift == ()
    assert preconditions.compare(step, expected, instance("vol-1", "vol-3"), done=[attach]).drift != ()
    assert preconditions.compare(step, expected, instance("vol-1", "vol-2")).drift != ()


def test_what_a_call_acts_on_besides_is_always_compared():
    """The members of a deployment are told by an expression without a name in front: a step that shares a text excuses none."""
    tag = Step("rds", "AddTagsToResource", {"ResourceName": "bgd-1", "Tags": []})
    step = Step("rds", "DeleteBlueGreenDeployment", {"BlueGreenDeploymentIdentifier": "bgd-1", "DeleteTarget": True})
    was = {"BlueGreenDeploymentIdentifier": "bgd-1", "CreateTime": "t", "Source": "arn:a", "SwitchoverDetails": []}
    before, now = (Reading(json.dumps({**was, "Target": one})) for one in ("arn:b", "arn:c"))
    assert preconditions.compare(step, fact(step, before), now, done=[tag]).drift != ()


@pytest.mark.parametrize("odd", [{"sha256": 5}, {"sha256": None}])
def test_a_value_of_no_shape_of_ours_is_drift(odd: Any):
    """What was signed can be anything: it is another value than the one that is read, and can be said."""
    signed = {"step": 0, "identity": {"TableId": odd}, "fields": {}}
    (found,) = preconditions.compare(DELETE, signed, read()).drift
    assert "sha256" in str(found)


def test_a_key_that_the_plan_itself_makes_is_no_drift():
    """A signing key is made, and the old one goes: one that is new was asked for."""
    make = Step("route53", "CreateKeySigningKey", {"HostedZoneId": "Z1", "Name": "b", "CallerReference": "r", "Status": "ACTIVE"})
    step = Step("route53", "DisableHostedZoneDNSSEC", {"HostedZoneId": "Z1"})
    before, now = (Reading(json.dumps({"KeySigningKeys": keys})) for keys in (KEYS[:1], [KEYS[0], ANEW]))
    assert preconditions.compare(step, fact(step, before), now, done=[make]).drift == ()
    assert preconditions.compare(step, fact(step, before), now).drift != ()


def test_what_a_step_without_a_row_may_have_made_is_no_drift():
    """Nobody can tell what a call makes that no row describes: what was not there may be there once it was made."""
    make, elsewhere = Step("s3", "CreateBucket", {"Bucket": "b"}), Step("athena", "DeleteWorkGroup", {"WorkGroup": "b"})
    step = Step("s3", "PutBucketPolicy", {"Bucket": "b", "Policy": "{}"})
    now = Reading('{"Policy": "{}"}')
    absent = {"step": 1, "absent": True}
    assert preconditions.compare(step, absent, now, done=[make]).drift == ()
    assert preconditions.compare(step, absent, now, done=[elsewhere]).drift != ()


def test_what_an_earlier_step_made_or_took_away_is_no_drift():
    """A target that the plan itself makes, or deletes and makes anew, is expected to come and to go."""
    assert preconditions.compare(UNPROTECT, fact(UNPROTECT, GONE), read(), done=[UNPROTECT]).drift == ()
    assert preconditions.compare(DELETE, fact(DELETE, read()), GONE, done=[DELETE]).drift == ()
    assert preconditions.compare(DELETE, fact(DELETE, read()), read(TableId="other"), done=[DELETE]).drift == ()


def test_a_secret_is_neither_kept_nor_compared():
    """A sealed member has no counterpart, and what the executor hides in a state is no value."""
    sealed = Sealed("1." + "0" * 32 + ".AAAA")
    step = Step("rds", "ModifyDBInstance", {"DBInstanceIdentifier": "x", "MasterUserPassword": sealed})
    shown = Reading(json.dumps({"DbiResourceId": "db-1", "MasterUserPassword": "(hidden)"}))
    assert fact(step, shown)["fields"] == {}
    named = Step("rds", "ModifyDBInstance", {"DBInstanceIdentifier": "x", "EngineVersion": "8"})
    assert fact(named, Reading(json.dumps({"DbiResourceId": "db-1", "EngineVersion": "(hidden)"})))["fields"] == {}


def test_what_is_too_long_to_be_read_is_kept_as_its_digest():
    """A plan is read by people: of a policy of pages its SHA-256 is signed, and one other letter is noticed."""
    step = Step("s3", "PutBucketPolicy", {"Bucket": "b", "Policy": "{}"})
    long, other = (Reading(json.dumps({"Policy": letter * 5000})) for letter in "ab")
    (kept,) = fact(step, long)["identity"].values()
    assert kept.keys() == {"sha256"}
    assert differences(step, long, long) == []
    assert differences(step, long, other) != []


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_STEPS = st.sampled_from(
    [
        DELETE,
        UNPROTECT,
        RESIZE,
        Step("rds", "ModifyDBInstance", {"DBInstanceIdentifier": "x", "EngineVersion": "8", "VpcSecurityGroupIds": ["sg-1"]}),
        Step("s3", "PutBucketPolicy", {"Bucket": "b", "Policy": "{}"}),
        Step("ec2", "TerminateInstances", {"InstanceIds": ["i-1"]}),
    ]
)
_NAMES = st.sampled_from(
    [*TABLE, "BillingModeSummary", "DBInstanceStatus", "EngineVersion", "Policy", "Instances", "$float", "."]
)


@given(step=_STEPS, state=_JSON | st.dictionaries(_NAMES, _JSON, max_size=6))
@example(step=DELETE, state=float("nan"))
@example(step=DELETE, state={"TableId": [0, float("inf")]})
def test_whatever_aws_answers_is_the_same_as_itself_once_it_was_signed(step, state):
    """Any JSON at all becomes a precondition that a plan can carry, is read back from its bytes, and has not drifted."""
    reading = Reading(json.dumps(state))
    made = preconditions.of(0, step, reading)
    carried = plan.Plan("r", 1, "1", "aws", "eu-west-1", "x", (step,), (), 60, (made,) if made else ())
    back = plan.parse(carried.text())
    assert plan.parse(back.text()).text() == carried.text()
    signed = preconditions.signed_of(back, 0)
    assert signed is not None
    assert preconditions.compare(step, signed, reading).drift == ()
    assert preconditions.besides(step, reading, reading) == ()
    assert all(what and value for what, value in preconditions.words_of(signed))


@given(step=_STEPS, signed=_JSON | st.dictionaries(st.sampled_from(["identity", "fields", "absent", "step"]), _JSON), state=_JSON)
def test_whatever_was_signed_can_be_compared(step, signed, state):
    """The signed bytes may be those of a forger: anything in the place of a precondition is compared, and nothing breaks."""
    found = preconditions.signed_of(plan.Plan("r", 1, "1", "aws", "e", "x", (step,), (), 60, (signed,)), 0)
    if found is not None:
        preconditions.compare(step, found, Reading(json.dumps(state)))
        preconditions.words_of(found)


def test_every_status_that_waits_belongs_to_a_target_that_is_read():
    """Most rows whose target takes its time say so; a row without a status never waits."""
    waiting = [name for name, row in facts.rows().items() if (row.get("describe") or {}).get("transient")]
    assert len(waiting) > 150


GROUP = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/t/1"
OUT = {"TargetGroupArn": GROUP, "Targets": [{"Id": "i-2"}, {"Id": "i-1"}]}
ROUTE = {"RouteTableId": "rtb-1", "DestinationCidrBlock": "10.0.0.0/8"}
TOPIC = {"TopicArn": "arn:aws:sns:eu-west-1:111122223333:t", "AttributeName": "Policy", "AttributeValue": "{}"}
CACHE = {"ReplicationGroupId": "r"}


def registered(*ids: str, port: int = 80) -> dict[str, Any]:
    return {"TargetHealthDescriptions": [{"Target": {"Id": one, "Port": port}, "TargetHealth": {"State": one}} for one in ids]}


def routed(**routes: str) -> dict[str, Any]:
    by = {"lan": "10.0.0.0/8", "all": "0.0.0.0/0"}
    found = [{"DestinationCidrBlock": by[name], "GatewayId": way, "State": way} for name, way in routes.items()]
    return {"RouteTableId": "rtb-1", "VpcId": "vpc-1", "Routes": [*found, {"DestinationIpv6CidrBlock": "::/0", "GatewayId": "x"}]}


@pytest.mark.parametrize(
    ("step", "was", "same", "other"),
    [
        (
            Step("elbv2", "DeregisterTargets", OUT),
            registered("i-1", "i-2", "i-3"),
            registered("i-2", "i-1", "i-4"),
            registered("i-1"),
        ),
        (
            Step("events", "RemoveTargets", {"Rule": "r", "Ids": ["a"]}),
            {"Targets": [{"Id": "a", "Arn": "x"}, {"Id": "b", "Arn": "y"}]},
            {"Targets": [{"Id": "c", "Arn": "z"}, {"Id": "a", "Arn": "x"}]},
            {"Targets": [{"Id": "a", "Arn": "new"}, {"Id": "b", "Arn": "y"}]},
        ),
        (
            Step("ec2", "ReplaceRoute", {**ROUTE, "GatewayId": "igw-9"}),
            routed(lan="igw-1", all="igw-2"),
            routed(lan="igw-1", all="igw-3"),
            routed(lan="igw-2", all="igw-2"),
        ),
        (Step("ec2", "DeleteRoute", ROUTE), routed(lan="igw-1"), routed(all="igw-5", lan="igw-1"), routed(lan="nat-1")),
        (
            Step("sns", "SetTopicAttributes", TOPIC),
            {"TopicArn": "t", "Policy": "p", "DisplayName": "d"},
            {"TopicArn": "t", "Policy": "p", "DisplayName": "e"},
            {"TopicArn": "t", "Policy": "q", "DisplayName": "d"},
        ),
        (
            Step("iam", "DeleteRolePermissionsBoundary", {"RoleName": "r"}),
            {"RoleId": "1", "PermissionsBoundary": {"PermissionsBoundaryArn": "a"}},
            {"RoleId": "1", "PermissionsBoundary": {"PermissionsBoundaryArn": "a"}, "MaxSessionDuration": 9},
            {"RoleId": "1", "PermissionsBoundary": {"PermissionsBoundaryArn": "b"}},
        ),
        (
            Step("elasticache", "ModifyReplicationGroup", {**CACHE, "MultiAZEnabled": False}),
            {"ARN": "a", "MultiAZ": "enabled", "AutomaticFailover": "enabled"},
            {"ARN": "a", "MultiAZ": "enabled", "AutomaticFailover": "disabled"},
            {"ARN": "a", "MultiAZ": "disabled", "AutomaticFailover": "enabled"},
        ),
    ],
)
def test_of_many_things_that_a_target_holds_those_are_compared_that_the_call_names(
    step: Step, was: Any, same: Any, other: Any
) -> None:
    """Targets that Auto Scaling exchanges and routes to elsewhere are no drift; another one behind the same name is."""
    before = Reading(json.dumps(was))
    assert differences(step, before, Reading(json.dumps(same))) == []
    assert differences(step, before, Reading(json.dumps(other)))


def test_what_a_call_says_can_end_no_expression() -> None:
    """A name that holds the marks of JMESPath is a text and nothing else."""
    for wild in ("a`] || @ || [`", 'a"].b', "\\", "x' || 'y"):
        step = Step("events", "RemoveTargets", {"Rule": "r", "Ids": [wild]})
        kept = fact(step, Reading(json.dumps({"Targets": [{"Id": wild, "Arn": "x"}, {"Id": "b", "Arn": "y"}]})))
        assert list(kept["identity"].values()) == [[{"Arn": "x", "Id": wild}]]
        named = Step("sns", "SetTopicAttributes", {**TOPIC, "AttributeName": wild})
        kept = fact(named, Reading(json.dumps({"TopicArn": "t", wild: "p"})))
        assert kept["identity"]["{key.AttributeName}"] == "p"


@pytest.mark.parametrize(
    ("earlier", "step", "was", "now"),
    [
        (
            Step("ecs", "UpdateService", {"cluster": "c", "service": "a", "taskDefinition": "web:7"}),
            Step("ecs", "UpdateService", {"cluster": "c", "service": "b", "taskDefinition": "web:7"}),
            {"serviceArn": "b", "taskDefinition": "api:3"},
            {"serviceArn": "b", "taskDefinition": "api:4"},
        ),
        (
            Step("iam", "PutRolePolicy", {"RoleName": "r", "PolicyName": "A", "PolicyDocument": "{}"}),
            Step("iam", "DeleteRolePolicy", {"RoleName": "r", "PolicyName": "B"}),
            {"RoleName": "r", "PolicyName": "B", "PolicyDocument": {"Statement": "seen"}},
            {"RoleName": "r", "PolicyName": "B", "PolicyDocument": {"Statement": "new"}},
        ),
    ],
)
def test_a_step_on_a_sibling_excuses_nothing(earlier: Step, step: Step, was: Any, now: Any) -> None:
    """Another service of the cluster, another policy of the role: what the earlier step set there is not this one's."""
    before = Reading(json.dumps(was))
    assert differences(step, before, before, done=[earlier]) == []
    assert differences(step, before, Reading(json.dumps(now)), done=[earlier])


def test_what_identifies_a_target_has_no_order() -> None:
    """AWS tells grants and permissions in any order: that is no drift, and another one is."""
    step = Step("ec2", "ModifyImageAttribute", {"ImageId": "ami-1", "LaunchPermission": {"Remove": [{"UserId": "1"}]}})
    one, two, three = ({"UserId": name} for name in "123")
    before = Reading(json.dumps({"ImageId": "ami-1", "LaunchPermissions": [one, two]}))
    assert differences(step, before, Reading(json.dumps({"ImageId": "ami-1", "LaunchPermissions": [two, one]}))) == []
    assert differences(step, before, Reading(json.dumps({"ImageId": "ami-1", "LaunchPermissions": [two, three]})))
