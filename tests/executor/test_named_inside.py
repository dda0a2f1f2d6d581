"""What a call names in a structure, or by a longer name: its session is for that, and for nothing else of the kind."""

from __future__ import annotations

from typing import Any

import pytest

from approvals.operations import catalog, inside
from approvals.operations.resources import Where
from approvals.plan import Step
from executor import answers, aws, claim, readying, target
from executor.sandbox.world import DEMO
from tests.executor.own_guardrails import cast, facts  # noqa: F401 - fixtures
from tests.executor.stage import Stage
from tests.executor.test_steps import approved

OPERATIONS = ("dynamodb:BatchWriteItem",)
PLACE = Where("111122223333", "eu-west-1")
TABLE = "arn:aws:dynamodb:eu-west-1:111122223333:table/"
INSTANCE = "arn:aws:ec2:eu-west-1:111122223333:instance/"
SNAPSHOT = "arn:aws:ec2:eu-west-1::snapshot/"
RULE = "arn:aws:securityhub:eu-west-1:111122223333:automation-rule/"


def batch(table: str) -> dict[str, Any]:
    return {"RequestItems": {table: [{"DeleteRequest": {"Key": {"id": {"S": "1"}}}}]}}


def test_a_session_in_hand_is_for_the_tables_of_its_batch(stage: Stage) -> None:
    """A worker made to write to another table than the batch that was signed names is denied; to that one it may."""
    execution = approved(stage, Step("dynamodb", "BatchWriteItem", batch("prod-orders")))
    with stage.acting("execution"):
        cleared = claim.take(execution.pk)
        assert isinstance(cleared, claim.Cleared), cleared
        session = readying.assume(cleared, 0, cleared.plan.steps[0])
        assert isinstance(session, aws.Session)
        with session:
            other = session.mutate("dynamodb", "BatchWriteItem", batch("prod-customers"))
            own = session.mutate("dynamodb", "BatchWriteItem", batch("prod-orders"))
    assert isinstance(other, answers.Rejected)
    assert "AccessDenied" in other.code
    assert not isinstance(own, answers.Rejected) or "AccessDenied" not in own.code, own


@pytest.mark.parametrize(
    ("name", "parameters", "arns"),
    [
        ("dynamodb:BatchWriteItem", batch("a") | {"ReturnConsumedCapacity": "TOTAL"}, [f"{TABLE}a"]),
        ("dynamodb:BatchWriteItem", batch(f"{TABLE}a"), [f"{TABLE}a"]),
        ("dynamodb:RestoreTableToPointInTime", {"SourceTableName": "a", "TargetTableName": "b"}, [f"{TABLE}a", f"{TABLE}b"]),
        (
            "dynamodb:RestoreTableToPointInTime",
            {"SourceTableArn": f"{TABLE}a", "TargetTableName": "b"},
            [f"{TABLE}a", f"{TABLE}b"],
        ),
        (
            "ec2:DisableFastSnapshotRestores",
            {"SourceSnapshotIds": ["snap-1", "snap-2"]},
            [f"{SNAPSHOT}snap-1", f"{SNAPSHOT}snap-2"],
        ),
        ("ec2:ModifyInstanceCreditSpecification", {"InstanceCreditSpecifications": [{"InstanceId": "i-1"}]}, [f"{INSTANCE}i-1"]),
        ("securityhub:BatchDeleteAutomationRules", {"AutomationRulesArns": [f"{RULE}x"]}, [f"{RULE}x"]),
        # What is made has no name yet: what it is made of is none of it.
        ("ec2:CopySnapshot", {"SourceSnapshotId": "snap-1", "SourceRegion": "eu-west-1"}, [f"{SNAPSHOT}*"]),
        # Nor of what is begun.
        ("fis:StartExperiment", {"experimentTemplateId": "EXT1"}, ["arn:aws:fis:eu-west-1:111122223333:experiment/*"]),
        # A placeholder that says nothing of whose id it is, and one that AWS writes otherwise.
        ("kms:ReEncrypt", {"DestinationKeyId": "k"}, ["arn:aws:kms:eu-west-1:111122223333:key/*"]),
        ("omics:DeleteRunBatch", {"batchId": "7"}, ["arn:aws:omics:eu-west-1:111122223333:run/*"]),
        ("fms:PutPolicy", {"Policy": {"ResourceSetIds": ["r"]}}, ["arn:aws:fms:eu-west-1:111122223333:policy/*"]),
        (
            "glue:DeleteSchema",
            {"SchemaId": {"RegistryName": "r", "SchemaName": "s"}},
            ["arn:aws:glue:eu-west-1:111122223333:schema/*"],
        ),
        # A name that is a pattern, or an ARN of another kind or place, is none.
        ("dynamodb:BatchWriteItem", batch("a*"), [f"{TABLE}*"]),
        ("dynamodb:BatchWriteItem", batch(f"{INSTANCE}i-1"), [f"{TABLE}*"]),
        # AWS knows a proxy by an id that the call does not have.
        ("rds:ModifyDBProxy", {"DBProxyName": "p"}, ["arn:aws:rds:eu-west-1:111122223333:db-proxy:*"]),
    ],
)
def test_what_is_named_inside(name: str, parameters: dict[str, Any], arns: list[str]) -> None:
    """Members that end like the ARN's placeholder, keys of maps and whole ARNs, however deep; where none is, the kind stays."""
    pattern = arns[0] if arns[0].endswith("*") else f"{arns[0].rsplit('/', 1)[0]}/*"
    assert [*inside.named(catalog.get(name), parameters, PLACE, [pattern])] == arns


def test_what_a_template_names_stays() -> None:
    """Only what stands for everything of a kind gives way."""
    step = Step("dynamodb", "DeleteTable", {"TableName": "a"})
    assert f'"{TABLE}a"' in target.policy(step, PLACE, acting=True)
    assert inside.named(catalog.get(step.name), step.parameters, PLACE, [f"{TABLE}b"]) == (f"{TABLE}b",)
    assert DEMO.account == PLACE.account
