"""What became of a call whose outcome is open: AWS's answer or CloudTrail's record, then the target; else its row of the table.

Absence of evidence never settles anything. Who looks takes the execution's token first, so that a worker that thaws meanwhile
writes nothing over what was found.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from approvals import audit, authority, outbox
from approvals.alerts import raise_once
from approvals.errors import CountersignError
from approvals.models import (
    AlertKind,
    Attempt,
    AuditKind,
    Execution,
    Look,
    Observation,
    OutboxKind,
    OutboxMessage,
    Proof,
    TrailRecord,
)
from approvals.operations import catalog
from approvals.operations import partial as partial_answers
from approvals.plan import Step
from approvals.states import AttemptState, ExecutionState
from approvals.trail_event import Outcome, decides_nothing
from executor import aws, backups, endings, evidence, looks, plain, protecting, rights, target, waiting
from executor.calling import LONGEST_LIST
from executor.claim import LEASE
from executor.endings import SIGNED_FOR, Claim
from executor.errors import AwsError, AwsRefused, Superseded, WillNotSettle
from executor.waiting import Patience

log = logging.getLogger(__name__)
LOOK_AGAIN: Final = timedelta(seconds=20)
LONGEST_WAIT: Final = timedelta(minutes=10)
_TURN: Final = timedelta(seconds=5)


def by_evidence(execution: Execution, attempt: Attempt, patience: Patience) -> None:
    """AWS's answer or CloudTrail's record says whether it took effect; then the target must have settled."""
    proof = _proof_of(execution, attempt)
    claim = _fenced(execution)
    if attempt.rehearsal:
        # AWS took it for the call itself, against its own contract. What it did is for people to say: no call was made.
        _later(claim, attempt)
        return
    if attempt.state != AttemptState.ACCEPTED:
        if proof is None:
            _without_record(execution, claim, attempt, patience)
            _let_others_go_first(claim)
            return
        record = proof.record
        if record.outcome != Outcome.SUCCEEDED:
            if decides_nothing(record.error_code):
                _without_record(execution, claim, attempt, patience, record)
                _let_others_go_first(claim)
            else:
                _refused(execution, claim, attempt, record, patience)
            return
        if _done_in_part(execution, claim, attempt, record):
            return
    made: list[str] = []
    try:
        trouble = _seen(execution, attempt, partial(_complete, attempt, execution, made, patience))
    except CountersignError as error:
        if isinstance(error, WillNotSettle) and target.makes_a_backup(execution.revision.plan.steps[attempt.step]):
            with audit.recorded() as trail:
                endings.fall_short(trail, claim, attempt, str(error))
            return
        # What AWS says will never settle, or will not tell, is waited for no longer than a worker would have.
        hopeless = not (isinstance(error, AwsError) and error.passing)
        end = replace(patience, to_the_end=patience.bound) if hopeless else patience
        _give_up_waiting(execution, claim, attempt, str(error), end)
        return
    if trouble:
        log.info("not settled yet: %s", trouble)
        _give_up_waiting(execution, claim, attempt, trouble, patience)
        return
    how = f"CloudTrail event {proof.record.event_id}" if proof else "AWS's answer"
    _took_effect(execution, claim, attempt, how, "".join(made))


def _done_in_part(execution: Execution, claim: Claim, attempt: Attempt, record: TrailRecord) -> bool:
    """Whether the record of a success names what was not done, as AWS's lost answer did; then it ends so, with an alert."""
    step = execution.revision.plan.steps[attempt.step]
    operation = catalog.get(step.name)
    answer = partial_answers.as_answered(operation, json.loads(record.raw).get("responseElements"))
    if not (left := plain.not_done(step, answer)):
        return False
    with audit.recorded() as trail:
        text = plain.answer_text(operation, answer)
        endings.answered(trail, claim, attempt, AttemptState.PARTIAL, request_id=record.aws_request_id, answer=text)
        what = f"AWS carried out only a part of {step.operation}, by CloudTrail event {record.event_id}, which names the rest: "
        endings.end(trail, claim, ExecutionState.FAILED, f"{what}{left[:LONGEST_LIST]} No later step was made.", in_part=True)
    return True


def _proof_of(execution: Execution, attempt: Attempt) -> Proof | None:
    """The record that proves the call; what the delivery process laid there and is of another call proves nothing."""
    proof = Proof.objects.select_related("record").filter(attempt=attempt).first()
    if proof is None or evidence.accounts_for(attempt, proof.record):
        return proof
    with audit.recorded() as trail:
        raise_once(
            trail,
            AlertKind.FORGERY,
            title=f"The proof of a call of execution {execution.pk} is of another call",
            detail=(
                f"CloudTrail event {proof.record.event_id} was matched to {attempt}, and is not its record. It is not believed. "
                "Find out who wrote this row."
            ),
            actor=endings.ACTOR,
        )
    return None


