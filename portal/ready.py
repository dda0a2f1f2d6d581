"""Ready-made steps on the pages: what can be put in front of a step with one press of a button."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils import timezone

from approvals.operations import catalog, held, protection, ready, words
from approvals.operations.ready import Offered
from approvals.plan import Step
from portal.live_state import LiveState


@dataclass(frozen=True, slots=True)
class ReadyMade:
    """One button. `value` is `<step>.<offer>` with the step counted from 1: it is posted as `ready`.

    `asked_for` says that the target's state is known to need it; otherwise it is only possible. `missing` are members that a
    person enters first.
    """

    value: str
    label: str
    why: str
    needed: bool
    asked_for: bool
    missing: tuple[str, ...]


def made_for(steps: Sequence[Step], index: int, live: LiveState, *, asked: bool = False) -> tuple[ReadyMade, ...]:
    """The ready-made steps for one step of a plan, the needed ones first; none for a target that is gone.

    `asked`: a guardrail asks for a backup step, so that each that would do counts as needed.
    """
    backups = protection.protectors(steps[index].name) if asked else frozenset()
    found = [
        ReadyMade(
            value=f"{index + 1}.{offered.number}",
            label=f"{offered.ready.title}, then {_verb(steps[index])}",
            why=offered.ready.why,
            needed=offered.ready.needed or offered.ready.operation in backups,
            asked_for=(live.was_read and bool(offered.ready.when)) or offered.ready.operation in backups,
            missing=offered.missing,
        )
        for offered in _offers(steps, index, live)
    ]
    return tuple(sorted(found, key=lambda one: not one.needed))


def in_the_way(steps: Sequence[Step], index: int, live: LiveState) -> str:
    """Why AWS will refuse the step while the target is as it was read, in a sentence; empty when nothing says so."""
    step = steps[index]
    state = live.state if live.was_read else None
    operation = catalog.get(step.name)
    found = ready.in_the_way(operation, step.parameters, state, steps[:index])
    return found.ready.why if found else held.why(operation, step.parameters, state, timezone.now())


def chosen(steps: Sequence[Step], lives: Sequence[LiveState], value: str) -> tuple[int, Offered] | None:
    """The step (counted from 0) and the offer that a button's value names; None when it is not offered any more."""
    number, _, offer = value.partition(".")
    if not (number.isdecimal() and offer.isdecimal() and len(value) < 10 and 0 < int(number) <= len(steps)):
        return None
    index = int(number) - 1
    found = (one for one in _offers(steps, index, lives[index]) if one.number == int(offer))
    return next(((index, one) for one in found), None)


def _offers(steps: Sequence[Step], index: int, live: LiveState) -> list[Offered]:
    if live.gone:
        return []
    step = steps[index]
    return ready.offers(catalog.get(step.name), step.parameters, live.state if live.was_read else None, steps[:index])


def _verb(step: Step) -> str:
    return words.kind_of(catalog.get(step.name)).partition(" ")[0]
