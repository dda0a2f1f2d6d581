"""The local AWS in each of AWS's protocols, with the clients that people use."""

import http.client
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from executor.sandbox.server import LocalAws

# One operation for each protocol and format of errors.
DENIED: list[tuple[str, str, dict[str, Any], str, int]] = [
    ("kms", "disable_key", {"KeyId": "1234"}, "AccessDeniedException", 400),
    ("organizations", "leave_organization", {}, "AccessDeniedException", 400),
    ("cloudwatch", "delete_alarms", {"AlarmNames": ["a"]}, "AccessDenied", 403),
    ("iam", "delete_user", {"UserName": "bob"}, "AccessDenied", 403),
    ("sns", "create_topic", {"Name": "t"}, "AuthorizationError", 403),
    ("redshift", "delete_cluster", {"ClusterIdentifier": "c"}, "AccessDenied", 403),
    ("ec2", "delete_vpc", {"VpcId": "vpc-1"}, "UnauthorizedOperation", 403),
    ("eks", "delete_cluster", {"name": "c"}, "AccessDeniedException", 403),
    ("lambda", "delete_function", {"FunctionName": "f"}, "AccessDeniedException", 403),
    ("efs", "delete_file_system", {"FileSystemId": "fs-12345678"}, "AccessDeniedException", 403),
    ("route53", "delete_hosted_zone", {"Id": "Z1"}, "AccessDenied", 403),
    ("cloudfront", "delete_distribution", {"Id": "E1", "IfMatch": "x"}, "AccessDenied", 403),
]


