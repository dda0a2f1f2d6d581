"""The IAM action of every operation, its access level, and templates of ARNs."""

from __future__ import annotations

import re

import pytest

from approvals.operations import catalog, facts, iam, placeholders, templates
from approvals.operations.iam import Level

COMMON = (
    *("dynamodb", "rds", "elasticache", "memorydb", "redshift", "opensearch", "s3", "kms", "secretsmanager", "efs", "backup"),
    *("cloudformation", "ecs", "eks", "route53", "iam", "organizations", "lambda", "sns", "sqs", "logs", "apigateway"),
)
# The services of an IAM prefix, where it is not a service of the same name.
SERVICES = {
    "elasticfilesystem": ("efs",),
    "elasticloadbalancing": ("elb", "elbv2"),
    "elasticmapreduce": ("emr",),
    "s3": ("s3", "s3control"),
    "ses": ("ses", "sesv2"),
    "rds": ("rds", "docdb", "neptune"),
    "lex": ("lex-models", "lexv2-models"),
    "mobiletargeting": ("pinpoint",),
}


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("dynamodb:DeleteTable", "dynamodb:DeleteTable"),
        ("efs:DeleteFileSystem", "elasticfilesystem:DeleteFileSystem"),
        ("opensearch:DeleteDomain", "es:DeleteDomain"),
        ("docdb:DeleteDBCluster", "rds:DeleteDBCluster"),
        ("neptune:DeleteDBCluster", "rds:DeleteDBCluster"),
        ("elbv2:DeleteLoadBalancer", "elasticloadbalancing:DeleteLoadBalancer"),
        ("sesv2:DeleteEmailIdentity", "ses:DeleteEmailIdentity"),
        ("stepfunctions:DeleteStateMachine", "states:DeleteStateMachine"),
        ("cloudwatch:DeleteAlarms", "cloudwatch:DeleteAlarms"),
        ("resourcegroupstaggingapi:TagResources", "tag:TagResources"),
        ("s3:HeadObject", "s3:GetObject"),
        ("s3:ListObjectsV2", "s3:ListBucket"),
        ("s3:DeleteObjects", "s3:DeleteObject"),
        ("s3:CreateMultipartUpload", "s3:PutObject"),
        ("s3:PutBucketLifecycleConfiguration", "s3:PutLifecycleConfiguration"),
        ("s3:DeleteBucketLifecycle", "s3:PutLifecycleConfiguration"),
        ("s3:DeletePublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
        ("s3control:PutPublicAccessBlock", "s3:PutAccountPublicAccessBlock"),
        ("lambda:Invoke", "lambda:InvokeFunction"),
        ("apigateway:DeleteRestApi", "apigateway:DELETE"),
        ("apigatewayv2:UpdateApi", "apigateway:PATCH"),
        ("sqs:SendMessageBatch", "sqs:SendMessage"),
        ("keyspaces:DeleteTable", "cassandra:Drop"),
        ("budgets:DeleteBudget", "budgets:ModifyBudget"),
        ("deadline:BatchGetJob", "deadline:GetJob"),
    ],
)
def test_the_action_is_the_one_that_policies_name(name, action):
    """Where AWS's action is not called after the operation, the table says so."""
    operation = catalog.get(name)
    assert iam.action(operation.service, operation.model) == action
    assert iam.known(action)


def test_nearly_every_operation_has_an_action_that_exists():
    """Of services in common use all, of the rest what the table has: what it lacks is newer than the table."""
    models = [catalog.service_model(service) for service in COMMON]
    operations = [(model.service_name, model.operation_model(name)) for model in models for name in model.operation_names]
    actions = {(service, model.name): iam.action(service, model) for service, model in operations}
    lacking = sorted(full for full, action in actions.items() if not iam.known(action))
    assert len(lacking) < 0.015 * len(actions), lacking


def test_every_exception_names_an_operation_and_an_action():
    """A wrong name in the data fails here."""
    for service, named in iam.exceptions()["actions"].items():
        model = catalog.service_model(service)
        for name in named:
            action = iam.action(service, model.operation_model(name))
            assert iam.known(action), (service, name, action)
            assert action.partition(":")[2] != name or action.partition(":")[0] != model.signing_name, (
                service,
                name,
                "says nothing",
            )
    for service in iam.exceptions()["prefixes"]:
        catalog.service_model(service)


@pytest.mark.parametrize(
    ("action", "level", "reads"),
    [
        ("dynamodb:DeleteTable", Level.WRITE, False),
        ("dynamodb:GetItem", Level.READ, True),
        ("s3:ListBucket", Level.LIST, True),
        ("s3:PutBucketPolicy", Level.PERMISSIONS, False),
        ("rds:AddTagsToResource", Level.TAGGING, False),
        ("nobody:Knows", Level.UNKNOWN, False),
    ],
)
def test_the_access_level_is_the_narrower_one(action, level, reads):
    """`Tagging, Write` is tagging; an action that nobody knows is not taken for one that reads."""
    assert (iam.level(action), iam.level(action).reads) == (level, reads)


