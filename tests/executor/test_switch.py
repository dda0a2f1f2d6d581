"""The kill switch: one administrator pauses all executions at once; two resume; nothing that does not verify resumes."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from approvals import audit, authority, statements
from approvals.errors import AlreadyReviewed, NotAllowed, Refused
from approvals.models import Attempt, AuditEntry, Execution, OutboxMessage, Statement, StatementSignature
from approvals.states import Verdict
from executor import again, calling, claim, holding, readying, reconcile, run, tasks
from executor.aws import Session
from executor.outside import Held
from tests.executor.proxy import Wire
from tests.executor.stage import QUICK, Stage, attempts, fresh


def due(stage: Stage) -> None:
    stage.lapse()
    stage.execute()


def test_one_administrator_pauses_everything_and_two_resume(stage: Stage) -> None:
    """Paused by one signature: nothing is claimed, nothing aborted; resumed by two: it is carried out; the trail says so."""
    execution = stage.cast.approved()
    pause = stage.cast.paused()
    stage.execute()
    assert (fresh(execution).state, stage.calls()) == ("ready", [])
    put_off = OutboxMessage.objects.get(kind="execute")
    assert "paused" in put_off.error
    assert "something is wrong" in put_off.error
    assert stage.alerts() == ["paused"]
    stage.cast.resuming("dana")
    due(stage)
    assert fresh(execution).state == "ready"
    stage.cast.sign_statement(Statement.objects.get(kind="resume"), "erin")
    stage.execute()
    assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1)
    assert Statement.objects.get(pk=pause.pk).state == "over"
    kinds = stage.audit()
    assert kinds.index("switch.paused") < kinds.index("switch.resumed") < kinds.index("execution.claimed")
    assert audit.verify().holds


def test_a_pause_is_withdrawn_and_not_denied(stage: Stage) -> None:
    """Nobody denies a pause; one that was withdrawn unsigned pauses nothing and alarms nobody, and true ones are resumed."""
    execution = stage.cast.approved()
    pause = statements.pause(stage.cast.person("dana"), reason="a mistake")
    with pytest.raises(Refused, match="A pause is not denied"):
        stage.cast.sign_statement(pause, "erin", Verdict.DENY)
    statements.withdraw(pause.pk, stage.cast.person("dana"))
    assert (Statement.objects.get(pk=pause.pk).state, statements.in_force()) == ("withdrawn", [])
    stage.cast.paused("erin")
    stage.cast.resuming("dana", "erin")
    stage.execute()
    due(stage)
    assert (fresh(execution).state, len(stage.calls()), stage.alerts()) == ("succeeded", 1, ["paused"])


def test_pauses_use_up_no_tries(stage: Stage) -> None:
    """Paused and resumed nine times right before the call, and then refused by AWS for a moment: it is made after all."""
    execution = stage.cast.approved()
    for _ in range(again.MOST_TRIES + 1):
        with stage.frozen_at("sent") as thaw:
            stage.cast.paused()
            thaw()
        assert fresh(execution).state == "running", fresh(execution).outcome
        stage.resume()
        stage.lapse()
    with Wire(stage.aws.endpoint_url, "DeleteTable", "throttle before", times=1) as wire:
        stage.endpoint = wire.url
        stage.execute()
    stage.endpoint = ""
    due(stage)
    assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1)


def test_whoever_is_no_administrator_neither_pauses_nor_resumes(stage: Stage) -> None:
    """Requester, approver and auditor have no switch; the database refuses their signatures as well."""
    for handle in ("alice", "bob", "olivia"):
        with pytest.raises(NotAllowed, match="Administrators pause"):
            statements.pause(stage.cast.person(handle), reason="no")
    pause = statements.pause(stage.cast.person("dana"), reason="mine")
    with pytest.raises(NotAllowed):
        stage.cast.sign_statement(pause, "bob")
    with pytest.raises(IntegrityError, match="administrators pause"), transaction.atomic():
        signed_by_hand(pause, stage.cast.person("bob"))


def signed_by_hand(statement: Statement, person: Any, **changes: Any) -> StatementSignature:
    """A signature's row with an assertion that nobody made."""
    from approvals import signatures

    fields = {"credential_id": "c", "client_data": "d", "authenticator_data": "a", "signature": "s", "counter": 0}
    now = timezone.now()
    nonce = signatures.websafe(signatures.new_nonce(now))
    return StatementSignature.objects.create(
        statement=statement, person=person, verdict="approve", nonce=nonce, created_at=now, **{**fields, **changes}
    )


