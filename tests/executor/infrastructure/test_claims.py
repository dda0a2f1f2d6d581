"""The bucket of claims: what is generated for it, and that the generated policy binds everybody in the local AWS."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from executor.infrastructure import claims_bucket, claims_bucket_policy, execution_policy
from executor.sandbox.server import LocalAws
from executor.sandbox.world import DEMO

BUCKET = DEMO.claims_bucket
ARN = DEMO.bucket_arn(BUCKET)
EXECUTION = DEMO.iam_arn(f"user/{DEMO.execution_user}")
KEY = "claims/request/digest/0-1"
BODY = b"{}"


def claim(**changes: Any) -> dict[str, Any]:
    """A write as `executor.outside` makes it; a change to None leaves the member out."""
    given = {
        "Bucket": BUCKET,
        "Key": KEY,
        "Body": BODY,
        "IfNoneMatch": "*",
        "ObjectLockMode": "COMPLIANCE",
        "ObjectLockRetainUntilDate": datetime.now(UTC) + timedelta(days=DEMO.claims_days),
        "ChecksumAlgorithm": "SHA256",
        "ChecksumSHA256": base64.b64encode(hashlib.sha256(BODY).digest()).decode(),
    } | changes
    return {name: value for name, value in given.items() if value is not None}


@pytest.fixture
def claimed(aws: LocalAws, client: Any) -> str:
    """A claim by the execution process; its version."""
    return str(client(DEMO.execution_user, "s3").put_object(**claim())["VersionId"])


def code(call: Any, **parameters: Any) -> str:
    """The code with which S3 refuses; "" when it does not."""
    try:
        call(**parameters)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


@pytest.mark.parametrize("user", [DEMO.execution_user, "mallory"])
@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("put_object", claim(IfNoneMatch=None)),
        ("put_object", claim(IfNoneMatch=None, Key="claims/request/digest/0-2")),
        ("put_object", claim(Key="claims/a", ObjectLockMode=None, ObjectLockRetainUntilDate=None)),
        ("put_object", claim(Key="claims/b", ObjectLockMode="GOVERNANCE")),
        ("put_object", claim(Key="claims/c", ObjectLockRetainUntilDate=datetime.now(UTC) + timedelta(days=30))),
        ("create_multipart_upload", {"Bucket": BUCKET, "Key": "claims/d"}),
        ("copy_object", {"Bucket": BUCKET, "Key": KEY, "CopySource": {"Bucket": BUCKET, "Key": KEY}}),
        ("delete_object", {"Bucket": BUCKET, "Key": KEY}),
        ("delete_object", {"Bucket": BUCKET, "Key": KEY, "VersionId": "VERSION"}),
        ("delete_object", {"Bucket": BUCKET, "Key": KEY, "VersionId": "VERSION", "BypassGovernanceRetention": True}),
        ("delete_objects", {"Bucket": BUCKET, "Delete": {"Objects": [{"Key": KEY, "VersionId": "VERSION"}]}}),
        ("delete_objects", {"Bucket": BUCKET, "Delete": {"Objects": [{"Key": KEY}]}}),
        ("put_object_legal_hold", {"Bucket": BUCKET, "Key": KEY, "LegalHold": {"Status": "ON"}}),
        ("put_object_acl", {"Bucket": BUCKET, "Key": KEY, "ACL": "public-read"}),
        ("put_bucket_policy", {"Bucket": BUCKET, "Policy": "{}"}),
        ("delete_bucket_policy", {"Bucket": BUCKET}),
        ("put_bucket_versioning", {"Bucket": BUCKET, "VersioningConfiguration": {"Status": "Suspended"}}),
        ("put_object_lock_configuration", {"Bucket": BUCKET, "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}),
        ("delete_public_access_block", {"Bucket": BUCKET}),
        ("delete_bucket_lifecycle", {"Bucket": BUCKET}),
        ("delete_bucket_encryption", {"Bucket": BUCKET}),
        ("delete_bucket", {"Bucket": BUCKET}),
    ],
)
def test_neither_the_execution_process_nor_an_administrator_changes_what_was_claimed(
    claimed: str, client: Any, user: str, operation: str, parameters: dict[str, Any]
) -> None:
    """Overwriting, deleting, hiding, unlocking, and every change of the bucket itself are denied by the bucket's own policy."""
    given = _named(parameters, claimed)
    s3 = client(user, "s3")
    assert code(getattr(s3, operation), **given) == "AccessDenied"
    versions = client(DEMO.execution_user, "s3").list_object_versions(Bucket=BUCKET)
    assert [one["VersionId"] for one in versions["Versions"]] == [claimed]
    assert "DeleteMarkers" not in versions


