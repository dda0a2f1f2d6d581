"""An execution window at the claim: kept by the signed rules, whatever the rows say."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from approvals.models import ApprovalRequest, OutboxKind, OutboxMessage
from tests.cast import Cast, seal
from tests.executor.stage import Stage, fresh

ALL_DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def window(hours: int) -> dict[str, Any]:
    """An hour of every day that begins in so many hours, or began so long ago."""
    begins = timezone.now() + timedelta(hours=hours)
    return {"days": ALL_DAYS, "from": f"{begins:%H:%M}", "to": f"{begins + timedelta(hours=1):%H:%M}", "zone": "UTC"}


@pytest.fixture
def hours() -> int:
    return 5


@pytest.fixture
def cast(cloned_database: str, tmp_path: Path, settings: Any, hours: int) -> Cast:
    return seal(tmp_path, settings, windows=[window(hours)])


def test_nothing_is_carried_out_before_the_window_opens(stage: Stage) -> None:
    """Rows that were moved forward change nothing: it stays ready, says why, and is looked at again within ten minutes."""
    execution = stage.cast.approved()
    stage.forge(
        ("UPDATE approvals_execution SET not_before = created_at", ()),
        ("UPDATE approvals_outboxmessage SET due_at = created_at WHERE kind = 'execute'", ()),
    )
    stage.execute()
    message = OutboxMessage.objects.get(kind=OutboxKind.EXECUTE)
    assert (fresh(execution).state, ApprovalRequest.objects.get().state, stage.calls()) == ("ready", "approved", [])
    assert "execution windows" in message.error
    assert message.done_at is None
    assert timezone.now() < message.due_at <= timezone.now() + timedelta(minutes=10)


@pytest.mark.parametrize("hours", [0])
def test_inside_the_window_it_is_carried_out(stage: Stage) -> None:
    """The same guardrail with a window that is open now."""
    execution = stage.cast.approved()
    stage.execute()
    assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1)
