"""Whether CloudTrail's own list of a call's resources agrees with what follows from its parameters."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from approvals.operations.catalog import Operation
from approvals.operations.conversion import Conversion
from approvals.operations.resources import ARN, Where, touched
from approvals.states import Completeness


def conflicts(operation: Operation, parameters: dict[str, Any], where: Where, recorded: object) -> tuple[str, ...]:
    """Where CloudTrail's `resources` (a list of {ARN, accountId, type}) speaks against what follows from the parameters.

    Each a sentence. Both must name a thing of the same kind and no name may be common: a record also lists keys and roles that
    the call used, and leaves out what it likes. A conflict makes a conversion worse; agreement makes none better.
    """
    seen = [arn for arn in _listed(recorded) if ARN.fullmatch(arn)]
    found = []
    for pattern in touched(operation, parameters, where, whole=False).patterns:
        alike = [arn for arn in seen if _kind(arn) == _kind(pattern)]
        if alike and not any(_covers(pattern, arn) for arn in alike):
            found.append(f"The parameters speak of {pattern}, CloudTrail's list of resources of {', '.join(alike)}.")
    return tuple(found)


def weighed(operation: Operation, conversion: Conversion, where: Where, recorded: object) -> Conversion:
    """The conversion, made worse where CloudTrail's own list of resources speaks against it: then a person completes it."""
    said = conflicts(operation, conversion.parameters, where, recorded)
    if not said or conversion.completeness in (Completeness.UNKNOWN, Completeness.REDACTED):
        return conversion
    open_ends = tuple(dict.fromkeys((*conversion.missing, *operation.facts.identifies)))
    why = f"{' '.join(said)} Find out which is meant, and enter it."
    return replace(conversion, completeness=Completeness.INCOMPLETE, why=why, missing=open_ends)


def _listed(recorded: object) -> list[str]:
    if not isinstance(recorded, list):
        return []
    listed = [item.get("ARN", item.get("arn")) for item in recorded if isinstance(item, dict)]
    return [arn for arn in listed if isinstance(arn, str)]


def _kind(arn: str) -> tuple[str, str, int]:
    """What tells kinds of ARNs apart: the service, the word before the name, and for S3 whether it is an object."""
    parts = ARN.fullmatch(arn)
    if parts is None:
        return ("", "", 0)
    resource = parts["resource"]
    word = re.split(r"[/:]", resource)[0] if re.search(r"[/:]", resource) else ""
    if parts["service"] == "s3":
        return ("s3", "", int("/" in resource))
    return (parts["service"], word, 0)


def _covers(pattern: str, arn: str) -> bool:
    if arn.endswith(("/", "*")):  # CloudTrail lists what several objects of S3 begin with
        return pattern.startswith(arn.rstrip("*"))
    wild = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch(wild, arn, re.DOTALL) is not None
