"""Carrying out what was approved: every check again, one wire call, the outcome recorded."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from django.db import connections

from approvals import audit, decisions
from approvals.authority import KnownAccount
from approvals.errors import AuditUnavailable
from approvals.models import ApprovalRequest, Attempt, AuditEntry, Execution, Observation, OutboxKind, OutboxMessage
from approvals.states import RequestState, Status, Verdict
from executor import answers, aws, claim, inspect, readying, run, tasks
from executor.errors import AwsRefused, WrongAccount
from executor.sandbox.world import DEMO
from tests.executor.stage import QUICK, Stage, attempts, fresh

ACCOUNT = KnownAccount(DEMO.account, DEMO.partition, (DEMO.region,), DEMO.executor_role_arn, DEMO.external_id)
NOTHING = aws.session_policy([aws.Allowed(["sts:GetCallerIdentity"], ["*"])])


def test_an_approved_deletion_is_carried_out_once_and_everything_is_recorded(stage: Stage) -> None:
    """DeleteTable: claimed, sent, answered, settled, succeeded, with one wire call under the execution's id."""
    execution = stage.cast.approved()
    stage.execute()
    found, attempt = fresh(execution), Attempt.objects.get(execution=execution)
    assert (found.state, found.token, attempt.state, attempt.token) == ("succeeded", 1, "succeeded", 1)
    assert found.ended_at
    assert "DeleteTable" in found.outcome
    (call,) = stage.calls()
    assert call["userIdentity"]["sessionContext"]["sourceIdentity"] == str(execution.pk)
    assert (call["userIdentity"]["accessKeyId"], call["requestID"]) == (attempt.access_key_id, attempt.aws_request_id)
    assert call["requestParameters"] == {"tableName": "prod-orders"}
    wanted = ["execution.claimed", "attempt.sent", "attempt.answered", "attempt.settled", "execution.succeeded"]
    assert [kind for kind in stage.audit() if kind in wanted] == wanted
    assert audit.verify().holds
    assert execution.revision.request.status() is Status.DONE
    assert stage.alerts() == []
    assert not OutboxMessage.objects.filter(kind__in=["execute", "inspect"], done_at=None).exists()


def test_an_update_is_settled_when_the_table_is_active_again(stage: Stage) -> None:
    """UpdateTable: the parameters that were signed are those that AWS got."""
    execution = stage.cast.approved(
        operation="dynamodb:UpdateTable", TableName="prod-orders", DeletionProtectionEnabled=True, TableClass="STANDARD"
    )
    stage.execute()
    assert fresh(execution).state == "succeeded"
    (call,) = stage.calls("UpdateTable")
    assert call["requestParameters"] == {
        "tableName": "prod-orders",
        "deletionProtectionEnabled": True,
        "tableClass": "STANDARD",
    }


def test_what_aws_refuses_has_failed_with_its_words(stage: Stage) -> None:
    """A definite rejection ends the execution as failed, in AWS's own words; the requester and an administrator are told."""
    execution = stage.cast.approved(TableName="prod-nothing")
    stage.execute()
    found, attempt = fresh(execution), Attempt.objects.get(execution=execution)
    assert (found.state, attempt.state, attempt.error_code) == ("failed", "rejected", "ResourceNotFoundException")
    assert "ResourceNotFoundException" in found.outcome
    assert stage.alerts() == ["failed"]
    assert OutboxMessage.objects.filter(topic="execution.finished").count() == 1
    assert len(stage.calls()) == 1


def test_the_session_in_hand_can_do_nothing_else(stage: Stage) -> None:
    """The step's session policy allows this call on this table; another table, another call, is denied by AWS itself."""
    execution = stage.cast.approved()
    with stage.acting("execution"):
        cleared = claim.take(execution.pk)
        assert isinstance(cleared, claim.Cleared)
        session = readying.assume(cleared, 0, cleared.plan.steps[0])
        assert isinstance(session, aws.Session)
        with session:
            other = session.mutate("dynamodb", "DeleteTable", {"TableName": "prod-customers"})
            change = session.mutate("dynamodb", "UpdateTable", {"TableName": "prod-orders", "TableClass": "STANDARD"})
    assert isinstance(other, answers.Rejected)
    assert isinstance(change, answers.Rejected)
    assert (other.code, change.code) == ("AccessDeniedException", "AccessDeniedException")
    assert "no session policy allows" in other.message


@pytest.mark.parametrize("user", [DEMO.feed_user, DEMO.delivery_user, "alice", "mallory"])
@pytest.mark.parametrize("bucket", [DEMO.claims_bucket, ""], ids=["claims", "no claims"])
def test_only_the_execution_process_can_become_the_executor(stage: Stage, settings: Any, user: str, bucket: str) -> None:
    """With the keys of another process the role cannot be assumed: nothing is called, and it is said.

    Nor can it read the claims outside, without which nothing is ended.
    """
    settings.CLAIMS_BUCKET = bucket
    execution = stage.cast.approved()
    with stage.acting("execution", keys_of=user):
        tasks.execute_due()
    found = fresh(execution)
    assert (attempts(execution), stage.calls()) == ([], [])
    assert (found.state, "AccessDenied" in found.outcome) in [("aborted", True), ("ready", False)]
    assert (found.state == "aborted") or (bucket and "AccessDenied" in OutboxMessage.objects.get(kind="execute").error)


