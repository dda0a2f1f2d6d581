"""Trying once more what AWS definitely did not do: when, how often, and saying so. Each try is an attempt of its own.

Exponential back-off with full jitter: between nothing and a bound that doubles with each try, so that workers which were refused
together do not come back together. Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Max
from django.utils import timezone

from approvals.audit import Trail
from approvals.models import Attempt, AuditKind, Execution
from approvals.states import AttemptState
from executor.answers import NOT_SENT
from executor.endings import ACTOR, Claim
from executor.errors import Superseded

# Of one step, rehearsals counted apart. With these bounds the last is made some four minutes after the first, at the latest.
MOST_TRIES: Final = 8
FIRST: Final = timedelta(seconds=2)
LONGEST: Final = timedelta(minutes=5)
_RANDOM: Final = random.SystemRandom()


def delay(tries: int) -> timedelta:
    """How long to wait after so many tries."""
    return bound(tries) * _RANDOM.random()


def bound(tries: int) -> timedelta:
    """The longest that may be waited after so many tries."""
    doubled = 1 << min(max(tries - 1, 0), 20)
    return min(FIRST * doubled, LONGEST)


def delay_of(claim: Claim) -> timedelta:
    """How long to wait before a step is begun again of which nothing was sent."""
    return delay(claims_of_step(claim))


def claims_of_step(claim: Claim) -> int:
    """How often the step that is next was claimed: each step of a plan is, so earlier ones are no tries of it."""
    made = Attempt.objects.filter(execution_id=claim.execution_id, state=AttemptState.SUCCEEDED)
    return claim.token - (made.aggregate(last=Max("token"))["last"] or 0)


def tries_of(attempt: Attempt) -> int:
    """Which try of its step this attempt is, counted from 1; rehearsals apart from calls. What was kept back tries nothing."""
    same = Attempt.objects.filter(execution_id=attempt.execution_id, step=attempt.step, rehearsal=attempt.rehearsal)
    return same.filter(number__lte=attempt.number).exclude(error_code=NOT_SENT).count()


def next_try(claim: Claim, attempt: Attempt) -> datetime | None:
    """When this attempt's call may be made again; None: it was the last try, or the approval runs out before."""
    tries = tries_of(attempt)
    if tries >= MOST_TRIES:
        return None
    until = timezone.now() + delay(tries)
    good = Execution.objects.values_list("valid_until", flat=True).get(pk=claim.execution_id)
    return until if until < good else None


def put_off(trail: Trail, claim: Claim, until: datetime, why: str, *, attempt: Attempt | None = None) -> None:
    """Leave the execution to whoever comes first after `until`; he judges everything again. Raises Superseded."""
    moved = Execution.objects.filter(pk=claim.execution_id, token=claim.token, state__in=["claimed", "running"])
    if not moved.update(lease_until=until):
        raise Superseded("The claim was taken over or ended meanwhile.")
    trail.add(
        AuditKind.EXECUTION_PUT_OFF,
        actor=ACTOR,
        request=claim.request_id,
        execution=str(claim.execution_id),
        until=until.isoformat(),
        why=why[:2000],
        step=attempt.step if attempt else None,
        tries=tries_of(attempt) if attempt else None,
        most=MOST_TRIES if attempt else None,
    )
