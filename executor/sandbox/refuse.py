"""Errors in the service's own format: what a client gets instead of an answer.

Sources: DynamoDB Developer Guide, "Error handling"; "Common errors" in the API references of IAM, STS, SNS, SQS, RDS, Lambda;
Amazon EC2 API Reference, "Error codes"; Amazon S3 API Reference, "Error responses". The protocol decides the body; services
that moved from query to JSON keep their old codes in a header of their own.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from botocore.model import ServiceModel

from executor.sandbox.wire import HttpResponse


@dataclass(frozen=True)
class Refusal:
    """Why a request is refused: `reason` is a key of the tables below, `message` what AWS would say."""

    reason: str
    message: str


Code = tuple[str, int]

# protocol -> reason -> code and HTTP status
_CODES: Mapping[str, Mapping[str, Code]] = {
    "json": {
        "denied": ("AccessDeniedException", 400),
        "unknown key": ("UnrecognizedClientException", 400),
        "wrong signature": ("InvalidSignatureException", 400),
        "expired session": ("ExpiredTokenException", 400),
        "unsigned": ("MissingAuthenticationTokenException", 400),
        "unknown operation": ("UnknownOperationException", 400),
        "invalid": ("ValidationException", 400),
        "in use": ("ResourceInUseException", 400),
        "broken": ("InternalFailure", 500),
    },
    "query": {
        "denied": ("AccessDenied", 403),
        "unknown key": ("InvalidClientTokenId", 403),
        "wrong signature": ("SignatureDoesNotMatch", 403),
        "expired session": ("ExpiredToken", 403),
        "unsigned": ("MissingAuthenticationToken", 403),
        "unknown operation": ("InvalidAction", 400),
        "invalid": ("ValidationError", 400),
        "in use": ("ResourceInUse", 400),
        "packed": ("PackedPolicyTooLarge", 400),
        "broken": ("InternalFailure", 500),
    },
    "ec2": {
        "denied": ("UnauthorizedOperation", 403),
        "unknown key": ("AuthFailure", 401),
        "wrong signature": ("AuthFailure", 401),
        "expired session": ("RequestExpired", 400),
        "unsigned": ("MissingAuthenticationToken", 403),
        "unknown operation": ("InvalidAction", 400),
        "invalid": ("InvalidParameterValue", 400),
        "in use": ("IncorrectState", 400),
        "rehearsed": ("DryRunOperation", 412),
        "broken": ("InternalError", 500),
    },
    "rest-json": {
        "denied": ("AccessDeniedException", 403),
        "unknown key": ("UnrecognizedClientException", 403),
        "wrong signature": ("InvalidSignatureException", 403),
        "expired session": ("ExpiredTokenException", 403),
        "unsigned": ("MissingAuthenticationTokenException", 403),
        "unknown operation": ("UnknownOperationException", 404),
        "invalid": ("ValidationException", 400),
        "in use": ("ConflictException", 409),
        "broken": ("InternalFailure", 500),
    },
    # moto speaks no CBOR, so nothing but errors is ever written in it.
    "smithy-rpc-v2-cbor": {
        "unsigned": ("MissingAuthenticationTokenException", 403),
        "unknown operation": ("UnknownOperationException", 404),
    },
    "rest-xml": {
        "denied": ("AccessDenied", 403),
        "unknown key": ("InvalidClientTokenId", 403),
        "wrong signature": ("SignatureDoesNotMatch", 403),
        "expired session": ("ExpiredToken", 403),
        "unsigned": ("MissingAuthenticationToken", 403),
        "unknown operation": ("InvalidAction", 400),
        "invalid": ("InvalidInput", 400),
        "in use": ("Conflict", 409),
        "broken": ("InternalFailure", 500),
    },
}
# What one service calls otherwise than the others of its protocol.
_OF_SERVICES: Mapping[tuple[str, str], Code] = {
    ("s3", "unknown key"): ("InvalidAccessKeyId", 403),
    ("s3", "expired session"): ("ExpiredToken", 400),
    ("s3", "unsigned"): ("AccessDenied", 403),
    ("s3", "unknown operation"): ("NotImplemented", 501),
    ("s3", "invalid"): ("InvalidRequest", 400),
    ("s3", "broken"): ("InternalError", 500),
    ("sns", "denied"): ("AuthorizationError", 403),
}
# Services whose common errors carry a namespace before the code.
_NAMESPACES = {"dynamodb": "com.amazon.coral.service#", "dynamodbstreams": "com.amazon.coral.service#"}


def refused(refusal: Refusal, protocol: str, service: ServiceModel | None, request_id: str) -> HttpResponse:
    """The response that refuses a request. `service` is None where the request was not recognised."""
    known = protocol if protocol in _WRITERS else "query"
    code = _OF_SERVICES.get((service.service_name if service else "", refusal.reason), _CODES[known][refusal.reason])
    return _WRITERS[known](code, refusal, service, request_id)


def _write_json(code: Code, refusal: Refusal, service: ServiceModel | None, request_id: str) -> HttpResponse:
    name, status = code
    metadata = service.metadata if service else {}
    namespace = _NAMESPACES.get(service.service_name if service else "", "")
    headers = {
        "content-type": f"application/x-amz-json-{metadata.get('jsonVersion', '1.0')}",
        "x-amzn-requestid": request_id,
    }
    if "awsQueryCompatible" in metadata:
        query_name, status = _CODES["query"][refusal.reason]
        headers["x-amzn-query-error"] = f"{query_name};Sender"
    body = {"__type": f"{namespace}{name}", "Message": refusal.message}
    return HttpResponse(status, headers, json.dumps(body).encode())


def _write_rest_json(code: Code, refusal: Refusal, service: ServiceModel | None, request_id: str) -> HttpResponse:
    name, status = code
    headers = {"content-type": "application/json", "x-amzn-errortype": name, "x-amzn-requestid": request_id}
    body = {"Message" if service and service.service_name == "lambda" else "message": refusal.message}
    return HttpResponse(status, headers, json.dumps(body).encode())


def _write_query(code: Code, refusal: Refusal, service: ServiceModel | None, request_id: str) -> HttpResponse:
    name, status = code
    metadata = service.metadata if service else {}
    namespace = metadata.get("xmlNamespace", "http://webservices.amazon.com/AWSFault/2005-15-09")
    kind = "Receiver" if status >= 500 else "Sender"
    body = (
        f'<ErrorResponse xmlns="{escape(str(namespace))}"><Error><Type>{kind}</Type><Code>{name}</Code>'
        f"<Message>{escape(refusal.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return HttpResponse(status, {"content-type": "text/xml", "x-amzn-requestid": request_id}, body.encode())


def _write_ec2(code: Code, refusal: Refusal, service: ServiceModel | None, request_id: str) -> HttpResponse:
    name, status = code
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>{name}</Code>'
        f"<Message>{escape(refusal.message)}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>"
    )
    return HttpResponse(status, {"content-type": "text/xml;charset=UTF-8", "x-amzn-requestid": request_id}, body.encode())


def _write_rest_xml(code: Code, refusal: Refusal, service: ServiceModel | None, request_id: str) -> HttpResponse:
    """S3 has an error as the root and no namespace, Route 53 and CloudFront what the query protocol has."""
    if service is None or service.service_name != "s3":
        return _write_query(code, refusal, service, request_id)
    name, status = code
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{name}</Code><Message>{escape(refusal.message)}</Message>'
        f"<RequestId>{request_id}</RequestId><HostId>{request_id[::-1]}</HostId></Error>"
    )
    return HttpResponse(status, {"content-type": "application/xml", "x-amz-request-id": request_id}, body.encode())


def _write_cbor(code: Code, refusal: Refusal, service: ServiceModel | None, request_id: str) -> HttpResponse:
    """Smithy RPC v2: a map of two texts."""
    name, status = code
    body = b"\xa2" + b"".join(_cbor_text(text) for text in ("__type", name, "message", refusal.message))
    headers = {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor", "x-amzn-requestid": request_id}
    return HttpResponse(status, headers, body)


def _cbor_text(text: str) -> bytes:
    content = text.encode()
    return b"\x7a" + len(content).to_bytes(4, "big") + content


_WRITERS: Mapping[str, Callable[[Code, Refusal, ServiceModel | None, str], HttpResponse]] = {
    "json": _write_json,
    "query": _write_query,
    "ec2": _write_ec2,
    "rest-json": _write_rest_json,
    "rest-xml": _write_rest_xml,
    "smithy-rpc-v2-cbor": _write_cbor,
}
