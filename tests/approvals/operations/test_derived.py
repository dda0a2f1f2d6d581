"""Facts about operations that have no row: what can be said from models and tables alone."""

from __future__ import annotations

import pytest

from approvals.operations import catalog, derived


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
    ],
)
def test_what_takes_away_is_beyond_undoing_until_somebody_describes_it(name, irreversible):
    """By its verb, wherever it stands in the name, unless its access level says that it only reads."""
    assert bare(name).irreversible is irreversible


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
