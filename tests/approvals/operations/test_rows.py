"""The curated rows: every name in them is one that AWS has, and the checks that say so are not blind."""

from __future__ import annotations

import copy
import json
from importlib import resources
from typing import Any

import pytest

from approvals.errors import BadParameters
from approvals.operations import catalog, inputs
from approvals.operations.facts import rows
from tests.approvals.operations import row_ways_back
from tests.approvals.operations.row_checks import NOT_MODELLED, problems
from tests.approvals.operations.row_expressions import ANSWERED_OTHERWISE

# Those that the product promises to know, by boto3's names.
LISTED = (
    *("dynamodb", "rds", "docdb", "neptune", "elasticache", "memorydb", "redshift", "redshift-serverless", "opensearch"),
    *("s3", "kms", "secretsmanager", "efs", "backup", "ec2", "cloudformation", "ecs", "eks", "route53", "iam", "organizations"),
)


@pytest.mark.parametrize("name", sorted(rows()))
def test_every_name_in_a_row_is_one_that_aws_has(name):
    """Members, operations, expressions, waiters, error codes, IAM actions and ARNs of a row stand in AWS's own tables."""
    assert problems(name, rows()[name]) == []


@pytest.mark.parametrize("name", sorted(name for name, row in rows().items() if row.keys() & {"protects", "reverse"}))
def test_every_backup_and_way_back_in_a_row_is_one_that_aws_has(name):
    """Expressions of what protects and of what takes a call back give what botocore's models take."""
    assert row_ways_back.problems(name) == []


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("dynamodb:CreateBackup", "protects.losses", {"dynamodb:DropTable": {"TableName": "TableName"}}),
        ("dynamodb:CreateBackup", "protects.losses", {"dynamodb:UpdateTable": {"TableName": "TableName"}}),
        ("dynamodb:CreateBackup", "protects.losses", {"dynamodb:DeleteTable": {"Table": "TableName"}}),
        ("dynamodb:CreateBackup", "protects.losses", {"dynamodb:DeleteTable": {"TableName": "Name"}}),
        ("dynamodb:CreateBackup", "protects.losses", {"dynamodb:DeleteTable": {"BackupName": None}}),
        ("dynamodb:CreateBackup", "protects.losses", {"ec2:TerminateInstances": {"TableName": "InstanceIds"}}),
        ("dynamodb:CreateBackup", "protects.losses", {}),
        ("dynamodb:CreateBackup", "protects.itself", True),
        ("dynamodb:CreateBackup", "protects.when", "Backup == `null`"),
        ("dynamodb:CreateBackup", "protects.backup.operation", "DeleteBackup"),
        ("dynamodb:CreateBackup", "protects.backup.parameters", {}),
        ("dynamodb:CreateBackup", "protects.backup.parameters", {"BackupArn": "answer.BackupArn"}),
        ("dynamodb:CreateBackup", "protects.backup.result", "Backup"),
        ("dynamodb:CreateBackup", "protects.backup.usable", "BackupStatus"),
        ("dynamodb:CreateBackup", "protects.backup.value", "USABLE"),
        ("dynamodb:CreateBackup", "protects.backup.failed", ["GONE"]),
        ("dynamodb:CreateBackup", "protects.backup.made", "BackupDetails.Arn"),
        ("ec2:CreateSnapshot", "protects.backup.made", "arn:{partition}:ec2:{region}::snapshot/{Snapshot}"),
        ("dynamodb:CreateBackup", "protects.backup.same", {"SourceTableDetails.TableId": "Id"}),
        ("rds:DeleteDBInstance", "protects.when", ""),
        ("dynamodb:DeleteTable", "reverse.0.lost", "everything"),
        ("dynamodb:DeleteTable", "reverse.0.title", "Restore it."),
        ("dynamodb:DeleteTable", "reverse.0.when", "call.Table"),
        ("dynamodb:DeleteTable", "reverse.0.steps", []),
        ("dynamodb:DeleteTable", "reverse.0.steps.0.operation", "dynamodb:RestoreTable"),
        ("dynamodb:DeleteTable", "reverse.0.steps.0.parameters", {"TableName": "call.TableName"}),
        ("dynamodb:DeleteTable", "reverse.0.steps.0.parameters", {"TargetTableName": "call.Name"}),
        ("dynamodb:DeleteTable", "reverse.0.steps.0.parameters", {"TargetTableName": "[call.TableName]"}),
    ],
)
def test_a_wrong_backup_or_way_back_is_found(name, path, value):
    """Each wrong name, expression or value alone is a problem: the checks are not blind."""
    row: Any = copy.deepcopy(dict(rows()[name]))
    *way, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    place: Any = row
    for part in way:
        place = place[part]
    place[last] = value
    assert row_ways_back.problems(name, row)


def test_every_listed_service_has_rows():
    """At least eighty rows, and at least one for each service that the product promises to know."""
    assert len(rows()) >= 80
    assert set(LISTED) - {name.partition(":")[0] for name in rows()} == set()


