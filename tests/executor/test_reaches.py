"""Calls that act on what they do not name: what AWS tells of it holds their session down, and is what people have signed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from approvals.authority import KnownAccount
from approvals.models import ApprovalRequest
from approvals.operations import catalog, resources
from approvals.operations.resources import Where
from approvals.plan import Step
from executor import answers, aws, rights, run
from executor.claim import Later
from executor.errors import NotNamed
from executor.sandbox.world import DEMO
from tests.executor.own_guardrails import cast, client, facts  # noqa: F401 - fixtures
from tests.executor.stage import QUICK, Stage, attempts, fresh
from tests.executor.test_sessions_in_hand import session_of
from tests.executor.test_steps import approved

PLACE = Where(DEMO.account, DEMO.region, DEMO.partition)
OPERATIONS = (
    "rds:DeleteBlueGreenDeployment",
    "rds:DeleteDBProxy",
    "ec2:DetachVolume",
    "ec2:DeregisterImage",
    "efs:DeleteMountTarget",
    "kms:DeleteAlias",
    "config:DeleteConfigRule",
    "secretsmanager:UpdateSecret",
)
Call = tuple[str, str, dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """A call, what its session must not do besides, and an ARN that is in its policy. `permitted`: moto cannot carry it out."""

    step: Step
    others: tuple[Call, ...]
    arn: str
    permitted: bool = False


def blue_green(stage: Stage) -> Case:
    with client(stage, "rds") as rds:
        for name in ("prod-blue", "prod-other"):
            rds.create_db_instance(
                DBInstanceIdentifier=name,
                Engine="mysql",
                DBInstanceClass="db.t3.micro",
                BackupRetentionPeriod=1,
                AllocatedStorage=20,
                MasterUsername="admin",
                MasterUserPassword="not-a-real-one",
            )
        blue = rds.describe_db_instances(DBInstanceIdentifier="prod-blue")["DBInstances"][0]["DBInstanceArn"]
        made = rds.create_blue_green_deployment(BlueGreenDeploymentName="upgrade", Source=blue)["BlueGreenDeployment"]
    parameters = {"BlueGreenDeploymentIdentifier": made["BlueGreenDeploymentIdentifier"], "DeleteTarget": True}
    others = tuple(
        ("rds", "DeleteDBInstance", {"DBInstanceIdentifier": name, "SkipFinalSnapshot": True})
        for name in ("prod-other", "prod-blue")
    )
    return Case(Step("rds", "DeleteBlueGreenDeployment", parameters), others, made["Target"])


def proxy(stage: Stage) -> Case:
    with client(stage, "rds") as rds, client(stage, "ec2") as ec2:
        subnets = [one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]]
        auth = [{"AuthScheme": "SECRETS", "SecretArn": DEMO.secret_arn("prod/db/password"), "IAMAuth": "DISABLED"}]
        for name in ("prod-front", "prod-back"):
            rds.create_db_proxy(
                DBProxyName=name, EngineFamily="MYSQL", Auth=auth, RoleArn=DEMO.executor_role_arn, VpcSubnetIds=subnets[:2]
            )
        (one,) = rds.describe_db_proxies(DBProxyName="prod-front")["DBProxies"]
    others: tuple[Call, ...] = (("rds", "DeleteDBProxy", {"DBProxyName": "prod-back"}),)
    return Case(Step("rds", "DeleteDBProxy", {"DBProxyName": "prod-front"}), others, one["DBProxyArn"])


def volume(stage: Stage) -> Case:
    with client(stage, "ec2") as ec2:
        started = ec2.run_instances(ImageId="ami-12345678", MinCount=2, MaxCount=2)["Instances"]
        instances = [one["InstanceId"] for one in started]
        zone = f"{DEMO.region}a"
        volumes = [ec2.create_volume(AvailabilityZone=zone, Size=8)["VolumeId"] for _ in instances]
        for volume_id, instance in zip(volumes, instances, strict=True):
            ec2.attach_volume(VolumeId=volume_id, InstanceId=instance, Device="/dev/sdf")
    others: tuple[Call, ...] = (
        ("ec2", "DetachVolume", {"VolumeId": volumes[1]}),
        ("ec2", "DetachVolume", {"VolumeId": volumes[0], "InstanceId": instances[1]}),
    )
    arn = f"arn:aws:ec2:{DEMO.region}:{DEMO.account}:instance/{instances[0]}"
    return Case(Step("ec2", "DetachVolume", {"VolumeId": volumes[0]}), others, arn, permitted=True)


def image(stage: Stage) -> Case:
    with client(stage, "ec2") as ec2:
        made = ec2.create_image(InstanceId=DEMO.instance_id("prod-web"), Name="golden")["ImageId"]
        (found,) = ec2.describe_images(ImageIds=[made])["Images"]
        own = next(one["Ebs"]["SnapshotId"] for one in found["BlockDeviceMappings"] if "Ebs" in one)
        other = ec2.create_snapshot(VolumeId=ec2.create_volume(AvailabilityZone=f"{DEMO.region}a", Size=8)["VolumeId"])[
            "SnapshotId"
        ]
    step = Step("ec2", "DeregisterImage", {"ImageId": made, "DeleteAssociatedSnapshots": True})
    return Case(step, (("ec2", "DeleteSnapshot", {"SnapshotId": other}),), f"arn:aws:ec2:{DEMO.region}::snapshot/{own}")


def mount_target(stage: Stage) -> Case:
    with client(stage, "efs") as efs, client(stage, "ec2") as ec2:
        subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        systems = [efs.create_file_system(CreationToken=name)["FileSystemId"] for name in ("a", "b")]
        own, other = (efs.create_mount_target(FileSystemId=one, SubnetId=subnet) for one in systems)
    others: tuple[Call, ...] = (
        ("efs", "DeleteMountTarget", {"MountTargetId": other["MountTargetId"]}),
        ("ec2", "DeleteNetworkInterface", {"NetworkInterfaceId": own["NetworkInterfaceId"]}),
        ("ec2", "DeleteNetworkInterface", {"NetworkInterfaceId": other["NetworkInterfaceId"]}),
    )
    arn = f"arn:aws:elasticfilesystem:{DEMO.region}:{DEMO.account}:file-system/{systems[0]}"
    return Case(Step("efs", "DeleteMountTarget", {"MountTargetId": own["MountTargetId"]}), others, arn)


def alias(stage: Stage) -> Case:
    with client(stage, "kms") as kms:
        keys = [kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
        for name, key in zip(("alias/old", "alias/other"), keys, strict=True):
            kms.create_alias(AliasName=name, TargetKeyId=key)
    return Case(
        Step("kms", "DeleteAlias", {"AliasName": "alias/old"}), (("kms", "DeleteAlias", {"AliasName": "alias/other"}),), keys[0]
    )


def rule(stage: Stage) -> Case:
    source = {"Owner": "AWS", "SourceIdentifier": "S3_BUCKET_VERSIONING_ENABLED"}
    with client(stage, "config") as config:
        for name in ("versions", "other"):
            config.put_config_rule(ConfigRule={"ConfigRuleName": name, "Source": source})
        (found,) = config.describe_config_rules(ConfigRuleNames=["versions"])["ConfigRules"]
    others: tuple[Call, ...] = (("config", "DeleteConfigRule", {"ConfigRuleName": "other"}),)
    return Case(Step("config", "DeleteConfigRule", {"ConfigRuleName": "versions"}), others, found["ConfigRuleArn"])


CASES: tuple[Callable[[Stage], Case], ...] = (blue_green, proxy, volume, image, mount_target, alias, rule)


@pytest.mark.parametrize("made", CASES, ids=[one.__name__.replace("_", " ") for one in CASES])
def test_a_session_acts_on_what_aws_told_and_nothing_else(stage: Stage, made: Callable[[Stage], Case]) -> None:
    """Of what a call does not name its session reaches what AWS told: the call works, the same elsewhere is denied."""
    case = made(stage)
    execution = approved(stage, case.step)
    with stage.acting("execution"):
        cleared, session = session_of(stage, execution)
        policy = rights.policy(case.step, PLACE, acting=True, state=cleared.states[0])
        found = {arn for one in json.loads(policy)["Statement"] for arn in one["Resource"]}
        with session:
            for service, name, parameters in case.others:
                answer = session.mutate(service, name, parameters)
                assert isinstance(answer, answers.Rejected), f"{service}:{name} was {answer}"
                assert "AccessDenied" in answer.code or "Unauthorized" in answer.code, answer
            own = session.mutate(case.step.service, case.step.operation, case.step.parameters)
    assert isinstance(own, answers.Unknown if case.permitted else answers.Accepted), own
    assert case.arn in found
    assert not [arn for arn in found if "*" in arn]


@pytest.mark.parametrize(
    ("made", "expression"),
    [(volume, "Attachments[].InstanceId"), (mount_target, "FileSystemId"), (image, "BlockDeviceMappings[].Ebs.SnapshotId")],
    ids=["volume", "mount target", "image"],
)
def test_what_aws_told_is_signed_and_must_stay_so(stage: Stage, made: Callable[[Stage], Case], expression: str) -> None:
    """The plan says what its target's state told, as one of the things that must still hold when it is carried out."""
    case = made(stage)
    execution = approved(stage, case.step)
    (fact,) = execution.revision.plan.preconditions
    told = fact["identity"][expression]
    assert case.arn.rpartition("/")[2] in (told if isinstance(told, list) else [told])