def refusal(call: Callable[..., Any], **parameters: Any) -> Any:
    """The response of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response


def test_a_denial_has_the_code_that_aws_documents(client: Any) -> None:
    """In every protocol a denied call raises ClientError with the service's own code and HTTP status."""
    for service, operation, parameters, code, status in DENIED:
        response = refusal(getattr(client("countersign-feed", service), operation), **parameters)
        assert (service, response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (service, code, status)
        assert "is not authorized to perform:" in response["Error"]["Message"], service


@pytest.mark.parametrize(
    ("service", "operation", "unknown", "wrong"),
    [
        ("ec2", "describe_vpcs", "AuthFailure", "AuthFailure"),
        ("eks", "list_clusters", "UnrecognizedClientException", "InvalidSignatureException"),
        ("s3", "list_buckets", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
        ("route53", "list_hosted_zones", "InvalidClientTokenId", "SignatureDoesNotMatch"),
    ],
)
def test_an_untrusted_key_is_refused_in_every_protocol(
    client: Any, service: str, operation: str, unknown: str, wrong: str
) -> None:
    """An unknown key and a wrong secret have each service's own codes."""
    stranger = client("alice", service, aws_access_key_id="AKIAIOSFODNN7EXAMPLE")
    assert refusal(getattr(stranger, operation))["Error"]["Code"] == unknown
    liar = client("alice", service, aws_secret_access_key="not hers")
    assert refusal(getattr(liar, operation))["Error"]["Code"] == wrong


def test_objects_come_through_unchanged(client: Any) -> None:
    """Keys, metadata and bodies of objects are what they were, whatever moto could take them for."""
    s3 = client("mallory", "s3")
    s3.create_bucket(Bucket="scratch", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    key, body = "a//b c+ü%/../Action=DeleteBucket&", b"Action=DeleteBucket&x=1" * 1000
    s3.put_object(Bucket="scratch", Key=key, Body=body, Metadata={"with_line": "1", "with-dash": "2"})
    answer = s3.get_object(Bucket="scratch", Key=key)
    assert answer["Body"].read() == body
    assert answer["Metadata"] == {"with_line": "1", "with-dash": "2"}
    assert s3.head_object(Bucket="scratch", Key=key)["ContentLength"] == len(body)
    assert [one["Key"] for one in s3.list_objects_v2(Bucket="scratch")["Contents"]] == [key]
    assert refusal(s3.delete_bucket, Bucket="scratch")["Error"]["Code"] == "BucketNotEmpty"
    s3.delete_objects(Bucket="scratch", Delete={"Objects": [{"Key": key}]})
    s3.delete_bucket(Bucket="scratch")


def test_a_member_of_the_path_cannot_be_said_again_in_the_body(client: Any, aws: LocalAws) -> None:
    """moto would look for a path's member in the body first; it gets a body without it."""
    eks = client("mallory", "eks")
    for name in ("first", "second"):
        eks.create_cluster(name=name, roleArn="arn:aws:iam::111122223333:role/r", resourcesVpcConfig={"subnetIds": ["s"]})

    def smuggle(request: AWSRequest, **_: Any) -> None:
        request.data = json.dumps({"name": "second"})

    eks.meta.events.register("before-sign.eks.DeleteCluster", smuggle)
    eks.delete_cluster(name="first")
    assert eks.list_clusters()["clusters"] == ["second"]


def test_a_service_that_moto_cannot_answer_says_so(client: Any, aws: LocalAws) -> None:
    """Operations that moto lacks and services that speak CBOR alone get an error that a client understands."""
    assert (
        "has no organizations:LeaveOrganization"
        in (refusal(client("mallory", "organizations").leave_organization)["Error"]["Message"])
    )
    assert aws.records()[-1]["errorCode"] == "UnknownOperationException"
    assert "does not know this operation" in refusal(client("mallory", "eventbridgev2").list_event_buses)["Error"]["Message"]


Put = Callable[..., tuple[int, bytes]]


@pytest.fixture
def put(aws: LocalAws) -> Put:
    """`put("/b/k", stated_hash, body)`: status and body of mallory's PUT, whose payload hash is what she states."""

    def send(path: str, stated: str, body: Any) -> tuple[int, bytes]:
        key, host = aws.keys["mallory"], aws.endpoint_url.removeprefix("http://")
        request = AWSRequest("PUT", f"{aws.endpoint_url}{path}", {"Host": host, "X-Amz-Content-SHA256": stated})
        SigV4Auth(Credentials(key["access_key_id"], key["secret_access_key"]), "s3", "eu-west-1").add_auth(request)
        connection = http.client.HTTPConnection(host, timeout=10)
        try:
            connection.request("PUT", path, body, dict(request.headers.items()))
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    return send


def test_a_body_that_is_signed_chunk_by_chunk_is_refused_with_a_reason(put: Put) -> None:
    """The local AWS cannot verify such a body, and says that instead of taking it."""
    status, body = put("/b/k", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", b"0\r\n\r\n")
    assert status == 501
    assert b"<Code>NotImplemented</Code>" in body
    assert b"chunk by chunk" in body


def test_a_body_without_a_stated_length_is_read(client: Any, put: Put) -> None:
    """A stream comes in HTTP's own chunks; S3 takes it unsigned."""
    s3 = client("mallory", "s3")
    s3.create_bucket(Bucket="scratch", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert put("/scratch/k", "UNSIGNED-PAYLOAD", iter([b"hello ", b"world"]))[0] == 200
    assert s3.get_object(Bucket="scratch", Key="k")["Body"].read() == b"hello world"
    assert put("/scratch/k", "0" * 64, iter([b"other"]))[0] == 403
    assert s3.get_object(Bucket="scratch", Key="k")["Body"].read() == b"hello world"


def test_records_keep_or_lose_parameters_as_real_ones_do(client: Any, aws: LocalAws) -> None:
    """A denied call's parameters are there for EC2, EKS and S3, and null for all others; EC2's codes begin with Client."""
    kept = {"ec2": {"vpcId": "vpc-1"}, "eks": {"name": "c"}}
    for service, operation, parameters, *_ in DENIED:
        refusal(getattr(client("countersign-feed", service), operation), **parameters)
        record = aws.records()[-1]
        assert record["requestParameters"] == kept.get(service), service
        assert record["errorCode"] == ("Client.UnauthorizedOperation" if service == "ec2" else "AccessDenied")
        assert record["readOnly"] is False
        assert "resources" not in record
    refusal(client("countersign-feed", "s3").delete_bucket, Bucket="logs")
    record = aws.records()[-1]
    assert record["requestParameters"] == {"bucketName": "logs", "Host": "logs.s3.eu-west-1.amazonaws.com"}
    assert 'on resource: "arn:aws:s3:::logs" because' in record["errorMessage"]


def test_records_of_what_worked_name_their_resource(client: Any, aws: LocalAws) -> None:
    """KMS, Secrets Manager and S3 name the resource of a call, and secrets are not in the record."""
    kms, secrets = client("mallory", "kms"), client("mallory", "secretsmanager")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.schedule_key_deletion(KeyId=key.rpartition("/")[2], PendingWindowInDays=7)
    assert aws.records()[-1]["resources"] == [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": key}]
    secret = secrets.create_secret(Name="s", SecretString="hush")["ARN"]
    assert "hush" not in json.dumps(aws.records()[-1])
    secrets.delete_secret(SecretId="s")
    assert aws.records()[-1]["resources"] == [{"accountId": "111122223333", "type": "AWS::SecretsManager::Secret", "ARN": secret}]
    refusal(client("mallory", "rds").delete_db_instance, DBInstanceIdentifier="none")
    assert aws.records()[-1]["errorCode"] == "DBInstanceNotFoundFault"
    refusal(client("mallory", "ec2").terminate_instances, InstanceIds=["i-12345678"])
    assert aws.records()[-1]["errorCode"] == "Client.InvalidInstanceID.NotFound"
