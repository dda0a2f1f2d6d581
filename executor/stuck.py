"""What cannot be done for a reason nobody foresaw: it stands aside with back-off, one alert says so, and the rest goes on.

A row that whoever can write the outbox made up, or one that a defect of ours cannot digest, must not stop the rows behind it.
"""

from __future__ import annotations

import logging
from typing import Final
from uuid import UUID

from django.db import InterfaceError, OperationalError

from approvals import audit, outbox
from approvals.alerts import raise_alert
from approvals.models import Alert, AlertKind, ApprovalRequest, OutboxKind, OutboxMessage

log = logging.getLogger(__name__)
# With the outbox's doubling delays this is after some seventeen minutes.
ATTEMPTS: Final = 10
# A deadlock, a lock that was waited for too long, a lost serialisation: the database is up and the next try may do.
_PASSING: Final = frozenset({"40001", "40P01", "55P03"})


def is_passing(error: BaseException) -> bool:
    """Whether the database refused because of somebody else's work at the same moment."""
    return isinstance(error, OperationalError) and getattr(error.__cause__, "sqlstate", None) in _PASSING


def database_is_down(error: BaseException) -> bool:
    """Whether nothing can be written at all, so that going on with the next row is no use."""
    return isinstance(error, OperationalError | InterfaceError) and not is_passing(error)


def put_off(message: OutboxMessage, error: Exception, *, actor: str) -> None:
    """Say, from an exception's handler, that a promise could not be kept. After ten attempts there is one alert about it.

    Raises the error again when the database is down; the promise then comes back when its lease ends.
    """
    if database_is_down(error):
        raise error
    named = {"outbox": message.pk, "kind": message.kind, "topic": message.topic}
    log.error("a promise could not be kept", exc_info=error, extra=named)
    outbox.put_off(message, in_words(error))
    if message.attempts >= ATTEMPTS and not _about_being_stuck(message):
        say_once(
            f"A promise cannot be kept: row {message.pk} of the outbox",
            f"{message.kind} {message.subject} {message.topic}: after {message.attempts} attempts it still fails with "
            f"{in_words(error)}. It is tried again every ten minutes. Nothing else waits for it.",
            actor=actor,
        )


def say_once(title: str, detail: str, *, actor: str, request_id: UUID | None = None) -> None:
    """Raise an alert, unless one of this title was raised before. If that fails too it is only logged: the next try says it."""
    try:
        with audit.recorded() as trail:
            if Alert.objects.filter(kind=AlertKind.STUCK, title=title).exists():
                return
            request = ApprovalRequest.objects.filter(pk=request_id).first() if request_id else None
            raise_alert(trail, AlertKind.STUCK, title=title, detail=detail, actor=actor, request=request)
    except Exception as error:
        if database_is_down(error):
            raise
        log.exception("an alert could not be raised: %s", title)


def in_words(error: Exception) -> str:
    """An exception as PostgreSQL can store it: a text that an attacker chose may hold what it refuses."""
    said = f"{type(error).__name__}: {error}"[:1000]
    return said.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _about_being_stuck(message: OutboxMessage) -> bool:
    """An alert that cannot be delivered must not lead to another alert, and that to a third."""
    if message.kind != OutboxKind.NOTIFY or not message.subject.isdecimal():
        return False
    return Alert.objects.filter(pk=int(message.subject), kind=AlertKind.STUCK).exists()
