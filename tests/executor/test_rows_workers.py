"""Rows 26, 29 and 31 of the security design: who can send to the queue, who holds a worker, and whose role is assumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import psycopg
import pytest
from botocore.exceptions import ClientError

from approvals import decisions
from approvals.authority import KnownAccount
from approvals.errors import NotAllowed, Refused, WrongState
from approvals.models import ApprovalRequest, Attempt, AuditEntry, Execution, Proof
from approvals.states import Verdict
from config import celery as configured
from executor import aws, calling, claim, errands
from executor.errors import AwsRefused, WrongAccount
from executor.opening import Opened
from executor.outside import Held
from executor.sandbox.world import DEMO
from tests.cast import Cast, envelope, seal, trail_record
from tests.executor.stage import Stage, fresh, inbox
from tests.executor.test_evidence import ANYTHING, executed_by_hand, learn
from tests.executor.test_feed import put

OTHER = "444455556666"


def with_another_account(manifest: dict[str, Any]) -> None:
    """A second account of the same people."""
    mine = manifest["accounts"][0]
    role = f"arn:aws:iam::{OTHER}:role/{DEMO.executor_role}"
    manifest["accounts"].append(mine | {"id": OTHER, "alias": "Other", "executor_role_arn": role})


@pytest.fixture
def cast(cloned_database: str, tmp_path: Path, settings: Any) -> Cast:
    return seal(tmp_path, settings, change=with_another_account)


def client(stage: Stage, who: str, service: str) -> Any:
    """A client with this IAM user's own keys."""
    key = stage.aws.keys[who]
    make: Any = boto3.client  # typed for services written out
    return make(
        service,
        region_name=DEMO.region,
        endpoint_url=stage.aws.endpoint_url,
        aws_access_key_id=key["access_key_id"],
        aws_secret_access_key=key["secret_access_key"],
    )


def account(**changes: str) -> KnownAccount:
    """The demo's account, as the chain of authority knows it."""
    known = {"id": DEMO.account, "role": DEMO.executor_role_arn, "external_id": DEMO.external_id} | changes
    return KnownAccount(known["id"], "aws", (DEMO.region,), known["role"], known["external_id"])


# --- 26: somebody can send to the queue ---


