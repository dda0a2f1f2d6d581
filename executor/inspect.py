"""Reading a target's state for people: before a review, and after a call. Under the executor's role, which here may only read."""

from __future__ import annotations

import logging
from typing import Final

from django.conf import settings
from django.utils import timezone

from approvals import audit, authority, canonical, outbox
from approvals.authority import KnownAccount
from approvals.errors import AuditUnavailable, BadAuthority, CountersignError
from approvals.models import AuditKind, Execution, Observation, OutboxMessage, Revision
from approvals.plan import Plan, Step
from approvals.states import ExecutionState
from executor import aws, target
from executor.errors import AwsRefused

log = logging.getLogger(__name__)
ACTOR: Final = "process:execution"


def keep(message: OutboxMessage) -> None:
    """Keep an `inspect` promise. What cannot be read is stored in words; only a broken audit trail puts it off."""
    named = Revision.objects.select_related("request__account")
    revision = named.filter(pk=int(message.subject)).first() if message.subject.isdecimal() else None
    try:
        if revision is not None and (revision.text or revision.request.target):
            observe(revision)
    except AuditUnavailable as error:
        log.exception("an observation could not be recorded")
        outbox.put_off(message, str(error))
        return
    outbox.done(message)


def observe(revision: Revision) -> list[Observation]:
    """Read the target of every step and store what AWS says, as JSON text without secrets, or the problem in words."""
    done = Execution.objects.filter(revision=revision, state=ExecutionState.SUCCEEDED).exists()
    moment = Observation.Moment.AFTER if done else Observation.Moment.REVIEW
    try:
        plan = revision.plan if revision.text else _as_far_as_known(revision)
        account = _account(plan)
    except CountersignError as error:
        return [_store(revision, 0, moment, "", str(error))]
    return [_store(revision, index, moment, *_look(plan, account, step)) for index, step in enumerate(plan.steps)]


def _as_far_as_known(revision: Revision) -> Plan:
    """The target of a draft whose parameters are still missing: enough to look at it, and nothing that could be signed."""
    request = revision.request
    steps = tuple(Step(step["service"], step["operation"], step["parameters"]) for step in revision.draft_steps)
    role, partition = request.account.executor_role_arn, request.account.partition
    return Plan(str(request.pk), revision.number, request.account.pk, partition, request.region, role, steps, (), 0)


def _account(plan: Plan) -> KnownAccount:
    """The account as the chain of authority knows it: its role and external id are not taken from a table."""
    known = authority.walk(settings.GENESIS).accounts.get(plan.account)
    if known is None or known.executor_role_arn != plan.role:
        raise BadAuthority(f"The account {plan.account} or its role is not one that the authority knows.")
    return known


def _look(plan: Plan, account: KnownAccount, step: Step) -> tuple[str, str]:
    """(state as text, "") or ("", why it could not be read)."""
    policy = target.policy(step, target.where(plan), acting=False)
    try:
        return target.read_text(aws.reading(account, policy, region=plan.region), step), ""
    except AwsRefused as error:
        return "", f"AWS says {error.code}: {error.message}"
    except CountersignError as error:
        return "", str(error)


def _store(revision: Revision, index: int, moment: Observation.Moment, text: str, problem: str) -> Observation:
    with audit.recorded() as trail:
        found = Observation.objects.create(
            revision=revision, step=index, moment=moment, taken_at=timezone.now(), text=text, problem=problem[:2000]
        )
        trail.add(
            AuditKind.TARGET_OBSERVED,
            actor=ACTOR,
            request=revision.request.pk,
            revision=revision.number,
            step=index,
            moment=str(moment),
            state=canonical.digest(text) if text else None,
            problem=problem[:2000] or None,
        )
    return found
