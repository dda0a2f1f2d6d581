"""A worker that was held up right before its one call makes it; whatever it learns ends the execution that was called unknown."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from django.conf import settings

from approvals import statements
from approvals.models import Statement
from approvals.statements import Outcome
from executor import points
from executor.outside import bucket, comparing
from executor.points import Point
from tests import cast as standing
from tests.executor.proxy import Wire
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_steps import CHANGE, DELETE, approved


@pytest.fixture
def cast(cloned_database: str, tmp_path: Any, settings: Any) -> standing.Cast:
    """Bob and carol may both review, so that two can say how a call went."""
    return standing.seal(tmp_path, settings, change=standing.with_carol)


def test_a_late_yes_to_the_first_of_two_steps_is_an_end(stage: Stage) -> None:
    """Called unknown meanwhile; AWS says yes, the step has settled, the second is not made: nobody has to sign how that went."""
    execution = approved(stage, CHANGE, DELETE)
    with stage.frozen_at("fenced") as thaw:
        stage.sweep(1)
        assert fresh(execution).state == "unknown"
        thaw()
    stage.sweep(3)
    assert (attempts(execution), len(stage.calls("UpdateTable")), stage.calls("DeleteTable")) == (["succeeded"], 1, [])
    # As where CloudTrail's record says the same: failed, "the 1 after it were not made".
    assert fresh(execution).state == "failed", fresh(execution).outcome


def test_a_late_yes_is_an_end_whenever_its_worker_is_lost(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Called unknown meanwhile; AWS says yes, it has settled, and the worker is killed with -9: the next one writes the end."""
    execution, here = stage.cast.approved(), os.getpid()

    def reached(point: Point) -> None:
        if os.getpid() != here and point is Point.FENCED:
            os.kill(os.getpid(), signal.SIGSTOP)
        if os.getpid() != here and point is Point.SETTLED:
            os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(points, "reached", reached)
        with stage.frozen_at("never") as thaw:
            stage.sweep(1)
            assert fresh(execution).state == "unknown"
            with suppress(AssertionError):  # it is killed
                thaw()
    assert (attempts(execution), len(stage.calls())) == (["succeeded"], 1)
    stage.sweep(3)
    assert fresh(execution).state == "succeeded", fresh(execution).outcome


def test_a_late_yes_makes_no_forgery_of_what_two_persons_sign(stage: Stage) -> None:
    """Two persons are signing how the first call went when its worker brings AWS's yes: nobody is called a forger for it, and
    no claim is written outside for a step that cannot follow."""
    execution = approved(stage, CHANGE, DELETE)
    with stage.frozen_at("fenced") as thaw:
        stage.sweep(1)
        said = statements.propose_closing(
            execution.pk, stage.cast.person("bob"), outcome=Outcome.SUCCEEDED, evidence="the console shows it", reason="I looked"
        )
        stage.cast.sign_statement(said, "bob")
        thaw()
    if Statement.objects.get(pk=said.pk).state == "open":
        stage.cast.sign_statement(said, "carol")
        stage.execute()
    assert "forgery" not in stage.alerts(), Statement.objects.get(pk=said.pk).ended_why
    with stage.acting("execution"):
        found = comparing.compare(bucket.Bucket(settings.CLAIMS_BUCKET, settings.HOME_REGION))
    assert found.faults == []


@pytest.mark.parametrize("fault", ["refuse before", "none before"])
def test_a_late_answer_is_not_lost_by_a_withdrawal_in_that_moment(stage: Stage, fault: str) -> None:
    """Somebody takes back what two were about to say while AWS's answer is written: the answer counts."""
    execution = stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "DeleteTable" if fault.startswith("refuse") else "Nothing", fault) as wire:
        stage.endpoint = wire.url
        with stage.frozen_at("called") as thaw:
            stage.endpoint = ""
            stage.sweep(1)
            assert fresh(execution).state == "unknown"
            statement = statements.propose_closing(
                execution.pk, stage.cast.person("bob"), outcome=Outcome.NO_EFFECT, evidence="looked", reason="it is there"
            )
            withdrawn = "UPDATE approvals_statement SET state = 'withdrawn', ended_at = now(), ended_why = 'mine' WHERE id = %s"
            with psycopg.connect(stage.role_url("web")) as web:
                web.execute(withdrawn, (statement.pk,))
                worker = threading.Thread(target=thaw)
                worker.start()
                end = time.monotonic() + 10
                while not stage.sql("SELECT 1 FROM pg_locks WHERE NOT granted") and time.monotonic() < end:
                    time.sleep(0.05)
                web.commit()
                worker.join()
    stage.sweep()
    wanted = ("failed", ["rejected"]) if fault.startswith("refuse") else ("succeeded", ["succeeded"])
    assert (fresh(execution).state, attempts(execution)) == wanted
