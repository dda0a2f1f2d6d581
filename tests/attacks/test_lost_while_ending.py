"""A worker that is killed while it ends what does not hold any more leaves nothing behind that the next one cannot end."""

from __future__ import annotations

import pytest

from executor import outside
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_steps import CHANGE, DELETE, approved

NO_RIGHT = "UPDATE portal_user SET is_active = false WHERE username = 'bob'"


@pytest.mark.parametrize("steps", [1, 2])
def test_killed_between_fence_and_end(stage: Stage, steps: int) -> None:
    """Twice over: the token is won, and the worker is killed before S3 is asked."""
    execution = stage.cast.approved() if steps == 1 else approved(stage, CHANGE, DELETE)
    stage.killed_at("claimed" if steps == 1 else "settled")
    stage.sql(NO_RIGHT)
    for _ in range(2):
        stage.lapse()
        stage.killed_at("claimed")
    stage.sweep(2)
    assert (fresh(execution).state, len(stage.calls())) == ("aborted" if steps == 1 else "failed", 0)
    assert attempts(execution) == ["succeeded"] * (steps - 1)


def test_killed_between_the_question_and_the_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 has answered, and the worker is killed before it writes the end."""
    import os
    import signal

    execution, here, real = stage.cast.approved(), os.getpid(), outside.must_be_unclaimed
    stage.sql(NO_RIGHT)

    def asked(holder: object) -> None:
        real(holder)  # type: ignore[arg-type]
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(outside, "must_be_unclaimed", asked)
        stage.killed_at("never")
    assert fresh(execution).state == "ready"
    stage.sweep(1)
    assert (fresh(execution).state, stage.calls()) == ("aborted", [])
