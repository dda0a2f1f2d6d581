"""botocore's service models: which service and operation a request is for, and what shape its parameters have."""

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

_loader = Loader()


@lru_cache(maxsize=64)
def service_model(name: str) -> ServiceModel:
    """The model of a service by botocore's name for it (`dynamodb`, `sqs`). Raises botocore's UnknownServiceError."""
    return ServiceModel(_description(name), name)


def operation_model(service: str, operation: str) -> OperationModel:
    return service_model(service).operation_model(operation)


def services_signed_as(signing_name: str) -> Iterator[ServiceModel]:
    """The services whose requests are signed with this name, the one of the same name first.

    Reading every model takes seconds, so that happens only when the service of that name does not fit.
    """
    if signing_name in _names():
        yield service_model(signing_name)
    for name in _by_signing_name().get(signing_name, ()):
        if name != signing_name:
            yield service_model(name)


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(_loader.list_available_services("service-2"))


@lru_cache(maxsize=1)
def _by_signing_name() -> dict[str, list[str]]:
    index: dict[str, list[str]] = defaultdict(list)
    for name in sorted(_names()):
        metadata = _description(name)["metadata"]
        index[metadata.get("signingName") or metadata["endpointPrefix"]].append(name)
    return index


def _description(name: str) -> dict[str, Any]:
    description: dict[str, Any] = _loader.load_service_model(name, "service-2")
    return description
