"""Which operation a CloudTrail record speaks of: from eventSource and eventName to boto3's service and AWS's operation.

One eventSource may stand for several services (rds for docdb and neptune too), and one service may be written in several ways.
Names alone are looked up in generated data (`data/sources.json`, made by `sources_index`), so that no model is loaded for a
record that concerns nobody; what the record's own keys have to decide is decided with the models of the services in question.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from botocore.model import ListShape, Shape, StructureShape

from approvals.operations import naming, quirks

if TYPE_CHECKING:
    from approvals.operations.catalog import Operation

_SOURCE: Final = re.compile(r"([a-z0-9][a-z0-9.-]{0,62})\.amazonaws\.com(?:\.cn)?")
# Lambda writes AddPermission20150331v2, CloudFront CreateDistribution2020_05_31.
_VERSION: Final = re.compile(r"_?20\d\d_?[01]\d_?[0-3]\d(?:v\d+)?")


@lru_cache(maxsize=1)
def _index() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(resources.files("approvals.operations.data").joinpath("sources.json").read_text("utf-8"))
    return found


@cache
def _operations(service: str) -> dict[str, str]:
    """The service's operations by their lower-case names."""
    return {name.lower(): name for name in _index()["services"][service]["operations"].split()}


def event_source(service: str) -> str:
    """CloudTrail's `eventSource` of a boto3 service."""
    return f"{_index()['services'][service]['source']}.amazonaws.com"


@lru_cache(maxsize=1)
def names() -> Mapping[str, tuple[str, ...]]:
    """The names of every operation by boto3's service, as AWS spells them. Loads no model."""
    return {service: tuple(known["operations"].split()) for service, known in _index()["services"].items()}


def services_called(prefix: str) -> tuple[str, ...]:
    """The boto3 services whose events CloudTrail writes with this source: `elasticloadbalancing` is elb and elbv2."""
    return tuple(_index()["prefixes"].get(prefix, ()))


@lru_cache(maxsize=1)
def _same() -> dict[str, tuple[str, ...]]:
    return {name: tuple(one for one in names if one != name) for names in _index()["same"] for name in names}


def other_names(full_name: str) -> tuple[str, ...]:
    """What else boto3 calls the same request to AWS: `rds:DeleteDBInstance` is also docdb's and neptune's. Loads no model."""
    return _same().get(full_name, ())


def all_names(full_name: str) -> tuple[str, ...]:
    """Everything that boto3 calls the same request to AWS, this name first."""
    return (full_name, *other_names(full_name))


@lru_cache(maxsize=8192)
def candidates(event_source: str, event_name: str) -> tuple[str, ...]:
    """The `service:Operation` that a record of this source and name may mean, best first; empty where no public API is meant.

    Loads no model. `signin`, console-only and internal events have none.
    """
    source = _SOURCE.fullmatch(event_source)
    if source is None:
        return ()
    services = _index()["prefixes"].get(source[1], ())
    plain = event_name
    if len(event_name) > 8 and (version := _VERSION.search(event_name)) and version.end() == len(event_name):
        plain = event_name[: version.start()]
    found = []
    for service in services:
        names = _operations(service)
        for name in dict.fromkeys((*quirks.renamed_event(service, plain), event_name, plain)):
            if (known := names.get(name.lower())) is not None:
                found.append(f"{service}:{known}")
                break
    return tuple(found)


def fitting(operations: Sequence[Operation], recorded: Mapping[str, Any] | None) -> tuple[Operation, ...]:
    """Of the operations that a record may mean, those that its keys fit best: fewest unknown, then fewest missing. In order.

    Where its own keys do not tell, those inside of them do (Kinesis Analytics of both versions). More than one is left where
    services share an API: `DeleteDBCluster` of rds, docdb and neptune is one and the same call.
    """
    if recorded is None or len(operations) < 2:
        return tuple(operations)
    found = _least(operations, [_misfit(operation, recorded) for operation in operations])
    first, *others = found
    if all(one.full_name in other_names(first.full_name) for one in others):
        return found
    return _least(found, [_strangers_within(one, one.model.input_shape, recorded) for one in found])


def _least(operations: Sequence[Operation], misfits: Sequence[Any]) -> tuple[Operation, ...]:
    least = min(misfits)
    return tuple(operation for operation, misfit in zip(operations, misfits, strict=True) if misfit == least)


def _strangers_within(operation: Operation, shape: Shape | None, recorded: Any) -> int:
    """How many keys, however deep, no member has."""
    if isinstance(shape, ListShape) and isinstance(recorded, list):
        return sum(_strangers_within(operation, shape.member, item) for item in recorded)
    if not isinstance(shape, StructureShape) or not isinstance(recorded, Mapping):
        return 0
    found = 0
    for key, value in recorded.items():
        name = naming.member(operation.service, operation.name, shape, key, value)
        found += 1 if name is None else _strangers_within(operation, shape.members[name], value)
    return found


def _misfit(operation: Operation, recorded: Mapping[str, Any]) -> tuple[int, int]:
    shape = operation.model.input_shape
    keys = quirks.unwrapped(operation.service, operation.name, recorded)
    if shape is None:
        return len(keys), 0
    known = {naming.member(operation.service, operation.name, shape, key, value) for key, value in keys.items()}
    unknown = sum(
        naming.member(operation.service, operation.name, shape, key, value) is None
        and not quirks.noise(operation.service, operation.name, key, value)
        for key, value in keys.items()
    )
    return unknown, len(operation.required - known)
