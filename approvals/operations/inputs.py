"""Whether parameters fit an operation's input shape, and how to say where they do not.

botocore's validator is the first judge. It lets unknown members of a misspelt *enum* and patterns through, so those are checked
here: what AWS would refuse is refused before anybody is asked to sign it.

A sealed value stands where a secret is wanted, and nowhere else: what it holds was checked before it was sealed, and is checked
again by the executor once it is open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator, ValidationErrors

from approvals.canonical import Sealed
from approvals.errors import BadParameters
from approvals.operations import patterns, sensitive
from approvals.operations.catalog import Operation
from approvals.sealing import Place

Path = str


def check(operation: Operation, parameters: dict[str, Any]) -> None:
    """Raise BadParameters, by dotted path, when the parameters do not fit the operation's input shape."""
    problems: dict[Path, list[str]] = {}
    for path, message in _problems(operation, parameters):
        problems.setdefault(path, []).append(message)
    if problems:
        raise BadParameters(_without_secrets(operation, parameters, problems))


def _without_secrets(operation: Operation, parameters: dict[str, Any], problems: dict[Path, list[str]]) -> dict[Path, list[str]]:
    """The same without the values of secrets: a record may carry one in clear, and what is wrong with it is kept and shown."""
    secret = {sensitive.dotted(place): repr(value) for place, value in sensitive.secrets_in(operation, parameters)}
    return {
        path: [said.replace(secret[path], "This value") for said in messages] if path in secret else messages
        for path, messages in problems.items()
    }


def _problems(operation: Operation, parameters: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    shape = operation.model.input_shape
    if shape is None:
        if parameters:
            yield "", f"{operation.full_name} takes no parameters."
        return
    report = ParamValidator().validate(parameters, shape)
    for kind, path, facts in report._errors:  # the report's own text cannot be laid beside a field
        if kind == "invalid type" and isinstance(facts.get("param"), Sealed):
            continue  # whether it may be sealed is said below
        yield _botocore_path(path, kind, facts), _botocore_message(kind, facts)
    yield from _values(shape, parameters, "")
    if any(_sealed_places(parameters, ())):
        yield from _sealed(operation, parameters)
    yield from _facts(operation, parameters)


def misfits(shape: Shape, parameters: dict[str, Any]) -> Iterator[tuple[str, Path]]:
    """What botocore's validator alone has against the parameters: the kind of each error, and where."""
    for kind, path, facts in ParamValidator().validate(parameters, shape)._errors:
        yield kind, _botocore_path(path, kind, facts)


def _facts(operation: Operation, parameters: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """What botocore's model does not say and AWS would refuse: how a target may be named, and a change that changes nothing."""
    for name, pattern in operation.facts.patterns.items():
        value = parameters.get(name)
        if isinstance(value, str) and not re.fullmatch(pattern, value):
            yield name, f"{value!r} cannot be the name of one: it would have to fit {pattern}."
    for name, why in operation.facts.demands.items():
        if parameters.get(name) in (None, ""):
            yield name, why
    if operation.facts.changes and not set(parameters) - set(operation.facts.identifies):
        yield "", "Nothing would change. Set at least one thing that is to become different."


def _sealed(operation: Operation, parameters: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Sealed values where no secret is wanted: what is no secret is shown to whoever reviews it."""
    rest = sensitive.replaced(operation, parameters, lambda _, value: None if isinstance(value, Sealed) else value)
    for place in _sealed_places(rest, ()):
        yield sensitive.dotted(place), "This is no secret, so it may not be sealed: reviewers have to see it."


def _sealed_places(value: Any, place: Place) -> Iterator[Place]:
    if isinstance(value, Sealed):
        yield place
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _sealed_places(item, (*place, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _sealed_places(item, (*place, index))


def of_secret(shape: Shape, value: Any) -> list[str]:
    """What is wrong with a single secret value before it is sealed, in words that do not quote it."""
    validator: Any = ParamValidator()
    errors: Any = ValidationErrors()
    validator._validate(value, shape, errors, "")  # `validate` takes whole structures only
    said = [_botocore_message(kind, facts) for kind, _, facts in errors._errors]
    if isinstance(shape, StringShape) and isinstance(value, str):
        said += [message for _, message in _string(shape, value, "", "What was entered")]
    elif isinstance(value, int | bytes) and (most := shape.metadata.get("max")) is not None:
        size = len(value) if isinstance(value, bytes) else value
        said += [f"At most {most}."] if size > most else []
    return said


def _values(shape: Shape, value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """What botocore's validator lets pass: enum values, patterns and upper bounds."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        for name, item in value.items():
            if name in shape.members:
                yield from _values(shape.members[name], item, f"{path}.{name}" if path else name)
    elif isinstance(shape, ListShape) and isinstance(value, list):
        if (most := shape.metadata.get("max")) is not None and len(value) > most:
            yield path, f"At most {most} items."
        for index, item in enumerate(value):
            if item == {} and isinstance(shape.member, StructureShape) and shape.member.members:
                yield f"{path}.{index}", "Fill this in, or remove the row."
            yield from _values(shape.member, item, f"{path}.{index}")
    elif isinstance(shape, MapShape) and isinstance(value, dict):
        for key, item in value.items():
            yield from _values(shape.value, item, f"{path}.{key}")
    elif isinstance(shape, StringShape) and isinstance(value, str):
        yield from _string(shape, value, path)
    elif isinstance(value, int) and (most := shape.metadata.get("max")) is not None and value > most:
        yield path, f"At most {most}."


def _string(shape: StringShape, value: str, path: Path, said: str = "") -> Iterator[tuple[Path, str]]:
    said = said or repr(value)
    if shape.enum and value not in shape.enum:
        yield path, f"{said} is none of {', '.join(shape.enum)}."
    if (most := shape.metadata.get("max")) is not None and len(value) > most:
        yield path, f"At most {most} characters."
    if (pattern := shape.metadata.get("pattern")) and not patterns.fits(pattern, value):
        yield path, f"{said} does not fit the pattern {pattern}."


_BOTOCORE_MESSAGES = {
    "missing required field": "This field is required.",
    "unknown field": "There is no such field.",
    "invalid type": "This value has the wrong type.",
    "invalid range": "This value is out of range.",
    "invalid length": "This value is too short.",
    "invalid enum": "This value is none of those allowed.",
}


def _botocore_path(path: str, kind: str, facts: dict[str, Any]) -> Path:
    dotted = re.sub(r"\[(\d+)\]", r".\1", path).strip(".")
    if kind == "missing required field":
        return ".".join(part for part in (dotted, str(facts.get("required_name", ""))) if part)
    if kind == "unknown field":
        return ".".join(part for part in (dotted, str(facts.get("unknown_param", ""))) if part)
    return dotted


def _botocore_message(kind: str, facts: dict[str, Any]) -> str:
    message = _BOTOCORE_MESSAGES.get(kind, f"{kind[:1].upper()}{kind[1:]}.")
    if kind in ("invalid range", "invalid length") and "min_allowed" in facts:
        return f"At least {facts['min_allowed']}."
    return message
