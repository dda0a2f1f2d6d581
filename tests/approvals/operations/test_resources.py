"""Which resources a call touches, and which call an ARN belongs to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals import policies
from approvals.errors import BadParameters
from approvals.operations import catalog, placeholders, resources, templates
from approvals.operations.resources import Touched, Where

WHERE = Where("111122223333", "eu-west-1")
HERE = "eu-west-1:111122223333"
# An operation as it is known without a row of ours.
BARE = {
    name: replace(
        operation, facts=replace(operation.facts, resources=found.templates, identifies=found.identifies, curated=False)
    )
    for name in ("ecs:DeleteService", "rds:DeleteDBCluster", "ec2:RunInstances", "kms:DeleteAlias", "lambda:DeleteFunction")
    for operation in [catalog.get(name)]
    for found in [placeholders.derived(operation.service, operation.model)]
}


@pytest.mark.parametrize(
    ("name", "parameters", "arns"),
    [
        ("dynamodb:DeleteTable", {"TableName": "prod"}, [f"arn:aws:dynamodb:{HERE}:table/prod"]),
        ("rds:DeleteDBInstance", {"DBInstanceIdentifier": "Prod-DB"}, [f"arn:aws:rds:{HERE}:db:prod-db"]),
        (
            "ec2:TerminateInstances",
            {"InstanceIds": ["i-1", "i-2"]},
            [f"arn:aws:ec2:{HERE}:instance/i-1", f"arn:aws:ec2:{HERE}:instance/i-2"],
        ),
        ("s3:DeleteObject", {"Bucket": "b", "Key": "a/b/c:d"}, ["arn:aws:s3:::b/a/b/c:d"]),
        (
            "s3:DeleteObjects",
            {"Bucket": "b", "Delete": {"Objects": [{"Key": "x"}, {"Key": "y/z", "VersionId": "1"}]}},
            ["arn:aws:s3:::b/x", "arn:aws:s3:::b/y/z"],
        ),
        ("secretsmanager:DeleteSecret", {"SecretId": "prod/db"}, [f"arn:aws:secretsmanager:{HERE}:secret:prod/db-??????"]),
        ("cloudformation:DeleteStack", {"StackName": "web"}, [f"arn:aws:cloudformation:{HERE}:stack/web/*"]),
        ("route53:DeleteHostedZone", {"Id": "/hostedzone/Z1"}, ["arn:aws:route53:::hostedzone/Z1"]),
        (
            "sqs:PurgeQueue",
            {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/111122223333/orders"},
            [f"arn:aws:sqs:{HERE}:orders"],
        ),
        ("sns:DeleteTopic", {"TopicArn": f"arn:aws:sns:{HERE}:alarms"}, [f"arn:aws:sns:{HERE}:alarms"]),
        ("ssm:DeleteParameter", {"Name": "/prod/key"}, [f"arn:aws:ssm:{HERE}:parameter/prod/key"]),
        ("kms:ScheduleKeyDeletion", {"KeyId": "0d1f"}, [f"arn:aws:kms:{HERE}:key/0d1f"]),
        ("apigateway:DeleteRestApi", {"restApiId": "a1"}, ["arn:aws:apigateway:eu-west-1::/restapis/a1"]),
    ],
)
def test_arns_follow_from_the_parameters(name, parameters, arns):
    """Members, lists, nested members, names with slashes, ids with prefixes, URLs, ARNs; names in the case that AWS keeps."""
    assert set(resources.arns(catalog.get(name), parameters, WHERE)) >= set(arns)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("dynamodb:DeleteTable", {}),
        ("dynamodb:DeleteTable", {"TableName": None}),
        ("dynamodb:DeleteTable", {"TableName": 7}),
        ("dynamodb:DeleteTable", {"TableName": "prod*"}),
        ("dynamodb:DeleteTable", {"TableName": "prod?"}),
        ("dynamodb:DeleteTable", {"TableName": "prod orders"}),
        ("dynamodb:DeleteTable", {"TableName": "prod\n"}),
        ("dynamodb:DeleteTable", {"TableName": "prod\u202e"}),
        ("dynamodb:DeleteTable", {"TableName": "prod/orders"}),
        ("dynamodb:DeleteTable", {"TableName": f"arn:aws:dynamodb:{HERE}:table/prod"}),
        ("ec2:TerminateInstances", {"InstanceIds": ["i-1", "*"]}),
        ("ec2:TerminateInstances", {"InstanceIds": []}),
        ("s3:DeleteObject", {"Bucket": "b", "Key": "a*"}),
        ("s3:DeleteObject", {"Bucket": "b/c", "Key": "a"}),
        ("sns:DeleteTopic", {"TopicArn": "alarms"}),
        ("sns:DeleteTopic", {"TopicArn": f"arn:aws:sns:{HERE}:*"}),
        ("lambda:DeleteFunction", {"FunctionName": "111122223333:function:x"}),
    ],
)
def test_what_does_not_name_its_target_plainly_touches_we_do_not_know_what(name, parameters):
    """Masks, white space, what nobody sees, ARNs and paths in plain names, values of another type: unknown, never a guess."""
    assert resources.arns(catalog.get(name), parameters, WHERE) == ()


@pytest.mark.parametrize(
    ("name", "parameters", "whole", "touched"),
    [
        ("ecs:DeleteService", {"service": "web"}, True, Touched((f"arn:aws:ecs:{HERE}:service/default/web",), exact=True)),
        (
            "rds:DeleteDBCluster",
            {},
            True,
            Touched((f"arn:aws:rds:{HERE}:cluster-snapshot:*", f"arn:aws:rds:{HERE}:cluster:*"), exact=False),
        ),
        (
            "rds:DeleteDBCluster",
            {"DBClusterIdentifier": "prod"},
            True,
            Touched((f"arn:aws:rds:{HERE}:cluster:prod", f"arn:aws:rds:{HERE}:cluster-snapshot:*"), exact=False),
        ),
        (
            "kms:DeleteAlias",
            {"AliasName": "alias/x"},
            True,
            Touched((f"arn:aws:kms:{HERE}:alias/x", f"arn:aws:kms:{HERE}:key/*"), exact=False),
        ),
        ("lambda:DeleteFunction", {"FunctionName": "*"}, True, Touched((), exact=False)),
    ],
)
def test_what_is_not_known_becomes_a_mask_within_the_account(name, parameters, whole, touched):
    """A member that is not there leaves the kind of thing, account and region known; where AWS has a default, that is taken."""
    assert resources.touched(BARE[name], parameters, WHERE, whole=whole) == touched


def test_members_that_were_not_given_count_only_when_the_rest_is_not_known():
    """RunInstances without a key pair touches none; of parameters that may be cut, it may touch any."""
    run = BARE["ec2:RunInstances"]
    given_ = {"ImageId": "ami-1", "SubnetId": "subnet-1"}
    pairs = [arn for arn in resources.touched(run, given_, WHERE).patterns if "key-pair" in arn]
    cut = [arn for arn in resources.touched(run, given_, WHERE, whole=False).patterns if "key-pair" in arn]
    assert (pairs, cut) == ([], [f"arn:aws:ec2:{HERE}:key-pair/*"])


plain = st.text("abcdefXYZ0189-", min_size=3, max_size=20).filter(lambda name: name.strip("-"))
NAMED = [
    ("dynamodb:DeleteTable", "TableName"),
    ("cloudformation:DeleteStack", "StackName"),
    ("kms:ScheduleKeyDeletion", "KeyId"),
    ("elasticache:DeleteReplicationGroup", "ReplicationGroupId"),
    ("efs:DeleteFileSystem", "FileSystemId"),
    ("ecs:DeleteCluster", "cluster"),
    ("iam:DeleteRole", "RoleName"),
]


@given(st.sampled_from(NAMED), plain)
def test_a_name_and_its_arn_are_the_same_thing(named, name):
    """The ARN of a name is read back as that name, in the case that AWS keeps it in."""
    operation, member = catalog.get(named[0]), named[1]
    arn = resources.arns(operation, {member: name}, WHERE)[0].replace("*", "0f1e")
    found = resources.normalised(operation, {member: arn}, WHERE)[member]
    assert found == (name.lower() if operation.service == "elasticache" else name)
    assert policies.overlap(resources.arns(operation, {member: found}, WHERE)[0], arn)


@pytest.mark.parametrize("name", ["prod/db-AbCdEf", "prod/db-backup"])
def test_an_arn_to_which_aws_added_characters_stands_for_itself(name):
    """`prod/db-backup` may be a secret's whole name: taken apart, another secret would be deleted."""
    delete, arn = catalog.get("secretsmanager:DeleteSecret"), f"arn:aws:secretsmanager:{HERE}:secret:{name}"
    assert resources.normalised(delete, {"SecretId": arn}, WHERE) == {"SecretId": arn}
    # What it would be if the name itself ended so is protected and permitted too.
    assert resources.arns(delete, {"SecretId": arn}, WHERE) == (arn, f"{arn}-??????")
    assert resources.identified_by(delete, arn, WHERE) == {"SecretId": arn}


