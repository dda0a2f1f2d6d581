"""What does not hold any more is ended only once whoever had it can go on with it no more."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from executor import outside
from tests.executor.proxy import Wire
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_steps import CHANGE, DELETE, approved

NO_RIGHT = "UPDATE portal_user SET is_active = false WHERE username = 'bob'"


def wakes_between(stage: Stage, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    """A worker stands still at the point for longer than its lease, and a right ends. Another one asks S3, and before it ends the
    execution the first goes on: nothing of it goes over the wire."""
    real = outside.must_be_unclaimed
    with Wire(stage.aws.endpoint_url, "DeleteTable", "hang after", times=0) as wire:
        stage.endpoint = wire.url
        with stage.frozen_at(point) as thaw:
            stage.endpoint = ""
            stage.lapse()
            stage.sql(NO_RIGHT)
            former = threading.Thread(target=thaw)

            def asked(holder: Any) -> None:
                real(holder)
                former.start()
                end = time.monotonic() + 5
                while not wire.received and former.is_alive() and time.monotonic() < end:
                    time.sleep(0.02)

            with monkeypatch.context() as patch:
                patch.setattr(outside, "must_be_unclaimed", asked)
                stage.execute()
            former.join()
        assert wire.received == 0
    stage.sweep()


def test_who_stood_still_makes_no_call_while_its_execution_is_ended(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker stalls before its claim outside for longer than its lease, and a right ends: whoever ends it has fenced it off."""
    execution = stage.cast.approved()
    wakes_between(stage, monkeypatch, "claiming")
    assert (fresh(execution).state, attempts(execution), stage.calls()) == ("aborted", [], [])


def test_it_is_the_same_for_the_second_step(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """One step was made, the worker stalls before the next one's claim: that one is never sent, and the outcome says so."""
    execution = approved(stage, CHANGE, DELETE)
    wakes_between(stage, monkeypatch, "claiming:2")
    assert (fresh(execution).state, attempts(execution), stage.calls()) == ("failed", ["succeeded"], [])