def test_a_wrong_external_id_is_refused(stage: Stage) -> None:
    """The role asks for the external id of the account that was signed."""
    with stage.acting("execution"), pytest.raises(AwsRefused, match="AccessDenied"):
        aws.assume(replace(ACCOUNT, external_id="another"), "x-1", NOTHING, region=DEMO.region, name="step-1")


def test_a_session_of_another_account_is_not_used(stage: Stage) -> None:
    """STS gives a session that is not of the account and role that were signed: refused before any call is made with it."""
    with stage.acting("execution"), pytest.raises(WrongAccount, match="Nothing was done with it"):
        aws.assume(replace(ACCOUNT, id="999988887777"), "x-1", NOTHING, region=DEMO.region, name="step-1")


def test_nothing_is_called_before_the_hold_has_ended(stage: Stage, tmp_path: Any, settings: Any) -> None:
    """An execution whose hold has not ended stays ready, and its promise comes back at the end of the hold."""
    execution = stage.cast.approved()
    stage.forge(("UPDATE approvals_execution SET not_before = now() + interval '1 hour' WHERE id = %s", (execution.pk,)))
    stage.execute()
    assert (fresh(execution).state, stage.calls()) == ("ready", [])
    message = OutboxMessage.objects.get(kind=OutboxKind.EXECUTE)
    assert (message.done_at, message.due_at) == (None, fresh(execution).not_before)


def test_a_right_lost_after_the_approval_stops_it_and_sends_it_back(stage: Stage) -> None:
    """Bob may no longer sign in when the worker claims: aborted, nothing called, a prefilled draft for alice."""
    execution = stage.cast.approved()
    stage.sql("UPDATE portal_user SET is_active = false WHERE username = 'bob'")
    stage.execute()
    found, request = fresh(execution), ApprovalRequest.objects.get()
    assert (found.state, stage.calls()) == ("aborted", [])
    assert "no longer suffice" in found.outcome
    # Filed, frozen with what was read, opened again, and frozen anew.
    assert (request.state, request.revision_number) == (RequestState.DRAFT, 4)
    assert request.current_revision().plan.steps == execution.revision.plan.steps
    assert stage.alerts() == []


def test_a_denial_before_the_claim_beats_the_approval(stage: Stage) -> None:
    """Who may review denies what is approved and not claimed yet: the worker finds it denied and stops."""
    execution = stage.cast.approved()
    request = ApprovalRequest.objects.get()
    decisions.withdraw(request.pk, stage.cast.person("alice"))
    stage.execute()
    found = fresh(execution)
    assert (found.state, stage.calls()) == ("aborted", [])
    assert "withdrawn" in found.outcome.lower()
    assert ApprovalRequest.objects.get().state == RequestState.WITHDRAWN


def test_an_approval_that_ran_out_is_not_carried_out(stage: Stage) -> None:
    """After its clock has run out an approval permits nothing."""
    execution = stage.cast.approved()
    stage.forge(("UPDATE approvals_execution SET valid_until = now() WHERE id = %s", (execution.pk,)))
    stage.execute()
    assert (fresh(execution).state, stage.calls()) == ("aborted", [])


def test_two_workers_make_one_call(stage: Stage) -> None:
    """Sixteen threads carry out the same execution at once: one claims, one call is made."""
    execution = stage.cast.approved()
    start, troubles = threading.Barrier(16), []

    def work() -> None:
        try:
            start.wait()
            run.carry_out(execution.pk, patience=QUICK)
        except Exception as error:  # noqa: BLE001 - asserted on below
            troubles.append(error)
        finally:
            connections.close_all()

    with stage.acting("execution"):
        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert troubles == []
    assert (fresh(execution).state, fresh(execution).token, len(stage.calls())) == ("succeeded", 1, 1)


def test_a_message_delivered_again_finds_the_claim_and_stops(stage: Stage) -> None:
    """The broker and the outbox repeat: an execution that is done is not done again."""
    execution = stage.cast.approved()
    stage.execute()
    stage.sql("UPDATE approvals_outboxmessage SET done_at = NULL, due_at = now() WHERE kind = 'execute'")
    for _ in range(3):
        stage.execute()
    assert (fresh(execution).token, len(stage.calls())) == (1, 1)


@pytest.mark.parametrize("subject", ["no id", "00000000-0000-0000-0000-000000000000", "7"])
def test_a_forged_promise_executes_nothing(stage: Stage, subject: str) -> None:
    """Whoever writes the outbox names an execution at most; a name of nothing is dropped, and the others go on."""
    execution = stage.cast.approved()
    stage.sql(
        "INSERT INTO approvals_outboxmessage (kind, subject, topic, created_at, due_at, attempts, error) "
        "VALUES ('execute', %s, '', '2000-01-01', '2000-01-01', 0, ''), ('inspect', %s, '', '2000-01-01', '2000-01-01', 0, '')",
        subject,
        subject,
    )
    stage.execute()
    assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1)


