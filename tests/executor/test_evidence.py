"""CloudTrail's records and the attempts: matched one to one, or an alert."""

from __future__ import annotations

import copy
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from approvals.models import Alert, Attempt, AuditEntry, Execution, Look, OutboxMessage, Proof, TrailRecord
from executor import aws, calling, claim, delivery, errands, readying, reconcile
from executor.opening import Opened
from executor.outside import Held
from executor.sandbox.world import DEMO
from tests.cast import envelope, table_arn, trail_record
from tests.executor.proxy import Wire
from tests.executor.stage import QUICK, Stage, attempts, fresh
from tests.executor.test_feed import put
from tests.executor.test_steps import CHANGE, NOTHING, approved


def learn(stage: Stage) -> None:
    """The feed takes in what CloudTrail says; delivery matches it."""
    stage.poll()
    stage.lapse()
    with stage.acting("delivery"):
        delivery.drain()


def lose_what_is_queued(stage: Stage) -> None:
    """EventBridge may drop."""
    url = DEMO.queue_url(stage.aws.endpoint_url)
    stage.aws.wait_until_delivered()
    with stage.acting("feed"):
        errands.delete(url, errands.receive(url, region=DEMO.region, wait=0), region=DEMO.region)


def executed_by_hand(stage: Stage, policy: str, source: str, table: str) -> None:
    """A call with a session of the executor's role, made by whoever holds the execution worker's keys."""
    from approvals.authority import KnownAccount

    account = KnownAccount(DEMO.account, "aws", (DEMO.region,), DEMO.executor_role_arn, DEMO.external_id)
    with (
        stage.acting("execution"),
        aws.assume(account, source, policy, region=DEMO.region, name="countersign-step-1") as session,
    ):
        session.mutate("dynamodb", "DeleteTable", {"TableName": table})


ANYTHING = aws.session_policy([aws.Allowed(["dynamodb:*"], ["*"])])


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
        session = readying.assume(cleared, 0, step)
        assert isinstance(session, aws.Session)
        with session:
            attempt = calling.sent(cleared, 0, step, session, Held(1, ""))
            assert isinstance(attempt, Attempt)
            answer = calling.call(cleared, step, session, Opened(step.parameters), attempt)
            again = session.mutate(step.service, step.operation, step.parameters)
            calling.answered(cleared, attempt, step, answer)
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
    lose_what_is_queued(stage)
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


def by_a_service(stage: Stage, **changes: Any) -> None:
    """A record that AWS writes when a service acts in the executor's name, for the call that was recorded last."""
    record = copy.deepcopy(dict(stage.calls()[-1]))
    record |= {"eventID": str(uuid4()), "requestID": str(uuid4()), "sourceIPAddress": "dynamodb.amazonaws.com"} | changes
    record["userIdentity"]["invokedBy"] = "dynamodb.amazonaws.com"
    record["requestParameters"] = {"tableName": "prod-replica"}
    put(stage, envelope(record))


@pytest.mark.parametrize(
    ("changes", "table"),
    [
        ({}, "prod-orders"),
        ({"eventName": "UpdateTable"}, "prod-orders"),
        ({}, "prod-nothing"),
        ({"eventTime": "2020-01-01T00:00:00Z"}, "prod-orders"),
    ],
)
def test_a_service_s_call_that_no_attempt_gave_the_right_to_is_an_alert(
    stage: Stage, settings: Any, changes: dict[str, Any], table: str
) -> None:
    """The signed action on another table, another action, a call that AWS refused, a time before it: somebody looks."""
    stage.cast.approved(TableName=table)
    stage.execute()
    by_a_service(stage, **changes)
    learn(stage)
    assert "rogue" not in stage.alerts()
    settings.PROOF_GRACE = 0
    learn(stage)
    assert "rogue" in stage.alerts()


def test_a_bypass_is_an_alert_and_no_proof(stage: Stage) -> None:
    """Mallory deletes a protected table with an administrator's keys: a bypass alert, from the record of the success."""
    with stage.acting("feed", keys_of="mallory"):
        dynamodb = aws.client("dynamodb", DEMO.region)
        dynamodb.delete_table(TableName="prod-customers")
        dynamodb.close()
    learn(stage)
    assert (stage.alerts(), Proof.objects.count()) == (["bypass"], 0)


