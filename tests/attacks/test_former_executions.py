"""The execution of a former revision ends as what it is, whatever the next one's worker is about to do."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest

from approvals import decisions
from approvals.models import ApprovalRequest, Execution
from executor import outside, run
from tests.executor.stage import QUICK, Stage, attempts, fresh


def signed_anew(stage: Stage) -> Execution:
    """Sent back and signed anew: the execution of the next revision."""
    former = {one.pk for one in Execution.objects.all()}
    decisions.send_back(ApprovalRequest.objects.get().pk, stage.cast.person("bob"), message="say why")
    stage.cast.sign_review(stage.cast.sign_confirm(ApprovalRequest.objects.get()))
    return Execution.objects.exclude(pk__in=former).get()


def looks_later(stage: Stage, former: Execution) -> None:
    """Two workers take one each: what is due of the former one is not what the next worker takes."""
    stage.sql("UPDATE approvals_outboxmessage SET due_at = now() + interval '1 minute' WHERE subject = %s", str(former.pk))


@pytest.mark.parametrize("how", ["sent back", "sent back while paused"])
def test_the_next_ones_claim_is_no_riddle(stage: Stage, how: str) -> None:
    """Sent back and signed anew; both executions are due at once, and the old one is ended while the new one is being claimed."""
    former = stage.cast.approved()
    if how == "sent back while paused":
        stage.cast.paused()
        stage.execute()  # both wait now, and are due at once when it is resumed
    newer = signed_anew(stage)
    if how == "sent back while paused":
        stage.resume()
    looks_later(stage, former)
    with stage.frozen_at("claimed-outside") as thaw:
        with stage.acting("execution"):
            run.carry_out(former.pk, patience=QUICK)
        thaw()
    stage.sweep()
    assert (fresh(newer).state, attempts(newer), len(stage.calls())) == ("succeeded", ["succeeded"], 1)
    assert fresh(former).state == "aborted", fresh(former).outcome
    assert stage.alerts() == (["paused"] if "paused" in how else [])


def test_the_former_one_looks_once_more(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newer one, which nobody had when it looked, is claimed and claims outside before S3 answers."""
    former = stage.cast.approved()
    newer = signed_anew(stage)
    looks_later(stage, former)
    real = outside.must_be_unclaimed
    with ExitStack() as stack:
        thaws: list[Any] = []

        def asked(claim: Any) -> None:
            if not thaws:  # S3 takes a moment to answer, or this worker stands still for one
                thaws.append(stack.enter_context(stage.frozen_at("claimed-outside")))
            real(claim)

        with stage.acting("execution"), monkeypatch.context() as patch:
            patch.setattr(outside, "must_be_unclaimed", asked)
            run.carry_out(former.pk, patience=QUICK)
        thaws[0]()
    stage.sweep()
    assert fresh(newer).state == "succeeded", fresh(newer).outcome
    assert fresh(former).state == "aborted", fresh(former).outcome
