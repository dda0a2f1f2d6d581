"""Calls that give their target another name (`NewDBInstanceIdentifier` beside `DBInstanceIdentifier`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from approvals.operations.catalog import Operation


def new_names(operation: Operation, parameters: Mapping[str, Any]) -> dict[str, str]:
    """The names that the call gives its target at once, by the member that has the former one; empty where it gives none.

    RDS waits for the next maintenance window without `ApplyImmediately`. Source: RDS API Reference, ModifyDBInstance.
    """
    if "ApplyImmediately" in operation.members and parameters.get("ApplyImmediately") is not True:
        return {}
    given = {name: parameters.get(f"New{name}") for name in operation.facts.identifies}
    return {name: new for name, new in given.items() if isinstance(new, str) and new}
