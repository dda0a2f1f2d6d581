"""Right before a call that loses something: is the backup that an earlier step took still there, and of this very target?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from approvals import audit
from approvals.models import Attempt
from approvals.operations import protection
from approvals.operations.resources import Where
from approvals.plan import Step
from approvals.states import AttemptState, ExecutionState
from executor import again, aws, backups, endings, rights, target
from executor.claim import Cleared, Later
from executor.errors import AwsError, AwsUnavailable


def still_protected(cleared: Cleared, index: int, step: Step) -> bool | Later:
    """Whether the call may go out as far as its backups go. False: one of them is of no use, and the execution has failed.

    Every backup that the plan takes for this step must be usable, whenever it was made; what AWS does not tell now is asked again
    later. A step without any is not looked at: it was signed as one that cannot be undone.
    """
    for at in protection.covered(cleared.plan.steps).get(index, ()):
        if at == index:
            continue
        why = _trouble(cleared, at, step)
        if isinstance(why, Later):
            return why
        if why:
            what = f"The backup of step {at + 1} does not protect what step {index + 1} takes away: {why}."
            endings.end_alone(cleared.claim, ExecutionState.FAILED, f"{what} {step.operation} was not made.")
            return False
    return True


def _trouble(cleared: Cleared, at: int, step: Step) -> str | Later:
    backup = cleared.plan.steps[at]
    made = Attempt.objects.filter(execution_id=cleared.claim.execution_id, step=at, state=AttemptState.SUCCEEDED).first()
    if made is None:
        return "nothing is recorded of it"
    answer, place = backups.stored(made.answer), target.where(cleared.plan)
    try:
        reading = aws.reading(cleared.account, rights.reading_policy(backup, place, answer), region=cleared.plan.region)
        there = None
        if (known := backups.of(backup)) is not None and known.same:
            lost = aws.reading(cleared.account, rights.policy(step, place, acting=False), region=cleared.plan.region)
            there = target.read(lost, step)
        return backups.why_no_use(reading, backup, answer, there)
    except AwsError as error:
        if error.passing:
            until, said = timezone.now() + again.delay_of(cleared.claim), f"The backup could not be looked at. {error}"
            with audit.recorded() as trail:
                again.put_off(trail, cleared.claim, until, said)
            return Later(until, said)
        return str(error)


def name_of(reading: aws.Reads, step: Step, place: Where, answer: Mapping[str, Any]) -> str:
    """The ARN of the backup that the step made and that is usable; empty where it made none, or one that has no name of its own.

    Raises AwsError where AWS does not say it now: the step has not settled before it is known.
    """
    backup = backups.of(step)
    if backup is None:
        return ""
    name = backups.name_of(step, place, backups.state(reading, step, answer))
    if backup.made and not name and target.makes_a_backup(step):
        raise AwsUnavailable("AWS shows the backup, and does not say what it is called.")
    return name
