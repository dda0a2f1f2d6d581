"""The judge over the demo's world: what people and the executor may do to production, by the policies that moto keeps."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from moto.core.base_backend import BackendDict
from moto.iam.models import IAMBackend, iam_backends
from moto.kms.models import kms_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sqs.models import sqs_backends

from approvals.operations import catalog
from approvals.operations.resources import Where
from approvals.plan import Step
from executor import rights, target
from executor.sandbox.identity import Caller, Session, Sessions, find_caller
from executor.sandbox.judge import denial
from executor.sandbox.models import operation_model
from executor.sandbox.policy import Kind, Policy
from executor.sandbox.recognise import Call
from executor.sandbox.seed import Keys, seed
from executor.sandbox.wire import HttpRequest
from executor.sandbox.world import DEMO

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
REQUEST = HttpRequest("POST", "/", {"user-agent": "tests"}, b"", "127.0.0.1")
ALIAS, DATABASE = DEMO.key_aliases[0], "prod-billing"
INSTANCE = DEMO.instance_id("prod-web")
BUCKET, STAGING_BUCKET = DEMO.buckets

Judge = Callable[..., str | None]


@pytest.fixture
def keys() -> Iterator[Keys]:
    BackendDict.reset()
    yield seed(DEMO, {})
    BackendDict.reset()


@pytest.fixture
def iam(keys: Keys) -> IAMBackend:
    return iam_backends[DEMO.account][DEMO.partition]


@pytest.fixture
def judge(keys: Keys) -> Judge:
    """`judge("alice", "rds:DeleteDBInstance", DBInstanceIdentifier=...)`: AWS's denial message, or None."""

    def ask(who: str | Caller, operation: str, **parameters: Any) -> str | None:
        caller = find_caller(keys[who]["access_key_id"], Sessions()) if isinstance(who, str) else who
        assert caller is not None
        service, _, name = operation.partition(":")
        call = Call(service, name, "json", parameters, DEMO.region, operation_model(service, name))
        return denial(call, caller, REQUEST, NOW)

    return ask


def executor(*actions: str, resource: str | list[str] = "*") -> Caller:
    """A session of the executor's role that is held down to these actions."""
    document = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": list(actions), "Resource": resource}}
    arn = DEMO.executor_role_arn.replace(":iam:", ":sts:").replace("role/", "assumed-role/") + "/step-1"
    session = Session(
        role_arn=DEMO.executor_role_arn,
        role_id="AROAEXAMPLE",
        role_name=DEMO.executor_role,
        name="step-1",
        token="token",
        created=NOW,
        expires=NOW,
        policies=(Policy(Kind.SESSION, document),),
    )
    return Caller(DEMO.account, DEMO.partition, arn, "AROAEXAMPLE:step-1", "ASIA", "secret", DEMO.executor_role, session=session)


PROTECTED: list[tuple[str, dict[str, Any], str]] = [
    ("rds:DeleteDBInstance", {"DBInstanceIdentifier": DATABASE}, DEMO.database_arn(DATABASE)),
    ("rds:DeleteDBInstance", {"DBInstanceIdentifier": "Prod-Billing"}, DEMO.database_arn(DATABASE)),
    ("rds:ModifyDBInstance", {"DBInstanceIdentifier": DATABASE, "DeletionProtection": False}, DEMO.database_arn(DATABASE)),
    ("kms:ScheduleKeyDeletion", {"KeyId": DEMO.key_id(ALIAS)}, DEMO.key_arn(ALIAS)),
    ("kms:ScheduleKeyDeletion", {"KeyId": DEMO.key_arn(ALIAS)}, DEMO.key_arn(ALIAS)),
    ("kms:DisableKey", {"KeyId": ALIAS}, DEMO.key_arn(ALIAS)),
    ("kms:DisableKey", {"KeyId": DEMO.arn("kms", ALIAS)}, DEMO.key_arn(ALIAS)),
    # moto takes a key's id out of an ARN of whatever account, so that is what is judged.
    ("kms:DisableKey", {"KeyId": DEMO.key_arn(ALIAS).replace(DEMO.account, "444455556666")}, DEMO.key_arn(ALIAS)),
    ("s3:DeleteBucket", {"Bucket": BUCKET}, DEMO.bucket_arn(BUCKET)),
    ("s3:PutBucketLifecycleConfiguration", {"Bucket": BUCKET}, DEMO.bucket_arn(BUCKET)),
    ("ec2:TerminateInstances", {"InstanceIds": [INSTANCE]}, DEMO.instance_arn("prod-web")),
    ("secretsmanager:DeleteSecret", {"SecretId": "prod/db/password"}, DEMO.secret_arn("prod/db/password")),
    ("secretsmanager:DeleteSecret", {"SecretId": DEMO.secret_arn("prod/db/password")}, DEMO.secret_arn("prod/db/password")),
    ("secretsmanager:DeleteSecret", {"SecretId": DEMO.secret_arn("prod/db/password")[:-7]}, DEMO.secret_arn("prod/db/password")),
    ("dynamodb:DeleteTable", {"TableName": "prod-orders"}, DEMO.table_arn("prod-orders")),
]


