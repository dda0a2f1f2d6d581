"""The database refuses `sent` for a moment: rolled back for certain, so that the worker's own claim is no riddle to it."""

from __future__ import annotations

import psycopg
import pytest
from django.db import connection

from executor import points
from executor.points import Point
from tests.executor.stage import Stage, attempts, fresh

BREAKS = """
CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = 'deadlock_detected'; END $$;
CREATE TRIGGER broken BEFORE INSERT ON approvals_attempt FOR EACH ROW EXECUTE FUNCTION broken();
"""


def test_a_deadlock_at_sent_costs_no_signature(stage: Stage) -> None:
    """PostgreSQL breaks off the transaction of `sent` by a deadlock; the same process makes the call at its next try."""
    execution = stage.cast.approved()
    stage.sql(BREAKS)
    stage.execute()
    stage.sql("DROP TRIGGER broken ON approvals_attempt")
    assert (fresh(execution).state, attempts(execution), stage.calls()) == ("claimed", [], [])
    stage.sweep(2)
    assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1), fresh(execution).outcome


def test_a_request_that_is_locked_for_long_costs_no_signature(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody's decision stands still with the request's lock for longer than `lock_timeout` (30 s; here a fifth of one), right
    when a worker has claimed outside and looks whether the request is still wanted."""
    execution = stage.cast.approved()
    with psycopg.connect(stage.owner_url) as somebody:

        def reached(point: Point) -> None:
            if point is Point.CLAIMED_OUTSIDE:
                somebody.execute("SELECT 1 FROM approvals_approvalrequest FOR NO KEY UPDATE")
                with connection.cursor() as cursor:
                    cursor.execute("SET lock_timeout = '200ms'")

        with monkeypatch.context() as patch:
            patch.setattr(points, "reached", reached)
            stage.execute()
        somebody.rollback()
    assert (fresh(execution).state, attempts(execution), stage.calls()) == ("claimed", [], [])
    stage.sweep(2)
    assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1), fresh(execution).outcome
