"""What other sessions, ids that are no pause's yet, passkeys that go and two workers at once could do to the kill switch."""

from __future__ import annotations

import os
import time
from uuid import UUID, uuid4

import psycopg
import pytest

from approvals import canonical, changes, statements
from approvals.models import Alert, AuthorityChange, Passkey, Statement
from approvals.statements import switch
from approvals.statements.texts import text_of
from approvals.states import Verdict
from executor import closing
from tests.executor.stage import Stage, fresh


@pytest.mark.parametrize("role", ["feed", "delivery", "web"])
def test_a_lock_that_somebody_keeps_delays_a_pause_by_seconds(stage: Stage, role: str) -> None:
    """Whoever may connect can keep an advisory lock: the pause is in force all the same, says so, and no call is made."""
    execution = stage.cast.approved()
    with psycopg.connect(stage.role_url(role), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock_shared(%s)", (switch._KEY,))
        stage.cast.paused()
        stage.execute()
        assert (fresh(execution).state, stage.calls(), len(statements.in_force())) == ("ready", [], 1)
    assert "kept the lock" in Alert.objects.get(kind="paused").detail
    stage.resume()
    stage.cast.paused("erin")
    assert "kept the lock" not in Alert.objects.filter(kind="paused").latest("pk").detail


def made_by_the_web_process(stage: Stage, pk: UUID, kind: str, text: str) -> None:
    with psycopg.connect(stage.role_url("web"), autocommit=True) as web:
        web.execute(
            "INSERT INTO approvals_statement (id, kind, state, text, digest, evidence, created_at, open_until, ended_why, "
            "proposer_id) VALUES (%s, %s, 'open', %s, %s, '', now(), now() + interval '1 hour', '', %s)",
            (pk, kind, text, canonical.digest(text), stage.cast.person("dana").pk),
        )


def test_no_pause_is_resumed_before_it_is_made(stage: Stage) -> None:
    """Two are let resume one more than there is, whose id a later pause would get: nothing is resumed, and it is an alert."""
    execution = stage.cast.approved()
    first, later, resuming = stage.cast.paused(), uuid4(), uuid4()
    named = sorted([str(first.pk), str(later)])
    made_by_the_web_process(stage, resuming, "resume", text_of(resuming, Statement.Kind.RESUME, "it was nothing", pauses=named))
    for who in ("dana", "erin"):
        stage.cast.sign_statement(Statement.objects.get(pk=resuming), who)
    with stage.acting("execution"):
        closing.act_on(resuming)
    assert Statement.objects.get(pk=resuming).state == "refused"
    assert stage.alerts() == ["forgery", "paused"]
    stage.resume()
    made_by_the_web_process(stage, later, "pause", text_of(later, Statement.Kind.PAUSE, "something is wrong"))
    stage.cast.sign_statement(Statement.objects.get(pk=later), "dana")
    stage.sweep()
    assert (fresh(execution).state, stage.calls(), [one.pk for one in statements.in_force()]) == ("ready", [], [later])


def test_no_statement_is_longer_than_people_read(stage: Stage) -> None:
    """A web process that was taken over cannot store a text that every page and every claim has to read for seconds."""
    pk = uuid4()
    with pytest.raises(psycopg.errors.CheckViolation, match="no longer than what people read"):
        made_by_the_web_process(stage, pk, "pause", text_of(pk, Statement.Kind.PAUSE, "x" * 300_000))


def test_two_workers_that_take_a_resuming_back_at_once_end_nothing(stage: Stage) -> None:
    """The one that comes second finds it taken back: what it was about to claim waits, as the first one's does."""
    executions = [stage.cast.approved(), stage.cast.approved(operation="dynamodb:DeleteTable", TableName="prod-customers")]
    pause = stage.cast.paused()
    stage.cast.resuming("dana", "erin")
    stage.forge(
        ("UPDATE approvals_statementsignature SET signature = 's' WHERE statement_id <> %s", (pause.pk,)),
        ("UPDATE approvals_statement SET state = 'in force' WHERE kind = 'resume'", ()),
        ("UPDATE approvals_statement SET state = 'over' WHERE kind = 'pause'", ()),
    )
    stage.sql(
        """
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW.kind = 'statement.refused' THEN PERFORM pg_sleep(3); END IF; RETURN NEW; END $$;
        CREATE TRIGGER slow BEFORE INSERT ON approvals_auditentry FOR EACH ROW EXECUTE FUNCTION slow();
        """
    )
    with stage.frozen_at("taken") as thaw:  # has one of both promises in hand
        reads, writes = os.pipe()
        other = stage._forked("", writes)  # takes the other one, finds the resuming and takes it back, slowly
        os.close(writes)
        time.sleep(1)
        thaw()
        os.waitpid(other, 0)
        os.close(reads)
    assert [fresh(one).state for one in executions] == ["ready", "ready"], [fresh(one).outcome for one in executions]
    assert stage.audit().count("statement.refused") == 1


def test_any_number_of_pauses_can_be_resumed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many a web process that was taken over makes, a resuming names what can be signed, and the next one the rest."""
    monkeypatch.setattr(switch, "MOST_AT_ONCE", 2)
    execution = stage.cast.approved()
    pauses = [stage.cast.paused() for _ in range(3)]
    act_on(stage, stage.cast.resuming("dana", "erin"))
    assert statements.in_force() == pauses[2:]
    stage.sweep()
    assert fresh(execution).state == "ready"
    act_on(stage, stage.cast.resuming("dana", "erin"))
    stage.sweep()
    assert (fresh(execution).state, statements.in_force()) == ("succeeded", [])


def test_a_resuming_of_as_many_as_it_may_name_is_no_longer_than_a_statement_may_be() -> None:
    """The database takes no longer one (migration 0014)."""
    named = [str(uuid4()) for _ in range(switch.MOST_AT_ONCE)]
    assert len(text_of(uuid4(), Statement.Kind.RESUME, "x" * 4000, pauses=named)) < 262_144 / 2


class Going:
    """Erin's only passkey is being removed: one administrator has signed that, the other has opened what is left to sign."""

    def __init__(self, stage: Stage, first: str, last: str) -> None:
        self._cast, self._last = stage.cast, last
        key = Passkey.objects.get(person__handle="erin")
        self._change: AuthorityChange = self._cast.proposed(
            {"edit": "remove_passkey", "credential_id": key.credential_id, "person": "erin"}, {"edit": "invite", "person": "erin"}
        )
        self._cast.sign_change(self._change, first)
        self._opened = changes.begin(self._change.pk, self._cast.person(last), Verdict.APPROVE)
        time.sleep(0.05)

    def goes(self) -> None:
        """By a signature that was begun before whatever the key has signed meanwhile."""
        changes.sign(
            self._change.pk,
            self._cast.person(self._last),
            digest=self._opened.digest,
            verdict=Verdict.APPROVE,
            nonce=self._opened.nonce,
            assertion=self._cast.assertion(self._last, self._opened),
            reason="",
        )
        assert changes.apply(self._change.pk)


def test_a_pause_by_a_key_that_was_being_removed_is_no_forgery(stage: Stage) -> None:
    """It holds, as every pause does, and nobody is told of forged rows; two resume it."""
    execution = stage.cast.approved()
    going = Going(stage, "dana", "frank")
    stage.cast.paused("erin")
    going.goes()
    stage.sweep()
    assert (fresh(execution).state, stage.calls(), stage.alerts()) == ("ready", [], ["paused"])
    act_on(stage, stage.cast.resuming("dana", "frank"))
    stage.sweep()
    assert fresh(execution).state == "succeeded"


def test_one_signature_too_many_spoils_nothing(stage: Stage) -> None:
    """Erin's key goes and her signature counts for nothing; dana's and frank's are enough without it."""
    stage.cast.paused()
    going = Going(stage, "dana", "frank")
    resuming = stage.cast.resuming("dana", "frank", "erin")
    going.goes()
    act_on(stage, resuming)
    execution = stage.cast.approved()
    stage.sweep()
    assert (Statement.objects.get(pk=resuming.pk).state, fresh(execution).state) == ("in force", "succeeded")


def test_a_denial_counts_whatever_becomes_of_its_key(stage: Stage) -> None:
    """Erin denied it with a key that goes; whoever owns the tables opens it again: no third signature resumes anything."""
    stage.cast.paused()
    going = Going(stage, "dana", "frank")
    resuming = stage.cast.resuming("dana")
    stage.cast.sign_statement(resuming, "erin", Verdict.DENY)
    stage.forge(("UPDATE approvals_statement SET state = 'open', ended_at = NULL, ended_why = '' WHERE id = %s", (resuming.pk,)))
    stage.cast.sign_statement(Statement.objects.get(pk=resuming.pk), "frank")
    going.goes()
    act_on(stage, resuming)
    assert (Statement.objects.get(pk=resuming.pk).state, len(statements.in_force())) == ("refused", 1)
    assert "forgery" in stage.alerts()


@pytest.mark.parametrize("acted_on", ["before", "after"])
def test_a_resuming_by_a_key_that_was_being_removed_is_no_forgery(stage: Stage, acted_on: str) -> None:
    """Erin resumes while frank signs that her key goes: by what he signed it was none then; it is said so, and signed anew.

    Whether that is put in force before the removal is applied, and taken back, or never is.
    """
    cast = stage.cast
    cast.paused()
    going = Going(stage, "dana", "frank")
    resuming = cast.resuming("dana", "erin")
    if acted_on == "before":
        act_on(stage, resuming)
        assert Statement.objects.get(pk=resuming.pk).state == "in force"
    going.goes()
    if acted_on == "after":
        act_on(stage, resuming)
    execution = cast.approved()
    stage.sweep()
    assert (fresh(execution).state, stage.calls(), len(statements.in_force())) == ("ready", [], 1)
    assert set(stage.alerts()) == {"paused"}
    refused = Statement.objects.get(pk=resuming.pk)
    assert (refused.state, "after its removal was signed" in refused.ended_why) == ("refused", True)
    act_on(stage, cast.resuming("dana", "frank"))
    stage.sweep()
    assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1)


def act_on(stage: Stage, resuming: Statement) -> None:
    with stage.acting("execution"):
        closing.act_on(resuming.pk)
