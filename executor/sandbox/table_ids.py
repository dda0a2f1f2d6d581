"""A table's id, which moto does not give: AWS makes a new one for each table, also under a name that was there before."""

import uuid
from typing import Any, Final

from moto.dynamodb.models.table import Table

_described: Final = Table.describe


def describe(self: Table, base_key: str = "TableDescription") -> dict[str, Any]:
    """What moto says of the table, with its id. The id lies with the table's own object, and goes with it."""
    found = _described(self, base_key)
    found[base_key]["TableId"] = self.__dict__.setdefault("table_id", str(uuid.uuid4()))
    return found


def install() -> None:
    """Let moto's tables tell their ids. Safe to repeat."""
    Table.describe = describe  # type: ignore[method-assign]
