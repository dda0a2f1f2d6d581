"""The steps of a plan: checked one by one, and which of them the request is about.

A plan's calls are of one account and region. A request is named after one of its steps and stays about it: for a denied call
that call on its target; for a filed one the last step that cannot be undone among those that a guardrail protects, else the
first that one protects. Other steps may stand before or after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from approvals import policies
from approvals.errors import BadParameters, UnknownOperation
from approvals.models import Account, ApprovalRequest, GuardrailVersion, Source
from approvals.operations import catalog, inputs, protection, quirks, resources, sensitive, words
from approvals.operations.resources import Where
from approvals.plan import Step
from approvals.policies import Call

Parameters = dict[str, Any]
# What is asked for: `service:Operation` with keyword arguments as boto3 takes them.
Asked = tuple[str, Parameters]
# A plan is read and signed by persons in one go.
MOST_STEPS: Final = 20


def steps_of(asked: Sequence[Asked], account: Account, region: str) -> list[Step]:
    """The steps with normalised, checked parameters. Raises BadParameters, which says of which step it is."""
    if not 0 < len(asked) <= MOST_STEPS:
        raise BadParameters({"": [f"A plan has one to {MOST_STEPS} steps, not {len(asked)}. File several requests."]})
    steps = []
    for index, (operation, parameters) in enumerate(asked):
        try:
            steps.append(step_of(operation, parameters, account, region))
        except BadParameters as error:
            raise BadParameters(error.fields, step=index) from error
    return steps


def step_of(operation: str, parameters: Parameters, account: Account, region: str) -> Step:
    """A step with normalised, checked parameters. Raises BadParameters by field."""
    try:
        known = catalog.get(operation)
    except UnknownOperation as error:
        raise BadParameters({"operation": [str(error)]}) from error
    where = Where(account.pk, region, account.partition)
    clean = resources.said_in_full(known, resources.normalised(known, parameters, where))
    if open_ones := sensitive.in_clear(known, clean):
        # Before anything is said of the values: a plan never carries a secret that anybody can read, nor does a message.
        said = "This is secret. Enter it in the form, which seals it for the executor."
        raise BadParameters({place: [said] for place in open_ones})
    inputs.check(known, clean)
    if quirks.without_marks(clean) != clean:
        raise BadParameters({"": ["A value is CloudTrail's mark for something that it hides. Enter the value itself."]})
    if known.facts.resources and not resources.arns(known, clean, where):
        # The executor refuses a step whose target could have been named and is not: it would slip past every pattern.
        said = "Name what the call acts on by its plain name or id: no wildcard, nothing left out."
        raise BadParameters({name: [said] for name in known.facts.identifies})
    return Step(known.service, known.name, clean)


def foremost(steps: Sequence[Step], calls: Sequence[Call], versions: Sequence[GuardrailVersion]) -> int:
    """Which step a filed request is named after."""
    protected = [
        index for index, call in enumerate(calls) if any(policies.matches(version.rules, call) for version in versions)
    ] or list(range(len(steps)))
    final = [index for index in protected if protection.is_loss(steps[index].name, steps[index].parameters)]
    return final[-1] if final else protected[0]


def subject(request: ApprovalRequest, steps: Sequence[Step]) -> int | None:
    """Which step the request is about; None when it is not among them.

    A denied call is the operation with every name that its record told; a filed one the last step of the operation.
    """
    same = [index for index, step in enumerate(steps) if step.name == request.operation]
    told = _told(request)
    same = [index for index in same if all(steps[index].parameters.get(name) == value for name, value in told.items())]
    return same[-1] if same else None


def _told(request: ApprovalRequest) -> Parameters:
    """What the record of a denied call told of its target; nothing for what was filed."""
    if request.source != Source.EVENT:
        return {}
    (first,) = request.revisions.get(number=1).steps
    operation = catalog.get(request.operation)
    told = {name: first.parameters[name] for name in operation.facts.identifies if first.parameters.get(name)}
    try:
        return resources.normalised(operation, told, Where(request.account.pk, request.region, request.account.partition))
    except BadParameters:
        return told


def must_stay_about_it(request: ApprovalRequest, steps: Sequence[Step]) -> int:
    """The step that the request is about, which is still there. Raises BadParameters; for anything else a request is filed."""
    found = subject(request, steps)
    if found is not None:
        return found
    at = next((index for index, step in enumerate(steps) if step.name == request.operation), None)
    if at is None:
        said = f"This request is about {request.operation}, which must stay one of its steps. File another request without it."
        raise BadParameters({"": [said]})
    told = _told(request)
    named = ", ".join(words.plainly(value) for value in told.values())
    message = f"AWS denied a call on {named}; this request stays about it. File another request for something else."
    wrong = [name for name, value in told.items() if steps[at].parameters.get(name) != value]
    raise BadParameters({name: [message] for name in wrong}, step=at)
