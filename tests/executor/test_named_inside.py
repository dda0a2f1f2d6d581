"""What a call names in a structure, or by a longer name: its session is for that, and for nothing else of the kind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from approvals.operations import catalog, inside
from approvals.operations.resources import Where
from approvals.plan import Step
from executor import answers, aws, claim, readying, rights
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
    assert f'"{TABLE}a"' in rights.policy(step, PLACE, acting=True)
    assert inside.named(catalog.get(step.name), step.parameters, PLACE, [f"{TABLE}b"]) == (f"{TABLE}b",)
    assert DEMO.account == PLACE.account


EVENTS = "arn:aws:events:eu-west-1:111122223333:rule/"
FUNCTION = "arn:aws:lambda:eu-west-1:111122223333:function:f"
INSTANCE_OF_RDS = "arn:aws:rds:eu-west-1:111122223333:db:prod"
ROLE, OTHER = (f"arn:aws:iam::111122223333:role/{name}" for name in ("paths/too/run", "other"))


def allowed(name: str, **parameters: Any) -> dict[str, list[str]]:
    """What the session for a call allows, by action."""
    service, _, operation = name.partition(":")
    policy = json.loads(rights.policy(Step(service, operation, parameters), PLACE, acting=True))
    found: dict[str, list[str]] = {}
    for statement in policy["Statement"]:
        for action in statement["Action"]:
            found.setdefault(action, []).extend(statement["Resource"])
    return found


@pytest.mark.parametrize(
    ("bus", "arns"),
    [({"EventBusName": "bus"}, {f"{EVENTS}bus/r"}), ({"EventBusName": "default"}, {f"{EVENTS}r"}), ({}, {f"{EVENTS}r"})],
    ids=["its own bus", "the default one named", "the default one"],
)
@pytest.mark.parametrize(("name", "member"), [("events:DisableRule", "Name"), ("events:PutTargets", "Rule")])
def test_a_session_is_for_the_rule_on_its_bus(name: str, member: str, bus: dict[str, str], arns: set[str]) -> None:
    """A rule of that name on another bus is another rule, which nobody has signed."""
    targets = {"Targets": [{"Id": "1", "Arn": FUNCTION}]} if member == "Rule" else {}
    # What no bus of that name has is no rule.
    assert set(allowed(name, **{member: "r"}, **bus, **targets)[name]) - {f"{EVENTS}default/r"} == arns


@pytest.mark.parametrize(
    ("name", "parameters", "arn"),
    [
        ("rds:ApplyPendingMaintenanceAction", {"ResourceIdentifier": INSTANCE_OF_RDS, "ApplyAction": "a"}, INSTANCE_OF_RDS),
        ("lambda:TagResource", {"Resource": FUNCTION, "Tags": {"a": "b"}}, FUNCTION),
    ],
)
def test_a_session_is_for_the_arn_that_only_the_call_says(name: str, parameters: dict[str, Any], arn: str) -> None:
    """No template knows the member; the ARN is of a kind that the action acts on, and the session is for nothing else."""
    assert allowed(name, **parameters) == {name: [arn]}


@pytest.mark.parametrize(
    ("name", "parameters", "roles"),
    [
        ("lambda:CreateFunction", {"FunctionName": "f", "Role": ROLE}, [ROLE]),
        ("ecs:RegisterTaskDefinition", {"family": "f", "taskRoleArn": ROLE, "executionRoleArn": OTHER}, [ROLE, OTHER]),
        ("events:PutTargets", {"Rule": "r", "Targets": [{"Id": "1", "Arn": FUNCTION, "RoleArn": ROLE}]}, [ROLE]),
        ("cloudformation:CreateChangeSet", {"StackName": "s", "ChangeSetName": "c", "RoleARN": ROLE}, [ROLE]),
        ("rds:AddRoleToDBInstance", {"DBInstanceIdentifier": "d", "RoleArn": ROLE, "FeatureName": "s3"}, [ROLE]),
        # What is no whole role, or is no role's member, or is acted on itself, is not passed.
        ("lambda:CreateFunction", {"FunctionName": "f", "Role": f"{ROLE}*"}, None),
        ("lambda:CreateFunction", {"FunctionName": "f", "Description": ROLE}, None),
        ("iam:AttachRolePolicy", {"RoleName": "r", "PolicyArn": "arn:aws:iam::111122223333:policy/p"}, None),
        ("dynamodb:DeleteTable", {"TableName": "t"}, None),
    ],
)
def test_a_session_may_pass_the_roles_that_the_call_gives_away(
    name: str, parameters: dict[str, Any], roles: list[str] | None
) -> None:
    """AWS asks whoever gives a role to a service whether he may: for the very roles that were signed, and no other."""
    assert allowed(name, **parameters).get("iam:PassRole") == roles
