"""What the executor adds to the parameters that were signed: a token by which AWS knows the same call again, and EC2's DryRun.

Both tell AWS how to take the call and not what to do. What was signed is never changed: a token or a DryRun that stands in the
signed parameters is sent as it was signed, and nothing is added in its place.
"""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import UUID, uuid5

from botocore.model import Shape

from approvals.operations.catalog import Operation
from approvals.plan import Step

# Members that botocore's model does not mark as tokens, and whose documentation calls them so. The marked ones have a trait.
UNMARKED: Final = frozenset(
    {
        "ClientRequestToken",
        "ClientToken",
        "CreatorRequestId",
        "IdempotencyToken",
        "UniqueRequestToken",
        "clientRequestToken",
        "clientToken",
        "idempotencyToken",
    }
)
# Where a member of such a name means another thing, or botocore's documentation does not say what it means.
_OTHERWISE: Final = frozenset(
    {
        "cloudformation:RecordHandlerProgress",
        "codestar-notifications:Subscribe",
        "glue:BatchPutDataQualityStatisticAnnotation",
        "workspaces:RejectAccountLinkInvitation",
    }
)
DRY_RUN: Final = "DryRun"
# EC2 API Reference, "Error codes": the request would have succeeded, and nothing was done.
WOULD_SUCCEED: Final = "DryRunOperation"
# A code of ours: a rehearsal whose answer did not come.
NO_ANSWER: Final = "NoAnswer"


def token_member(operation: Operation) -> str:
    """The member that takes the token; "" where the operation has none that may be left out."""
    shape = operation.model.input_shape
    required = set(shape.required_members) if shape is not None else set()
    marked = [name for name, one in operation.members.items() if one.metadata.get("idempotencyToken")]
    names = UNMARKED - required if operation.full_name not in _OTHERWISE else frozenset()
    unmarked = [name for name in operation.members if name in names]
    found = (name for name in (*marked, *unmarked) if operation.members[name].type_name == "string")
    return next(found, "")


def token_for(operation: Operation, step: Step, execution_id: UUID, index: int, *, rehearsal: bool) -> str:
    """The token that is sent with a step: the same whenever that step is, of no other, and "" where none is wanted.

    A rehearsal has one of its own: AWS would take the real call for a repeat with other parameters.
    """
    member = token_member(operation)
    if not member or member in step.parameters:
        return ""
    made = uuid5(execution_id, f"{index}/rehearsal" if rehearsal else str(index))
    return next((form for form in (str(made), made.hex, made.hex * 2) if _fits(operation.members[member], form)), "")


def _fits(shape: Shape, value: str) -> bool:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", len(value))
    if not least <= len(value) <= most:
        return False
    try:
        return re.fullmatch(str(shape.metadata.get("pattern", ".*")), value) is not None
    except re.error:
        return True  # Java's classes (`\p{L}`): every one of them takes letters, digits and hyphens


def may_rehearse(operation: Operation, step: Step) -> bool:
    """Whether AWS can be asked beforehand whether it would do this. EC2 alone answers that in one way for all of its calls.

    A rehearsal that was signed as one is a call of its own.
    """
    member = operation.members.get(DRY_RUN)
    offers = operation.service == "ec2" and member is not None and member.type_name == "boolean"
    return offers and step.parameters.get(DRY_RUN) is not True


def added(operation: Operation, token: str, *, rehearsal: bool) -> dict[str, Any]:
    """What stands on the wire beside the signed parameters."""
    found: dict[str, Any] = {token_member(operation): token} if token else {}
    return found | ({DRY_RUN: True} if rehearsal else {})
