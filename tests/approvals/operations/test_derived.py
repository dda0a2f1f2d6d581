"""Facts about operations that have no row: what can be said from models and tables alone."""

from __future__ import annotations

from typing import Any

import jmespath
import pytest

from approvals.operations import catalog, derived, protection


def everything():
    """The names of all operations that boto3 knows."""
    return [f"{service}:{name}" for service in catalog.services() for name in catalog.service_model(service).operation_names]


def bare(name):
    operation = catalog.get(name)
    return derived.facts(operation.service, operation.model)


@pytest.mark.parametrize(
    ("name", "does"),
    [
        ("ec2:DeleteVpc", "delete VPC {VpcId}"),
        ("ec2:DeleteNatGateway", "delete NAT gateway {NatGatewayId}"),
        ("rds:DeleteDBInstance", "delete DB instance {DBInstanceIdentifier}"),
        ("iam:DeleteOpenIDConnectProvider", "delete OpenID connect provider {OpenIDConnectProviderArn}"),
        ("eks:DeleteNodegroup", "delete nodegroup {clusterName}, {nodegroupName}"),
        ("wafv2:DeleteIPSet", "delete IP set {Name}, {Id}"),
        ("organizations:LeaveOrganization", "leave organization"),
        ("ec2:DescribeVpcs", "describe VPCs"),
    ],
)
def test_the_name_reads_as_english(name, does):
    """Words with small letters, acronyms as AWS writes them, and the members that name the target."""
    assert bare(name).does == does


@pytest.mark.parametrize(
    ("name", "irreversible"),
    [
        ("iot:DeleteTopicRule", True),
        ("glue:BatchDeleteTable", True),
        ("dynamodb:BatchWriteItem", True),
        ("dynamodb:BatchGetItem", False),
        ("dynamodb:ExecuteStatement", False),
        ("rds-data:ExecuteStatement", True),
        ("ssm:SendCommand", True),
        ("s3:GetObject", False),
        ("ec2:DescribeInstances", False),
        ("ec2:CreateTags", False),
        ("cognito-idp:AdminDeleteUser", True),
        ("cognito-idp:AdminRemoveUserFromGroup", True),
        ("transfer:StartRemoteDelete", True),
        ("personalize:CreateDataDeletionJob", True),
        ("elasticbeanstalk:RebuildEnvironment", True),
        ("ec2:CreateReplaceRootVolumeTask", True),
        ("elbv2:SetRulePriorities", False),
        ("network-firewall:UpdateFirewallDeleteProtection", False),
        ("cloudformation:UpdateTerminationProtection", False),
        ("ecs:UpdateTaskProtection", False),
        ("odb:RestoreAutonomousDatabase", True),
        ("rds:RestoreDBInstanceFromDBSnapshot", False),
        ("s3tables:PutTableMaintenanceConfiguration", True),
        ("chime-sdk-messaging:RedactChannelMessage", True),
        ("s3tables:PutTableRecordExpirationConfiguration", True),
        ("fsx:CopySnapshotAndUpdateVolume", True),
        ("cloudcontrol:UpdateResource", True),
        ("scheduler:CreateSchedule", True),
        ("ssm:StartAutomationExecution", True),
        ("athena:StartQueryExecution", True),
    ],
)
def test_what_takes_away_is_beyond_undoing_until_somebody_describes_it(name, irreversible):
    """By its verb, wherever it stands in the name, unless its access level says that it only reads."""
    assert bare(name).irreversible is irreversible


