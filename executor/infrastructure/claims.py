"""The bucket of the claims outside the database: how it is made, who may do what in it, what nobody may.

Sources: Amazon S3 User Guide, "Enforce conditional writes on Amazon S3 buckets", "Locking objects with Object Lock", "Object Lock
considerations" (its condition keys); Service Authorization Reference for S3.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from executor.infrastructure.limits import BUCKET_POLICY, within

Document = dict[str, Any]

# Where `executor.outside` writes; the bucket may hold other checkpoints beside it.
UNDER = "claims"
# What a claim takes: PutObject with a lock asks for PutObjectRetention too.
_WRITING = ("s3:PutObject", "s3:PutObjectRetention")
_READING = ("s3:GetObject", "s3:GetObjectVersion")
_ASKING = ("s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning", "s3:ListBucketVersions")
# All that anybody may do in the bucket, whatever else he is given. Neither a deletion nor a change of the bucket is among it.
_EVER = (
    *_WRITING,
    "s3:GetAccelerateConfiguration",
    "s3:GetBucket*",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
    "s3:GetObject*",
    "s3:GetReplicationConfiguration",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:ListTagsForResource",
)


def needed(bucket: str) -> tuple[Document, Document, Document]:
    """The statements of the execution process: write and read claims, and ask how the bucket keeps them. `bucket` is an ARN."""
    objects = f"{bucket}/{UNDER}/*"
    return (
        {"Sid": "ClaimOutside", "Effect": "Allow", "Action": sorted(_WRITING), "Resource": objects},
        {"Sid": "ReadClaims", "Effect": "Allow", "Action": sorted(_READING), "Resource": objects},
        {"Sid": "AskTheBucket", "Effect": "Allow", "Action": sorted(_ASKING), "Resource": bucket},
    )


def claims_bucket_policy(bucket: str, writers: Sequence[str], days: int) -> Document:
    """The bucket's own policy: denies alone, for everybody, an administrator too. What is allowed is said by identity policies.

    `writers` are the ARNs of the execution processes' users or roles. A write that is not conditional, or locked for less than
    `days` in compliance mode, is denied to these as well; so is a multipart upload, which can carry no condition. Nobody can take
    the policy away but the account's root user, whom no policy of a bucket binds in that.
    """
    both = [bucket, f"{bucket}/*"]
    objects = f"{bucket}/*"
    statements = [
        _deny("NothingElse", both, NotAction=sorted(_EVER)),
        _deny("TlsAlone", both, {"Bool": {"aws:SecureTransport": "false"}}, Action="s3:*"),
        _deny("WritersAlone", objects, {"ArnNotEquals": {"aws:PrincipalArn": sorted(writers)}}, Action=sorted(_WRITING)),
        _deny("ConditionalAlone", objects, {"Null": {"s3:if-none-match": "true"}}, Action="s3:PutObject"),
        _deny("LockedAlone", objects, {"StringNotEquals": {"s3:object-lock-mode": "COMPLIANCE"}}, Action="s3:PutObject"),
        # A day less: the clock of S3 and ours may differ, and what is left is counted in whole days.
        _deny(
            "LockedForLong",
            objects,
            {"NumericLessThan": {"s3:object-lock-remaining-retention-days": str(days - 1)}},
            Action=sorted(_WRITING),
        ),
    ]
    return within(BUCKET_POLICY, {"Version": "2012-10-17", "Statement": statements}, "the policy of the bucket of claims")


def _deny(sid: str, resource: str | Iterable[str], condition: Document | None = None, **actions: Any) -> Document:
    statement = {"Sid": sid, "Effect": "Deny", "Principal": "*", **actions, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def claims_bucket(name: str, policy: Document, days: int) -> dict[str, Document]:
    """CloudFormation's resources of the bucket and its policy, by logical name.

    Both stay when the stack goes. Object Lock can be switched on only while a bucket is made; it brings versioning, which is said
    here too because CloudFormation wants it.
    """
    keep = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    bucket = {
        "BucketName": name,
        "ObjectLockEnabled": True,
        "ObjectLockConfiguration": {
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": days}},
        },
        "VersioningConfiguration": {"Status": "Enabled"},
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
    }
    return {
        "ClaimsBucket": {"Type": "AWS::S3::Bucket", **keep, "Properties": bucket},
        "ClaimsBucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            **keep,
            "Properties": {"Bucket": {"Ref": "ClaimsBucket"}, "PolicyDocument": policy},
        },
    }
