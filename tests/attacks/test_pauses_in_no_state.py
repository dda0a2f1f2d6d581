"""Whoever writes rows can stop everything; two administrators can always let it go on again, and nobody else can."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest
from django.utils import timezone

from approvals import canonical, signatures, statements
from approvals.models import Statement
from approvals.statements.texts import text_of
from tests.executor.stage import Stage, fresh


def paused_by_the_web_process(stage: Stage, state: str) -> None:
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
            "VALUES (%s, %s, 'approve', '', %s, 'c', 'd', 'a', 's', 0, now())",
            (pk, dana.pk, nonce),
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


def test_a_denial_that_nobody_signed_lifts_no_pause(stage: Stage) -> None:
    """Dana's pause is in force by her own signature; rows that say that she denied it let nothing go on, and are an alert."""
    execution = stage.cast.approved()
    stage.cast.paused()
    stage.forge(
        ("UPDATE approvals_statementsignature SET verdict = 'deny'", ()),
        ("UPDATE approvals_statement SET state = 'denied', ended_at = now()", ()),
    )
    stage.execute()
    stage.sweep()
    assert (fresh(execution).state, stage.calls()) == ("ready", [])
    assert "forgery" in stage.alerts()


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


@pytest.mark.parametrize("verdicts", [("deny",), ("approve", "deny")], ids=["denied", "signed and denied"])
def test_a_made_up_denial_stops_nothing_for_ever(stage: Stage, verdicts: tuple[str, ...]) -> None:
    """A pause whose denial nobody made is told and holds nothing; where somebody is said to have signed it, two resume it."""
    execution = stage.cast.approved()
    now, pk = timezone.now(), uuid4()
    text = text_of(pk, Statement.Kind.PAUSE, "made up")
    with psycopg.connect(stage.role_url("web"), autocommit=True) as web:
        web.execute(
            "INSERT INTO approvals_statement (id, kind, state, text, digest, evidence, created_at, open_until, ended_why, "
            "proposer_id) VALUES (%s, 'pause', 'open', %s, %s, '', now(), now() + interval '1 hour', '', %s)",
            (pk, text, canonical.digest(text), stage.cast.person("dana").pk),
        )
        for handle, verdict in zip(("dana", "erin"), verdicts, strict=False):
            web.execute(
                "INSERT INTO approvals_statementsignature (statement_id, person_id, verdict, reason, nonce, credential_id, "
                "client_data, authenticator_data, signature, counter, created_at) "
                "VALUES (%s, %s, %s, '', %s, 'c', 'd', 'a', 's', 0, now())",
                (pk, stage.cast.person(handle).pk, verdict, signatures.websafe(signatures.new_nonce(now))),
            )
        web.execute("UPDATE approvals_statement SET state = 'denied', ended_at = now() WHERE id = %s", (pk,))
    stage.execute()
    assert stage.alerts() == ["forgery"]
    if "approve" in verdicts:
        assert (fresh(execution).state, stage.calls()) == ("ready", [])
        stage.resume()
        stage.sweep()
    assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1)
