"""Calls that are offered ready made in front of another one: protection switched off, a snapshot taken.

They come from the rows (`facts.before`); here their placeholders are filled from the call that they go before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jmespath
from jmespath.exceptions import JMESPathError

from approvals.operations import catalog
from approvals.operations.catalog import Operation
from approvals.operations.facts import Ready
from approvals.plan import Step

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_UNFILLED: Final[Any] = object()


@dataclass(frozen=True, slots=True)
class Offered:
    """One offer in front of a step. `number` is its place in the row's `before`, counted from 0.

    `steps` are its calls: one, or one for each target where the call acts on several and the offered operation on a single one.
    `missing` names members that a person has to enter; while there are none the steps can be put in as they are.
    """

    number: int
    ready: Ready
    steps: tuple[Step, ...]
    missing: tuple[str, ...]


def offers(operation: Operation, parameters: Mapping[str, Any], state: Any, before: Sequence[Step] = ()) -> list[Offered]:
    """What can be put in front of a call, given the target's state (None when it is not known) and the steps before it already.

    An offer that its `when` denies of the state is left out, and so is one whose calls stand before this one already.
    """
    made = (_offered(number, ready, parameters) for number, ready in enumerate(operation.facts.before) if _applies(ready, state))
    return [one for one in made if not all(any(_does(step, wanted) for step in before) for wanted in one.steps)]


def in_the_way(operation: Operation, parameters: Mapping[str, Any], state: Any, before: Sequence[Step] = ()) -> Offered | None:
    """The offer without which AWS refuses the call, as the target is known to be; None when nothing says so."""
    if state is None:
        return None
    return next((one for one in offers(operation, parameters, state, before) if one.ready.needed and one.ready.when), None)


def _applies(ready: Ready, state: Any) -> bool:
    if not ready.when or state is None:
        return True
    try:
        return bool(jmespath.search(ready.when, state))
    except JMESPathError:
        # A function over a value of another type: the state does not tell.
        return True


def _offered(number: int, ready: Ready, parameters: Mapping[str, Any]) -> Offered:
    operation = catalog.get(ready.operation)
    several = _several(operation, ready, parameters)
    each = [{**parameters, several: item} for item in parameters[several]] if several else [parameters]
    steps = []
    missing: dict[str, None] = {}
    for given in each:
        filled = {member: _filled(value, given) for member, value in ready.parameters.items()}
        missing |= dict.fromkeys(member for member, value in filled.items() if value is _UNFILLED)
        told = {member: value for member, value in filled.items() if value is not _UNFILLED}
        steps.append(Step(operation.service, operation.name, told))
    missing |= dict.fromkeys(sorted(operation.required - ready.parameters.keys()))
    return Offered(number, ready, tuple(steps), tuple(missing))


def _several(operation: Operation, ready: Ready, parameters: Mapping[str, Any]) -> str:
    """The call's member that holds several targets where the offered operation takes one; empty when there is none."""
    for member, value in ready.parameters.items():
        found = _PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
        takes_one = member in operation.members and operation.members[member].type_name != "list"
        if found and takes_one and isinstance(parameters.get(found[1]), list) and parameters[found[1]]:
            return found[1]
    return ""


def _filled(value: Any, parameters: Mapping[str, Any]) -> Any:
    """The value with its placeholders filled; `_UNFILLED` when the call lacks a member that one of them names."""
    if isinstance(value, str):
        if whole := _PLACEHOLDER.fullmatch(value):
            return parameters.get(whole[1], _UNFILLED)
        if any(not isinstance(parameters.get(name), str | int) for name in _PLACEHOLDER.findall(value)):
            return _UNFILLED
        return _PLACEHOLDER.sub(lambda found: str(parameters[found[1]]), value)
    if isinstance(value, Mapping):
        items = {key: _filled(item, parameters) for key, item in value.items()}
        return _UNFILLED if any(item is _UNFILLED for item in items.values()) else items
    if isinstance(value, list | tuple):
        found = [_filled(item, parameters) for item in value]
        return _UNFILLED if any(item is _UNFILLED for item in found) else found
    return value


def _does(step: Step, wanted: Step) -> bool:
    """Whether a step is the wanted call on the same target; what else it sets may differ (a name of one's own)."""
    names = catalog.get(wanted.name).facts.identifies or tuple(wanted.parameters)
    return step.name == wanted.name and all(step.parameters.get(name) == wanted.parameters.get(name) for name in names)
