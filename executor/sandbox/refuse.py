"""Errors in the service's own format: what a client gets instead of an answer.

Sources: DynamoDB Developer Guide, "Error handling"; "Common errors" in the API references of IAM, STS, SNS and SQS. The
protocol decides the body; services that moved from query to JSON keep their old codes in a header of their own.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from botocore.model import ServiceModel

from executor.sandbox.wire import HttpResponse


@dataclass(frozen=True)
class Refusal:
    """Why a request is refused: `reason` is a key of the table below, `message` what AWS would say."""

    reason: str
    message: str


# reason -> (code and status in JSON, code and status in query)
_CODES: Mapping[str, tuple[tuple[str, int], tuple[str, int]]] = {
    "denied": (("AccessDeniedException", 400), ("AccessDenied", 403)),
    "unknown key": (("UnrecognizedClientException", 400), ("InvalidClientTokenId", 403)),
    "wrong signature": (("InvalidSignatureException", 400), ("SignatureDoesNotMatch", 403)),
    "expired session": (("ExpiredTokenException", 400), ("ExpiredToken", 403)),
    "unsigned": (("MissingAuthenticationTokenException", 400), ("MissingAuthenticationToken", 403)),
    "unknown operation": (("UnknownOperationException", 400), ("InvalidAction", 400)),
    "invalid": (("ValidationException", 400), ("ValidationError", 400)),
    "in use": (("ResourceInUseException", 400), ("ResourceInUse", 400)),
    "broken": (("InternalFailure", 500), ("InternalFailure", 500)),
}

# Services whose common errors carry a namespace before the code.
_NAMESPACES = {"dynamodb": "com.amazon.coral.service#", "dynamodbstreams": "com.amazon.coral.service#"}


def refused(refusal: Refusal, protocol: str, service: ServiceModel | None, request_id: str) -> HttpResponse:
    """The response that refuses a request. `service` is None where the request was not recognised."""
    write = _WRITERS.get(protocol, _write_query)
    return write(refusal, service, request_id)


def _write_json(refusal: Refusal, service: ServiceModel | None, request_id: str) -> HttpResponse:
    (code, status), (query_code, query_status) = _CODES[refusal.reason]
    metadata = service.metadata if service else {}
    namespace = _NAMESPACES.get(service.service_name if service else "", "")
    headers = {
        "content-type": f"application/x-amz-json-{metadata.get('jsonVersion', '1.0')}",
        "x-amzn-requestid": request_id,
    }
    if "awsQueryCompatible" in metadata:
        headers["x-amzn-query-error"] = f"{query_code};Sender"
        status = query_status
    body = {"__type": f"{namespace}{code}", "Message": refusal.message}
    return HttpResponse(status, headers, json.dumps(body).encode())


def _write_query(refusal: Refusal, service: ServiceModel | None, request_id: str) -> HttpResponse:
    code, status = _CODES[refusal.reason][1]
    metadata = service.metadata if service else {}
    namespace = metadata.get("xmlNamespace", "http://webservices.amazon.com/AWSFault/2005-15-09")
    kind = "Receiver" if status >= 500 else "Sender"
    body = (
        f'<ErrorResponse xmlns="{escape(str(namespace))}"><Error><Type>{kind}</Type><Code>{code}</Code>'
        f"<Message>{escape(refusal.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return HttpResponse(status, {"content-type": "text/xml", "x-amzn-requestid": request_id}, body.encode())


_WRITERS: Mapping[str, Callable[[Refusal, ServiceModel | None, str], HttpResponse]] = {
    "json": _write_json,
    "query": _write_query,
}
