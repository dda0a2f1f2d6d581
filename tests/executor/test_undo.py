"""File the reverse: offered once a call was made, prefilled, filed and signed like any other; it brings back what it can."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from approvals.models import ApprovalRequest, Attempt, Execution
from approvals.plan import Step
from executor.sandbox.world import DEMO
from portal import undoing
from tests.cast import ACCOUNT, REGION, Cast, seal
from tests.executor.stage import Stage, fresh
from tests.executor.test_protective_steps import BACKUP, DELETE, tables
from tests.executor.test_steps import approved
from tests.fingerprint import fingerprint
from tests.portal.hands import browser_of

KEY = DEMO.key_id("alias/prod-payments")


@pytest.fixture
def cast(cloned_database: str, tmp_path: Any, settings: Any) -> Cast:
    """Every guardrail of the demo, sealed."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": plain}
    return seal(tmp_path, settings, whole=True)


def page_of(stage: Stage, execution: Execution, who: str = "alice") -> str:
    browser = browser_of(stage.cast, who)
    return browser.get(browser.page("change", execution.revision.request)).content.decode()


def offers_on(page: str) -> list[str]:
    return [html.unescape(found) for found in re.findall(r'href="([^"]+reverse=[^"]+)"', page)]


def reversed_by(stage: Stage, address: str) -> ApprovalRequest:
    """Alice opens the form of the offer and files it as it is."""
    alice = browser_of(stage.cast, "alice")
    before = fingerprint()
    form = alice.get(address)
    assert form.status_code == 200
    assert fingerprint() == before, "opening the form changes nothing"
    fields = {name: value for name, value in _inputs(form.content.decode()).items() if value}
    filed = alice.post(address.partition("?")[0], {**fields, "place": f"{ACCOUNT}/{REGION}"})
    assert filed.status_code == 302, filed.content.decode()[:3000]
    return ApprovalRequest.objects.latest("created_at")


def _inputs(page: str) -> dict[str, str]:
    form = page[page.index('class="operation"') :]
    found = re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', form)
    return {html.unescape(name): html.unescape(value) for name, value in found}


def carried_out(stage: Stage, request: ApprovalRequest) -> Execution:
    stage.cast.sign_review(stage.cast.sign_confirm(request, reason=request.reason))
    stage.execute()
    return fresh(Execution.objects.get(revision__request=request))


def test_a_table_comes_back_from_the_backup_that_was_taken(stage: Stage) -> None:
    """The backup's ARN is filled in, the reason names the former request, and two persons sign it like any other."""
    execution = approved(stage, BACKUP, DELETE)
    assert offers_on(page_of(stage, execution)) == [], "nothing was done yet"
    stage.execute()
    page = page_of(stage, execution)
    assert "What it cannot bring back:" in page
    assert "TTL setting" in page
    (address,) = offers_on(page)
    request = reversed_by(stage, address)
    (step,) = request.current_revision().steps
    made = Attempt.objects.get(execution=execution, step=0).made
    assert step == Step("dynamodb", "RestoreTableFromBackup", {"TargetTableName": "prod-customers", "BackupArn": made})
    assert str(execution.revision.request.pk) in request.reason
    assert request.state == "draft"
    assert "prod-customers" not in tables().tables
    assert carried_out(stage, request).state == "succeeded"
    assert "prod-customers" in tables().tables


def test_what_a_later_step_took_away_has_no_way_back(stage: Stage) -> None:
    """Protection was switched off and the table deleted: only the table comes back, there is nothing to protect before."""
    unprotect = Step("dynamodb", "UpdateTable", {"TableName": "prod-orders", "DeletionProtectionEnabled": False})
    backup = Step("dynamodb", "CreateBackup", {"TableName": "prod-orders", "BackupName": "before"})
    tables().tables["prod-orders"].deletion_protection_enabled = True
    execution = approved(stage, backup, unprotect, Step("dynamodb", "DeleteTable", {"TableName": "prod-orders"}))
    stage.execute()
    stage.sweep()
    assert fresh(execution).state == "succeeded"
    (address,) = offers_on(page_of(stage, execution))
    assert "RestoreTableFromBackup" in address


