"""How CloudTrail names a call: event source, event name and region, and whether it is one that changes nothing.

Sources: CloudTrail User Guide, "CloudTrail record contents", "Data events"; Amazon S3 User Guide, "Amazon S3 CloudTrail
events"; AWS Lambda Developer Guide, "Logging AWS Lambda API calls"; names seen in public records.
"""

import re
from collections.abc import Mapping

from botocore.model import OperationModel

_SOURCES = {"application-autoscaling": "autoscaling", "rds-data": "rdsdata", "eventbridgev2": "events"}
_LAMBDA_DATE = re.compile(r"^/(20\d\d)-(\d\d)-(\d\d)/")
# Since this date Lambda's operations are recorded without one.
_LAST_LAMBDA_DATE = "20181031"
_LAMBDA_SECOND = frozenset(
    [
        "AddPermission",
        "GetFunction",
        "GetFunctionConfiguration",
        "GetPolicy",
        "RemovePermission",
        "UpdateFunctionCode",
        "UpdateFunctionConfiguration",
    ]
)
_RENAMED: Mapping[str, str] = {
    "DeletePublicAccessBlock": "DeleteBucketPublicAccessBlock",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "GetBucketLifecycleConfiguration": "GetBucketLifecycle",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "PutBucketLifecycleConfiguration": "PutBucketLifecycle",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}
_IN_VIRGINIA = frozenset({"iam", "route53", "route53domains", "organizations", "cloudfront", "shield", "waf", "budgets"})
_READING = ("Get", "List", "Describe", "BatchGet", "Lookup", "Search", "Head", "AssumeRole", "Select", "Query", "Scan")

# Calls on items, messages and objects, which a trail does not hold unless somebody pays for them.
_DATA_EVENTS: Mapping[str, frozenset[str]] = {
    "dynamodb": frozenset(
        [
            "BatchExecuteStatement",
            "BatchGetItem",
            "BatchWriteItem",
            "DeleteItem",
            "ExecuteStatement",
            "ExecuteTransaction",
            "GetItem",
            "PutItem",
            "Query",
            "Scan",
            "TransactGetItems",
            "TransactWriteItems",
            "UpdateItem",
        ]
    ),
    "dynamodbstreams": frozenset({"GetRecords", "GetShardIterator"}),
    "sqs": frozenset(
        [
            "SendMessage",
            "SendMessageBatch",
            "ReceiveMessage",
            "DeleteMessage",
            "DeleteMessageBatch",
            "ChangeMessageVisibility",
            "ChangeMessageVisibilityBatch",
        ]
    ),
    "sns": frozenset({"Publish", "PublishBatch"}),
    "events": frozenset({"PutEvents"}),
    "lambda": frozenset({"Invoke", "InvokeAsync", "InvokeWithResponseStream"}),
    "s3": frozenset(
        {"DeleteObjects", "ListMultipartUploads", "ListObjects", "ListObjectsV2", "ListObjectVersions", "WriteGetObjectResponse"}
    ),
}


def event_source(model: OperationModel) -> str:
    """`ses.amazonaws.com` and the like: mostly the name with which the service's requests are signed."""
    name = str(model.service_model.signing_name)
    return f"{_SOURCES.get(name, name)}.amazonaws.com"


def event_name(model: OperationModel) -> str:
    """The operation's name, with the version behind it that CloudFront and Lambda write, or as S3 has it of old."""
    service, name = model.service_model.service_name, model.name
    if service == "s3":
        return _RENAMED.get(name, name)
    if service == "lambda":
        match = _LAMBDA_DATE.match(model.http.get("requestUri", ""))
        date = "".join(match.groups()) if match else ""
        second = "v2" if name in _LAMBDA_SECOND else ""
        return f"{name}{date}{second}" if date and date <= _LAST_LAMBDA_DATE else name
    return model.wire_name if service == "cloudfront" else name


def event_region(model: OperationModel, region: str) -> str:
    """The region of a record: services without regions write theirs in Virginia."""
    return "us-east-1" if model.service_model.service_name in _IN_VIRGINIA else region


def is_data_event(model: OperationModel) -> bool:
    """Whether CloudTrail leaves the call out unless data events are switched on."""
    service = model.service_model.service_name
    on_object = service == "s3" and "{Key+}" in model.http.get("requestUri", "")
    return on_object or model.name in _DATA_EVENTS.get(service, ())


def is_read_only(model: OperationModel) -> bool:
    return model.name.startswith(_READING)
