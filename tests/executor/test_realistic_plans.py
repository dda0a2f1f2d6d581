"""Plans of several steps that people really make: what the plan itself changes, makes or takes away is no drift."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from approvals.plan import Step
from executor.sandbox.world import DEMO
from tests.executor.own_guardrails import BUCKET, cast, client, facts  # noqa: F401 - fixtures
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_steps import approved

OPERATIONS = (
    "dynamodb:CreateTable",
    "dynamodb:DeleteTable",
    "dynamodb:RestoreTableFromBackup",
    "dynamodb:UpdateContinuousBackups",
    "dynamodb:UpdateTable",
    "dynamodb:UpdateTimeToLive",
    "ec2:AttachVolume",
    "ec2:CreateImage",
    "ec2:CreateSnapshot",
    "ec2:DeleteSecurityGroup",
    "ec2:DeleteVolume",
    "ec2:DetachVolume",
    "ec2:ModifyImageAttribute",
    "ec2:ModifyInstanceAttribute",
    "ec2:ModifySnapshotAttribute",
    "ec2:RevokeSecurityGroupEgress",
    "ec2:RevokeSecurityGroupIngress",
    "ec2:StopInstances",
    "ec2:TerminateInstances",
    "ecs:DeleteCluster",
    "ecs:DeleteService",
    "ecs:UpdateService",
    "elbv2:DeregisterTargets",
    "events:DeleteRule",
    "events:DisableRule",
    "events:RemoveTargets",
    "iam:AddUserToGroup",
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:CreateGroup",
    "iam:CreateRole",
    "iam:CreateUser",
    "iam:DeactivateMFADevice",
    "iam:DeleteAccessKey",
    "iam:DeleteInstanceProfile",
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:DeleteVirtualMFADevice",
    "iam:DetachRolePolicy",
    "iam:PutRolePolicy",
    "iam:RemoveRoleFromInstanceProfile",
    "iam:UpdateAccessKey",
    "kms:CancelKeyDeletion",
    "kms:DeleteAlias",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:ScheduleKeyDeletion",
    "kms:UpdateAlias",
    "lambda:DeleteFunction",
    "lambda:UpdateFunctionCode",
    "organizations:DisableAWSServiceAccess",
    "rds:CreateDBSnapshot",
    "rds:DeleteBlueGreenDeployment",
    "rds:DeleteDBInstance",
    "rds:ModifyDBInstance",
    "rds:ModifyDBSnapshotAttribute",
    "rds:RestoreDBInstanceFromDBSnapshot",
    "rds:SwitchoverBlueGreenDeployment",
    "redshift:AuthorizeSnapshotAccess",
    "redshift:CreateClusterSnapshot",
    "redshift:ModifyClusterSnapshot",
    "s3:DeleteBucket",
    "s3:DeleteBucketEncryption",
    "s3:DeleteBucketPolicy",
    "s3:DeleteObject",
    "s3:DeleteObjects",
    "s3:PutBucketAcl",
    "s3:PutBucketEncryption",
    "s3:PutBucketPolicy",
    "s3:PutBucketVersioning",
    "s3:PutObject",
    "s3:PutObjectLegalHold",
    "secretsmanager:PutResourcePolicy",
    "secretsmanager:PutSecretValue",
    "secretsmanager:RestoreSecret",
    "sns:CreateTopic",
    "sns:SetTopicAttributes",
    "ssm:DeleteParameter",
    "ssm:PutParameter",
)


def versioning_on_then_delete_objects(stage: Stage) -> tuple[Step, ...]:
    """The protection first, then the loss."""
    with client(stage, "s3") as s3:
        s3.put_object(Bucket=BUCKET, Key="a", Body=b"x")
    return (
        Step("s3", "PutBucketVersioning", {"Bucket": BUCKET, "VersioningConfiguration": {"Status": "Enabled"}}),
        Step("s3", "DeleteObjects", {"Bucket": BUCKET, "Delete": {"Objects": [{"Key": "a"}]}}),
    )


def backup_of(stage: Stage) -> str:
    with client(stage, "dynamodb") as dynamodb:
        made = dynamodb.create_backup(TableName="prod-customers", BackupName="before")["BackupDetails"]["BackupArn"]
    return str(made)


PITR = {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}


def restore_then_recovery_on(stage: Stage) -> tuple[Step, ...]:
    arn = backup_of(stage)
    return (
        Step("dynamodb", "RestoreTableFromBackup", {"TargetTableName": "prod-restored", "BackupArn": arn}),
        Step("dynamodb", "UpdateContinuousBackups", {"TableName": "prod-restored", **PITR}),
    )


def delete_restore_and_recovery_on(stage: Stage) -> tuple[Step, ...]:
    """Roll a table back under its own name; it is protected again in the end."""
    arn = backup_of(stage)
    return (
        Step("dynamodb", "DeleteTable", {"TableName": "prod-customers"}),
        Step("dynamodb", "RestoreTableFromBackup", {"TargetTableName": "prod-customers", "BackupArn": arn}),
        Step("dynamodb", "UpdateContinuousBackups", {"TableName": "prod-customers", **PITR}),
    )


def snapshot_then_share_it(stage: Stage) -> tuple[Step, ...]:
    return (
        Step("rds", "CreateDBSnapshot", {"DBInstanceIdentifier": "prod-billing", "DBSnapshotIdentifier": "to-share"}),
        Step(
            "rds",
            "ModifyDBSnapshotAttribute",
            {"DBSnapshotIdentifier": "to-share", "AttributeName": "restore", "ValuesToAdd": ["999988887777"]},
        ),
    )


RULE = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]


def empty_rule_sets_then_delete_the_group(stage: Stage) -> tuple[Step, ...]:
    with client(stage, "ec2") as ec2:
        vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        group = ec2.create_security_group(GroupName="old", Description="old", VpcId=vpc)["GroupId"]
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=RULE)
        ec2.authorize_security_group_egress(GroupId=group, IpPermissions=RULE)
    return (
        Step("ec2", "RevokeSecurityGroupIngress", {"GroupId": group, "IpPermissions": RULE}),
        Step("ec2", "RevokeSecurityGroupEgress", {"GroupId": group, "IpPermissions": RULE}),
        Step("ec2", "DeleteSecurityGroup", {"GroupId": group}),
    )


def two_targets_one_after_the_other(stage: Stage) -> tuple[Step, ...]:
    with client(stage, "ec2") as ec2, client(stage, "elbv2") as elb:
        vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        ids = [one["InstanceId"] for one in ec2.run_instances(ImageId="ami-12345678", MinCount=3, MaxCount=3)["Instances"]]
        group = elb.create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0]["TargetGroupArn"]
        elb.register_targets(TargetGroupArn=group, Targets=[{"Id": one} for one in ids])
    return (
        Step("elbv2", "DeregisterTargets", {"TargetGroupArn": group, "Targets": [{"Id": ids[0]}]}),
        Step("elbv2", "DeregisterTargets", {"TargetGroupArn": group, "Targets": [{"Id": ids[1]}]}),
    )


def disable_rule_remove_targets_delete_rule(stage: Stage) -> tuple[Step, ...]:
    with client(stage, "events") as events:
        events.put_rule(Name="old", ScheduleExpression="rate(5 minutes)")
        queue = f"arn:aws:sqs:{DEMO.region}:{DEMO.account}:q"
        events.put_targets(Rule="old", Targets=[{"Id": one, "Arn": queue} for one in ("a", "b")])
    return (
        Step("events", "DisableRule", {"Name": "old"}),
        Step("events", "RemoveTargets", {"Rule": "old", "Ids": ["a"]}),
        Step("events", "RemoveTargets", {"Rule": "old", "Ids": ["b"]}),
        Step("events", "DeleteRule", {"Name": "old"}),
    )


def unshare_a_snapshot_in_two_calls(stage: Stage) -> tuple[Step, ...]:
    with client(stage, "ec2") as ec2:
        volume = ec2.create_volume(AvailabilityZone=f"{DEMO.region}a", Size=8)["VolumeId"]
        snap = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
        ec2.modify_snapshot_attribute(
            SnapshotId=snap, Attribute="createVolumePermission", OperationType="add", UserIds=["999988887777"]
        )
        ec2.modify_snapshot_attribute(
            SnapshotId=snap, Attribute="createVolumePermission", OperationType="add", GroupNames=["all"]
        )
    base = {"SnapshotId": snap, "Attribute": "createVolumePermission", "OperationType": "remove"}
    return (
        Step("ec2", "ModifySnapshotAttribute", {**base, "GroupNames": ["all"]}),
        Step("ec2", "ModifySnapshotAttribute", {**base, "UserIds": ["999988887777"]}),
    )


def stop_image_unprotect_terminate(stage: Stage) -> tuple[Step, ...]:
    """Countersign's own suggestions before a termination, together."""
    instance = DEMO.instance_id("prod-web")
    return (
        Step("ec2", "ModifyInstanceAttribute", {"InstanceId": instance, "DisableApiTermination": {"Value": False}}),
        Step("ec2", "StopInstances", {"InstanceIds": [instance]}),
        Step("ec2", "CreateImage", {"InstanceId": instance, "Name": f"before-termination-of-{instance}"}),
        Step("ec2", "TerminateInstances", {"InstanceIds": [instance]}),
    )


