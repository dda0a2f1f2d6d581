"""Where a target's described state tells what a member of a call would change.

AWS's describe calls name members otherwise than its requests do (`BillingModeSummary` for `BillingMode`). A row of ours says
where to look (`untouched.unless`); else AWS's habits of naming are followed. What cannot be found so is not laid beside the call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import jmespath
from jmespath.exceptions import JMESPathError

from approvals.operations import catalog
from approvals.operations.catalog import Operation

MISSING: Final[Any] = object()
_SAID: Final = re.compile(r"\{(call|key)\.([^{}]+)\}")
# The parts of an expression such as `Reservations[0].Instances[0]`.
_PART: Final = re.compile(r"@|\w+|\[[^\]]*\]")


def of(operation: Operation, state: Any, path: Sequence[str]) -> Any:
    """What the state tells of the value at this path of the call's parameters; MISSING where it tells nothing."""
    if not isinstance(state, Mapping) or not state:
        return MISSING
    first, *rest = path
    value = _by_the_row(operation, state, first)
    if value is MISSING:
        value = _member(state, first)
    for part in rest:
        value = value.get(part, MISSING) if isinstance(value, Mapping) else MISSING
    return value


def searched(expression: str, state: Any) -> Any:
    """A row's expression over a state; None where the state is not of the form that the row expects."""
    try:
        return jmespath.search(expression, state)
    except (JMESPathError, TypeError):  # a text is compared with a number
        return None


def texts(value: Any) -> Iterator[str]:
    """Every text in a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from texts(inner)


def about(expression: str, parameters: Mapping[str, Any]) -> str:
    """A row's expression with what the call says: `{call.Targets[].Id}` is its value, `{key.AttributeName}` a name."""

    def said(found: re.Match[str]) -> str:
        value = json.dumps(searched(found[2], parameters), default=str)
        return value if found[1] == "key" else "`" + value.replace("`", "\\`") + "`"

    return _SAID.sub(said, expression)


def given(text: str, parameters: Mapping[str, Any]) -> str:
    """A text in which `{call.Member}` is what the call says; what is no text, or could be a pattern, is nothing."""

    def said(found: re.Match[str]) -> str:
        value = searched(found[2], parameters)
        if not isinstance(value, str) or set(value) & {"*", "?", "$"}:
            return ""
        return value.replace("{", "{{").replace("}", "}}")

    return _SAID.sub(said, text)


def names(name: str) -> list[str]:
    """How AWS calls a member of a request in the answers to its describe calls."""
    found = [name, name.removesuffix("Specification") + "Description", f"{name}Description"]
    if name.endswith("Updates"):
        found += [name.removesuffix("Updates") + ending for ending in ("s", "es")]
    return found


def described(operation: Operation) -> dict[str, Any]:
    """The members that the described state can have, as botocore shapes; empty where the expression is no plain path."""
    describe = operation.facts.describe
    if describe is None:
        return {}
    shape: Any = catalog.of_row(describe.operation, operation.service).model.output_shape
    for part in _PART.findall(describe.result) if not describe.result.startswith("{") else ("{",):
        if part == "@":
            continue
        shape = getattr(shape, "member", None) if part.startswith("[") else getattr(shape, "members", {}).get(part)
    return dict(getattr(shape, "members", {}))


def may_tell(operation: Operation, name: str) -> bool:
    """Whether the described state has a place for this member of the call, filled or not."""
    untouched = operation.facts.untouched
    if untouched is not None and name in untouched.unless:
        return True
    known = described(operation)
    return any(one in known for one in (*names(name), f"{name}Summary"))


def _by_the_row(operation: Operation, state: Mapping[str, Any], name: str) -> Any:
    untouched = operation.facts.untouched
    if untouched is None or name not in untouched.unless:
        return MISSING
    found = searched(untouched.unless[name], state)
    return MISSING if found is None else found


def _member(state: Mapping[str, Any], name: str) -> Any:
    if name in state:
        return state[name]
    summary = state.get(f"{name}Summary")
    if isinstance(summary, Mapping) and name in summary:
        return summary[name]
    return next((state[renamed] for renamed in names(name) if renamed in state), MISSING)
