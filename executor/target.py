"""What a step acts on, as AWS shows it, by the operations table: which calls read it, its state, whether a call has settled."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import jmespath

from approvals.operations import catalog, protection, renaming
from approvals.operations.catalog import Operation
from approvals.operations.facts import Describe
from approvals.operations.resources import Where
from approvals.plan import Plan, Step
from executor import backups, plain, settling
from executor.aws import Reads
from executor.errors import AwsRefused, NotDescribed

NO_ANSWER: Final[Mapping[str, Any]] = {}


def where(plan: Plan) -> Where:
    """The place that a plan's calls are made in."""
    return Where(plan.account, plan.region, plan.partition)


def readings(
    operation: Operation, step: Step, answer: Mapping[str, Any] = NO_ANSWER
) -> Iterator[tuple[Operation, dict[str, Any]]]:
    """The reading operations that tell the target's state, with their parameters; each once."""
    describe, settled = operation.facts.describe, operation.facts.settled
    asked = (
        [(catalog.of_row(describe.operation, operation.service), describe.parameters, one) for one in (step, renamed(step))]
        if describe
        else []
    )
    if settled.waiter:
        waiter = settling.waiter_of(operation.service, settled.waiter)
        asked.append((catalog.of_row(waiter.operation, operation.service), settled.parameters, step))
    found = [(reading, _evaluated(expressions, one, answer)) for reading, expressions, one in asked]
    backup = backups.of(step)
    seen = set()
    for reading, parameters in (*found, *([backups.question(step, backup, answer)] if backup is not None else [])):
        if (reading.full_name, repr(parameters)) not in seen:
            seen.add((reading.full_name, repr(parameters)))
            yield reading, parameters


def _evaluated(expressions: Mapping[str, str], step: Step, answer: Mapping[str, Any] = NO_ANSWER) -> dict[str, Any]:
    given = {**step.parameters, "answer": answer}
    found = {name: jmespath.search(expression, given) for name, expression in expressions.items()}
    # A member that the call leaves out is left out of the question too: boto3 takes no None.
    return {name: value for name, value in found.items() if value is not None}


def read(session: Reads, step: Step) -> Any:
    """What AWS says of the step's target. Raises AwsRefused (its code says whether the target is gone), AwsUnavailable."""
    describe, _, answer = _answer(session, step)
    return jmespath.search(describe.result, answer)


def _answer(session: Reads, step: Step) -> tuple[Describe, Operation, dict[str, Any]]:
    operation = catalog.get(step.name)
    describe = operation.facts.describe
    if describe is None:
        raise NotDescribed(f"It is not known how the target of {operation.full_name} is read.")
    reading = catalog.of_row(describe.operation, operation.service)
    return describe, reading, session.read(reading.service, reading.name, _evaluated(describe.parameters, step))


def read_text(session: Reads, step: Step) -> str:
    """The target's state as JSON text without secrets."""
    describe, reading, answer = _answer(session, step)
    shown = jmespath.search(describe.result, plain.without_secrets(reading.model.output_shape, answer))
    return json.dumps(shown, sort_keys=True, ensure_ascii=True)


def has_settled(session: Reads, step: Step, answer: Mapping[str, Any] = NO_ANSWER) -> bool:
    """Whether the call's effect is complete, by the table's rule; of a backup step, and of a last snapshot, that it is usable.

    `answer` is AWS's. Raises AwsError when AWS cannot be asked, WillNotSettle when the target shows that it will never be.
    """
    protects = protection.protecting(step)
    if protects is None:
        return _is_complete(session, step, answer)
    return (not protects.itself or _is_complete(session, step, answer)) and backups.is_usable(session, step, answer)


def _is_complete(session: Reads, step: Step, answer: Mapping[str, Any]) -> bool:
    operation = catalog.get(step.name)
    settled = operation.facts.settled
    if settled.at_once:
        return True
    if settled.waiter:
        waiter = settling.waiter_of(operation.service, settled.waiter)
        return settling.has_come(session, waiter, operation.service, _evaluated(settled.parameters, step, answer))
    try:
        state = read(session, renamed(step))
    except AwsRefused as error:
        if error.code in settled.gone:
            return True
        raise
    return bool(settled.expression) and bool(jmespath.search(settled.expression, state) == settled.value)


def renamed(step: Step) -> Step:
    """The step as if it named its target as the target is named afterwards; itself where the call gives no new name at once."""
    names = renaming.new_names(catalog.get(step.name), step.parameters)
    return replace(step, parameters={**step.parameters, **names}) if names else step


def has_new_name(step: Step) -> bool:
    """Whether the call gives its target at once a name that is another one to AWS, which tells no capitals from small letters."""
    names = renaming.new_names(catalog.get(step.name), step.parameters)
    return any(str(step.parameters.get(name)).casefold() != new.casefold() for name, new in names.items())


def is_same_target(step: Step, before: Any, now: Any) -> bool:
    """Whether two states are of the very same target, by what identifies one for ever (TableId, creation date).

    False where the table names nothing that does, or neither state shows it: then a target made anew would not be noticed.
    """
    describe = catalog.get(step.name).facts.describe
    if describe is None or not describe.identity:
        return False
    pairs = [(jmespath.search(path, before), jmespath.search(path, now)) for path in describe.identity]
    told = [(one, other) for one, other in pairs if one is not None or other is not None]
    return bool(told) and all(one == other for one, other in told)


def read_plain(session: Reads, step: Step) -> Any:
    """The target's state as an Observation keeps it: what JSON can say, without secrets. Raises AwsError."""
    return json.loads(read_text(session, step))


def makes_a_backup(step: Step) -> bool:
    """Whether the step does nothing but make a backup: what cannot be used then is no unknown outcome, and nothing is lost."""
    protects = protection.protecting(step)
    return protects is not None and not protects.itself
