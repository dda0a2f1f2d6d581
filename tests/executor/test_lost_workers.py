"""Workers killed with -9 and frozen at every named point: taken over or unknown, never two calls."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from approvals import audit, statements
from approvals.models import Attempt, Execution
from approvals.plan import Step
from executor import aws, delivery, points
from executor.points import Point
from executor.sandbox.world import DEMO
from tests.cast import Cast, seal
from tests.executor.proxy import Wire
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_steps import approved

# How often each loss is played: once in the suite, a hundred times by `make soak`.
ROUNDS = int(os.environ.get("SOAK_KILLS", "1"))
UNTIL_SENT, LOST, MADE = "taken over", "unknown", "settled"


@dataclass(frozen=True)
class Loss:
    """At which point (the second time with `:2`) a worker is lost, and what becomes of the call that it was about.

    `taken over`: another makes it. `unknown`: it is never made again. `settled`: it was made, and another sees to its end.
    """

    point: str
    then: str
    called: bool = False

    @property
    def name(self) -> str:
        return self.point.partition(":")[0]


ONE_STEP = [
    *(Loss(point, UNTIL_SENT) for point in ("taken", "judged", "claimed", "prepared", "step", "assumed", "identified")),
    *(Loss(point, UNTIL_SENT) for point in ("opened", "claiming")),
    *(Loss(point, LOST) for point in ("claimed-outside", "sent", "fenced")),
    Loss("called", LOST, called=True),
    *(Loss(point, MADE, called=True) for point in ("answered", "looking", "looking:2", "seen", "settled", "finished")),
]
# The second step, of EC2, is rehearsed: the second claim, fence and look are the rehearsal's, the third are the call's.
SECOND_STEP = [
    *(Loss(point, UNTIL_SENT) for point in ("step:2", "assumed:2", "identified:2", "opened:2", "claiming:2")),
    Loss("claimed-outside:2", LOST),
    *(Loss(point, UNTIL_SENT) for point in ("rehearsal-sent", "fenced:2", "rehearsal-called", "rehearsed")),
    Loss("claiming:3", UNTIL_SENT),
    *(Loss(point, LOST) for point in ("claimed-outside:3", "sent:2", "fenced:3")),
    Loss("called:2", LOST, called=True),
    *(Loss(point, MADE, called=True) for point in ("answered:2", "looking:3", "seen:2", "settled:2", "finished")),
]
PUT_OFF = [Loss("put-off", UNTIL_SENT)]
CHANGE = Step("dynamodb", "UpdateTable", {"TableName": "prod-orders", "TableClass": "STANDARD_INFREQUENT_ACCESS"})


@pytest.fixture
def cast(cloned_database: str, tmp_path: Any, settings: Any) -> Cast:
    """The whole demo, tables and instances."""
    return seal(tmp_path, settings, whole=True)


@pytest.fixture(autouse=True)
def _within_the_hour(settings: Any) -> None:
    """All rounds of a test are one requester's and of one hour; how many he may begin in one is tested in test_limits."""
    settings.EXECUTIONS_PER_REQUESTER += ROUNDS


def one_step(stage: Stage, number: int = 0) -> tuple[Execution, str]:
    """A table to delete; after the first round one of its own."""
    table = f"prod-soak-{number}" if number else "prod-orders"
    if number:
        with stage.acting("feed", keys_of="mallory"):
            made = aws.client("dynamodb", DEMO.region)
            key: Any = {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}
            key["KeySchema"] = [{"AttributeName": "id", "KeyType": "HASH"}]
            made.create_table(TableName=table, BillingMode="PAY_PER_REQUEST", **key)
            made.close()
    return stage.cast.approved(TableName=table), "DeleteTable"


def two_steps(stage: Stage, number: int = 0) -> tuple[Execution, str]:
    """A change of a table, and then an instance to terminate; after the first round an instance of its own."""
    instance = DEMO.instance_id("prod-web")
    change = CHANGE
    if number:
        with stage.acting("feed", keys_of="mallory"):
            made = aws.client("ec2", DEMO.region)
            image = made.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["ImageId"]
            instance = made.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
            made.close()
        table_class = "STANDARD" if number % 2 else "STANDARD_INFREQUENT_ACCESS"
        change = replace(CHANGE, parameters={"TableName": "prod-orders", "TableClass": table_class})
    return approved(stage, change, Step("ec2", "TerminateInstances", {"InstanceIds": [instance]})), "TerminateInstances"


