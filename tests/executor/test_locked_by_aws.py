"""What AWS keeps against everybody is refused before anybody is asked: Object Lock, legal holds, a vault's immutable lock."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from approvals import decisions
from approvals.errors import Refused
from approvals.models import OutboxMessage
from approvals.operations import catalog, held
from approvals.operations.resources import Where
from approvals.plan import Step
from approvals.states import Verdict
from executor import rights
from executor.sandbox.world import DEMO
from tests.cast import Cast, seal
from tests.executor.own_guardrails import cast, client, facts  # noqa: F401 - fixtures
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_steps import approved
from tests.executor.test_windows import window

OPERATIONS = ("s3:DeleteObject", "s3:PutObjectLegalHold")
BUCKET = "prod-locked"


def locked_object(stage: Stage, **lock: Any) -> str:
    """The version of an object in a bucket with Object Lock."""
    with client(stage, "s3") as s3:
        place: Any = {"LocationConstraint": DEMO.region}
        s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True, CreateBucketConfiguration=place)
        s3.put_object(Bucket=BUCKET, Key="k", Body=b"former", ChecksumAlgorithm="SHA256")
        version = str(s3.put_object(Bucket=BUCKET, Key="k", Body=b"x", ChecksumAlgorithm="SHA256", **lock)["VersionId"])
        s3.put_object(Bucket=BUCKET, Key="k", Body=b"newer", ChecksumAlgorithm="SHA256")
        return version


@pytest.mark.parametrize(
    ("lock", "why"),
    [
        ({"ObjectLockLegalHoldStatus": "ON"}, "A legal hold"),
        ({"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": timezone.now() + timedelta(days=9)}, "compliance mode"),
    ],
    ids=["legal hold", "compliance"],
)
def test_a_locked_version_is_not_put_before_people(stage: Stage, lock: dict[str, Any], why: str) -> None:
    """The executor reads the very version that the call names, and its requester is told why it cannot be signed."""
    version = locked_object(stage, **lock)
    request = stage.cast.filed(operation="s3:DeleteObject", Bucket=BUCKET, Key="k", VersionId=version)
    stage.read(request)
    request.refresh_from_db()
    assert why in decisions.why_not_confirm(request, stage.cast.person("alice"))
    with pytest.raises(Refused, match=why):
        stage.cast.sign_confirm(request)
    request.refresh_from_db()
    assert request.state == "draft"


@pytest.mark.parametrize("confirmed", [False, True], ids=["before its requester", "before its reviewers"])
def test_what_is_no_longer_locked_can_be_signed(stage: Stage, *, confirmed: bool) -> None:
    """A target that is held is read again by itself, so that taking the hold off is all that is to be done."""
    version = locked_object(stage, **({} if confirmed else {"ObjectLockLegalHoldStatus": "ON"}))
    request = stage.cast.filed(operation="s3:DeleteObject", Bucket=BUCKET, Key="k", VersionId=version)
    stage.execute()
    request.refresh_from_db()
    if confirmed:
        request = stage.cast.sign_confirm(request)
        hold(stage, version, "ON")
        stage.execute()
    refused = stage.cast.sign_review if confirmed else stage.cast.sign_confirm
    with pytest.raises(Refused, match=r"A legal hold.*read again"):
        refused(request)
    hold(stage, version, "OFF")
    promise = OutboxMessage.objects.get(kind="inspect", done_at=None)
    assert timedelta(0) < promise.due_at - timezone.now() <= timedelta(minutes=1)
    stage.sql("UPDATE approvals_outboxmessage SET due_at = now() WHERE kind = 'inspect'")
    stage.execute()
    request.refresh_from_db()
    assert refused(request).state == ("approved" if confirmed else "pending")
    assert not OutboxMessage.objects.filter(kind="inspect", done_at=None, due_at__gt=timezone.now()).exists()


def hold(stage: Stage, version: str, status: Any) -> None:
    with client(stage, "s3") as s3:
        s3.put_object_legal_hold(
            Bucket=BUCKET, Key="k", VersionId=version, LegalHold={"Status": status}, ChecksumAlgorithm="SHA256"
        )


def test_what_was_locked_after_it_was_asked_for_is_not_approved(stage: Stage) -> None:
    """The target is read again for its reviewers: one of them is told of the lock before he signs, and can deny it."""
    version = locked_object(stage)
    request = stage.cast.filed(operation="s3:DeleteObject", Bucket=BUCKET, Key="k", VersionId=version)
    stage.read(request)
    request = stage.cast.sign_confirm(request)
    hold(stage, version, "ON")
    stage.execute()
    with pytest.raises(Refused, match="A legal hold"):
        stage.cast.sign_review(request)
    assert stage.cast.sign_review(request, verdict=Verdict.DENY).state == "denied"


class TestBeforeAWindow:
    """What is carried out in a window that opens in five hours."""

    @pytest.fixture
    def cast(self, cloned_database: str, tmp_path: Path, settings: Any) -> Cast:
        rules: dict[str, Any] = {"windows": [window(5)], "operations": list(OPERATIONS), "resources": ["arn:aws:*:*:*:*"]}
        return seal(tmp_path, settings, whole=True, **rules)

    @pytest.mark.parametrize(("hours", "is_refused"), [(2, False), (9, True)])
    def test_a_lock_counts_when_the_call_would_go_out(self, stage: Stage, hours: int, *, is_refused: bool) -> None:
        """One that ends before the window opens is nobody's concern; one that is longer is said at once."""
        until = timezone.now() + timedelta(hours=hours)
        version = locked_object(stage, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)
        request = stage.cast.filed(operation="s3:DeleteObject", Bucket=BUCKET, Key="k", VersionId=version)
        stage.read(request)
        request.refresh_from_db()
        assert ("compliance mode" in decisions.why_not_confirm(request, stage.cast.person("alice"))) == is_refused


