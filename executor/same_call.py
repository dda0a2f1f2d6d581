"""Whether CloudTrail's record is of the very call that was signed: its target and every parameter, not only its name."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, Final

from botocore.model import Shape

from approvals import canonical, plan
from approvals.caller import from_identity
from approvals.errors import BadCanonicalForm, BadParameters, BadPlan, UnknownOperation
from approvals.models import Attempt, TrailRecord
from approvals.operations import catalog, reach, regions, resources, trail
from approvals.operations.catalog import Operation
from approvals.operations.resources import Where
from approvals.plan import Step
from approvals.states import Completeness
from approvals.trail_event import Outcome
from executor import additions

# Written by `canonical.encode` for what CloudTrail spells in ways of its own, or leaves out.
_SPELT_OTHERWISE: Final = ('"$bytes"', '"$timestamp"', '"$sealed"')


class Likeness(StrEnum):
    """What the comparison says."""

    SAME = "same"
    OTHER = "other"
    CANNOT_TELL = "cannot tell"


Compared = tuple[Likeness, str]
SAME: Final[Compared] = (Likeness.SAME, "")


def compare(record: TrailRecord, attempt: Attempt) -> Compared:
    """The record against the attempt's signed step, and in words what differs or cannot be told."""
    raw = json.loads(record.raw)
    # rds, docdb and neptune share one API: the record may speak of the same call by either name.
    meant = catalog.all_of_event(record.event_source, record.event_name, raw.get("requestParameters"))
    operation = next((one for one in meant if one.full_name == attempt.operation), None)
    if operation is None or record.region != _recorded_in(operation, attempt):
        return Likeness.OTHER, f"{attempt.operation} in {attempt.region} was announced"
    if record.account != attempt.execution.revision.request.account_id:
        return Likeness.OTHER, "it was made in another account than the request's"
    try:
        step, where = _signed(attempt)
    except (BadPlan, IndexError) as error:
        return Likeness.CANNOT_TELL, f"what was signed cannot be read: {error}"
    if step.name != operation.full_name:
        return Likeness.OTHER, f"{step.name} was signed"
    beside = additions.added(operation, attempt.client_token, rehearsal=attempt.rehearsal)
    return _parameters(record, raw, operation, Step(step.service, step.operation, {**step.parameters, **beside}), where)


def gave_the_right(attempt: Attempt, record: TrailRecord) -> bool:
    """Whether the session of an attempt's signed step had the right to the recorded call besides the step itself, and the service
    of that step made it.

    What another service made it made for another call, which is recorded as well. The right must cover something that was
    touched, and what the step itself acts on the rest. What the record does not name plainly no right is known to cover, and one
    to all of a kind explains nothing.
    """
    raw = json.loads(record.raw)
    try:
        step, where = _signed(attempt)
        signed = catalog.get(step.name)
        itself, *besides = reach.rights(signed, step.parameters, where, None)
    except (BadPlan, IndexError, UnknownOperation):
        return False
    service = from_identity(raw.get("userIdentity") or {}).invoked_by
    if service != signed.event_source and not service.endswith(f".{signed.event_source}"):
        return False
    place = Where(record.account, record.region, where.partition)
    for operation in catalog.all_of_event(record.event_source, record.event_name, raw.get("requestParameters")):
        found = trail.convert(operation, raw.get("requestParameters"), raw.get("errorMessage") or "", place)
        touched = resources.said_once(resources.arns(operation, found.parameters, place))
        arns = [arn for one in besides if one.action == operation.facts.iam_action for arn in one.arns]
        given = [arn for arn in arns if "*" not in arn]
        others = [arn for arn in touched if not any(reach.covers(pattern, arn) for pattern in given)]
        if len(others) < len(touched) and all(any(reach.covers(one, arn) for one in itself.arns) for arn in others):
            return True
    return False


def _recorded_in(operation: Operation, attempt: Attempt) -> str:
    """The region that CloudTrail writes: a global service (IAM, Route 53) has one for all of its calls."""
    return regions.recorded_in(operation, attempt.execution.revision.request.account.partition, attempt.region)


def _parameters(record: TrailRecord, raw: dict[str, Any], operation: Operation, step: Step, where: Where) -> Compared:
    recorded = raw.get("requestParameters")
    found = trail.convert(operation, recorded, raw.get("errorMessage") or "", where)
    try:
        made = resources.normalised(operation, found.parameters, where)
    except BadParameters as error:
        return Likeness.OTHER, str(error)
    hidden = {path.partition(".")[0] for path in found.redacted}
    for name in operation.facts.identifies:
        if name in made and name not in hidden:
            if made[name] != step.parameters.get(name):
                return Likeness.OTHER, _unlike(name, made, step)
        elif record.outcome == Outcome.SUCCEEDED:
            return Likeness.CANNOT_TELL, f"the record does not show its {name}"
    # A denied call is recorded without its parameters; then the session and the request id have to do.
    if recorded is not None:
        for name in _unequal(operation, made, step.parameters, hidden, whole=found.completeness is not Completeness.UNKNOWN):
            return Likeness.OTHER, _unlike(name, made, step)
    return SAME


def _signed(attempt: Attempt) -> tuple[Step, Where]:
    revision = attempt.execution.revision
    if canonical.digest(revision.text) != revision.digest:
        raise BadPlan("the revision's text does not have its digest")
    found = plan.parse(revision.text)
    return found.steps[attempt.step], Where(found.account, found.region, found.partition)


def _unequal(operation: Operation, made: dict[str, Any], signed: dict[str, Any], hidden: set[str], *, whole: bool) -> list[str]:
    """The members that differ. What CloudTrail hides, spells otherwise or leaves out for its secrets is not held against it."""
    differing = []
    for name in sorted({*made, *signed} - hidden):
        shape = operation.members.get(name)
        if shape is None or _may_be_left_out(shape) or _spelt_otherwise(signed.get(name)):
            continue
        if name not in made and not whole:
            continue  # it may be what the record spells in a way that the model does not know
        if name not in made and name == additions.token_member(operation):
            continue  # not every service writes it down; one that does must say the one that was sent
        if name not in made or name not in signed or _encoded(made[name]) != _encoded(signed[name]):
            differing.append(name)
    return differing


def _may_be_left_out(shape: Shape) -> bool:
    return bool(shape.metadata.get("sensitive"))


def _spelt_otherwise(value: Any) -> bool:
    text = json.dumps(canonical.encode(value))
    return any(tag in text for tag in _SPELT_OTHERWISE)


def _encoded(value: Any) -> Any:
    try:
        return canonical.encode(value)
    except BadCanonicalForm:
        return value


def _unlike(name: str, made: dict[str, Any], step: Step) -> str:
    asked, signed = (json.dumps(_encoded(parameters.get(name)))[:200] for parameters in (made, step.parameters))
    return f"{name} was {asked}, and {signed} was signed"
