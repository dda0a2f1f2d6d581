"""Two at once on real PostgreSQL: locks in one order, and AWS's answer recorded although the database broke off once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psycopg
import pytest
from django.db import connections
from django.utils import timezone

from approvals import audit, changes, decisions
from approvals.audit import Trail
from approvals.authority import tables
from approvals.models import Attempt, Execution
from approvals.states import AttemptState, ExecutionState, Verdict
from executor import calling, claim, endings, readying, reconcile, run
from executor.answers import Accepted, Rejected
from executor.outside import Held
from tests.executor.stage import QUICK, Stage, attempts, fresh


def at_once(*works: Callable[[], None]) -> list[Exception]:
    """Run each in a thread of its own; what they raised."""
    troubles: list[Exception] = []

    def run_one(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - asserted on by the caller
            troubles.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run_one, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return troubles


def sent(stage: Stage, execution: Execution) -> tuple[claim.Cleared, Attempt]:
    """As the worker that is about to make the call. Call within `acting`."""
    cleared = claim.take(execution.pk)
    assert isinstance(cleared, claim.Cleared)
    step = cleared.plan.steps[0]
    session = readying.assume(cleared, 0, step)
    assert not isinstance(session, claim.Later | None)
    session.close()
    attempt = calling.sent(cleared, 0, step, session, Held(1, ""))
    assert isinstance(attempt, Attempt)
    return cleared, attempt


@pytest.mark.parametrize("rival", ["a second promise", "a sweep"])
def test_who_ends_an_execution_and_who_looks_at_it_wait_for_each_other(stage: Stage, rival: str) -> None:
    """One has ended the execution and is about to raise an alert, another comes for the same execution: no deadlock, no loss."""
    execution = stage.cast.approved()
    inside = threading.Event()
    with stage.acting("execution"):
        cleared, attempt = sent(stage, execution)
        stage.lapse()

        def end() -> None:
            with audit.recorded() as trail:
                endings.answered(trail, cleared.claim, attempt, AttemptState.REJECTED, code="ValidationException", message="no")
                if rival == "a sweep":
                    inside.set()
                    time.sleep(1)
                endings.end(trail, cleared.claim, ExecutionState.FAILED, "AWS refused")
                # The alert's foreign key is checked at the commit.
                inside.set()
                time.sleep(1)

        def look() -> None:
            inside.wait(timeout=30)
            if rival == "a sweep":
                reconcile.sweep(patience=QUICK)
            else:
                run.carry_out(execution.pk, patience=QUICK)

        troubles = at_once(end, look)
    assert troubles == []
    assert (fresh(execution).state, attempts(execution)) == ("failed", ["rejected"])


def test_an_answer_is_recorded_after_a_deadlock(stage: Stage) -> None:
    """Somebody locks attempt and request in the wrong order and PostgreSQL breaks our transaction off: AWS's no is not lost."""
    execution = stage.cast.approved()
    with stage.acting("execution"):
        cleared, attempt = sent(stage, execution)
        locked, troubles = threading.Event(), []

        def rival() -> None:
            with psycopg.connect(stage.owner_url) as connection:
                connection.execute("SELECT 1 FROM approvals_attempt WHERE id = %s FOR UPDATE", [attempt.pk])
                locked.set()
                time.sleep(0.5)
                connection.execute("SELECT 1 FROM approvals_approvalrequest FOR UPDATE")

        def record() -> None:
            locked.wait(timeout=30)
            calling.answered(cleared, attempt, cleared.plan.steps[0], Rejected("ValidationException", "no", "REQUEST"))

        troubles = at_once(rival, record)
    assert troubles == []
    assert (fresh(execution).state, attempts(execution)) == ("failed", ["rejected"])
    assert Attempt.objects.get().aws_request_id == "REQUEST"


def test_an_answer_is_recorded_over_a_connection_made_anew(stage: Stage) -> None:
    """The database restarts while AWS answers: the yes is recorded over a new connection, and nothing is called again."""
    execution = stage.cast.approved()
    with stage.acting("execution"):
        cleared, attempt = sent(stage, execution)
        with psycopg.connect(stage.role_url("execution"), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE usename = current_user AND datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert calling.answered(cleared, attempt, cleared.plan.steps[0], Accepted({}, "REQUEST"))
    assert (attempts(execution), Attempt.objects.get().aws_request_id) == (["accepted"], "REQUEST")
    assert stage.calls() == []
    left = fresh(execution).lease_until
    assert left is not None
    assert left > timezone.now()


def test_a_review_and_a_change_of_its_reviewer_do_not_wait_for_each_other(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bob's name is changed while he signs: the change holds his row, he holds the trail's head, and both come to their end."""
    request = stage.cast.pending()
    stage.read(request)
    change = stage.cast.proposed({"edit": "set_person", "person": "bob", "name": "Robert"})
    for handle in ("dana", "erin"):
        stage.cast.sign_change(change, handle)
    wrote, flushed = threading.Event(), threading.Event()
    state_of_tables, flush = tables.state_of_tables, Trail.flush

    def written() -> str:
        found = state_of_tables()
        wrote.set()
        flushed.wait(5)
        return found

    def flushed_by(self: Trail) -> None:
        flush(self)
        if threading.get_ident() in reviewing:
            flushed.set()
            time.sleep(0.5)

    opened = decisions.begin(request.pk, stage.cast.person("bob"), Verdict.APPROVE)
    assertion = stage.cast.assertion("bob", opened)
    reviewing: list[int] = []

    def review() -> None:
        reviewing.append(threading.get_ident())
        assert wrote.wait(5)
        stage.cast.review(request, "bob", opened, assertion)

    def apply() -> None:
        changes.apply(change.pk)

    monkeypatch.setattr(tables, "state_of_tables", written)
    monkeypatch.setattr(Trail, "flush", flushed_by)
    assert at_once(apply, review) == []
    change.refresh_from_db()
    request.refresh_from_db()
    assert (request.state, change.state) == ("approved", "applied")
