"""A backup step runs first, waits until the backup is usable, is recorded by its ARN, and is looked at again before the loss."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.config import Config
from django.utils import timezone

from approvals.models import Attempt, AuditEntry, Execution
from approvals.plan import Step
from executor import aws, backups
from executor.errors import WillNotSettle
from executor.sandbox.world import DEMO
from tests.executor.proxy import Wire
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_steps import approved

BACKUP = Step("dynamodb", "CreateBackup", {"TableName": "prod-customers", "BackupName": "before"})
PITR = Step(
    "dynamodb",
    "UpdateContinuousBackups",
    {"TableName": "prod-customers", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}},
)
DELETE = Step("dynamodb", "DeleteTable", {"TableName": "prod-customers"})


def tables() -> Any:
    from moto.dynamodb.models import dynamodb_backends

    return dynamodb_backends[DEMO.account][DEMO.region]


def ended(execution: Execution) -> tuple[str, list[str]]:
    return fresh(execution).state, attempts(execution)


def test_the_backup_is_usable_and_named_before_the_loss_goes_out(stage: Stage) -> None:
    """It is CREATING at first: the deletion waits for it; the attempt and the trail hold its ARN."""
    execution = approved(stage, BACKUP, DELETE)
    stage.execute()
    assert ended(execution) == ("succeeded", ["succeeded", "succeeded"])
    made = Attempt.objects.get(step=0).made
    assert made in tables().backups
    assert made in AuditEntry.objects.filter(kind="attempt.settled").order_by("sequence")[0].body
    looks = [one["eventTime"] for one in stage.calls("DescribeBackup")]
    assert len(looks) >= 4, "until it is usable, twice; for its name; and once more before the loss"
    assert max(looks) <= stage.calls("DeleteTable")[0]["eventTime"]


@pytest.mark.parametrize("fault", ["close before", "yes before"])
@pytest.mark.parametrize("spared", range(6))
def test_no_loss_goes_out_before_the_backup_s_name_is_known(
    stage: Stage, spared: int, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS tells nothing of it once, or answers with nothing, whichever look that hits: its ARN is recorded all the same, and
    before the call. That it is gone is said by AWS alone."""
    execution = approved(stage, BACKUP, DELETE)
    monkeypatch.setattr(aws, "_AGAIN", aws._AGAIN.merge(Config(retries={"total_max_attempts": 1, "mode": "standard"})))
    with Wire(stage.aws.endpoint_url, "DescribeBackup", fault, spared=spared, times=1) as wire:
        stage.endpoint = wire.url
        stage.execute()
        named = Attempt.objects.get(step=0).made
        assert named in tables().backups or stage.calls("DeleteTable") == []
        stage.sweep(4)
        stage.endpoint = ""
    assert ended(execution) == ("succeeded", ["succeeded", "succeeded"])
    assert Attempt.objects.get(step=0).made in tables().backups


def test_point_in_time_recovery_is_verified(stage: Stage) -> None:
    """Switched on as a step, read again right before the loss."""
    execution = approved(stage, PITR, DELETE)
    stage.execute()
    assert ended(execution) == ("succeeded", ["succeeded", "succeeded"])
    assert len(stage.calls("DescribeContinuousBackups")) >= 3


def test_a_refused_backup_stops_everything(stage: Stage) -> None:
    """AWS makes none: the loss is never sent."""
    execution = approved(stage, Step("dynamodb", "CreateBackup", {"TableName": "prod-nothing", "BackupName": "before"}), DELETE)
    stage.execute()
    stage.sweep(4)
    assert ended(execution) == ("failed", ["rejected"])
    assert stage.calls("DeleteTable") == []