def test_one_administrator_twice_resumes_nothing(stage: Stage) -> None:
    """The same person signs a resuming once, and one signature is not acted on whoever promises it."""
    execution = stage.cast.approved()
    stage.cast.paused()
    resuming = stage.cast.resuming("erin")
    with pytest.raises(AlreadyReviewed):
        stage.cast.sign_statement(resuming, "erin")
    stage.sql(
        "INSERT INTO approvals_outboxmessage (kind, subject, topic, created_at, due_at, attempts, error) "
        "VALUES ('close', %s, '', now(), now(), 0, '')",
        str(resuming.pk),
    )
    stage.execute()
    due(stage)
    assert (Statement.objects.get(pk=resuming.pk).state, fresh(execution).state) == ("open", "ready")


def test_a_denial_ends_a_resuming(stage: Stage) -> None:
    """An administrator who denies a resuming ends it; the pause goes on."""
    stage.cast.paused()
    resuming = stage.cast.resuming("dana")
    stage.cast.sign_statement(resuming, "erin", Verdict.DENY)
    assert Statement.objects.get(pk=resuming.pk).state == "denied"
    assert len(statements.in_force()) == 1


def test_a_resuming_ends_only_the_pauses_that_it_names(stage: Stage) -> None:
    """Somebody pauses again while a resuming is being signed: the later pause holds."""
    execution = stage.cast.approved()
    stage.cast.paused()
    resuming = stage.cast.resuming("dana")
    later = stage.cast.paused("erin", reason="and another thing")
    stage.cast.sign_statement(resuming, "erin")
    stage.execute()
    due(stage)
    assert [one.pk for one in statements.in_force()] == [later.pk]
    assert (fresh(execution).state, stage.calls()) == ("ready", [])


def test_nothing_is_resumed_that_is_not_paused(stage: Stage) -> None:
    """There is no resuming in advance."""
    with pytest.raises(Refused, match="not paused"):
        statements.propose_resuming(stage.cast.person("dana"), reason="just in case")


def test_a_pause_row_that_does_not_verify_pauses_too(stage: Stage) -> None:
    """Whoever writes a pause by hand stops everything, and is an alert: what nobody understands is no reason to go on."""
    execution = stage.cast.approved()
    pause = statements.pause(stage.cast.person("dana"), reason="made up")
    signed_by_hand(pause, stage.cast.person("dana"))
    stage.execute()
    assert (fresh(execution).state, stage.calls(), stage.alerts()) == ("ready", [], ["forgery"])
    due(stage)
    assert stage.alerts() == ["forgery"]


def test_a_resuming_that_does_not_verify_resumes_nothing(stage: Stage) -> None:
    """With every trigger off somebody writes a resuming in force: its signatures do not verify, so the pause holds; one alert."""
    execution = stage.cast.approved()
    stage.cast.paused()
    resuming = stage.cast.resuming("dana")
    signed_by_hand(resuming, stage.cast.person("erin"))
    stage.forge(
        ("UPDATE approvals_statement SET state = 'in force' WHERE kind = 'resume'", ()),
        ("UPDATE approvals_statement SET state = 'over' WHERE kind = 'pause'", ()),
    )
    stage.execute()
    due(stage)
    assert (fresh(execution).state, stage.calls(), stage.alerts()) == ("ready", [], ["forgery", "paused"])


def test_signatures_that_do_not_verify_are_refused_with_an_alert(stage: Stage) -> None:
    """The web process writes erin's signature by hand: the executor refuses the resuming, and says that rows were forged."""
    stage.cast.paused()
    resuming = stage.cast.resuming("dana")
    signed_by_hand(resuming, stage.cast.person("erin"))
    stage.sql(
        "INSERT INTO approvals_outboxmessage (kind, subject, topic, created_at, due_at, attempts, error) "
        "VALUES ('close', %s, '', now(), now(), 0, '')",
        str(resuming.pk),
    )
    stage.execute()
    assert Statement.objects.get(pk=resuming.pk).state == "refused"
    assert stage.alerts() == ["forgery", "paused"]
    assert len(statements.in_force()) == 1


