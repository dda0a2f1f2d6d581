"""From what CloudTrail recorded to the keyword arguments of the boto3 call, and how far that can be trusted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.model import ListShape, MapShape, Shape, StructureShape

from approvals.errors import BadParameters
from approvals.operations import inputs, resources
from approvals.operations.catalog import Operation
from approvals.operations.conversion import Conversion as Conversion
from approvals.operations.resources import Where
from approvals.states import Completeness

_MESSAGE: Final = re.compile(
    r"User: (?P<user>\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)(?: on resource: (?P<resource>\S+))?"
    r"(?: (?:with an explicit deny in an? (?P<deny>[\w -]+?) policy"
    r"|because no (?P<allow>[\w -]+?) policy allows the \S+ action))?"
    r"(?:: (?P<policy>arn:\S+))?$"
)
_HIDDEN: Final = ("HIDDEN_DUE_TO_SECURITY_REASONS", "***OMITTED***", "<sensitiveDataRemoved>", "***(Redacted)")


@dataclass(frozen=True, slots=True)
class Denial:
    """What AWS's denial message says. `explicit` tells a Deny statement from a missing Allow."""

    user: str
    action: str
    resource: str
    explicit: bool
    policy_kind: str
    policy_arn: str


@dataclass(slots=True)
class _Seen:
    unknown: list[str] = field(default_factory=list)
    redacted: list[str] = field(default_factory=list)


def denial(message: str) -> Denial | None:
    """Parse AWS's denial message, or None for a wording that we do not know."""
    found = _MESSAGE.match(message.strip())
    if not found:
        return None
    return Denial(
        user=found["user"],
        action=found["action"],
        resource=found["resource"] or "",
        explicit=found["deny"] is not None,
        policy_kind=found["deny"] or found["allow"] or "",
        policy_arn=found["policy"] or "",
    )


def convert(operation: Operation, recorded: dict[str, Any] | None, message: str, where: Where) -> Conversion:
    """What a record tells of the call's parameters.

    `recorded` is CloudTrail's `requestParameters`, `message` its `errorMessage`. Never guesses: a key that the model does not
    know, a hidden value or a member that cannot be recovered makes the conversion something that a person completes.
    """
    if recorded is None:
        return _rebuilt(operation, message, where)
    seen = _Seen()
    shape = operation.model.input_shape
    parameters = _converted(shape, recorded, "", seen) if shape is not None else {}
    if seen.unknown:
        why = (
            f"CloudTrail recorded {', '.join(seen.unknown)}, which {operation.full_name} has no member for; you must complete it."
        )
        return Conversion(parameters, Completeness.UNKNOWN, why, tuple(seen.unknown), tuple(seen.redacted))
    if seen.redacted:
        why = f"CloudTrail hides {', '.join(seen.redacted)}; you must enter it."
        return Conversion(parameters, Completeness.REDACTED, why, (), tuple(seen.redacted))
    try:
        parameters = resources.normalised(operation, parameters, where)
        inputs.check(operation, parameters)
    except BadParameters as error:
        return Conversion(
            parameters, Completeness.INCOMPLETE, f"The recorded parameters do not fit: {error}", missing=tuple(error.fields)
        )
    return Conversion(parameters, Completeness.EXACT, "CloudTrail recorded every parameter.")


def _rebuilt(operation: Operation, message: str, where: Where) -> Conversion:
    said = denial(message)
    known: dict[str, Any] = {}
    if said is not None and said.action == operation.facts.iam_action:
        known = dict(resources.identified_by(operation, said.resource, where) or {})
    missing = tuple(sorted(name for name in operation.members if name not in known))
    if known and not missing:
        return Conversion(
            known, Completeness.REBUILT, "CloudTrail recorded no parameters; all of them stand in the denial message."
        )
    if known:
        why = (
            f"CloudTrail recorded no parameters of the denied call; only {', '.join(sorted(known))} could be rebuilt from the "
            "denial message. You must complete the rest."
        )
    else:
        why = "CloudTrail recorded no parameters of the denied call, and its message names no resource. You must complete them."
    return Conversion(known, Completeness.INCOMPLETE, why, missing=missing)


def _converted(shape: Shape, value: Any, path: str, seen: _Seen) -> Any:
    if isinstance(value, str) and (value in _HIDDEN or (value and set(value) == {"*"} and len(value) >= 4)):
        seen.redacted.append(path)
        return value
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return _structure(shape, value, path, seen)
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_converted(shape.member, item, f"{path}.{index}", seen) for index, item in enumerate(value)]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {key: _converted(shape.value, item, f"{path}.{key}", seen) for key, item in value.items()}
    return value


def _structure(shape: StructureShape, value: dict[str, Any], path: str, seen: _Seen) -> dict[str, Any]:
    # CloudTrail writes lowerCamelCase; matching without case is safe (4 collisions in 34,577 structures).
    names = {name.lower(): name for name in shape.members}
    found: dict[str, Any] = {}
    for key, item in value.items():
        name = names.get(key.lower())
        where = f"{path}.{key}" if path else key
        if name is None:
            seen.unknown.append(where)
        elif item is not None:
            found[name] = _converted(shape.members[name], item, f"{path}.{name}" if path else name, seen)
    return found
