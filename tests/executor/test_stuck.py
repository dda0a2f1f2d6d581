"""Rows that nobody can digest: they stand aside, one alert names them, and what is behind them goes on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError, connections
from django.utils import timezone

from approvals import outbox
from approvals.models import Alert, AlertKind, Attempt, AuditEntry, Execution, OutboxMessage
from executor import delivery, reconcile, stuck, tasks
from executor.sandbox.world import DEMO
from tests.executor.stage import QUICK, Stage, attempts, fresh
from tests.executor.test_evidence import learn

PROMISE = """
INSERT INTO approvals_outboxmessage (kind, subject, topic, created_at, due_at, attempts, error)
VALUES (%s, %s, %s, '2000-01-01', '2000-01-01', %s, '') RETURNING id
"""
POISON = [
    ("notify", "00000000-0000-0000-0000-000000000000", "nonsense"),
    ("notify", "x", "request.pending"),
    ("notify", "x", "alert.raised"),
    ("mirror", "x", ""),
    ("prove", "x", ""),
]


def promised(stage: Stage, kind: str, subject: str, topic: str = "", *, attempts: int = 0) -> OutboxMessage:
    ((pk,),) = stage.sql(PROMISE, kind, subject, topic, attempts)
    return OutboxMessage.objects.get(pk=pk)


def test_delivery_goes_on_after_what_it_cannot_digest(stage: Stage) -> None:
    """Every kind of nonsense is put off with its error in words, and the promise behind it is kept in the same drain."""
    bad = [promised(stage, *row) for row in POISON]
    stage.cast.pending()
    good = OutboxMessage.objects.get(kind="notify", topic="request.pending", created_at__year__gt=2000)
    with stage.acting("delivery"):
        delivery.drain()
    good.refresh_from_db()
    assert good.done_at is not None
    for message in bad:
        message.refresh_from_db()
        assert (message.done_at, message.attempts) == (None, 1)
        assert message.error != ""
        assert message.due_at > timezone.now()


def test_an_approved_call_is_made_although_a_row_before_it_breaks_the_worker(stage: Stage) -> None:
    """A revision with an operation that the table does not know is promised to be read: the approved deletion still runs."""
    execution = stage.cast.approved()
    other = stage.cast.filed(TableName="prod-customers").current_revision()
    stage.forge(
        ("UPDATE approvals_revision SET text = replace(text, 'DeleteTable', 'DropTable') WHERE id = %s", (other.pk,)),
        ("UPDATE approvals_outboxmessage SET done_at = now() WHERE kind = 'inspect'", ()),
    )
    broken = promised(stage, "inspect", str(other.pk))
    stage.execute()
    assert fresh(execution).state == "succeeded"
    broken.refresh_from_db()
    assert broken.done_at is None
    assert "UnknownOperation" in broken.error


def test_after_ten_attempts_one_alert_names_the_row(stage: Stage) -> None:
    """The tenth failure raises one alert with the row's number, the eleventh none; the row is tried on at the longest delay."""
    message = promised(stage, "mirror", "no-id\n", attempts=8)
    for expected in ([], ["stuck"], ["stuck"]):
        with stage.acting("delivery"):
            delivery.drain()
        assert stage.alerts() == expected
        stage.sql("UPDATE approvals_outboxmessage SET due_at = now() WHERE id = %s", message.pk)
    alert = Alert.objects.get()
    assert str(message.pk) in alert.title
    assert "no-id" in alert.detail
    assert AuditEntry.objects.filter(kind="alert.raised").count() == 1
    with stage.acting("delivery"):
        delivery.drain()
    message.refresh_from_db()
    assert message.due_at - timezone.now() > timedelta(minutes=9)


def test_an_alert_that_cannot_be_told_leads_to_no_other_alert(stage: Stage) -> None:
    """The notification about being stuck is itself stuck: that is not another alert, or there would be no end of them."""
    with stage.acting("delivery"):
        stuck.say_once("stuck", "stuck", actor="process:delivery")
        message = OutboxMessage.objects.get(kind="notify")
        message.attempts = 50
        stuck.put_off(message, KeyError("nobody to tell"), actor="process:delivery")
    assert stage.alerts() == ["stuck"]


def test_an_error_with_what_postgresql_cannot_store_is_stored(stage: Stage) -> None:
    """A NUL or half a surrogate in an exception's text does not break the putting off."""
    message = promised(stage, "mirror", "x")
    outbox.put_off(message, stuck.in_words(ValueError("a\0b\ud800")))
    message.refresh_from_db()
    assert message.error == "ValueError: a\\0b\\ud800"