def test_the_web_process_cannot_resume_by_sql(stage: Stage) -> None:
    """Whatever the web role writes: a pause that is over, or a resuming in force, is the execution process's alone to write."""
    pause = stage.cast.paused()
    resuming = stage.cast.resuming("dana", "erin")
    with psycopg.connect(stage.role_url("web"), autocommit=True) as web:
        for statement in (
            f"UPDATE approvals_statement SET state = 'over' WHERE id = '{pause.pk}'",
            f"UPDATE approvals_statement SET state = 'in force' WHERE id = '{resuming.pk}'",
            f"UPDATE approvals_statement SET state = 'open' WHERE id = '{pause.pk}'",
            f"UPDATE approvals_statement SET state = 'withdrawn' WHERE id = '{pause.pk}'",
        ):
            with pytest.raises(psycopg.errors.CheckViolation):
                web.execute(statement)
        for statement in (
            "DELETE FROM approvals_statement",
            "DELETE FROM approvals_statementsignature",
            "UPDATE approvals_statement SET text = '{}'",
            "TRUNCATE approvals_statement CASCADE",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                web.execute(statement)


def leaves_the_administrators(stage: Stage, handle: str) -> None:
    stage.cast.changed(
        {"edit": "set_person", "person": "olivia", "administrator": True},
        {"edit": "set_person", "person": handle, "administrator": False},
        signers=("dana", "frank"),
    )


def test_who_is_no_administrator_any_more_does_not_count(stage: Stage) -> None:
    """Erin signed the resuming and was taken out of the administrators before it was acted on: one signature is left."""
    execution = stage.cast.approved()
    stage.cast.paused()
    resuming = stage.cast.resuming("erin", "dana")
    leaves_the_administrators(stage, "erin")
    stage.execute()
    due(stage)
    assert (Statement.objects.get(pk=resuming.pk).state, fresh(execution).state) == ("open", "ready")


def test_who_leaves_the_administrators_later_undoes_no_resuming(stage: Stage) -> None:
    """What two administrators resumed stays resumed when one of them is no administrator any more."""
    stage.cast.paused()
    stage.cast.resuming("erin", "dana")
    stage.execute()
    leaves_the_administrators(stage, "erin")
    execution = stage.cast.approved()
    stage.execute()
    assert fresh(execution).state == "succeeded"


def test_a_pause_between_claim_and_call_stops_the_call(stage: Stage) -> None:
    """The worker has its claim and its session; a pause comes; `sent` is not committed, and after resuming it goes on."""
    execution = stage.cast.approved()
    with stage.acting("execution"):
        cleared = claim.take(execution.pk)
        assert isinstance(cleared, claim.Cleared)
        step = cleared.plan.steps[0]
        session = readying.assume(cleared, 0, step)
        assert isinstance(session, Session)
        with session:
            held = holding.claimed_outside(cleared, 0)
            assert isinstance(held, Held)
            with AsOwner(stage):
                stage.cast.paused()
            found = calling.sent(cleared, 0, step, session, held)
    assert isinstance(found, claim.Later)
    assert "paused" in found.why
    # Where the claim outside was written already, an attempt accounts for it that was never `sent`.
    assert (attempts(execution), stage.calls()) == (["rejected"] if held.key else [], [])
    assert "attempt.sent" not in stage.audit()
    stage.cast.resuming("dana", "erin")
    due(stage)
    due(stage)
    assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1)


def test_a_worker_that_stood_still_before_the_call_does_not_make_it_during_a_pause(stage: Stage) -> None:
    """It said `sent` and stood still; somebody paused; thawed it makes no call, says so, and goes on once that is resumed."""
    execution = stage.cast.approved()
    with stage.frozen_at("sent") as thaw:
        stage.cast.paused()
        thaw()
    assert (fresh(execution).state, attempts(execution), stage.calls()) == ("running", ["rejected"], [])
    assert "paused before the call" in Attempt.objects.get().error_message
    stage.cast.resuming("dana", "erin")
    due(stage)
    due(stage)
    assert (fresh(execution).state, attempts(execution), len(stage.calls())) == ("succeeded", ["rejected", "succeeded"], 1)