def wire_calls(stage: Stage, execution: Execution, operation: str, *, with_effect: bool = False) -> int:
    """How many requests of this execution AWS saw; with an effect, those that it carried out."""
    return len(
        [
            one
            for one in stage.calls(operation)
            if one["userIdentity"]["sessionContext"]["sourceIdentity"] == str(execution.pk)
            and not (with_effect and "errorCode" in one)
        ]
    )


def must_hold(stage: Stage, execution: Execution, operation: str) -> None:
    """Never two effects, never two requests for a row, never without an owner, and the trail holds."""
    assert wire_calls(stage, execution, operation, with_effect=True) <= 1
    rows = Attempt.objects.filter(execution=execution, operation__endswith=f":{operation}")
    assert wire_calls(stage, execution, operation) <= rows.count()
    assert fresh(execution).state in {"succeeded", "failed", "unknown"}
    assert audit.verify().holds


def must_have_become(stage: Stage, execution: Execution, operation: str, loss: Loss) -> None:
    """The table's word for the loss, after the sweeps."""
    must_hold(stage, execution, operation)
    expected = "unknown" if loss.then == LOST else "succeeded"
    assert fresh(execution).state == expected, fresh(execution).outcome
    effects = 1 if loss.called or loss.then == UNTIL_SENT else 0
    assert wire_calls(stage, execution, operation, with_effect=True) == effects
    calls = Attempt.objects.filter(execution=execution, rehearsal=False, operation__endswith=f":{operation}")
    # Lost between its claim outside and its row: nothing inside the database says that there was one.
    states = [] if loss.name == "claimed-outside" else ["unknown" if loss.then == LOST else "succeeded"]
    assert list(calls.values_list("state", flat=True)) == states


def played(stage: Stage, loss: Loss, plan: Callable[[Stage, int], tuple[Execution, str]]) -> None:
    for number in range(ROUNDS):
        execution, operation = plan(stage, number)
        stage.killed_at(loss.point)
        assert wire_calls(stage, execution, operation, with_effect=True) == loss.called
        stage.sweep()
        must_have_become(stage, execution, operation, loss)


def test_every_point_is_tried() -> None:
    """A new point of the code needs a row here; there are more than twenty, in their order."""
    tried = {loss.name for loss in (*ONE_STEP, *SECOND_STEP, *PUT_OFF)}
    assert tried == {str(point) for point in points.Point}
    assert len(points.Point) >= 20


@pytest.mark.parametrize("loss", ONE_STEP, ids=lambda loss: loss.point)
def test_a_worker_killed_is_taken_over_or_leaves_unknown(stage: Stage, loss: Loss) -> None:
    """Before the claim outside somebody else takes over; from there to the answer it is unknown; afterwards it is settled."""
    played(stage, loss, one_step)


@pytest.mark.parametrize("loss", SECOND_STEP, ids=lambda loss: loss.point)
def test_a_worker_killed_in_the_second_step_is_treated_alike(stage: Stage, loss: Loss) -> None:
    """The same for the second step, of which EC2 is asked first: a lost rehearsal changes nothing and is made again."""
    played(stage, loss, two_steps)


@pytest.mark.parametrize("loss", PUT_OFF, ids=lambda loss: loss.point)
def test_a_worker_killed_with_a_call_put_off_is_taken_over(stage: Stage, loss: Loss) -> None:
    """AWS throttled, the worker said that it comes back and died: another makes the call, as a new attempt, at its time."""
    for number in range(ROUNDS):
        execution, operation = one_step(stage, number)
        with Wire(stage.aws.endpoint_url, operation, "throttle before", times=1) as wire:
            stage.endpoint = wire.url
            stage.killed_at(loss.point)
            assert attempts(execution) == ["rejected"]
            stage.sweep()
            stage.endpoint = ""
            assert wire.received == 2
        must_hold(stage, execution, operation)
        assert (fresh(execution).state, attempts(execution)) == ("succeeded", ["rejected", "succeeded"])


