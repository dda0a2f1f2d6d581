"""Reading a target's state for people: before a review, and after a call. Under the executor's role, which here may only read.

1. Read the target of every step and store what AWS says, or why it says nothing.
2. While it is a draft that nobody has signed, freeze it: the next revision says what must still hold of the targets.

What could not be read, is still changing, or is just being signed is read again a few times.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from approvals import audit, decisions, outbox, preconditions
from approvals.authority import KnownAccount
from approvals.decisions import NotFrozen
from approvals.errors import AuditUnavailable, CountersignError
from approvals.models import ApprovalRequest, Execution, Observation, OutboxKind, OutboxMessage, Revision
from approvals.plan import Plan, Step
from approvals.preconditions import Fact, Reading
from approvals.states import ExecutionState
from executor import drift

log = logging.getLogger(__name__)
# With delays that double: about two minutes. Then it stays as it is, and whoever edits or signs it has it read again.
_MOST_LOOKS: Final = 7
# Seconds after which no further step of a plan is read by the same task; one reading may last `aws.LONGEST_READ` beyond.
LONGEST: Final = 120.0
# How soon a target is read again that is locked.
_SOON: Final = timedelta(minutes=1)
_SELDOM: Final = timedelta(hours=1)
_TOO_LONG: Final = "It was not read: AWS took too long to tell of the steps before it."


def keep(message: OutboxMessage) -> None:
    """Keep an `inspect` promise. What cannot be read is stored in words and read again; a broken audit trail puts it off."""
    named = Revision.objects.select_related("request__account")
    revision = named.filter(pk=int(message.subject)).first() if message.subject.isdecimal() else None
    again = ""
    try:
        if revision is not None and _is_wanted(revision):
            again = freeze(revision, observe(revision))
    except AuditUnavailable as error:
        log.exception("an observation could not be recorded")
        outbox.put_off(message, str(error))
        return
    if again and message.attempts < _MOST_LOOKS:
        outbox.put_off(message, again)
        return
    with transaction.atomic():
        outbox.done(message)
        if revision is not None:
            _look_again_while_held(revision.request_id)


def _look_again_while_held(request_id: UUID) -> None:
    """What AWS keeps against everybody cannot be signed as it was read: it is read again, ever less often."""
    request = ApprovalRequest.objects.get(pk=request_id)
    revision = request.current_revision()
    promises = OutboxMessage.objects.filter(kind=OutboxKind.INSPECT, subject=str(revision.pk), done_at=None)
    if not promises.exists() and decisions.why_held(revision):
        now = timezone.now()
        outbox.put(OutboxKind.INSPECT, revision.pk, due_at=now + min(max((now - request.created_at) / 10, _SOON), _SELDOM))


def _is_wanted(revision: Revision) -> bool:
    """Whether anybody will look at it: there is a target, and no other revision has taken its place."""
    return bool(revision.text or revision.request.target) and revision.number == revision.request.revision_number


def observe(revision: Revision) -> list[Observation]:
    """Read the target of every step and store what AWS says, as JSON text without secrets, or the problem in words."""
    done = Execution.objects.filter(revision=revision, state=ExecutionState.SUCCEEDED).exists()
    moment = Observation.Moment.AFTER if done else Observation.Moment.REVIEW
    try:
        plan = revision.plan if revision.text else _as_far_as_known(revision)
        account = drift.account_of(plan)
    except CountersignError as error:
        found = {0: Reading(problem=str(error))}
    else:
        end = time.monotonic() + LONGEST
        found = {
            index: _look(plan, account, step) if time.monotonic() < end else Reading(problem=_TOO_LONG)
            for index, step in enumerate(plan.steps)
        }
    with audit.recorded() as trail:
        return drift.keep(trail, revision, moment, found, timezone.now())


def _as_far_as_known(revision: Revision) -> Plan:
    """The target of a draft whose parameters are still missing: enough to look at it, and nothing that could be signed."""
    request = revision.request
    steps = tuple(Step(step["service"], step["operation"], step["parameters"]) for step in revision.draft_steps)
    role, partition = request.account.executor_role_arn, request.account.partition
    return Plan(str(request.pk), revision.number, request.account.pk, partition, request.region, role, steps, (), 0)


def _look(plan: Plan, account: KnownAccount, step: Step) -> Reading:
    try:
        return drift.read(plan, account, step)
    except CountersignError as error:
        return Reading(problem=str(error))


def freeze(revision: Revision, found: Sequence[Observation]) -> str:
    """The next revision with what was read, while this one is an unsigned draft. Returns why it should be read again, or ""."""
    if not revision.text or not found or found[0].moment != Observation.Moment.REVIEW:
        return ""
    try:
        steps = revision.plan.steps
    except CountersignError:
        return ""
    facts: list[Fact] = []
    for one in found:
        step, reading = steps[one.step], Reading(one.text, one.problem)
        if preconditions.is_described(step):
            if not reading.says_something():
                return reading.problem
            if status := preconditions.status_of(step, reading):
                return f"AWS is still changing the target: {status}."
            fact = preconditions.of(one.step, step, reading)
            facts += [fact] if fact is not None else []
    if not facts:
        return ""
    with audit.recorded() as trail:
        frozen = decisions.freeze(trail, revision, facts, now=timezone.now())
        if isinstance(frozen, NotFrozen):
            return str(frozen) if frozen is NotFrozen.BEING_SIGNED else ""
        # What the page shows of a revision, and what the claim goes by, are its own observations.
        Observation.objects.bulk_create(
            Observation(
                revision=frozen, step=one.step, moment=one.moment, taken_at=one.taken_at, text=one.text, problem=one.problem
            )
            for one in found
        )
    return ""