def _without_record(
    execution: Execution, claim: Claim, attempt: Attempt, patience: Patience, record: TrailRecord | None = None
) -> None:
    """CloudTrail shows nothing of the call so far, or only that the service broke while it was at it (`record`).

    Its log files are read where no record came, which proves nothing; then the target is asked, by the table's rule. It decides
    only where it was read at the claim, for then it is known to be the very same one, and what it shows now to be new.
    """
    if not looks.is_due(execution.pk, Look.Source.EVENTS, attempt.sent_at):
        return
    if record is None:
        looks.note(execution.pk, Look.Source.EVENTS, "No record of this call has come.")
        _have_log_files_read(execution)
    else:
        said = f"CloudTrail event {record.event_id} says {record.error_code}, which is written also for calls that took effect."
        looks.note(execution.pk, Look.Source.EVENTS, said)
    told = attempt.sent_at + SIGNED_FOR
    if timezone.now() < told:
        said = f"Not looked at before {told:%H:%M:%S %Z}: until then AWS may take the call as it was signed."
        looks.note(execution.pk, Look.Source.TARGET, said)
        return
    if record is None and not looks.came_after(execution.pk, Look.Source.LOGS, told):
        # A record proves; what the target shows could be somebody else's doing.
        looks.note(execution.pk, Look.Source.TARGET, "Not looked at before CloudTrail's log files, which the feed process reads.")
        return
    before = _at_the_claim(execution, attempt)
    if before is None:
        looks.note(execution.pk, Look.Source.TARGET, "It was not read at the claim, so what it shows now proves nothing.")
        return
    if not (trouble := _look(execution, attempt, partial(waiting.look_effect, before=before, patience=patience))):
        looks.note(execution.pk, Look.Source.TARGET, "It shows what the call was to bring about, and did not at the claim.")
        _took_effect(execution, claim, attempt, "the target's state")
        return
    if not (why := _look(execution, attempt, partial(waiting.look_no_effect, before=before, patience=patience))):
        looks.note(execution.pk, Look.Source.TARGET, "It is untouched: the very target that was there at the claim.")
        _had_no_effect(claim, attempt)
        return
    looks.note(execution.pk, Look.Source.TARGET, f"It decides nothing: {trouble}; {why}.")


def _have_log_files_read(execution: Execution) -> None:
    """A promise that the feed keeps: it alone takes records in, whatever way they come."""
    with transaction.atomic():
        if not OutboxMessage.objects.filter(kind=OutboxKind.LOGS, subject=str(execution.pk), done_at=None).exists():
            outbox.put(OutboxKind.LOGS, execution.pk)


def _at_the_claim(execution: Execution, attempt: Attempt) -> Any:
    """What the executor read of the step's target at the claim, before it made the call."""
    seen = Observation.objects.filter(
        revision=execution.revision_id,
        step=attempt.step,
        moment=Observation.Moment.CLAIM,
        problem="",
        taken_at__lte=attempt.sent_at,
    ).last()
    return json.loads(seen.text) if seen is not None and seen.text else None


def _had_no_effect(claim: Claim, attempt: Attempt) -> None:
    with audit.recorded() as trail:
        message = "The target is untouched, long after AWS would have taken the call as it was signed."
        endings.answered(trail, claim, attempt, AttemptState.REJECTED, code="NoEffect", message=message)
        endings.end(trail, claim, ExecutionState.FAILED, f"It had no effect. {message} File it again if it is still wanted.")


def _took_effect(execution: Execution, claim: Claim, attempt: Attempt, how: str, made: str = "") -> None:
    """The call took effect and its target has settled: the next step, or the end."""
    steps = execution.revision.plan.steps
    with audit.recorded() as trail:
        endings.settle(trail, claim, attempt, how=how, made=made)
        if attempt.step + 1 == len(steps) or execution.execution_state is ExecutionState.UNKNOWN:
            whole = f"It took effect, by {how}. {endings.end_in_words(steps)}"
            endings.end_after(trail, claim, attempt, len(steps), how=how, whole=whole)
        else:
            _let_go(claim, timedelta(0))  # the next sweep hands the steps that are left to whoever is free


def _fenced(execution: Execution) -> Claim:
    """A running execution gets a new token, so that its former worker, should it wake up, writes nothing any more."""
    claim = endings.claim_of(execution)
    if execution.execution_state is ExecutionState.UNKNOWN:
        return claim
    with audit.recorded() as trail:
        moved = Execution.objects.filter(pk=claim.execution_id, token=claim.token, lease_until=execution.lease_until).update(
            token=claim.token + 1, lease_until=timezone.now() + LEASE
        )
        if not moved:
            raise Superseded("Somebody else took it meanwhile.")
        trail.add(
            AuditKind.EXECUTION_TAKEN_OVER,
            actor=endings.ACTOR,
            request=claim.request_id,
            execution=str(claim.execution_id),
            token=claim.token + 1,
        )
    return Claim(claim.execution_id, claim.request_id, claim.token + 1)


