"""Keeping the promises of the outbox to the world outside: notifications, the mirror, and the matching of evidence.

A promise that cannot be kept now is put off and never changes a state. The outbox holds no transaction open while AWS is called.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from approvals import audit, notifications, outbox
from approvals.errors import AuditUnavailable
from approvals.models import ApprovalRequest, AuditKind, Execution, Notice, OutboxKind, OutboxMessage
from approvals.operations import catalog
from approvals.states import ExecutionState, Verdict
from executor import errands, evidence, plain, stuck
from executor.errors import AwsError, AwsUnavailable

log = logging.getLogger(__name__)
ACTOR: Final = "process:delivery"
# Bytes: SNS takes 256 KiB; what is longer is on the page that the message links to.
LONGEST_BODY: Final = 200_000
# DynamoDB takes 400 KB an item.
LONGEST_PARAMETERS: Final = 300_000
LOOK_AGAIN: Final = timedelta(seconds=2)
# Seconds after which the rest is left to the next sweep.
LONGEST: Final = 60.0


def drain(*, longest: float = LONGEST) -> int:
    """Keep what is due until `longest` seconds are over; return how many promises were kept. One at a time, so that a slow one
    holds up no lease.

    When a service does not answer, the promises that need it wait for the next sweep and the others go on.
    """
    kept, kinds, end = 0, set(_KEEPERS), time.monotonic() + longest
    while kinds and time.monotonic() < end and (due := outbox.take(kinds, most=1)):
        message, kind = due[0], OutboxKind(due[0].kind)
        try:
            later = _KEEPERS[kind](message)
        except (AwsError, AuditUnavailable) as error:
            log.warning("put off: %s %s: %s", kind, message.topic, error, extra={"outbox": message.pk})
            outbox.put_off(message, f"{type(error).__name__}: {error}")
            if isinstance(error, AwsUnavailable):
                kinds.discard(kind)
            continue
        except Exception as error:  # noqa: BLE001 - logged there; whatever one row runs into, the next may be an alert
            stuck.put_off(message, error, actor=ACTOR)
            continue
        if later:
            outbox.put_off(message, later, until=timezone.now() + LOOK_AGAIN)
            continue
        outbox.done(message)
        kept += 1
    return kept


def _notify(message: OutboxMessage) -> str:
    """Publish, then say in the trail that it was. If saying so fails the message goes out again: rather twice than never."""
    note = notifications.compose(message)
    if note is None:
        return ""  # what it was about was decided meanwhile
    message_id = errands.publish(
        settings.TOPIC_ARN,
        region=settings.HOME_REGION,
        subject=note.subject,
        body=_fitting(note.body),
        attributes={"topic": note.topic, "to": note.to},
    )
    with audit.recorded() as trail:
        if note.topic == notifications.NOTICE:
            # The hold begins now, and not when it was written.
            Notice.objects.filter(pk=int(message.subject), delivered_at=None).update(delivered_at=timezone.now())
        trail.add(
            AuditKind.NOTIFICATION_SENT,
            actor=ACTOR,
            request=note.request_id,
            topic=note.topic,
            to=list(note.to),
            subject=note.subject,
            message=message_id,
        )
    return ""


def _fitting(body: str) -> str:
    """What SNS takes of a body: a message that it refused for its length would never be sent."""
    data = body.encode("utf-8", "backslashreplace")
    if len(data) <= LONGEST_BODY:
        return body
    return data[:LONGEST_BODY].decode("utf-8", "ignore") + "\n\n(This was cut here; the whole is in the portal.)"


def _mirror(message: OutboxMessage) -> str:
    row = row_of(UUID(message.subject))
    if not errands.mirror(settings.MIRROR_TABLE, row, region=settings.HOME_REGION):
        log.info("the mirror is newer than this write", extra={"request": message.subject, "version": row["Version"]})
    return ""


def _prove(message: OutboxMessage) -> str:
    return evidence.prove(int(message.subject))


_KEEPERS: Final[Mapping[OutboxKind, Callable[[OutboxMessage], str]]] = {
    OutboxKind.NOTIFY: _notify,
    OutboxKind.MIRROR: _mirror,
    OutboxKind.PROVE: _prove,
}

# An execution only moves from left to right, so its place tells which of two pictures of a request is the later.
_PROGRESS: Final[Mapping[ExecutionState, int]] = {
    ExecutionState.READY: 1,
    ExecutionState.CLAIMED: 2,
    ExecutionState.RUNNING: 3,
    ExecutionState.UNKNOWN: 4,
    ExecutionState.SUCCEEDED: 5,
    ExecutionState.FAILED: 5,
    ExecutionState.ABORTED: 5,
}


def row_of(request_id: UUID) -> dict[str, str | int]:
    """The mirror's row: a request as it stands now, without secrets, and a version that grows with everything in it."""
    request = ApprovalRequest.objects.select_related("requester", "account").get(pk=request_id)
    revision = request.current_revision()
    execution = Execution.objects.filter(revision=revision).first()
    approvers = revision.reviews.filter(verdict=Verdict.APPROVE).values_list("person__handle", flat=True)
    progress = _PROGRESS[execution.execution_state] if execution else 0
    return {
        "ApprovalId": str(request.pk),
        "EventName": request.operation.partition(":")[2],
        "RequestParameters": _parameters(revision.draft_steps),
        "Requester": notifications.who_asks(request),
        "Status": str(request.status()),
        "Approver": ", ".join(approvers),
        "Version": (request.version + request.revision_number) * 10 + progress,
        "UpdatedAt": timezone.now().isoformat(),
    }


def _parameters(steps: list[dict[str, Any]]) -> str:
    """One step's parameters as an object, several as a list of them; what the model calls sensitive is hidden."""
    shown = []
    for step in steps:
        operation = catalog.get(f"{step['service']}:{step['operation']}")
        shown.append(plain.without_secrets(operation.model.input_shape, step["parameters"]))
    text = json.dumps(shown[0] if len(shown) == 1 else shown, sort_keys=True)
    return text if len(text) <= LONGEST_PARAMETERS else json.dumps("too large for the mirror; see the request's page")
