"""Before a call: a session for it alone, and what is sealed in it open. Step 4 of `executor.run`; nothing is sent here.

What is not there now and may be there later is left to whoever comes then; what will never be there ends the execution.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from django.utils import timezone

from approvals import audit
from approvals.errors import Refused
from approvals.plan import Step
from approvals.states import ExecutionState
from executor import again, aws, endings, holding, opening, points, rights, target
from executor.aws import Session
from executor.claim import Cleared, Later, give_back
from executor.endings import Claim
from executor.errors import AwsError, PolicyTooLarge, WrongAccount
from executor.opening import Opened
from executor.points import Point

log = logging.getLogger(__name__)
# A session tag's value. Source: STS API Reference, "Tag": letters, white space, digits and these.
LONGEST_TAG: Final = 256
_IN_TAGS: Final = frozenset(" _.:/=+-@")


def assume(cleared: Cleared, index: int, step: Step) -> Session | Later | None:
    """A session for this step alone, that AWS says is the one which was signed. None: there is none, and it was not begun."""
    claim, place = cleared.claim, target.where(cleared.plan)
    try:
        session = aws.assume(
            cleared.account,
            str(claim.execution_id),
            rights.policy(step, place, acting=True, state=cleared.states.get(index)),
            region=place.region,
            name=f"countersign-step-{index + 1}",
            tags=session_tags(cleared),
        )
        points.reached(Point.ASSUMED)
        try:
            session.must_be_itself(cleared.account, ready_for=step.service)
        except AwsError:
            session.close()
            raise
    except AwsError as error:
        return _not_begun(claim, error, f"There is no session for {step.operation}")
    points.reached(Point.IDENTIFIED)
    return session


def session_tags(cleared: Cleared) -> dict[str, str]:
    """Who asked and who approved, for AWS's own records; in the characters and the length that a session tag may have."""
    said = {
        "countersign:request": str(cleared.claim.request_id),
        "countersign:requester": cleared.asked_by,
        "countersign:approvers": _joined(cleared.approved_by),
    }
    return {name: value for name, value in ((name, _as_tag(value)) for name, value in said.items()) if value}


def _as_tag(text: str) -> str:
    return "".join(one if one.isalpha() or one.isdecimal() or one in _IN_TAGS else "_" for one in text)[:LONGEST_TAG]


def _joined(handles: Sequence[str]) -> str:
    """As many whole handles as a tag holds, and how many more there are."""
    for kept in range(len(handles), -1, -1):
        left = len(handles) - kept
        text = " ".join([*handles[:kept], *([f"+{left}"] if left else [])])
        if len(text) <= LONGEST_TAG:
            return text
    return ""


def all_can_be_made(cleared: Cleared) -> Later | bool:
    """Whether every step could be made, as far as can be told beforehand: a plan is not begun that could not be ended."""
    for index, step in enumerate(cleared.plan.steps):
        try:
            aws.must_fit(rights.policy(step, target.where(cleared.plan), acting=True, state=cleared.states.get(index)))
        except AwsError as error:
            return _not_begun(cleared.claim, error, f"There is no session for {step.operation}") or False
        if not index:
            continue  # the first is opened right before it is sent
        opened = opened_step(cleared.claim, cleared, step)
        if not isinstance(opened, Opened):
            return opened or False
    points.reached(Point.PREPARED)
    return True


def opened_step(claim: Claim, cleared: Cleared, step: Step) -> Opened | Later | None:
    """The step with what is sealed in it open. None: it does not open, and the execution has failed without this call."""
    try:
        return opening.opened(step, target.where(cleared.plan))
    except AwsError as error:
        return _not_begun(claim, error, f"What is sealed in {step.operation} could not be opened")


def _not_begun(claim: Claim, error: AwsError, what: str) -> Later | None:
    """Nothing was sent for this step: later, where AWS may have a better answer then; else it ends without the call."""
    if error.passing:
        until = timezone.now() + again.delay_of(claim)
        with audit.recorded() as trail:
            again.put_off(trail, claim, until, str(error))
        return Later(until, str(error))
    said = f"{what}, so no call was made. {error}"
    if isinstance(error, WrongAccount):
        log.critical("a session is not the one that was signed: %s", error)
    if isinstance(error, PolicyTooLarge):
        return holding.not_begun(claim, said, partial(give_back, claim, Refused(said)))
    return holding.not_begun(claim, said, partial(endings.end_alone, claim, ExecutionState.FAILED, said))