@pytest.mark.parametrize(
    ("name", "parameters", "lost"),
    [
        ("docdb-elastic:UpdateCluster", {"clusterArn": "c", "backupRetentionPeriod": 1}, True),
        ("docdb-elastic:UpdateCluster", {"clusterArn": "c", "shardCount": 4}, False),
        ("fsx:UpdateFileSystem", {"FileSystemId": "f", "WindowsConfiguration": {"AutomaticBackupRetentionDays": 0}}, True),
        ("fsx:UpdateFileSystem", {"FileSystemId": "f", "StorageCapacity": 64}, False),
        ("fsx:UpdateFileSystem", {"FileSystemId": "f", "WindowsConfiguration": "what?"}, False),
        ("timestream-influxdb:UpdateDbInstance", {"dbBackupConfigurations": [{"enabled": True}, {"retentionDays": 1}]}, True),
        ("timestream-influxdb:UpdateDbInstance", {"dbBackupConfigurations": [{"enabled": True}]}, False),
        ("timestream-influxdb:UpdateDbInstance", {"dbBackupConfigurations": []}, False),
        ("timestream-influxdb:RestoreFromDbBackup", {"name": "d", "restoreMode": "REPLACE_EXISTING"}, True),
        ("timestream-influxdb:RestoreFromDbBackup", {"name": "d"}, False),
        ("lightsail:UpdateRelationalDatabase", {"disableBackupRetention": True}, True),
        ("lightsail:UpdateRelationalDatabase", {"disableBackupRetention": False, "enableBackupRetention": True}, False),
        ("kinesisvideo:UpdateDataRetention", {"StreamName": "s", "Operation": "DECREASE_DATA_RETENTION"}, True),
        ("kinesisvideo:UpdateDataRetention", {"StreamName": "s", "Operation": "INCREASE_DATA_RETENTION"}, False),
        ("dms:ReloadTables", {"ReplicationTaskArn": "t", "TablesToReload": []}, True),
        ("dms:ReloadTables", {"ReplicationTaskArn": "t", "TablesToReload": [], "ReloadOption": "validate-only"}, False),
        ("dms:StartReplicationTask", {"StartReplicationTaskType": "resume-processing"}, False),
        ("redshift:EnableSnapshotCopy", {"ClusterIdentifier": "c", "RetentionPeriod": 1}, False),
        ("redshift-serverless:UpdateSnapshotCopyConfiguration", {"snapshotRetentionPeriod": 1}, True),
        ("customer-profiles:UpdateDomain", {"DomainName": "d", "DefaultExpirationDays": 1}, True),
        ("cloudhsmv2:ModifyBackupAttributes", {"BackupId": "b", "NeverExpires": True}, False),
        ("cloudhsmv2:ModifyBackupAttributes", {"BackupId": "b", "NeverExpires": False}, True),
        ("eks:UpdateNodegroupConfig", {"labels": {"addOrUpdateLabels": {"a": "b"}}}, False),
        ("eks:UpdateNodegroupConfig", {"scalingConfig": {"desiredSize": 0}}, True),
    ],
)
def test_what_is_kept_for_another_time_may_be_kept_for_less(name, parameters, lost):
    """Nobody described the call, so nothing tells the former time: with a new one it cannot be undone, and without one it can."""
    assert not catalog.get(name).facts.curated
    assert protection.is_loss(name, parameters) is lost


def test_no_expression_of_an_operation_without_a_row_breaks():
    """Whatever a call has in place of a structure, a list or a number, what it loses is told."""
    found = [one for one in map(catalog.get, everything()) if not one.facts.curated and one.facts.loses]
    assert len(found) > 30
    for one in found:
        told = jmespath.compile(one.facts.loses)
        strange: Any
        for strange in (None, 0, "", "text", [], [[]], {}, [{}], True):
            told.search(dict.fromkeys(one.model.input_shape.members, strange))


def test_every_operation_of_a_service_has_facts():
    """Nothing breaks on a model: an action, a sentence whose members exist, and nothing claimed of the effect."""
    for service in ("ec2", "s3", "apigateway", "iam", "glue"):
        model = catalog.service_model(service)
        for name in model.operation_names:
            found = derived.facts(service, model.operation_model(name))
            shape = model.operation_model(name).input_shape
            assert set(found.identifies) <= set(shape.members if shape else ()), name
            assert found.iam_action
            assert not found.curated
            assert (found.destroys, found.undo) == ("", "")
