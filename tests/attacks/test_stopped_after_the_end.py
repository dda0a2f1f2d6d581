"""Nothing is said to have been stopped of which every call was made and has settled."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from approvals import decisions
from approvals.errors import WrongState
from approvals.models import ApprovalRequest, Execution
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_steps import CHANGE, DELETE, approved

ENDS: dict[str, Callable[[Stage, Execution], ApprovalRequest]] = {
    "stop": lambda stage, one: decisions.stop(one.revision.request_id, stage.cast.person("bob"), reason="not this one"),
    "withdraw": lambda stage, one: decisions.withdraw(one.revision.request_id, stage.cast.person("alice")),
}


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("end", ENDS)
def test_what_is_done_but_for_its_end_is_not_stopped(stage: Stage, end: str, steps: int) -> None:
    """The worker is lost after the last step has settled, before it wrote the end: nobody is told that this was stopped."""
    execution = stage.cast.approved() if steps == 1 else approved(stage, CHANGE, DELETE)
    stage.killed_at("settled" if steps == 1 else "settled:2")
    stage.sql("UPDATE approvals_execution SET lease_until = now() - interval '1 second'")
    assert (fresh(execution).state, attempts(execution)) == ("running", ["succeeded"] * steps)
    with pytest.raises(WrongState):
        ENDS[end](stage, execution)
    stage.sweep()
    request = ApprovalRequest.objects.get()
    assert (fresh(execution).state, request.state) == ("succeeded", "approved")
    assert "request.stopped" not in stage.audit()