@pytest.mark.parametrize("point", [str(point) for point in Point])
def test_a_worker_of_celery_killed_is_treated_alike(stage: Stage, valkey_url: str, point: str) -> None:
    """The same in a real Celery worker with a real broker: its child is killed with -9 and somebody else sees to the end."""
    second = point.startswith("rehears")
    loss = next(one for one in (SECOND_STEP if second else [*ONE_STEP, *PUT_OFF]) if one.point == point)
    execution, operation = (two_steps if second else one_step)(stage)
    with Wire(stage.aws.endpoint_url, operation, "throttle before", times=point == "put-off" or 99) as wire:
        stage.endpoint = wire.url if point == "put-off" else ""
        with stage.celery(valkey_url, stop_at=f"kill:{point}") as worker:
            nudge(valkey_url)
            assert lost_child(worker), f"the worker did not get to {point}"
        stage.sweep()
        stage.endpoint = ""
    must_hold(stage, execution, operation)
    if point == "put-off":
        assert (fresh(execution).state, attempts(execution)) == ("succeeded", ["rejected", "succeeded"])
    else:
        must_have_become(stage, execution, operation, loss)


def nudge(broker: str) -> None:
    """What beat sends: the name of a task, and nothing else."""
    from kombu import Connection

    from config.celery import app

    with Connection(broker) as connection, connection.Producer() as producer:
        app.send_task("executor.tasks.execute_due", producer=producer, queue="execution")


def lost_child(worker: Any) -> bool:
    """Whether Celery says, within a minute, that a child of it was killed with -9."""
    assert worker.stdout
    watch = threading.Timer(60, worker.kill)
    watch.start()
    try:
        return any("SIGKILL" in line or "signal 9" in line for line in worker.stdout)
    finally:
        watch.cancel()


def test_the_record_of_the_call_settles_what_was_unknown(stage: Stage) -> None:
    """The worker died after the call; CloudTrail's record proves that it succeeded, and the target is gone: succeeded."""
    execution = stage.cast.approved()
    stage.killed_at("called")
    stage.sweep()
    assert fresh(execution).state == "unknown"
    stage.poll()
    with stage.acting("delivery"):
        delivery.drain()
    stage.sweep()
    found = fresh(execution)
    assert (found.state, attempts(execution), len(stage.calls())) == ("succeeded", ["succeeded"], 1)
    assert "CloudTrail event" in found.outcome
    assert Attempt.objects.get().proof.record.aws_request_id == stage.calls()[0]["requestID"]


def test_what_is_done_is_not_judged_again(stage: Stage) -> None:
    """The worker died with only the end unwritten, and the approval ran out before the next came: it succeeded, and says so."""
    execution = stage.cast.approved()
    stage.killed_at("settled")
    stage.sql("UPDATE approvals_approvalrequest SET approved_until = now() - interval '1 minute'")
    stage.sweep()
    assert (fresh(execution).state, attempts(execution), len(stage.calls())) == ("succeeded", ["succeeded"], 1)
    assert "execution-failed" not in stage.alerts()


def test_nothing_is_concluded_from_silence(stage: Stage) -> None:
    """The worker died before the call and no record ever comes: unknown stays unknown, however often it is swept."""
    execution = stage.cast.approved()
    stage.killed_at("sent")
    for _ in range(3):
        stage.sweep()
    assert (fresh(execution).state, attempts(execution), stage.calls()) == ("unknown", ["unknown"], [])
    assert stage.alerts() == ["unknown"]


@pytest.mark.parametrize(
    ("point", "state"),
    [
        ("claimed", "succeeded"),
        ("assumed", "succeeded"),
        ("identified", "succeeded"),
        ("opened", "succeeded"),
        ("claimed-outside", "unknown"),  # its claim lies there, and is another's to whoever comes
        ("rehearsed", "succeeded"),
    ],
)
def test_row_38_a_frozen_worker_that_thaws_after_a_take_over_makes_no_call(stage: Stage, point: str, state: str) -> None:
    """It stood still before `sent`, its lease ran out, another took it over: the token is not its own any more."""
    execution, operation = (two_steps if point == "rehearsed" else one_step)(stage)
    with stage.frozen_at(point) as thaw:
        stage.sweep()
        assert fresh(execution).state == state, fresh(execution).outcome
        before = wire_calls(stage, execution, operation)
        assert wire_calls(stage, execution, operation, with_effect=True) == (state == "succeeded")
        said = thaw()
    assert "taken over" in said
    # Each step is claimed anew by whoever took over.
    assert (fresh(execution).state, fresh(execution).token) == (state, 1 + len(execution.revision.plan.steps))
    assert wire_calls(stage, execution, operation) == before


