"""A call in a person's words: as a sentence, and as the AWS CLI command that would make it."""

from __future__ import annotations

import base64
import json
import re
import shlex
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from botocore import xform_name
from botocore.model import Shape

from approvals.canonical import Sealed
from approvals.errors import UnknownOperation
from approvals.operations import catalog
from approvals.operations.catalog import Operation
from approvals.plan import Step

# A sentence names this many of a list's values; the parameters beside it show all.
MOST_NAMED: Final = 5
_MEMBER: Final = re.compile(r"\{([\w.]+)\}")
# What members are called that name something, in operations of which nothing else is known.
_NAMING: Final = re.compile(r"(?:Name|Id|Identifier|Arn|ARN)s?\Z", re.IGNORECASE)


def sentence(step: Step, place: str) -> str:
    """The call as the second half of "alice asks to …", for example `delete table prod-orders in Production, eu-west-1`."""
    return sentence_of([step], place)


def sentence_of(steps: Sequence[Step], place: str) -> str:
    """A plan as one sentence: `change table prod-orders, then delete table prod-orders in Production, eu-west-1`."""
    return f"{', then '.join(_does(step) for step in steps)} in {visible(place)}"


def target_of(step: Step) -> str:
    """What a step acts on, as people name it: a request is found and told of by it."""
    names = catalog.get(step.name).facts.identifies
    return ", ".join(plainly(step.parameters.get(name, "")) for name in names)[:2048]


def plainly(value: Any) -> str:
    """A name, or several, as they are."""
    return ", ".join(str(item) for item in value) if isinstance(value, list | tuple) else str(value)


def kind_of(operation: Operation) -> str:
    """What an operation does, without its target: `delete table …`."""
    return _MEMBER.sub("…", operation.facts.does)


def _does(step: Step) -> str:
    operation = catalog.get(step.name)
    said = _MEMBER.sub(lambda found: named(step.parameters, found[1]), operation.facts.does)
    if "{" in operation.facts.does or operation.facts.curated:
        return said
    names = (name for name in operation.members if name in operation.required and _NAMING.search(name))
    return " ".join([said, *(named(step.parameters, name) for name in names)])


def named(parameters: Any, path: str) -> str:
    """A member of a call as a sentence names it: a list's first values, what is not there as such."""
    value = parameters
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None or value in ("", [], {}):
        return "(not named)"
    if not isinstance(value, list | tuple):
        return _text(value)
    more = f" and {len(value) - MOST_NAMED} more" if len(value) > MOST_NAMED else ""
    return ", ".join(_text(item) for item in value[:MOST_NAMED]) + more


def _text(value: Any) -> str:
    match value:
        case str():
            return visible(value)
        case bool() | dict() | list():
            return visible(json.dumps(value, default=_plain))
    return visible(str(_plain(value)))


@lru_cache(maxsize=1)
def _spellings() -> Mapping[str, Any]:
    """Where the AWS CLI spells a service, operation or argument otherwise than botocore's names with dashes (data/cli.json).

    `negations` name the argument for a boolean's false, `only_in_json` members that a command's own argument cannot carry as
    they are, `without_command` operations that the CLI leaves out or replaces by a command of another meaning. Taken from the
    command tables of the package awscli.
    """
    found: Mapping[str, Any] = json.loads(resources.files("approvals.operations.data").joinpath("cli.json").read_text("utf-8"))
    return found


def cli(step: Step, region: str) -> str:
    """The same call as a command of the AWS CLI (version 2) that a shell would read back as exactly these parameters.

    Bytes are written to a file first. A sealed value cannot be shown, so `(sealed)` stands in its place. Where a value would be
    taken for something else by the CLI (a text that begins with `file://`), the parameters are given as one JSON text.
    """
    try:
        operation = catalog.get(step.name)
    except UnknownOperation:
        return f"# {visible(step.name)} is no operation that is known here."
    known, as_arguments = _spellings(), _fits_arguments(operation, step.parameters)
    # A command that writes the answer to a file takes no JSON text.
    in_json_only = not as_arguments and operation.model.has_streaming_output
    if step.name in known["without_command"] or operation.model.has_event_stream_input or in_json_only:
        return f"# The AWS CLI has no command that makes exactly this call; boto3's is {xform_name(step.operation)}."
    files: list[str] = []
    command = known["operations"].get(step.name) or xform_name(step.operation, "-")
    words = ["aws", known["services"].get(step.service, step.service), command, "--region", region]
    if as_arguments:
        for name, value in sorted(step.parameters.items()):
            words += _argument(operation, name, value, files)
    else:
        words += ["--cli-input-json", _json(step.parameters)]
    if operation.model.has_streaming_output:
        words.append("answer.out")
    return "\n".join([*files, " ".join(shlex.quote(word) for word in words)])


def _fits_arguments(operation: Operation, parameters: Mapping[str, Any]) -> bool:
    in_json = _spellings()["only_in_json"]
    return not any(f"{operation.full_name}.{name}" in in_json or _is_address(value) for name, value in parameters.items())


def _is_address(value: Any) -> bool:
    """Whether the CLI would read the text from a file or the network, version 1 included."""
    return isinstance(value, str) and value.startswith(("file://", "fileb://", "http://", "https://"))


def _argument(operation: Operation, name: str, value: Any, files: list[str]) -> Iterator[str]:
    known, full = _spellings(), f"{operation.full_name}.{name}"
    shape: Shape | None = operation.members.get(name)
    option = f"--{known['arguments'].get(full) or xform_name(name, '-')}"
    if isinstance(value, bool):
        negated = known["negations"].get(full) or f"no-{option[2:]}"
        yield option if value else f"--{negated}"
    elif isinstance(value, bytes | bytearray):
        file = f"{name}.bin"
        # A pipe, which every shell has: `<<<` is bash's and zsh's alone.
        files.append(f"echo {base64.b64encode(bytes(value)).decode('ascii')} | base64 -d > {shlex.quote(file)}")
        streamed = shape is not None and shape.serialization.get("streaming")
        yield from (option, file if streamed else f"fileb://{file}")
    elif isinstance(value, list | tuple) and value and all(isinstance(item, str) and _BARE.fullmatch(item) for item in value):
        yield from (option, *value)
    elif isinstance(value, str | date | Sealed) and not _is_document(shape):
        text = _plain(value)
        # Behind an equals sign even a text that begins with a dash is a value.
        yield from ((f"{option}={text}",) if text.startswith("-") else (option, text))
    else:
        yield from (option, _json(value))


# A list's item that the CLI takes as it stands: no JSON, no option, no address of a file.
_BARE: Final = re.compile(r"(?!file|http)[\w.:/@+][\w.:/@+=,-]*", re.ASCII)


def _is_document(shape: Shape | None) -> bool:
    return shape is not None and bool(getattr(shape, "is_document_type", False) or shape.serialization.get("jsonvalue"))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, default=_plain)


def _plain(value: Any) -> str:
    """What JSON has no word for, as version 2 of the CLI reads it: bytes as base64, moments in ISO 8601."""
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(bytes(value)).decode("ascii")
    return value.isoformat() if isinstance(value, date) else str(value)


def visible(text: str) -> str:
    """The text with everything that an eye cannot see, or would see wrongly, written as an escape such as `\\u202e`."""
    return "".join(char if _shows(char) else _escape(char) for char in text)


def _shows(char: str) -> bool:
    return char == " " or unicodedata.category(char)[0] not in "CZ"


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