def test_another_target_in_the_very_session_is_an_alert_at_once(stage: Stage) -> None:
    """Under the attempt's own session, id and request id a table is deleted that nobody signed: no proof, and no grace either."""
    execution = stage.cast.approved()
    with stage.acting("execution"):
        cleared = claim.take(execution.pk)
        assert isinstance(cleared, claim.Cleared)
        step = cleared.plan.steps[0]
        source, name = str(execution.pk), "countersign-step-1"
        with aws.assume(cleared.account, source, ANYTHING, region=DEMO.region, name=name) as session:
            attempt = calling.sent(cleared, 0, step, session, Held(1, ""))
            assert isinstance(attempt, Attempt)
            answer = session.mutate("dynamodb", "DeleteTable", {"TableName": "prod-customers"})
            calling.answered(cleared, attempt, step, answer)
    learn(stage)
    assert (Proof.objects.count(), stage.alerts()) == (0, ["rogue"])
    assert '"prod-customers", and "prod-orders" was signed' in Alert.objects.get().detail


SIGNED = {"TableName": "prod-orders", "DeletionProtectionEnabled": False, "TableClass": "STANDARD_INFREQUENT_ACCESS"}
WIRED = {"tableName": "prod-orders", "deletionProtectionEnabled": False, "tableClass": "STANDARD_INFREQUENT_ACCESS"}
HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
REFUSAL = f"User: x is not authorized to perform: dynamodb:UpdateTable on resource: {table_arn('prod-customers')}"


@pytest.mark.parametrize(
    ("changes", "proves"),
    [
        ({}, True),
        ({"requestParameters": WIRED | {"tableName": table_arn("prod-orders")}}, True),
        ({"requestParameters": WIRED | {"tableClass": HIDDEN}}, True),
        ({"requestParameters": WIRED | {"aMemberOfNextYear": 1}}, True),
        ({"requestParameters": None, "errorCode": "AccessDenied", "errorMessage": "no"}, True),
        ({"requestParameters": WIRED | {"tableName": "prod-customers"}}, False),
        ({"requestParameters": WIRED | {"tableName": table_arn("prod-orders").replace("table/", "index/")}}, False),
        ({"requestParameters": WIRED | {"tableName": HIDDEN}}, False),
        ({"requestParameters": WIRED | {"deletionProtectionEnabled": True}}, False),
        ({"requestParameters": WIRED | {"billingMode": "PAY_PER_REQUEST"}}, False),
        ({"requestParameters": {"tableName": "prod-orders", "tableClass": "STANDARD_INFREQUENT_ACCESS"}}, False),
        ({"requestParameters": None}, False),
        (
            {
                "requestParameters": None,
                "errorCode": "AccessDenied",
                "errorMessage": f"{REFUSAL} with an explicit deny in an identity-based policy",
            },
            False,
        ),
    ],
)
def test_only_the_call_that_was_signed_is_proven(stage: Stage, settings: Any, changes: dict[str, Any], proves: bool) -> None:
    """A record proves its attempt when target and parameters are the signed ones, as far as CloudTrail shows them."""
    settings.PROOF_GRACE = 0
    stage.cast.approved(operation="dynamodb:UpdateTable", **SIGNED)
    stage.execute()
    lose_what_is_queued(stage)
    (record,) = stage.calls("UpdateTable")
    assert record["requestParameters"] == WIRED
    put(stage, envelope(record | changes))
    learn(stage)
    assert Proof.objects.count() == int(proves)
    # AWS said yes to it: a record that says otherwise is told of.
    accounted = ["contrary"] if "errorCode" in changes else []
    assert stage.alerts() == (accounted if proves else ["rogue"])


def test_a_plan_that_was_altered_proves_nothing(stage: Stage, settings: Any) -> None:
    """The revision's text names the other table since: what was signed cannot be told, so nothing is taken as its proof."""
    settings.PROOF_GRACE = 0
    stage.cast.approved()
    stage.execute()
    stage.forge(("UPDATE approvals_revision SET text = replace(text, 'prod-orders', 'prod-customers')", ()))
    learn(stage)
    assert (Proof.objects.count(), stage.alerts()) == (0, ["rogue"])


