"""Proofs that whoever is the delivery process lays beside calls whose outcome is not known."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from approvals import ingest
from approvals.models import Attempt, Proof, TrailRecord
from executor import aws, reconcile, tasks
from executor.sandbox.world import DEMO
from tests.cast import envelope, trail_record
from tests.executor.proxy import Wire
from tests.executor.stage import QUICK, Stage, attempts, fresh
from tests.executor.test_evidence import learn, lose_what_is_queued


def sweep(stage: Stage) -> None:
    for _ in range(2):
        stage.lapse()
        with stage.acting("execution"):
            reconcile.sweep(patience=QUICK)
            tasks.execute_due()


def of_another(stage: Stage, **changes: Any) -> TrailRecord:
    """A true record of somebody else's call."""
    raw = trail_record("DeleteTable", "prod-customers", "alice", **changes)
    with stage.acting("feed"):
        ingest.ingest([ingest.Message(raw["eventID"], envelope(raw))])
    return TrailRecord.objects.get(event_id=raw["eventID"])


def proven(stage: Stage, record: TrailRecord) -> None:
    with stage.acting("delivery"):
        Proof.objects.create(attempt=Attempt.objects.get(), record=record, matched_at=timezone.now())


def test_a_denial_of_another_call_proves_nothing(stage: Stage) -> None:
    """AWS broke after the call took effect. A denial of alice's own call, laid beside it, must not make it one without effect."""
    execution = stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "DeleteTable", "500 after", times=1) as wire:
        stage.endpoint = wire.url
        stage.execute()
        stage.endpoint = ""
    lose_what_is_queued(stage)
    assert attempts(execution) == ["unknown"]
    proven(stage, of_another(stage))
    sweep(stage)
    assert fresh(execution).state == "unknown"
    assert stage.alerts().count("forgery") == 1


def test_a_success_of_another_call_proves_nothing(stage: Stage) -> None:
    """The worker was lost before the call. A success of the executor's own earlier call must not stand for this one."""
    first = stage.cast.approved(TableName="prod-customers")
    stage.execute()
    learn(stage)
    assert fresh(first).state == "succeeded"
    record = Proof.objects.get().record
    stage.forge(("DELETE FROM approvals_proof", ()))
    execution = stage.cast.approved()
    stage.killed_at("sent")
    sweep(stage)
    with stage.acting("delivery"):
        Proof.objects.create(attempt=execution.attempts.get(), record=record, matched_at=timezone.now())
    with stage.acting("feed", keys_of="mallory"):
        table = aws.client("dynamodb", DEMO.region)
        table.delete_table(TableName="prod-orders")
        table.close()
    sweep(stage)
    assert fresh(execution).state == "unknown"
