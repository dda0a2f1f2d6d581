"""I10: a backup of the database made at each state of a request's life, restored after the effect, with real databases.

What was `sent` is never sent again, whatever is restored: the row says so. What was not yet sent the database has forgotten, and
the claim outside of it has not: unknown, and people look.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connections
from moto.dynamodb.models import dynamodb_backends

from approvals import audit, decisions
from approvals.models import ApprovalRequest, Attempt, Execution
from approvals.states import AttemptState
from executor import aws, calling, claim, endings, holding, readying, reconcile, tasks
from executor.opening import Opened
from executor.outside import Held
from executor.sandbox.world import DEMO
from tests.databases import Cluster
from tests.executor.proxy import Wire
from tests.executor.stage import QUICK, Stage, connect_to, fresh, hang_up
from tests.executor.test_steps import CHANGE, DELETE
from tests.executor.test_steps import approved as two_steps


def drafted(stage: Stage) -> None:
    stage.cast.filed()


def confirmed(stage: Stage) -> None:
    stage.cast.pending()


def approved(stage: Stage) -> None:
    stage.cast.approved()


def claimed(stage: Stage) -> None:
    execution = stage.cast.approved()
    with stage.acting("execution"):
        assert isinstance(claim.take(execution.pk), claim.Cleared)


def finished(stage: Stage) -> None:
    stage.cast.approved()
    stage.execute()


def unknown(stage: Stage) -> None:
    """A call without an answer, which the sweep has found."""
    stage.cast.approved()
    stage.killed_at("called")
    stage.lapse()
    with stage.acting("execution"):
        reconcile.sweep(patience=QUICK)


def put_off(stage: Stage) -> None:
    """AWS throttled the first attempt, and the second is due later."""
    stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "DeleteTable", "throttle before", times=1) as wire:
        stage.endpoint = wire.url
        stage.execute()
        stage.endpoint = ""


def killed(point: str) -> Callable[[Stage], None]:
    """A worker that was lost there."""

    def live(stage: Stage) -> None:
        stage.cast.approved()
        stage.killed_at(point)

    return live


@pytest.fixture
def restored(stage: Stage, database_cluster: Cluster) -> Iterator[Callable[[], Callable[..., None]]]:
    """`restored()` makes a backup of the stage's database; what it returns puts it in the place of that database.

    `as_it_was`: the targets look in AWS as they did then, to the last id, so that no drift hides what the claim outside is for.
    """
    with ExitStack() as stack:

        def backup() -> Callable[..., None]:
            connections.close_all()
            hang_up()
            source = str(connections["default"].settings_dict["NAME"])
            url = database_cluster.copy(source, f"{source}_backup")
            stack.callback(database_cluster.drop, f"{source}_backup")
            tables = dynamodb_backends[DEMO.account][DEMO.region].tables
            seen = {name: copy.copy(table) for name, table in tables.items()}

            def restore(*, as_it_was: bool = False) -> None:
                if as_it_was:
                    tables.clear()
                    tables.update(seen)
                stage.owner_url = url
                connect_to(url)

            return restore

        former = stage.owner_url
        yield backup
        connect_to(former)


def goes_on(stage: Stage) -> None:
    """Whoever still has to sign does so, and the execution worker does whatever is due, three times over."""
    for request in ApprovalRequest.objects.all():
        if request.state == "draft":
            stage.cast.sign_confirm(request)
        if ApprovalRequest.objects.get(pk=request.pk).state == "pending":
            stage.cast.sign_review(request)
    for _ in range(3):
        stage.lapse()
        with stage.acting("execution"):
            reconcile.sweep(patience=QUICK)
            tasks.execute_due()


# The state of the backup, the calls that were seen before and after, the execution's state and its attempts in the end.
STATES = [
    pytest.param(drafted, 1, "unknown", 0, id="draft"),
    pytest.param(confirmed, 1, "unknown", 0, id="pending"),
    pytest.param(approved, 1, "unknown", 0, id="ready"),
    pytest.param(claimed, 1, "unknown", 0, id="claimed"),
    pytest.param(killed("claiming"), 1, "unknown", 0, id="about to claim outside"),
    pytest.param(killed("claimed-outside"), 0, "unknown", 0, id="claimed outside"),
    pytest.param(killed("sent"), 0, "unknown", 1, id="sent"),
    pytest.param(killed("called"), 1, "unknown", 1, id="called"),
    pytest.param(put_off, 1, "unknown", 1, id="put off for a retry"),
    pytest.param(killed("answered"), 1, "succeeded", 1, id="answered"),
    pytest.param(killed("settled"), 1, "succeeded", 1, id="settled"),
    pytest.param(finished, 1, "succeeded", 1, id="finished"),
    pytest.param(unknown, 1, "unknown", 1, id="unknown"),
]


@pytest.mark.parametrize(("live", "calls", "state", "attempts"), STATES)
def test_row_23_a_backup_restored_after_the_effect_does_not_act_again(
    stage: Stage,
    restored: Callable[[], Callable[..., None]],
    live: Callable[[Stage], None],
    calls: int,
    state: str,
    attempts: int,
) -> None:
    """Row 23: backed up at this state, carried out, restored, and everybody goes on: AWS has seen the call once and no more."""
    live(stage)
    restore = restored()
    goes_on(stage)
    assert len(stage.calls()) == calls
    # What the backup knows as sent is settled by what AWS really looks like.
    restore(as_it_was=not attempts or live is put_off)
    goes_on(stage)
    assert len(stage.calls()) == calls, "the restored database sent it again"
    assert (Execution.objects.get().state, Attempt.objects.count()) == (state, attempts)
    if state == "unknown" and (not attempts or live is put_off):
        assert "claimed" in stage.alerts()
    assert audit.verify().holds


@pytest.mark.parametrize("live", [drafted, confirmed, approved, claimed], ids=lambda live: live.__name__)
def test_a_target_that_is_gone_because_the_call_was_made_is_not_called_untouched(
    stage: Stage, restored: Callable[[], Callable[..., None]], live: Callable[[Stage], None]
) -> None:
    """The restored database finds the table gone, which it takes for drift; the claim outside says why: unknown, not aborted."""
    live(stage)
    restore = restored()
    goes_on(stage)
    restore()
    goes_on(stage)
    execution = Execution.objects.get()
    assert (execution.state, len(stage.calls()), Attempt.objects.count()) == ("unknown", 1, 0)
    assert "was claimed at 20" in execution.outcome
    assert "claimed" in stage.alerts()
    assert audit.verify().holds


def test_without_the_claim_outside_a_restored_backup_acts_again(
    stage: Stage, restored: Callable[[], Callable[..., None]], settings: Any
) -> None:
    """What the claim is for: the same with no bucket configured is sent a second time. A deployment cannot start like that."""
    settings.CLAIMS_BUCKET = ""
    approved(stage)
    restore = restored()
    goes_on(stage)
    restore(as_it_was=True)
    goes_on(stage)
    assert len(stage.calls()) == 2


@pytest.mark.parametrize("live", [drafted, confirmed], ids=["draft", "pending"])
def test_a_restored_draft_that_is_frozen_anew_is_known_by_its_request(
    stage: Stage, restored: Callable[[], Callable[..., None]], live: Callable[[Stage], None]
) -> None:
    """The same call is frozen again as the next revision: its digest is another, and the request's claims are found as well."""
    live(stage)
    restore = restored()
    goes_on(stage)
    before = Execution.objects.get().revision.digest
    restore(as_it_was=True)
    request = ApprovalRequest.objects.get()
    alice = stage.cast.person("alice")
    decisions.complete(request.pk, alice, number=request.revision_number, parameters={"TableName": "prod-orders"})
    goes_on(stage)
    assert Execution.objects.get().revision.digest != before
    assert (Execution.objects.get().state, len(stage.calls())) == ("unknown", 1)