def lost_in_the_call(stage: Stage, execution: Execution) -> None:
    """The worker dies with AWS's answer in its hands; twenty minutes go by."""
    stage.killed_at("called")
    stage.lapse()
    sweep(stage)
    assert fresh(execution).state == "unknown"
    twenty_minutes_later(stage)


def twenty_minutes_later(stage: Stage) -> None:
    stage.forge(("UPDATE approvals_attempt SET sent_at = sent_at - interval '20 minutes', answered_at = NULL", ()))


def sweep(stage: Stage) -> None:
    with stage.acting("execution"):
        reconcile.sweep(patience=QUICK)


def test_a_refusal_proven_by_the_trail_ends_an_unknown_outcome(stage: Stage) -> None:
    """The answer to a call that AWS refused was lost: CloudTrail's record says so and the table is there, so it has failed."""
    with stage.acting("feed", keys_of="mallory"):
        dynamodb = aws.client("dynamodb", DEMO.region)
        dynamodb.update_table(TableName="prod-orders", DeletionProtectionEnabled=True)
        dynamodb.close()
    execution = stage.cast.approved()
    lost_in_the_call(stage, execution)
    learn(stage)
    sweep(stage)
    assert (fresh(execution).state, attempts(execution)) == ("failed", ["rejected"])
    assert "ValidationException" in fresh(execution).outcome


def executor_of(execution: Execution) -> dict[str, Any]:
    """The session of the execution's attempt, as CloudTrail names it."""
    context = {"sessionIssuer": {"arn": DEMO.executor_role_arn}, "sourceIdentity": str(execution.pk)}
    key = Attempt.objects.get(execution=execution).access_key_id
    return {"type": "AssumedRole", "accountId": DEMO.account, "accessKeyId": key, "sessionContext": context}


def refused(call: dict[str, Any]) -> str:
    """The same record, saying that AWS refused; anybody who may send to the queue can write it."""
    return envelope(
        call | {"errorCode": "ValidationException", "errorMessage": "no", "eventID": "forged", "responseElements": None}
    )


def test_a_forged_refusal_does_not_hide_a_deletion(stage: Stage) -> None:
    """The table was deleted and the answer lost; a record on the queue says that AWS refused: it stays unknown."""
    execution = stage.cast.approved()
    lost_in_the_call(stage, execution)
    lose_what_is_queued(stage)
    put(stage, refused(stage.calls()[0]))
    learn(stage)
    for _ in range(3):
        sweep(stage)
        stage.lapse()
    assert Proof.objects.get().record.outcome == "failed"
    assert (fresh(execution).state, attempts(execution)) == ("unknown", ["unknown"])


@pytest.mark.parametrize(("made", "state"), [("called", "unknown"), ("sent", "failed")])
def test_whether_an_update_had_no_effect_is_read_from_the_target(stage: Stage, made: str, state: str) -> None:
    """A record says that AWS refused: it is believed when a member is not as the call wanted it, not when all of them are."""
    execution = stage.cast.approved(operation="dynamodb:UpdateTable", TableName="prod-orders", DeletionProtectionEnabled=True)
    stage.killed_at(made)
    stage.lapse()
    sweep(stage)
    twenty_minutes_later(stage)
    if made == "called":
        lose_what_is_queued(stage)
    wanted = {"tableName": "prod-orders", "deletionProtectionEnabled": True}
    put(stage, refused(trail_record("UpdateTable", denied=False, userIdentity=executor_of(execution), requestParameters=wanted)))
    learn(stage)
    sweep(stage)
    assert fresh(execution).state == state


BROKE = ["InternalServerError", "InternalServerException", "ServiceUnavailableException", "Server.InternalError"]