@pytest.mark.parametrize("made", [volume, image, mount_target, blue_green], ids=lambda one: one.__name__.replace("_", " "))
def test_the_local_aws_asks_for_what_a_call_does_not_name(stage: Stage, made: Callable[[Stage], Case]) -> None:
    """With a right on what the call names alone, it is denied for what its target's state tells."""
    case = made(stage)
    named = resources.arns(catalog.get(case.step.name), case.step.parameters, PLACE)
    account = KnownAccount(DEMO.account, DEMO.partition, (DEMO.region,), DEMO.executor_role_arn, DEMO.external_id)
    bare = aws.session_policy(
        [aws.Allowed([catalog.get(case.step.name).facts.iam_action], [one for one in named if "instance" not in one])]
    )
    with stage.acting("execution"), aws.assume(account, "x-1", bare, region=DEMO.region, name="step-1") as session:
        answer = session.mutate(case.step.service, case.step.operation, case.step.parameters)
    assert isinstance(answer, answers.Rejected), answer
    assert "AccessDenied" in answer.code or "Unauthorized" in answer.code, answer


def test_a_volume_that_hangs_on_another_instance_is_not_detached(stage: Stage) -> None:
    """What the call acts on besides has changed since it was signed: nothing is sent, and it is reviewed again."""
    case = volume(stage)
    execution = approved(stage, case.step)
    own, other = case.others[1][2]["VolumeId"], case.others[1][2]["InstanceId"]
    with client(stage, "ec2") as ec2:
        ec2.detach_volume(VolumeId=own, InstanceId=case.arn.rpartition("/")[2])
        ec2.attach_volume(VolumeId=own, InstanceId=other, Device="/dev/sdg")
    stage.execute()
    found = fresh(execution)
    assert (found.state, attempts(execution)) == ("aborted", [])
    assert "Attachments[].InstanceId was" in found.outcome
    assert ApprovalRequest.objects.get(pk=execution.revision.request_id).state == "draft"


