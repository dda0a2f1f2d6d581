"""Whoever writes rows can stop everything; two administrators can always let it go on again, and nobody else can."""

from __future__ import annotations

from typing import Final
from uuid import uuid4

import psycopg
import pytest
from django.utils import timezone

from approvals import audit, canonical, signatures, statements
from approvals.models import Statement
from approvals.statements.texts import text_of
from tests.executor.stage import Stage, fresh


def paused_by_the_web_process(stage: Stage, state: str, verdict: str = "approve") -> None:
    """With the web process's own role: a pause with a signature that nobody made, left in this state."""
    dana, now, pk = stage.cast.person("dana"), timezone.now(), uuid4()
    text = text_of(pk, Statement.Kind.PAUSE, "made up")
    nonce = signatures.websafe(signatures.new_nonce(now))
    with psycopg.connect(stage.role_url("web"), autocommit=True) as web:
        web.execute(
            "INSERT INTO approvals_statement (id, kind, state, text, digest, evidence, created_at, open_until, ended_why, "
            "proposer_id) VALUES (%s, 'pause', 'open', %s, %s, '', now(), now() + interval '1 hour', '', %s)",
            (pk, text, canonical.digest(text), dana.pk),
        )
        web.execute(
            "INSERT INTO approvals_statementsignature (statement_id, person_id, verdict, reason, nonce, credential_id, "
            "client_data, authenticator_data, signature, counter, created_at) "
            "VALUES (%s, %s, %s, '', %s, 'c', 'd', 'a', 's', 0, now())",
            (pk, dana.pk, verdict, nonce),
        )
        if state != "open":
            web.execute("UPDATE approvals_statement SET state = %s, ended_at = now() WHERE id = %s", (state, pk))


@pytest.mark.parametrize("state", ["open", "withdrawn", "in force"])
def test_what_holds_can_be_resumed(stage: Stage, state: str) -> None:
    """A made-up pause holds, with an alert; pages say so, and two administrators resume it whatever its row says."""
    execution = stage.cast.approved()
    paused_by_the_web_process(stage, state)
    stage.execute()
    assert (fresh(execution).state, stage.calls(), stage.alerts()) == ("ready", [], ["forgery"])
    assert statements.in_force(), "the pages and `manage.py switch` say that nothing is paused, and everything is"
    stage.resume()
    stage.sweep()
    assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1)


_OWNERS: Final = {
    "a denial": ("UPDATE approvals_statementsignature SET verdict = 'deny'", "UPDATE approvals_statement SET state = 'denied'"),
    "a spoiled denial": (
        "UPDATE approvals_statementsignature SET verdict = 'deny', signature = 's'",
        "UPDATE approvals_statement SET state = 'denied'",
    ),
    "a spoiled text": ("UPDATE approvals_statement SET state = 'denied', digest = repeat('0', 64)",),
    "over": ("UPDATE approvals_statement SET state = 'over'",),
    "refused": ("UPDATE approvals_statement SET state = 'refused'",),
}


@pytest.mark.parametrize("written", _OWNERS)
def test_whatever_is_written_over_a_pause_it_holds_until_two_resume_it(stage: Stage, written: str) -> None:
    """The tables' owner, triggers off, writes over a signed pause: it holds, pages show it, two administrators resume it."""
    execution = stage.cast.approved()
    stage.cast.paused()
    stage.forge(*((change, ()) for change in _OWNERS[written]))
    stage.execute()
    stage.sweep()
    assert (fresh(execution).state, stage.calls()) == ("ready", [])
    assert len(statements.in_force()) == 1
    stage.resume()
    stage.sweep()
    assert (fresh(execution).state, len(stage.calls()), statements.in_force()) == ("succeeded", 1, [])


def test_a_resuming_that_does_not_verify_is_taken_back(stage: Stage) -> None:
    """A resuming in force with signatures written by hand: the pause holds, is shown as what it is, and is resumed by two."""
    execution = stage.cast.approved()
    pause = stage.cast.paused()
    stage.cast.resuming("dana", "erin")
    stage.forge(
        ("UPDATE approvals_statementsignature SET signature = 's' WHERE statement_id <> %s", (pause.pk,)),
        ("UPDATE approvals_statement SET state = 'in force' WHERE kind = 'resume'", ()),
        ("UPDATE approvals_statement SET state = 'over' WHERE kind = 'pause'", ()),
    )
    stage.execute()
    made_up = Statement.objects.get(kind="resume")
    assert (fresh(execution).state, stage.calls(), stage.alerts()) == ("ready", [], ["forgery", "paused"])
    assert made_up.state == "refused"
    assert "does not verify" in made_up.ended_why
    assert [one.pk for one in statements.in_force()] == [pause.pk]
    assert stage.audit().count("statement.refused") == 1
    stage.sweep()
    assert stage.audit().count("statement.refused") == 1
    stage.resume()
    stage.sweep()
    assert (fresh(execution).state, len(stage.calls()), statements.in_force()) == ("succeeded", 1, [])
    assert audit.verify().holds


@pytest.mark.parametrize("state", ["open", "withdrawn", "in force"])
def test_what_was_resumed_is_not_shown_as_in_force(stage: Stage, state: str) -> None:
    """Once it was resumed no page says that executions are paused, and nobody resumes it again and again."""
    execution = stage.cast.approved()
    paused_by_the_web_process(stage, state)
    stage.execute()
    stage.resume()
    stage.sweep()
    assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1)
    assert statements.in_force() == [], "the pages say that everything is paused, and nothing is"


@pytest.mark.parametrize("state", ["open", "denied"])
def test_the_web_process_cannot_deny_a_pause(stage: Stage, state: str) -> None:
    """Nobody denies a pause: as one an administrator's true signature could be hidden, and all stay paused without a word."""
    execution = stage.cast.approved()
    with pytest.raises(psycopg.errors.CheckViolation, match="withdrawn, not denied"):
        paused_by_the_web_process(stage, state, "deny")
    stage.execute()
    assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1)
