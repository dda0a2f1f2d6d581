"""Which operations are known: botocore's model of each, and our own row of facts about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

from approvals.errors import UnknownOperation


@dataclass(frozen=True, slots=True)
class Operation:
    """One AWS operation: boto3's service name, AWS's operation name, botocore's model and our row of facts.

    `facts` is the row of data/operations.json: what it does and destroys, how it is undone, its IAM action and ARN template,
    which members identify the target, how the target is described and when the call has settled.
    """

    service: str
    name: str
    model: OperationModel
    facts: Mapping[str, Any]

    @property
    def full_name(self) -> str:
        """`service:Operation`, as guardrails spell it."""
        return f"{self.service}:{self.name}"

    @property
    def event_source(self) -> str:
        """CloudTrail's `eventSource` of this operation."""
        return f"{self.model.service_model.endpoint_prefix}.amazonaws.com"

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
def facts() -> dict[str, dict[str, Any]]:
    """Our rows, by `service:Operation`."""
    text = resources.files("approvals.operations.data").joinpath("operations.json").read_text("utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text)
    return found


@lru_cache(maxsize=1)
def _loader() -> Loader:
    # Without custom paths: a file in a home directory must not change what an operation means.
    return Loader(include_default_search_paths=False, extra_search_paths=[Loader.BUILTIN_DATA_PATH])


@lru_cache(maxsize=64)
def _service(service: str) -> ServiceModel:
    return ServiceModel(_loader().load_service_model(service, "service-2"), service_name=service)


@lru_cache(maxsize=256)
def get(full_name: str) -> Operation:
    """The operation of this full name (`dynamodb:DeleteTable`).

    Raises UnknownOperation, naming what is known, when our table has no row for it.
    """
    row = facts().get(full_name)
    if row is None:
        raise UnknownOperation(f"Countersign does not know the operation {full_name!r}. It knows {', '.join(sorted(facts()))}.")
    service, _, name = full_name.partition(":")
    return Operation(service, name, _service(service).operation_model(name), row)


def operations() -> list[Operation]:
    """Every known operation, by full name."""
    return [get(name) for name in sorted(facts())]


@lru_cache(maxsize=1)
def _by_source() -> dict[tuple[str, str], str]:
    return {(operation.event_source, operation.name): operation.full_name for operation in operations()}


def of_event(event_source: str, event_name: str) -> Operation | None:
    """The operation that a CloudTrail record speaks of, or None when it is not one that we know."""
    full_name = _by_source().get((event_source, event_name))
    return get(full_name) if full_name else None
