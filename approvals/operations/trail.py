"""From what CloudTrail recorded to the keyword arguments of the boto3 call, and how far that can be trusted.

The reading follows botocore's model (`reading`), deviations are data (`data/quirks.json`), re-encodings of single values are
listed in `reencoding`. The verdict is the most cautious one that holds: `unknown` (a key that nobody knows), `redacted` (a value
is hidden), `incomplete` (a member is missing, or may be), `exact` (nothing is known to be hidden or missing), `rebuilt` (the
same, from the denial message).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from botocore.model import ListShape, MapShape, Shape, StructureShape

from approvals.errors import BadParameters
from approvals.operations import inputs, naming, quirks, reading, rebuild, resources, sensitive
from approvals.operations.catalog import Operation
from approvals.operations.conversion import Conversion
from approvals.operations.reading import Reading
from approvals.operations.resources import Where
from approvals.states import Completeness

__all__ = ["Conversion", "convert"]

# How many names a sentence carries before it says "and 12 more".
_NAMED: Final = 8


def convert(operation: Operation, recorded: Mapping[str, Any] | None, message: str, where: Where) -> Conversion:
    """What a record tells of the call's parameters.

    `recorded` is CloudTrail's `requestParameters`, `message` its `errorMessage`. Never guesses: a key that the model does not
    know, a hidden value or a member that cannot be recovered makes the conversion something that a person completes. Never
    raises, whatever the record holds.
    """
    if recorded is None:
        return rebuild.rebuilt(operation, message, where)
    if recorded.get("omitted") is True and "omitted" not in operation.members:
        return _omitted(operation, recorded)
    if reading.too_deep(recorded):
        why = f"The recorded parameters are nested deeper than {reading.DEEPEST} levels and were not read. You must enter them."
        return Conversion({}, Completeness.UNKNOWN, why, unknown=tuple(map(reading.printable, recorded)))
    found = reading.of(operation, recorded, where)
    missing = _missing(operation, found)
    if found.unfit:
        missing = tuple(dict.fromkeys((*missing, *found.unfit)))
        return _verdict(operation, found, missing, f"What CloudTrail recorded for {_some(found.unfit)} does not fit; enter it.")
    if not (found.unknown or found.redacted):
        try:
            found.parameters = resources.normalised(operation, found.parameters, where)
            inputs.check(operation, found.parameters)
        except BadParameters as error:
            missing = tuple(dict.fromkeys((*missing, *(field for field in error.fields if field))))
            return _verdict(operation, found, missing, f"The recorded parameters do not fit: {error}")
    return _verdict(operation, found, missing, "")


def _verdict(operation: Operation, found: Reading, missing: tuple[str, ...], misfit: str) -> Conversion:
    redacted = tuple(dict.fromkeys(found.redacted))
    if found.unknown:
        completeness = Completeness.UNKNOWN
        why = f"CloudTrail recorded {_some(found.unknown)}, which {operation.full_name} has no member for; you must complete it."
    elif redacted:
        completeness, why = Completeness.REDACTED, f"CloudTrail hides {_some(redacted)}; you must enter it."
    elif misfit:
        completeness, why = Completeness.INCOMPLETE, misfit
    elif missing:
        completeness = Completeness.INCOMPLETE
        why = f"CloudTrail never records {_some(missing)}, so whether the call had it is not known; you must enter it if it did."
    else:
        completeness, why = Completeness.EXACT, "CloudTrail recorded every parameter."
    return Conversion(
        found.parameters,
        completeness,
        why,
        unknown=tuple(found.unknown),
        redacted=redacted,
        missing=missing,
        dropped=tuple(found.dropped),
        renamed=tuple(dict.fromkeys(found.renamed)),
    )


def _omitted(operation: Operation, recorded: Mapping[str, Any]) -> Conversion:
    return Conversion(
        {},
        Completeness.INCOMPLETE,
        "CloudTrail left the parameters out because they are larger than 100 KB. You must enter them.",
        missing=tuple(operation.members),
        dropped=tuple(map(reading.printable, recorded)),
    )


def _missing(operation: Operation, found: Reading) -> tuple[str, ...]:
    """Members that the record does not show although the call may have had them, and required ones that it lacks."""
    silent = [path for path in quirks.silent(operation.service, operation.name) if _may_be_left_out(operation, found, path)]
    shape = operation.model.input_shape
    secret: Iterable[str] = ()
    lacking: Iterable[str] = ()
    if shape is not None:
        if found.unknown or found.redacted or found.unfit:  # else the check of the whole names them
            lacking = _lacking(shape, found.parameters, "")
        if not quirks.marked(operation.service):
            secret = _secrets(operation, shape, found.parameters, "")
    told = set(found.redacted)
    return tuple(name for name in dict.fromkeys((*silent, *secret, *lacking, *found.doubtful)) if name not in told)


def _may_be_left_out(operation: Operation, found: Reading, path: str) -> bool:
    """Whether the record shows neither the member nor another that a call has in its place (an ACL is a document or a name)."""
    if _shown(found.parameters, path.split(".")):
        return False
    return not any(name in found.parameters for name in quirks.instead(operation.service, operation.name, path))


def _shown(value: Any, path: list[str]) -> bool:
    """Whether a value stands at the path, and not an emptied one; in a list, in each of its elements."""
    if not path:
        return not quirks.hollow(value)
    if isinstance(value, list):
        return all(_shown(item, path) for item in value)
    if not isinstance(value, dict):
        return False
    return path[0] in value and _shown(value[path[0]], path[1:])


def _lacking(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Members that the call cannot do without and that the record does not show, whatever else is wrong with it."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        for name in shape.required_members:
            if name not in value:
                yield f"{path}.{name}" if path else name
        for name, item in value.items():
            if isinstance(item, dict | list) and name in shape.members:
                yield from _lacking(shape.members[name], item, f"{path}.{name}" if path else name)
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _lacking(shape.member, item, f"{path}.{index}")
    elif isinstance(shape, MapShape) and isinstance(value, dict):
        for key, item in value.items():
            yield from _lacking(shape.value, item, f"{path}.{key}")


def _secrets(operation: Operation, shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Secrets that the record does not show, or shows emptied: services leave many of them out.

    They are what botocore calls sensitive, blobs, and what is called as a secret is (`sensitive`); models forget some.
    """
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        for name in _secret_members(operation.service, shape):
            if quirks.hollow(value.get(name)) and not quirks.recorded(operation.service, operation.name, name):
                yield f"{path}.{name}" if path else name
        for name, item in value.items():
            if isinstance(item, dict | list) and name in shape.members:
                yield from _secrets(operation, shape.members[name], item, f"{path}.{name}" if path else name)
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _secrets(operation, shape.member, item, f"{path}.{index}")
    elif isinstance(shape, MapShape) and isinstance(value, dict):
        for key, item in value.items():
            yield from _secrets(operation, shape.value, item, f"{path}.{key}")


_SECRET: dict[tuple[str, str], tuple[str, ...]] = {}


def _secret_members(service: str, shape: StructureShape) -> tuple[str, ...]:
    key = (service, shape.name)
    found = _SECRET.get(key)
    if found is None:
        marked = naming.secret(service, shape)
        named = (name for name, member in shape.members.items() if sensitive.is_called_secret(service, name, member))
        found = _SECRET[key] = tuple(dict.fromkeys((*marked, *named)))
    return found


def _some(names: Iterable[str]) -> str:
    told = list(dict.fromkeys(names))
    rest = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    return ", ".join(name[:200] for name in told[:_NAMED]) + rest
