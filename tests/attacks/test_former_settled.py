"""What a former revision was carried out for and is settled must not keep its request open for ever, nor from being sent back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from approvals import decisions
from approvals.models import ApprovalRequest, Execution
from approvals.statements import Outcome
from tests.attacks.test_former_unknowns import cast, closed, unknown_in_a_draft  # noqa: F401 - cast is a fixture
from tests.executor.stage import Stage, fresh
from tests.executor.test_restores import restored  # noqa: F401


def settled(stage: Stage, restored: Any, outcome: Outcome) -> ApprovalRequest:  # noqa: F811
    """What is left of a request whose former execution two persons have closed."""
    former = unknown_in_a_draft(stage, restored)
    if outcome is Outcome.NO_EFFECT:
        stage.sql("UPDATE approvals_execution SET claimed_at = now() - interval '1 hour'")
    closed(stage, former, outcome)
    assert fresh(former).state in ("succeeded", "failed")
    return ApprovalRequest.objects.get()


def test_the_draft_that_is_left_runs_out(stage: Stage, restored: Any) -> None:  # noqa: F811
    """It is of no use any more, and ends by its clock."""
    request = settled(stage, restored, Outcome.SUCCEEDED)
    assert request.state == "draft"
    with stage.acting("delivery"):
        assert decisions.expire(now=timezone.now() + timedelta(days=400)) == 1


def test_what_is_signed_anew_can_be_sent_back(stage: Stage, restored: Any) -> None:  # noqa: F811
    """It had no effect, so it is asked for again, and reviewers may do with that what they may with any."""
    request = settled(stage, restored, Outcome.NO_EFFECT)
    stage.cast.sign_confirm(request)
    decisions.send_back(request.pk, stage.cast.person("bob"), message="say why")
    assert ApprovalRequest.objects.get().state == "draft"


def test_what_is_signed_anew_is_carried_out(stage: Stage, restored: Any) -> None:  # noqa: F811
    """It had no effect, so it is signed anew, and has an execution of its own."""
    request = settled(stage, restored, Outcome.NO_EFFECT)
    stage.cast.sign_review(stage.cast.sign_confirm(request))
    stage.sweep()
    newer = Execution.objects.order_by("revision__number").last()
    assert newer is not None
    assert newer.revision.number > 1
