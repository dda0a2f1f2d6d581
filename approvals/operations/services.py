"""What there is to choose from: every service by its full name, and the operations of one that change something."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from approvals.operations import catalog, iam
from approvals.operations.catalog import Operation

# botocore writes a model's metadata before everything else; its names stand within this many characters.
_HEAD: Final = 8_192
_FULL_NAME: Final = re.compile(r'"serviceFullName"\s*:\s*"((?:[^"\\]|\\.)*)"')


@lru_cache(maxsize=1)
def full_names() -> Mapping[str, str]:
    """AWS's name of every service by boto3's, such as `rds`: `Amazon Relational Database Service`. No model is loaded whole."""
    return {service: _full_name(service) for service in catalog.services()}


def _full_name(service: str) -> str:
    loader = catalog.loader()
    version = loader.determine_latest_version(service, "service-2")
    with gzip.open(Path(loader.BUILTIN_DATA_PATH, service, version, "service-2.json.gz")) as file:
        head = file.read(_HEAD).decode("utf-8", "replace")
    found = _FULL_NAME.search(head)
    return found[1] if found else service


def writing(service: str) -> tuple[Operation, ...]:
    """The operations of a service that change something: those that we describe first, then by name. Raises UnknownOperation."""
    return tuple(catalog.get(name) for name in _writing(service))


@lru_cache(maxsize=512)
def _writing(service: str) -> tuple[str, ...]:
    found = [catalog.get(f"{service}:{name}") for name in catalog.service_model(service).operation_names]
    written = [operation for operation in found if operation.facts.curated or not iam.only_reads(operation)]
    return tuple(one.full_name for one in sorted(written, key=lambda operation: (not operation.facts.curated, operation.name)))
