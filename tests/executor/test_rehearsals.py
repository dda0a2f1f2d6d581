"""EC2 is asked first whether it would (DryRun): an attempt of its own, without effect, accounted for like any other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from approvals.models import Attempt, Execution, Proof, TrailRecord
from executor import additions, reconcile
from executor.sandbox.world import DEMO, DemoWorldFacts
from tests.cast import Cast, seal
from tests.executor.proxy import Wire
from tests.executor.stage import QUICK, Stage, attempts, fresh
from tests.executor.test_evidence import learn
from tests.executor.test_retries import execute_again

INSTANCE = DEMO.instance_id("prod-web")
REHEARSAL = "TerminateInstances/DryRun"


@pytest.fixture
def cast(cloned_database: str, tmp_path: Any, settings: Any) -> Cast:
    """The whole demo, tables and instances."""
    return seal(tmp_path, settings, whole=True)


def terminated(stage: Stage, **more: Any) -> Execution:
    return stage.cast.approved(operation="ec2:TerminateInstances", InstanceIds=[INSTANCE], **more)


def seen(stage: Stage) -> list[tuple[bool, str]]:
    """(was it a rehearsal, error) of every TerminateInstances of the executor's role, as CloudTrail has it."""
    return [(bool(one["requestParameters"].get("dryRun")), one.get("errorCode", "")) for one in stage.calls("TerminateInstances")]


def test_a_rehearsal_goes_before_the_call_and_both_are_proven(stage: Stage) -> None:
    """AWS says that it would, then the call is made: two rows, two records, matched one to one, and nobody is alarmed."""
    execution = terminated(stage)
    stage.execute()
    assert fresh(execution).state == "succeeded", fresh(execution).outcome
    assert seen(stage) == [(True, "Client.DryRunOperation"), (False, "")]
    rehearsal, call = Attempt.objects.filter(execution=execution)
    assert (rehearsal.rehearsal, rehearsal.state, rehearsal.error_code) == (True, "rejected", additions.WOULD_SUCCEED)
    assert (call.rehearsal, call.state, call.number) == (False, "succeeded", 2)
    assert rehearsal.access_key_id == call.access_key_id
    learn(stage)
    proofs = {proof.attempt_id: proof.record.error_code for proof in Proof.objects.all()}
    assert proofs == {rehearsal.pk: "Client.DryRunOperation", call.pk: ""}
    assert stage.alerts() == []


def test_the_record_of_a_rehearsal_proves_no_call(stage: Stage, settings: Any) -> None:
    """Two rehearsals with the session in hand and one row for one: the second record is nobody's, and an alarm."""
    terminated(stage)
    stage.execute()
    learn(stage)
    record = TrailRecord.objects.get(error_code="Client.DryRunOperation")
    twin = TrailRecord.objects.get(pk=record.pk)
    twin.pk, twin.event_id, twin.sha256, twin.aws_request_id = None, "another", "f" * 64, "another"
    twin.save()
    settings.PROOF_GRACE = 0
    from executor import evidence

    with stage.acting("delivery"):
        evidence.prove(twin.pk)
    assert stage.alerts() == ["rogue"]


def test_what_aws_would_not_do_has_failed_without_the_call(stage: Stage) -> None:
    """The rehearsal is refused: failed with AWS's words, and the call itself never goes out."""
    execution = terminated(stage)
    with Wire(stage.aws.endpoint_url, REHEARSAL, "refuse before") as wire:
        stage.endpoint = wire.url
        stage.execute()
        execute_again(stage)
        stage.endpoint = ""
        assert (wire.received, wire.seen["TerminateInstances"]) == (1, 0)
    found = fresh(execution)
    assert (found.state, attempts(execution)) == ("failed", ["rejected"])
    assert "the call itself was not made" in found.outcome