def snapshot_detach_delete_volume(stage: Stage) -> tuple[Step, ...]:
    with client(stage, "ec2") as ec2:
        volume = ec2.create_volume(AvailabilityZone=f"{DEMO.region}a", Size=8)["VolumeId"]
        ec2.attach_volume(VolumeId=volume, InstanceId=DEMO.instance_id("prod-web"), Device="/dev/sdf")
    return (
        Step("ec2", "CreateSnapshot", {"VolumeId": volume, "Description": "x"}),
        Step("ec2", "DetachVolume", {"VolumeId": volume, "InstanceId": DEMO.instance_id("prod-web"), "Device": "/dev/sdf"}),
        Step("ec2", "DeleteVolume", {"VolumeId": volume}),
    )


def scale_down_delete_service_delete_cluster(stage: Stage) -> tuple[Step, ...]:
    with client(stage, "ecs") as ecs:
        ecs.create_cluster(clusterName="c")
        ecs.register_task_definition(family="f", containerDefinitions=[{"name": "x", "image": "y", "memory": 10}])
        ecs.create_service(cluster="c", serviceName="s", taskDefinition="f", desiredCount=1)
    return (
        Step("ecs", "UpdateService", {"cluster": "c", "service": "s", "desiredCount": 0}),
        Step("ecs", "DeleteService", {"cluster": "c", "service": "s"}),
        Step("ecs", "DeleteCluster", {"cluster": "c"}),
    )