@pytest.mark.parametrize("elsewhere", ["us-east-1:111122223333", "eu-west-1:999999999999"])
@pytest.mark.parametrize("name", ["secret:prod/db-AbCdEf"])
def test_an_arn_of_elsewhere_is_refused_by_field(elsewhere, name):
    """A name field that reaches into another account or region would slip past this account's guardrails."""
    delete = catalog.get("secretsmanager:DeleteSecret")
    with pytest.raises(BadParameters, match="SecretId: This ARN is of account"):
        resources.normalised(delete, {"SecretId": f"arn:aws:secretsmanager:{elsewhere}:{name}"}, WHERE)


def test_lists_and_urls_are_normalised_too():
    """Each item of a list may be an ARN; a queue's URL names its account."""
    terminate = catalog.get("ec2:TerminateInstances")
    clean = resources.normalised(terminate, {"InstanceIds": [f"arn:aws:ec2:{HERE}:instance/i-1", "i-2"]}, WHERE)
    assert clean == {"InstanceIds": ["i-1", "i-2"]}
    with pytest.raises(BadParameters, match="queue is of account 999999999999"):
        resources.normalised(
            catalog.get("sqs:PurgeQueue"), {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/999999999999/x"}, WHERE
        )


@pytest.mark.parametrize("cluster", ["other", None])
def test_an_arn_becomes_a_name_only_where_the_call_says_the_rest_of_it(cluster):
    """A service's ARN holds its cluster: as a name beside another cluster it would be another service."""
    arn = f"arn:aws:ecs:{HERE}:service/prod/web"
    given = {"service": arn} | ({"cluster": cluster} if cluster else {})
    with pytest.raises(BadParameters, match="This ARN tells of the cluster 'prod'"):
        resources.normalised(catalog.get("ecs:DeleteService"), given, WHERE)
    kept = resources.normalised(catalog.get("ecs:DeleteService"), {"cluster": "prod", "service": arn}, WHERE)
    assert kept == {"cluster": "prod", "service": "web"}


@pytest.mark.parametrize("host", ["sqs.us-east-1.amazonaws.com", "us-east-1.queue.amazonaws.com"])
def test_a_queue_of_another_region_is_refused(host):
    """A queue's URL names its region: a guardrail on this region's queues is not asked about another's."""
    with pytest.raises(BadParameters, match="in us-east-1; the request is for account 111122223333 in eu-west-1"):
        resources.normalised(catalog.get("sqs:PurgeQueue"), {"QueueUrl": f"https://{host}/111122223333/prod"}, WHERE)


def test_a_member_that_is_meant_to_hold_an_arn_keeps_it():
    """A policy of AWS's own is of no account of ours, and is no name of the target."""
    attach = catalog.get("iam:AttachRolePolicy")
    given_ = {"RoleName": "x", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
    assert resources.normalised(attach, given_, WHERE) == given_


any_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["Objects", "Key", "Bucket"]), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(["s3:DeleteObjects", "ec2:TerminateInstances", "sqs:PurgeQueue", "iam:DeleteRole", "ec2:RunInstances"]),
    st.dictionaries(
        st.sampled_from(["Bucket", "Delete", "InstanceIds", "QueueUrl", "RoleName", "ImageId"]), any_value, max_size=4
    ),
)
def test_no_parameters_break_the_reader(name, parameters):
    """Whatever the parameters are, what they touch is ARN patterns of this account or nothing known."""
    found = resources.touched(catalog.get(name), parameters, WHERE, whole=False)
    assert all(arn.startswith("arn:aws:") for arn in found.patterns)
    assert not found.exact or not any(set("*?") & set(arn) for arn in found.patterns)


