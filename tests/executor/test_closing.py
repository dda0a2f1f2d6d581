"""Outcomes that are not known: what the target decides by its row, and what two persons say with evidence attached."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from approvals import audit, statements
from approvals.errors import NotAllowed, Refused, WrongState
from approvals.models import Alert, Attempt, AuditEntry, Execution, Look, Observation, Proof, Statement
from approvals.statements import Outcome
from approvals.states import Status, Verdict
from executor import aws, concluding, delivery, looks, reconcile, tasks, trail_logs
from executor.sandbox.world import DEMO
from tests import cast as standing
from tests.executor.stage import QUICK, Stage, attempts, fresh
from tests.executor.test_evidence import learn, lose_what_is_queued


@pytest.fixture
def cast(cloned_database: str, tmp_path: Any, settings: Any) -> standing.Cast:
    """Bob and carol may both review, so that two can say how a call went."""
    return standing.seal(tmp_path, settings, change=standing.with_carol)


def unknown(stage: Stage, point: str = "sent") -> Execution:
    """An execution whose worker was lost before (`sent`) or after (`called`) the call; no record of it comes.

    What was read at its claim is taken away: a test says for itself what that was.
    """
    execution = stage.cast.approved()
    stage.killed_at(point)
    stage.forge(("DELETE FROM approvals_observation WHERE moment = 'claim'", ()))
    if point == "called":
        lose_what_is_queued(stage)
    stage.sweep()
    assert fresh(execution).state == "unknown"
    return execution


def closing(stage: Stage, execution: Execution, outcome: Outcome, by: str = "bob") -> Statement:
    return statements.propose_closing(
        execution.pk, stage.cast.person(by), outcome=outcome, evidence="the console shows it", reason="I looked"
    )


def long_ago(stage: Stage) -> None:
    """The call was sent so long ago that AWS takes it no more."""
    stage.forge(("UPDATE approvals_attempt SET sent_at = sent_at - interval '15 minutes'", ()))


def closed(stage: Stage, execution: Execution, outcome: Outcome, *signers: str) -> Statement:
    statement = closing(stage, execution, outcome)
    for handle in signers or ("bob", "carol"):
        stage.cast.sign_statement(statement, handle)
    long_ago(stage)
    stage.execute()
    return Statement.objects.get(pk=statement.pk)


@pytest.mark.parametrize(
    ("outcome", "state", "call"), [(Outcome.SUCCEEDED, "succeeded", "succeeded"), (Outcome.NO_EFFECT, "failed", "rejected")]
)
def test_two_persons_close_an_unknown_outcome(stage: Stage, outcome: Outcome, state: str, call: str) -> None:
    """Both sign the same bytes with the evidence's hash in them: the execution ends as they say, and the trail has it all."""
    execution = unknown(stage)
    statement = closed(stage, execution, outcome)
    found = fresh(execution)
    assert (found.state, attempts(execution), statement.state) == (state, [call], "in force")
    assert "bob and carol" in found.outcome
    entry = AuditEntry.objects.get(kind="execution.closed")
    detail = json.loads(entry.body)["detail"]
    assert (detail["by"], detail["statement"], detail["digest"]) == (["bob", "carol"], str(statement.pk), statement.digest)
    assert entry.request_id == execution.revision.request_id
    assert audit.verify().holds


@pytest.mark.parametrize("ended", ["expired", "withdrawn", "denied"])
def test_two_persons_close_it_however_the_request_had_ended(stage: Stage, ended: str) -> None:
    """In a restored database a request may have ended before its claim outside was found: people say how the call went."""
    execution = unknown(stage)
    stage.forge(("UPDATE approvals_approvalrequest SET state = %s", (ended,)))
    request = execution.revision.request
    request.refresh_from_db()
    assert request.status() is Status.UNKNOWN
    closed(stage, execution, Outcome.SUCCEEDED)
    assert fresh(execution).state == "succeeded"
    assert request.status() is Status.DONE


def test_who_turns_out_to_stand_behind_the_request_closes_nothing(stage: Stage) -> None:
    """Carol had edited the plan: signed or not, the executor counts her out, and one person is left."""
    execution = unknown(stage)
    statement = closing(stage, execution, Outcome.SUCCEEDED)
    for handle in ("bob", "carol"):
        stage.cast.sign_statement(statement, handle)
    revision = execution.revision
    columns = "draft, completeness, why, recorded, created_at"
    copied = (
        f"INSERT INTO approvals_revision (request_id, number, text, digest, author_id, {columns}) "
        f"SELECT request_id, 99, '', '', %s, {columns} FROM approvals_revision WHERE id = %s"
    )
    stage.forge((copied, (stage.cast.person("carol").pk, revision.pk)))
    long_ago(stage)
    stage.execute()
    assert (Statement.objects.get(pk=statement.pk).state, fresh(execution).state) == ("open", "unknown")