def key(stage: Stage) -> tuple[Step, ...]:
    key = DEMO.key_id("alias/prod-payments")
    return (
        Step("kms", "DisableKey", {"KeyId": key}),
        Step("kms", "ScheduleKeyDeletion", {"KeyId": key, "PendingWindowInDays": 30}),
    )


def access_key(stage: Stage) -> tuple[Step, ...]:
    with client(stage, "iam") as iam:
        key = iam.create_access_key(UserName="alice")["AccessKey"]["AccessKeyId"]
    base = {"UserName": "alice", "AccessKeyId": key}
    return (Step("iam", "UpdateAccessKey", {**base, "Status": "Inactive"}), Step("iam", "DeleteAccessKey", base))


def restore_a_secret_and_put_its_policy(stage: Stage) -> tuple[Step, ...]:
    with client(stage, "secretsmanager") as sm:
        sm.delete_secret(SecretId="prod/db/password", RecoveryWindowInDays=7)
    return (
        Step("secretsmanager", "RestoreSecret", {"SecretId": "prod/db/password"}),
        Step(
            "secretsmanager",
            "PutResourcePolicy",
            {"SecretId": "prod/db/password", "ResourcePolicy": '{"Version":"2012-10-17","Statement":[]}'},
        ),
    )


def a_key_is_kept(stage: Stage) -> tuple[Step, ...]:
    key = DEMO.key_id("alias/prod-payments")
    with client(stage, "kms") as kms:
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=30)
    return (Step("kms", "CancelKeyDeletion", {"KeyId": key}), Step("kms", "EnableKey", {"KeyId": key}))


