"""An outcome that is not known can be closed whatever became of its request since: nothing is stuck for ever."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from approvals import decisions, export, statements
from approvals.errors import WrongState
from approvals.models import ApprovalRequest, Execution
from approvals.statements import Outcome
from approvals.states import Status
from portal.review_page import page_of
from tests import cast as standing
from tests.executor.stage import Stage, fresh
from tests.executor.test_restores import restored  # noqa: F401 - a fixture
from tests.portal.hands import browser_of


@pytest.fixture
def cast(cloned_database: str, tmp_path: Any, settings: Any) -> standing.Cast:
    """Bob and carol may both review, so that two can say how a call went."""
    return standing.seal(tmp_path, settings, change=standing.with_carol)


def close_page(stage: Stage, request: ApprovalRequest) -> int:
    found = partial(browser_of, stage.cast)("bob").get(reverse("admin:approvals_approvalrequest_close", args=[request.pk]))
    return int(found.status_code)


def unknown_in_a_draft(stage: Stage, restored: Callable[[], Callable[..., None]]) -> Execution:  # noqa: F811
    """The call was made, a backup restored, and bob sends the request back before the executor has looked."""
    former = stage.cast.approved()
    restore = restored()
    stage.execute()
    restore()
    decisions.send_back(ApprovalRequest.objects.get().pk, stage.cast.person("bob"), message="wait")
    stage.sweep()
    assert (fresh(former).state, len(stage.calls())) == ("unknown", 1)
    return former


def closed(stage: Stage, former: Execution, outcome: Outcome) -> None:
    """Two persons sign how it went, and that is put in force."""
    said = statements.propose_closing(
        former.pk, stage.cast.person("bob"), outcome=outcome, evidence="the console shows it", reason="I looked"
    )
    for handle in ("bob", "carol"):
        stage.cast.sign_statement(said, handle)
    stage.sweep()


def test_after_a_restore_what_was_sent_back_is_not_stuck(
    stage: Stage,
    restored: Callable[[], Callable[..., None]],  # noqa: F811
) -> None:
    """The call was made, a backup restored; bob sends the request back before the executor has looked: its former execution is
    unknown by its claim. Then it can be closed in the portal, and the request says what is the matter."""
    former = unknown_in_a_draft(stage, restored)
    request = ApprovalRequest.objects.get()
    # It cannot be signed anew, withdrawn or run out while that is open, so it must be possible to close it.
    with pytest.raises(WrongState):
        decisions.withdraw(request.pk, stage.cast.person("alice"))
    with stage.acting("delivery"):
        assert decisions.expire(now=timezone.now() + timedelta(days=400)) == 0
    assert (request.status(), close_page(stage, request)) == (Status.UNKNOWN, 200)
    assert page_of(request).status is Status.UNKNOWN
    assert [row["status"] for row in export.request_rows()] == [str(Status.UNKNOWN)]
    closed(stage, former, Outcome.SUCCEEDED)
    assert fresh(former).state == "succeeded"
    # What it was about is over, and nobody need keep the draft that is left of it.
    decisions.withdraw(request.pk, stage.cast.person("alice"))
    assert ApprovalRequest.objects.get().status() is Status.DONE


def test_the_current_one_can_be_closed(stage: Stage) -> None:
    """For comparison: the execution of the current revision is unknown, and its page of closing is there."""
    execution = stage.cast.approved()
    stage.killed_at("sent")
    stage.sweep(1)
    assert fresh(execution).state == "unknown"
    assert close_page(stage, ApprovalRequest.objects.get()) == 200
