"""Every AWS operation that botocore knows, with our facts about it. Models are loaded when they are asked for, and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import Loader
from botocore.model import OperationModel, OperationNotFoundError, ServiceModel

from approvals.errors import UnknownOperation
from approvals.operations import derived, sources
from approvals.operations.facts import Facts, rows, with_row


@dataclass(frozen=True, slots=True)
class Operation:
    """One AWS operation: boto3's service name, AWS's operation name, botocore's model and our facts."""

    service: str
    name: str
    model: OperationModel
    facts: Facts

    @property
    def full_name(self) -> str:
        """`service:Operation`, as guardrails spell it."""
        return f"{self.service}:{self.name}"

    @property
    def event_source(self) -> str:
        """CloudTrail's `eventSource` of this operation."""
        return sources.event_source(self.service)

    @property
    def members(self) -> Mapping[str, Any]:
        """The input members by name, as botocore shapes; empty where the operation takes none."""
        shape = self.model.input_shape
        return shape.members if shape is not None else {}

    @property
    def required(self) -> frozenset[str]:
        """The names of the input members that must be there."""
        shape = self.model.input_shape
        return frozenset(shape.required_members) if shape is not None else frozenset()


@lru_cache(maxsize=1)
def loader() -> Loader:
    """botocore's loader without custom paths: a file in a home directory must not change what an operation means."""
    return Loader(include_default_search_paths=False, extra_search_paths=[Loader.BUILTIN_DATA_PATH])


@lru_cache(maxsize=1)
def services() -> tuple[str, ...]:
    """boto3's name of every service, sorted."""
    return tuple(sorted(loader().list_available_services("service-2")))


@cache
def service_model(service: str) -> ServiceModel:
    """botocore's model of a service. Raises UnknownOperation when there is none."""
    try:
        return ServiceModel(loader().load_service_model(service, "service-2"), service_name=service)
    except (DataNotFoundError, UnknownServiceError, ValueError) as error:
        raise UnknownOperation(f"AWS has no service {service[:80]!r} that boto3 knows. Look for its boto3 name.") from error


@cache
def get(full_name: str) -> Operation:
    """The operation of this full name (`dynamodb:DeleteTable`), of any service. Raises UnknownOperation."""
    service, colon, name = full_name.partition(":")
    if not colon:
        raise UnknownOperation(
            f"{full_name[:120]!r} is no operation: it is written service:Operation, like dynamodb:DeleteTable."
        )
    try:
        model = service_model(service).operation_model(name)
    except OperationNotFoundError as error:
        raise UnknownOperation(f"The service {service} has no operation {name[:80]!r}.") from error
    facts = derived.facts(service, model)
    row = rows().get(full_name)
    return Operation(service, name, model, with_row(facts, row) if row is not None else facts)


def curated() -> list[Operation]:
    """Every operation that has a row of ours, by full name."""
    return [get(name) for name in sorted(rows())]


def of_event(event_source: str, event_name: str, recorded: Mapping[str, Any] | None = None) -> Operation | None:
    """The operation that a CloudTrail record speaks of, or None when it is of no public API that botocore knows.

    Where one source stands for several services, the record's `requestParameters` decide.
    """
    found = all_of_event(event_source, event_name, recorded)
    return found[0] if found else None


def all_of_event(event_source: str, event_name: str, recorded: Mapping[str, Any] | None = None) -> tuple[Operation, ...]:
    """Every operation that the record speaks of equally well, best first: services that share an API have the same calls."""
    return sources.fitting([get(name) for name in sources.candidates(event_source, event_name)], recorded)
