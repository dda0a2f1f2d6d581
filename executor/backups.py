"""Backups that a plan takes: what AWS says of one, whether it is usable, and what it is called, by the table."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import jmespath
from jmespath.exceptions import JMESPathError

from approvals.operations import catalog, protection
from approvals.operations.catalog import Operation
from approvals.operations.facts import Backup
from approvals.operations.resources import Where
from approvals.plan import Step
from executor.aws import Reads
from executor.errors import AwsRefused, AwsUnavailable, NotDescribed, WillNotSettle

# What AWS answers of a backup that was only just asked for, and of one that is gone.
GONE: Final = re.compile(r"NotFound|DoesNotExist|Unknown|\bNoSuch")
LONGEST_NAME: Final = 2048
_MEMBER: Final = re.compile(r"\{(\w+)\}")


def of(step: Step) -> Backup | None:
    """How the backup that the step makes is read; None for a step that makes none."""
    found = protection.protecting(step)
    return found.backup if found is not None else None


def stored(answer: str) -> dict[str, Any]:
    """AWS's answer as it was recorded; empty where none was."""
    found = json.loads(answer) if answer else {}
    return found if isinstance(found, dict) else {}


def question(step: Step, backup: Backup, answer: Mapping[str, Any]) -> tuple[Operation, dict[str, Any]]:
    """The reading call that tells the backup's state. Members that nothing tells yet are left out."""
    reader = catalog.of_row(backup.operation, step.service)
    given = {**step.parameters, "answer": answer}
    found = {member: _found(expression, given) for member, expression in backup.parameters.items()}
    return reader, {member: value for member, value in found.items() if value not in (None, [None], [])}


def state(session: Reads, step: Step, answer: Mapping[str, Any]) -> Any:
    """What AWS says of the backup. Raises AwsRefused, AwsUnavailable; NotDescribed where its name was lost with AWS's answer."""
    backup = of(step)
    if backup is None:
        raise NotDescribed(f"{step.name} makes no backup.")
    reader, parameters = question(step, backup, answer)
    if parameters.keys() != backup.parameters.keys():
        # Without its name AWS would tell of any other.
        raise NotDescribed(f"AWS's answer to {step.operation} was lost, and with it the name of the backup.")
    told = session.read(reader.service, reader.name, parameters)
    if not told:
        # Of a backup that is gone AWS gives an error, or an empty list under its name.
        raise AwsUnavailable(f"AWS's answer to {reader.name} says nothing.")
    return _found(backup.result, told)


def is_usable(session: Reads, step: Step, answer: Mapping[str, Any]) -> bool:
    """Whether the backup can be used now. Raises WillNotSettle when it never will be, and what `state` raises."""
    backup = of(step)
    found = state(session, step, answer)
    if backup is None or found is None:
        return False
    status = _found(backup.usable, found)
    if status in backup.failed:
        raise WillNotSettle(f"AWS says of the backup that it is {status}.")
    return bool(status == backup.value)


def name_of(step: Step, place: Where, found: Any) -> str:
    """The backup's ARN, from its state; empty where it has none of its own."""
    backup = of(step)
    if backup is None or not backup.made:
        return ""
    if not backup.made.startswith("arn:"):
        return str(_found(backup.made, found) or "")[:LONGEST_NAME]
    known = {"partition": place.partition, "region": place.region, "account": place.account}
    given = {name: known.get(name) or _found(name, found) for name in _MEMBER.findall(backup.made)}
    return backup.made.format(**given)[:LONGEST_NAME] if all(given.values()) else ""


def why_no_use(session: Reads, step: Step, answer: Mapping[str, Any], target: Any) -> str:
    """Why the backup that the step made does not protect what is there now, in words; empty while it does.

    `target` is the state of what is about to be lost. Raises AwsRefused, AwsUnavailable and NotDescribed where AWS does not say.
    """
    backup = of(step)
    try:
        found = state(session, step, answer)
    except AwsRefused as error:
        if not GONE.search(error.code):
            raise
        return f"AWS says that it is gone ({error.code})"
    if backup is None or found is None:
        return "AWS says that it is gone"
    status = _found(backup.usable, found)
    if status != backup.value:
        return f"AWS says that it is {status}"
    for ours, theirs in backup.same.items():
        kept, there = _found(ours, found), _found(theirs, target)
        if kept is not None and there is not None and kept != there:
            return f"it is of another target of the same name: {theirs} was {kept}, and is {there}"
    return ""


def _found(expression: str, value: Any) -> Any:
    try:
        return jmespath.search(expression, value)
    except JMESPathError:
        return None
