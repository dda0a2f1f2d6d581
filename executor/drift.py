"""Whether the targets are still what was signed: read right before the claim, outside of any transaction, judged inside of it.

1. Before the lock: of a plan that is due and that two persons have signed, read the target of every step that is still to be
   made. Forged rows make this process read nothing.
2. With the lock, once everything else holds: what was read must be of the plan that was verified, and fresh.
3. What AWS is still changing waits, and so does what AWS cannot be asked about now.
4. What identifies the target and what the call changes must be as it was signed, and as this process saw it before the last
   signature. Otherwise it has drifted: nothing is sent, and it takes a new review.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from approvals import authority, canonical, clearance, decisions, earlier_steps, preconditions
from approvals.audit import Trail
from approvals.authority import KnownAccount
from approvals.clearance import Verified
from approvals.errors import BadAuthority, CountersignError, NotYet, Refused
from approvals.models import AuditKind, Execution, Observation, Revision
from approvals.plan import Plan, Step
from approvals.preconditions import Comparison, Reading
from approvals.states import AttemptState, ExecutionState
from executor import aws, rights, target
from executor.endings import ACTOR
from executor.errors import AwsRefused, AwsUnavailable

# A row's lock may be waited for; what was read before that is no longer what is.
FRESH: Final = timedelta(seconds=10)
# No further target of a plan is read after this; a plan of many steps takes its time.
LONGEST_LOOK: Final = timedelta(seconds=60)
# How many differences are said in one sentence; the page shows all.
_SAID: Final = 6


class Drifted(Refused):
    """The target is no longer what was signed. Nothing was sent; it has to be reviewed anew."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was read of a plan's targets, by step. `trouble`: AWS could not be asked, which says nothing of the targets."""

    digest: str
    taken_at: datetime
    readings: Mapping[int, Reading]
    trouble: str = ""


def account_of(plan: Plan) -> KnownAccount:
    """The account as the chain of authority knows it: its role and external id are not taken from a table."""
    known = authority.walk(settings.GENESIS).accounts.get(plan.account)
    if known is None or known.executor_role_arn != plan.role:
        raise BadAuthority(f"The account {plan.account} or its role is not one that the authority knows.")
    return known


def read(plan: Plan, account: KnownAccount, step: Step) -> Reading:
    """What AWS says of the step's target now, under the executor's role, which here may only read. Raises AwsUnavailable."""
    policy = rights.policy(step, target.where(plan), acting=False)
    try:
        return Reading(target.read_text(aws.reading(account, policy, region=plan.region), step))
    except AwsRefused as error:
        if error.passing:
            # That AWS broke says nothing of the target: nobody's signatures are lost by it.
            raise AwsUnavailable(str(error)) from error
        return Reading(problem=f"AWS says {error.code}: {error.message}")


def look(execution_id: UUID) -> Look | None:
    """Read the targets of an execution that is due and whose plan was signed; None where it is not, or was not.

    Decides nothing: rows are read without a lock, whether who signed it may is judged at the claim, and what is read is used for
    the same digest alone.
    """
    named = Execution.objects.filter(pk=execution_id).select_related("revision__request")
    execution, now = named.first(), timezone.now()
    if execution is None or not _may_be_claimed(execution, now):
        return None
    revision = execution.revision
    try:
        known = authority.walk(settings.GENESIS)
        plan = clearance.plan_under_signatures(revision, known, decisions.relying_party())
        left = _left(plan, _done(execution))
    except CountersignError:
        # Whatever is wrong with it, the claim finds it and says so.
        return None
    account = known.accounts[plan.account]
    found: dict[int, Reading] = {}
    for index in left:
        if timezone.now() - now > LONGEST_LOOK:
            # The first is old by now, and the task must come to its end.
            return Look(revision.digest, now, {}, "AWS takes too long to tell of all of them.")
        try:
            found[index] = _reading(plan, account, index)
        except AwsUnavailable as error:
            return Look(revision.digest, now, {}, str(error))
    return Look(revision.digest, timezone.now(), found)


def _done(execution: Execution) -> Collection[int]:
    """The steps that were made. Of what nobody has claimed none was."""
    if execution.execution_state is ExecutionState.READY:
        return ()
    return list(execution.attempts.filter(state=AttemptState.SUCCEEDED).values_list("step", flat=True))


def _left(plan: Plan, done: Collection[int]) -> list[int]:
    """The steps still to be made whose target can be read."""
    return [index for index, step in enumerate(plan.steps) if index not in done and preconditions.is_described(step)]


def _reading(plan: Plan, account: KnownAccount, index: int) -> Reading:
    try:
        return read(plan, account, plan.steps[index])
    except AwsUnavailable:
        raise
    except CountersignError as error:
        return Reading(problem=str(error))


def _may_be_claimed(execution: Execution, now: datetime) -> bool:
    if execution.execution_state is ExecutionState.READY:
        return execution.not_before <= now < execution.valid_until
    lost = execution.lease_until is not None and execution.lease_until <= now
    return lost and execution.execution_state in {ExecutionState.CLAIMED, ExecutionState.RUNNING}