def test_a_database_that_is_down_stops_the_drain(stage: Stage) -> None:
    """Nothing can be put off then: the error is raised, and leases bring the promises back."""
    message = promised(stage, "mirror", "x")
    with stage.acting("delivery"), pytest.raises(OperationalError):
        stuck.put_off(message, OperationalError("the connection is closed"), actor="process:delivery")


def running(execution: Execution, step: int) -> Attempt:
    """As a worker leaves it that was lost with a call on the wire."""
    before = timezone.now() - timedelta(minutes=10)
    rows = Execution.objects.filter(pk=execution.pk)
    rows.update(state="claimed", token=1, lease_until=before)
    rows.update(state="running")
    return Attempt.objects.create(
        execution=execution,
        step=step,
        number=1,
        token=1,
        operation="dynamodb:DeleteTable",
        region=DEMO.region,
        access_key_id="ASIA",
        sent_at=before,
    )


def test_those_that_wait_for_a_worker_keep_no_outcome_from_being_looked_at(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """During a pause any number waits, each with a promise to it: a sweep's few looks are for what nobody else looks after."""
    monkeypatch.setattr(reconcile, "MOST", 1)
    execution = stage.cast.approved()
    stage.killed_at("called")
    stage.cast.paused()
    for table in ("prod-customers", "prod-one", "prod-two"):
        stage.cast.approved(TableName=table)
    stage.sweep()
    learn(stage)
    stage.sweep()
    assert fresh(execution).state == "succeeded"


def test_what_is_unknown_keeps_no_lost_call_from_being_looked_at(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outcomes that wait for people are looked at in turn with all others, and after a call whose worker was lost."""
    first, second = stage.cast.approved(), stage.cast.approved(TableName="prod-customers")
    stage.killed_at("sent")
    stage.sweep()
    assert sorted([fresh(first).state, fresh(second).state]) == ["succeeded", "unknown"]
    monkeypatch.setattr(reconcile, "MOST", 1)
    third, fourth = stage.cast.approved(TableName="prod-one"), stage.cast.approved(TableName="prod-two")
    stage.killed_at("sent")
    stage.lapse()
    with stage.acting("execution"):
        reconcile.sweep(patience=QUICK)
    assert "unknown" in {fresh(third).state, fresh(fourth).state}
    unknown = Execution.objects.filter(state="unknown")
    with stage.acting("execution"):
        reconcile.sweep(patience=QUICK)
        reconcile.sweep(patience=QUICK)
    # Each of the two has had its turn.
    assert not unknown.filter(lease_until=None).exists()


def test_a_broken_row_does_not_stop_the_sweep(stage: Stage, settings) -> None:
    """An attempt for a step that the plan does not have: one alert, and the lost call and the missing proof are seen to."""
    settings.UNPROVEN_AFTER = 0
    done = stage.cast.approved()
    stage.execute()
    lost = stage.cast.approved(TableName="prod-customers")
    running(lost, 0)
    broken = stage.cast.approved(TableName="prod-customers")
    Attempt.objects.filter(pk=running(broken, 7).pk).update(state="accepted")
    for _ in range(2):
        with stage.acting("execution"):
            reconcile.sweep(patience=QUICK)
        stage.lapse()
    assert (fresh(lost).state, attempts(lost)) == ("unknown", ["unknown"])
    assert stage.alerts() == ["stuck", "unknown", "unproven"]
    alert = Alert.objects.get(kind=AlertKind.STUCK)
    assert alert.request == broken.revision.request
    assert str(broken.pk) in alert.title
    assert Alert.objects.get(kind=AlertKind.UNPROVEN).request == done.revision.request


def test_the_workers_role_may_say_that_it_is_stuck(stage: Stage) -> None:
    """The execution process raises the alert with its own rights; an execution's promise that breaks is put off, not lost."""
    stage.cast.approved()
    stage.sql("UPDATE approvals_outboxmessage SET attempts = 20 WHERE kind = 'execute'")
    stage.sql("ALTER TABLE approvals_signature RENAME TO approvals_signature_elsewhere")
    stage.execute()
    stage.sql("ALTER TABLE approvals_signature_elsewhere RENAME TO approvals_signature")
    connections["default"].close()
    assert stage.alerts() == ["stuck"]
    stage.lapse()
    with stage.acting("execution"):
        tasks.execute_due()
    assert len(stage.calls()) == 1
