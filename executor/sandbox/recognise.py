"""From an HTTP request to the AWS call that it is: service, operation, parameters, region.

The service comes from the signature's scope, the operation from where the protocol keeps it, both checked against
botocore's models. What is not recognised is nothing, and nothing is passed on.

Where several services share a signing name, a request belongs to the one that reads it: JSON by the prefix of its target,
Query by its version, REST by its most specific route. RDS, Neptune and DocumentDB share all of that. IAM, CloudTrail and
moto do not tell them apart either, so such a call is RDS's unless only another of the three knows what it asks for.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from botocore.model import OperationModel, ServiceModel
from botocore.serialize import create_serializer

from executor.sandbox.addressing import is_signed_chunkwise, path_style, unchunked
from executor.sandbox.models import services_signed_as
from executor.sandbox.query import read_ec2, read_query
from executor.sandbox.rest import Incoming, incoming, parsed_json, read_rest, route, without_duplicates
from executor.sandbox.signing import Signature
from executor.sandbox.values import Unreadable, from_json
from executor.sandbox.wire import LARGEST_BODY, HttpRequest

_FORM = "application/x-www-form-urlencoded"
# Three services of botocore 1.44 speak nothing else. moto has none of them, so it is named and not read.
_CBOR = "smithy-rpc-v2-cbor"
_REST = ("rest-json", "rest-xml")


@dataclass(frozen=True)
class Call:
    """One call of an AWS operation. `protocol` is the one spoken on the wire; parameters are named and typed as in boto3."""

    service: str
    operation: str
    protocol: str
    parameters: dict[str, Any]
    region: str
    model: OperationModel

    @property
    def iam_prefix(self) -> str:
        return str(self.model.service_model.signing_name)


# The service, the operation's name and the parameters.
Found = tuple[ServiceModel, str, dict[str, Any]] | None


def recognise(request: HttpRequest, signature: Signature) -> Call | None:
    """The call that a signed request makes, or None."""
    protocol = spoken_protocol(request, signature)
    try:
        found = _READERS[protocol](request, signature) if protocol in _READERS else None
    except Unreadable:
        return None
    if found is None:
        return None
    service, operation, parameters = found
    spoken = str(service.resolved_protocol) if protocol in _REST else protocol
    return Call(service.service_name, operation, spoken, parameters, signature.region, service.operation_model(operation))


def spoken_protocol(request: HttpRequest, signature: Signature | None = None) -> str:
    """The protocol of a request by its outward marks and its service; it also decides how an error is written."""
    marked = "x-amz-target" in request.headers, request.headers.get("content-type", "").startswith(_FORM)
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        return _CBOR
    if signature is None:
        return "json" if marked[0] else "query"
    speaks = {str(service.resolved_protocol) for service in services_signed_as(signature.service)}
    if marked[0] and "json" in speaks:
        return "json"
    # SQS and CloudWatch spoke Query before they spoke JSON, and older clients still do.
    if marked[1] and speaks & {"query", "ec2", "json"}:
        return "ec2" if "ec2" in speaks else "query"
    return next((protocol for protocol in (*_REST, "ec2", "query", "json") if protocol in speaks), "unknown")


def _read_json(request: HttpRequest, signature: Signature) -> Found:
    """AWS JSON 1.0 and 1.1: `X-Amz-Target: <prefix>.<Operation>` and the parameters as the body."""
    prefix, _, operation = request.headers.get("x-amz-target", "").rpartition(".")
    for service in services_signed_as(signature.service):
        if prefix == service.metadata.get("targetPrefix") and operation in service.operation_names:
            parameters = parsed_json(_inflated(request) or b"{}")
            if not isinstance(parameters, dict):
                raise Unreadable("an object is expected")
            shape = service.operation_model(operation).input_shape
            return service, operation, from_json(shape, parameters) if shape else {}
    return None


def _read_form(request: HttpRequest, signature: Signature) -> Found:
    """AWS Query and EC2: a form with Action and Version. A query string beside it could say something else: refused."""
    if request.query:
        return None
    try:
        form = without_duplicates(parse_qsl(_inflated(request).decode(), keep_blank_values=True, strict_parsing=True))
    except ValueError:
        return None
    operation, version = form.pop("Action", ""), form.pop("Version", None)
    able = [
        service
        for service in services_signed_as(signature.service)
        if service.api_version == version and operation in service.operation_names
    ]
    read = [(service, _of_form(service, operation, form)) for service in able]
    if len(read) > 1:
        read.sort(key=lambda found: _unread(found[0], operation, found[1], form))
    return (read[0][0], operation, read[0][1]) if read else None


def _of_form(service: ServiceModel, operation: str, form: dict[str, str]) -> dict[str, Any]:
    shape = service.operation_model(operation).input_shape
    if shape is None:
        return {}
    return read_ec2(shape, form) if service.resolved_protocol == "ec2" else read_query(shape, form)


def _unread(service: ServiceModel, operation: str, parameters: dict[str, Any], form: dict[str, str]) -> int:
    """How many names of a form a service's model left unread."""
    serializer = create_serializer(str(service.resolved_protocol), include_validation=False)
    written = serializer.serialize_to_request(parameters, service.operation_model(operation))["body"]
    return len(form.keys() - written.keys())


def _read_rest(request: HttpRequest, signature: Signature) -> Found:
    """REST: the service whose most specific route the request takes; of two as specific, the one of the signing name."""
    if is_signed_chunkwise(request.headers):
        raise Unreadable("the body is signed chunk by chunk")
    taken = [
        (service, asked, found)
        for service in services_signed_as(signature.service)
        if service.resolved_protocol in _REST
        for asked in [_incoming(request, service)]
        for found in [route(asked, service)]
        if found
    ]
    if not taken:
        return None
    service, asked, found = max(taken, key=lambda one: one[2].rank)
    operation = service.operation_model(found.operation)
    if operation.has_event_stream_input:
        return None
    parameters = read_rest(asked, found, operation, xml=service.resolved_protocol == "rest-xml")
    return service, found.operation, parameters


def _incoming(request: HttpRequest, service: ServiceModel) -> Incoming:
    if service.service_name != "s3":
        return incoming(request.method, request.target, request.headers, _inflated(request))
    headers, body = unchunked(request.headers, request.body)
    return incoming(request.method, path_style(request.headers.get("host", ""), request.target), headers, body)


def _inflated(request: HttpRequest) -> bytes:
    """The body without the compression that botocore applies to large ones of some operations."""
    if request.headers.get("content-encoding") != "gzip":
        return request.body
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        body = inflate.decompress(request.body, LARGEST_BODY)
    except zlib.error as error:
        raise Unreadable("the body is not compressed as stated") from error
    if inflate.unconsumed_tail or not inflate.eof:
        raise Unreadable("the body is too long")
    return body


_READERS: dict[str, Callable[[HttpRequest, Signature], Found]] = {
    "json": _read_json,
    "query": _read_form,
    "ec2": _read_form,
    "rest-json": _read_rest,
    "rest-xml": _read_rest,
}