def test_a_plan_of_two_steps_restored_between_them_makes_neither_again(
    stage: Stage, restored: Callable[[], Callable[..., None]]
) -> None:
    """The backup knows the first step as done and the second as not begun: the second's claim says that it was made."""
    execution = two_steps(stage, CHANGE, DELETE)
    stage.killed_at("settled")
    restore = restored()
    goes_on(stage)
    assert fresh(execution).state == "succeeded"
    restore(as_it_was=True)
    goes_on(stage)
    assert (fresh(execution).state, Attempt.objects.count()) == ("unknown", 1)
    assert (len(stage.calls("UpdateTable")), len(stage.calls("DeleteTable"))) == (1, 1)


def test_a_plan_of_two_steps_restored_before_the_first_makes_none_again(
    stage: Stage, restored: Callable[[], Callable[..., None]]
) -> None:
    """The backup has forgotten both: the first step's claim is found, and the plan ends there."""
    execution = two_steps(stage, CHANGE, DELETE)
    restore = restored()
    goes_on(stage)
    restore(as_it_was=True)
    goes_on(stage)
    assert (fresh(execution).state, Attempt.objects.count()) == ("unknown", 0)
    assert (len(stage.calls("UpdateTable")), len(stage.calls("DeleteTable"))) == (1, 1)


