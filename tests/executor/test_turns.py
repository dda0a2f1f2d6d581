"""Of what the sweep looks after, each has its turn."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from approvals import audit, authority, clearance, decisions
from approvals.errors import NotYet
from approvals.models import Attempt, Execution
from executor import concluding, endings, limits, reconcile
from executor.errors import Superseded
from executor.waiting import Patience
from tests.executor.stage import QUICK, Stage, fresh
from tests.executor.test_evidence import learn
from tests.executor.test_stuck import running


def unknown(stage: Stage) -> Execution:
    """An execution whose worker was lost in the call, and whose proof has come."""
    lost = stage.cast.approved()
    stage.killed_at("called")
    stage.lapse()
    with stage.acting("execution"):
        reconcile.sweep(patience=QUICK)
    assert fresh(lost).state == "unknown"
    learn(stage)
    return lost


def test_what_waits_for_people_alone_takes_no_turn(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Executions that became unknown without a call stand before none of which AWS's records tell."""
    monkeypatch.setattr(reconcile, "MOST", 1)
    lost = unknown(stage)
    other = Execution.objects.filter(pk=stage.cast.approved(TableName="prod-customers").pk)
    other.update(state="claimed", token=1, lease_until=timezone.now())
    other.update(state="unknown", lease_until=None)
    # AWS's records were asked about it before.
    Execution.objects.filter(pk=lost.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    with stage.acting("execution"):
        reconcile.sweep(patience=QUICK)
    assert fresh(lost).state == "succeeded"


def test_backups_that_run_on_keep_no_unknown_call_from_its_turn(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at a region that does not answer fill every round, and what is unknown is looked at all the same."""
    lost = unknown(stage)
    # A hundredth of the real times: a round of a minute, a look of 40 s without an answer, looked at again after 20 s.
    monkeypatch.setattr(reconcile, "ROUND", 0.6)
    monkeypatch.setattr(concluding, "LOOK_AGAIN", timedelta(seconds=0.2))
    really = concluding._seen

    def slowly(execution: Execution, attempt: Attempt, how: Any) -> Any:
        if execution.pk == lost.pk:
            return really(execution, attempt, how)
        time.sleep(0.4)
        return "AWS gave no answer that could be used"

    monkeypatch.setattr(concluding, "_seen", slowly)
    for name in ("prod-one", "prod-two", "prod-three"):
        one = running(stage.cast.approved(TableName=name), 0)
        Attempt.objects.filter(pk=one.pk).update(state="accepted", answered_at=timezone.now())
    for _ in range(10):
        stage.lapse()
        with stage.acting("execution"):
            reconcile.sweep(patience=Patience(bound=3600))
        if fresh(lost).state == "succeeded":
            return
    pytest.fail(f"never looked at: {fresh(lost).state}")


def test_who_lost_the_claim_settles_nothing(stage: Stage) -> None:
    """A worker that stood still while it looked writes nothing over what another found."""
    execution = stage.cast.approved()
    attempt = running(execution, 0)
    Attempt.objects.filter(pk=attempt.pk).update(state="accepted", answered_at=timezone.now())
    now = endings.claim_of(fresh(execution))
    former = replace(now, token=now.token - 1)
    with stage.acting("execution"):
        with pytest.raises(Superseded), audit.recorded() as trail:
            endings.settle(trail, former, attempt, how="a look")
        with audit.recorded() as trail:
            endings.settle(trail, now, attempt, how="a look")


def test_who_breaks_the_glass_waits_for_no_place(stage: Stage, settings: Any) -> None:
    """Not one call may be under way, and an emergency is carried out."""
    settings.EXECUTIONS_PER_ACCOUNT = 0
    execution = stage.cast.approved()
    moment = timezone.now()
    with stage.acting("execution"), transaction.atomic():
        verified = clearance.verify(execution, authority.walk(settings.GENESIS), decisions.relying_party(), now=moment)
        with pytest.raises(NotYet):
            limits.must_have_a_place(execution, verified, moment)
        limits.must_have_a_place(execution, replace(verified, broken_by=next(iter(verified.approved_by))), moment)