@pytest.mark.parametrize("operation", [one for one in catalog.curated() if one.facts.resources], ids=lambda one: one.full_name)
def test_the_templates_of_a_row_can_be_filled(operation):
    """Plain names in the members that the templates name give ARNs in the right place."""
    parameters: dict[str, Any] = {}
    for text in operation.facts.resources:
        template = templates.parsed(text)
        for slot in template.slots:
            value = f"arn:aws:x:{HERE}:thing/a1" if template.is_arn else "prod-a1"
            if slot.filter == "queue":
                value = "https://sqs.eu-west-1.amazonaws.com/111122223333/prod-a1"
            _put(operation.model.input_shape, parameters, slot.path, value)
    found = resources.touched(operation, parameters, WHERE)
    assert found.patterns
    assert not [arn for arn in found.patterns if "{" in arn or not arn.startswith("arn:aws:")]


def _put(shape, parameters, path, value):
    inner = shape.members[path[0]]
    if len(path) == 1:
        parameters[path[0]] = [value] if inner.type_name == "list" else value
        return
    if inner.type_name == "list":
        item = parameters.setdefault(path[0], [{}])
        _put(inner.member, item[0], path[1:], value)
    else:
        _put(inner, parameters.setdefault(path[0], {}), path[1:], value)


@pytest.mark.parametrize("name", ["DetachInstances", "SuspendProcesses", "PutScheduledUpdateGroupAction", "StartInstanceRefresh"])
def test_a_group_is_told_by_its_name_and_not_by_its_id(name):
    """Auto Scaling's ARNs hold an id and a name: a guardrail on the real ARN protects every call that names the group."""
    found = resources.arns(
        catalog.get(f"autoscaling:{name}"), {"AutoScalingGroupName": "prod"}, Where("111122223333", "eu-west-1")
    )
    assert found == ("arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:*:autoScalingGroupName/prod",)