@pytest.mark.parametrize(("operation", "parameters", "arn"), PROTECTED)
def test_production_is_denied_to_the_team_and_to_no_administrator(
    judge: Judge, operation: str, parameters: dict[str, Any], arn: str
) -> None:
    """However the target is named, the guardrail's deny holds, and AWS's message says the resource's ARN and the policy."""
    said = judge("alice", operation, **parameters)
    assert said is not None
    assert f" on resource: {arn} with an explicit deny in an identity-based policy: " in said
    assert "policy/CountersignGuardrail-" in said
    assert judge("mallory", operation, **parameters) is None


@pytest.mark.parametrize(("operation", "parameters", "arn"), PROTECTED)
def test_the_executor_may_with_a_session_for_exactly_this(
    judge: Judge, operation: str, parameters: dict[str, Any], arn: str
) -> None:
    """Its role has the call on what is protected, its session policy narrows that to one target."""
    action = {"s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration"}.get(operation, operation)
    assert judge(executor(action, resource=arn), operation, **parameters) is None
    said = judge(executor(action, resource=f"{arn}-other"), operation, **parameters)
    assert said is not None
    assert said.endswith(f"because no session policy allows the {action} action")


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("rds:DeleteDBInstance", {"DBInstanceIdentifier": "staging-billing"}),
        ("rds:DescribeDBInstances", {}),
        ("s3:DeleteBucket", {"Bucket": STAGING_BUCKET}),
        ("s3:ListBuckets", {}),
        ("secretsmanager:DeleteSecret", {"SecretId": "staging/db/password"}),
        ("ec2:DescribeInstances", {}),
        ("ec2:StopInstances", {"InstanceIds": [INSTANCE]}),
        ("kms:DescribeKey", {"KeyId": ALIAS}),
        ("kms:ListKeys", {}),
        ("sts:GetCallerIdentity", {}),
    ],
)
def test_what_is_not_protected_is_not_denied(judge: Judge, operation: str, parameters: dict[str, Any]) -> None:
    """The team works on as before beside the guardrails."""
    assert judge("alice", operation, **parameters) is None


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("ec2:TerminateInstances", {"InstanceIds": ["i-0123456789abcdef0", INSTANCE]}),
        ("ec2:TerminateInstances", {}),
        ("rds:DeleteDBInstance", {}),
        ("rds:DeleteDBInstance", {"DBInstanceIdentifier": "prod-*"}),
        ("rds:DeleteDBInstance", {"DBInstanceIdentifier": f"arn:aws:rds:eu-west-1:444455556666:db:{DATABASE}"}),
        ("s3:DeleteBucket", {"Bucket": "arn:aws:s3:eu-west-1:111122223333:accesspoint/x"}),
        ("secretsmanager:DeleteSecret", {"SecretId": "prod/not-there"}),
        ("secretsmanager:DeleteSecret", {}),
        ("kms:DisableKey", {}),
    ],
)
def test_a_target_that_is_not_told_slips_past_no_deny(judge: Judge, operation: str, parameters: dict[str, Any]) -> None:
    """One of several, a mask, an ARN of elsewhere or nothing at all: where the call could mean production, it is denied."""
    assert "with an explicit deny" in (judge("alice", operation, **parameters) or "")


