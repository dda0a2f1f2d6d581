"""Rows do not verify and S3 is away: that is told at once, and nothing is called untouched that may have been made."""

from __future__ import annotations

import pytest
from django.conf import settings

from approvals import authority
from approvals.models import ApprovalRequest, Execution
from approvals.states import Status
from executor.outside import bucket
from tests.attacks.test_ends_after_a_restore import NO_LIST, Restored, with_s3
from tests.executor.stage import Stage
from tests.executor.test_restores import restored  # noqa: F401 - a fixture

FORGED = "UPDATE approvals_person SET name = 'x' WHERE handle = 'carol'"


@pytest.mark.parametrize("backup", ["ready", "claimed"])
def test_what_is_forged_is_not_called_untouched(stage: Stage, restored: Restored, backup: str) -> None:  # noqa: F811
    """The call was made and a backup restored; rows do not verify and S3 is down: an alert at once, and no end that says
    "Stopped before the call" of a call that was made."""
    stage.cast.approved()
    if backup == "claimed":
        stage.killed_at("claimed")
    restore = restored()
    stage.sweep()
    assert (Execution.objects.get().state, len(stage.calls())) == ("succeeded", 1)
    restore(as_it_was=True)
    bucket.must_keep.cache_clear()
    stage.sql(FORGED)
    with_s3(stage, NO_LIST["down"], lambda: stage.sweep(2))
    assert "forgery" in stage.alerts()
    during = Execution.objects.get().state
    bucket.must_keep.cache_clear()
    stage.sweep(2)
    execution = Execution.objects.get()
    assert (during, execution.state) == (backup, "unknown"), execution.outcome
    assert ApprovalRequest.objects.get().status() is Status.UNKNOWN
    assert len(stage.calls()) == 1


def test_a_restore_across_a_change_of_authority_is_no_forgery(stage: Stage, restored: Restored) -> None:  # noqa: F811
    """Nobody wrote a row by hand: a change of authority came after the backup, the execution process has walked it and refuses
    the older chain. While S3 is down too, the call that was made is not called stopped before it."""
    stage.cast.approved()
    restore = restored()
    stage.execute()
    stage.cast.changed({"edit": "set_person", "person": "carol", "auditor": True})
    with stage.acting("execution"):
        authority.walk(settings.GENESIS)
    restore()
    bucket.must_keep.cache_clear()
    with_s3(stage, NO_LIST["down"], lambda: stage.sweep(2))
    bucket.must_keep.cache_clear()
    stage.sweep(2)
    execution = Execution.objects.get()
    assert (execution.state, len(stage.calls())) == ("unknown", 1), execution.outcome
