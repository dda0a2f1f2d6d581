"""What was stopped during a pause does not read as running until somebody resumes."""

from __future__ import annotations

from approvals import decisions
from approvals.models import ApprovalRequest
from approvals.states import Status
from tests.executor.stage import Stage, attempts, fresh


def test_what_was_stopped_during_a_pause_is_ended_during_it(stage: Stage) -> None:
    """Paused, looked at, stopped: nothing more is to come of it, and the page does not say "Running" for as long as the pause."""
    execution = stage.cast.approved()
    with stage.frozen_at("claiming") as thaw:
        stage.cast.paused()
        thaw()
    decisions.stop(execution.revision.request_id, stage.cast.person("bob"), reason="not this one")
    stage.sweep()
    assert (attempts(execution), stage.calls()) == ([], [])
    assert (fresh(execution).state, ApprovalRequest.objects.get().status()) == ("aborted", Status.DENIED)
