"""Where a call is recorded, and where it may be made from: global services have one region of their own in a partition."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from approvals.operations import catalog
from approvals.operations.catalog import Operation


def home_region(operation: Operation, partition: str) -> str:
    """The region in which a global service's calls are recorded; empty for a regional service.

    Source: botocore's endpoints, where a service that has one endpoint for the partition says by which region it is signed.
    """
    service = _endpoints().get(partition, {}).get(operation.model.service_model.endpoint_prefix, {})
    if service.get("isRegionalized", True):
        return ""
    endpoint = service["endpoints"].get(service.get("partitionEndpoint", ""), {})
    return str(endpoint.get("credentialScope", {}).get("region", ""))


def recorded_in(operation: Operation, partition: str, region: str) -> str:
    """The region that CloudTrail writes for the call, and that guardrails are held against, when it is asked for in `region`."""
    return home_region(operation, partition) or region


def are_used(region: str, used: Sequence[str], operations: Sequence[Operation], partition: str) -> bool:
    """Whether calls may be made in the region: the account uses it, or it is the home of every one of these services."""
    return region in used or all(home_region(operation, partition) == region for operation in operations)


@lru_cache(maxsize=256)
def partition_of(region: str) -> str:
    """The partition that a region lies in, by the patterns of botocore's partitions; `aws` for what fits none."""
    partitions = catalog.loader().load_data("partitions")["partitions"]
    # Published records have regions of one letter more: `cn-west-3r`.
    return next((str(one["id"]) for one in partitions if re.match(one["regionRegex"].rstrip("$"), region)), "aws")


@lru_cache(maxsize=1)
def known() -> frozenset[str]:
    """Every region that botocore knows, of every partition."""
    return frozenset(region for one in catalog.loader().load_data("endpoints")["partitions"] for region in one["regions"])


@lru_cache(maxsize=1)
def partitions() -> frozenset[str]:
    """Every partition that botocore knows."""
    return frozenset(one["partition"] for one in catalog.loader().load_data("endpoints")["partitions"])


@lru_cache(maxsize=8)
def suffix_of(partition: str) -> str:
    """What the addresses of a partition's services end with: `amazonaws.com`, in China `amazonaws.com.cn`."""
    found = catalog.loader().load_data("endpoints")["partitions"]
    return next(str(one["dnsSuffix"]) for one in found if one["partition"] == partition)


@lru_cache(maxsize=1)
def _endpoints() -> dict[str, dict[str, Any]]:
    return {one["partition"]: one["services"] for one in catalog.loader().load_data("endpoints")["partitions"]}
