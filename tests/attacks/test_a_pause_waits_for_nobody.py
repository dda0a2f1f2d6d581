"""One button stops everything: whoever holds the lock of one request does not hold the button."""

from __future__ import annotations

import threading
import time

import psycopg

from tests.executor.stage import Stage, attempts, fresh


def test_a_decision_that_stands_still_does_not_hold_up_a_pause(stage: Stage) -> None:
    """Somebody's transaction stands still with the request's lock, its worker waits for it at `sent`, and an administrator pauses
    meanwhile: that is in force at once, and not when the lock is free (or never: after `lock_timeout` it is an error)."""
    execution = stage.cast.approved()
    with psycopg.connect(stage.owner_url) as somebody, stage.frozen_at("claimed-outside") as thaw:
        somebody.execute("SELECT 1 FROM approvals_approvalrequest FOR NO KEY UPDATE")
        worker = threading.Thread(target=thaw)
        worker.start()
        end = time.monotonic() + 10
        while not stage.sql("SELECT 1 FROM pg_locks WHERE NOT granted") and time.monotonic() < end:
            time.sleep(0.05)
        assert stage.sql("SELECT 1 FROM pg_locks WHERE NOT granted"), "the worker waits for the request"
        released = threading.Timer(4, somebody.rollback)
        released.start()
        before = time.monotonic()
        stage.cast.paused()
        took = time.monotonic() - before
        worker.join()
    assert took < 2, f"{took:.1f} s until the pause was in force"
    stage.sweep()
    assert (attempts(execution), stage.calls()) == (["rejected"], [])
    stage.resume()
    stage.sweep()
    assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1)
