"""A call in a person's words: as a sentence, and as the AWS CLI command that would make it."""

from __future__ import annotations

import base64
import json
import re
import shlex
import unicodedata
from datetime import date
from typing import Any

from approvals.operations import catalog
from approvals.plan import Step


def sentence(step: Step, place: str) -> str:
    """The call as the second half of "alice asks to …", for example `delete table prod-orders in Production, eu-west-1`."""
    operation = catalog.get(step.name)
    names = {name: visible(str(step.parameters.get(name, "(not named)"))) for name in operation.facts.identifies}
    return f"{operation.facts.does.format(**names)} in {visible(place)}"


def cli(step: Step, region: str) -> str:
    """The same call as an AWS CLI command that a shell would read back as exactly these parameters."""
    words = ["aws", step.service, _dashed(step.operation), "--region", region]
    for name, value in sorted(step.parameters.items()):
        if value is True or value is False:
            words.append(f"--{'' if value else 'no-'}{_dashed(name)}")
        else:
            words += [f"--{_dashed(name)}", _argument(value)]
    return " ".join(shlex.quote(word) for word in words)


def visible(text: str) -> str:
    """The text with everything that an eye cannot see, or would see wrongly, written as an escape such as `\\u202e`."""
    return "".join(char if _shows(char) else _escape(char) for char in text)


def _shows(char: str) -> bool:
    return char == " " or unicodedata.category(char)[0] not in "CZ"


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _dashed(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def _argument(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=True, default=_plain)


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
