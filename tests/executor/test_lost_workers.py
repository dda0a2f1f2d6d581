"""Workers killed with -9 and frozen at every named point: taken over or unknown, never two calls."""

from __future__ import annotations

import pytest

from approvals import audit
from approvals.models import Attempt
from executor import delivery, feed, points, reconcile, tasks
from executor.sandbox.world import DEMO
from tests.executor.stage import QUICK, Stage, attempts, fresh

# The point, the state after the sweep alone, and how many calls were made before the worker died.
LOST = [
    ("judged", "succeeded", 0),
    ("claimed", "succeeded", 0),
    ("assumed", "succeeded", 0),
    ("outside", "unknown", 0),
    ("sent", "unknown", 0),
    ("called", "unknown", 1),
    ("answered", "succeeded", 1),
    ("settled", "succeeded", 1),
    ("finished", "succeeded", 1),
]


def sweep(stage: Stage) -> None:
    """What the execution worker that comes next does."""
    for _ in range(3):
        stage.lapse()
        with stage.acting("execution"):
            reconcile.sweep(patience=QUICK)
            tasks.execute_due()


def test_every_point_is_tried() -> None:
    """A new point of the code needs a row here."""
    assert [point for point, _, _ in LOST] == [str(point) for point in points.Point]


@pytest.mark.parametrize(("point", "state", "before"), LOST)
def test_a_worker_killed_is_taken_over_or_leaves_unknown(stage: Stage, point: str, state: str, before: int) -> None:
    """Before the claim outside somebody else takes over; from there to the answer it is unknown; afterwards it is settled."""
    execution = stage.cast.approved()
    stage.killed_at(point)
    assert len(stage.calls()) == before
    sweep(stage)
    assert fresh(execution).state == state
    assert len(stage.calls()) == (before if state == "unknown" else 1)
    assert Attempt.objects.filter(execution=execution).count() == (0 if point == "outside" else 1)
    assert audit.verify().holds


def test_the_record_of_the_call_settles_what_was_unknown(stage: Stage) -> None:
    """The worker died after the call; CloudTrail's record proves that it succeeded, and the target is gone: succeeded."""
    execution = stage.cast.approved()
    stage.killed_at("called")
    sweep(stage)
    assert fresh(execution).state == "unknown"
    with stage.acting("feed"):
        feed.poll(wait=1)
    with stage.acting("delivery"):
        delivery.drain()
    sweep(stage)
    found = fresh(execution)
    assert (found.state, attempts(execution), len(stage.calls())) == ("succeeded", ["succeeded"], 1)
    assert "CloudTrail event" in found.outcome
    assert Attempt.objects.get().proof.record.aws_request_id == stage.calls()[0]["requestID"]


def test_what_is_done_is_not_judged_again(stage: Stage) -> None:
    """The worker died with only the end unwritten, and the approval ran out before the next came: it succeeded, and says so."""
    execution = stage.cast.approved()
    stage.killed_at("settled")
    stage.sql("UPDATE approvals_approvalrequest SET approved_until = now() - interval '1 minute'")
    sweep(stage)
    assert (fresh(execution).state, attempts(execution), len(stage.calls())) == ("succeeded", ["succeeded"], 1)
    assert "execution-failed" not in stage.alerts()


def test_nothing_is_concluded_from_silence(stage: Stage) -> None:
    """The worker died before the call and no record ever comes: unknown stays unknown, however often it is swept."""
    execution = stage.cast.approved()
    stage.killed_at("sent")
    for _ in range(3):
        sweep(stage)
    assert (fresh(execution).state, attempts(execution), stage.calls()) == ("unknown", ["unknown"], [])
    assert stage.alerts() == ["unknown"]


@pytest.mark.parametrize("point", ["claimed", "assumed"])
def test_a_frozen_worker_that_thaws_after_a_take_over_makes_no_call(stage: Stage, point: str) -> None:
    """It stood still before `sent`, its lease ran out, another carried it out: the token is not its own any more."""
    execution = stage.cast.approved()
    with stage.frozen_at(point) as thaw:
        sweep(stage)
        assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1)
        said = thaw()
    assert "taken over" in said
    assert (fresh(execution).state, fresh(execution).token, len(stage.calls())) == ("succeeded", 2, 1)


def test_a_worker_frozen_after_sent_does_not_call_when_it_was_given_up(stage: Stage) -> None:
    """It stood still between `sent` and the call until its lease ran out: thawed, it makes no call and says so."""
    execution = stage.cast.approved()
    with stage.frozen_at("sent") as thaw:
        sweep(stage)
        assert fresh(execution).state == "unknown"
        thaw()
    found = fresh(execution)
    assert (found.state, attempts(execution), stage.calls()) == ("failed", ["rejected"], [])
    assert "not made" in found.outcome


def test_an_answer_that_comes_late_still_counts(stage: Stage) -> None:
    """The worker stood still with AWS's yes in its hands until the outcome was called unknown: thawed, it records the yes."""
    execution = stage.cast.approved()
    with stage.frozen_at("called") as thaw:
        sweep(stage)
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
        "COUNTERSIGN_CLAIMS_BUCKET": "countersign-claims",
        "DATABASE_URL": "postgresql://a:b@localhost/c",
        "REDIS_URL": "redis://localhost/0",
        "AWS_REGION": DEMO.region,
    }
    with pytest.raises(WrongEnvironment, match="COUNTERSIGN_STOP_AT"):
        read(environ)
