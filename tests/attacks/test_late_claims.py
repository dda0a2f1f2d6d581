"""A claim that is written outside after its worker was fenced off: whoever wrote it sends nothing, and nobody is stuck by it."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from approvals import decisions
from approvals.models import ApprovalRequest, Execution
from executor.outside import bucket
from tests.executor.stage import Stage, attempts, fresh

AWAY = "UPDATE portal_user SET is_active = false WHERE username = 'bob'"
BACK = "UPDATE portal_user SET is_active = true WHERE username = 'bob'"


def stands_still_before_it_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next worker that is forked off stops right before S3 gets its claim, once (SIGSTOP)."""
    real, here = bucket.Bucket.put, os.getpid()

    def put(self: Any, *args: Any) -> Any:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGSTOP)
        return real(self, *args)

    monkeypatch.setattr(bucket.Bucket, "put", put)


def test_after_a_claim_that_came_too_late_nothing_is_sent(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands still right before it writes; a right ends, its execution is aborted and goes back to draft; it wakes, writes,
    and is told that it is nobody any more. Signed anew, another worker cannot tell that claim from a call: unknown, not sent."""
    former = stage.cast.approved()
    with monkeypatch.context() as patch:
        stands_still_before_it_writes(patch)
        with stage.frozen_at("never") as thaw:
            stage.lapse()
            stage.sql(AWAY)
            stage.execute()
            assert (fresh(former).state, ApprovalRequest.objects.get().state) == ("aborted", "draft")
            thaw()
    assert (stage.calls(), attempts(former)) == ([], [])
    stage.sql(BACK)
    stage.sweep()
    stage.cast.sign_review(stage.cast.sign_confirm(ApprovalRequest.objects.get()))
    newer = Execution.objects.exclude(pk=former.pk).get()
    stage.sweep()
    # Documented: limits.md, "A claim is written before the call".
    assert (fresh(newer).state, stage.calls()) == ("unknown", []), fresh(newer).outcome


@pytest.mark.parametrize("end", ["stop", "withdraw"])
def test_ended_between_claim_and_sent_it_sends_nothing(stage: Stage, end: str) -> None:
    """It stands still with its claim written; somebody ends the request, another worker ends the execution; it wakes."""
    execution = stage.cast.approved()
    with stage.frozen_at("claimed-outside") as thaw:
        stage.sql("UPDATE approvals_execution SET lease_until = now() - interval '1 second'")
        if end == "stop":
            decisions.stop(execution.revision.request_id, stage.cast.person("bob"), reason="no")
        else:
            decisions.withdraw(execution.revision.request_id, stage.cast.person("alice"))
        stage.sweep()
        ended = fresh(execution).state
        thaw()
    stage.sweep()
    assert (stage.calls(), attempts(execution)) == ([], [])
    assert (ended, fresh(execution).state) == (
        "unknown",
        "unknown",
    )  # documented: limits.md, "A claim is written before the call"
