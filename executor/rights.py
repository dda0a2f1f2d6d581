"""The session policy of one step, from the operations table: each action on exactly its ARNs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from approvals.operations import catalog, reach, resources
from approvals.operations.resources import Where
from approvals.plan import Step
from executor import aws, target
from executor.aws import Allowed
from executor.errors import NotNamed

ANYTHING: Final = ("*",)


def policy(step: Step, place: Where, *, acting: bool, state: Any = None) -> str:
    """The session policy for one step, each action on exactly its ARNs: when `acting` the call itself with the other actions that
    AWS asks of its caller, and otherwise what reads its target. What has no ARNs that could be told (many reading calls) is held
    down to its action alone. `state` is the target's, as it was read, for what the call acts on and does not name.

    Raises NotNamed for an acting session of which the target could be named and is not.
    """
    if not acting:
        return reading_policy(step, place)
    operation = catalog.get(step.name)
    itself, *others = reach.rights(operation, step.parameters, place, state)
    if operation.facts.resources and not itself.arns:
        # Nobody could have filed it, or AWS does not tell; a session that may do this to anything is not opened all the same.
        untold = " and AWS did not tell it" if operation.facts.told else ""
        raise NotNamed(f"{step.name} does not name its target plainly{untold}, so there is no session for it alone.")
    return aws.session_policy(
        [
            Allowed([itself.action], itself.arns or ANYTHING),
            *(Allowed([one.action], one.arns, one.condition or None) for one in others if one.arns),
        ]
    )


def reading_policy(step: Step, place: Where, answer: Mapping[str, Any] = target.NO_ANSWER) -> str:
    """The session policy for what reads a step's target, and the backup that it makes; AWS's answer may tell the backup's name.

    Raises PolicyTooLarge.
    """
    readings = list(target.readings(catalog.get(step.name), step, answer))
    first = dict.fromkeys(one for reading, _ in readings for one in reach.asked_first(reading))
    return aws.session_policy(
        [
            *(
                Allowed(
                    [reading.facts.iam_action, *reach.READS_BESIDES.get(reading.full_name, ())],
                    resources.arns(reading, parameters, place) or ANYTHING,
                )
                for reading, parameters in readings
            ),
            *(Allowed([action], ANYTHING) for action in first),
        ]
    )
