"""Which members of a call name what it acts on, where no row of ours says it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals import policies
from approvals.errors import BadParameters
from approvals.operations import catalog, iam, placeholders, reach, resources, templates, trail
from approvals.operations.resources import Where

PLACE = Where("111122223333", "eu-west-1")
HERE = "eu-west-1:111122223333"
ELSEWHERE = "eu-west-1:444455556666"


def patterns(name: str, parameters: dict[str, Any]) -> set[str]:
    return set(resources.arns(catalog.get(name), parameters, PLACE))


@pytest.mark.parametrize(
    ("name", "parameters", "found"),
    [
        # A new name, or one that the call gives, is no id.
        (
            "ram:UpdateResourceShare",
            {"resourceShareArn": f"arn:aws:ram:{HERE}:resource-share/1", "name": "new"},
            {f"arn:aws:ram:{HERE}:resource-share/1"},
        ),
        (
            "datazone:UpdateDomain",
            {"identifier": "dzd-1", "name": "new"},
            {f"arn:aws:datazone:{HERE}:domain/dzd-1"},
        ),
        (
            "ec2:CreateSecurityGroup",
            {"GroupName": "web", "Description": "d", "VpcId": "vpc-1"},
            {f"arn:aws:ec2:{HERE}:security-group/*", f"arn:aws:ec2:{HERE}:vpc/vpc-1"},
        ),
        ("waf:CreateWebACL", {"Name": "acl"}, {"arn:aws:waf::111122223333:webacl/*"}),
        # Whose it is comes before what it is.
        ("fsx:DeleteSnapshot", {"SnapshotId": "fsvolsnap-1"}, {f"arn:aws:fsx:{HERE}:snapshot/*/fsvolsnap-1"}),
        (
            "lexv2-models:DeleteBotAlias",
            {"botId": "b", "botAliasId": "a"},
            {f"arn:aws:lex:{HERE}:bot-alias/b/a", f"arn:aws:lex:{HERE}:bot:b:a"},
        ),
        # What AWS knows by an id that no call has.
        (
            "lightsail:DeleteRelationalDatabase",
            {"relationalDatabaseName": "prod"},
            {f"arn:aws:lightsail:{HERE}:RelationalDatabase/*"},
        ),
        # A number, a path into a structure, an ARN deep inside.
        ("lambda:DeleteLayerVersion", {"LayerName": "l", "VersionNumber": 3}, {f"arn:aws:lambda:{HERE}:layer:l:3"}),
        ("codepipeline:UpdatePipeline", {"pipeline": {"name": "p"}}, {f"arn:aws:codepipeline:{HERE}:p"}),
        (
            "elbv2:SetRulePriorities",
            {"RulePriorities": [{"RuleArn": f"arn:aws:elasticloadbalancing:{HERE}:listener-rule/app/a/1/2/3", "Priority": 1}]},
            {f"arn:aws:elasticloadbalancing:{HERE}:listener-rule/app/a/1/2/3"},
        ),
        # Any id of EC2's says by itself of what kind it is.
        (
            "ec2:DeleteTags",
            {"Resources": ["i-1"]},
            {f"arn:aws:ec2:{HERE}:*/i-1", "arn:aws:ec2:eu-west-1::*/i-1", "arn:aws:ec2::111122223333:*/i-1"},
        ),
        ("rds:AddTagsToResource", {"ResourceName": f"arn:aws:rds:{HERE}:db:x", "Tags": []}, {f"arn:aws:rds:{HERE}:db:x"}),
        (
            "wafv2:DeleteIPSet",
            {"Name": "n", "Scope": "REGIONAL", "Id": "i", "LockToken": "t"},
            {f"arn:aws:wafv2:{HERE}:regional/ipset/n/i"},
        ),
        ("scheduler:DeleteSchedule", {"Name": "n"}, {f"arn:aws:scheduler:{HERE}:schedule/default/n"}),
        ("ecs:DeleteTaskDefinitions", {"taskDefinitions": ["td:1"]}, {f"arn:aws:ecs:{HERE}:task-definition/td:1"}),
        (
            "elasticache:CopySnapshot",
            {"SourceSnapshotName": "a", "TargetSnapshotName": "b"},
            {f"arn:aws:elasticache:{HERE}:snapshot:a", f"arn:aws:elasticache:{HERE}:snapshot:b"},
        ),
    ],
)
def test_a_call_is_known_by_what_it_names(name: str, parameters: dict[str, Any], found: set[str]) -> None:
    """The ARNs are those of the Service Authorization Reference; what AWS gives its own id is a mask of that kind alone."""
    assert patterns(name, parameters) == found


def test_a_source_is_known_by_its_name_and_by_its_arn() -> None:
    """A snapshot of one's own is named, a shared one given by its ARN: either is what the session is for, and nothing else."""
    own = patterns("rds:RestoreDBInstanceFromDBSnapshot", {"DBInstanceIdentifier": "d", "DBSnapshotIdentifier": "s"})
    shared = f"arn:aws:rds:{ELSEWHERE}:snapshot:s"
    other = patterns("rds:RestoreDBInstanceFromDBSnapshot", {"DBInstanceIdentifier": "d", "DBSnapshotIdentifier": shared})
    assert own - other == {f"arn:aws:rds:{HERE}:snapshot:s"}
    assert other - own == {shared}
    copied = patterns("rds:CopyDBSnapshot", {"SourceDBSnapshotIdentifier": shared, "TargetDBSnapshotIdentifier": "t"})
    assert copied == {shared, f"arn:aws:rds:{HERE}:snapshot:t"}