def test_one_person_closes_nothing(stage: Stage) -> None:
    """One signature, whoever promises the closing, leaves the outcome unknown."""
    execution = unknown(stage)
    statement = closed(stage, execution, Outcome.NO_EFFECT, "bob")
    stage.sql(
        "INSERT INTO approvals_outboxmessage (kind, subject, topic, created_at, due_at, attempts, error) "
        "VALUES ('close', %s, '', now(), now(), 0, '')",
        str(statement.pk),
    )
    stage.execute()
    assert (Statement.objects.get(pk=statement.pk).state, fresh(execution).state) == ("open", "unknown")


@pytest.mark.parametrize("handle", ["alice", "dana", "olivia"])
def test_who_asked_or_has_no_right_says_nothing_of_the_outcome(stage: Stage, handle: str) -> None:
    """The requester, an administrator and an auditor neither propose nor sign a closing."""
    execution = unknown(stage)
    with pytest.raises(NotAllowed):
        closing(stage, execution, Outcome.SUCCEEDED, by=handle)
    statement = closing(stage, execution, Outcome.SUCCEEDED)
    with pytest.raises(NotAllowed):
        stage.cast.sign_statement(statement, handle)


def test_what_is_known_is_not_closed(stage: Stage) -> None:
    """An execution that succeeded, or has not run, has no outcome to be said; the database refuses such a row too."""
    execution = stage.cast.approved()
    with pytest.raises(WrongState):
        closing(stage, execution, Outcome.SUCCEEDED)
    with pytest.raises(IntegrityError, match="not known"), transaction.atomic():
        from uuid import uuid4

        from approvals import canonical
        from approvals.statements.texts import text_of

        pk, now = uuid4(), timezone.now()
        text = text_of(pk, "closing", "r", execution=str(execution.pk), evidence=canonical.digest("e"))
        Statement.objects.create(
            id=pk, kind="closing", execution=execution, text=text, digest=canonical.digest(text), evidence="e",
            proposer=stage.cast.person("bob"), created_at=now, open_until=now + timedelta(days=1),
        )  # fmt: skip


@pytest.mark.parametrize("evidence", ["", "  ", "x" * (64 * 1024 + 1), "a\0b"])
def test_evidence_is_attached_and_bounded(stage: Stage, evidence: str) -> None:
    """A closing without evidence, or with more than the page shows, is refused."""
    execution = unknown(stage)
    with pytest.raises(Refused):
        statements.propose_closing(
            execution.pk, stage.cast.person("bob"), outcome=Outcome.SUCCEEDED, evidence=evidence, reason="I looked"
        )


def test_evidence_that_was_changed_after_signing_is_refused(stage: Stage) -> None:
    """The evidence beside the statement is not the signed one: refused with an alert, and the outcome stays unknown."""
    execution = unknown(stage)
    statement = closing(stage, execution, Outcome.SUCCEEDED)
    for handle in ("bob", "carol"):
        stage.cast.sign_statement(statement, handle)
    stage.forge(("UPDATE approvals_statement SET evidence = 'something else'", ()))
    stage.execute()
    assert (Statement.objects.get(pk=statement.pk).state, fresh(execution).state) == ("refused", "unknown")
    assert stage.alerts() == ["forgery", "unknown"]


def test_a_right_lost_before_it_is_acted_on_does_not_count(stage: Stage) -> None:
    """Carol signed and lost her right by a signed change: one closer is left, so nothing is closed."""
    execution = unknown(stage)
    statement = closing(stage, execution, Outcome.SUCCEEDED)
    for handle in ("bob", "carol"):
        stage.cast.sign_statement(statement, handle)
    guardrail = execution.revision.guardrails.get().guardrail.name
    stage.cast.changed({"edit": "revoke", "guardrail": guardrail, "login": "carol"})
    stage.execute()
    assert (Statement.objects.get(pk=statement.pk).state, fresh(execution).state) == ("open", "unknown")


