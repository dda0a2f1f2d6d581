"""Every way in which a wire can fail, at every step of the way to AWS: the state it ends in, and one request for each row."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.config import Config

from approvals.models import Attempt, Execution
from approvals.plan import Step
from executor import again, aws, reconcile, waiting
from executor.sandbox.world import DEMO
from tests.cast import Cast, seal
from tests.executor.proxy import FAULTS, PASSING, REJECTED, WITHOUT_EFFECT, Wire
from tests.executor.stage import Stage, attempts, forget_all, fresh
from tests.executor.test_steps import approved

BUCKET = "prod-invoices-111122223333"
TERMINATE = Step("ec2", "TerminateInstances", {"InstanceIds": [DEMO.instance_id("prod-web")]})
DELETE = Step("dynamodb", "DeleteTable", {"TableName": "prod-customers"})
# Faults of S3's answers to calls that answer nothing: what is cut off an empty body, or stands in one unread, is a yes.
NOTHING_TO_READ = ("truncated after", "reset in the answer after", "nothing after")
# What goes out once; everything else may be asked again.
CALLS = ("TerminateInstances", "TerminateInstances/DryRun", "DeleteTable", f"DELETE /{BUCKET}", f"PUT /{BUCKET}")
ROUNDS = 3 if "SOAK_FAULTS" in os.environ else 2
# Seconds that a hanging wire is waited for, by the calls it hangs of: what may be asked again comes round when it was slow alone.
IMPATIENT = {"_ONCE": 1.0, "_AGAIN": 0.4}
# `make soak` tries every fault at every step; the suite those of a step without effect that say something of their own.
FEW = FAULTS if "SOAK_FAULTS" in os.environ else WITHOUT_EFFECT


@pytest.fixture(autouse=True)
def impatient(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same code asks once where it would ask three times, and looks for less long whether a target has settled.

    It comes after the stage, which has a patience of its own. What is put off waits for the next round, however long this one
    takes.
    """
    monkeypatch.setattr(again, "delay", lambda tries: timedelta(minutes=2))
    monkeypatch.setattr(aws, "_AGAIN", aws._AGAIN.merge(Config(retries={"total_max_attempts": 1, "mode": "standard"})))
    monkeypatch.setattr(
        waiting, "PATIENCE", waiting.Patience(first=0.03, longest=0.1, bound=0.4, to_the_end=0.4, again_after=0.03)
    )


def broken(stage: Stage, operation: str, fault: str, *, after: str = "", swept: bool = False) -> Wire:
    """A worker that comes back while the wire breaks every request of the operation (that comes `after` another).

    `swept`: the sweep comes after it each time.
    """
    with pytest.MonkeyPatch.context() as patch, Wire(stage.aws.endpoint_url, operation, fault, after=after) as wire:
        if fault.startswith("hang"):
            config = "_ONCE" if operation in CALLS else "_AGAIN"
            patch.setattr(aws, config, getattr(aws, config).merge(Config(read_timeout=IMPATIENT[config])))
        stage.endpoint = wire.url
        for _ in range(ROUNDS):
            stage.execute()
            stage.lapse()
            if swept:
                with stage.acting("execution"):
                    # Whatever is not settled when it comes has taken too long.
                    reconcile.sweep(patience=replace(waiting.PATIENCE, bound=0.0, to_the_end=0.0))
        stage.endpoint = ""
    return wire


def of_a_call(fault: str, *, reads: bool = True) -> tuple[str, list[str]]:
    """The table: the execution's state and its attempts, after some rounds of a call that is broken each time."""
    if fault in PASSING:
        return "running", ["rejected"] * ROUNDS
    if fault in REJECTED:
        return "failed", ["rejected"]
    if not reads and fault in NOTHING_TO_READ:
        return "succeeded", ["succeeded"]
    return "unknown", ["unknown"]


