"""What takes a call back that was made: the table's ways, filled from the call, AWS's answer and the backup that protected it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jmespath
from jmespath.exceptions import JMESPathError

from approvals.operations import catalog
from approvals.operations.facts import Facts, Reverse
from approvals.plan import Step

# Members that say how a call is to be made, and change nothing themselves.
_MANNER: Final = frozenset({"ApplyImmediately", "ClientToken", "DryRun"})


@dataclass(frozen=True, slots=True)
class Made:
    """A call that was made, with what is known of it: AWS's `answer`, the target's state `before`, and of the backup that
    protected it the ARN (`made`) and the call that took it with its answer (`backup`)."""

    step: Step
    answer: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    made: str = ""
    backup: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Way:
    """One way back. `number` is its place in the row, from 0; `missing` are members that a person enters, of the first step."""

    number: int
    title: str
    steps: tuple[Step, ...]
    missing: tuple[str, ...]
    lost: tuple[str, ...]


def ways(made: Made) -> list[Way]:
    """The ways back of a call that was made, as far as the table knows any that fits it."""
    facts = catalog.get(made.step.name).facts
    given = {
        "call": made.step.parameters,
        "answer": made.answer,
        "before": made.before,
        "made": made.made or None,
        "backup": made.backup,
    }
    return [
        _way(number, one, facts, given) for number, one in enumerate(facts.reverse) if not one.when or _found(one.when, given)
    ]


def _way(number: int, reverse: Reverse, facts: Facts, given: Mapping[str, Any]) -> Way:
    steps, missing = [], []
    for index, (name, expressions) in enumerate(reverse.steps):
        operation = catalog.get(name)
        found = {member: _kept(_found(expression, given)) for member, expression in expressions.items()}
        told = {member: value for member, value in found.items() if value not in (None, "", [], {})}
        steps.append(Step(operation.service, operation.name, told))
        if index == 0:
            missing = sorted((operation.required | set(reverse.enters)) - told.keys())
    return Way(number, reverse.title, tuple(steps), tuple(missing), (*_besides(reverse, facts, given["call"]), reverse.lost))


def _besides(reverse: Reverse, facts: Facts, call: Mapping[str, Any]) -> tuple[str, ...]:
    """What the call sets and the way does not take back, in one sentence."""
    told = {*reverse.of, *facts.identifies, *_MANNER} if reverse.of else set(call)
    besides = sorted(call.keys() - told)
    return (f"What the call sets besides: {', '.join(besides)}.",) if besides else ()


def _kept(value: Any) -> Any:
    """The value without what nothing was found for."""
    if isinstance(value, Mapping):
        return {name: _kept(item) for name, item in value.items() if item is not None}
    return [_kept(item) for item in value if item is not None] if isinstance(value, list) else value


def _found(expression: str, given: Mapping[str, Any]) -> Any:
    try:
        return jmespath.search(expression, given)
    except JMESPathError:
        return None
