"""That a call had no effect is put in force only once it can have none any more, of a call that was forgotten too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from approvals import statements
from approvals.models import Execution, Statement
from approvals.statements import Outcome
from tests import cast as standing
from tests.executor.stage import Stage
from tests.executor.test_restores import restored  # noqa: F401 - a fixture


@pytest.fixture
def cast(cloned_database: str, tmp_path: Any, settings: Any) -> standing.Cast:
    return standing.seal(tmp_path, settings, change=standing.with_carol)


def test_no_effect_of_a_forgotten_call_waits_too(
    stage: Stage,
    restored: Callable[[], Callable[..., None]],  # noqa: F811
) -> None:
    """A worker has said `sent` and stands still with its request signed by AWS's clock; a backup is restored, the claim found,
    two persons see the table untouched and say so within the quarter of an hour in which AWS still takes that request."""
    stage.cast.approved()
    restore = restored()
    with stage.frozen_at("fenced") as thaw:
        restore(as_it_was=True)
        stage.sweep()
        execution = Execution.objects.get()
        assert (execution.state, stage.calls()) == ("unknown", [])
        said = statements.propose_closing(
            execution.pk, stage.cast.person("bob"), outcome=Outcome.NO_EFFECT, evidence="it is there", reason="I looked"
        )
        for handle in ("bob", "carol"):
            stage.cast.sign_statement(said, handle)
        stage.execute()
        closed = (Statement.objects.get(pk=said.pk).state, Execution.objects.get().state)
        thaw()
    assert len(stage.calls()) == 1
    assert closed == ("open", "unknown"), f"{Execution.objects.get().outcome} And the table was deleted after that."
