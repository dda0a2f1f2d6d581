"""Closing an outcome that nothing else settles: two persons say, with evidence attached, how the call went."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.utils import timezone

from approvals import audit, canonical, notifications, permissions
from approvals.errors import NotAllowed, Refused, WrongState
from approvals.models import ApprovalRequest, Attempt, Execution, Person, Statement
from approvals.statements.texts import Outcome
from approvals.statements.writing import given_reason, new
from approvals.states import AttemptState, ExecutionState, StatementState

LONGEST_EVIDENCE: Final = 64 * 1024
CLOSED_WITHIN: Final = timedelta(days=7)
_OPEN: Final = [AttemptState.SENT, AttemptState.ACCEPTED, AttemptState.UNKNOWN]


def propose_closing(
    execution_id: UUID, person: Person, *, outcome: Outcome, evidence: str, reason: str, now: datetime | None = None
) -> Statement:
    """The statement of how the call went, with its evidence; two persons sign the same bytes.

    It is about the call that has no end yet; where no call is recorded (somebody else's claim was found), about the step that
    would have come. Raises NotAllowed, WrongState, Refused.
    """
    now = now or timezone.now()
    reason, evidence = given_reason(reason), _given_evidence(evidence)
    with audit.recorded() as trail:
        execution = Execution.objects.select_related("revision__request").filter(pk=execution_id).first()
        if execution is None:
            raise Refused("There is no such execution.")
        ApprovalRequest.objects.select_for_update(no_key=True).get(pk=execution.revision.request_id)
        execution.refresh_from_db(fields=["state"])
        if why := why_not_close(execution, person):
            raise NotAllowed(why) if execution.execution_state is ExecutionState.UNKNOWN else WrongState(why)
        if waiting_for(execution, now):
            raise WrongState(
                "Somebody has said already how it went, and that waits for a second signature. Read and sign that, or deny it."
            )
        step, number = open_attempt(execution)
        statement = new(
            trail,
            Statement.Kind.CLOSING,
            person,
            reason,
            now,
            lasts=CLOSED_WITHIN,
            about=execution,
            attached=evidence,
            execution=str(execution.pk),
            digest=execution.revision.digest,
            attempt={"step": step, "number": number},
            outcome=str(outcome),
            evidence=canonical.digest(evidence),
        )
        notifications.tell_of_statement(notifications.STATEMENT_PROPOSED, statement)
    return statement


def waiting_for(execution: Execution, now: datetime) -> Statement | None:
    """The closing of this execution that waits for signatures."""
    return execution.statements.filter(state=StatementState.OPEN, open_until__gt=now).first()


def open_attempt(execution: Execution) -> tuple[int, int]:
    """(step, number) of the call that has no end yet; number 0 where none is recorded, then of the step that would have come."""
    rows = list(Attempt.objects.filter(execution=execution).order_by("step", "number"))
    found = next((one for one in rows if one.state in _OPEN), None)
    if found is not None:
        return found.step, found.number
    done = {one.step for one in rows if one.state == AttemptState.SUCCEEDED}
    return (max(done) + 1 if done else 0), 0


def why_not_close(execution: Execution | None, person: Person) -> str:
    """Why this person cannot say how it went, in a sentence; empty when he can."""
    if execution is None or execution.execution_state is not ExecutionState.UNKNOWN:
        return "The outcome of this execution is known, so there is nothing to close."
    if not person.is_active or not person.is_human:
        return "Only an active person says how it went."
    revision = execution.revision
    editors = revision.request.editors()
    if person.pk in editors:
        return "You asked for this or edited its plan, so two others say how it went."
    names = set(revision.guardrails.values_list("guardrail__name", flat=True))
    if not permissions.reviewable_by(person, apart_from=editors) & names:
        return "You review under none of the guardrails of this plan, so it is not yours to say how it went."
    return ""


def _given_evidence(evidence: str) -> str:
    evidence = evidence.replace("\r\n", "\n").strip()
    if not evidence:
        raise Refused("Attach the evidence: what AWS shows, how you looked and when. Whoever signs second reads it.")
    if len(evidence.encode("utf-8", "surrogatepass")) > LONGEST_EVIDENCE or "\0" in evidence:
        raise Refused(f"Evidence is a text of at most {LONGEST_EVIDENCE // 1024} KiB without NUL. Paste the part that says it.")
    return evidence
