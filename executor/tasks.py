"""Celery's tasks: load, call, return. A task carries no arguments; its work is in verified rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from celery import shared_task

from approvals import changes, decisions, outbox, statements, weakened
from approvals.models import OutboxKind, OutboxMessage
from executor import aws, closing, delivery, drift, endings, feed, inspect, reconcile, run, stuck, trail_logs, waiting
from executor.claim import LEASE

_HANDS: Final[Mapping[OutboxKind, Callable[[OutboxMessage], None]]] = {
    OutboxKind.EXECUTE: run.keep,
    OutboxKind.INSPECT: inspect.keep,
    OutboxKind.CLOSE: closing.keep,
}
# Seconds. A message is given to a second worker when the broker has waited for its visibility time-out (config.celery): no task
# lives half as long. After ROUND it takes nothing new. An execution is carried out step by step, and a step is at most a session,
# a call, its recording and the looks until it has settled. No time limit of Celery's: it cuts a call in two.
ROUND: Final = 60.0
_LONGEST_LOOK: Final = drift.LONGEST_LOOK.total_seconds() + 2 * aws.LONGEST_READ
_LONGEST_STEP: Final = 2 * LEASE.total_seconds() + waiting.PATIENCE.bound + 2 * aws.LONGEST_READ
LONGEST_TASK: Final = ROUND + _LONGEST_LOOK + _LONGEST_STEP


@shared_task(name="executor.tasks.poll_queue")
def poll_queue() -> None:
    """Take in what is on the event queue, and what log files hold of calls whose outcome is not known."""
    feed.poll()
    trail_logs.read_due()


@shared_task(name="executor.tasks.deliver")
def deliver() -> None:
    """Notify, mirror, match evidence."""
    delivery.drain()


@shared_task(name="executor.tasks.execute_due")
def execute_due() -> None:
    """Carry out what is approved and read what is to be shown: one at a time, since one can take minutes.

    After a round the rest is left to the next message, which is sent at once.
    """
    end = time.monotonic() + ROUND
    while due := outbox.take(_HANDS, most=1):
        try:
            _HANDS[OutboxKind(due[0].kind)](due[0])
        except Exception as error:  # noqa: BLE001 - logged there; whatever one row runs into, the next may be an approved call
            stuck.put_off(due[0], error, actor=endings.ACTOR)
        if time.monotonic() > end:
            outbox.nudge(OutboxKind.EXECUTE)
            return


@shared_task(name="executor.tasks.reconcile")
def reconcile_open() -> None:
    """Look after executions without an owner and outcomes that are not known."""
    reconcile.sweep()


@shared_task(name="executor.tasks.apply_changes")
def apply_changes() -> None:
    """Apply what administrators signed, and what invited persons registered; end what ran out of its clock.

    Then look whether somebody took a control away. What a round leaves is applied at the next sweep.
    """
    end = time.monotonic() + ROUND
    while time.monotonic() < end and (due := outbox.take([OutboxKind.APPLY], most=1)):
        try:
            changes.apply(due[0].subject_id)
            outbox.done(due[0])
        except Exception as error:  # noqa: BLE001 - logged there; the next change must not wait for this one
            stuck.put_off(due[0], error, actor=changes.ACTOR)
    changes.expire()
    weakened.look(actor=changes.ACTOR)


@shared_task(name="executor.tasks.expire")
def expire() -> None:
    """End what has run out of its clock."""
    decisions.expire()
    statements.expire()
