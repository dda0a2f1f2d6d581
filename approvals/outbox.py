"""The outbox: put a promise in the transaction that makes it true; take what is due; say done or put it off.

A worker that takes a message holds it on a lease: if it dies, the message is due again when the lease runs out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.module_loading import import_string

from approvals.models import OutboxKind, OutboxMessage

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=60)
LONGEST_DELAY = timedelta(minutes=10)
# No promise is tried so often: whoever writes a larger number into a row must not make it one that cannot be taken.
MOST_ATTEMPTS = 1_000_000
# One statement, so one way to the database and back: a worker that is nudged has nothing else to wait for.
_TAKE: Final = """
    WITH due AS (
        SELECT id, due_at FROM approvals_outboxmessage
        WHERE kind = ANY(%s) AND done_at IS NULL AND due_at <= %s
        ORDER BY due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE approvals_outboxmessage message SET attempts = least(attempts::bigint + 1, %s), due_at = %s
        FROM due WHERE message.id = due.id
        RETURNING message.id, kind, subject, topic, created_at, message.due_at, attempts, done_at, error, due.due_at AS was_due_at
    )
    SELECT id, kind, subject, topic, created_at, due_at, attempts, done_at, error FROM taken ORDER BY was_due_at, id
"""


def put(kind: OutboxKind, subject: UUID | int, *, topic: str = "", due_at: datetime | None = None) -> None:
    """Promise. Must be called inside the transaction that makes the promise true; workers are nudged when it commits."""
    if not connection.in_atomic_block:
        raise RuntimeError("An outbox message belongs into the transaction that makes it true.")
    now = timezone.now()
    OutboxMessage.objects.create(kind=kind, subject=str(subject), topic=topic, created_at=now, due_at=due_at or now)
    _nudge_once_committed(kind)


def take(kinds: Iterable[OutboxKind], *, most: int = 20) -> list[OutboxMessage]:
    """Take what is due, oldest first, on a lease. Two workers never get the same message within it."""
    now = timezone.now()
    return list(OutboxMessage.objects.raw(_TAKE, [[str(kind) for kind in kinds], now, most, MOST_ATTEMPTS, now + LEASE]))


def done(message: OutboxMessage) -> None:
    """The promise is kept. The row stays."""
    OutboxMessage.objects.filter(pk=message.pk).update(done_at=timezone.now(), error="")


def put_off(message: OutboxMessage, why: str, *, until: datetime | None = None) -> None:
    """The promise is not kept yet: due again after a delay that doubles with each attempt, or at `until`.

    To wait until a time is no failure: whatever fails afterwards is tried again as soon as if it were the first.
    """
    delay = min(timedelta(seconds=2 ** min(message.attempts, 10)), LONGEST_DELAY)
    OutboxMessage.objects.filter(pk=message.pk, done_at__isnull=True).update(
        due_at=until or timezone.now() + delay, error=why[:2000], attempts=0 if until else F("attempts")
    )


class _Nudges:
    """What wakes the workers once the transaction is committed: of all the promises in it, each worker once."""

    def __init__(self) -> None:
        self.kinds: dict[OutboxKind, None] = {}
        # Django names a robust hook that failed by this.
        self.__qualname__ = type(self).__qualname__

    def __call__(self) -> None:
        nudge(*self.kinds)


def _nudge_once_committed(kind: OutboxKind) -> None:
    # A hook of a savepoint that was rolled back is gone from the list, and the next promise makes another.
    found = next((hook for _, hook, *_ in connection.run_on_commit if isinstance(hook, _Nudges)), None)
    if found is None:
        found = _Nudges()
        transaction.on_commit(found, robust=True)
    found.kinds[kind] = None


def nudge(*kinds: OutboxKind) -> None:
    """Wake the workers that keep promises of these kinds. A nudge that fails loses nothing: a sweep finds the row."""
    # A setting names what is called, so that this room knows no Celery.
    name = getattr(settings, "OUTBOX_NUDGE", "")
    if name:
        import_string(name)(*map(str, kinds))