@pytest.mark.parametrize(
    ("later", "earlier", "away"),
    [
        (
            Step("s3", "DeleteObject", {"Bucket": "b", "Key": "two"}),
            Step("s3", "DeleteObject", {"Bucket": "b", "Key": "one"}),
            False,
        ),
        (Step("s3", "DeleteBucket", {"Bucket": "b"}), Step("s3", "DeleteObject", {"Bucket": "b", "Key": "one"}), True),
        (
            Step("neptune", "DeleteDBCluster", {"DBClusterIdentifier": "c", "SkipFinalSnapshot": True}),
            Step("rds", "StopDBCluster", {"DBClusterIdentifier": "c"}),
            True,
        ),
    ],
)
def test_a_later_step_takes_away_what_it_names_whole(later: Step, earlier: Step, away: bool) -> None:
    """Another object of a bucket stays, the bucket takes all of its objects along, and one API has several services' names."""
    assert undoing._took_away(later, earlier) is away


def test_what_a_later_step_changed_has_a_way_back(stage: Stage) -> None:
    """A shorter retention loses backups and takes no instance away: its protection can be switched on again."""
    names = {"DBInstanceIdentifier": "prod-ledger", "ApplyImmediately": True}
    unprotect = Step("rds", "ModifyDBInstance", {**names, "DeletionProtection": False})
    execution = approved(stage, unprotect, Step("rds", "ModifyDBInstance", {**names, "BackupRetentionPeriod": 7}))
    stage.execute()
    stage.sweep()
    assert fresh(execution).state == "succeeded", fresh(execution).outcome
    (address,) = offers_on(page_of(stage, execution))
    assert "ModifyDBInstance" in address
    assert f"{execution.revision.request.pk}.1." in address


def test_the_deletion_of_a_key_is_cancelled_and_the_key_enabled(stage: Stage) -> None:
    """Two calls, because a cancelled deletion leaves the key disabled; both are in the plan that is signed."""
    execution = approved(stage, Step("kms", "ScheduleKeyDeletion", {"KeyId": KEY, "PendingWindowInDays": 7}))
    stage.execute()
    request = reversed_by(stage, offers_on(page_of(stage, execution))[0])
    assert [step.operation for step in request.current_revision().steps] == ["CancelKeyDeletion", "EnableKey"]
    assert carried_out(stage, request).state == "succeeded"
    from moto.kms.models import kms_backends

    assert kms_backends[ACCOUNT][REGION].keys[KEY].enabled


def test_a_secret_is_restored_within_its_window_alone(stage: Stage) -> None:
    """Deleted for good there is no way back, and none is offered."""
    execution = approved(
        stage, Step("secretsmanager", "DeleteSecret", {"SecretId": "prod/db/password", "RecoveryWindowInDays": 7})
    )
    stage.execute()
    request = reversed_by(stage, offers_on(page_of(stage, execution))[0])
    assert carried_out(stage, request).state == "succeeded"
    again = approved(
        stage, Step("secretsmanager", "DeleteSecret", {"SecretId": "prod/db/password", "ForceDeleteWithoutRecovery": True})
    )
    stage.execute()
    assert fresh(again).state == "succeeded"
    assert offers_on(page_of(stage, again)) == []


def test_nobody_is_shown_the_way_back_of_what_he_may_not_see(stage: Stage) -> None:
    """An address with another's request fills in nothing: the form is empty, whatever was read of the target stays hidden."""
    execution = approved(stage, BACKUP, DELETE)
    stage.execute()
    (address,) = offers_on(page_of(stage, execution))
    carol = browser_of(stage.cast, "carol")
    assert Attempt.objects.get(execution=execution, step=0).made not in carol.get(address).content.decode()
    for wrong in ("x", f"{execution.revision.request.pk}.9.0", f"{execution.pk}.1.0", f"{execution.revision.request.pk}.2.7"):
        form = carol.get(
            address.partition("?")[0], {"place": f"{ACCOUNT}/{REGION}", "operation": "dynamodb:DeleteTable", "reverse": wrong}
        )
        assert form.status_code == 200


def test_what_was_refused_is_not_taken_back(stage: Stage) -> None:
    """AWS made nothing, so there is nothing to undo."""
    execution = approved(stage, Step("dynamodb", "DeleteTable", {"TableName": "prod-nothing"}))
    stage.execute()
    assert fresh(execution).state == "failed"
    assert offers_on(page_of(stage, execution)) == []