def attach(iam: IAMBackend, user: str, *statements: dict[str, Any], name: str = "own") -> None:
    iam.put_user_policy(user, name, json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


def allow(action: Any, resource: Any = "*", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


OBJECT = f"{DEMO.bucket_arn(STAGING_BUCKET)}/a/b.txt"


@pytest.mark.parametrize(
    ("operation", "parameters", "action", "resource"),
    [
        ("s3:GetObject", {"Bucket": STAGING_BUCKET, "Key": "a/b.txt"}, "s3:GetObject", OBJECT),
        ("s3:HeadObject", {"Bucket": STAGING_BUCKET, "Key": "a/b.txt"}, "s3:GetObject", OBJECT),
        ("s3:GetObject", {"Bucket": STAGING_BUCKET, "Key": "a/b.txt", "VersionId": "1"}, "s3:GetObjectVersion", OBJECT),
        ("s3:DeleteObject", {"Bucket": STAGING_BUCKET, "Key": "a/b.txt", "VersionId": "1"}, "s3:DeleteObjectVersion", OBJECT),
        ("s3:DeleteObjects", {"Bucket": STAGING_BUCKET, "Delete": {"Objects": [{"Key": "a/b.txt"}]}}, "s3:DeleteObject", OBJECT),
        ("s3:ListObjectsV2", {"Bucket": STAGING_BUCKET, "Prefix": "a"}, "s3:ListBucket", DEMO.bucket_arn(STAGING_BUCKET)),
        ("s3:HeadBucket", {"Bucket": STAGING_BUCKET}, "s3:ListBucket", DEMO.bucket_arn(STAGING_BUCKET)),
    ],
)
def test_s3_tells_buckets_from_objects(
    judge: Judge, iam: IAMBackend, operation: str, parameters: Any, action: str, resource: str
) -> None:
    """A right on exactly the object or bucket, by the action that S3 asks for, is enough; one on something else is not."""
    attach(iam, DEMO.inbox_user, allow(action, resource))
    assert judge(DEMO.inbox_user, operation, **parameters) is None
    attach(iam, DEMO.inbox_user, allow(action, f"{resource}x"))
    assert judge(DEMO.inbox_user, operation, **parameters) is not None


def test_deleting_objects_asks_for_each_of_them(judge: Judge, iam: IAMBackend) -> None:
    """One object of a DeleteObjects that may not be deleted denies the call; a copy asks for its source too."""
    attach(iam, DEMO.inbox_user, allow(["s3:DeleteObject", "s3:PutObject"], f"{DEMO.bucket_arn(STAGING_BUCKET)}/mine/*"))
    mine, theirs = {"Key": "mine/1"}, {"Key": "theirs/1"}
    delete = {"Bucket": STAGING_BUCKET, "Delete": {"Objects": [mine]}}
    assert judge(DEMO.inbox_user, "s3:DeleteObjects", **delete) is None
    both = judge(DEMO.inbox_user, "s3:DeleteObjects", **{**delete, "Delete": {"Objects": [mine, theirs]}})
    assert both is not None
    assert f"{DEMO.bucket_arn(STAGING_BUCKET)}/theirs/1" in both
    copied = judge(DEMO.inbox_user, "s3:CopyObject", Bucket=STAGING_BUCKET, Key="mine/2", CopySource=f"/{BUCKET}/a%20b")
    assert copied is not None
    assert f"s3:GetObject on resource: {DEMO.bucket_arn(BUCKET)}/a b" in copied


def policy_of(principal: Any, effect: str, action: str) -> str:
    statement = {"Effect": effect, "Principal": principal, "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_bucket_policy_denies_and_grants(judge: Judge) -> None:
    """A bucket's policy denies an administrator; within the account it is enough for somebody who has nothing else."""
    buckets = s3_backends[DEMO.account][DEMO.partition]
    inbox = DEMO.iam_arn(f"user/{DEMO.inbox_user}")
    buckets.put_bucket_policy(STAGING_BUCKET, policy_of({"AWS": inbox}, "Allow", "s3:DeleteBucket").encode())
    assert judge(DEMO.inbox_user, "s3:DeleteBucket", Bucket=STAGING_BUCKET) is None
    buckets.put_bucket_policy(STAGING_BUCKET, policy_of("*", "Deny", "s3:DeleteBucket").encode())
    said = judge("mallory", "s3:DeleteBucket", Bucket=STAGING_BUCKET)
    assert said is not None
    assert said.endswith("with an explicit deny in a resource-based policy")


def test_a_key_policy_decides_for_its_key(judge: Judge) -> None:
    """A key whose policy does not let the account in is closed even to administrators, and open to whom it names."""
    key = kms_backends[DEMO.account][DEMO.region].keys[DEMO.key_id(ALIAS)]
    assert judge("mallory", "kms:DisableKey", KeyId=ALIAS) is None
    key.policy = policy_of({"AWS": DEMO.iam_arn(f"user/{DEMO.inbox_user}")}, "Allow", "kms:*")
    said = judge("mallory", "kms:DisableKey", KeyId=ALIAS)
    assert said is not None
    assert said.endswith("because no resource-based policy allows the kms:DisableKey action")
    assert judge(DEMO.inbox_user, "kms:DisableKey", KeyId=ALIAS) is None


def test_policies_of_queues_and_secrets_count(judge: Judge) -> None:
    """A queue's and a secret's own policies deny what identity policies allow."""
    sqs_backends[DEMO.account][DEMO.region].queues[DEMO.inbox].policy = policy_of("*", "Deny", "sqs:PurgeQueue")
    url = f"http://localhost/{DEMO.account}/{DEMO.inbox}"
    assert "explicit deny in a resource-based policy" in (judge("mallory", "sqs:PurgeQueue", QueueUrl=url) or "")
    secret = secretsmanager_backends[DEMO.account][DEMO.region].secrets["staging/db/password"]
    secret.policy = policy_of("*", "Deny", "secretsmanager:*")
    said = judge("mallory", "secretsmanager:DeleteSecret", SecretId="staging/db/password")
    assert "explicit deny in a resource-based policy" in (said or "")


def test_the_default_version_of_a_managed_policy_counts(judge: Judge, iam: IAMBackend) -> None:
    """Of a managed policy's versions, the default one is in force, and setting another takes effect at once."""
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("rds:*")]})
    managed = iam.create_policy("", "/", document, "Databases", [])
    iam.attach_user_policy(managed.arn, DEMO.inbox_user)
    assert judge(DEMO.inbox_user, "rds:DescribeDBInstances") is None
    newer = json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:*")]})
    iam.create_policy_version(managed.arn, newer, set_as_default=False)
    assert judge(DEMO.inbox_user, "rds:DescribeDBInstances") is None
    iam.set_default_policy_version(managed.arn, "v2")
    assert judge(DEMO.inbox_user, "rds:DescribeDBInstances") is not None
    assert judge(DEMO.inbox_user, "s3:ListBuckets") is None


