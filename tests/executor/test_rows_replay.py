"""Row 10 of the security design: one approval is one effect, however often it, its promise or its message comes again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from approvals import decisions
from approvals.errors import BadSignature, WrongState
from approvals.models import Attempt, Execution, OutboxMessage, Review, Signature
from approvals.states import Verdict
from executor import run
from tests.executor.stage import Stage

TIMES = 1000


def test_row_10_an_approval_that_comes_a_thousand_times_has_one_effect(stage: Stage) -> None:
    """A thousand times the same assertion, and a thousand times the same promise: one review, one execution, one call at AWS."""
    cast = stage.cast
    request = cast.pending()
    opened = decisions.begin(request.pk, cast.person("bob"), Verdict.APPROVE)
    assertion = cast.assertion("bob", opened)
    came_to = []
    for _ in range(TIMES):
        try:
            cast.review(request, "bob", opened, assertion, reason="again")
            came_to.append("done")
        except BadSignature:
            came_to.append("refused")
    assert came_to == ["done"] + ["refused"] * (TIMES - 1)
    assert (Review.objects.count(), Signature.objects.count(), Execution.objects.count()) == (1, 2, 1)
    promise = OutboxMessage.objects.get(kind="execute")
    with stage.acting("execution"):
        for _ in range(TIMES):
            run.keep(promise)
    assert len(stage.calls()) == 1
    assert Attempt.objects.count() == 1
    assert Execution.objects.get().state == "succeeded"


def test_an_approval_has_a_use_by(stage: Stage) -> None:
    """What was not carried out in its time is not carried out later, and cannot be approved again with what was signed."""
    execution = stage.cast.approved()
    late = timezone.now() + timedelta(hours=2)
    assert decisions.expire(now=late) == 1
    stage.execute()
    assert stage.calls() == []
    request = execution.revision.request
    with pytest.raises(WrongState):
        decisions.begin(request.pk, stage.cast.person("bob"), Verdict.APPROVE)
    request.refresh_from_db()
    assert request.state == "expired"