@pytest.mark.parametrize("entry", ["execution.claimed", "attempt.sent"])
def test_when_the_audit_cannot_be_written_nothing_happens(stage: Stage, entry: str) -> None:
    """The trail refuses the entry of a claim or of a call about to be made: no call, and the promise is kept for later."""
    execution = stage.cast.approved()
    stage.trail_refuses(entry)
    stage.execute()
    assert (attempts(execution), stage.calls()) == ([], [])
    assert fresh(execution).state in {"ready", "claimed"}
    stage.trail_works()
    stage.lapse()
    stage.execute()
    assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1)
    assert audit.verify().holds


@pytest.mark.parametrize(
    ("entry", "state"),
    [
        ("target.observed", "succeeded"),
        ("execution.taken-over", "succeeded"),
        ("attempt.settled", "succeeded"),
        ("execution.succeeded", "succeeded"),
        ("execution.unknown", "unknown"),
        ("alert.raised", "unknown"),
    ],
)
def test_wherever_the_audit_breaks_there_is_one_call_at_most(stage: Stage, entry: str, state: str) -> None:
    """At each entry of an execution the trail refuses: what it would have said is not so until it can be said, and then once."""
    from executor import reconcile

    execution = stage.cast.approved()
    if entry == "execution.taken-over":
        stage.killed_at("claimed")
    if state == "unknown":
        stage.killed_at("called")
    stage.trail_refuses(entry)
    said = stage.audit().count(entry)
    for _ in range(2):
        stage.lapse()
        stage.execute()
        with stage.acting("execution"), suppress(AuditUnavailable):
            reconcile.sweep(patience=QUICK)
    assert fresh(execution).state != state
    assert stage.audit().count(entry) == said
    stage.trail_works()
    for _ in range(3):
        stage.lapse()
        with stage.acting("execution"):
            reconcile.sweep(patience=QUICK)
        stage.execute()
    assert (fresh(execution).state, len(stage.calls())) == (state, 1)
    assert audit.verify().holds


def test_when_the_answer_cannot_be_recorded_the_call_is_not_repeated(stage: Stage) -> None:
    """The trail breaks between call and answer: the attempt stays `sent`, becomes unknown, and no second call goes out."""
    from executor import reconcile

    execution = stage.cast.approved()
    stage.trail_refuses("attempt.answered")
    stage.execute()
    assert (attempts(execution), len(stage.calls())) == (["sent"], 1)
    stage.trail_works()
    stage.lapse()
    with stage.acting("execution"):
        reconcile.sweep(patience=QUICK)
    stage.execute()
    assert (fresh(execution).state, attempts(execution), len(stage.calls())) == ("unknown", ["unknown"], 1)


def test_the_target_is_read_before_review_and_after_the_call(stage: Stage) -> None:
    """The table as it is when the plan is made and when it is confirmed, and afterwards that it is gone, in words."""
    request = stage.cast.filed()
    stage.execute()
    request.refresh_from_db()
    before = request.current_revision().observations.get()
    assert (before.moment, before.problem) == ("review", "")
    assert '"TableStatus": "ACTIVE"' in before.text
    request = stage.cast.sign_confirm(request)
    stage.cast.sign_review(request)
    stage.execute()
    assert request.current_revision().observations.filter(moment="claim").count() == 1
    after = request.current_revision().observations.get(moment="after")
    assert "ResourceNotFoundException" in after.problem
    assert AuditEntry.objects.filter(kind="target.observed").count() == 4


def test_the_target_of_an_incomplete_draft_is_read_too(stage: Stage) -> None:
    """Whoever completes a plan sees what the table is like now, before there is a plan to sign."""
    request = stage.cast.denied_event("UpdateTable", "prod-orders")
    with stage.acting("execution"):
        tasks.execute_due()
    seen = Observation.objects.get(revision__request=request)
    assert (seen.moment, seen.problem) == ("review", "")
    assert "prod-orders" in seen.text


def test_what_cannot_be_observed_is_said_in_words(stage: Stage) -> None:
    """A target that is not there leaves an observation with AWS's words, and review goes on."""
    request = stage.cast.filed(TableName="prod-nothing")
    stage.execute()
    found = request.current_revision().observations.get()
    assert (found.text, "ResourceNotFoundException" in found.problem) == ("", True)


def test_aws_is_never_called_inside_a_transaction(stage: Stage) -> None:
    """A call while a transaction is open is refused: a rollback could not take it back."""
    from django.db import transaction

    request = stage.cast.filed()
    with stage.acting("execution"), transaction.atomic(), pytest.raises(RuntimeError, match="commit first"):
        inspect.observe(request.current_revision())


def test_a_verdict_after_the_claim_changes_nothing(stage: Stage) -> None:
    """Once claimed, a request can no longer be denied; the reviewer is told so."""
    from approvals.errors import WrongState

    execution = stage.cast.approved()
    stage.execute()
    with pytest.raises(WrongState, match="no longer be stopped"):
        decisions.begin(ApprovalRequest.objects.get().pk, stage.cast.person("bob"), Verdict.DENY)
    assert Execution.objects.get().pk == execution.pk
