"""Ways around a backup, by rows that nobody's worker wrote."""

from __future__ import annotations

import json

import pytest

from approvals.models import Attempt
from approvals.plan import Step
from executor import aws, reconcile, tasks
from executor.sandbox.world import DEMO
from tests.executor.proxy import Wire
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


RUNNING = "UPDATE approvals_execution SET state = 'running', token = 1, claimed_at = now(), lease_until = now(), worker = 'x'"
MADE = """
INSERT INTO approvals_attempt (execution_id, step, number, token, operation, region, access_key_id, state, aws_request_id, answer,
made, claimed_as, sent_at, answered_at, settled_at, error_code, error_message, client_token, may_repeat, rehearsal)
VALUES (%s, 0, %s, 1, 'dynamodb:CreateBackup', %s, 'ASIAX', 'succeeded', 'R', %s, %s, %s, now(), now(), now(), '', '', '', false,
false)
"""


@pytest.mark.parametrize("claimed_as", ["", "claims/of-nothing"])
def test_a_backup_that_no_worker_made_stands_for_none(stage: Stage, claimed_as: str) -> None:
    """Whoever owns the tables writes that the backup was made, and names an old one: the claims outside know nothing of it."""
    execution = approved(stage, BACKUP, DELETE)
    arn = old_backup(stage)
    answer = json.dumps({"BackupDetails": {"BackupArn": arn}})
    stage.forge((RUNNING, ()), (MADE, (execution.pk, 1, DEMO.region, answer, arn, claimed_as)))
    sweep(stage)
    assert stage.calls("DeleteTable") == []
    assert fresh(execution).state == "unknown"
    assert "claimed" in stage.alerts()


def test_one_claim_stands_for_one_attempt(stage: Stage) -> None:
    """AWS throttled the backup, and whoever owns the tables adds a row that it was made at the second try, under the first one's
    claim, which does lie outside: the table is not deleted."""
    execution = approved(stage, BACKUP, DELETE)
    with Wire(stage.aws.endpoint_url, "CreateBackup", "throttle before", times=1) as wire:
        stage.endpoint = wire.url
        stage.execute()
        stage.endpoint = ""
    arn, first = old_backup(stage), Attempt.objects.get().claimed_as
    answer = json.dumps({"BackupDetails": {"BackupArn": arn}})
    stage.forge((MADE, (execution.pk, 2, DEMO.region, answer, arn, first)))
    sweep(stage)
    assert stage.calls("DeleteTable") == []
    assert (fresh(execution).state, "claimed" in stage.alerts()) == ("unknown", True)
