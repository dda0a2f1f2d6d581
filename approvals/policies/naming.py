"""Which operations of AWS a guardrail's patterns name."""

from __future__ import annotations

from functools import lru_cache

from approvals.operations import sources
from approvals.policies import patterns


@lru_cache(maxsize=1024)
def operations_named(pattern: str) -> tuple[str, ...]:
    """The full name of every operation that fits a pattern such as `rds:Delete*`. Loads no model."""
    service, colon, _ = pattern.partition(":")
    known = sources.names()
    services = (service,) if colon and not patterns.is_wild(service) else tuple(known)
    names = (f"{service}:{name}" for service in services for name in known.get(service, ()))
    return tuple(name for name in names if patterns.overlap(pattern, name))
