"""How calls and denials are written into CloudTrail records."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from executor.sandbox.hiding import HIDDEN
from executor.sandbox.models import operation_model
from executor.sandbox.naming import event_name, event_region, event_source
from executor.sandbox.recognise import Call
from executor.sandbox.spelling import spelled
from executor.sandbox.wording import worded


@pytest.mark.parametrize(
    ("service", "operation", "given", "written"),
    [
        ("ssm", "PutParameter", {"Name": "n", "Value": "secret"}, {"name": "n", "value": HIDDEN}),
        ("kms", "Encrypt", {"KeyId": "k", "Plaintext": b"secret"}, {"keyId": "k"}),
        ("iam", "ChangePassword", {"OldPassword": "a", "NewPassword": "b"}, None),
        (
            "dynamodb",
            "UpdateTimeToLive",
            {"TableName": "t", "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "Expires"}},
            {"tableName": "t", "timeToLiveSpecification": {"enabled": True, "attributeName": "Expires"}},
        ),
        ("sqs", "CreateQueue", {"QueueName": "q", "tags": {"Team": "A"}}, {"queueName": "q", "tags": {"Team": "A"}}),
        (
            "dynamodb",
            "RestoreTableToPointInTime",
            {"RestoreDateTime": datetime(2026, 3, 4, 0, 5, 6, tzinfo=UTC)},
            {"restoreDateTime": "Mar 4, 2026, 12:05:06 AM"},
        ),
        ("dynamodb", "DeleteTable", {"Unknown": {"Deep": 1}}, {"unknown": {"Deep": 1}}),
    ],
)
def test_values_are_written_as_cloudtrail_writes_them(service: str, operation: str, given: Any, written: Any) -> None:
    """Member names begin in lower case, keys of maps stay, secrets are hidden or absent, dates are in words."""
    assert spelled(operation_model(service, operation), given) == written


@pytest.mark.parametrize(
    ("service", "operation", "given", "written"),
    [
        (
            "ec2",
            "TerminateInstances",
            {"InstanceIds": ["i-1", "i-2"]},
            {"instancesSet": {"items": [{"instanceId": "i-1"}, {"instanceId": "i-2"}]}},
        ),
        (
            "ec2",
            "RunInstances",
            {
                "ImageId": "ami-1",
                "MinCount": 1,
                "MaxCount": 1,
                "UserData": "IyE=",
                "Placement": {"AvailabilityZone": "eu-west-1a"},
                "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}],
            },
            {
                "instancesSet": {"items": [{"imageId": "ami-1", "minCount": 1, "maxCount": 1}]},
                "availabilityZone": "eu-west-1a",
                "userData": "<sensitiveDataRemoved>",
                "tagSpecificationSet": {"items": [{"resourceType": "instance", "tags": [{"key": "a", "value": "b"}]}]},
            },
        ),
        (
            "ec2",
            "AuthorizeSecurityGroupIngress",
            {"GroupId": "sg-1", "IpPermissions": [{"FromPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]},
            {"groupId": "sg-1", "ipPermissions": {"items": [{"fromPort": 22, "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]}},
        ),
        (
            "ec2",
            "DeleteFlowLogs",
            {"FlowLogIds": ["fl-1"]},
            {"DeleteFlowLogsRequest": {"FlowLogId": {"content": "fl-1", "tag": 1}}},
        ),
        ("ec2", "EnableSerialConsoleAccess", {}, {"EnableSerialConsoleAccessRequest": ""}),
        ("s3", "DeleteBucket", {"Bucket": "b"}, {"bucketName": "b", "Host": "b.s3.eu-west-1.amazonaws.com"}),
        (
            "s3",
            "PutBucketVersioning",
            {"Bucket": "b", "VersioningConfiguration": {"Status": "Suspended"}},
            {
                "bucketName": "b",
                "Host": "b.s3.eu-west-1.amazonaws.com",
                "versioning": "",
                "VersioningConfiguration": {"Status": "Suspended", "xmlns": "http://s3.amazonaws.com/doc/2006-03-01/"},
            },
        ),
        (
            "s3",
            "PutBucketPolicy",
            {"Bucket": "b", "Policy": '{"Statement": []}'},
            {"bucketName": "b", "Host": "b.s3.eu-west-1.amazonaws.com", "policy": "", "bucketPolicy": {"Statement": []}},
        ),
        ("eks", "DeleteAccessEntry", {"clusterName": "c", "principalArn": "a:b/c"}, {"name": "c", "principalArn": "a%3Ab%2Fc"}),
        (
            "rds",
            "ModifyDBInstance",
            {"DBInstanceIdentifier": "d", "MasterUserPassword": "p"},
            {"dBInstanceIdentifier": "d", "masterUserPassword": HIDDEN},
        ),
        (
            "lambda",
            "UpdateFunctionConfiguration",
            {"FunctionName": "f", "Environment": {"Variables": {"A": "b"}}},
            {"functionName": "f", "environment": {}},
        ),
        ("secretsmanager", "PutSecretValue", {"SecretId": "s", "SecretString": "hush"}, {"secretId": "s"}),
        ("cloudformation", "CreateStack", {"StackName": "s", "TemplateBody": "{}"}, {"stackName": "s"}),
        ("organizations", "LeaveOrganization", {}, None),
    ],
)
def test_each_service_has_its_spelling(service: str, operation: str, given: Any, written: Any) -> None:
    """EC2's two ways, S3's names of the wire, EKS's path, RDS's capitals, and what is hidden or left out."""
    assert spelled(operation_model(service, operation), given, "eu-west-1") == written


@pytest.mark.parametrize(
    ("service", "operation", "source", "name", "region"),
    [
        ("rds", "DeleteDBInstance", "rds", "DeleteDBInstance", "eu-west-1"),
        ("docdb", "DeleteDBCluster", "rds", "DeleteDBCluster", "eu-west-1"),
        ("elbv2", "DeleteLoadBalancer", "elasticloadbalancing", "DeleteLoadBalancer", "eu-west-1"),
        ("sesv2", "DeleteEmailIdentity", "ses", "DeleteEmailIdentity", "eu-west-1"),
        ("cloudwatch", "DeleteAlarms", "monitoring", "DeleteAlarms", "eu-west-1"),
        ("opensearch", "DeleteDomain", "es", "DeleteDomain", "eu-west-1"),
        ("application-autoscaling", "DeleteScalingPolicy", "autoscaling", "DeleteScalingPolicy", "eu-west-1"),
        ("iam", "DeleteRole", "iam", "DeleteRole", "us-east-1"),
        ("route53", "DeleteHostedZone", "route53", "DeleteHostedZone", "us-east-1"),
        ("organizations", "LeaveOrganization", "organizations", "LeaveOrganization", "us-east-1"),
        ("cloudfront", "DeleteDistribution", "cloudfront", "DeleteDistribution2020_05_31", "us-east-1"),
        ("lambda", "AddPermission", "lambda", "AddPermission20150331v2", "eu-west-1"),
        ("lambda", "CreateFunction", "lambda", "CreateFunction20150331", "eu-west-1"),
        ("lambda", "CreateFunctionUrlConfig", "lambda", "CreateFunctionUrlConfig", "eu-west-1"),
        ("s3", "PutPublicAccessBlock", "s3", "PutBucketPublicAccessBlock", "eu-west-1"),
        ("s3", "PutBucketLifecycleConfiguration", "s3", "PutBucketLifecycle", "eu-west-1"),
    ],
)
def test_each_call_has_its_event(service: str, operation: str, source: str, name: str, region: str) -> None:
    """Source, name and region of the event are the service's, with old names, versions and the region of global services."""
    model = operation_model(service, operation)
    assert (event_source(model), event_name(model), event_region(model, "eu-west-1")) == (f"{source}.amazonaws.com", name, region)


