"""Ways around a backup, by rows that nobody's worker wrote."""

from __future__ import annotations

from typing import Any

from approvals.plan import Step
from executor import aws, reconcile, tasks
from executor.sandbox.world import DEMO
from tests.executor.stage import QUICK, Stage, fresh
from tests.executor.test_steps import approved

BACKUP = Step("dynamodb", "CreateBackup", {"TableName": "prod-orders", "BackupName": "before"})
DELETE = Step("dynamodb", "DeleteTable", {"TableName": "prod-orders"})


def sweep(stage: Stage) -> None:
    for _ in range(3):
        stage.lapse()
        with stage.acting("execution"):
            reconcile.sweep(patience=QUICK)
            tasks.execute_due()


def old_backup(stage: Stage) -> str:
    """One that somebody made long ago of the very table."""
    with stage.acting("feed", keys_of="mallory"):
        client = aws.client("dynamodb", DEMO.region)
        arn = client.create_backup(TableName="prod-orders", BackupName="old")["BackupDetails"]["BackupArn"]
        client.close()
        return str(arn)


def test_a_backup_that_no_worker_made_stands_for_none(stage: Stage) -> None:
    """Whoever owns the tables writes that the backup step succeeded, and names an old one: the claims outside know nothing of it."""
    execution = approved(stage, BACKUP, DELETE)
    arn = old_backup(stage)
    stage.forge(
        (
            "UPDATE approvals_execution SET state = 'running', token = 1, claimed_at = now(), lease_until = now(), worker = 'x'",
            (),
        ),
        (
            "INSERT INTO approvals_attempt (execution_id, step, number, token, operation, region, access_key_id, sent_at, state, "
            "aws_request_id, answered_at, settled_at, answer, made, error_code, error_message, may_repeat, rehearsal, claimed_as, "
            "client_token) VALUES (%s, 0, 1, 1, 'dynamodb:CreateBackup', %s, 'ASIAX', now(), 'succeeded', 'R', now(), now(), %s, "
            "%s, '', '', false, false, 'claims/x', '')",
            (execution.pk, DEMO.region, '{"BackupDetails": {"BackupArn": "%s"}}' % arn, arn),
        ),
    )
    sweep(stage)
    assert stage.calls("DeleteTable") == []
    assert fresh(execution).state in {"unknown", "failed"}


def test_read_records_of_log_files_alarm_nobody(stage: Stage, settings: Any) -> None:
    """Log files hold reading calls as well: that a session asked who it is accounts for itself."""
    from approvals.models import TrailRecord
    from executor import delivery, trail_logs
    from tests.executor.test_trail_logs import lost, read

    settings.TRAIL_BUCKET, settings.TRAIL_PREFIX, settings.TRAIL_REGION = DEMO.trail_bucket, DEMO.trail_prefix, ""
    trail_logs._read.clear()
    lost(stage)
    stage.aws.write_log_files()
    read(stage)
    settings.PROOF_GRACE = 0
    with stage.acting("delivery"):
        delivery.drain()
    print(list(TrailRecord.objects.values_list("event_name", "fate", "why")))
    assert "rogue" not in stage.alerts()
