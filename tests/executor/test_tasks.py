"""Celery's tasks: the names that config routes and sweeps, and the ones that no other module tests."""

from __future__ import annotations

import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction

from approvals import outbox
from approvals.models import ApprovalRequest, OutboxKind, OutboxMessage
from config.celery import ROUTES, SWEEPS, VISIBILITY_TIMEOUT, app
from executor import aws, calling, claim, delivery, drift, feed, inspect, reconcile, tasks, trail_logs, waiting
from tests.executor.stage import Stage


def test_every_sweep_has_its_task() -> None:
    """What beat sends and config routes is what the workers know, and nothing else of ours."""
    app.loader.import_default_modules()
    ours = {name for name in app.tasks if name.startswith("executor.")}
    assert ours == set(SWEEPS) == set(ROUTES)
    assert tasks.poll_queue.name in ours


def test_no_task_lives_half_as_long_as_the_broker_waits() -> None:
    """The bounds of a task are derived from those of its parts, and the broker's time-out is more than twice their sum."""
    assert 2 * tasks.LONGEST_TASK <= VISIBILITY_TIMEOUT
    assert app.conf.broker_transport_options["visibility_timeout"] == VISIBILITY_TIMEOUT
    look = drift.LONGEST_LOOK.total_seconds() + 2 * aws.LONGEST_READ
    parts = (
        tasks.ROUND,
        look,
        waiting.PATIENCE.bound,
        2 * claim.LEASE.total_seconds(),
        2 * aws.LONGEST_READ,
    )
    assert sum(parts) == tasks.LONGEST_TASK
    assert calling.LONGEST_CALL + timedelta(seconds=sum(calling.PAUSES)) < claim.LEASE
    assert max(feed.LONGEST, delivery.LONGEST, reconcile.ROUND, inspect.LONGEST + 2 * aws.LONGEST_READ) < tasks.LONGEST_TASK
    assert trail_logs.ROUND + trail_logs.LONGEST_PROMISE + aws.LONGEST_READ < tasks.LONGEST_TASK


def test_no_time_limit_cuts_a_call_in_two() -> None:
    """Celery kills a task at a hard limit and interrupts it at a soft one, wherever it is: there is none."""
    app.loader.import_default_modules()
    limits = {(one.time_limit, one.soft_time_limit) for name, one in app.tasks.items() if name.startswith("executor.")}
    assert limits == {(None, None)}
    assert (app.conf.task_time_limit, app.conf.task_soft_time_limit) == (None, None)


sent: list[str] = []


def noted(*kinds: str) -> None:
    sent.extend(kinds)


def test_a_task_takes_nothing_new_after_its_round(stage: Stage, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two are due and the round is over after the first: the second is left, and the next message is sent at once."""
    settings.OUTBOX_NUDGE = f"{__name__}.noted"
    for table in ("prod-orders", "prod-customers"):
        stage.cast.approved(TableName=table)
    stage.sql("UPDATE approvals_outboxmessage SET done_at = now() WHERE kind = 'inspect'")
    sent.clear()
    with stage.acting("execution"):
        monkeypatch.setattr(tasks, "ROUND", 0.0)
        tasks.execute_due()
        assert (len(stage.calls()), sent.count("execute")) == (1, 1)
        tasks.execute_due()
    assert len(stage.calls()) == 2


def test_reading_log_files_ends_with_its_round(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many promises are due, a poll that has lasted for a round leaves the rest to the next."""
    kept: list[int] = []

    def keep(message: OutboxMessage) -> None:
        kept.append(message.pk)
        outbox.done(message)
        monkeypatch.setattr(trail_logs, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 25 * len(kept)))

    monkeypatch.setattr(trail_logs, "keep", keep)
    with transaction.atomic():
        for number in range(9):
            outbox.put(OutboxKind.LOGS, number)
    with stage.acting("feed"):
        trail_logs.read_due()
    assert len(kept) == 3


def test_what_ran_out_of_its_clock_expires_as_the_delivery_role(stage: Stage) -> None:
    """The delivery worker's role may end what nobody decided, tell the requester, and write the trail."""
    request = stage.cast.pending()
    stage.sql("UPDATE approvals_approvalrequest SET pending_until = now() - interval '1 second'")
    with stage.acting("delivery"):
        tasks.expire()
    assert ApprovalRequest.objects.get(pk=request.pk).state == "expired"
    assert OutboxMessage.objects.filter(topic="request.expired").count() == 1
    assert "request.expired" in stage.audit()


def test_an_approval_that_ran_out_at_the_claim_expires(stage: Stage) -> None:
    """The worker found it too late and stopped: the request does not stay approved for ever."""
    execution = stage.cast.approved()
    stage.forge(
        ("UPDATE approvals_execution SET valid_until = now() WHERE id = %s", (execution.pk,)),
        ("UPDATE approvals_approvalrequest SET approved_until = now()", ()),
    )
    stage.execute()
    with stage.acting("delivery"):
        tasks.expire()
    assert ApprovalRequest.objects.get().state == "expired"