ARN = "arn:aws:rds:eu-west-1:111122223333:db:Prod-A"
SAID = f"User: arn:aws:iam::111122223333:user/Alice is not authorized to perform: x:Y on resource: {ARN}"
WHY = " because no identity-based policy allows the x:Y action"


@pytest.mark.parametrize(
    ("service", "operation", "said", "worded_as"),
    [
        ("kms", "DisableKey", SAID + WHY, SAID + WHY),
        ("rds", "DeleteDBInstance", SAID + WHY, SAID.replace(ARN, ARN.lower()) + WHY),
        ("s3", "DeleteBucket", SAID + WHY, SAID.replace(ARN, f'"{ARN}"') + WHY),
        ("efs", "DeleteFileSystem", SAID + WHY, SAID.replace(f"on resource: {ARN}", "on the specified resource")),
        ("redshift", "DescribeClusters", SAID.replace(ARN, "*") + WHY, SAID.replace(f" on resource: {ARN}", "") + WHY),
        ("ecs", "ListClusters", SAID.replace(ARN, "*") + WHY, SAID.replace(ARN, "*") + WHY),
        ("efs", "DeleteFileSystem", "No", "No"),
    ],
)
def test_each_service_denies_in_its_words(service: str, operation: str, said: str, worded_as: str) -> None:
    """S3 quotes the ARN, RDS writes it small, EFS does not name it, and XML leaves out a resource that could be any."""
    model = operation_model(service, operation)
    call = Call(service, operation, str(model.service_model.resolved_protocol), {}, "eu-west-1", model)
    assert worded(call, said) == worded_as


def test_ec2_denies_with_an_encoded_message() -> None:
    """EC2 says its own sentence first and puts what only STS can decode behind it."""
    model = operation_model("ec2", "DeleteVpc")
    said = worded(Call("ec2", "DeleteVpc", "ec2", {}, "eu-west-1", model), SAID + WHY)
    assert re.fullmatch(
        re.escape(f"You are not authorized to perform this operation. {SAID}{WHY}. Encoded authorization failure message: ")
        + r"[\w-]{40,}",
        said,
    )
