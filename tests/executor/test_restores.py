"""I10, the state side: a backup of the database made at each state of a request's life, restored after the effect.

What was `sent` is never sent again, whatever is restored. What was not yet sent is: the database has forgotten that it was, and
only a claim outside of it would know. Those rows are expected to fail until that claim is built (docs/limits.md, docs/model.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from django.db import connections

from approvals import audit
from approvals.models import ApprovalRequest, Attempt, Execution
from executor import claim, reconcile, tasks
from tests.databases import Cluster
from tests.executor.stage import QUICK, Stage, connect_to

WAITS = pytest.mark.xfail(strict=True, raises=AssertionError, reason="waits for the claim outside the database")


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


def killed(point: str) -> Callable[[Stage], None]:
    """A worker that was lost there."""

    def live(stage: Stage) -> None:
        stage.cast.approved()
        stage.killed_at(point)

    return live


@pytest.fixture
def restored(stage: Stage, database_cluster: Cluster) -> Iterator[Callable[[], Callable[[], None]]]:
    """`restored()` makes a backup of the stage's database; what it returns puts it in the place of that database."""
    with ExitStack() as stack:

        def backup() -> Callable[[], None]:
            connections.close_all()
            source = str(connections["default"].settings_dict["NAME"])
            url = database_cluster.copy(source, f"{source}_backup")
            stack.callback(database_cluster.drop, f"{source}_backup")

            def restore() -> None:
                stage.owner_url = url
                connect_to(url)

            return restore

        former = stage.owner_url
        yield backup
        connect_to(former)


def goes_on(stage: Stage) -> None:
    """Whoever still has to sign does so, and the execution worker does whatever is due, three times over."""
    request = ApprovalRequest.objects.get()
    if request.state == "draft":
        request = stage.cast.sign_confirm(request)
    if request.state == "pending":
        stage.cast.sign_review(request)
    for _ in range(3):
        stage.lapse()
        with stage.acting("execution"):
            reconcile.sweep(patience=QUICK)
            tasks.execute_due()


@pytest.mark.parametrize(
    ("live", "calls", "state"),
    [
        pytest.param(drafted, 1, "unknown", id="draft", marks=WAITS),
        pytest.param(confirmed, 1, "unknown", id="pending", marks=WAITS),
        pytest.param(approved, 1, "unknown", id="ready", marks=WAITS),
        pytest.param(claimed, 1, "unknown", id="claimed", marks=WAITS),
        pytest.param(killed("sent"), 0, "unknown", id="sent"),
        pytest.param(killed("called"), 1, "unknown", id="called"),
        pytest.param(killed("answered"), 1, "succeeded", id="answered"),
        pytest.param(killed("settled"), 1, "succeeded", id="settled"),
        pytest.param(finished, 1, "succeeded", id="finished"),
    ],
)
def test_a_backup_restored_after_the_effect_does_not_act_again(
    stage: Stage, restored: Callable[[], Callable[[], None]], live: Callable[[Stage], None], calls: int, state: str
) -> None:
    """Row 23: backed up at this state, carried out, restored, and everybody goes on: AWS has seen the call once and no more."""
    live(stage)
    restore = restored()
    goes_on(stage)
    if len(stage.calls()) != calls:
        # No AssertionError: the rows that are expected to fail fail after the restore, not here.
        pytest.fail(f"{len(stage.calls())} calls before anything was restored")
    restore()
    goes_on(stage)
    assert len(stage.calls()) == calls, "the restored database sent it again"
    assert Execution.objects.get().state == state
    assert Attempt.objects.count() == 1
    assert audit.verify().holds