def test_a_denial_ends_a_closing(stage: Stage) -> None:
    """Who looked and saw something else denies it; another statement may follow."""
    execution = unknown(stage)
    statement = closing(stage, execution, Outcome.SUCCEEDED)
    with pytest.raises(WrongState, match="second signature"):
        closing(stage, execution, Outcome.NO_EFFECT, by="carol")
    stage.cast.sign_statement(statement, "carol", Verdict.DENY)
    assert Statement.objects.get(pk=statement.pk).state == "denied"
    closing(stage, execution, Outcome.NO_EFFECT, by="carol")


def test_evidence_that_comes_first_ends_the_closing(stage: Stage) -> None:
    """The record of the call comes before the second signature: it settles the outcome, and the statement is over."""
    execution = stage.cast.approved()
    stage.killed_at("called")
    stage.sweep()
    statement = closing(stage, execution, Outcome.NO_EFFECT)
    stage.cast.sign_statement(statement, "bob")
    stage.poll()
    with stage.acting("delivery"):
        delivery.drain()
    stage.sweep()
    assert (fresh(execution).state, Statement.objects.get(pk=statement.pk).state) == ("succeeded", "refused")


def test_evidence_that_contradicts_a_closing_is_an_alert(stage: Stage) -> None:
    """Two persons said that it had no effect; then CloudTrail says that it succeeded: an alert, and nothing is rewritten."""
    execution = stage.cast.approved()
    stage.killed_at("called")
    stage.sweep()
    closed(stage, execution, Outcome.NO_EFFECT)
    learn(stage)
    assert Proof.objects.count() == 1
    assert "contrary" in stage.alerts()
    assert (fresh(execution).state, attempts(execution)) == ("failed", ["rejected"])


def scaled(stage: Stage, units: int, **more: Any) -> None:
    """Somebody else, or a scaling policy, sets the table's throughput."""
    with stage.acting("feed", keys_of="mallory"):
        dynamodb = aws.client("dynamodb", DEMO.region)
        dynamodb.update_table(TableName="prod-orders", ProvisionedThroughput=throughput(units), **more)
        dynamodb.close()


def throughput(units: int) -> dict[str, int]:
    return {"ReadCapacityUnits": units, "WriteCapacityUnits": units}