@pytest.mark.parametrize("point", ["rehearsal-sent", "rehearsal-called"])
def test_row_38_a_worker_frozen_in_a_rehearsal_makes_no_call_afterwards(stage: Stage, point: str) -> None:
    """Another rehearsed anew and made the call; the one that thaws records nothing over it and calls nothing."""
    execution, operation = two_steps(stage)
    with stage.frozen_at(point) as thaw:
        stage.sweep()
        assert fresh(execution).state == "succeeded", fresh(execution).outcome
        before = wire_calls(stage, execution, operation)
        thaw()
    assert wire_calls(stage, execution, operation) == before
    must_hold(stage, execution, operation)


def switched_off(stage: Stage, execution: Execution) -> None:
    stage.sql("UPDATE portal_user SET is_active = false WHERE username = 'bob'")


def too_late(stage: Stage, execution: Execution) -> None:
    stage.forge(("UPDATE approvals_execution SET valid_until = now() - interval '1 hour'", ()))


def right_taken_away(stage: Stage, execution: Execution) -> None:
    stage.cast.changed({"edit": "revoke", "guardrail": "dynamodb-production", "login": "bob"})


@pytest.mark.parametrize("change", [switched_off, too_late, right_taken_away])
@pytest.mark.parametrize("point", ["claimed", "opened", "claimed-outside"])
def test_a_worker_that_outslept_its_lease_judges_again(stage: Stage, point: str, change: Any) -> None:
    """Every worker stood still and nobody took it over: thawed, it makes no call on what it had judged, but judges anew."""
    stage.cast.changed({"edit": "grant", "guardrail": "dynamodb-production", "login": "carol"})
    execution = stage.cast.approved()
    with stage.frozen_at(point) as thaw:
        stage.sql("UPDATE approvals_execution SET lease_until = now() - interval '1 hour'")
        change(stage, execution)
        thaw()
    assert stage.calls() == []
    stage.sweep()
    assert (fresh(execution).state, stage.calls()) in (("aborted", []), ("failed", []))
    assert set(attempts(execution)) <= {"rejected"}


@pytest.mark.parametrize("change", [switched_off, too_late])
@pytest.mark.parametrize("point", ["rehearsal-sent", "rehearsal-called", "rehearsed", "claiming:3", "claimed-outside:3"])
def test_a_worker_that_outslept_its_lease_in_a_rehearsal_judges_again(stage: Stage, point: str, change: Any) -> None:
    """AWS's yes to the rehearsal says nothing of who may still want the call: a lease that is over is not begun anew by it."""
    execution, operation = two_steps(stage)
    with stage.frozen_at(point) as thaw:
        stage.sql("UPDATE approvals_execution SET lease_until = now() - interval '1 hour'")
        change(stage, execution)
        thaw()
    assert wire_calls(stage, execution, operation, with_effect=True) == 0
    stage.sweep()
    assert wire_calls(stage, execution, operation, with_effect=True) == 0
    must_hold(stage, execution, operation)


def test_a_worker_held_up_after_sent_of_a_rehearsal_makes_it_again(stage: Stage) -> None:
    """It changes nothing and was not made: nobody has to file and sign anew what was only late."""
    execution, operation = two_steps(stage)
    with stage.frozen_at("rehearsal-sent") as thaw:
        stage.sql("UPDATE approvals_execution SET lease_until = now() - interval '1 hour'")
        thaw()
    stage.sql("UPDATE approvals_outboxmessage SET due_at = now()")
    stage.sweep()
    assert fresh(execution).state == "succeeded", fresh(execution).outcome
    must_hold(stage, execution, operation)