def test_a_version_that_is_not_the_newest_is_seen_to_go(stage: Stage) -> None:
    """Nothing holds it: its own version is read, deleted and gone, though the object is there still."""
    version = locked_object(stage)
    execution = approved(stage, Step("s3", "DeleteObject", {"Bucket": BUCKET, "Key": "k", "VersionId": version}))
    stage.execute()
    assert (fresh(execution).state, attempts(execution)) == ("succeeded", ["succeeded"]), fresh(execution).outcome


def test_a_plan_that_takes_the_hold_off_first_is_signed(stage: Stage) -> None:
    """The lock of today says nothing of a step that comes after the one which takes it off."""
    version = locked_object(stage, ObjectLockLegalHoldStatus="ON")
    which = {"Bucket": BUCKET, "Key": "k", "VersionId": version}
    execution = approved(
        stage,
        Step("s3", "PutObjectLegalHold", {**which, "LegalHold": {"Status": "OFF"}}),
        Step("s3", "DeleteObject", which),
    )
    stage.execute()
    stage.sweep()
    assert (fresh(execution).state, attempts(execution)) == ("succeeded", ["succeeded", "succeeded"]), fresh(execution).outcome


def test_a_plan_that_deletes_another_version_first_is_refused_whole(stage: Stage) -> None:
    """No deletion takes a hold off another version: nobody signs a plan that destroys the one and is refused at the other."""
    held = locked_object(stage, ObjectLockLegalHoldStatus="ON")
    with client(stage, "s3") as s3:
        free = str(s3.put_object(Bucket=BUCKET, Key="other", Body=b"x", ChecksumAlgorithm="SHA256")["VersionId"])
    with pytest.raises(Refused, match=r"AWS will refuse step 2.*legal hold"):
        approved(
            stage,
            Step("s3", "DeleteObject", {"Bucket": BUCKET, "Key": "other", "VersionId": free}),
            Step("s3", "DeleteObject", {"Bucket": BUCKET, "Key": "k", "VersionId": held}),
        )


NOW = timezone.now()
LATER, BEFORE = ((NOW + timedelta(days=days)).isoformat() for days in (1, -1))
VERSION = {"Bucket": "b", "Key": "k", "VersionId": "v"}
UNLOCK = "backup:DeleteBackupVaultLockConfiguration"


@pytest.mark.parametrize(
    ("name", "parameters", "state", "is_held"),
    [
        ("s3:DeleteObject", VERSION, {"ObjectLockLegalHoldStatus": "ON"}, True),
        ("s3:DeleteObject", VERSION, {"ObjectLockLegalHoldStatus": "OFF"}, False),
        # Without a version a marker is put over the object, which no lock forbids.
        ("s3:DeleteObject", {"Bucket": "b", "Key": "k"}, {"ObjectLockLegalHoldStatus": "ON"}, False),
        ("s3:DeleteObject", VERSION, {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": LATER}, True),
        ("s3:DeleteObject", VERSION, {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": BEFORE}, False),
        ("s3:DeleteObject", VERSION, {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": LATER}, True),
        (
            "s3:DeleteObject",
            {**VERSION, "BypassGovernanceRetention": True},
            {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": LATER},
            False,
        ),
        (UNLOCK, {"BackupVaultName": "v"}, {"Locked": True, "LockDate": BEFORE}, True),
        (UNLOCK, {"BackupVaultName": "v"}, {"Locked": True, "LockDate": LATER}, False),
        (UNLOCK, {"BackupVaultName": "v"}, {"Locked": True}, False),
        (UNLOCK, {"BackupVaultName": "v"}, {"Locked": False, "LockDate": BEFORE}, False),
        (UNLOCK, {"BackupVaultName": "v"}, None, False),
    ],
)
def test_what_holds_a_target(name: str, parameters: dict[str, Any], state: Any, *, is_held: bool) -> None:
    """By the row, over the state and the call: until its time has passed, or since it cannot be taken away any more."""
    assert bool(held.why(catalog.get(name), parameters, state, NOW)) == is_held


def test_whoever_reads_an_object_may_read_its_locks() -> None:
    """S3 leaves locks out of its answer, and refuses to tell of a version, without rights of their own."""
    policy = json.loads(rights.policy(Step("s3", "DeleteObject", VERSION), Where(DEMO.account, DEMO.region), acting=False))
    (statement,) = policy["Statement"]
    assert {"s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention", "s3:GetObjectLegalHold"} == set(statement["Action"])