def test_what_a_creating_call_leaves_to_aws_can_be_any_of_its_kind() -> None:
    """AWS asks for the right on the groups of a new database whether the call names them or not."""
    left = patterns("rds:CreateDBInstance", {"DBInstanceIdentifier": "d", "DBInstanceClass": "c", "Engine": "e"})
    assert {f"arn:aws:rds:{HERE}:{kind}:*" for kind in ("og", "pg", "subgrp")} < left
    given_ones = patterns("rds:CreateDBInstance", {"DBInstanceIdentifier": "d", "DBParameterGroupName": "mine"})
    assert f"arn:aws:rds:{HERE}:pg:mine" in given_ones
    assert f"arn:aws:rds:{HERE}:pg:*" not in given_ones


def test_any_of_several_members_that_aws_takes_names_the_target() -> None:
    """Where AWS requires none of them, the one that is given says which; where none is given it is not known."""
    assert patterns("elasticache:BatchStopUpdateAction", {"ReplicationGroupIds": ["r"], "ServiceUpdateName": "u"}) == {
        f"arn:aws:elasticache:{HERE}:replicationgroup:r"
    }
    assert patterns("elasticache:BatchStopUpdateAction", {"ServiceUpdateName": "u"}) == set()


@pytest.mark.parametrize(
    ("name", "given_as", "signed"),
    [
        ("kinesis:DeleteStream", {"StreamARN": f"arn:aws:kinesis:{HERE}:stream/s"}, {"StreamName": "s"}),
        (
            "kinesis:DeleteStream",
            {"StreamARN": f"arn:aws:kinesis:{HERE}:stream/s", "StreamName": "s"},
            {"StreamName": "s"},
        ),
        (
            "ecs:DeleteService",
            {"service": "web", "cluster": f"arn:aws:ecs:{HERE}:cluster/prod"},
            {"service": "web", "cluster": "prod"},
        ),
        (
            "events:DeleteRule",
            {"Name": "n", "EventBusName": f"arn:aws:events:{HERE}:event-bus/b"},
            {"Name": "n", "EventBusName": "b"},
        ),
    ],
)
def test_an_arn_becomes_the_name_that_it_means(name: str, given_as: dict[str, Any], signed: dict[str, Any]) -> None:
    """Where a call takes the ARN of its target, or of what that is in, people read and sign the name."""
    operation = catalog.get(name)
    assert resources.normalised(operation, given_as, PLACE) == signed
    assert resources.normalised(operation, signed, PLACE) == signed
    assert resources.arns(operation, signed, PLACE)


