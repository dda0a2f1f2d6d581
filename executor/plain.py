"""What AWS takes and answers, as JSON can say it and without secrets."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from botocore.model import Shape

from approvals.canonical import Sealed
from approvals.operations import catalog, partial, sensitive
from approvals.operations.catalog import Operation
from approvals.plan import Step

HIDDEN: Final = sensitive.HIDDEN


def not_done(step: Step, answer: Mapping[str, Any]) -> str:
    """What AWS's answer names as not done although it said yes, as JSON text without secrets; empty for nothing."""
    operation = catalog.get(step.name)
    found = partial.not_done(operation, without_secrets(operation.model.output_shape, answer))
    return json.dumps(found, sort_keys=True, ensure_ascii=True) if found is not None else ""


def answer_text(operation: Operation, answer: Mapping[str, Any]) -> str:
    """AWS's answer as JSON text without secrets."""
    return as_text(operation.model.output_shape, answer)


def as_text(shape: Shape | None, value: Any) -> str:
    """A boto3 value as JSON text; what botocore's model or our list of names calls a secret is hidden."""
    return json.dumps(without_secrets(shape, value), sort_keys=True, ensure_ascii=True)


def without_secrets(shape: Shape | None, value: Any) -> Any:
    """The value as JSON can say it, with every sensitive member replaced."""
    if isinstance(value, Sealed) or (shape is not None and shape.metadata.get("sensitive")):
        return HIDDEN
    members: Any = getattr(shape, "members", {})
    if isinstance(value, Mapping):
        inner = getattr(shape, "value", None)
        return {
            str(name): HIDDEN
            if sensitive.is_named_secret(str(name)) and isinstance(item, str | bytes)
            else without_secrets(members.get(name, inner), item)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_secrets(getattr(shape, "member", None), item) for item in value]
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
