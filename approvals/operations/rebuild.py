"""The parameters of a denied call that CloudTrail recorded without any, from AWS's denial message.

The rule is strict: the call counts as rebuilt only when every member that could change what it does is known. What the message
names of the target is kept for the person who completes the rest. Never a guess: a default that was not told is not known.
"""

from __future__ import annotations

import re
from typing import Any, Final

from botocore.model import ListShape

from approvals.errors import BadParameters
from approvals.operations import denials, inputs, resources
from approvals.operations.catalog import Operation
from approvals.operations.conversion import Conversion
from approvals.operations.resources import Where
from approvals.states import Completeness

# They do not change what a call does: a dry run never gets as far as a permission that matters, tokens only make it repeatable.
_IDLE: Final = frozenset({"DryRun", "ClientToken", "ClientRequestToken", "IdempotencyToken", "CreatorRequestId"})
# IAM names the target in words: `user alice`, `policy arn:... version v2`.
_IN_WORDS: Final = re.compile(
    r"(?:user (?P<UserName>[\w+=,.@-]+)|role (?P<RoleName>[\w+=,.@-]+)|group (?P<GroupName>[\w+=,.@-]+)"
    r"|instance profile (?P<InstanceProfileName>[\w+=,.@-]+)"
    r"|policy (?P<PolicyArn>arn:[^\s*?]+)(?: version (?P<VersionId>v\d+))?)"
)


def rebuilt(operation: Operation, message: str, where: Where) -> Conversion:
    """What the denial message tells of the call's parameters, `rebuilt` when that is all of them, else `incomplete`."""
    if not operation.members:
        return Conversion({}, Completeness.EXACT, f"{operation.full_name} takes no parameters.")
    said = denials.parse(message)
    spoken = said is not None and said.action.lower() == operation.facts.iam_action.lower()
    known = _known(operation, said.resource, where) if said is not None and spoken else {}
    missing = sorted(name for name, shape in operation.members.items() if _open(operation, name, known, shape))
    if spoken and not missing:
        try:
            inputs.check(operation, known)
        except BadParameters as error:
            why = f"CloudTrail recorded no parameters, and what the denial message names does not fit: {error}"
            return Conversion({}, Completeness.INCOMPLETE, why, missing=tuple(error.fields))
        why = "CloudTrail recorded no parameters; all of them stand in the denial message."
        return Conversion(known, Completeness.REBUILT, why)
    if known:
        why = (
            f"CloudTrail recorded no parameters of the denied call; only {', '.join(sorted(known))} could be rebuilt from the "
            "denial message. You must complete the rest."
        )
    elif spoken:
        why = "CloudTrail recorded no parameters of the denied call, and its message names no resource. You must complete them."
    else:
        why = (
            "CloudTrail recorded no parameters of the denied call, and its message does not speak of it. You must complete them."
        )
    return Conversion(known, Completeness.INCOMPLETE, why, missing=tuple(missing))


def _known(operation: Operation, resource: str, where: Where) -> dict[str, Any]:
    named = resources.identified_by(operation, resource, where)
    if named is None and operation.service == "iam" and (words := _IN_WORDS.fullmatch(resource)):
        named = {name: value for name, value in words.groupdict().items() if value is not None}
        if not named.keys() <= operation.members.keys():
            named = None
    found: dict[str, Any] = {}
    for name, value in (named or {}).items():
        found[name] = [value] if isinstance(operation.members[name], ListShape) else value
    return found


def _open(operation: Operation, name: str, known: dict[str, Any], shape: Any) -> bool:
    """Whether the member may have been given otherwise than we know."""
    if name in _IDLE or shape.metadata.get("idempotencyToken"):
        return name in operation.required and name not in known and not shape.metadata.get("idempotencyToken")
    # A message names one resource of several.
    return name not in known or isinstance(shape, ListShape)