@pytest.mark.parametrize(
    ("name", "reads"),
    [("dynamodb:GetItem", True), ("apigateway:GetRestApi", True), ("apigateway:DeleteRestApi", False), ("kms:ReEncrypt", False)],
)
def test_whether_a_call_only_reads_is_known_for_any(name, reads):
    """By access level, and where actions are verbs of HTTP by the operation's name."""
    assert iam.only_reads(catalog.get(name)) is reads


HERE = "{region}:{account}"


@pytest.mark.parametrize(
    ("name", "wanted", "identifies"),
    [
        ("rds:DeleteDBInstance", [f"arn:{{partition}}:rds:{HERE}:db:{{DBInstanceIdentifier}}"], ("DBInstanceIdentifier",)),
        ("ec2:TerminateInstances", [f"arn:{{partition}}:ec2:{HERE}:instance/{{InstanceIds}}"], ("InstanceIds",)),
        ("ec2:DeleteSnapshot", ["arn:{partition}:ec2:{region}::snapshot/{SnapshotId}"], ("SnapshotId",)),
        ("s3:DeleteObjects", ["arn:{partition}:s3:::{Bucket}/{Delete.Objects.Key}"], ("Bucket",)),
        ("kms:ScheduleKeyDeletion", [f"arn:{{partition}}:kms:{HERE}:key/{{KeyId}}"], ("KeyId",)),
        ("secretsmanager:DeleteSecret", [f"arn:{{partition}}:secretsmanager:{HERE}:secret:{{SecretId}}-??????"], ("SecretId",)),
        ("cloudformation:DeleteStack", [f"arn:{{partition}}:cloudformation:{HERE}:stack/{{StackName}}/*"], ("StackName",)),
        ("backup:DeleteRecoveryPoint", ["{RecoveryPointArn}"], ("RecoveryPointArn",)),
        ("sqs:PurgeQueue", [f"arn:{{partition}}:sqs:{HERE}:{{QueueUrl|queue}}"], ("QueueUrl",)),
        ("efs:DeleteMountTarget", [f"arn:{{partition}}:elasticfilesystem:{HERE}:file-system/*"], ("MountTargetId",)),
        ("route53:DeleteHostedZone", ["arn:{partition}:route53:::hostedzone/{Id|last}"], ("Id",)),
        ("ecs:DeleteService", [f"arn:{{partition}}:ecs:{HERE}:service/{{cluster}}/{{service}}"], ("service",)),
        ("eks:DeleteCluster", [f"arn:{{partition}}:eks:{HERE}:cluster/{{name}}"], ("name",)),
        (
            "apigatewayv2:DeleteStage",
            ["arn:{partition}:apigateway:{region}::/apis/{ApiId}/stages/{StageName}"],
            ("ApiId", "StageName"),
        ),
        ("iam:DeletePolicy", ["{PolicyArn}"], ("PolicyArn",)),
        ("organizations:LeaveOrganization", [], ()),
        (
            "iam:DeleteRole",
            ["arn:{partition}:iam::{account}:role/{RoleName}", "arn:{partition}:iam::{account}:role/*/{RoleName}"],
            ("RoleName",),
        ),
    ],
)
def test_templates_are_filled_by_the_members_that_name_the_resource(name, wanted, identifies):
    """By name, by AWS's other words for it, from lists, from members that hold ARNs; what no member fills is a mask."""
    operation = catalog.get(name)
    found = placeholders.derived(operation.service, operation.model)
    assert (list(found.templates), found.identifies) == (wanted, identifies)


@pytest.mark.parametrize("prefix", sorted(iam.exceptions()["names"].keys() | iam.exceptions()["allows"].keys()))
def test_members_that_the_data_names_exist(prefix):
    """A member that is misspelt in the data would silently make masks of names."""
    models = [catalog.service_model(service) for service in SERVICES.get(prefix, (prefix,))]
    shapes = [model.operation_model(name).input_shape for model in models for name in model.operation_names]
    members = {member for shape in shapes if shape is not None for member in shape.members}
    named = [path for paths in iam.exceptions()["names"].get(prefix, {}).values() for path in paths if path != "-"]
    allowed = iam.exceptions()["allows"].get(prefix, {})
    assert {re.split(r"[.|]", path)[0] for path in (*named, *allowed)} <= members


def test_the_rows_name_actions_and_kinds_of_resource_that_exist():
    """A row's action is in AWS's table; its templates are of kinds that AWS knows for the service, with members that exist."""
    for full_name in facts.rows():
        operation = catalog.get(full_name)
        assert iam.known(operation.facts.iam_action), full_name
        for text in operation.facts.resources:
            template = templates.parsed(text)
            assert all(slot.member in operation.members for slot in template.slots), (full_name, text)
            kinds = _kinds(operation.facts.iam_action.partition(":")[0])
            # A member may hold the word for the kind too: a KMS alias is called `alias/name`.
            assert template.is_arn or _kind_of(text) in kinds or not _kind_of(text)[1], (full_name, text)


def _kind_of(text):
    _, _, service, *_, resource = text.replace("${", "{").split(":", 5)
    return service, re.split(r"[/:{*]", resource.lstrip("/"))[0]


def _kinds(prefix):
    known = iam._TABLE.resources
    formats = [known.get_resource_type_details(prefix, kind)["arn"] for kind in known.get_resource_types_for_service(prefix)]
    return {_kind_of(one) for text in formats for one in text.split(", ")}