def test_a_backup_that_will_never_be_usable_stops_everything(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS accepted it and shows that it came to nothing: the step is partial, the execution failed, and says why."""
    from moto.dynamodb.models.table import Backup

    monkeypatch.setattr(Backup, "status", property(lambda _: "DELETED", lambda *_: None), raising=False)
    execution = approved(stage, BACKUP, DELETE)
    stage.execute()
    stage.sweep(4)
    assert ended(execution) == ("failed", ["partial"])
    assert "cannot be used" in fresh(execution).outcome
    assert "DELETED" in fresh(execution).outcome
    assert stage.calls("DeleteTable") == []


@pytest.mark.parametrize("plan", [(BACKUP, DELETE), (PITR, DELETE)], ids=["backup", "recovery"])
def test_a_backup_that_is_gone_after_a_take_over_stops_the_loss(stage: Stage, plan: tuple[Step, ...]) -> None:
    """The worker dies between the two; somebody takes the backup away; whoever takes over looks, and makes no call."""
    execution = approved(stage, *plan)
    stage.killed_at("settled")
    tables().backups.clear()
    tables().tables["prod-customers"].continuous_backups["PointInTimeRecoveryDescription"] = {
        "PointInTimeRecoveryStatus": "DISABLED"
    }
    stage.sweep(4)
    assert ended(execution) == ("failed", ["succeeded"])
    assert "does not protect" in fresh(execution).outcome
    assert stage.calls("DeleteTable") == []


def test_another_table_of_the_same_name_is_not_what_was_backed_up(stage: Stage) -> None:
    """Deleted and made anew between the backup and its loss: the backup is of the former table, so nothing is called."""
    execution = approved(stage, BACKUP, DELETE)
    stage.killed_at("settled")
    table = tables().tables["prod-customers"]
    table.created_at += timedelta(minutes=1)
    stage.sweep(4)
    assert ended(execution) == ("failed", ["succeeded"])
    assert stage.calls("DeleteTable") == []


@pytest.mark.parametrize("point", ["answered", "settled"])
def test_whoever_takes_over_settles_from_the_stored_answer(stage: Stage, point: str) -> None:
    """The ARN of the backup stands in AWS's answer alone: it is read from the row, and both steps are made once."""
    execution = approved(stage, BACKUP, DELETE)
    stage.killed_at(point)
    stage.sweep(4)
    assert ended(execution) == ("succeeded", ["succeeded", "succeeded"])
    assert Attempt.objects.get(step=0).made in tables().backups
    assert [len(stage.calls(name)) for name in ("CreateBackup", "DeleteTable")] == [1, 1]


class TestABackupThatTakesLong:
    @pytest.fixture
    def slow(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        from moto.dynamodb.models.table import Backup

        status = ["CREATING"]
        monkeypatch.setattr(Backup, "status", property(lambda _: status[0], lambda *_: None), raising=False)
        return status

    def test_the_sweep_looks_on_and_the_loss_follows(self, stage: Stage, slow: list[str]) -> None:
        """Longer than a worker waits: the step stays accepted, nothing is unknown, and the rest is made once it is usable."""
        execution = approved(stage, BACKUP, DELETE)
        stage.execute()
        stage.sweep(4)
        assert ended(execution) == ("running", ["accepted"])
        assert stage.alerts() == []
        slow[0] = "AVAILABLE"
        stage.sweep(4)
        assert ended(execution) == ("succeeded", ["succeeded", "succeeded"])

    def test_it_ends_with_the_approval(self, stage: Stage, slow: list[str]) -> None:
        """What it is for could not be made any more: then its end is unknown, and people are told."""
        execution = approved(stage, BACKUP, DELETE)
        stage.execute()
        past = timezone.now() - timedelta(seconds=1)
        stage.forge(
            ("UPDATE approvals_attempt SET answered_at = %s", (past - timedelta(minutes=10),)),
            ("UPDATE approvals_execution SET not_before = %s, valid_until = %s", (past - timedelta(hours=1), past)),
        )
        stage.sweep(4)
        assert ended(execution) == ("unknown", ["accepted"])
        assert stage.calls("DeleteTable") == []


class _Told:
    """What AWS says of a backup."""

    def __init__(self, said: dict[str, Any]) -> None:
        self._said = said

    def read(self, service: str, operation: str, parameters: Any) -> dict[str, Any]:
        return self._said


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"TableId": "one"}, ""),
        ({}, ""),
        ({"TableId": "another"}, "of another target of the same name: TableId was another, and is one"),
    ],
)
def test_a_backup_protects_the_target_that_it_is_of(source: dict[str, str], why: str) -> None:
    """A table that was made anew under the name has another id than the one that the backup holds."""
    step = Step("dynamodb", "CreateBackup", {"TableName": "t", "BackupName": "b"})
    answer = {"BackupDetails": {"BackupArn": "arn:aws:dynamodb:eu-west-1:111122223333:table/t/backup/1"}}
    said = {"BackupDescription": {"BackupDetails": {"BackupStatus": "AVAILABLE"}, "SourceTableDetails": source}}
    found = backups.why_no_use(_Told(said), step, answer, {"TableId": "one"})
    assert why in found if why else found == ""


@pytest.mark.parametrize(("days", "usable"), [(None, True), (-1, True), (1, False), (3653, False)])
@pytest.mark.parametrize(
    "step",
    [
        Step("redshift", "CreateClusterSnapshot", {"ClusterIdentifier": "c", "SnapshotIdentifier": "s"}),
        Step("redshift", "DeleteCluster", {"ClusterIdentifier": "c", "FinalClusterSnapshotIdentifier": "s"}),
    ],
    ids=lambda step: step.operation,
)
def test_a_snapshot_that_its_cluster_keeps_for_some_days_is_no_backup(step: Step, days: int | None, *, usable: bool) -> None:
    """The call asks for no end, and the cluster's own default (ModifyCluster) may set one: AWS tells it of the snapshot."""
    told = _Told({"Snapshots": [{"Status": "available", "ManualSnapshotRetentionPeriod": days}]})
    if usable:
        assert backups.is_usable(told, step, {})
        assert backups.why_no_use(told, step, {}, {}) == ""
        return
    with pytest.raises(WillNotSettle, match="kept only for a number of days"):
        backups.is_usable(told, step, {})
    assert "kept only for a number of days" in backups.why_no_use(told, step, {}, {})