def an_alias_goes_then_its_key(stage: Stage) -> tuple[Step, ...]:
    key = DEMO.key_id("alias/prod-payments")
    return (
        Step("kms", "DeleteAlias", {"AliasName": "alias/prod-payments"}),
        Step("kms", "ScheduleKeyDeletion", {"KeyId": key, "PendingWindowInDays": 30}),
    )


def a_role_goes(stage: Stage) -> tuple[Step, ...]:
    with client(stage, "iam") as iam:
        trust = {"Version": "2012-10-17", "Statement": []}
        iam.create_role(RoleName="old", AssumeRolePolicyDocument=json.dumps(trust))
        everything = [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]
        rights = {"Version": "2012-10-17", "Statement": everything}
        iam.put_role_policy(RoleName="old", PolicyName="p", PolicyDocument=json.dumps(rights))
        own = iam.create_policy(PolicyName="own", PolicyDocument=json.dumps(rights))["Policy"]["Arn"]
        iam.attach_role_policy(RoleName="old", PolicyArn=own)
        iam.create_instance_profile(InstanceProfileName="old")
        iam.add_role_to_instance_profile(InstanceProfileName="old", RoleName="old")
    return (
        Step("iam", "DetachRolePolicy", {"RoleName": "old", "PolicyArn": own}),
        Step("iam", "DeleteRolePolicy", {"RoleName": "old", "PolicyName": "p"}),
        Step("iam", "RemoveRoleFromInstanceProfile", {"InstanceProfileName": "old", "RoleName": "old"}),
        Step("iam", "DeleteInstanceProfile", {"InstanceProfileName": "old"}),
        Step("iam", "DeleteRole", {"RoleName": "old"}),
    )


def a_table_is_made_anew_with_recovery(stage: Stage) -> tuple[Step, ...]:
    return (
        Step("dynamodb", "DeleteTable", {"TableName": "prod-customers"}),
        Step(
            "dynamodb",
            "CreateTable",
            {
                "TableName": "prod-customers",
                "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"}],
                "BillingMode": "PAY_PER_REQUEST",
            },
        ),
        Step(
            "dynamodb",
            "UpdateContinuousBackups",
            {"TableName": "prod-customers", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}},
        ),
    )


def bucket_policy_twice_and_away(stage: Stage) -> tuple[Step, ...]:
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    pol = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return (
        Step("s3", "PutBucketPolicy", {"Bucket": BUCKET, "Policy": pol}),
        Step("s3", "DeleteBucketPolicy", {"Bucket": BUCKET}),
    )


RIGHTS = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]})


def own_policy(stage: Stage) -> str:
    with client(stage, "iam") as iam:
        return str(iam.create_policy(PolicyName="own", PolicyDocument=RIGHTS)["Policy"]["Arn"])


def a_role_and_its_policies(stage: Stage) -> tuple[Step, ...]:
    service = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [service]})
    return (
        Step("iam", "CreateRole", {"RoleName": "new", "AssumeRolePolicyDocument": trust}),
        Step("iam", "PutRolePolicy", {"RoleName": "new", "PolicyName": "p", "PolicyDocument": RIGHTS}),
        Step("iam", "AttachRolePolicy", {"RoleName": "new", "PolicyArn": own_policy(stage)}),
        Step("iam", "DeleteRolePolicy", {"RoleName": "new", "PolicyName": "p"}),
    )


