"""What a former revision was carried out for and is settled must not keep its request open for ever, nor from being sent back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from approvals import decisions, statements
from approvals.models import ApprovalRequest, Execution
from approvals.statements import Outcome
from tests import cast as standing
from tests.executor.stage import Stage, fresh
from tests.executor.test_restores import restored  # noqa: F401


@pytest.fixture
def cast(cloned_database: str, tmp_path: Any, settings: Any) -> standing.Cast:
    return standing.seal(tmp_path, settings, change=standing.with_carol)


def closed(stage: Stage, restored: Callable[[], Callable[..., None]], outcome: Outcome) -> ApprovalRequest:  # noqa: F811
    former = stage.cast.approved()
    restore = restored()
    stage.execute()
    restore()
    request = ApprovalRequest.objects.get()
    decisions.send_back(request.pk, stage.cast.person("bob"), message="wait")
    stage.sweep()
    assert fresh(former).state == "unknown"
    if outcome is Outcome.NO_EFFECT:
        stage.sql("UPDATE approvals_execution SET claimed_at = now() - interval '1 hour'")
    said = statements.propose_closing(former.pk, stage.cast.person("bob"), outcome=outcome, evidence="e", reason="I looked")
    for handle in ("bob", "carol"):
        stage.cast.sign_statement(said, handle)
    stage.sweep()
    assert fresh(former).state in ("succeeded", "failed")
    return ApprovalRequest.objects.get()


def test_the_draft_that_is_left_runs_out(stage: Stage, restored: Any) -> None:  # noqa: F811
    request = closed(stage, restored, Outcome.SUCCEEDED)
    assert request.state == "draft"
    with stage.acting("delivery"):
        assert decisions.expire(now=timezone.now() + timedelta(days=400)) == 1


def test_what_is_signed_anew_can_be_sent_back(stage: Stage, restored: Any) -> None:  # noqa: F811
    request = closed(stage, restored, Outcome.NO_EFFECT)
    stage.cast.sign_confirm(request)
    decisions.send_back(request.pk, stage.cast.person("bob"), message="say why")
    assert ApprovalRequest.objects.get().state == "draft"


def test_what_is_signed_anew_is_carried_out(stage: Stage, restored: Any) -> None:  # noqa: F811
    request = closed(stage, restored, Outcome.NO_EFFECT)
    stage.cast.sign_review(stage.cast.sign_confirm(request))
    stage.sweep()
    newer = Execution.objects.order_by("revision__number").last()
    assert newer is not None
    assert newer.revision.number > 1