@pytest.mark.parametrize("fault", ["throttle before", "500 before", "close after", "reset before", "malformed after"])
def test_a_rehearsal_without_an_answer_is_made_again(stage: Stage, fault: str) -> None:
    """It changes nothing by AWS's contract, so it may be repeated; the call is made only after one that passed."""
    execution = terminated(stage)
    with Wire(stage.aws.endpoint_url, REHEARSAL, fault, times=2) as wire:
        stage.endpoint = wire.url
        stage.execute()
        execute_again(stage, 2)
        stage.endpoint = ""
        assert (wire.received, wire.seen["TerminateInstances"]) == (3, 1)
    assert (fresh(execution).state, attempts(execution)) == ("succeeded", ["rejected"] * 3 + ["succeeded"])


def test_a_call_that_was_throttled_is_not_rehearsed_again(stage: Stage) -> None:
    """AWS said once that it would; the next attempt is the call itself."""
    execution = terminated(stage)
    with Wire(stage.aws.endpoint_url, "TerminateInstances", "throttle before", times=1) as wire:
        stage.endpoint = wire.url
        stage.execute()
        execute_again(stage)
        stage.endpoint = ""
        assert (wire.received, wire.seen[REHEARSAL]) == (2, 1)
    assert (fresh(execution).state, attempts(execution)) == ("succeeded", ["rejected", "rejected", "succeeded"])


def test_a_rehearsal_that_never_passes_ends_without_the_call(stage: Stage) -> None:
    """No answer eight times: failed, and the call never goes out."""
    execution = terminated(stage)
    with Wire(stage.aws.endpoint_url, REHEARSAL, "500 before") as wire:
        stage.endpoint = wire.url
        stage.execute()
        execute_again(stage, 9)
        stage.endpoint = ""
        assert (wire.received, wire.seen["TerminateInstances"]) == (8, 0)
    assert fresh(execution).state == "failed"


class TestAYesToARehearsal:
    """With an operation under protection that counts as settled when AWS says yes."""

    @pytest.fixture
    def facts(self) -> DemoWorldFacts:
        first = replace(DEMO.guardrails[0], operations=("ec2:RebootInstances", "ec2:TerminateInstances"))
        return replace(DEMO, guardrails=(replace(first, resources=("arn:{partition}:*:*:*:*",)), *DEMO.guardrails[1:]))

    @pytest.fixture
    def cast(self, facts: DemoWorldFacts, cloned_database: str, tmp_path: Any, settings: Any) -> Cast:
        operations = list(facts.guardrails[0].operations)
        return seal(tmp_path, settings, whole=True, operations=operations, resources=["arn:aws:*:*:*:*"])

    @pytest.mark.parametrize("operation", ["TerminateInstances", "RebootInstances"])
    def test_is_not_believed(self, stage: Stage, operation: str) -> None:
        """AWS answers the rehearsal as if it were the call: the outcome is unknown, no call follows, and no sweep settles it."""
        execution = stage.cast.approved(operation=f"ec2:{operation}", InstanceIds=[INSTANCE])
        with Wire(stage.aws.endpoint_url, f"{operation}/DryRun", "yes before") as wire:
            stage.endpoint = wire.url
            stage.execute()
            for _ in range(2):
                stage.lapse()
                with stage.acting("execution"):
                    reconcile.sweep(patience=QUICK)
            stage.endpoint = ""
            assert wire.seen[operation] == 0
        assert (fresh(execution).state, attempts(execution), stage.alerts()) == ("unknown", ["accepted"], ["unknown"])


def test_a_dry_run_that_was_signed_is_one_call(stage: Stage) -> None:
    """Who signed DryRun gets that call alone, as it was signed: AWS says that it would, which is no yes."""
    execution = terminated(stage, DryRun=True)
    stage.execute()
    assert seen(stage) == [(True, "Client.DryRunOperation")]
    (only,) = Attempt.objects.filter(execution=execution)
    assert (only.rehearsal, only.state, only.error_code) == (False, "rejected", additions.WOULD_SUCCEED)
    learn(stage)
    assert Proof.objects.get().attempt == only
