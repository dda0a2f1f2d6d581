"""A target swapped by an outsider between two steps of a plan, where what AWS tells could have shown it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from approvals.plan import Step
from executor import run
from executor.sandbox.world import DEMO
from tests.executor.own_guardrails import BUCKET, cast, client, facts  # noqa: F401 - fixtures
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_drift import swapped
from tests.executor.test_steps import approved

OPERATIONS = (
    "dynamodb:DeleteTable",
    "dynamodb:RestoreTableToPointInTime",
    "logs:CreateExportTask",
    "logs:DeleteLogGroup",
    "rds:CreateDBInstanceReadReplica",
    "rds:CopyDBSnapshot",
    "rds:DeleteDBInstance",
    "rds:DeleteDBSnapshot",
    "s3:DeleteBucketPolicy",
    "s3:DeleteBucketWebsite",
    "s3:DeleteObject",
    "s3:DeletePublicAccessBlock",
    "s3:PutBucketPolicy",
    "s3:PutBucketVersioning",
    "s3:PutPublicAccessBlock",
)


def restored_elsewhere_then_deleted(stage: Stage) -> tuple[tuple[Step, ...], Callable[[], None]]:
    with client(stage, "dynamodb") as dynamodb:
        dynamodb.update_continuous_backups(
            TableName="prod-orders", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
    return (
        Step(
            "dynamodb",
            "RestoreTableToPointInTime",
            {"SourceTableName": "prod-orders", "TargetTableName": "orders-kept", "UseLatestRestorableTime": True},
        ),
        Step("dynamodb", "DeleteTable", {"TableName": "prod-orders"}),
    ), swapped


def an_object_after_another(stage: Stage) -> tuple[tuple[Step, ...], Callable[[], None]]:
    def written() -> None:
        with client(stage, "s3") as s3:
            s3.put_object(Bucket=BUCKET, Key="b", Body=b"what everybody needs now")

    with client(stage, "s3") as s3:
        s3.put_object(Bucket=BUCKET, Key="a", Body=b"x")
        s3.put_object(Bucket=BUCKET, Key="b", Body=b"x")
    return (
        Step("s3", "DeleteObject", {"Bucket": BUCKET, "Key": "a"}),
        Step("s3", "DeleteObject", {"Bucket": BUCKET, "Key": "b"}),
    ), written


def a_policy_then_an_object(stage: Stage) -> tuple[tuple[Step, ...], Callable[[], None]]:
    (_, second), written = an_object_after_another(stage)
    return (Step("s3", "DeleteBucketPolicy", {"Bucket": BUCKET}), second), written


def a_setting_then_the_policy(stage: Stage) -> tuple[tuple[Step, ...], Callable[[], None]]:
    def policy(action: str) -> None:
        allowed = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": f"arn:aws:s3:::{BUCKET}/*"}
        with client(stage, "s3") as s3:
            s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))

    policy("s3:GetObject")
    return (
        Step("s3", "PutPublicAccessBlock", {"Bucket": BUCKET, "PublicAccessBlockConfiguration": {"BlockPublicAcls": True}}),
        Step("s3", "DeleteBucketPolicy", {"Bucket": BUCKET}),
    ), lambda: policy("s3:PutObject")


VERSIONING = Step("s3", "PutBucketVersioning", {"Bucket": BUCKET, "VersioningConfiguration": {"Status": "Enabled"}})
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}],
    }
)
BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def a_website_after_versioning(stage: Stage) -> tuple[tuple[Step, ...], Callable[[], None]]:
    def website(index: str) -> None:
        with client(stage, "s3") as s3:
            s3.put_bucket_website(Bucket=BUCKET, WebsiteConfiguration={"IndexDocument": {"Suffix": index}})

    website("old.html")
    return (VERSIONING, Step("s3", "DeleteBucketWebsite", {"Bucket": BUCKET})), lambda: website("new.html")


def a_block_after_versioning(stage: Stage) -> tuple[tuple[Step, ...], Callable[[], None]]:
    def block(*which: str) -> None:
        with client(stage, "s3") as s3:
            s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration={one: one in which for one in BLOCKS})

    block()
    return (VERSIONING, Step("s3", "DeletePublicAccessBlock", {"Bucket": BUCKET})), lambda: block(*BLOCKS)


def a_policy_that_was_not_there(stage: Stage) -> tuple[tuple[Step, ...], Callable[[], None]]:
    def put() -> None:
        with client(stage, "s3") as s3:
            s3.put_bucket_policy(Bucket=BUCKET, Policy=POLICY)

    return (VERSIONING, Step("s3", "PutBucketPolicy", {"Bucket": BUCKET, "Policy": POLICY})), put


def a_policy_that_goes(stage: Stage) -> tuple[tuple[Step, ...], Callable[[], None]]:
    def gone() -> None:
        with client(stage, "s3") as s3:
            s3.delete_bucket_policy(Bucket=BUCKET)

    (_, put), puts = a_policy_that_was_not_there(stage)
    puts()
    return (VERSIONING, put), gone


def exported_then_deleted(stage: Stage) -> tuple[tuple[Step, ...], Callable[[], None]]:
    def anew() -> None:
        with client(stage, "logs") as logs:
            logs.delete_log_group(logGroupName="g")
            logs.create_log_group(logGroupName="g")

    with client(stage, "logs") as logs:
        logs.create_log_group(logGroupName="g")
    return (
        Step("logs", "CreateExportTask", {"logGroupName": "g", "from": 0, "to": 1, "destination": BUCKET}),
        Step("logs", "DeleteLogGroup", {"logGroupName": "g"}),
    ), anew


def a_replica_then_its_source_goes(stage: Stage) -> tuple[tuple[Step, ...], Callable[[], None]]:
    base: dict[str, Any] = {
        "DBInstanceIdentifier": "old",
        "DBInstanceClass": "db.t3.micro",
        "Engine": "mysql",
        "MasterUsername": "u",
        "MasterUserPassword": "password1",
        "AllocatedStorage": 20,
    }

    def anew() -> None:
        from moto.rds.models import rds_backends

        database = rds_backends[DEMO.account][DEMO.region].databases["old"]
        database.dbi_resource_id = "db-ANOTHERONE"

    with client(stage, "rds") as rds:
        rds.create_db_instance(**base)
    return (
        Step("rds", "CreateDBInstanceReadReplica", {"SourceDBInstanceIdentifier": "old", "DBInstanceIdentifier": "new"}),
        Step("rds", "DeleteDBInstance", {"DBInstanceIdentifier": "old", "SkipFinalSnapshot": True}),
    ), anew


def an_object_that_was_not_there(stage: Stage) -> tuple[tuple[Step, ...], Callable[[], None]]:
    def written() -> None:
        with client(stage, "s3") as s3:
            s3.put_object(Bucket=BUCKET, Key="c", Body=b"what everybody needs now")

    (first, _), _ = an_object_after_another(stage)
    return (first, Step("s3", "DeleteObject", {"Bucket": BUCKET, "Key": "c"})), written


@pytest.mark.parametrize(
    "plan",
    [
        restored_elsewhere_then_deleted,
        an_object_after_another,
        an_object_that_was_not_there,
        a_policy_then_an_object,
        a_setting_then_the_policy,
        a_website_after_versioning,
        a_block_after_versioning,
        a_policy_that_was_not_there,
        a_policy_that_goes,
        exported_then_deleted,
        a_replica_then_its_source_goes,
    ],
    ids=lambda plan: plan.__name__.replace("_", " "),
)
@pytest.mark.parametrize("is_swapped", [True, False], ids=["swapped", "left alone"])
def test_what_was_swapped_between_two_steps_is_left_alone(stage: Stage, plan: Any, *, is_swapped: bool) -> None:
    """The first step names the target without making it anew: what stands there now is another thing, and stays."""
    steps, swap = plan(stage)
    execution = approved(stage, *steps)
    with stage.acting("execution"):
        run.carry_out(execution.pk)
    assert attempts(execution)[-1:] == ["succeeded"], (fresh(execution).state, fresh(execution).outcome, attempts(execution))
    if is_swapped:
        swap()
    stage.sweep(4)
    state = ("failed", 1) if is_swapped else ("succeeded", 2)
    got = (fresh(execution).state, attempts(execution).count("succeeded"))
    assert got == state, fresh(execution).outcome