def test_a_row_stands_in_the_file_of_its_service():
    """`data/rows/<service>.json` holds the rows of that service alone, so that nobody looks for one in vain."""
    for file in resources.files("approvals.operations.data").joinpath("rows").iterdir():
        if file.name.endswith(".json"):
            assert {name.partition(":")[0] for name in json.loads(file.read_text("utf-8"))} == {file.name.removesuffix(".json")}


def test_no_exception_outlives_its_row():
    """An error code or value that is excused from the models is one that a row still uses."""
    gone = {(name.partition(":")[0], code) for name, row in rows().items() for code in row["settled"].get("gone", ())}
    assert {(service, code) for service, codes in NOT_MODELLED.items() for code in codes} <= gone
    text = json.dumps([row for name, row in rows().items() if name.startswith("ec2:")])
    assert all(f'"{value}"' in text or f"'{value}'" in text for values in ANSWERED_OTHERWISE.values() for value in values)


@pytest.mark.parametrize(
    ("name", "member", "default"),
    [
        ("rds:DeleteDBInstance", "DeleteAutomatedBackups", True),
        ("rds:DeleteDBInstance", "SkipFinalSnapshot", False),
        ("rds:DeleteDBCluster", "DeleteAutomatedBackups", True),
        ("redshift:DeleteCluster", "FinalClusterSnapshotRetentionPeriod", -1),
        ("elasticache:DeleteReplicationGroup", "FinalSnapshotIdentifier", None),
        ("kms:ScheduleKeyDeletion", "PendingWindowInDays", 30),
        ("secretsmanager:DeleteSecret", "ForceDeleteWithoutRecovery", False),
    ],
)
def test_what_aws_takes_when_a_dangerous_member_is_left_out_is_known(name, member, default):
    """A reviewer is shown the default that destroys, although the call does not carry it."""
    danger = catalog.get(name).facts.dangerous[member]
    assert danger.has_default
    assert danger.default == default


@pytest.mark.parametrize(
    "names",
    [
        ["dynamodb:DeleteTable", "dynamodb:UpdateTimeToLive"],
        ["dynamodb:DeleteBackup", "dynamodb:UpdateContinuousBackups"],
        ["rds:DeleteDBCluster", "docdb:DeleteDBCluster", "neptune:DeleteDBCluster"],
        ["rds:DeleteDBSnapshot", "rds:DeleteDBInstanceAutomatedBackup", "docdb:DeleteDBClusterSnapshot"],
        ["opensearch:DeleteDomain", "es:DeleteElasticsearchDomain", "opensearchserverless:DeleteCollection"],
        ["redshift:DeleteClusterSnapshot", "redshift:BatchDeleteClusterSnapshots", "redshift:ModifyClusterSnapshot"],
        ["kms:ScheduleKeyDeletion", "kms:DisableKey"],
    ],
)
def test_ways_to_the_same_loss_are_of_one_family(names):
    """A guardrail on a family is not walked around by another call with the same end."""
    assert len({catalog.get(name).facts.family for name in names}) == 1


def test_deletion_protection_comes_with_the_call_that_switches_it_off():
    """Where AWS refuses a deletion until protection is off, the plan of two calls is offered ready made."""
    clusters = [f"{service}:DeleteDBCluster" for service in ("rds", "docdb", "neptune")]
    for name in ("dynamodb:DeleteTable", "rds:DeleteDBInstance", *clusters):
        needed = [ready for ready in catalog.get(name).facts.before if ready.needed]
        assert [ready.when for ready in needed] in (["DeletionProtection"], ["DeletionProtectionEnabled"]), name