@pytest.mark.parametrize("fault", FAULTS)
def test_one_request_goes_out_and_the_outcome_is_named(stage: Stage, fault: str) -> None:
    """Whatever the wire does, one request for each row; it failed only where AWS said so itself, and is unknown otherwise."""
    execution = stage.cast.approved()
    wire = broken(stage, "DeleteTable", fault)
    state, rows = of_a_call(fault)
    assert (fresh(execution).state, attempts(execution)) == (state, rows)
    assert wire.received == len(rows)
    assert len(stage.calls()) == (1 if fault.endswith("after") else 0)
    assert stage.alerts() == ([state] if state != "running" else [])


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.startswith(("close", "reset", "hang"))])
def test_behind_a_proxy_a_lost_answer_is_a_lost_answer(stage: Stage, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that loses the connection under way is not one that was never reached: the call is unknown, and never repeated."""
    execution = stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "DeleteTable", fault) as proxy:
        if fault.startswith("hang"):
            monkeypatch.setattr(aws, "_ONCE", aws._ONCE.merge(Config(read_timeout=IMPATIENT["_ONCE"])))
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for _ in range(ROUNDS):
            stage.execute()
            stage.lapse()
    assert (fresh(execution).state, attempts(execution), proxy.received) == ("unknown", ["unknown"], 1)
    assert len(stage.calls()) == (1 if fault.endswith("after") else 0)


def test_behind_a_proxy_that_is_not_there_nothing_is_sent(stage: Stage) -> None:
    """The proxy is gone when the call is to be made: it never went out, and is made once there is a way again."""
    execution = stage.cast.approved()
    with pytest.MonkeyPatch.context() as patch, Wire(stage.aws.endpoint_url, "", "") as proxy:
        for name in ("HTTP_PROXY", "http_proxy"):
            patch.setenv(name, proxy.url)
        # The claim outside is the last that goes over it.
        proxy.until = f"PUT /{DEMO.claims_bucket}/"
        stage.execute()
    forget_all()
    assert (fresh(execution).state, attempts(execution), stage.calls()) == ("running", ["rejected"], [])
    stage.lapse()
    stage.execute()
    assert (fresh(execution).state, attempts(execution), len(stage.calls())) == ("succeeded", ["rejected", "succeeded"], 1)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_claim_outside_without_an_answer(stage: Stage, fault: str) -> None:
    """While no claim can be written nothing is sent; one that was written without an answer is another's to whoever comes."""
    execution = stage.cast.approved()
    wire = broken(stage, f"PUT /{DEMO.claims_bucket}/*", fault)
    # Headers say all of S3's answer to a write: what is cut off its empty body is nothing.
    whole = fault in {"truncated after", "reset in the answer after"}
    assert wire.received >= 1
    assert (wire.seen["DeleteTable"], attempts(execution)) == ((1, ["succeeded"]) if whole else (0, []))
    stage.execute()
    stage.lapse()
    stage.execute()
    expected = "succeeded" if whole or fault.endswith("before") else "unknown"
    assert (fresh(execution).state, len(stage.calls())) == (expected, int(expected == "succeeded"))


class TestOtherProtocols:
    """REST in XML, by other methods of HTTP."""

    @pytest.fixture
    def cast(self, cloned_database: str, tmp_path: Any, settings: Any) -> Cast:
        return seal(tmp_path, settings, whole=True)

    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_delete_by_rest(self, stage: Stage, fault: str) -> None:
        """DELETE: one request for each row."""
        execution = stage.cast.approved(operation="s3:DeleteBucket", Bucket=BUCKET)
        wire = broken(stage, f"DELETE /{BUCKET}", fault)
        state, rows = of_a_call(fault, reads=False) if fault != "malformed after" else ("succeeded", ["succeeded"])
        assert (fresh(execution).state, attempts(execution)) == (state, rows), fresh(execution).outcome
        assert wire.received == len(rows)
        assert len(stage.calls("DeleteBucket")) == (1 if fault.endswith("after") else 0)

    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_put_by_rest(self, stage: Stage, fault: str) -> None:
        """PUT: one request for each row."""
        rule = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}}
        execution = stage.cast.approved(
            operation="s3:PutBucketLifecycleConfiguration", Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]}
        )
        wire = broken(stage, f"PUT /{BUCKET}", fault)
        state, rows = of_a_call(fault, reads=False)
        assert (fresh(execution).state, attempts(execution)) == (state, rows), fresh(execution).outcome
        assert wire.received == len(rows)

    @pytest.mark.parametrize("fault", FEW)
    @pytest.mark.parametrize("step", ["AssumeRole/Read", "DescribeInstances"])
    def test_at_the_claim_a_fault_ends_nothing(self, stage: Stage, step: str, fault: str) -> None:
        """The target cannot be read: not claimed, and what was signed stands; only a refusal of AWS's own makes a draft of it."""
        execution = approved(stage, TERMINATE, DELETE)
        wire = broken(stage, step, fault)
        refused = fault in {"refuse before", "error without code before"}
        assert (fresh(execution).state, attempts(execution)) == ("aborted" if refused else "ready", []), fresh(execution).outcome
        assert wire.received >= (1 if refused else ROUNDS)
        assert wire.seen["AssumeRole"] == 0
        assert (wire.seen["TerminateInstances"], wire.seen["TerminateInstances/DryRun"], wire.seen["DeleteTable"]) == (0, 0, 0)

    @pytest.mark.parametrize("fault", FEW)
    @pytest.mark.parametrize("step", ["AssumeRole", "GetCallerIdentity"])
    def test_before_a_call_a_fault_ends_nothing(self, stage: Stage, step: str, fault: str) -> None:
        """No session: nothing was sent, and somebody comes back; only a refusal of AWS's own ends it, without an attempt."""
        execution = approved(stage, TERMINATE, DELETE)
        wire = broken(stage, step, fault)
        ended = fault in {"refuse before", "error without code before"}
        assert (fresh(execution).state, attempts(execution)) == ("failed" if ended else "claimed", [])
        assert wire.received >= 1
        assert (wire.seen["TerminateInstances"], wire.seen["TerminateInstances/DryRun"], wire.seen["DeleteTable"]) == (0, 0, 0)

    @pytest.mark.parametrize("fault", FEW)
    def test_a_rehearsal_without_an_answer(self, stage: Stage, fault: str) -> None:
        """One request for each row of it, never the call itself; it is repeated unless AWS says no."""
        execution = approved(stage, TERMINATE, DELETE)
        wire = broken(stage, "TerminateInstances/DryRun", fault)
        expected = ("failed", 1) if fault == "refuse before" else ("running", ROUNDS)
        rows = Attempt.objects.filter(execution=execution)
        assert (fresh(execution).state, rows.count()) == expected, fresh(execution).outcome
        assert all(one.rehearsal for one in rows)
        assert wire.received == rows.count()
        assert (wire.seen["TerminateInstances"], wire.seen["DeleteTable"]) == (0, 0)

    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_first_call(self, stage: Stage, fault: str) -> None:
        """One request for each row of the first step; the second step is never sent."""
        execution = approved(stage, TERMINATE, DELETE)
        wire = broken(stage, "TerminateInstances", fault)
        state, rows = of_a_call(fault)
        assert (fresh(execution).state, self._calls(execution, 0)) == (state, rows), fresh(execution).outcome
        assert (wire.received, wire.seen["DeleteTable"]) == (len(rows), 0)

    @pytest.mark.parametrize("fault", FEW)
    def test_looks_at_a_target(self, stage: Stage, fault: str) -> None:
        """AWS said yes and then cannot be asked for as long as we wait: its end is unknown, and the second step is never sent."""
        execution = approved(stage, TERMINATE, DELETE)
        wire = broken(stage, "DescribeInstances", fault, after="TerminateInstances", swept=True)
        assert wire.received >= 1
        assert (fresh(execution).state, self._calls(execution, 0)) == ("unknown", ["accepted"])
        assert (wire.seen["TerminateInstances"], wire.seen["DeleteTable"]) == (1, 0)

    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_second_call(self, stage: Stage, fault: str) -> None:
        """The first step stands, once; one request for each row of the second."""
        execution = approved(stage, TERMINATE, DELETE)
        wire = broken(stage, "DeleteTable", fault)
        state, rows = of_a_call(fault)
        assert (fresh(execution).state, self._calls(execution, 1)) == (state, rows), fresh(execution).outcome
        assert self._calls(execution, 0) == ["succeeded"]
        assert (wire.received, wire.seen["TerminateInstances"]) == (len(rows), 1)

    def _calls(self, execution: Execution, step: int) -> list[str]:
        found = Attempt.objects.filter(execution=execution, step=step, rehearsal=False).order_by("number")
        return list(found.values_list("state", flat=True))
