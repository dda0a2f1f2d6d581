"""From eventSource and eventName to the operation, for every service that botocore knows."""

from __future__ import annotations

import json
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.operations import catalog, sources, sources_index


def test_the_index_is_what_botocore_says():
    """The generated file equals what the installed botocore makes of it; an update of botocore asks for it to be made again."""
    file = resources.files("approvals.operations.data").joinpath("sources.json")
    assert json.loads(file.read_text("utf-8")) == sources_index.made()


def test_every_operation_is_found_under_its_services_own_source():
    """Each of botocore's operations is among the candidates of its service's eventSource, save what S3 calls differently."""
    lost = [
        f"{service}:{name}"
        for service in catalog.services()
        for name in sources._operations(service).values()
        if f"{service}:{name}" not in sources.candidates(sources.event_source(service), name)
    ]
    assert lost == ["s3:GetBucketLifecycle", "s3:GetBucketNotification", "s3:PutBucketLifecycle", "s3:PutBucketNotification"]


@pytest.mark.parametrize(
    ("source", "name", "recorded", "operation"),
    [
        ("dynamodb", "DeleteTable", None, "dynamodb:DeleteTable"),
        ("lambda", "AddPermission20150331v2", {"functionName": "f"}, "lambda:AddPermission"),
        ("lambda", "DeleteFunction20150331", None, "lambda:DeleteFunction"),
        ("cloudfront", "CreateDistribution2020_05_31", {"distributionConfig": {}}, "cloudfront:CreateDistribution"),
        ("rds", "DeleteDBInstance", {"dBInstanceIdentifier": "x"}, "rds:DeleteDBInstance"),
        ("rds", "DeleteDBInstance", None, "rds:DeleteDBInstance"),
        ("elasticloadbalancing", "DeleteLoadBalancer", {"loadBalancerName": "x"}, "elb:DeleteLoadBalancer"),
        ("elasticloadbalancing", "DeleteLoadBalancer", {"loadBalancerArn": "x"}, "elbv2:DeleteLoadBalancer"),
        ("apigateway", "CreateStage", {"restApiId": "x", "createStageInput": {"stageName": "y"}}, "apigateway:CreateStage"),
        ("apigateway", "CreateStage", {"apiId": "x", "stageName": "y"}, "apigatewayv2:CreateStage"),
        ("es", "DeleteElasticsearchDomain", {"domainName": "x"}, "es:DeleteElasticsearchDomain"),
        ("es", "DeleteDomain", {"domainName": "x"}, "opensearch:DeleteDomain"),
        ("ses", "SendEmail", {"source": "a", "destination": {}, "message": {}}, "ses:SendEmail"),
        ("ses", "PutAccountSendingAttributes", {"sendingEnabled": False}, "sesv2:PutAccountSendingAttributes"),
        ("autoscaling", "PutScalingPolicy", {"policyName": "x", "autoScalingGroupName": "y"}, "autoscaling:PutScalingPolicy"),
        (
            "autoscaling",
            "PutScalingPolicy",
            {"policyName": "x", "serviceNamespace": "ecs", "resourceId": "y", "scalableDimension": "z"},
            "application-autoscaling:PutScalingPolicy",
        ),
        (
            "kinesisanalytics",
            "AddApplicationCloudWatchLoggingOption",
            {
                "applicationName": "a",
                "currentApplicationVersionId": 1,
                "cloudWatchLoggingOption": {"roleARN": "r", "logStreamARN": "l"},
            },
            "kinesisanalytics:AddApplicationCloudWatchLoggingOption",
        ),
        ("monitoring", "PutMetricAlarm", None, "cloudwatch:PutMetricAlarm"),
        ("states", "DeleteStateMachine", None, "stepfunctions:DeleteStateMachine"),
        ("rdsdata", "ExecuteStatement", None, "rds-data:ExecuteStatement"),
        ("ds", "ResetUserPassword", None, "ds:ResetUserPassword"),
        ("ds", "DisableUser", None, "ds-data:DisableUser"),
        ("sso", "DeletePermissionSet", None, "sso-admin:DeletePermissionSet"),
        ("ecr", "DeleteRepository", None, "ecr:DeleteRepository"),
        ("sagemaker", "DeleteEndpoint", None, "sagemaker:DeleteEndpoint"),
        ("memorydb", "DeleteCluster", None, "memorydb:DeleteCluster"),
        ("s3", "PutBucketLifecycle", None, "s3:PutBucketLifecycleConfiguration"),
        ("s3", "PutBucketNotification", None, "s3:PutBucketNotificationConfiguration"),
        ("s3", "DeleteBucketPublicAccessBlock", None, "s3:DeletePublicAccessBlock"),
        ("s3", "PutAccountPublicAccessBlock", None, "s3control:PutPublicAccessBlock"),
        ("signin", "ConsoleLogin", None, None),
        ("sso-directory", "CreateUser", {"userAttributes": {}}, None),
        ("nobody", "DeleteTable", None, None),
        ("dynamodb", "DeleteTable20", None, None),
    ],
)
def test_a_source_and_a_name_mean_one_operation(source, name, recorded, operation):
    """Aliases, version suffixes, renamed events and sources that several services share end at the one operation."""
    found = catalog.of_event(f"{source}.amazonaws.com", name, recorded)
    assert (found.full_name if found else None) == operation


def test_a_call_of_services_that_share_an_api_is_a_call_of_each():
    """A guardrail that knows the call by DocumentDB's name must not miss it because RDS comes first."""
    meant = catalog.all_of_event("rds.amazonaws.com", "DeleteDBCluster", {"dBClusterIdentifier": "x", "skipFinalSnapshot": True})
    assert [operation.full_name for operation in meant] == [
        "rds:DeleteDBCluster",
        "docdb:DeleteDBCluster",
        "neptune:DeleteDBCluster",
    ]


@given(st.text() | st.just("rds.amazonaws.com"), st.text() | st.just("DeleteDBInstance"))
def test_no_name_breaks_the_look_up(source, name):
    """Whatever a record calls itself, the answer is a tuple of names."""
    assert isinstance(sources.candidates(source, name), tuple)


def test_every_name_in_the_quirks_is_one_of_botocores():
    """Operations, members and paths that the data names exist, so that a slip of the pen is found here and not in a record."""
    data = json.loads(resources.files("approvals.operations.data").joinpath("quirks.json").read_text("utf-8"))
    for service, events in data["events"].items():
        assert set(events.values()) <= set(sources._operations(service).values())
    for section in ("silent", "moved", "values"):
        for name, paths in data[section].items():
            shape = catalog.get(name).model.input_shape
            for path in paths.values() if section == "moved" else paths:
                assert _leads_somewhere(shape, path.split(".")), (section, name, path)
    assert set(data["xml"]) | set(data["marked"]) <= set(catalog.services())


def _leads_somewhere(shape, path):
    for name in path:
        while shape.type_name == "list":
            shape = shape.member
        if name not in getattr(shape, "members", {}):
            return False
        shape = shape.members[name]
    return True
