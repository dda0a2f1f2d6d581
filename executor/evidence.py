"""Matching what CloudTrail saw the executor's role do, one to one, with the attempts that say it was allowed to.

A compromised worker passes every weaker test: a call counts as ours only when the access key, the source identity, the operation,
the place and (where it is known) the request id are those of an attempt that no other record proves.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from approvals import audit
from approvals.alerts import raise_alert
from approvals.models import AlertKind, ApprovalRequest, Attempt, AuditKind, Proof, TrailRecord
from approvals.operations import catalog
from approvals.states import AttemptState

log = logging.getLogger(__name__)
ACTOR: Final = "process:delivery"


def prove(record_id: int) -> str:
    """Match one record with fate `executor`. Returns "" when it is settled (a proof, or an alert), or why it must wait."""
    with audit.recorded() as trail:
        record = TrailRecord.objects.select_for_update().filter(pk=record_id).first()
        if record is None or record.fate != TrailRecord.Fate.EXECUTOR or Proof.objects.filter(record=record).exists():
            return ""
        attempt = _attempt_of(record)
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
            return ""
        if not _given_up(record):
            return "No attempt accounts for this record yet."
        _rogue(trail, record)
        return ""


def _attempt_of(record: TrailRecord) -> Attempt | None:
    operation = catalog.of_event(record.event_source, record.event_name)
    try:
        execution_id = UUID(record.source_identity)
    except ValueError:
        return None
    if operation is None:
        return None
    found = Attempt.objects.select_related("execution__revision__request").filter(
        execution_id=execution_id,
        access_key_id=record.access_key_id,
        operation=operation.full_name,
        region=record.region,
        execution__revision__request__account_id=record.account,
        proof=None,
    )
    fitting = [one for one in found if not one.aws_request_id or one.aws_request_id == record.aws_request_id]
    return fitting[0] if len(fitting) == 1 else None


def _given_up(record: TrailRecord) -> bool:
    return record.received_at + timedelta(seconds=settings.PROOF_GRACE) <= timezone.now()


def _rogue(trail: audit.Trail, record: TrailRecord) -> None:
    raise_alert(
        trail,
        AlertKind.ROGUE_EXECUTOR,
        title=f"The executor's role called {record.event_name}, and no attempt accounts for it",
        detail=(
            f"{record.principal} called {record.event_source} {record.event_name} in {record.account}, {record.region} at "
            f"{record.event_time.isoformat()} with access key {record.access_key_id or '(none)'} and source identity "
            f"{record.source_identity or '(none)'}. Somebody may hold the executor's credentials: stop the worker and look."
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