def tried(stage: Stage, cleared: claim.Cleared, *, throttled: bool) -> bool:
    """One attempt at the first step by the worker that holds the claim; whether it got as far as the call."""
    step = cleared.plan.steps[0]
    with stage.acting("execution"):
        session = readying.assume(cleared, 0, step)
        assert isinstance(session, aws.Session)
        with session:
            held = holding.claimed_outside(cleared, 0)
            if not isinstance(held, Held):
                return False
            attempt = calling.sent(cleared, 0, step, session, held)
            assert isinstance(attempt, Attempt)
            if not throttled:
                answer = calling.call(cleared, step, session, Opened(step.parameters), attempt)
                calling.answered(cleared, attempt, step, answer)
            else:
                with audit.recorded() as trail:
                    state = AttemptState.REJECTED
                    endings.answered(trail, cleared.claim, attempt, state, code="ThrottlingException", message="Rate exceeded")
                attempt.may_repeat = True
                Attempt.objects.filter(pk=attempt.pk).update(may_repeat=True)
    return True


@pytest.mark.parametrize("rejected", [0, 1, 2])
def test_a_backup_from_between_two_attempts_does_not_make_the_second_again(
    stage: Stage, restored: Callable[[], Callable[..., None]], rejected: int
) -> None:
    """Throttled twice and then carried out; restored with so many of the rejections in it: attempt numbers count outside too."""
    execution = stage.cast.approved()
    with stage.acting("execution"):
        cleared = claim.take(execution.pk)
    assert isinstance(cleared, claim.Cleared)
    restore = restored() if rejected == 0 else None
    for number in (1, 2):
        assert tried(stage, cleared, throttled=True)
        restore = restore or (restored() if rejected == number else None)
    assert tried(stage, cleared, throttled=False)
    assert [one.claimed_as[-3:] for one in Attempt.objects.order_by("number")] == ["0-1", "0-2", "0-3"]
    assert restore is not None
    restore()
    assert not tried(stage, cleared, throttled=False)
    assert (fresh(execution).state, Attempt.objects.count(), len(stage.calls())) == ("unknown", rejected, 1)


def test_a_worker_that_nobody_stopped_finds_the_restored_ones_claim(
    stage: Stage, restored: Callable[[], Callable[..., None]]
) -> None:
    """It stands still right before its claim, on the database as it was; the restored one carries the plan out; it wakes up.

    Its token is the newest that its own database knows: only the claim outside tells it that somebody else has called.
    """
    approved(stage)
    restore = restored()
    with stage.frozen_at("assumed") as thaw:
        restore()
        goes_on(stage)
        assert (Execution.objects.get().state, len(stage.calls())) == ("succeeded", 1)
        thaw()
    assert len(stage.calls()) == 1


def test_a_restored_database_leaves_a_call_that_is_on_its_way_alone(
    stage: Stage, restored: Callable[[], Callable[..., None]]
) -> None:
    """A worker stands still between `sent` and its call; the backup is restored and everybody goes on; it wakes up and calls."""
    approved(stage)
    restore = restored()
    with stage.frozen_at("sent") as thaw:
        restore()
        goes_on(stage)
        assert (Execution.objects.get().state, stage.calls()) == ("unknown", [])
        thaw()
    assert len(stage.calls()) == 1