def test_what_a_later_step_reaches_is_read_after_the_steps_before_it(stage: Stage) -> None:
    """An earlier step, or somebody meanwhile, may change what a later one acts on: its session is cut from no older state."""
    case = volume(stage)
    first = Step("secretsmanager", "UpdateSecret", {"SecretId": "prod/db/password", "Description": "new"})
    execution = approved(stage, first, case.step)
    own, other = case.others[1][2]["VolumeId"], case.others[1][2]["InstanceId"]
    with stage.acting("execution"):
        assert isinstance(run.carry_out(execution.pk, patience=QUICK), Later)
    assert attempts(execution) == ["succeeded"]
    with client(stage, "ec2") as ec2:
        ec2.detach_volume(VolumeId=own, InstanceId=case.arn.rpartition("/")[2])
        ec2.attach_volume(VolumeId=own, InstanceId=other, Device="/dev/sdg")
    with stage.acting("execution"):
        assert run.carry_out(execution.pk, patience=QUICK) is None
    assert (fresh(execution).state, attempts(execution)) == ("failed", ["succeeded"])
    assert "Attachments[].InstanceId was" in fresh(execution).outcome


def test_a_plan_whose_later_step_is_told_what_it_reaches_is_carried_out_whole(stage: Stage) -> None:
    """Reading again between two steps costs another look, and no second nudge."""
    steps = [Step("secretsmanager", "UpdateSecret", {"SecretId": "prod/db/password", "Description": one}) for one in ("a", "b")]
    execution = approved(stage, *steps)
    stage.execute()
    assert (fresh(execution).state, attempts(execution)) == ("succeeded", ["succeeded", "succeeded"])


def test_a_secret_made_anew_under_the_name_is_beyond_the_session(stage: Stage) -> None:
    """AWS told the secret's whole ARN: the one that took its name after the last look is denied to the session in hand."""
    step = Step("secretsmanager", "UpdateSecret", {"SecretId": "prod/db/password", "Description": "new"})
    execution = approved(stage, step)
    with stage.acting("execution"):
        _, session = session_of(stage, execution)
    with client(stage, "secretsmanager") as secrets:
        secrets.delete_secret(SecretId="prod/db/password", ForceDeleteWithoutRecovery=True)
        secrets.create_secret(Name="prod/db/password", SecretString="another")
    with stage.acting("execution"), session:
        answer = session.mutate(step.service, step.operation, step.parameters)
    assert isinstance(answer, answers.Rejected), answer
    assert "AccessDenied" in answer.code


@pytest.mark.parametrize(
    "step",
    [
        Step("efs", "DeleteMountTarget", {"MountTargetId": "fsmt-0123456789abcdef0"}),
        Step("rds", "DeleteDBProxy", {"DBProxyName": "prod-front"}),
        Step("redshift-serverless", "DeleteNamespace", {"namespaceName": "prod"}),
        Step("config", "DeleteConfigRule", {"ConfigRuleName": "versions"}),
    ],
    ids=lambda step: step.name,
)
def test_what_aws_does_not_tell_gets_no_session(step: Step) -> None:
    """The call does not name what IAM judges it by, and nobody told: there is no session for all of that kind."""
    with pytest.raises(NotNamed, match="AWS did not tell"):
        rights.policy(step, PLACE, acting=True)
