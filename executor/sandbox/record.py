"""The CloudTrail record of a call, with and without parameters as real AWS writes it.

Source: CloudTrail User Guide, "CloudTrail record contents" and "userIdentity element"; the shares of denied records with
parameters were counted on public records (docs of this project).
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from executor.sandbox.answer import Answer
from executor.sandbox.identity import Caller
from executor.sandbox.recognise import Call
from executor.sandbox.wire import HttpRequest

Record = dict[str, Any]

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"

# Calls on items and messages are data events, which a trail does not hold unless somebody pays for them.
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
}
_READING = ("Get", "List", "Describe", "BatchGet", "Lookup", "Search", "Head", "AssumeRole")
# EC2 keeps the parameters of denied calls, so do a few services; all others write null.
_PROTOCOLS_WITH_DENIED_PARAMETERS = frozenset({"ec2"})
_SERVICES_WITH_DENIED_PARAMETERS = frozenset({"s3", "eks", "guardduty", "appsync"})
# Secrets that CloudTrail leaves out without a trace, where it writes HIDDEN for others.
_LEFT_OUT = frozenset({"SecretAccessKey", "Password", "OldPassword", "NewPassword"})
_GLOBAL_SERVICES = frozenset({"iam"})
_RESOURCE_TYPES = {
    ("dynamodb", "TableName"): ("AWS::DynamoDB::Table", "arn:{partition}:dynamodb:{region}:{account}:table/{value}"),
    ("sts", "RoleArn"): ("AWS::IAM::Role", "{value}"),
}


def is_data_event(call: Call) -> bool:
    """Whether CloudTrail leaves the call out unless data events are switched on."""
    return call.operation in _DATA_EVENTS.get(call.service, ())


def is_read_only(call: Call) -> bool:
    return call.operation.startswith(_READING)


def denied_record(call: Call, caller: Caller, request: HttpRequest, request_id: str, message: str) -> Record:
    """The record of a call that IAM refused: most protocols lose its parameters."""
    keeps = call.protocol in _PROTOCOLS_WITH_DENIED_PARAMETERS or call.service in _SERVICES_WITH_DENIED_PARAMETERS
    parameters = _parameters(call) if keeps else None
    code = "Client.UnauthorizedOperation" if call.protocol == "ec2" else "AccessDenied"
    record = _common(call, caller, request, request_id) | {"requestParameters": parameters, "responseElements": None}
    return record | {"errorCode": code, "errorMessage": message}


def answered_record(call: Call, caller: Caller, request: HttpRequest, request_id: str, answer: Answer) -> Record:
    """The record of a call that was let through, whether it then worked or failed."""
    record = _common(call, caller, request, request_id) | {"requestParameters": _parameters(call), "responseElements": None}
    if answer.error_code:
        record["errorCode"] = answer.error_code
        if answer.error_message:
            record["errorMessage"] = answer.error_message
        return record
    if not is_read_only(call) or call.operation.startswith("AssumeRole"):
        record["responseElements"] = trail_value(call.model.output_shape, answer.output) or None
    resources = _resources(call, caller)
    return record | {"resources": resources} if resources else record


def _common(call: Call, caller: Caller, request: HttpRequest, request_id: str) -> Record:
    return {
        "eventVersion": "1.11",
        "userIdentity": user_identity(caller),
        "eventTime": _instant(datetime.now(UTC)),
        "eventSource": call.event_source,
        "eventName": call.operation,
        "awsRegion": "us-east-1" if call.service in _GLOBAL_SERVICES else call.region,
        "sourceIPAddress": request.peer,
        "userAgent": request.headers.get("user-agent", ""),
        "requestID": request_id,
        "eventID": str(uuid.uuid4()),
        "readOnly": is_read_only(call),
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": caller.account,
        "eventCategory": "Management",
    }


def user_identity(caller: Caller) -> dict[str, Any]:
    """The userIdentity element of an IAM user or of a role session."""
    common = {"principalId": caller.user_id, "arn": caller.arn, "accountId": caller.account, "accessKeyId": caller.access_key_id}
    session = caller.session
    if session is None:
        return {"type": "IAMUser", **common, "userName": caller.name}
    context: dict[str, Any] = {
        "sessionIssuer": {
            "type": "Role",
            "principalId": session.role_id,
            "arn": session.role_arn,
            "accountId": caller.account,
            "userName": session.role_name,
        },
        "attributes": {"creationDate": _instant(session.created), "mfaAuthenticated": "false"},
    }
    if session.source_identity:
        context["sourceIdentity"] = session.source_identity
    return {"type": "AssumedRole", **common, "sessionContext": context}


def trail_value(shape: Shape | None, value: Any) -> Any:
    """A boto3 value as CloudTrail writes it: member names begin in lower case, secrets are hidden, dates are in words."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        return {
            name[:1].lower() + name[1:]: trail_value(shape.members.get(name), inner)
            for name, inner in value.items()
            if name not in _LEFT_OUT
        }
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [trail_value(shape.member, inner) for inner in value]
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {key: trail_value(shape.value, inner) for key, inner in value.items()}
    if shape is not None and shape.metadata.get("sensitive"):
        return HIDDEN
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, datetime):
        hour = value.strftime("%I").lstrip("0")
        return f"{value:%b} {value.day}, {value.year}, {hour}:{value:%M:%S} {value:%p}"
    if isinstance(value, bytes):
        return HIDDEN
    return value if value is None or isinstance(value, str | int | float | bool | list | dict) else str(value)


def _parameters(call: Call) -> dict[str, Any] | None:
    return trail_value(call.model.input_shape, call.parameters) or None


def _resources(call: Call, caller: Caller) -> list[dict[str, str]]:
    found = []
    for (service, member), (kind, template) in _RESOURCE_TYPES.items():
        value = call.parameters.get(member)
        if call.service == service and value:
            arn = str(value)
            if not arn.startswith("arn:"):
                arn = template.format(partition=caller.partition, region=call.region, account=caller.account, value=value)
            found.append({"accountId": caller.account, "type": kind, "ARN": arn})
    return found


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