def must_be_as_signed(
    trail: Trail, execution: Execution, verified: Verified, seen: Look | None, done: Collection[int], now: datetime
) -> None:
    """Judge what was read, with the execution locked and everything else verified; keep it as what was seen at the claim.

    Raises NotYet while it cannot be told, or AWS is still changing a target; Drifted, and Refused where nobody had seen a target
    before it was approved.
    """
    fresh = seen is not None and seen.digest == verified.digest and timezone.now() - seen.taken_at <= FRESH
    if seen is None or not fresh:
        raise NotYet("Its target is read again before it is carried out.")
    if seen.trouble:
        raise NotYet(f"Its target cannot be read now: {seen.trouble}")
    left = _left(verified.plan, done)
    if not seen.readings.keys() >= set(left):
        raise NotYet("Its target is read again before it is carried out.")
    compared = {
        index: _compared(execution.revision, verified, index, seen.readings[index], done)
        for index in left
        if not done or not _is_to_come(verified.plan, index, done)
    }
    if waits := [one.transient for one in compared.values() if one is not None and one.transient]:
        raise NotYet(f"AWS is still changing the target ({waits[0]}); it is carried out once that has ended.")
    keep(trail, execution.revision, Observation.Moment.CLAIM, seen.readings, seen.taken_at)
    unseen = [index for index, one in compared.items() if one is None]
    if unseen and verified.broken_by is None:
        raise Refused(
            f"It was approved before the executor had read the target of step {unseen[0] + 1}, so nobody has seen what it acts "
            "on. Review it again: the page shows it now."
        )
    said = list(_said(verified.plan.steps, compared))
    if said:
        trail.add(
            AuditKind.TARGET_DRIFTED,
            actor=ACTOR,
            request=execution.revision.request.pk,
            execution=str(execution.pk),
            digest=verified.digest,
            differences=said,
        )
        more = f" And {len(said) - _SAID} more differences." if len(said) > _SAID else ""
        raise Drifted(f"The target is not what was signed any more: {'; '.join(said[:_SAID])}.{more} Review it as it is now.")


def _is_to_come(plan: Plan, index: int, done: Collection[int]) -> bool:
    """Whether a step that is made before this one, and is not made yet, may change, make or take away its target."""
    before = (plan.steps[one] for one in range(index) if one not in done)
    return any(earlier_steps.touches(one, plan.steps[index]) for one in before)


def _compared(revision: Revision, verified: Verified, index: int, now: Reading, done: Collection[int]) -> Comparison | None:
    """What was signed and what was seen before the last signature, held against what is; None where nobody had seen it.

    A precondition stands in a row that the web process could have written too, so that it counts only beside what this process
    saw; and what it saw stands in a row that nobody signed, so that what was signed must hold as well.
    """
    plan = verified.plan
    step, carried_out = plan.steps[index], [plan.steps[one] for one in sorted(done) if one < len(plan.steps)]
    before = _seen_before(revision, index, verified.resolved)
    observed = preconditions.of(index, step, before) if before is not None else None
    signed = preconditions.signed_of(plan, index)
    if observed is None and verified.broken_by is None:
        return None
    if signed is None or observed is None:
        expected = signed or observed
        return preconditions.compare(step, expected, now, done=carried_out) if expected is not None else None
    found = preconditions.compare(step, signed, now, done=carried_out)
    if found.drift or found.unread or found.transient:
        return found
    return preconditions.compare(step, preconditions.identity_of(observed), now, done=carried_out)


def _seen_before(revision: Revision, index: int, moment: datetime) -> Reading | None:
    """What this process, which alone can write it, saw last of the step's target before the last signature that counted."""
    seen = revision.observations.filter(step=index, moment=Observation.Moment.REVIEW, taken_at__lte=moment)
    told = (Reading(one.text, one.problem) for one in seen.order_by("-taken_at", "-id"))
    return next((one for one in told if one.says_something()), None)


def _said(steps: Sequence[Step], compared: Mapping[int, Comparison | None]) -> Iterator[str]:
    for index, one in compared.items():
        named = f"of step {index + 1} ({steps[index].name}) " if len(steps) > 1 else ""
        if one is not None:
            yield from (f"{named}{difference}" for difference in one.drift)
            if one.unread:
                yield f"{named}it was read before it was signed and cannot be read now ({one.unread})"


def keep(
    trail: Trail, revision: Revision, moment: Observation.Moment, readings: Mapping[int, Reading], taken_at: datetime
) -> list[Observation]:
    """Store what was read, with its entries of the audit trail, in the caller's transaction."""
    found = []
    for index, reading in readings.items():
        found.append(
            Observation.objects.create(
                revision=revision,
                step=index,
                moment=moment,
                taken_at=taken_at,
                text=reading.text,
                problem=reading.problem[:2000],
            )
        )
        trail.add(
            AuditKind.TARGET_OBSERVED,
            actor=ACTOR,
            request=revision.request.pk,
            revision=revision.number,
            step=index,
            moment=str(moment),
            state=canonical.digest(reading.text) if reading.text else None,
            problem=reading.problem[:2000] or None,
        )
    return found
