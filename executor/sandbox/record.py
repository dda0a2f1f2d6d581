"""The CloudTrail record of a call, with and without parameters as real AWS writes it.

Source: CloudTrail User Guide, "CloudTrail record contents" and "userIdentity element"; the shares of denied records with
parameters were counted on public records (docs of this project).
"""

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from executor.sandbox.answer import Answer
from executor.sandbox.identity import Caller
from executor.sandbox.naming import event_name, event_region, event_source, is_read_only
from executor.sandbox.recognise import Call
from executor.sandbox.spelling import spelled, trail_value
from executor.sandbox.wire import HttpRequest

Record = dict[str, Any]

# EC2 keeps the parameters of denied calls, so do a few services; all others write null.
_PROTOCOLS_WITH_DENIED_PARAMETERS = frozenset({"ec2"})
_SERVICES_WITH_DENIED_PARAMETERS = frozenset({"s3", "eks", "guardduty", "appsync"})
# service -> type and ARN of what a call touches, with the member of the parameters or of the answer that names it.
_RESOURCES: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "dynamodb": (("AWS::DynamoDB::Table", "TableName", "arn:{partition}:dynamodb:{region}:{account}:table/{value}"),),
    "sts": (("AWS::IAM::Role", "RoleArn", "{value}"),),
    "kms": (("AWS::KMS::Key", "KeyId", "arn:{partition}:kms:{region}:{account}:key/{value}"),),
    "secretsmanager": (("AWS::SecretsManager::Secret", "ARN", "{value}"),),
    "s3": (("AWS::S3::Bucket", "Bucket", "arn:{partition}:s3:::{value}"),),
}


def denied_record(call: Call, caller: Caller, request: HttpRequest, request_id: str, message: str) -> Record:
    """The record of a call that IAM refused: most protocols lose its parameters."""
    keeps = call.protocol in _PROTOCOLS_WITH_DENIED_PARAMETERS or call.service in _SERVICES_WITH_DENIED_PARAMETERS
    parameters = spelled(call.model, call.parameters, call.region) if keeps else None
    code = "Client.UnauthorizedOperation" if call.protocol == "ec2" else "AccessDenied"
    record = _common(call, caller, request, request_id) | {"requestParameters": parameters, "responseElements": None}
    return record | {"errorCode": code, "errorMessage": message}


def answered_record(call: Call, caller: Caller, request: HttpRequest, request_id: str, answer: Answer) -> Record:
    """The record of a call that was let through, whether it then worked or failed."""
    parameters = spelled(call.model, call.parameters, call.region)
    record = _common(call, caller, request, request_id) | {"requestParameters": parameters, "responseElements": None}
    if answer.error_code:
        record["errorCode"] = _error_code(call, answer.error_code)
        if answer.error_message:
            record["errorMessage"] = answer.error_message
        return record
    if not is_read_only(call.model) or call.operation.startswith("AssumeRole"):
        told = (call.service, call.operation)
        record["responseElements"] = trail_value(call.model.output_shape, answer.output, told) or None
    resources = list(_resources(call, caller, answer))
    return record | {"resources": resources} if resources else record


def _common(call: Call, caller: Caller, request: HttpRequest, request_id: str) -> Record:
    return {
        "eventVersion": "1.11",
        "userIdentity": user_identity(caller),
        "eventTime": _instant(datetime.now(UTC)),
        "eventSource": event_source(call.model),
        "eventName": event_name(call.model),
        "awsRegion": event_region(call.model, call.region),
        "sourceIPAddress": request.peer,
        "userAgent": request.headers.get("user-agent", ""),
        "requestID": request_id,
        "eventID": str(uuid.uuid4()),
        "readOnly": is_read_only(call.model),
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


def _error_code(call: Call, code: str) -> str:
    """The code of a failure: the exception's name where it differs from the code on the wire, and `Client.` for EC2."""
    if call.protocol == "ec2":
        return f"Client.{code}"
    shapes: Any = call.model.service_model  # its stubs take the code for a number, and the answer for certain
    shape = shapes.shape_for_error_code(code)
    return str(shape.name) if shape else code


def _resources(call: Call, caller: Caller, answer: Answer) -> Iterator[dict[str, str]]:
    """What the call touched, where the service tells it: by the parameters, or by the answer for what was made."""
    for kind, member, template in _RESOURCES.get(call.service, ()):
        value = str(call.parameters.get(member) or _found(answer.output, member) or "")
        if value.startswith("arn:"):
            yield {"accountId": caller.account, "type": kind, "ARN": value}
        elif value and ":" not in value and not value.startswith("alias/"):
            arn = template.format(partition=caller.partition, region=call.region, account=caller.account, value=value)
            yield {"accountId": caller.account, "type": kind, "ARN": arn}


def _found(output: Mapping[str, Any], member: str) -> Any:
    """A member of an answer, or of a structure in it."""
    inner = (value[member] for value in output.values() if isinstance(value, Mapping) and member in value)
    return output.get(member) or next(inner, None)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
