"""What AWS keeps against everybody, at the moment that counts and by the newest answer that AWS gave."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from approvals import decisions
from approvals.models import ApprovalRequest, Observation, OutboxMessage
from executor import inspect
from tests.approvals.test_glass import breaking, world
from tests.executor.test_windows import window

__all__ = ["world"]

# Taking a vault's lock off can be undone, and nobody can once its date has come.
UNLOCK = "backup:DeleteBackupVaultLockConfiguration"
RULES = {"operations": [UNLOCK], "resources": ["arn:aws:*:*:*:*"]}


def seen(request: ApprovalRequest, *, lock: datetime | None = None, problem: str = "") -> None:
    """What the executor read of the vault: a lock that is immutable from a date on, or nothing."""
    state = {"BackupVaultName": "vault", "Locked": True, "LockDate": lock.isoformat() if lock else None}
    Observation.objects.create(
        revision=request.current_revision(),
        step=0,
        moment=Observation.Moment.REVIEW,
        text=json.dumps(state) if lock else "",
        problem=problem,
        taken_at=timezone.now(),
    )


@pytest.mark.parametrize("hours", [2, -2])
def test_whoever_breaks_the_glass_waits_for_no_window(world, hours: int) -> None:
    """The call goes out now: that the lock cannot be taken off any more when the window opens keeps nobody from it."""
    cast = world(**RULES, windows=[window(5)])
    request = cast.filed(by="carol", operation=UNLOCK, BackupVaultName="vault")
    seen(request, lock=timezone.now() + timedelta(hours=hours))
    assert "immutable" in decisions.why_not_confirm(request, cast.person("carol"))
    if hours > 0:
        assert breaking(cast, request).break_glass
    else:
        assert "immutable" in decisions.why_not_break(request, cast.person("carol"))


def test_what_cannot_be_read_takes_no_lock_off(world) -> None:
    """AWS is away after it told of the lock: that counts until it tells otherwise, and it is asked again."""
    cast = world(**RULES)
    request = cast.filed(by="carol", operation=UNLOCK, BackupVaultName="vault")
    OutboxMessage.objects.filter(kind="inspect").update(done_at=timezone.now())
    seen(request, lock=timezone.now() - timedelta(days=1))
    seen(request, problem="AWS gave no answer that could be used: ReadTimeoutError")
    assert "immutable" in decisions.why_not_confirm(request, cast.person("carol"))
    for _ in range(2):
        with transaction.atomic():
            inspect._look_again_while_held(request.pk)
    assert OutboxMessage.objects.filter(kind="inspect", done_at=None).count() == 1