def test_a_record_that_contradicts_what_the_target_showed_is_an_alert(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the call set was put back at once, so the target looks untouched; then CloudTrail says that it succeeded."""
    scaled(stage, 10, BillingMode="PROVISIONED")
    execution = stage.cast.approved(
        operation="dynamodb:UpdateTable", TableName="prod-orders", ProvisionedThroughput=throughput(1)
    )
    stage.killed_at("called")
    stage.sweep()
    # The service counts this in the table's description, where our local one does not.
    scaled(stage, 10)
    for _ in range(2):
        looked(stage, monkeypatch)
    assert (fresh(execution).state, attempts(execution)) == ("failed", ["rejected"])
    learn(stage)
    assert Proof.objects.get().record.outcome == "succeeded"
    assert stage.alerts().count("contrary") == 1
    assert "is rejected here: The target is untouched" in Alert.objects.get(kind="contrary").detail


def test_a_record_that_contradicts_awss_answer_is_an_alert(stage: Stage) -> None:
    """AWS said yes, and CloudTrail's record of the very call says that it was refused."""
    stage.cast.approved()
    stage.execute()
    stage.poll()
    stage.forge(("UPDATE approvals_trailrecord SET outcome = 'failed', error_code = 'ValidationException'", ()))
    learn(stage)
    assert Proof.objects.count() == 1
    assert stage.alerts() == ["contrary"]


def test_a_closing_of_a_claim_that_no_call_accounts_for(stage: Stage) -> None:
    """Somebody else's claim was found and no call is recorded here: two persons say how the step went all the same."""
    execution = stage.cast.approved()
    stage.forge(("UPDATE approvals_execution SET state = 'unknown', token = 1", ()))
    statement = closed(stage, execution, Outcome.SUCCEEDED)
    assert statements.read(statement).attempt == (0, 0)
    assert (fresh(execution).state, attempts(execution)) == ("succeeded", [])


# --- by the target's state ---


def observed(execution: Execution, text: Callable[[dict[str, Any]], dict[str, Any]] = lambda state: state) -> None:
    """What the executor read of the table at the claim: what it saw for the review, changed by `text`."""
    seen = Observation.objects.filter(revision=execution.revision, moment="review").last()
    assert seen is not None
    Observation.objects.create(
        revision=execution.revision,
        step=0,
        moment="claim",
        text=json.dumps(text(json.loads(seen.text))),
        taken_at=Attempt.objects.get().sent_at - timedelta(seconds=1),
    )


def looked(stage: Stage, monkeypatch: pytest.MonkeyPatch, *, log_files: bool = True) -> None:
    """Long after AWS would have taken the call as it was signed, and after the feed has looked for log files."""
    monkeypatch.setattr(concluding, "SIGNED_FOR", timedelta(0))
    stage.sql("UPDATE approvals_look SET looked_at = looked_at - interval '1 hour'")
    stage.lapse()
    if log_files:
        with stage.acting("feed"):
            trail_logs.read_due()
    with stage.acting("execution"):
        reconcile.sweep(patience=QUICK)


def test_the_target_itself_shows_that_it_took_effect(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """No record comes; the table that was there at the claim is gone: by the table's row that is the call's effect."""
    execution = unknown(stage, "called")
    observed(execution)
    looked(stage, monkeypatch)
    found = fresh(execution)
    assert (found.state, attempts(execution)) == ("succeeded", ["succeeded"])
    assert "the target's state" in found.outcome


def test_the_target_is_not_asked_before_the_log_files(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The feed stands still, or cannot read: a record may lie in a file, which proves more than the target shows."""
    execution = unknown(stage, "called")
    observed(execution)
    looked(stage, monkeypatch, log_files=False)
    assert fresh(execution).state == "unknown"
    assert "before CloudTrail's log files" in Look.objects.get(source="target").said
    looks.note(execution.pk, Look.Source.LOGS, f"{looks.UNREAD}: AccessDenied")
    looked(stage, monkeypatch, log_files=False)
    assert fresh(execution).state == "unknown"
    looks.note(execution.pk, Look.Source.LOGS, f"200 new files. {looks.MORE}")
    looked(stage, monkeypatch, log_files=False)
    assert fresh(execution).state == "unknown"
    looked(stage, monkeypatch)
    assert fresh(execution).state == "succeeded"


def test_an_untouched_target_shows_that_it_had_no_effect(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very table of the claim is there and active, twice, long after: it had no effect."""
    execution = unknown(stage)
    observed(execution)
    looked(stage, monkeypatch)
    assert "untouched" in Look.objects.get(source="target").said
    assert (fresh(execution).state, attempts(execution)) == ("failed", ["rejected"])
    assert "untouched" in fresh(execution).outcome


def test_a_target_made_anew_decides_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of that name is there, but not the one of the claim: it says nothing of the call, and stays unknown."""
    execution = unknown(stage)
    observed(execution, lambda state: {**state, "TableId": "of-another-table"})
    looked(stage, monkeypatch)
    assert fresh(execution).state == "unknown"
    assert "not known to be the one" in Look.objects.get(source="target").said


def test_a_target_that_was_not_read_at_the_claim_decides_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what was read at the claim the target's state proves nothing, and the page says so."""
    execution = unknown(stage, "called")
    looked(stage, monkeypatch)
    assert fresh(execution).state == "unknown"
    assert "not read at the claim" in Look.objects.get(source="target").said


def test_the_target_is_not_asked_while_aws_may_still_take_the_call(stage: Stage) -> None:
    """Within the validity of the signature an untouched target says nothing: the call may still arrive."""
    execution = unknown(stage)
    observed(execution)
    stage.sql("UPDATE approvals_look SET looked_at = looked_at - interval '1 hour'")
    stage.sweep()
    assert fresh(execution).state == "unknown"
    assert "Not looked at before" in Look.objects.get(source="target").said


def test_a_statement_that_too_few_sign_runs_out(stage: Stage) -> None:
    """The delivery process ends it by its clock, says so in the trail, and cannot end one that has time left."""
    execution = unknown(stage)
    statement = closing(stage, execution, Outcome.SUCCEEDED)
    with stage.acting("delivery"):
        tasks.expire()
    assert Statement.objects.get(pk=statement.pk).state == "open"
    stage.forge(("UPDATE approvals_statement SET open_until = now() - interval '1 minute'", ()))
    with stage.acting("delivery"):
        tasks.expire()
    assert Statement.objects.get(pk=statement.pk).state == "expired"
    assert "statement.expired" in stage.audit()
    assert fresh(execution).state == "unknown"
