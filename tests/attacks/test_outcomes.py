"""Outcomes that somebody wants said otherwise than they are, and outcomes that nobody gets to say at all."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from approvals import canonical, statements
from approvals.models import Execution, Statement
from approvals.statements import Outcome
from approvals.statements.closing import CLOSED_WITHIN
from approvals.statements.texts import text_of
from tests import cast as standing
from tests.executor.stage import Stage, attempts, connect_to, fresh
from tests.executor.test_evidence import lose_what_is_queued
from tests.executor.test_steps import CHANGE, DELETE, approved


@pytest.fixture
def cast(cloned_database: str, tmp_path: Any, settings: Any) -> standing.Cast:
    """Bob and carol may both review, so that two can say how a call went."""
    return standing.seal(tmp_path, settings, change=standing.with_carol)


def second_step_unknown(stage: Stage) -> Execution:
    """The first step took effect; the second was made, and its worker was lost before it recorded an answer."""
    execution = approved(stage, CHANGE, DELETE)
    stage.killed_at("called:2")
    lose_what_is_queued(stage)
    stage.sweep()
    assert (fresh(execution).state, attempts(execution)) == ("unknown", ["succeeded", "unknown"])
    return execution


def written(stage: Stage, execution: Execution, **said: Any) -> Statement:
    """A closing as whoever is the web process would write it: of the true execution, with what it likes in the text."""
    pk, now = uuid4(), timezone.now()
    told = {
        "execution": str(execution.pk),
        "digest": execution.revision.digest,
        "attempt": {"step": 1, "number": 1},
        "outcome": str(Outcome.SUCCEEDED),
        "evidence": canonical.digest("the console shows it"),
    }
    text = text_of(pk, "closing", "I looked", **(told | said))
    connect_to(stage.role_url("web"))
    try:
        return Statement.objects.create(
            id=pk, kind="closing", execution=execution, text=text, digest=canonical.digest(text),
            evidence="the console shows it", proposer=stage.cast.person("bob"), created_at=now, open_until=now + CLOSED_WITHIN,
        )  # fmt: skip
    finally:
        connect_to(stage.owner_url)


@pytest.mark.parametrize(
    "said",
    [
        {"attempt": {"step": 0, "number": 1}},
        {"attempt": {"step": 1, "number": 0}},
        {"attempt": {"step": 1, "number": 2}},
        {"attempt": {"step": 7, "number": 0}},
        {"attempt": {"step": -1, "number": 1}},
        {"attempt": {"step": 0, "number": 1}, "outcome": str(Outcome.NO_EFFECT)},
        {"digest": "0" * 64},
    ],
)
def test_what_two_persons_say_of_another_call_closes_nothing(stage: Stage, said: dict[str, Any]) -> None:
    """Two persons signed, truly, that the first step took effect; the second one's outcome is as unknown as it was."""
    execution = second_step_unknown(stage)
    statement = written(stage, execution, **said)
    for handle in ("bob", "carol"):
        stage.cast.sign_statement(statement, handle)
    stage.execute()
    assert (fresh(execution).state, attempts(execution)) == ("unknown", ["succeeded", "unknown"])
    assert Statement.objects.get(pk=statement.pk).state == "refused"


def test_two_persons_close_what_aws_accepted_and_never_did(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS said yes and its worker was lost; a sweep took over and gave up. Two persons say that it had no effect: it is over."""
    execution = stage.cast.approved()
    monkeypatch.setattr("executor.waiting.look_twice", lambda *_: "it is still there")
    stage.killed_at("answered")
    stage.sweep(1)
    stage.sql("UPDATE approvals_execution SET lease_until = now() - interval '1 second'")
    stage.sql("ALTER TABLE approvals_attempt DISABLE TRIGGER USER")
    stage.sql("UPDATE approvals_attempt SET answered_at = now() - interval '1 hour', sent_at = now() - interval '1 hour'")
    stage.sql("ALTER TABLE approvals_attempt ENABLE TRIGGER USER")
    stage.sweep(1)
    assert (fresh(execution).state, attempts(execution)) == ("unknown", ["accepted"])
    statement = statements.propose_closing(
        execution.pk, stage.cast.person("bob"), outcome=Outcome.NO_EFFECT, evidence="the console shows it", reason="I looked"
    )
    for handle in ("bob", "carol"):
        stage.cast.sign_statement(statement, handle)
    stage.execute()
    assert Statement.objects.get(pk=statement.pk).state == "in force"
    assert (fresh(execution).state, attempts(execution)) == ("failed", ["rejected"])


def test_what_may_still_arrive_is_not_closed_as_without_effect(stage: Stage) -> None:
    """A worker stands still right before its call. Two persons see no effect: it is over when its session is, not before."""
    execution = stage.cast.approved()
    with stage.frozen_at("fenced") as thaw:
        stage.sweep()
        assert fresh(execution).state == "unknown"
        statement = statements.propose_closing(
            execution.pk, stage.cast.person("bob"), outcome=Outcome.NO_EFFECT, evidence="it is there", reason="I looked"
        )
        for handle in ("bob", "carol"):
            stage.cast.sign_statement(statement, handle)
        stage.execute()
        assert (fresh(execution).state, Statement.objects.get(pk=statement.pk).state) == ("unknown", "open")
        thaw()
    assert len(stage.calls()) == 1
    stage.sweep()
    assert (fresh(execution).state, Statement.objects.get(pk=statement.pk).state) == ("succeeded", "refused")