INSTANCE, TABLE, TTL = "rds:DeleteDBInstance", "dynamodb:DeleteTable", "dynamodb:UpdateTimeToLive"
GROUP, BATCH, CLUSTER = "elasticache:ModifyReplicationGroup", "redshift:BatchDeleteClusterSnapshots", "rds:ModifyDBCluster"


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        (TABLE, "family", "Table_Loss"),
        (TABLE, "does", "delete table {Tablename}"),
        (TABLE, "undo", ""),
        (TABLE, "lost", "everything"),
        (TABLE, "repeatable", "no"),
        (TABLE, "kind", "an unknown key"),
        (TABLE, "identifies", ["TableNames"]),
        (TABLE, "iam_action", "dynamodb:DropTable"),
        (TABLE, "iam_action", "dynamodb:deleteTable"),
        (TABLE, "resources", ["arn:{partition}:dynamodb:{region}:{account}:tables/{TableName}"]),
        (TABLE, "resources", ["arn:{partition}:dynamodb:{region}:{account}:table/{Name}"]),
        (TABLE, "resources", ["{TableNamed}"]),
        (TABLE, "patterns", {"TableName": "[a-z"}),
        (TABLE, "patterns", {"Table": "[a-z]+"}),
        (TABLE, "describe.operation", "DescribeTables"),
        (TABLE, "describe.operation", "UpdateTable"),
        (TABLE, "describe.parameters", {"Table": "TableName"}),
        (TABLE, "describe.parameters", {"TableName": "Name"}),
        (TABLE, "describe.parameters", {"TableName": "[TableName]"}),
        (TABLE, "describe.parameters", {}),
        (TABLE, "describe.result", "Tables"),
        (TABLE, "describe.result", "Table["),
        (TABLE, "describe.identity", ["TableID"]),
        (TABLE, "settled", {}),
        (TABLE, "settled", {"gone": ["ResourceNotFound"]}),
        (TABLE, "settled", {"expression": "TableStatus", "value": "Active"}),
        (TABLE, "settled", {"expression": "TableStatus == 'GONE'", "value": True}),
        (TABLE, "settled", {"expression": "contains(['ACTIVE', 'GONE'], TableStatus)", "value": True}),
        (TABLE, "settled", {"waiter": "table_missing", "parameters": {"TableName": "TableName"}}),
        (TABLE, "settled", {"waiter": "table_not_exists", "parameters": {"Table": "TableName"}}),
        (TABLE, "settled", {"at_once": True, "gone": ["ResourceNotFoundException"]}),
        (TABLE, "untouched", {"expression": "Status", "value": "ACTIVE"}),
        (TABLE, "untouched", {"expression": "TableStatus", "value": "DONE"}),
        (TABLE, "before.0.operation", "dynamodb:ChangeTable"),
        (TABLE, "before.0.parameters", {"TableName": "{TableName}", "DeletionProtection": False}),
        (TABLE, "before.0.parameters", {"TableName": "{Name}", "DeletionProtectionEnabled": False}),
        (TABLE, "before.0.parameters", {"TableName": "{TableName}", "BillingMode": "FREE"}),
        (TABLE, "before.0.when", "DeletionProtection"),
        ("dynamodb:UpdateTable", "untouched.unless", {"Billing": "BillingModeSummary.BillingMode"}),
        ("dynamodb:UpdateTable", "untouched.unless", {"BillingMode": "BillingModeSummary.Mode"}),
        ("dynamodb:UpdateTable", "also_needs.0.action", "dynamodb:DeleteReplica"),
        ("dynamodb:UpdateTable", "also_needs.0.when", "ReplicaUpdates[?Remove]"),
        (TTL, "dangerous", {"TimeToLive": {"why": "no such member"}}),
        (TTL, "dangerous", {"TimeToLiveSpecification.Enable": {"why": "no such member"}}),
        (TTL, "dangerous", {"TimeToLiveSpecification.Enabled": {"why": "no boolean", "default": "true"}}),
        (INSTANCE, "dangerous", {"SkipFinalSnapshot": {"why": "no boolean", "default": 0}}),
        (INSTANCE, "dangerous", {"DBInstanceIdentifier": {"why": "cannot be left out", "default": None}}),
        (INSTANCE, "dangerous.FinalDBSnapshotIdentifier.wanted", "!SkipSnapshot"),
        (INSTANCE, "dangerous.SkipFinalSnapshot.wanted", "!FinalDBSnapshotIdentifier"),
        (INSTANCE, "settled", {"gone": ["DBInstanceNotFoundFault"]}),
        (INSTANCE, "resources", ["arn:{partition}:rds:{region}:{account}:cluster:{DBInstanceIdentifier}"]),
        (INSTANCE, "secret", ["Password"]),
        (CLUSTER, "secret", ["MasterUserPassword"]),
        (CLUSTER, "also_needs.0.resources", ["arn:{partition}:rds:{region}:{account}:cluster-pg:{ParameterGroup}"]),
        (GROUP, "describe.result", "ReplicationGroup[0]"),
        (GROUP, "settled", {"expression": "MultiAZ", "value": "on"}),
        (BATCH, "partial", "Failures"),
        ("dynamodb:DeleteTables", "does", "delete tables"),
    ],
)
def test_a_wrong_name_fails(name: str, path: str, value: Any):
    """Whatever is misspelt in a sound row is found: a name, a value, an expression, a placeholder."""
    row: Any = copy.deepcopy(rows().get(name, rows()[TABLE]))
    *way, last = path.split(".")
    inner: Any = row
    for part in way:
        inner = inner[int(part)] if part.isdecimal() else inner[part]
    inner[last] = value
    assert problems(name, row) != []


@pytest.mark.parametrize("key", ["does", "undo", "lost", "describe", "settled", "identifies", "resources", "dangerous"])
def test_a_row_says_everything(key: str):
    """What is left out of a row would silently be guessed from the model."""
    row = {name: value for name, value in rows()[TABLE].items() if name != key}
    assert problems(TABLE, row) != []


def test_a_stack_is_only_deleted_by_a_role_of_its_own():
    """What a row demands beyond AWS is refused beside its field, with the reason."""
    operation = catalog.get("cloudformation:DeleteStack")
    with pytest.raises(BadParameters) as refused:
        inputs.check(operation, {"StackName": "prod"})
    assert "Name the role" in refused.value.fields["RoleARN"][0]
    inputs.check(operation, {"StackName": "prod", "RoleARN": "arn:aws:iam::111122223333:role/cloudformation"})