def a_user_and_its_group(stage: Stage) -> tuple[Step, ...]:
    return (
        Step("iam", "CreateUser", {"UserName": "newcomer"}),
        Step("iam", "CreateGroup", {"GroupName": "new"}),
        Step("iam", "AddUserToGroup", {"GroupName": "new", "UserName": "newcomer"}),
        Step("iam", "AttachUserPolicy", {"UserName": "newcomer", "PolicyArn": own_policy(stage)}),
    )


def a_topic_and_its_name(stage: Stage) -> tuple[Step, ...]:
    arn = f"arn:aws:sns:{DEMO.region}:{DEMO.account}:new"
    return (
        Step("sns", "CreateTopic", {"Name": "new"}),
        Step("sns", "SetTopicAttributes", {"TopicArn": arn, "AttributeName": "DisplayName", "AttributeValue": "x"}),
    )


def restore_then_snapshot(stage: Stage) -> tuple[Step, ...]:
    with client(stage, "rds") as rds:
        rds.create_db_snapshot(DBInstanceIdentifier="prod-billing", DBSnapshotIdentifier="good")
    return (
        Step("rds", "RestoreDBInstanceFromDBSnapshot", {"DBInstanceIdentifier": "restored", "DBSnapshotIdentifier": "good"}),
        Step("rds", "CreateDBSnapshot", {"DBInstanceIdentifier": "restored", "DBSnapshotIdentifier": "first"}),
    )


def keep_a_volume_that_is_attached_then_detach_it(stage: Stage) -> tuple[Step, ...]:
    instance, disk = DEMO.instance_id("prod-web"), "/dev/sdf"
    with client(stage, "ec2") as ec2:
        volume = ec2.create_volume(AvailabilityZone=f"{DEMO.region}a", Size=8)["VolumeId"]

    def keep(device: str) -> Step:
        mapping = {"DeviceName": device, "Ebs": {"DeleteOnTermination": False}}
        return Step("ec2", "ModifyInstanceAttribute", {"InstanceId": instance, "BlockDeviceMappings": [mapping]})

    return (
        Step("ec2", "AttachVolume", {"VolumeId": volume, "InstanceId": instance, "Device": disk}),
        keep(disk),
        Step("ec2", "DetachVolume", {"VolumeId": volume, "InstanceId": instance, "Device": disk}),
        keep("/dev/sda1"),
        Step("ec2", "TerminateInstances", {"InstanceIds": [instance]}),
    )


@pytest.mark.parametrize(
    "plan",
    [
        versioning_on_then_delete_objects,
        restore_then_recovery_on,
        delete_restore_and_recovery_on,
        snapshot_then_share_it,
        empty_rule_sets_then_delete_the_group,
        two_targets_one_after_the_other,
        disable_rule_remove_targets_delete_rule,
        unshare_a_snapshot_in_two_calls,
        stop_image_unprotect_terminate,
        snapshot_detach_delete_volume,
        scale_down_delete_service_delete_cluster,
        key,
        access_key,
        restore_a_secret_and_put_its_policy,
        a_key_is_kept,
        an_alias_goes_then_its_key,
        a_role_goes,
        a_table_is_made_anew_with_recovery,
        bucket_policy_twice_and_away,
        a_role_and_its_policies,
        a_user_and_its_group,
        a_topic_and_its_name,
        restore_then_snapshot,
        keep_a_volume_that_is_attached_then_detach_it,
    ],
    ids=lambda plan: plan.__name__.replace("_", " "),
)
def test_a_plan_that_changes_its_own_targets_comes_to_its_end(stage: Stage, plan: Callable[[Stage], tuple[Step, ...]]) -> None:
    """Every step is judged anew before it is made, and none is stopped by what those before it were signed to do."""
    steps = plan(stage)
    execution = approved(stage, *steps)
    stage.execute()
    for _ in range(3):
        if fresh(execution).state in {"succeeded", "failed", "aborted"}:
            break
        stage.sweep(2)
    done = [one for one in attempts(execution) if one == "succeeded"]  # rehearsals are rejected
    assert (fresh(execution).state, len(done)) == ("succeeded", len(steps)), fresh(execution).outcome