@pytest.mark.parametrize(
    ("name", "parameters", "member"),
    [
        ("kinesis:DeleteStream", {"StreamARN": f"arn:aws:kinesis:{ELSEWHERE}:stream/s"}, "StreamARN"),
        ("kinesis:DeleteStream", {"StreamARN": f"arn:aws:kinesis:{HERE}:stream/s", "StreamName": "t"}, "StreamARN"),
        ("ecs:DeleteService", {"service": "web", "cluster": f"arn:aws:ecs:{ELSEWHERE}:cluster/prod"}, "cluster"),
        ("ecs:DeleteService", {"service": "web", "cluster": "arn:aws:ecs:us-east-1:111122223333:cluster/prod"}, "cluster"),
        ("events:DeleteRule", {"Name": "n", "EventBusName": f"arn:aws:events:{ELSEWHERE}:event-bus/b"}, "EventBusName"),
    ],
)
def test_an_arn_that_reaches_elsewhere_is_refused(name: str, parameters: dict[str, Any], member: str) -> None:
    """An account or region that the request is not for, or a name that the call contradicts, is said at its field."""
    with pytest.raises(BadParameters) as refused:
        resources.normalised(catalog.get(name), parameters, PLACE)
    assert list(refused.value.fields) == [member]


def test_what_aws_takes_for_a_part_that_is_left_out_is_said() -> None:
    """The default cluster is signed as if it had been given; what is given stays, and a record is read as it is."""
    operation = catalog.get("ecs:UpdateService")
    assert resources.said_in_full(operation, {"service": "web"}) == {"service": "web", "cluster": "default"}
    assert resources.said_in_full(operation, {"service": "web", "cluster": "prod"})["cluster"] == "prod"
    assert resources.normalised(operation, {"service": "web"}, PLACE) == {"service": "web"}


WRITING = [
    operation
    for service in ("rds", "ec2", "elasticache", "dynamodb", "s3", "redshift", "lightsail", "waf", "fsx", "ecs", "lambda", "kms")
    for name in catalog.service_model(service).operation_names
    for operation in [catalog.get(f"{service}:{name}")]
    if not iam.only_reads(operation) and not operation.facts.curated
]


@given(st.sampled_from(WRITING))
def test_every_template_names_members_that_there_are(operation: Any) -> None:
    """A slot's member, and its filter, exist; what identifies a target are members that a text can be given to."""
    found = placeholders.derived(operation.service, operation.model)
    for text in found.templates:
        for slot in templates.parsed(text).slots:
            assert slot.member in operation.members, text
            assert not slot.filter or slot.filter in templates.FILTERS, text
    assert set(found.identifies) <= operation.members.keys()


@pytest.mark.parametrize("full_name", sorted(iam.exceptions()["resources"]))
def test_the_templates_that_the_data_says_are_of_the_call(full_name: str) -> None:
    """Every template of ours for an operation names members that it has, and is for what its action acts on."""
    operation = catalog.get(full_name)
    kinds = [one.split(":", 5)[5] for kind in iam.kinds(operation.facts.iam_action) for one in kind.formats]
    for text in operation.facts.resources:
        template = templates.parsed(text)
        assert all(slot.member in operation.members for slot in template.slots), text
        if not template.is_arn and not text.split(":", 5)[5].startswith("*"):
            begins = text.split(":", 5)[5].replace("/", ":").split(":")[0]
            assert any(one.replace("/", ":").split(":")[0] == begins for one in kinds), text


PREFIXES = {iam.exceptions()["prefixes"].get(one, catalog.service_model(one).signing_name) for one in catalog.services()}


@pytest.mark.parametrize("table", ["holds", "either", "inside", "defaults", "tagging", "others", "versions", "also_needs"])
def test_every_name_in_the_data_is_one_of_aws(table: str) -> None:
    """A prefix, an action or an operation that AWS does not have would silently say nothing."""
    for key, said in iam.exceptions()[table].items():
        if table in ("others", "also_needs"):
            catalog.get(key)
            for one in said:
                action = one if isinstance(one, str) else one["action"]
                assert iam.known(action), (table, key, action)
        elif table == "versions":
            assert iam.known(key), key
            assert iam.known(said), said
        elif table == "tagging":
            prefix = key.partition(":")[0]
            assert ":" not in key or iam.known(key), key
            assert not key or all(iam.known(f"{prefix}:{name}") for name in said), key
        else:
            assert key in PREFIXES, (table, key)


