"""Matching what CloudTrail saw the executor's role do, one to one, with the attempts that say it was allowed to.

A compromised worker passes every weaker test: a call counts as ours only when the access key, the source identity, the operation,
the place, the target, the parameters and (where it is known) the request id are those of an attempt that no other record proves.
"""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from approvals import audit, statements
from approvals.alerts import raise_alert
from approvals.caller import from_identity
from approvals.errors import BadAuthority
from approvals.models import AlertKind, ApprovalRequest, Attempt, AuditKind, Proof, Statement, TrailRecord
from approvals.states import AttemptState, StatementState
from approvals.trail_event import Outcome, decides_nothing
from executor import same_call
from executor.same_call import Likeness

log = logging.getLogger(__name__)
ACTOR: Final = "process:delivery"
# What AWS's clock and ours may differ by.
_CLOCKS: Final = timedelta(minutes=5)
# How long a service goes on in the name of a session, which itself lasts a quarter of an hour.
_GOES_ON: Final = timedelta(hours=6)
# And after its effect was seen to be complete, which is a look or two late.
_AFTERWARDS: Final = timedelta(minutes=15)


def prove(record_id: int) -> str:
    """Match one record with fate `executor`. Returns "" when it is settled (a proof, or an alert), or why it must wait."""
    with audit.recorded() as trail:
        record = TrailRecord.objects.select_for_update(no_key=True).filter(pk=record_id).first()
        if record is None or record.fate != TrailRecord.Fate.EXECUTOR or Proof.objects.filter(record=record).exists():
            return ""
        attempt, other = _attempt_of(record)
        if attempt is not None and attempt.state == AttemptState.SENT and not _given_up(record):
            return "The attempt has no answer yet; its request id decides."
        if attempt is not None:
            Proof.objects.create(attempt=attempt, record=record, matched_at=timezone.now())
            trail.add(
                AuditKind.ATTEMPT_PROVEN,
                actor=ACTOR,
                request=_request_of(attempt).pk,
                execution=str(attempt.execution_id),
                step=attempt.step,
                number=attempt.number,
                event=record.event_id,
                outcome=record.outcome,
            )
            if not contradicted(trail, attempt, record, actor=ACTOR):
                _judged_otherwise(trail, attempt, record)
            return ""
        by_service = from_identity(json.loads(record.raw).get("userIdentity") or {}).by_service
        if by_service and (parent := _parent_of(record)) is not None:
            _explained(record, parent)
            return ""
        # A session that was opened for one call and made another needs no grace: no attempt to come could account for it. What a
        # service does in the caller's name may be recorded before the call that it does it for.
        if (by_service or not other) and not _given_up(record):
            return "No attempt accounts for this record yet."
        _rogue(trail, record, other)
        return ""


def contradicted(trail: audit.Trail, attempt: Attempt, record: TrailRecord, *, actor: str) -> bool:
    """An alert where two persons closed this call's outcome otherwise than CloudTrail's record says; whether there was one."""
    told = False
    closed = Statement.objects.filter(execution=attempt.execution_id, state=StatementState.IN_FORCE).select_related("proposer")
    for statement in closed:
        try:
            said = statements.read(statement)
        except BadAuthority:
            continue  # it was verified before it was put in force; rows that were changed since are the audit's to find
        took_effect = record.outcome == Outcome.SUCCEEDED
        if said.attempt != (attempt.step, attempt.number) or decides_nothing(record.error_code):
            continue
        if took_effect == (said.outcome is statements.Outcome.SUCCEEDED):
            continue
        told = True
        raise_alert(
            trail,
            AlertKind.CONTRADICTED,
            title=f"CloudTrail contradicts how execution {str(attempt.execution_id)[:8].upper()} was closed",
            detail=(
                f"Statement {statement.reference} says that {attempt.operation} {said.outcome}. CloudTrail event "
                f"{record.event_id} says {record.outcome} {record.error_code}. Look at the target now: what was filed or decided "
                "since may rest on the wrong outcome."
            ),
            actor=actor,
            request=_request_of(attempt),
        )
    return told


def _judged_otherwise(trail: audit.Trail, attempt: Attempt, record: TrailRecord) -> None:
    """An alert where the executor took a call for the opposite of what its record says, by the target's state or AWS's answer."""
    took_effect = record.outcome == Outcome.SUCCEEDED
    thought = {AttemptState.SUCCEEDED: True, AttemptState.REJECTED: False}.get(AttemptState(attempt.state))
    if attempt.rehearsal or thought is None or thought == took_effect or (not took_effect and decides_nothing(record.error_code)):
        return
    why = attempt.error_message if attempt.state == AttemptState.REJECTED else "By what showed then, it took effect."
    raise_alert(
        trail,
        AlertKind.CONTRADICTED,
        title=f"CloudTrail contradicts how execution {str(attempt.execution_id)[:8].upper()} ended",
        detail=(
            f"{attempt.operation} is {attempt.state} here: {why} CloudTrail event {record.event_id} says {record.outcome} "
            f"{record.error_code}. Look at the target now, before it is filed again: what was decided since may rest on the "
            "wrong outcome."
        ),
        actor=ACTOR,
        request=_request_of(attempt),
    )