def _refused(execution: Execution, claim: Claim, attempt: Attempt, record: TrailRecord, patience: Patience) -> None:
    """A record says that AWS refused the call; the target must agree.

    Whoever can write to the queue can write such a record, and would hide behind it what was done. And where AWS's own answer is
    known (its request id), it was one that decided nothing, whatever its code is called: no record of it decides more.
    """
    trouble = "the call may still be on its way"
    if attempt.sent_at + SIGNED_FOR <= timezone.now():
        before = _at_the_claim(execution, attempt)
        how = partial(waiting.look_no_effect, before=before) if before is not None else waiting.look_untouched
        trouble = _look(execution, attempt, partial(how, patience=patience))
    if trouble:
        log.warning("a record says %s, and it is not believed yet: %s", record.error_code, trouble)
        _later(claim, attempt)
        return
    with audit.recorded() as trail:
        message = f"CloudTrail event {record.event_id} says that AWS refused the call."
        endings.answered(trail, claim, attempt, AttemptState.REJECTED, code=record.error_code, message=message)
        endings.end(trail, claim, ExecutionState.FAILED, f"It had no effect: {record.error_code}. {message}")


def _look(execution: Execution, attempt: Attempt, how: Callable[[aws.Reads, Step], str]) -> str:
    """Look at the step's target by a session that may only read; "" or why that does not settle it."""
    try:
        return _seen(execution, attempt, how)
    except WillNotSettle as error:
        if target.makes_a_backup(execution.revision.plan.steps[attempt.step]):
            raise
        return str(error)
    except CountersignError as error:
        return str(error)


def _seen(execution: Execution, attempt: Attempt, how: Callable[[aws.Reads, Step], str]) -> str:
    """The same, where it matters why nothing is seen. Raises WillNotSettle, and what else a CountersignError is."""
    plan = execution.revision.plan
    step = plan.steps[attempt.step]
    account = authority.walk(settings.GENESIS).accounts[plan.account]
    policy = rights.reading_policy(step, target.where(plan), backups.stored(attempt.answer))
    return how(aws.reading(account, policy, region=plan.region), step)


def _complete(attempt: Attempt, execution: Execution, made: list[str], patience: Patience, session: aws.Reads, step: Step) -> str:
    """Two looks at whether the call has settled, by AWS's answer as it was recorded; what it made is put into `made`."""
    answer = backups.stored(attempt.answer)
    try:
        trouble = waiting.look_twice(session, step, patience, answer)
    except AwsRefused as error:
        if error.passing:
            raise
        # What AWS knows of rights and of things comes to all of its places with time: it is asked again before it counts.
        time.sleep(patience.longest)
        trouble = waiting.look_twice(session, step, patience, answer)
    if trouble:
        return trouble
    made.append(protecting.name_of(session, step, target.where(execution.revision.plan), answer))
    return ""


def _give_up_waiting(execution: Execution, claim: Claim, attempt: Attempt, trouble: str, patience: Patience) -> None:
    """A call that AWS accepted and that nobody waits for any more: looked at again, and unknown once it has taken too long."""
    if execution.execution_state is not ExecutionState.RUNNING:
        _later(claim, attempt)
        return
    with audit.recorded() as trail:
        end = (attempt.answered_at or attempt.sent_at) + timedelta(seconds=patience.to_the_end)
        if target.makes_a_backup(execution.revision.plan.steps[attempt.step]):
            # A large one takes hours; what it is for could not be made any more once the approval has run out.
            end = max(end, execution.valid_until)
        if end <= timezone.now():
            outcome = f"AWS accepted {attempt.operation}, but its end was not seen: {trouble}."
            endings.end(trail, claim, ExecutionState.UNKNOWN, outcome)
        else:
            _later(claim, attempt)


def _let_go(claim: Claim, after: timedelta) -> None:
    Execution.objects.filter(pk=claim.execution_id, token=claim.token).update(lease_until=timezone.now() + after)


def _let_others_go_first(claim: Claim) -> None:
    """What is not decided yet is looked at again once the others were; a record that comes meanwhile waits no longer."""
    mine = Execution.objects.filter(pk=claim.execution_id, token=claim.token, state=ExecutionState.UNKNOWN)
    mine.update(lease_until=timezone.now() + _TURN)


def _later(claim: Claim, attempt: Attempt) -> None:
    """Look again after a tenth of the time that has gone since the call: soon at first, seldom in the end."""
    waited = timezone.now() - (attempt.answered_at or attempt.sent_at)
    _let_go(claim, min(max(waited / 10, LOOK_AGAIN), LONGEST_WAIT))