def rights(name: str, parameters: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {one.action: one.arns for one in reach.rights(catalog.get(name), parameters, PLACE, None)}


OBJECT = ("arn:aws:s3:::b/k",)


@pytest.mark.parametrize(
    ("operation", "action", "of_version"),
    [
        ("DeleteObject", "s3:DeleteObject", "s3:DeleteObjectVersion"),
        ("DeleteObjectTagging", "s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"),
        ("PutObjectAcl", "s3:PutObjectAcl", "s3:PutObjectVersionAcl"),
        ("PutObjectTagging", "s3:PutObjectTagging", "s3:PutObjectVersionTagging"),
    ],
)
def test_a_version_is_asked_for_by_its_own_right(operation: str, action: str, of_version: str) -> None:
    """A session for one version of an object has no right to the newest, and the other way round."""
    assert rights(f"s3:{operation}", {"Bucket": "b", "Key": "k"}) == {action: OBJECT}
    assert rights(f"s3:{operation}", {"Bucket": "b", "Key": "k", "VersionId": "v"}) == {of_version: OBJECT}


def test_a_copy_reads_its_source_and_nothing_else() -> None:
    """The object, or the version, that CopySource names; nothing where it names an access point or a mask."""
    call = {"Bucket": "b", "Key": "k"}
    assert rights("s3:CopyObject", {**call, "CopySource": "src/a b"})["s3:GetObject"] == ()
    # boto3 encodes what it is given: this is another object than `src/a/b`.
    assert rights("s3:CopyObject", {**call, "CopySource": "src/a%2Fb"})["s3:GetObject"] == ("arn:aws:s3:::src/a%2Fb",)
    assert rights("s3:CopyObject", {**call, "CopySource": "/src/a/c"})["s3:GetObject"] == ("arn:aws:s3:::src/a/c",)
    versioned = rights("s3:CopyObject", {**call, "CopySource": "src/a?versionId=1"})
    assert (versioned["s3:GetObjectVersion"], "s3:GetObject" in versioned) == (("arn:aws:s3:::src/a",), False)
    for source in ("src/*", "src/a?x", "arn:aws:s3:eu-west-1:111122223333:accesspoint/p/object/k"):
        assert rights("s3:CopyObject", {**call, "CopySource": source})["s3:GetObject"] == ()


SOURCED = {"DBClusterIdentifier": "new", "SnapshotIdentifier": "src", "Engine": "e"}
UNDER = {"Path": "/div/"}
IAM = "arn:aws:iam::111122223333:"


@pytest.mark.parametrize(
    ("name", "parameters", "made"),
    [
        ("rds:RestoreDBClusterFromSnapshot", SOURCED, f"arn:aws:rds:{HERE}:cluster:new"),
        ("docdb:RestoreDBClusterFromSnapshot", SOURCED, f"arn:aws:rds:{HERE}:cluster:new"),
        (
            "rds:RestoreDBInstanceToPointInTime",
            {"SourceDBInstanceIdentifier": "src", "TargetDBInstanceIdentifier": "new"},
            f"arn:aws:rds:{HERE}:db:new",
        ),
        (
            "rds:CopyOptionGroup",
            {"SourceOptionGroupIdentifier": "src", "TargetOptionGroupIdentifier": "new", "TargetOptionGroupDescription": "d"},
            f"arn:aws:rds:{HERE}:og:new",
        ),
        ("fsx:CreateFileSystemFromBackup", {"BackupId": "backup-1", "SubnetIds": ["subnet-1"]}, None),
        (
            "directconnect:AllocateHostedConnection",
            {"connectionId": "dxcon-1", "ownerAccount": "1", "bandwidth": "50Mbps", "connectionName": "x", "vlan": 1},
            None,
        ),
        ("iam:CreateUser", {"UserName": "u", **UNDER}, f"{IAM}user/div/u"),
        ("iam:CreateUser", {"UserName": "u"}, f"{IAM}user/u"),
        ("iam:CreateRole", {"RoleName": "r", "AssumeRolePolicyDocument": "{}", **UNDER}, f"{IAM}role/div/r"),
        ("ecs:CreateCluster", {"clusterName": "c"}, f"arn:aws:ecs:{HERE}:cluster/c"),
        ("eks:CreateCluster", {"name": "c", "roleArn": f"{IAM}role/x"}, f"arn:aws:eks:{HERE}:cluster/c"),
        (
            "memorydb:CreateCluster",
            {"ClusterName": "c", "NodeType": "t", "ACLName": "open-access"},
            f"arn:aws:memorydb:{HERE}:cluster/c",
        ),
        ("memorydb:CreateUser", {"UserName": "u", "AccessString": "on"}, f"arn:aws:memorydb:{HERE}:user/u"),
        ("redshift:CreateSnapshotSchedule", {"ScheduleIdentifier": "s"}, f"arn:aws:redshift:{HERE}:snapshotschedule:s"),
        ("amplify:CreateApp", {"name": "a"}, None),
    ],
)
def test_tags_are_for_what_is_made_and_never_for_what_it_is_made_of(
    name: str, parameters: dict[str, Any], made: str | None
) -> None:
    """The new thing as the call names it, under its path, whether AWS asks for a right to make it or not; where AWS gives it an
    id of its own there is no right."""
    operation = catalog.get(name)
    tags: dict[str, Any] = {"tags": {"a": "b"}} if "tags" in operation.members else {"Tags": [{"Key": "a", "Value": "b"}]}
    given = list(reach.tagging(operation, {**parameters, **tags}, PLACE))
    assert [one.arns for one in given] == ([(made,)] if made else [])


def test_a_function_is_asked_for_by_its_version_too() -> None:
    """IAM knows a call of an alias by the function's ARN with the alias. Source: Lambda Developer Guide, resources."""
    function = f"arn:aws:lambda:{HERE}:function:f"
    assert rights("lambda:Invoke", {"FunctionName": "f"}) == {"lambda:InvokeFunction": (function,)}
    assert f"{function}:prod" in rights("lambda:Invoke", {"FunctionName": "f", "Qualifier": "prod"})["lambda:InvokeFunction"]


def test_a_role_in_a_profile_is_passed() -> None:
    """Whatever runs with the profile acts as the role. Source: IAM API Reference, AddRoleToInstanceProfile."""
    given = rights("iam:AddRoleToInstanceProfile", {"InstanceProfileName": "p", "RoleName": "r"})
    assert given["iam:PassRole"] == (f"{IAM}role/r", f"{IAM}role/*/r")
    assert "iam:PassRole" not in rights("iam:RemoveRoleFromInstanceProfile", {"InstanceProfileName": "p", "RoleName": "r"})


def test_tags_are_given_to_what_the_call_names_and_with_ec2_to_what_it_makes() -> None:
    """The tagging action is for the very thing; with EC2, for what this call makes; without tags there is none."""
    call = {"DBInstanceIdentifier": "d", "DBInstanceClass": "c", "Engine": "e"}
    assert "rds:AddTagsToResource" not in rights("rds:CreateDBInstance", call)
    tagged = rights("rds:CreateDBInstance", {**call, "Tags": [{"Key": "a", "Value": "b"}]})
    assert tagged["rds:AddTagsToResource"] == (f"arn:aws:rds:{HERE}:db:d",)
    # A firewall's id is AWS's: a session for tags would be for every one.
    assert "waf:TagResource" not in rights("waf:CreateWebACL", {"Name": "a", "Tags": [{"Key": "a", "Value": "b"}]})
    replica = {**call, "SourceDBInstanceIdentifier": "prod", "DBParameterGroupName": "g", "Tags": [{"Key": "a", "Value": "b"}]}
    of_a_replica = rights("rds:CreateDBInstanceReadReplica", replica)
    assert of_a_replica["rds:AddTagsToResource"] == (f"arn:aws:rds:{HERE}:db:d",)
    snapshot = {"ClusterIdentifier": "prod", "SnapshotIdentifier": "snap", "Tags": [{"Key": "a", "Value": "b"}]}
    assert rights("redshift:CreateClusterSnapshot", snapshot)["redshift:CreateTags"] == (
        f"arn:aws:redshift:{HERE}:snapshot:prod/snap",
    )
    assert "neptune-graph:TagResource" not in rights(
        "neptune-graph:CreateGraphSnapshot", {"graphIdentifier": "g-1", "snapshotName": "s", "tags": {"a": "b"}}
    )
    assert "batch:TagResource" not in rights("batch:SubmitJob", {"jobName": "j", "jobQueue": "q", "tags": {"a": "b"}})
    launched = reach.rights(
        catalog.get("ec2:RunInstances"),
        {"MinCount": 1, "MaxCount": 1, "TagSpecifications": [{"ResourceType": "instance"}]},
        PLACE,
        None,
    )
    (tags,) = [one for one in launched if one.action == "ec2:CreateTags"]
    assert tags.condition == {"StringEquals": {"ec2:CreateAction": ("RunInstances",)}}


@pytest.mark.parametrize(
    ("name", "member", "arn"),
    [
        ("payment-cryptography:ExportKey", "ExportKeyIdentifier", f"arn:aws:payment-cryptography:{HERE}:key/abc"),
        ("bedrock:DeleteCustomModel", "modelIdentifier", f"arn:aws:bedrock:{HERE}:custom-model/m/1"),
        ("sagemaker:DeleteCluster", "ClusterName", f"arn:aws:sagemaker:{HERE}:cluster/abcdefghijkl"),
    ],
)
def test_what_is_named_whole_leaves_no_other_of_its_kind(name: str, member: str, arn: str) -> None:
    """Beside the ARN that the call says nothing stands for every other one."""
    action = catalog.get(name).facts.iam_action
    assert rights(name, {member: arn})[action] == (arn,)


def test_a_role_is_passed_where_it_is_given_and_not_where_it_is_taken_away() -> None:
    """Wherever the call says it, as a map's value too; who takes a role away passes nothing."""
    role = "arn:aws:iam::111122223333:role/app"
    given_to = rights("cognito-identity:SetIdentityPoolRoles", {"IdentityPoolId": "p", "Roles": {"authenticated": role}})
    assert given_to["iam:PassRole"] == (role,)
    taken = rights("rds:RemoveRoleFromDBInstance", {"DBInstanceIdentifier": "d", "RoleArn": role, "FeatureName": "f"})
    assert "iam:PassRole" not in taken


HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"


@pytest.mark.parametrize(
    ("name", "parameters", "arn"),
    [
        ("ec2:DeleteTags", {"Resources": ["ipam-pool-1"]}, "arn:aws:ec2::111122223333:ipam-pool/ipam-pool-1"),
        ("ec2:DeleteTags", {"Resources": ["key-1"]}, f"arn:aws:ec2:{HERE}:key-pair/prod"),
        ("ec2:DeleteTags", {"Resources": ["pg-1"]}, f"arn:aws:ec2:{HERE}:placement-group/prod"),
        (
            "rds:RestoreDBInstanceToPointInTime",
            {"TargetDBInstanceIdentifier": "t", "SourceDbiResourceId": "db-1"},
            f"arn:aws:rds:{HERE}:db:prod",
        ),
        (
            "rds:RestoreDBClusterToPointInTime",
            {"DBClusterIdentifier": "t", "SourceDbClusterResourceId": "c-1"},
            f"arn:aws:rds:{HERE}:cluster:prod",
        ),
        (
            "rds:CreateDBInstance",
            {"DBInstanceIdentifier": "d", "DBInstanceClass": "c", "Engine": "e", "DBCapacityReservationIdentifier": "prod"},
            f"arn:aws:rds:{HERE}:db-capacity-reservation:prod",
        ),
        (
            "ec2:RunInstances",
            {"MinCount": 1, "MaxCount": 1, "LaunchTemplate": {"LaunchTemplateName": "prod"}},
            f"arn:aws:ec2:{HERE}:launch-template/lt-1",
        ),
        (
            "ec2:RunInstances",
            {"MinCount": 1, "MaxCount": 1, "ImageId": "ami-1", "SecurityGroupIds": []},
            f"arn:aws:ec2:{HERE}:security-group/sg-1",
        ),
        ("ec2:AssociateAddress", {"InstanceId": "i-1", "PublicIp": "192.0.2.1"}, f"arn:aws:ec2:{HERE}:elastic-ip/eipalloc-1"),
        (
            "ses:SendEmail",
            {"ConfigurationSetName": "c", "Source": "a@example.org", "Destination": {}, "Message": {}},
            f"arn:aws:ses:{HERE}:identity/example.org",
        ),
        (
            "workspaces:UpdateWorkspaceBundle",
            {"ImageId": "wsi-1"},
            f"arn:aws:workspaces:{HERE}:workspacebundle/wsb-1",
        ),
    ],
)
def test_what_is_named_by_something_else_can_be_any(name: str, parameters: dict[str, Any], arn: str) -> None:
    """An id that no ARN has, a name for an id, an empty list: a guardrail on the thing itself still sees the call."""
    found = patterns(name, parameters)
    assert not found or any(covers(pattern, arn) for pattern in found), found


def covers(pattern: str, arn: str) -> bool:
    return re.fullmatch("".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern), arn) is not None


