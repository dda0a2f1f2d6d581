"""The clocks of what was signed against those of the hosts: being early ends nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from approvals.models import ApprovalRequest, OutboxKind, OutboxMessage
from tests.cast import Cast, seal
from tests.executor.stage import Stage, fresh


@pytest.fixture
def cast(cloned_database: str, tmp_path: Path, settings: Any) -> Cast:
    """The sealed world with a guardrail that asks for a hold of an hour."""
    return seal(tmp_path, settings, irreversible={"extra_approvals": 0, "typed_name": False, "hold": 3600})


def test_a_hold_that_has_not_ended_by_what_was_signed_is_waited_for(stage: Stage) -> None:
    """The row says that the hold is over, the signatures do not: the execution stays ready and its promise comes back."""
    execution = stage.cast.approved()
    stage.forge(
        ("UPDATE approvals_execution SET not_before = created_at WHERE id = %s", (execution.pk,)),
        ("UPDATE approvals_outboxmessage SET due_at = created_at WHERE kind = 'execute'", ()),
    )
    stage.execute()
    assert (fresh(execution).state, ApprovalRequest.objects.get().state, stage.calls()) == ("ready", "approved", [])
    message = OutboxMessage.objects.get(kind=OutboxKind.EXECUTE)
    assert message.done_at is None
    assert message.due_at > timezone.now()
    assert "hold" in message.error