def test_groups_give_and_take(judge: Judge, iam: IAMBackend) -> None:
    """A user has what the groups have of which they are a member now, inline and managed, allows and denies."""
    iam.create_group("Auditors")
    iam.put_group_policy("Auditors", "reads", json.dumps({"Version": "2012-10-17", "Statement": [allow("rds:Describe*")]}))
    assert judge(DEMO.inbox_user, "rds:DescribeDBInstances") is not None
    iam.add_user_to_group("Auditors", DEMO.inbox_user)
    assert judge(DEMO.inbox_user, "rds:DescribeDBInstances") is None
    iam.remove_user_from_group("Auditors", DEMO.inbox_user)
    assert judge(DEMO.inbox_user, "rds:DescribeDBInstances") is not None


def test_a_boundary_limits_what_a_role_was_given(judge: Judge, iam: IAMBackend) -> None:
    """A permissions boundary that does not allow a call denies it to sessions of its role; one that is gone allows nothing."""
    target = {"DBInstanceIdentifier": DATABASE}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow("rds:*")]})
    boundary = iam.create_policy("", "/", document, "OnlyDatabases", [])
    iam.put_role_permissions_boundary(DEMO.executor_role, boundary.arn)
    assert judge(executor("*"), "rds:DeleteDBInstance", **target) is None
    said = judge(executor("*"), "kms:DisableKey", KeyId=ALIAS)
    assert said is not None
    assert said.endswith("because no permissions boundary allows the kms:DisableKey action")
    iam.delete_policy(boundary.arn)
    assert judge(executor("*"), "rds:DeleteDBInstance", **target) is not None