@pytest.mark.parametrize(
    ("name", "recorded"),
    [
        ("ec2:RunInstances", None),
        ("ec2:RunInstances", {"launchTemplate": HIDDEN, "minCount": 1, "maxCount": 1}),
        ("comprehend:StartDocumentClassificationJob", None),
        ("translate:StartTextTranslationJob", None),
        ("mediaconvert:CreateJob", None),
        ("ecs:RegisterContainerInstance", None),
    ],
)
def test_of_a_record_that_does_not_tell_nothing_is_taken_as_left_out(name: str, recorded: Any) -> None:
    """A denied call is recorded without its parameters: it may have named anything, and every guardrail on it sees it."""
    operation = catalog.get(name)
    told = trail.convert(operation, recorded, "not authorized", PLACE)
    assert policies.resources_in(operation, told, PLACE) == ()


@pytest.mark.parametrize(
    ("name", "parameters", "arns"),
    [
        (
            "acm:ImportCertificate",
            {"CertificateArn": f"arn:aws:acm:{HERE}:certificate/1"},
            {f"arn:aws:acm:{HERE}:certificate/1"},
        ),
        ("acm:ImportCertificate", {}, {f"arn:aws:acm:{HERE}:certificate/*"}),
        (
            "kinesis:RegisterStreamConsumer",
            {"StreamARN": f"arn:aws:kinesis:{HERE}:stream/s", "ConsumerName": "c"},
            {f"arn:aws:kinesis:{HERE}:stream/s"},
        ),
        (
            "docdb-elastic:CopyClusterSnapshot",
            {"snapshotArn": f"arn:aws:docdb-elastic:{HERE}:cluster-snapshot/1", "targetSnapshotName": "t"},
            {f"arn:aws:docdb-elastic:{HERE}:cluster-snapshot/1"},
        ),
        ("ec2:CreateLaunchTemplateVersion", {"LaunchTemplateName": "n", "LaunchTemplateData": {}}, set()),
    ],
)
def test_what_is_made_again_or_of_something_is_for_that(name: str, parameters: dict[str, Any], arns: set[str]) -> None:
    """A certificate imported anew, a consumer of a stream, a copy of a snapshot; by a name that is no id it is not known."""
    assert patterns(name, parameters) == arns


