"""From an HTTP request to the AWS call that it is: service, operation, parameters, region.

The service comes from the signature's scope, the operation from where the protocol keeps it, both checked against
botocore's models. What is not recognised is nothing, and nothing is passed on.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from botocore.model import OperationModel, ServiceModel

from executor.sandbox.models import services_signed_as
from executor.sandbox.query import read_structure
from executor.sandbox.signing import Signature
from executor.sandbox.wire import HttpRequest


@dataclass(frozen=True)
class Call:
    """One call of an AWS operation. `protocol` is the one spoken on the wire; parameters are named as in boto3."""

    service: str
    operation: str
    protocol: str
    parameters: dict[str, Any]
    region: str
    model: OperationModel

    @property
    def iam_prefix(self) -> str:
        return str(self.model.service_model.signing_name)

    @property
    def event_source(self) -> str:
        return f"{self.model.service_model.endpoint_prefix}.amazonaws.com"


# Operation name and parameters of one service's request, or None where the request is not of that service.
Reading = tuple[str, dict[str, Any]] | None
Reader = Callable[[HttpRequest, ServiceModel], Reading]


def recognise(request: HttpRequest, signature: Signature) -> Call | None:
    """The call that a signed request makes, or None."""
    protocol = spoken_protocol(request)
    reader = _READERS.get(protocol)
    if reader is None:
        return None
    for service in services_signed_as(signature.service):
        reading = reader(request, service)
        if reading:
            operation, parameters = reading
            model = service.operation_model(operation)
            return Call(service.service_name, operation, protocol, parameters, signature.region, model)
    return None


def spoken_protocol(request: HttpRequest) -> str:
    """The protocol of a request by its outward marks; it also decides how an error is written."""
    if "x-amz-target" in request.headers:
        return "json"
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return "query"
    return "unknown"


def _read_json(request: HttpRequest, service: ServiceModel) -> Reading:
    """AWS JSON 1.0 and 1.1: `X-Amz-Target: <prefix>.<Operation>` and the parameters as the body."""
    prefix, _, operation = request.headers["x-amz-target"].rpartition(".")
    if prefix != service.metadata.get("targetPrefix") or operation not in service.operation_names:
        return None
    try:
        parameters = json.loads(request.body or b"{}", object_pairs_hook=_without_duplicates)
    except ValueError:
        return None
    return (operation, parameters) if isinstance(parameters, dict) else None


def _read_query(request: HttpRequest, service: ServiceModel) -> Reading:
    """AWS Query: a form with Action and Version. A query string beside it could say something else, so it is refused."""
    if request.query:
        return None
    try:
        pairs = parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True)
        form = _without_duplicates(pairs)
    except ValueError:
        return None
    operation = form.pop("Action", "")
    if form.pop("Version", None) != service.api_version or operation not in service.operation_names:
        return None
    shape = service.operation_model(operation).input_shape
    return operation, read_structure(shape, form) if shape else {}


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as a mapping. A name given twice could be read in two ways by the judge and by moto."""
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a name is given twice")
    return mapping


_READERS: dict[str, Reader] = {"json": _read_json, "query": _read_query}
