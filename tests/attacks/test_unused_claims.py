"""A claim of this process under which nothing was sent stands in nobody's way, under another digest neither."""

from __future__ import annotations

from approvals.models import ApprovalRequest, Execution
from tests.executor.stage import Stage, fresh


def test_what_is_signed_anew_is_not_stopped_by_our_own_unused_claim(stage: Stage) -> None:
    """The trail broke right at `sent` (rolled back for certain); then a right ends, it goes back to draft and is signed anew."""
    former = stage.cast.approved()
    stage.trail_refuses("attempt.sent")
    stage.execute()
    stage.trail_works()
    stage.sql("UPDATE portal_user SET is_active = false WHERE username = 'bob'")
    stage.sweep()
    assert (fresh(former).state, ApprovalRequest.objects.get().state) == ("aborted", "draft")
    stage.sql("UPDATE portal_user SET is_active = true WHERE username = 'bob'")
    stage.sweep()
    stage.cast.sign_review(stage.cast.sign_confirm(ApprovalRequest.objects.get()))
    newer = Execution.objects.exclude(pk=former.pk).get()
    stage.sweep()
    assert (fresh(newer).state, len(stage.calls())) == ("succeeded", 1), fresh(newer).outcome