@pytest.mark.parametrize("code", BROKE)
@pytest.mark.parametrize(("fault", "state"), [("500 before", "failed"), ("500 after", "succeeded")])
def test_a_record_that_the_service_broke_decides_nothing(stage: Stage, fault: str, state: str, code: str) -> None:
    """AWS answered 500 and CloudTrail says no more than that, by whatever name: not failed by it; then the target decides."""
    execution = stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "DeleteTable", fault) as wire:
        stage.endpoint = wire.url
        stage.execute()
        stage.endpoint = ""
    if fault == "500 after":
        lose_what_is_queued(stage)
    stage.forge(("UPDATE approvals_attempt SET aws_request_id = 'THEIRS'", ()))
    call = trail_record(denied=False, userIdentity=executor_of(execution), requestID="THEIRS", responseElements=None)
    put(stage, envelope(call | {"errorCode": code, "errorMessage": "try again"}))
    learn(stage)
    sweep(stage)
    assert Proof.objects.get().record.outcome == "failed"
    assert (fresh(execution).state, attempts(execution)) == ("unknown", ["unknown"])
    said = Look.objects.get(execution=execution, source=Look.Source.EVENTS).said
    assert f"says {code}" in said
    twenty_minutes_later(stage)
    stage.forge(
        ("UPDATE approvals_observation SET taken_at = taken_at - interval '20 minutes'", ()),
        ("UPDATE approvals_look SET looked_at = looked_at - interval '20 minutes'", ()),
    )
    stage.lapse()
    sweep(stage)
    assert fresh(execution).state == state


def test_a_refusal_with_aws_s_request_id_has_to_be_borne_out_too(stage: Stage) -> None:
    """AWS answered 500 under some code that we do not know, and the table is gone: the record of that answer is no refusal."""
    execution = stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "DeleteTable", "500 after") as wire:
        stage.endpoint = wire.url
        stage.execute()
        stage.endpoint = ""
    lose_what_is_queued(stage)
    twenty_minutes_later(stage)
    stage.forge(("UPDATE approvals_attempt SET aws_request_id = 'THEIRS'", ()))
    call = trail_record(denied=False, userIdentity=executor_of(execution), requestID="THEIRS", responseElements=None)
    put(stage, envelope(call | {"errorCode": "ResourceContention", "errorMessage": "no"}))
    learn(stage)
    sweep(stage)
    assert (fresh(execution).state, attempts(execution)) == ("unknown", ["unknown"])


def test_a_call_that_may_still_arrive_has_not_failed(stage: Stage) -> None:
    """Within the quarter of an hour in which AWS takes a signed request a refusal without AWS's request id settles nothing."""
    execution = stage.cast.approved(TableName="prod-orders")
    stage.killed_at("sent")
    stage.lapse()
    sweep(stage)
    put(stage, refused(trail_record(denied=False, userIdentity=executor_of(execution))))
    learn(stage)
    sweep(stage)
    assert fresh(execution).state == "unknown"


def test_what_does_not_settle_is_looked_at_ever_more_seldom(stage: Stage) -> None:
    """A proof that the target does not bear out: one look, and the next after a tenth of the time that has gone by."""
    execution = stage.cast.approved()
    lost_in_the_call(stage, execution)
    lose_what_is_queued(stage)
    put(stage, refused(stage.calls()[0]))
    learn(stage)

    def looks() -> int:
        return len(stage.calls("DescribeTable"))

    before = looks()
    for _ in range(3):
        sweep(stage)
    assert looks() == before + 1
    left = fresh(execution).lease_until
    assert left is not None
    assert 100 < (left - timezone.now()).total_seconds() < 150
    stage.lapse()
    sweep(stage)
    assert looks() == before + 2


def test_a_success_without_proof_is_one_alert(stage: Stage, settings: Any) -> None:
    """Nothing of a success arrives from CloudTrail for too long: the trail is not being watched, said once."""
    settings.UNPROVEN_AFTER = 0
    stage.cast.approved()
    stage.execute()
    for _ in range(3):
        with stage.acting("execution"):
            reconcile.sweep(patience=QUICK)
    assert stage.alerts() == ["unproven"]


def test_a_success_without_proof_is_an_alert_also_where_its_plan_failed_later(stage: Stage, settings: Any) -> None:
    """The first call took effect, and nobody saw it in CloudTrail: that the second was refused makes it no less unseen."""
    settings.UNPROVEN_AFTER = 0
    execution = approved(stage, CHANGE, NOTHING)
    stage.execute()
    assert (fresh(execution).state, attempts(execution)) == ("failed", ["succeeded", "rejected"])
    stage.sweep()
    assert stage.alerts() == ["failed", "unproven"]


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
