"""Every AWS operation that botocore knows, with our facts about it. Models are loaded when they are asked for, and kept while
there is room for them: nobody else may keep an operation or a shape for longer than a request or a record takes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

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


class _Lists(dict[tuple[Any, ...], Any]):
    """What botocore's loader remembers: which services and versions there are, and none of the models that it read."""

    def __setitem__(self, key: tuple[Any, ...], value: Any) -> None:
        if not str(key[0]).startswith("load_"):
            super().__setitem__(key, value)


@lru_cache(maxsize=1)
def loader() -> Loader:
    """botocore's loader without custom paths: a file in a home directory must not change what an operation means."""
    found = Loader(include_default_search_paths=False, extra_search_paths=[Loader.BUILTIN_DATA_PATH])
    found._cache = _Lists()  # type: ignore[attr-defined]  # what is kept of models is decided here
    return found


@lru_cache(maxsize=1)
def services() -> tuple[str, ...]:
    """boto3's name of every service, sorted."""
    return tuple(sorted(loader().list_available_services("service-2")))


class _Service:
    """One service: its model, how many shapes that has, and the operations of it that were asked for."""

    def __init__(self, name: str) -> None:
        try:
            self.model = ServiceModel(loader().load_service_model(name, "service-2"), service_name=name)
        except (DataNotFoundError, UnknownServiceError, ValueError) as error:
            raise UnknownOperation(f"AWS has no service {name[:80]!r} that boto3 knows. Look for its boto3 name.") from error
        self.shapes = len(self.model.shape_names)
        self.operations: dict[str, Operation] = {}


# The services that were asked for last, as many as fit: all 439 take half a gigabyte, four kilobytes a shape. The services with
# rows of ours have three quarters of these shapes: a process that works with those never reads a model twice.
MOST_SHAPES: Final = 36_000
_kept: OrderedDict[str, _Service] = OrderedDict()
_keeping: Final = threading.Lock()


def _service(name: str) -> _Service:
    with _keeping:
        if (found := _kept.get(name)) is not None:
            _kept.move_to_end(name)
            return found
    made = _Service(name)  # takes up to a fifth of a second, in which others go on
    with _keeping:
        found = _kept.setdefault(name, made)
        _kept.move_to_end(name)
        while len(_kept) > 1 and sum(one.shapes for one in _kept.values()) > MOST_SHAPES:
            _kept.popitem(last=False)
    return found


def service_model(service: str) -> ServiceModel:
    """botocore's model of a service. Raises UnknownOperation when there is none."""
    return _service(service).model


def of_row(name: str, service: str) -> Operation:
    """The operation that a row names: of the row's own service, or as `service:Operation`. Raises UnknownOperation."""
    return get(name if ":" in name else f"{service}:{name}")


def get(full_name: str) -> Operation:
    """The operation of this full name (`dynamodb:DeleteTable`), of any service. Raises UnknownOperation."""
    service, colon, name = full_name.partition(":")
    if not colon:
        raise UnknownOperation(
            f"{full_name[:120]!r} is no operation: it is written service:Operation, like dynamodb:DeleteTable."
        )
    kept = _service(service)
    found = kept.operations.get(name)
    if found is None:
        found = kept.operations[name] = _made(kept.model, service, name)
    return found


def _made(model: ServiceModel, service: str, name: str) -> Operation:
    try:
        operation = model.operation_model(name)
    except OperationNotFoundError as error:
        raise UnknownOperation(f"The service {service} has no operation {name[:80]!r}.") from error
    facts = derived.facts(service, operation)
    row = rows().get(f"{service}:{name}")
    return Operation(service, name, operation, with_row(facts, row) if row is not None else facts)


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