@pytest.mark.parametrize("who", ["alice", "bob", DEMO.feed_user, DEMO.delivery_user, DEMO.execution_user])
def test_row_26_only_the_rules_may_send_to_the_queue(stage: Stage, who: str) -> None:
    """The queue's policy names EventBridge for the guardrails' rules: a person's or a process's keys send nothing."""
    sqs = client(stage, who, "sqs")
    with pytest.raises(ClientError, match="AccessDenied"):
        sqs.send_message(QueueUrl=DEMO.queue_url(stage.aws.endpoint_url), MessageBody=envelope(trail_record()))
    (statement,) = json.loads(
        client(stage, "mallory", "sqs").get_queue_attributes(
            QueueUrl=DEMO.queue_url(stage.aws.endpoint_url), AttributeNames=["Policy"]
        )["Attributes"]["Policy"]
    )["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    named = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert all(arn.startswith(f"arn:aws:events:{DEMO.region}:") for arn in ([named] if isinstance(named, str) else named))


def test_row_26_what_an_administrator_puts_there_is_approved_by_nobody_alone(stage: Stage) -> None:
    """Whoever may write to the queue all the same forges a denied call of alice's: without her signature bob approves nothing."""
    put(stage, envelope(trail_record(table="prod-customers")))
    learn(stage)
    request = ApprovalRequest.objects.get()
    assert request.state == "draft"
    for handle in ("bob", "carol"):
        with pytest.raises((WrongState, NotAllowed, Refused)):
            decisions.begin(request.pk, stage.cast.person(handle), Verdict.APPROVE)
    stage.execute()
    assert (Execution.objects.count(), stage.calls()) == (0, [])


def test_row_26_a_forged_event_of_somebody_unknown_is_never_approvable(stage: Stage) -> None:
    """An identity that belongs to no person: nobody stands behind it, so nobody reviews it until a person has adopted it."""
    put(stage, envelope(trail_record(table="prod-customers", user="nobody-knows")))
    learn(stage)
    request = ApprovalRequest.objects.get()
    assert (request.state, request.requester) == ("draft", None)
    with pytest.raises((WrongState, NotAllowed, Refused)):
        decisions.begin(request.pk, stage.cast.person("bob"), Verdict.APPROVE)
    stage.execute()
    assert stage.calls() == []


def test_row_26_a_forged_success_proves_nothing(stage: Stage, settings: Any) -> None:
    """A record that says the executor's call succeeded, for an execution that has made none, is an alert and no proof."""
    settings.PROOF_GRACE = 0
    execution = stage.cast.approved()
    stage.sql("UPDATE approvals_outboxmessage SET done_at = now()")
    session = {"sessionIssuer": {"type": "Role", "arn": DEMO.executor_role_arn, "userName": DEMO.executor_role}}
    identity = {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{DEMO.account}:assumed-role/{DEMO.executor_role}/countersign-step-1",
        "accountId": DEMO.account,
        "accessKeyId": "ASIAFORGED",
        "sessionContext": session | {"sourceIdentity": str(execution.pk)},
    }
    put(stage, envelope(trail_record(denied=False) | {"userIdentity": identity}))
    learn(stage)
    assert (Proof.objects.count(), fresh(execution).state) == (0, "ready")
    assert stage.alerts() == ["rogue"]


# --- 29: a worker is taken over ---


def test_row_29_each_process_has_a_queue_a_role_and_keys_of_its_own(stage: Stage) -> None:
    """Whoever holds one worker has its rights alone: only execution becomes the executor, and only it writes executions."""
    assert set(configured.QUEUES.values()) == {"feed", "delivery", "execution", "authority"}
    for who in (DEMO.feed_user, DEMO.delivery_user, "alice", "bob"):
        with stage.acting("execution", keys_of=who), pytest.raises(AwsRefused, match="AccessDenied"):
            aws.assume(account(), str(uuid4()), ANYTHING, region=DEMO.region, name="countersign-step-1")
    execution = stage.cast.approved()
    for process in ("feed", "delivery", "web", "authority"):
        with psycopg.connect(stage.role_url(process)) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE approvals_execution SET state = 'claimed' WHERE id = %s", [execution.pk])
        with psycopg.connect(stage.role_url(process)) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("INSERT INTO approvals_attempt (execution_id, step) VALUES (%s, 0)", [execution.pk])
    with stage.acting("execution"), pytest.raises(AwsRefused, match="AccessDenied"):
        errands.receive(DEMO.queue_url(stage.aws.endpoint_url), region=DEMO.region, wait=0)
    with stage.acting("execution"), pytest.raises(AwsRefused, match=r"AuthorizationError|AccessDenied"):
        errands.publish(DEMO.topic_arn, region=DEMO.region, subject="x", body="x", attributes={})


def test_row_29_a_session_does_its_step_and_nothing_else(stage: Stage) -> None:
    """The session in a worker's hand is denied another operation, another target and another service, by AWS."""
    execution = stage.cast.approved()
    with stage.acting("execution"):
        cleared = claim.take(execution.pk)
        assert isinstance(cleared, claim.Cleared)
        session = aws.assume(
            cleared.account,
            str(execution.pk),
            _policy_of(cleared),
            region=DEMO.region,
            name="countersign-step-1",
        )
        with session:
            tries = (
                ("dynamodb", "DeleteTable", {"TableName": "prod-customers"}),
                ("dynamodb", "UpdateTable", {"TableName": "prod-orders", "TableClass": "STANDARD"}),
                ("rds", "DeleteDBInstance", {"DBInstanceIdentifier": "prod-billing", "SkipFinalSnapshot": True}),
                ("iam", "CreateUser", {"UserName": "mine"}),
            )
            answers = [session.mutate(*one) for one in tries]
    assert {type(one).__name__ for one in answers} == {"Rejected"}
    assert all("AccessDenied" in getattr(one, "code", "") for one in answers)


def _policy_of(cleared: claim.Cleared) -> str:
    from executor import rights, target

    return rights.policy(cleared.plan.steps[0], target.where(cleared.plan), acting=True)


def test_row_29_every_session_is_announced_past_the_worker(stage: Stage) -> None:
    """Somebody uses the worker's keys and writes no row: EventBridge announces the session, no process of ours is asked."""
    rows = Attempt.objects.count(), AuditEntry.objects.count()
    executed_by_hand(stage, ANYTHING, "not-an-execution", "prod-customers")
    announced = _announced(stage)
    assert [one["detail"]["requestParameters"]["sourceIdentity"] for one in announced] == ["not-an-execution"]
    assert announced[0]["detail"]["requestParameters"]["roleArn"] == DEMO.executor_role_arn
    assert (Attempt.objects.count(), AuditEntry.objects.count()) == rows
    # The people's other messages stay free of it, and nobody but EventBridge may speak there.
    assert inbox(stage) == []
    with stage.acting("execution"), pytest.raises(AwsRefused):
        errands.publish(DEMO.sessions_topic_arn, region=DEMO.region, subject="x", body="x", attributes={})


def test_row_29_a_rogue_call_is_an_alert(stage: Stage, settings: Any) -> None:
    """Each call is matched to an attempt one to one: the approved one is proven, what the taken-over worker adds is an alert."""
    settings.PROOF_GRACE = 0
    execution = stage.cast.approved()
    with stage.acting("execution"):
        cleared = claim.take(execution.pk)
        assert isinstance(cleared, claim.Cleared)
        step = cleared.plan.steps[0]
        session = aws.assume(cleared.account, str(execution.pk), ANYTHING, region=DEMO.region, name="countersign-step-1")
        with session:
            attempt = calling.sent(cleared, 0, step, session, Held(1, ""))
            assert isinstance(attempt, Attempt)
            answer = calling.call(cleared, step, session, Opened(step.parameters), attempt)
            calling.answered(cleared, attempt, step, answer)
            session.mutate("dynamodb", "DeleteTable", {"TableName": "prod-customers"})
    learn(stage)
    assert (Proof.objects.count(), stage.alerts()) == (1, ["rogue"])
    # The looks at the target have sessions of their own, announced as well.
    opened = [one["detail"]["requestParameters"]["sourceIdentity"] for one in _announced(stage)]
    assert opened.count(str(execution.pk)) == 1


def _announced(stage: Stage) -> list[dict[str, Any]]:
    """The events that the topic of sessions delivered."""
    with stage.acting("delivery", keys_of="mallory"):
        url = DEMO.queue_url(stage.aws.endpoint_url, DEMO.sessions)
        found = [json.loads(json.loads(one.body)["Message"]) for one in errands.receive(url, region=DEMO.region, wait=2)]
        aws.forget()
    return found


# --- 31: the confused deputy ---


def test_row_31_another_external_id_is_denied(stage: Stage) -> None:
    """The role trusts the execution process with its own external id alone: with another, or none, AWS opens no session."""
    for wrong in ("countersign-other", DEMO.account):
        with stage.acting("execution"), pytest.raises(AwsRefused, match="AccessDenied"):
            aws.assume(account(external_id=wrong), str(uuid4()), ANYTHING, region=DEMO.region, name="countersign-step-1")


def test_row_31_a_role_of_another_account_is_denied(stage: Stage) -> None:
    """The execution process may assume the roles that its policy names, and no other account's."""
    role = f"arn:aws:iam::{OTHER}:role/{DEMO.executor_role}"
    with stage.acting("execution"), pytest.raises(AwsRefused, match="AccessDenied"):
        aws.assume(account(id=OTHER, role=role), str(uuid4()), ANYTHING, region=DEMO.region, name="countersign-step-1")


def test_row_31_a_session_of_another_account_is_not_used(stage: Stage) -> None:
    """The account that was signed and the one that the session is of are compared before anything is done with it."""
    with stage.acting("execution"), pytest.raises(WrongAccount):
        aws.assume(account(id=OTHER), str(uuid4()), ANYTHING, region=DEMO.region, name="countersign-step-1")
    assert stage.calls() == []


@pytest.mark.parametrize("column", ["account_id", "region"])
def test_row_31_the_account_and_region_are_in_the_digest(stage: Stage, column: str) -> None:
    """Rows that point an approved plan at another account or region send nothing there: the signed bytes say where."""
    execution = stage.cast.approved()
    other = {"account_id": OTHER, "region": "eu-central-1"}[column]
    stage.forge((f"UPDATE approvals_approvalrequest SET {column} = %s", (other,)))
    stage.execute()
    assert (fresh(execution).state, stage.calls(), Attempt.objects.count()) == ("aborted", [], 0)
    assert stage.alerts() == ["forgery"]
