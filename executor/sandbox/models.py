"""botocore's service models: which service and operation a request is for, and what shape its parameters have."""

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from botocore.model import OperationModel, ServiceModel

from approvals.operations import catalog

_METADATA = re.compile(r'"metadata"\s*:\s*')
# Longer than the metadata of any model of botocore 1.44, which end before the 700th character.
_HEAD = 8192


def service_model(name: str) -> ServiceModel:
    """The model of a service by botocore's name for it (`dynamodb`, `sqs`). Raises UnknownOperation."""
    return catalog.service_model(name)


def operation_model(service: str, operation: str) -> OperationModel:
    return service_model(service).operation_model(operation)


def services_signed_as(signing_name: str) -> Iterator[ServiceModel]:
    """The services whose requests are signed with this name, the one of the same name first."""
    names = _by_signing_name().get(signing_name, [])
    for name in sorted(names, key=lambda name: name != signing_name):
        yield service_model(name)


@lru_cache(maxsize=1)
def _by_signing_name() -> dict[str, list[str]]:
    index: dict[str, list[str]] = defaultdict(list)
    for name in catalog.services():
        metadata = _metadata(name)
        index[metadata.get("signingName") or metadata["endpointPrefix"]].append(name)
    return index


def _metadata(name: str) -> dict[str, Any]:
    """A model's metadata from the head of its file: reading all 400 models whole takes seconds and 1 GB."""
    loader = catalog.loader()
    folder = Path(loader.BUILTIN_DATA_PATH) / name / loader.determine_latest_version(name, "service-2")
    path = folder / "service-2.json.gz"
    with gzip.open(path, "rt", encoding="utf-8") if path.exists() else path.with_suffix("").open(encoding="utf-8") as file:
        head = file.read(_HEAD)
    start = _METADATA.search(head)
    if start is None:
        raise ValueError(f"{path} has no metadata at its head")
    metadata: dict[str, Any] = json.JSONDecoder().raw_decode(head, start.end())[0]
    return metadata