def _named(value: Any, version: str) -> Any:
    """The parameters with the version's id in the place of VERSION."""
    if isinstance(value, dict):
        return {name: _named(inner, version) for name, inner in value.items()}
    if isinstance(value, list):
        return [_named(inner, version) for inner in value]
    return version if value == "VERSION" else value


def test_nobody_else_claims(claimed: str, client: Any) -> None:
    """Who could write a claim first would make every execution unknown: the writers alone may."""
    assert code(client("mallory", "s3").put_object, **claim(Key="claims/e")) == "AccessDenied"
    assert code(client("alice", "s3").put_object, **claim(Key="claims/e")) == "AccessDenied"
    assert code(client(DEMO.execution_user, "s3").put_object, **claim(Key="elsewhere")) == "AccessDenied"


def test_what_lies_there_is_not_written_again(claimed: str, client: Any) -> None:
    """S3's own condition, with which the whole begins."""
    assert code(client(DEMO.execution_user, "s3").put_object, **claim()) == "PreconditionFailed"


def test_the_lock_holds_when_the_policy_is_gone(aws: LocalAws, claimed: str, client: Any) -> None:
    """The root user takes the policy away: a version in compliance mode still cannot be deleted, and a marker only hides it."""
    from moto.s3.models import s3_backends

    s3_backends[DEMO.account][DEMO.partition].get_bucket(BUCKET).policy = None
    mallory = client("mallory", "s3")
    for more in ({}, {"BypassGovernanceRetention": True}):
        assert code(mallory.delete_object, Bucket=BUCKET, Key=KEY, VersionId=claimed, **more) == "AccessDenied"
    mallory.delete_object(Bucket=BUCKET, Key=KEY)
    found = mallory.list_object_versions(Bucket=BUCKET)
    assert [one["VersionId"] for one in found["Versions"]] == [claimed]
    assert len(found["DeleteMarkers"]) == 1
    # S3's condition does not see what the marker hides: the reason why a claim is followed by a look at all versions.
    assert code(mallory.put_object, **claim()) == ""


def test_the_execution_process_may_write_and_read_and_never_delete() -> None:
    """Its statements name the claims and their bucket, and nothing that takes something away."""
    document = execution_policy(["arn:aws:iam::1:role/x"], ARN)
    actions = {action for one in document["Statement"] for action in one["Action"]}
    assert {action for action in actions if action.startswith("s3:")} == {
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketVersioning",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucketVersions",
        "s3:PutObject",
        "s3:PutObjectRetention",
    }
    assert {one["Resource"] for one in document["Statement"]} == {"arn:aws:iam::1:role/x", f"{ARN}/claims/*", ARN}


def test_without_a_bucket_it_has_no_s3() -> None:
    """Where no claims are kept the policy is what it was."""
    assert len(execution_policy(["arn:aws:iam::1:role/x"])["Statement"]) == 1


def test_the_bucket_is_made_with_versions_locks_and_no_public_access() -> None:
    """CloudFormation's resources: Object Lock from the beginning, a default retention, encryption; both outlive their stack."""
    policy = claims_bucket_policy(ARN, [EXECUTION], 400)
    made = claims_bucket(BUCKET, policy, 400)
    bucket, attached = made["ClaimsBucket"], made["ClaimsBucketPolicy"]
    properties = bucket["Properties"]
    assert (bucket["Type"], attached["Type"]) == ("AWS::S3::Bucket", "AWS::S3::BucketPolicy")
    assert {one["DeletionPolicy"] for one in made.values()} == {"Retain"}
    assert (properties["ObjectLockEnabled"], properties["VersioningConfiguration"]) == (True, {"Status": "Enabled"})
    retention = properties["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert retention == {"Mode": "COMPLIANCE", "Days": 400}
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert attached["Properties"] == {"Bucket": {"Ref": "ClaimsBucket"}, "PolicyDocument": policy}


def test_the_policy_grants_nothing() -> None:
    """It holds denies alone, each for everybody; over plain HTTP all is denied."""
    statements = claims_bucket_policy(ARN, [EXECUTION], 400)["Statement"]
    assert {(one["Effect"], one["Principal"]) for one in statements} == {("Deny", "*")}
    (tls,) = [one for one in statements if one["Sid"] == "TlsAlone"]
    assert (tls["Action"], tls["Condition"]) == ("s3:*", {"Bool": {"aws:SecureTransport": "false"}})
