"""CloudTrail's records and the attempts: matched one to one, or an alert."""

from __future__ import annotations

from typing import Any

import pytest

from approvals.models import Alert, AuditEntry, OutboxMessage, Proof, TrailRecord
from executor import aws, claim, delivery, feed, reconcile, run
from executor.sandbox.world import DEMO
from tests.cast import envelope
from tests.executor.stage import QUICK, Stage, attempts, fresh
from tests.executor.test_feed import put


def learn(stage: Stage) -> None:
    """The feed takes in what CloudTrail says; delivery matches it."""
    with stage.acting("feed"):
        feed.poll(wait=1)
    stage.lapse()
    with stage.acting("delivery"):
        delivery.drain()


def executed_by_hand(stage: Stage, policy: str, source: str, table: str) -> None:
    """A call with a session of the executor's role, made by whoever holds the execution worker's keys."""
    from approvals.authority import KnownAccount

    account = KnownAccount(DEMO.account, "aws", (DEMO.region,), DEMO.executor_role_arn, DEMO.external_id)
    with (
        stage.acting("execution"),
        aws.assume(account, source, policy, region=DEMO.region, name="countersign-step-1") as session,
    ):
        session.mutate("dynamodb", "DeleteTable", {"TableName": table})


ANYTHING = aws.session_policy([(["dynamodb:*"], ["*"])])


def test_the_record_of_a_call_proves_its_attempt(stage: Stage) -> None:
    """The event with the session's access key, source identity and request id is the attempt's proof, and in the trail."""
    execution = stage.cast.approved()
    stage.execute()
    learn(stage)
    proof = Proof.objects.get()
    assert proof.attempt.execution == execution
    assert proof.record.fate == TrailRecord.Fate.EXECUTOR
    assert AuditEntry.objects.filter(kind="attempt.proven", request_id=execution.revision.request_id).count() == 1
    assert stage.alerts() == []


def test_the_record_of_a_refused_call_is_matched_alike(stage: Stage) -> None:
    """A call that AWS refused is accounted for by its attempt as well."""
    execution = stage.cast.approved(TableName="prod-nothing")
    stage.execute()
    learn(stage)
    assert Proof.objects.get().attempt.execution == execution
    assert stage.alerts() == ["failed"]


def test_a_call_without_an_attempt_is_an_alert(stage: Stage, settings: Any) -> None:
    """The executor's role deletes a table for no execution: after the grace time an alert, once, and the record says so."""
    executed_by_hand(stage, ANYTHING, "not-an-execution", "prod-customers")
    learn(stage)
    assert stage.alerts() == []
    settings.PROOF_GRACE = 0
    learn(stage)
    learn(stage)
    assert stage.alerts() == ["rogue"]
    assert TrailRecord.objects.get().fate == TrailRecord.Fate.ALERT
    assert not OutboxMessage.objects.filter(kind="prove", done_at=None).exists()


def test_a_second_call_under_the_id_of_an_execution_is_an_alert(stage: Stage, settings: Any) -> None:
    """A compromised worker calls again as the same execution: one record is the proof, the other is not accounted for."""
    settings.PROOF_GRACE = 0
    execution = stage.cast.approved()
    stage.execute()
    executed_by_hand(stage, ANYTHING, str(execution.pk), "prod-customers")
    learn(stage)
    assert (Proof.objects.count(), stage.alerts()) == (1, ["rogue"])
    assert Alert.objects.get().request == execution.revision.request


def test_a_second_call_with_the_very_session_is_an_alert(stage: Stage, settings: Any) -> None:
    """The same access key calls twice: the request id tells which of the two was the attempt."""
    settings.PROOF_GRACE = 0
    execution = stage.cast.approved()
    with stage.acting("execution"):
        cleared = claim.take(execution.pk)
        assert isinstance(cleared, claim.Cleared)
        step = cleared.plan.steps[0]
        session = run._assume(cleared, 0, step)
        assert isinstance(session, aws.Session)
        with session:
            attempt = run._sent(cleared, 0, step, session)
            answer = run._call(cleared.claim, step, session)
            again = session.mutate(step.service, step.operation, step.parameters)
            run._answered(cleared, attempt, step, answer)
    learn(stage)
    assert again.request_id != answer.request_id
    assert Proof.objects.get().record.aws_request_id == answer.request_id
    assert stage.alerts() == ["rogue"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("accessKeyId", "ASIAANOTHER"), ("sourceIdentity", "another"), ("eventName", "UpdateTable"), ("requestID", "ANOTHER")],
)
def test_every_part_of_the_match_counts(stage: Stage, settings: Any, name: str, value: str) -> None:
    """A record that differs in the access key, the source identity, the operation or the request id proves nothing."""
    settings.PROOF_GRACE = 0
    stage.cast.approved()
    stage.execute()
    with stage.acting("feed"):
        aws.delete(settings.QUEUE_URL, aws.receive(settings.QUEUE_URL, region=DEMO.region, wait=1), region=DEMO.region)
    record = dict(stage.calls()[0])
    if name == "accessKeyId":
        record["userIdentity"] = record["userIdentity"] | {name: value}
    elif name == "sourceIdentity":
        context = record["userIdentity"]["sessionContext"] | {name: value}
        record["userIdentity"] = record["userIdentity"] | {"sessionContext": context}
    else:
        record[name] = value
    put(stage, envelope(record))
    learn(stage)
    assert (Proof.objects.count(), stage.alerts()) == (0, ["rogue"])


def test_a_bypass_is_an_alert_and_no_proof(stage: Stage) -> None:
    """Mallory deletes a protected table with an administrator's keys: a bypass alert, from the record of the success."""
    with stage.acting("feed", keys_of="mallory"):
        dynamodb = aws.client("dynamodb", DEMO.region)
        dynamodb.delete_table(TableName="prod-customers")
        dynamodb.close()
    learn(stage)
    assert (stage.alerts(), Proof.objects.count()) == (["bypass"], 0)


def test_a_refusal_proven_by_the_trail_ends_an_unknown_outcome(stage: Stage) -> None:
    """The worker was lost after a call that AWS refused: CloudTrail's record says so, and it has failed without effect."""
    execution = stage.cast.approved(TableName="prod-nothing")
    stage.killed_at("called")
    stage.lapse()
    with stage.acting("execution"):
        reconcile.sweep(patience=QUICK)
    assert fresh(execution).state == "unknown"
    learn(stage)
    with stage.acting("execution"):
        reconcile.sweep(patience=QUICK)
    assert (fresh(execution).state, attempts(execution)) == ("failed", ["rejected"])
    assert "ResourceNotFoundException" in fresh(execution).outcome


def test_a_success_without_proof_is_one_alert(stage: Stage, settings: Any) -> None:
    """Nothing of a success arrives from CloudTrail for too long: the trail is not being watched, said once."""
    settings.UNPROVEN_AFTER = 0
    stage.cast.approved()
    stage.execute()
    for _ in range(3):
        with stage.acting("execution"):
            reconcile.sweep(patience=QUICK)
    assert stage.alerts() == ["unproven"]


def test_a_promise_that_was_lost_is_made_again(stage: Stage) -> None:
    """The promise to execute is marked as kept by mistake: the sweep finds the execution ready and promises again."""
    execution = stage.cast.approved()
    stage.sql("UPDATE approvals_outboxmessage SET done_at = now() WHERE kind = 'execute'")
    with stage.acting("execution"):
        reconcile.sweep(patience=QUICK)
        reconcile.sweep(patience=QUICK)
    assert OutboxMessage.objects.filter(kind="execute", done_at=None).count() == 1
    stage.execute()
    assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1)