class AsOwner:
    """Inside `acting`, for a moment, as the owner of the tables."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def __enter__(self) -> None:
        from tests.executor.stage import connect_to

        connect_to(self.stage.owner_url)

    def __exit__(self, *_: object) -> None:
        from tests.executor.stage import connect_to

        connect_to(self.stage.role_url("execution"))


def test_a_plan_of_several_steps_stops_before_its_next_step(stage: Stage) -> None:
    """Paused while the first of two steps settles: the second is not made before two persons resumed, and then it is."""
    from tests.executor.test_steps import CHANGE, DELETE, approved

    execution = approved(stage, CHANGE, DELETE)
    with stage.acting("execution"):
        run.carry_out(execution.pk)
    stage.cast.paused()
    stage.execute()
    assert (fresh(execution).state, attempts(execution)) == ("running", ["succeeded"])
    for _ in range(2):
        stage.lapse()
        with stage.acting("execution"):
            reconcile.sweep(patience=QUICK)
            tasks.execute_due()
    assert attempts(execution) == ["succeeded"]
    stage.cast.resuming("dana", "erin")
    due(stage)
    due(stage)
    assert (fresh(execution).state, attempts(execution)) == ("succeeded", ["succeeded", "succeeded"])


@pytest.mark.slow
def test_after_the_commit_of_a_pause_no_call_is_announced(cloned_database: str, cast: Any) -> None:
    """Twenty races of a pause against `sent`: the trail, which is in the order of commits, never has `sent` behind the pause."""
    from executor.endings import Claim

    execution = cast.approved()
    Execution.objects.filter(pk=execution.pk).update(state="claimed", token=1, claimed_at=timezone.now())
    plan = execution.revision.plan
    account = authority.walk(cast.genesis).accounts[plan.account]
    base = claim.Cleared(
        Claim(execution.pk, execution.revision.request_id, 1), plan, account, frozenset(), execution.revision.digest, "", ()
    )
    session: Any = SimpleNamespace(access_key_id="ASIARACE")
    announced, delay = 0, 0.0
    for number in range(20):
        with transaction.atomic():
            known = statements.pauses(authority.walk(cast.genesis), authority.relying_party())
        cleared = replace(base, resumed=known.resumed)
        ready = threading.Barrier(2)
        found: list[Any] = []

        def pausing(ready: threading.Barrier = ready, reason: str = f"round {number}") -> None:
            try:
                pause = statements.pause(cast.person("dana"), reason=reason)
                ready.wait()
                cast.sign_statement(pause, "dana")
            finally:
                connections.close_all()

        def sending(
            ready: threading.Barrier = ready,
            cleared: claim.Cleared = cleared,
            found: list[Any] = found,
            wait: float = delay,
            lock: int = number + 1,
        ) -> None:
            try:
                ready.wait()
                time.sleep(wait)
                found.append(calling.sent(cleared, 0, plan.steps[0], session, Held(lock, "")))
            finally:
                connections.close_all()

        before = audit.verify().links
        threads = [threading.Thread(target=pausing), threading.Thread(target=sending)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kinds = list(AuditEntry.objects.filter(sequence__gt=before).order_by("sequence").values_list("kind", flat=True))
        if isinstance(found[0], Attempt):
            announced += 1
            # Signing takes some milliseconds, or many where the machine is busy: it is given more, until it is the first.
            delay = delay * 2 or 0.002
            assert kinds.index("attempt.sent") < kinds.index("switch.paused")
            Attempt.objects.filter(pk=found[0].pk).update(state="rejected", may_repeat=True)
        else:
            delay = 0.0
            assert "attempt.sent" not in kinds
        resume(cast)
    assert 0 < announced < 20
    assert not statements.in_force()


def resume(cast: Any) -> None:
    from executor import closing

    closing.act_on(cast.resuming("dana", "erin").pk)


def test_the_command_shows_how_the_switch_stands(cast: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """`manage.py switch` says who paused, since when and why, and ends with status 1 while executions are paused."""
    from django.core.management import CommandError, call_command

    call_command("switch")
    assert "not paused" in capsys.readouterr().out
    cast.paused(reason="look at the bill")
    with pytest.raises(CommandError, match="1 pause in force") as ended:
        call_command("switch")
    said = capsys.readouterr().out
    assert ended.value.returncode == 1
    assert "dana" in said
    assert "look at the bill" in said
