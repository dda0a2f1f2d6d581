"""What AWS keeps against everybody while a lock holds: a call on it is refused whoever signs it, so nobody is asked.

Rows say it (`held`), over the target's state and the call: S3's Object Lock and legal holds, a vault's immutable lock.
Of what no state that we read tells (a recovery point in a locked vault, a locked snapshot) AWS says no itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from approvals.operations.catalog import Operation
from approvals.operations.counterparts import searched
from approvals.operations.facts import Held


def why(operation: Operation, parameters: Mapping[str, Any], state: Any, moment: datetime) -> str:
    """Why AWS refuses the call at that moment, its target being as it was read, in a sentence; empty where nothing says so."""
    if state is None:
        return ""
    return next((one.why for one in operation.facts.held if _holds(one, parameters, state, moment)), "")


def _holds(one: Held, parameters: Mapping[str, Any], state: Any, moment: datetime) -> bool:
    if one.given and not searched(one.given, parameters):
        return False
    if not searched(one.when, state):
        return False
    if one.until and not _is_later(searched(one.until, state), moment):
        return False
    return not one.since or (searched(one.since, state) is not None and not _is_later(searched(one.since, state), moment))


def _is_later(told: Any, moment: datetime) -> bool:
    """Whether what an observation tells comes after the moment. What cannot be read does."""
    try:
        found = datetime.fromisoformat(told)
    except (TypeError, ValueError):
        return True
    return (found if found.tzinfo else found.replace(tzinfo=UTC)) > moment
