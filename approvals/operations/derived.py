"""Facts about any operation that has no row of ours, from botocore's model and the IAM action table alone."""

from __future__ import annotations

import re
from typing import Final

from botocore.model import OperationModel

from approvals.operations import iam, templates
from approvals.operations.facts import Facts, Settled

# What a name begins with when its call takes something away. What nobody described is treated as beyond undoing.
DESTRUCTIVE: Final = (
    "Delete",
    "Terminate",
    "Purge",
    "Remove",
    "Destroy",
    "Deregister",
    "Disable",
    "Detach",
    "Disassociate",
    "Revoke",
    "Cancel",
    "Stop",
    "Reset",
    "Release",
    "Reject",
    "Retire",
    "Schedule",
    "Batch",
    "Erase",
    "Expire",
)
_WORD: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z0-9]+")


def facts(service: str, model: OperationModel) -> Facts:
    """What can be said of an operation from its model: nothing is claimed of its effect, so nothing is called harmless."""
    found = templates.derived(service, model)
    return Facts(
        does=" ".join([_predicate(model.name), *(f"{{{name}}}" for name in found.identifies)]),
        family="",
        destroys="",
        irreversible=model.name.startswith(DESTRUCTIVE),
        undo="",
        lost="",
        iam_action=iam.action(service, model),
        resources=found.templates,
        identifies=found.identifies,
        dangerous={},
        describe=None,
        settled=Settled(at_once=True),
        untouched=None,
        partial="",
        also_needs=(),
        before=(),
        repeatable=False,
        patterns={},
        secret=(),
        changes=False,
        curated=False,
    )


def _predicate(name: str) -> str:
    """`DeleteDBInstance` as `delete DB instance`."""
    words = _WORD.findall(name)
    return " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in words)
