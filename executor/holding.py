"""The claim of an attempt outside the database, and what is done when it cannot be had. Step 5 of `executor.run` begins here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

from django.conf import settings
from django.utils import timezone

from approvals import audit, statements
from approvals.alerts import raise_alert
from approvals.errors import BadAuthority, CountersignError, NotYet, Refused
from approvals.models import AlertKind, ApprovalRequest, Execution
from approvals.states import ExecutionState
from executor import again, endings, outside, stuck
from executor.claim import LEASE, Cleared, Later, Stopped, give_back, warn_of_forgery, win
from executor.endings import ACTOR, Claim
from executor.errors import AwsError, ClaimedElsewhere, NoPlaceForClaims, Superseded
from executor.outside import Held

log = logging.getLogger(__name__)
# Resuming makes what waits due at once; this is for whoever missed that.
PAUSED_FOR: Final = timedelta(seconds=10)
# How soon to ask S3 again what was claimed, before something is ended that could have been carried out once.
AWAY_FOR: Final = timedelta(minutes=1)


def claimed_outside(cleared: Cleared, index: int) -> Held | Later | None:
    """The claim of the step's next attempt outside the database; it lies there before `sent` is committed.

    None: somebody else's was found, so that the outcome is unknown and nothing is sent.
    """
    claim = cleared.claim
    # Who was taken over meanwhile leaves no claim behind that nobody could account for; nor, mostly, does who was paused.
    try:
        statements.must_go_on(cleared.resumed)
        kept_while_it_lasts(claim)
    except NotYet as reason:
        endings.move(claim, lease_until=timezone.now())
        return Later(timezone.now() + PAUSED_FOR, str(reason))
    try:
        return outside.claim(claim, cleared.digest, index)
    except ClaimedElsewhere as found:
        _unknown(claim, found)
        return None
    except AwsError as error:
        # Nothing was sent, and nothing is by this worker. Whoever comes next may find what we wrote, and calls it unknown.
        return _put_off(claim, error, "The claim outside the database could not be written, so nothing was sent.")


def kept_while_it_lasts(claim: Claim, **fields: object) -> None:
    """Begin the lease anew, with the look whether it lasts still in one statement: no worker can stand still between the two.

    What was judged counts as long as the lease that was taken with it, also where nobody took the execution over: every worker
    may have stood still at once. Raises NotYet: whoever comes next judges everything again; Superseded when it was taken over.
    """
    now = timezone.now()
    mine = Execution.objects.filter(
        pk=claim.execution_id, token=claim.token, state__in=[ExecutionState.CLAIMED, ExecutionState.RUNNING]
    )
    if mine.exclude(lease_until__lte=now).update(lease_until=now + LEASE, **fields):
        return
    if mine.exists():
        raise NotYet("The worker was held up for longer than its lease, so everything is judged again.")
    raise Superseded("The claim was taken over or ended meanwhile.")


def stopped(found: Stopped) -> Later | None:
    """End what does not hold any more: aborted, unless somebody claimed it outside, of which this database knows nothing.

    A table that a restored backup says is still to be deleted may be gone because it was, and an approval may have run out since
    it was used. Then the outcome is unknown. Raises Superseded.
    """
    if another := _under_way(found.claim):
        return another
    return _asked_first(found.claim, found.why, partial(give_back, found.claim, found.why), mine=partial(win, found.claim))


def _under_way(claim: Claim) -> Later | None:
    """Whoever carries out another revision of the request may be about to commit what it has claimed outside: it has its turn.

    What nobody has waits for what somebody has, so that no two wait for each other.
    """
    of_it, now = Execution.objects.filter(revision__request=claim.request_id), timezone.now()
    others = of_it.filter(state__in=[ExecutionState.CLAIMED, ExecutionState.RUNNING], lease_until__gt=now)
    if of_it.filter(pk=claim.execution_id, state=ExecutionState.READY).exists() and others.exists():
        return Later(now + PAUSED_FOR, "Another revision of it is being carried out.")
    return None


def not_begun(claim: Claim, why: str, end: Callable[[], None]) -> Later | None:
    """End by `end` what this worker has claimed and cannot begin, unless it was claimed outside before: as in `stopped`."""
    if not settings.CLAIMS_BUCKET:
        end()
        return None
    return _asked_first(claim, Refused(why), end, mine=lambda: claim)


def _asked_first(claim: Claim, why: CountersignError, end: Callable[[], None], *, mine: Callable[[], Claim]) -> Later | None:
    """End by `end`, unless there is a claim outside that the database does not know. `mine` is the claim to say that with."""
    try:
        try:
            outside.must_be_unclaimed(claim)
        except ClaimedElsewhere:
            # Somebody's row may have been committed, or another revision claimed, between the two questions.
            if another := _under_way(claim):
                return another
            outside.must_be_unclaimed(claim)
    except ClaimedElsewhere as other:
        _unknown(mine(), other, why)
        return None
    except AwsError as error:
        if isinstance(why, BadAuthority):
            # Nobody shall be kept from hearing of it by keeping S3 away.
            with audit.recorded() as trail:
                warn_of_forgery(trail, ApprovalRequest.objects.get(pk=claim.request_id), why, once=True)
        return _asked_again(claim, error, str(why))
    end()
    return None


def _asked_again(claim: Claim, error: AwsError, why: str) -> Later:
    """S3 does not tell, so nothing is ended. Who has it lets go; what nobody has stays as it is.

    Without a worker's name the next who asks wins no token, which would be an entry of the trail each time: nobody has it.
    """
    _say_if_there_is_no_place(error)
    now = timezone.now()
    held = Execution.objects.filter(pk=claim.execution_id, token=claim.token).exclude(lease_until=None)
    held.update(lease_until=now, worker="")
    until = now + AWAY_FOR
    return Later(until, f"It cannot be carried out ({why}), and what was claimed outside the database could not be read. {error}")


def _put_off(claim: Claim, error: AwsError, what: str) -> Later:
    log.warning("no claim outside the database, so no call: %s", error)
    _say_if_there_is_no_place(error)
    why = f"{what} {error}"
    until = timezone.now() + again.delay_of(claim)
    with audit.recorded() as trail:
        again.put_off(trail, claim, until, why)
    return Later(until, why)


def _say_if_there_is_no_place(error: AwsError) -> None:
    if isinstance(error, NoPlaceForClaims):
        stuck.say_once("Nothing is executed: the bucket for claims cannot be used", str(error), actor=ACTOR)


def _unknown(claim: Claim, found: ClaimedElsewhere, besides: CountersignError | None = None) -> None:
    outcome = (
        "It is not known whether this was carried out before: what was claimed outside of this database is not what it knows. "
        f"{found.found} {f'{besides} ' if besides else ''}Nothing was sent now. "
        "Either this database was restored from a backup, or a worker was lost right before the call. Look at the target, at "
        "CloudTrail and at the claim before anybody closes this or asks for it again."
    )
    with audit.recorded() as trail:
        endings.end(trail, claim, ExecutionState.UNKNOWN, outcome)
        request = ApprovalRequest.objects.get(pk=claim.request_id)
        raise_alert(
            trail,
            AlertKind.CLAIMED,
            title=f"Claimed outside this database: {request.operation} {request.target}",
            detail=f"{found.key}: {found.found} The execution {claim.execution_id} was stopped before its call.",
            actor=ACTOR,
            request=request,
        )
        if isinstance(besides, BadAuthority):
            warn_of_forgery(trail, request, besides)