@pytest.mark.parametrize(("asked", "at"), [("must_go_on", "the claim outside"), ("must_still_run", "sent")])
def test_nobody_stands_still_between_the_look_at_his_lease_and_its_renewal(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, asked: str, at: str
) -> None:
    """Frozen right before he begins it anew, and thawed when it is over: he judges again."""
    execution = stage.cast.approved()
    original, here = getattr(statements, asked), os.getpid()

    def frozen(*arguments: Any) -> None:
        original(*arguments)
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGSTOP)

    monkeypatch.setattr(statements, asked, frozen)
    with stage.frozen_at("never") as thaw:
        stage.sql("UPDATE approvals_execution SET lease_until = now() - interval '1 hour'")
        switched_off(stage, execution)
        thaw()
    assert stage.calls() == [], at


@pytest.mark.parametrize("point", ["claimed", "opened", "claimed-outside"])
def test_a_worker_that_outslept_its_lease_makes_the_call_once_it_has_judged_again(stage: Stage, point: str) -> None:
    """Nothing has changed meanwhile: the next round makes the call, once; a claim outside that was written is accounted for."""
    execution = stage.cast.approved()
    with stage.frozen_at(point) as thaw:
        stage.sql("UPDATE approvals_execution SET lease_until = now() - interval '1 hour'")
        thaw()
    assert stage.calls() == []
    stage.sweep()
    assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1)
    assert attempts(execution) == (["rejected"] if point == "claimed-outside" else []) + ["succeeded"]


def test_a_worker_frozen_after_sent_does_not_call_once_its_lease_is_over(stage: Stage) -> None:
    """Nobody has given it up yet, and somebody may in this very moment: thawed, it makes no call."""
    execution = stage.cast.approved()
    with stage.frozen_at("sent") as thaw:
        stage.lapse()
        thaw()
    assert (attempts(execution), stage.calls()) == (["rejected"], [])
    assert "lost its claim" in Attempt.objects.get(execution=execution).error_message


def test_a_worker_frozen_after_sent_does_not_call_when_it_was_given_up(stage: Stage) -> None:
    """It stood still between `sent` and the call until its lease ran out: thawed, it makes no call and says so."""
    execution = stage.cast.approved()
    with stage.frozen_at("sent") as thaw:
        stage.sweep()
        assert fresh(execution).state == "unknown"
        thaw()
    found = fresh(execution)
    assert (found.state, attempts(execution), stage.calls()) == ("failed", ["rejected"], [])
    assert "not made" in found.outcome


def test_a_worker_frozen_after_the_fence_makes_its_one_call(stage: Stage) -> None:
    """Past the last question there is only the call: given up meanwhile, it is made all the same, once, and its answer counts."""
    execution = stage.cast.approved()
    with stage.frozen_at("fenced") as thaw:
        stage.sweep()
        assert (fresh(execution).state, attempts(execution)) == ("unknown", ["unknown"])
        thaw()
    stage.sweep()
    assert (fresh(execution).state, attempts(execution), len(stage.calls())) == ("succeeded", ["succeeded"], 1)


def test_an_answer_that_comes_late_still_counts(stage: Stage) -> None:
    """The worker stood still with AWS's yes in its hands until the outcome was called unknown: thawed, it records the yes."""
    execution = stage.cast.approved()
    with stage.frozen_at("called") as thaw:
        stage.sweep()
        assert fresh(execution).state == "unknown"
        thaw()
    assert (fresh(execution).state, attempts(execution), len(stage.calls())) == ("succeeded", ["succeeded"], 1)


def test_the_stop_points_do_not_exist_outside_the_demo() -> None:
    """The environment that names a stop point is refused in production."""
    from config.environment import WrongEnvironment, read

    environ = {
        "COUNTERSIGN_PROCESS": "execution",
        "COUNTERSIGN_ORIGIN": "https://countersign.example.com",
        "COUNTERSIGN_STOP_AT": "kill:sent",
        "COUNTERSIGN_GENESIS": "0" * 64,
        "DATABASE_URL": "postgresql://a:b@localhost/c",
        "REDIS_URL": "redis://localhost/0",
        "AWS_REGION": DEMO.region,
    }
    with pytest.raises(WrongEnvironment, match="COUNTERSIGN_STOP_AT"):
        read(environ)
