"""File the reverse: what the page of a request offers once its calls were made, and what the form is filled with then.

Nothing is done by it: the offer leads to the form of a new request, which is filed, signed and reviewed like any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse

from approvals import permissions
from approvals.models import ApprovalRequest, Attempt, Execution, Person, Revision
from approvals.operations import catalog, protection, risk, sources, undoing, words
from approvals.operations.catalog import Operation
from approvals.operations.undoing import Made, Way
from approvals.plan import Step
from approvals.states import AttemptState, ExecutionState
from portal import live_state
from portal.live_state import Looks

_OVER = (ExecutionState.SUCCEEDED, ExecutionState.FAILED)
_DONE = (AttemptState.SUCCEEDED, AttemptState.PARTIAL)


@dataclass(frozen=True, slots=True)
class Offer:
    """One way back of one step (counted from 1): what it would do, what stays lost, the form's address, the same as commands."""

    step: int
    title: str
    sentences: tuple[str, ...]
    lost: tuple[str, ...]
    missing: tuple[str, ...]
    url: str
    commands: str


@dataclass(frozen=True, slots=True)
class Reversed:
    """What a form of a reverse is filled with: the former request, the way back, and the reason that names both."""

    request: ApprovalRequest
    way: Way
    key: str

    @property
    def reason(self) -> str:
        """What stands in the reason until its requester says more."""
        named = words.visible(self.request.target or self.request.operation)
        back = f"{self.way.title}: takes back request {self.request.pk} ({self.request.operation} {named})."
        # Whoever reviews it reads the reason, and not the page of the former request.
        lost = f" It does not bring back: {' '.join(self.way.lost)}" if self.way.lost else ""
        return f"{back}{lost}"[:2000]

    @property
    def more(self) -> list[tuple[str, dict[str, Any]]]:
        """The steps behind the first."""
        return [(step.name, step.parameters) for step in self.way.steps[1:]]


def offers(request: ApprovalRequest, revision: Revision, steps: Sequence[Step], looks: Sequence[Looks]) -> tuple[Offer, ...]:
    """The ways back of what was done, the last step's first; none while it is under way, or was never made. One query at most."""
    execution: Execution | None = getattr(revision, "execution", None)
    if execution is None or execution.execution_state not in _OVER:
        return ()
    region = revision.plan.region
    return tuple(
        Offer(
            step=index + 1,
            title=way.title,
            sentences=tuple(words.sentence(step, request.place) for step in way.steps),
            lost=way.lost,
            missing=way.missing,
            url=_address(request, region, way, index),
            commands="\n".join(words.cli(step, region) for step in way.steps),
        )
        for index, made in sorted(_made(execution, steps, looks).items(), reverse=True)
        for way in undoing.ways(made)
    )


def chosen(person: Person, text: str, operation: Operation) -> Reversed | None:
    """What `<request>.<step>.<way>` names and begins with the operation; None when it is none that this person may see, or is not
    offered any more."""
    name, _, rest = text.partition(".")
    step, _, number = rest.partition(".")
    if not (step.isdecimal() and number.isdecimal() and len(rest) < 10):
        return None
    try:
        request = ApprovalRequest.objects.select_related("account").filter(pk=UUID(name)).first()
    except ValueError:
        return None
    if request is None or not permissions.may_read(person, request):
        return None
    revision = request.current_revision()
    execution: Execution | None = getattr(revision, "execution", None)
    if execution is None or execution.execution_state not in _OVER:
        return None
    steps = revision.plan.steps
    looks = live_state.newest(revision, [catalog.get(one.name) for one in steps])
    made = _made(execution, steps, looks).get(int(step) - 1)
    way = next((one for one in undoing.ways(made) if one.number == int(number)), None) if made is not None else None
    return Reversed(request, way, text) if way is not None and way.steps[0].name == operation.full_name else None


def _made(execution: Execution, steps: Sequence[Step], looks: Sequence[Looks]) -> dict[int, Made]:
    """The steps that were done and still stand, by their place: not those on what a later one took away."""
    done = {one.step: one for one in Attempt.objects.filter(execution=execution, state__in=_DONE)}
    kept = protection.covered(steps)
    found = {}
    for index, attempt in done.items():
        if index >= len(steps) or any(_took_away(steps[later], steps[index]) for later in done if later > index):
            continue
        by = next((done[at] for at in kept.get(index, ()) if at in done and at != index), None)
        found[index] = Made(
            step=steps[index],
            answer=_read(attempt.answer),
            before=looks[index].before.state if index < len(looks) else {},
            made=by.made if by is not None else attempt.made if protection.protecting(steps[index]) else "",
            backup={**steps[by.step].parameters, "answer": _read(by.answer)} if by is not None else {},
        )
    return found


def _took_away(later: Step, earlier: Step) -> bool:
    names = catalog.get(later.name).facts.identifies
    # Another object of the same bucket is another thing.
    same = all(later.parameters[name] == earlier.parameters.get(name) for name in names if name in later.parameters)
    # A change that loses something (a shorter retention) leaves its target there.
    ours = {name.partition(":")[0] for name in sources.all_names(later.name)}
    return earlier.service in ours and same and risk.worst(catalog.get(later.name)).irreversible


def _read(answer: str) -> Mapping[str, Any]:
    found = json.loads(answer) if answer else {}
    return found if isinstance(found, dict) else {}


def _address(request: ApprovalRequest, region: str, way: Way, index: int) -> str:
    told = {
        "place": f"{request.account_id}/{region}",
        "operation": way.steps[0].name,
        "reverse": f"{request.pk}.{index + 1}.{way.number}",
    }
    return f"{reverse('admin:approvals_approvalrequest_file')}?{urlencode(told)}"