def test_a_member_that_holds_an_arn_keeps_it() -> None:
    """A bucket of tables is named by its ARN: what AWS asks for there is signed as it is."""
    call = {"tableBucketARN": f"arn:aws:s3tables:{HERE}:bucket/prod"}
    assert resources.normalised(catalog.get("s3tables:DeleteTableBucket"), call, PLACE) == call
    with pytest.raises(BadParameters):
        resources.normalised(
            catalog.get("s3tables:DeleteTable"),
            {"tableBucketARN": f"arn:aws:s3tables:{ELSEWHERE}:bucket/prod", "namespace": "n", "name": "t"},
            PLACE,
        )


def test_a_copy_that_was_denied_is_read_as_it_was_given() -> None:
    """CloudTrail records the header as it was sent, and boto3 encodes it again."""
    recorded = {"bucketName": "b", "key": "k", "x-amz-copy-source": "src/a%20b%2Fc?versionId=v"}
    told = trail.convert(catalog.get("s3:CopyObject"), recorded, "Access Denied", PLACE)
    assert told.parameters["CopySource"] == "src/a b/c?versionId=v"


def test_keys_are_made_in_the_region_of_the_replica_alone() -> None:
    """A right that knows no resource is held down by what the call says."""
    found = reach.rights(catalog.get("kms:ReplicateKey"), {"KeyId": "mrk-1", "ReplicaRegion": "eu-central-1"}, PLACE, None)
    (made,) = [one for one in found if one.action == "kms:CreateKey"]
    assert made.condition == {"StringLike": {"aws:RequestedRegion": ["eu-central-1"]}}
    (wild,) = [
        one
        for one in reach.rights(catalog.get("kms:ReplicateKey"), {"KeyId": "mrk-1", "ReplicaRegion": "us-*"}, PLACE, None)
        if one.action == "kms:CreateKey"
    ]
    assert wild.condition == {"StringLike": {"aws:RequestedRegion": [""]}}
