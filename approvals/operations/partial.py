"""Whether AWS's yes hides that it did only a part, and what it names as not done."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import jmespath
from botocore.model import Shape

from approvals.operations import catalog, counterparts
from approvals.operations.catalog import Operation
from approvals.plan import Step

# What members of answers are called that list what was not done, over all of botocore's models.
_NOT_DONE: Final = re.compile(
    r"(?i:errors?(entries)?|failures?|failed\w*|unprocessed\w*|unsuccessful\w*|rejected\w*"
    r"|\w+errors(list)?|error(detail)?list|\w+failures|\w+failurestatuses|restorationfailed\w+"
    r"|invalid(answers|executions|labels|parameters)|\w+notdeleted|unknownippermissions)\Z"
)
# Refusals of operations without a row that may come after a part was done. Source: Timestream Developer Guide, WriteRecords.
_REFUSED_IN_PART: Final = {"timestream-write:WriteRecords": {"RejectedRecordsException": "length(Records) > `1`"}}
# Answers that describe a thing, with the errors that it has had: they say nothing of the call.
_OF_THE_THING: Final = re.compile(r"(rds|redshift):\w+Integration\Z")


def not_done(operation: Operation, answer: Mapping[str, Any]) -> Any:
    """What AWS's answer names as not done: by the table's expression, else by what its members are called. None for nothing.

    Of an operation without such an expression every member counts that is called so and holds anything: rather an alert too many.
    """
    if operation.facts.partial:
        return jmespath.search(operation.facts.partial, answer) or None
    if _OF_THE_THING.match(operation.full_name):
        return None
    found = {name: value for name, value in answer.items() if _NOT_DONE.match(name) and _says_something(value)}
    return found or None


def may_be_done(step: Step, code: str) -> bool:
    """Whether AWS may have carried out a part of the call before it refused the rest under this code."""
    told = _REFUSED_IN_PART.get(step.name) or catalog.get(step.name).facts.refused_in_part
    when = told.get(code, "")
    return bool(when) and bool(counterparts.searched(when, step.parameters))


def as_answered(operation: Operation, recorded: Any) -> dict[str, Any]:
    """What CloudTrail's `responseElements` say, under the names of boto3's answer; empty where they say nothing.

    CloudTrail writes the first letter of a member small where the model has a capital, and leaves out what it pleases.
    """
    found = _named(operation.model.output_shape, recorded)
    return found if isinstance(found, dict) else {}


def _named(shape: Shape | None, value: Any) -> Any:
    members: Mapping[str, Shape] = getattr(shape, "members", {})
    if isinstance(value, Mapping):
        known = {name.lower(): name for name in members}
        inner = getattr(shape, "value", None)
        return {
            known.get(str(name).lower(), str(name)): _named(members.get(known.get(str(name).lower(), ""), inner), item)
            for name, item in value.items()
        }
    return [_named(getattr(shape, "member", None), item) for item in value] if isinstance(value, list) else value


def can_be(operation: Operation) -> bool:
    """Whether the operation's answer can say that only a part was done."""
    shape = operation.model.output_shape
    named = any(_NOT_DONE.match(name) for name in getattr(shape, "members", {}))
    return bool(operation.facts.partial) or (named and not _OF_THE_THING.match(operation.full_name))


def _says_something(value: Any) -> bool:
    # A text is the reason of something, and no list of what was left; a number counts.
    return not isinstance(value, str) and bool(value)