def _attempt_of(record: TrailRecord) -> tuple[Attempt | None, str]:
    """The one attempt that accounts for the record; or in words how the call differs from all that its session was opened for."""
    try:
        execution_id = UUID(record.source_identity)
    except ValueError:
        return None, ""
    of_session = Attempt.objects.select_related("execution__revision__request", "proof").filter(
        execution_id=execution_id, access_key_id=record.access_key_id
    )
    compared = [(one, *same_call.compare(record, one)) for one in of_session]
    fitting = [one for one, likeness, _ in compared if likeness is Likeness.SAME and _free(one, record)]
    if len(fitting) == 1:
        return fitting[0], ""
    if compared and all(likeness is Likeness.OTHER for _, likeness, _ in compared):
        return None, "; ".join(words for _, _, words in compared)
    return None, ""


def _parent_of(record: TrailRecord) -> Attempt | None:
    """The call for which its service made this one in the caller's name: the session was given that right besides, on that thing.

    Nobody writes `invokedBy` but AWS. What the session's policy would not have allowed was made by another session, though it may
    bear the same id. Whose effect is complete has nobody act for it any more. Source: IAM User Guide, forward access sessions.
    """
    try:
        execution_id = UUID(record.source_identity)
    except ValueError:
        return None
    made = Attempt.objects.select_related("execution__revision__request").filter(
        execution_id=execution_id,
        rehearsal=False,
        sent_at__lte=record.event_time + _CLOCKS,
        sent_at__gt=record.event_time - _GOES_ON,
    )
    made = made.filter(Q(settled_at=None) | Q(settled_at__gt=record.event_time - _AFTERWARDS))
    for attempt in made.exclude(state__in=[AttemptState.SENT, AttemptState.REJECTED]):
        request = attempt.execution.revision.request
        if request.account_id == record.account and same_call.gave_the_right(attempt, record):
            return attempt
    return None


def _explained(record: TrailRecord, parent: Attempt) -> None:
    """It is no proof, and nothing that nobody accounts for."""
    why = f"AWS made this call for {parent.operation} of execution {parent.execution_id}, by a right that its session had for it."
    TrailRecord.objects.filter(pk=record.pk).update(fate=TrailRecord.Fate.OBSERVED, why=why)
    log.info("a service's call is accounted for", extra={"event": record.event_id, "execution": str(parent.execution_id)})


def accounts_for(attempt: Attempt, record: TrailRecord) -> bool:
    """Whether a proof that lies there is one: whoever is the delivery process can lay any record beside any attempt."""
    ours = (record.source_identity, record.access_key_id) == (str(attempt.execution_id), attempt.access_key_id)
    fits = attempt.aws_request_id in {"", record.aws_request_id}
    return ours and fits and same_call.compare(record, attempt)[0] is Likeness.SAME


def _free(attempt: Attempt, record: TrailRecord) -> bool:
    return not hasattr(attempt, "proof") and attempt.aws_request_id in {"", record.aws_request_id}


def _given_up(record: TrailRecord) -> bool:
    return record.received_at + timedelta(seconds=settings.PROOF_GRACE) <= timezone.now()


def _rogue(trail: audit.Trail, record: TrailRecord, other: str) -> None:
    raise_alert(
        trail,
        AlertKind.ROGUE_EXECUTOR,
        title=f"The executor's role called {record.event_name}, and no attempt accounts for it",
        detail=(
            f"{record.principal} called {record.event_source} {record.event_name} in {record.account}, {record.region} at "
            f"{record.event_time.isoformat()} with access key {record.access_key_id or '(none)'} and source identity "
            f"{record.source_identity or '(none)'}. "
            + (f"It is not the call that was signed: {other}. " if other else "")
            + "Somebody may hold the executor's credentials: stop the worker and look."
        ),
        actor=ACTOR,
        request=_request_named(record),
        record=record,
    )
    TrailRecord.objects.filter(pk=record.pk).update(
        fate=TrailRecord.Fate.ALERT, why="The executor's role made this call, and no attempt accounts for it."
    )
    log.critical("a call of the executor's role is not accounted for", extra={"event": record.event_id})


def _request_named(record: TrailRecord) -> ApprovalRequest | None:
    """The request whose execution the session claims to be, if there is one: where a person would begin to look."""
    try:
        execution_id = UUID(record.source_identity)
    except ValueError:
        return None
    return ApprovalRequest.objects.filter(revisions__execution=execution_id).first()


def _request_of(attempt: Attempt) -> ApprovalRequest:
    return attempt.execution.revision.request