NO_DATABASES = {"Version": "2012-10-17", "Statement": [allow("rds:Delete*", effect="Deny")]}


def test_a_service_control_policy_binds_administrators_of_a_member_account() -> None:
    """With an organization over the account its policies bind everybody there, beside the one that allows everything."""
    BackendDict.reset()
    facts = replace(DEMO, service_control_policies={"NoDeletedDatabases": NO_DATABASES})
    mallory = find_caller(seed(facts, {})["mallory"]["access_key_id"], Sessions())
    assert mallory is not None

    def ask(operation: str, **parameters: Any) -> str | None:
        service, _, name = operation.partition(":")
        call = Call(service, name, "json", parameters, facts.region, operation_model(service, name))
        return denial(call, mallory, REQUEST, NOW)

    said = ask("rds:DeleteDBInstance", DBInstanceIdentifier="staging-billing")
    assert said is not None
    assert " with an explicit deny in a service control policy: arn:aws:organizations::" in said
    assert ask("rds:DescribeDBInstances") is None
    BackendDict.reset()


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": {"aws:ResourceTag/environment": "production"}}, True),
        ({"StringEquals": {"aws:ResourceTag/environment": "staging"}}, False),
        ({"StringEquals": {"ec2:ResourceTag/Name": "prod-web"}}, True),
        ({"StringEquals": {"ec2:InstanceID": INSTANCE}}, True),
        ({"StringEquals": {"ec2:Region": "eu-west-1"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, False),
        ({"StringEquals": {"aws:ResourceAccount": DEMO.account}}, True),
        ({"Null": {"aws:ResourceTag/owner": "true"}}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2026-06-01T12:00:01Z"}}, True),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"StringLike": {"aws:userid": "AIDA*"}}, True),
    ],
)
def test_conditions_see_the_resource_and_the_request(
    judge: Judge, iam: IAMBackend, condition: dict[str, Any], allowed: bool
) -> None:
    """Tags of the resource, its account and id, and the global keys of the request can be conditions of an Allow."""
    attach(iam, DEMO.inbox_user, allow("ec2:StopInstances", Condition=condition))
    assert (judge(DEMO.inbox_user, "ec2:StopInstances", InstanceIds=[INSTANCE]) is None) is allowed


TAG = {"Key": "team", "Value": "billing"}


@pytest.mark.parametrize(
    ("operation", "parameters", "key", "value"),
    [
        (
            "kms:ScheduleKeyDeletion",
            {"KeyId": ALIAS, "PendingWindowInDays": 7},
            "kms:ScheduleKeyDeletionPendingWindowInDays",
            "7",
        ),
        ("kms:DescribeKey", {"KeyId": ALIAS}, "kms:RequestAlias", ALIAS),
        ("kms:DescribeKey", {"KeyId": DEMO.key_id(ALIAS)}, "kms:ResourceAliases", ALIAS),
        ("kms:TagResource", {"KeyId": ALIAS, "Tags": [{"TagKey": "team", "TagValue": "x"}]}, "aws:RequestTag/team", "x"),
        (
            "secretsmanager:DeleteSecret",
            {"SecretId": "staging/db/password", "ForceDeleteWithoutRecovery": True},
            "secretsmanager:ForceDeleteWithoutRecovery",
            "true",
        ),
        ("s3:ListObjectsV2", {"Bucket": STAGING_BUCKET, "Prefix": "a"}, "s3:prefix", "a"),
        ("s3:PutObject", {"Bucket": STAGING_BUCKET, "Key": "k", "ACL": "public-read"}, "s3:x-amz-acl", "public-read"),
        ("rds:AddTagsToResource", {"ResourceName": DEMO.database_arn(DATABASE), "Tags": [TAG]}, "aws:RequestTag/team", "billing"),
        ("rds:AddTagsToResource", {"ResourceName": DEMO.database_arn(DATABASE), "Tags": [TAG]}, "aws:TagKeys", "team"),
        ("ec2:CreateTags", {"Resources": [INSTANCE], "Tags": [TAG]}, "aws:RequestTag/team", "billing"),
        (
            "ec2:CreateVolume",
            {"AvailabilityZone": "eu-west-1a", "TagSpecifications": [{"ResourceType": "volume", "Tags": [TAG]}]},
            "aws:RequestTag/team",
            "billing",
        ),
    ],
)
def test_conditions_see_the_parameters(
    judge: Judge, iam: IAMBackend, operation: str, parameters: dict[str, Any], key: str, value: str
) -> None:
    """The service's condition keys that are named after a parameter have its value, and tags in the request are keys."""
    key_policy = kms_backends[DEMO.account][DEMO.region].keys[DEMO.key_id(ALIAS)]
    key_policy.policy = policy_of({"AWS": DEMO.account}, "Allow", "kms:*")
    service = operation.partition(":")[0]
    for wanted, allowed in ((value, True), ("something else", False)):
        attach(iam, DEMO.inbox_user, allow(f"{service}:*", Condition={"ForAnyValue:StringEquals": {key: wanted}}))
        assert (judge(DEMO.inbox_user, operation, **parameters) is None) is allowed


STEPS = [
    ("rds:DeleteDBInstance", {"DBInstanceIdentifier": DATABASE, "SkipFinalSnapshot": True}),
    ("rds:DeleteDBInstance", {"DBInstanceIdentifier": DATABASE, "FinalDBSnapshotIdentifier": "last-of-billing"}),
    ("rds:ModifyDBInstance", {"DBInstanceIdentifier": "prod-ledger", "DeletionProtection": False, "ApplyImmediately": True}),
    ("kms:ScheduleKeyDeletion", {"KeyId": DEMO.key_id(ALIAS), "PendingWindowInDays": 7}),
    ("kms:DisableKey", {"KeyId": DEMO.key_id(ALIAS)}),
    ("s3:DeleteBucket", {"Bucket": BUCKET}),
    ("ec2:TerminateInstances", {"InstanceIds": [INSTANCE]}),
    ("secretsmanager:DeleteSecret", {"SecretId": "prod/db/password"}),
    ("dynamodb:DeleteTable", {"TableName": "prod-orders"}),
]


@pytest.mark.parametrize(("operation", "parameters"), STEPS)
def test_a_steps_own_session_is_enough_for_it(judge: Judge, operation: str, parameters: dict[str, Any]) -> None:
    """The generated role and a step's session policies: the acting one allows the call and no look, the reading one the looks."""
    step = Step(catalog.get(operation).service, operation.partition(":")[2], parameters)
    acting, reading = (_session_of(step, acting=acting) for acting in (True, False))
    assert judge(acting, operation, **parameters) is None
    assert judge(reading, operation, **parameters) is not None
    for look, given in target.readings(catalog.get(operation), step):
        assert judge(reading, look.full_name, **given) is None
        assert judge(acting, look.full_name, **given) is not None


def _session_of(step: Step, *, acting: bool) -> Caller:
    document = json.loads(rights.policy(step, Where(DEMO.account, DEMO.region, DEMO.partition), acting=acting))
    caller = executor()
    assert caller.session
    return replace(caller, session=replace(caller.session, policies=(Policy(Kind.SESSION, document),)))


def test_a_call_needs_its_other_actions_too(judge: Judge) -> None:
    """A deletion that makes a final snapshot asks for the right to make one; without a snapshot it does not."""
    resources = [DEMO.database_arn(DATABASE), DEMO.arn("rds", "snapshot:last")]
    deleting = executor("rds:DeleteDBInstance", resource=resources)
    target = {"DBInstanceIdentifier": DATABASE}
    assert judge(deleting, "rds:DeleteDBInstance", **target, SkipFinalSnapshot=True) is None
    said = judge(deleting, "rds:DeleteDBInstance", **target, FinalDBSnapshotIdentifier="last")
    assert said is not None
    assert "rds:CreateDBSnapshot on resource: " in said
    both = executor("rds:DeleteDBInstance", "rds:CreateDBSnapshot", resource=resources)
    assert judge(both, "rds:DeleteDBInstance", **target, FinalDBSnapshotIdentifier="last") is None
