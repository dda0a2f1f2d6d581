"""Acting on statements that enough persons signed: executions are resumed, an unknown outcome is closed.

1. Lock what it is about, then the statement. It must be open and in its time.
2. Walk the chain of authority from the pinned genesis; verify every signature from stored bytes.
3. Count those who have the right by authority and by today's tables. Too few: it stays open, whoever promised this.
4. That a call had no effect is put in force once it can have none any more.
5. Do what the text says, and put it in force; what does not verify, or closes another call than the one that is open, is refused
   with an alert.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from approvals import audit, authority, demands, notifications, outbox, permissions, statements
from approvals.alerts import raise_alert
from approvals.audit import Trail
from approvals.authority import Authority
from approvals.demands import Forged, KeyWasGoing
from approvals.errors import BadAuthority, CountersignError, NotYet, Refused, WrongState
from approvals.models import AlertKind, Attempt, AuditKind, Execution, OutboxKind, OutboxMessage, Person, Proof, Statement
from approvals.statements import Outcome, Said
from approvals.states import AttemptState, ExecutionState, StatementState
from executor import endings, evidence
from executor.endings import ACTOR, SIGNED_FOR

log = logging.getLogger(__name__)
_LEAST: Final = 2
CODE: Final = "ClosedByStatement"


def keep(message: OutboxMessage) -> None:
    """Keep a `close` promise. Repeats are harmless: what is in force or has ended is left as it is."""
    later = act_on(message.subject_id)
    if isinstance(later, datetime):
        outbox.put_off(message, "Until then AWS may still take the call as it was signed.", until=later)
    else:
        outbox.done(message)


def act_on(statement_id: UUID) -> bool | datetime:
    """Do what a statement says, if enough persons signed it; whether it is in force now, or when it can be."""
    now = timezone.now()
    found = Statement.objects.filter(pk=statement_id).values_list("execution_id", flat=True).first()
    with audit.recorded() as trail:
        execution = endings.locked(found) if found is not None else None
        rows = Statement.objects.select_for_update(of=("self",), no_key=True).select_related("proposer")
        statement = rows.filter(pk=statement_id).first()
        if statement is None or statement.state != StatementState.OPEN or statement.kind == Statement.Kind.PAUSE:
            return False
        if statement.open_until <= now:
            return False  # it is ended by its clock
        try:
            known = authority.walk(settings.GENESIS)
            said, signers = statements.approvers(statement, known, authority.relying_party(), least=_LEAST)
            if execution is None:
                persons = _enough(statements.administrators_among(signers, statement, known))
                statements.must_name_pauses(said)
            else:
                persons = _enough(_closers(execution, signers, statement, known))
                _must_be_of_what_is_open(said, execution)
        except NotYet as reason:
            log.warning("a statement was to be acted on too early: %s", reason)
            return False
        except CountersignError as reason:
            _refuse(trail, statement, reason)
            return False
        if execution is not None and (may_arrive := _may_arrive_until(said, execution)) > now:
            return may_arrive
        if execution is None:
            _resume(trail, statement, said, persons)
        else:
            _close(trail, statement, said, execution, persons)
    return True


def _enough(persons: frozenset[str]) -> list[str]:
    if len(persons) < _LEAST:
        raise NotYet(f"{len(persons)} of those who signed it count.")
    return sorted(Person.objects.filter(pk__in=persons).values_list("handle", flat=True))


def _closers(execution: Execution, signers: frozenset[str], statement: Statement, known: Authority) -> frozenset[str]:
    """Those who may say how it went: with the right on a guardrail of the plan, and neither its requester nor an editor."""
    if execution.execution_state is not ExecutionState.UNKNOWN:
        raise WrongState("The outcome became known by evidence before two persons had said it.")
    revision = execution.revision
    plan = demands.signed_plan(revision.request, revision)
    names = {pin.name for pin in plan.guardrails}
    editors = revision.request.editors()
    apart_from = frozenset(str(person) for person in editors)
    ids = [UUID(person) for person in signers]
    now = timezone.now()
    live = permissions.rights_of(ids, at=now, apart_from=editors)
    current = {str(row.person_id) for row in statement.signatures.all() if row.credential_id in known.passkeys}
    return frozenset(
        person
        for person in (signers & current) - apart_from
        if known.is_voter(person) and known.rights_at(person, now, apart_from=apart_from) & live[UUID(person)] & names
    )


# --- resuming -------------------------------------------------------------------------------------------------------------


def _resume(trail: Trail, statement: Statement, said: Said, persons: list[str]) -> None:
    now = timezone.now()
    _put_in_force(statement)
    named = Statement.objects.filter(pk__in=said.pauses, kind=Statement.Kind.PAUSE, state=StatementState.IN_FORCE)
    named.update(state=StatementState.OVER, ended_at=now, ended_why=f"Resumed by {' and '.join(persons)}: {said.reason}")
    trail.add(
        AuditKind.EXECUTIONS_RESUMED,
        actor=ACTOR,
        statement=str(statement.pk),
        digest=statement.digest,
        pauses=[str(one) for one in said.pauses],
        by=persons,
        reason=said.reason,
    )
    notifications.tell_of_statement(notifications.STATEMENT_ENDED, statement)
    # What the pause put off is due now, and not when somebody would have looked again.
    waiting = OutboxMessage.objects.filter(kind=OutboxKind.EXECUTE, done_at=None, error__startswith=statements.PAUSED)
    waiting.update(due_at=now, attempts=F("attempts"))


# --- closing --------------------------------------------------------------------------------------------------------------


def _must_be_of_what_is_open(said: Said, execution: Execution) -> None:
    """Whoever is the web process may let two persons sign how another call went, which settles nothing of this one."""
    if said.digest != execution.revision.digest or said.attempt != statements.open_attempt(execution):
        raise Forged("It is not about the call of this execution whose outcome is not known.")


def _may_arrive_until(said: Said, execution: Execution) -> datetime:
    """Until when a call that two persons saw no effect of may have one yet: a worker that stands still, a request under way."""
    sent = Attempt.objects.filter(execution=execution, step=said.attempt[0], number=said.attempt[1])
    if said.outcome is not Outcome.NO_EFFECT:
        return execution.created_at
    # Of a call that this database has forgotten nobody knows when it was sent: not later than it was found to be claimed.
    at = sent.values_list("sent_at", flat=True).first() or execution.claimed_at
    return at + SIGNED_FOR if at is not None else execution.created_at


def _close(trail: Trail, statement: Statement, said: Said, execution: Execution, persons: list[str]) -> None:
    """End the execution as two persons say that it went, and the call with it, where one is recorded."""
    claim = endings.claim_of(execution)
    step, number = said.attempt
    by = " and ".join(persons)
    how = f"statement {statement.reference}, signed by {by}"
    _put_in_force(statement)
    trail.add(
        AuditKind.EXECUTION_CLOSED,
        actor=ACTOR,
        request=claim.request_id,
        execution=str(claim.execution_id),
        statement=str(statement.pk),
        digest=statement.digest,
        step=step,
        number=number,
        outcome=str(said.outcome),
        by=persons,
        evidence=said.evidence,
        reason=said.reason,
    )
    attempt = Attempt.objects.filter(execution=execution, step=step, number=number).first()
    proof = Proof.objects.select_related("record").filter(attempt=attempt).first() if attempt is not None else None
    if attempt is not None and proof is not None:
        evidence.contradicted(trail, attempt, proof.record, actor=ACTOR)
    if said.outcome is Outcome.SUCCEEDED:
        if attempt is not None and attempt.state != AttemptState.SUCCEEDED:
            endings.settle(trail, claim, attempt, how=how)
        left = len(execution.revision.plan.steps) - step - 1
        if left > 0:
            rest = f"Step {step + 1} took effect, by {how}; the {left} after it were not made. File them again."
            endings.end(trail, claim, ExecutionState.FAILED, rest)
        else:
            endings.end(trail, claim, ExecutionState.SUCCEEDED, f"It took effect, by {how}: {said.reason}")
        return
    if attempt is not None:
        # AWS's yes does not mean that it did anything; two persons say that it did not.
        Attempt.objects.filter(pk=attempt.pk, state=AttemptState.ACCEPTED).update(state=AttemptState.UNKNOWN)
        endings.answered(
            trail,
            # Of the call as it was sent: a sweep that looked on since has a newer token.
            replace(claim, token=attempt.token),
            attempt,
            AttemptState.REJECTED,
            request_id=attempt.aws_request_id,
            answer=attempt.answer,
            code=CODE,
            message=f"It had no effect, by {how}.",
        )
    endings.end(trail, claim, ExecutionState.FAILED, f"It had no effect, by {how}: {said.reason}")


def _put_in_force(statement: Statement) -> None:
    moved = Statement.objects.filter(pk=statement.pk, state=StatementState.OPEN).update(
        state=StatementState.IN_FORCE, ended_at=timezone.now()
    )
    if not moved:
        raise WrongState("The statement ended meanwhile.")


def _refuse(trail: Trail, statement: Statement, reason: CountersignError) -> None:
    """It is not acted on, and over. Rows that do not verify are a forgery; a right that was lost is told to who signed."""
    statements.end(trail, statement, StatementState.REFUSED, f"Not acted on: {reason}", ACTOR, timezone.now())
    if not isinstance(reason, KeyWasGoing) and (isinstance(reason, BadAuthority) or not isinstance(reason, Refused)):
        log.critical("a statement was not acted on: %s", reason)
        raise_alert(
            trail,
            AlertKind.FORGERY,
            title=f"Not acted on: statement {statement.reference} does not verify",
            detail=f"{reason} Nothing was resumed or closed by it. Find out who wrote these rows before anything else is signed.",
            actor=ACTOR,
        )
