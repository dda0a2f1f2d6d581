"""AWS says yes and did only a part: the step is partial, the page says what was left, an alert of its own is raised."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from approvals.models import Alert, Attempt
from approvals.operations import catalog, partial
from approvals.plan import Step
from executor import concluding
from executor.sandbox.world import DemoWorldFacts
from tests.cast import ACCOUNT, REGION, Cast, seal
from tests.executor import test_services
from tests.executor.own_guardrails import client
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_evidence import learn, sweep
from tests.executor.test_steps import approved

DELETE = Step("dynamodb", "DeleteTable", {"TableName": "prod-customers"})


@pytest.fixture
def facts() -> DemoWorldFacts:
    """The demo's world with more operations protected."""
    return test_services.FACTS


@pytest.fixture
def cast(cloned_database: str, tmp_path: Any, settings: Any) -> Cast:
    """The same guardrails, sealed."""
    return seal(tmp_path, settings, whole=True, operations=list(test_services.FIRST.operations), resources=["arn:aws:*:*:*:*"])


def test_what_was_left_is_said_and_alerted_and_stops_the_rest(stage: Stage) -> None:
    """No later step is made; the outcome and the alert name what AWS named."""
    from moto.ecr.models import ecr_backends

    ecr_backends[ACCOUNT][REGION].create_repository("prod-web", None, {}, {}, "MUTABLE", [])
    gone = {"repositoryName": "prod-web", "imageIds": [{"imageTag": "is-not-there"}]}
    execution = approved(stage, Step("ecr", "BatchDeleteImage", gone), DELETE)
    stage.execute()
    assert (fresh(execution).state, attempts(execution)) == ("failed", ["partial"])
    assert "ImageNotFound" in fresh(execution).outcome
    alert = Alert.objects.get()
    assert alert.kind == "partial"
    assert "ImageNotFound" in alert.detail
    assert "ImageNotFound" in Attempt.objects.get().answer
    assert stage.calls() == []


@pytest.mark.parametrize("first_goes", [True, False], ids=["a part was done", "nothing was done"])
def test_a_refusal_that_may_come_after_a_part_is_believed_once_the_target_agrees(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, *, first_goes: bool
) -> None:
    """EC2 terminates those of one zone and refuses those of another, in one answer: what became of them is unknown."""
    with client(stage, "ec2") as ec2:
        made = ec2.run_instances(ImageId="ami-12c6146b", InstanceType="t3.micro", MinCount=2, MaxCount=2)["Instances"]
        ids = [one["InstanceId"] for one in made]
        for one in ids[1:] if first_goes else ids:
            ec2.modify_instance_attribute(InstanceId=one, DisableApiTermination={"Value": True})
    execution = approved(stage, Step("ec2", "TerminateInstances", {"InstanceIds": ids}))
    stage.execute()
    assert (fresh(execution).state, attempts(execution)) == ("unknown", ["rejected", "unknown"])
    assert "after a part of it was done" in fresh(execution).outcome
    learn(stage)
    monkeypatch.setattr(concluding, "SIGNED_FOR", timedelta(0))
    sweep(stage)
    assert fresh(execution).state == ("unknown" if first_goes else "failed")


def test_what_the_record_of_a_lost_answer_names_is_partial_too(stage: Stage) -> None:
    """The worker died with AWS's answer: CloudTrail's record of the success names what was left, so it did not succeed."""
    from moto.ecr.models import ecr_backends

    ecr_backends[ACCOUNT][REGION].create_repository("prod-web", None, {}, {}, "MUTABLE", [])
    gone = {"repositoryName": "prod-web", "imageIds": [{"imageTag": "is-not-there"}]}
    execution = approved(stage, Step("ecr", "BatchDeleteImage", gone), DELETE)
    stage.killed_at("called")
    stage.lapse()
    sweep(stage)
    assert fresh(execution).state == "unknown"
    learn(stage)
    sweep(stage)
    assert (fresh(execution).state, attempts(execution)) == ("failed", ["partial"])
    assert "ImageNotFound" in fresh(execution).outcome
    assert stage.alerts() == ["partial", "unknown"]
    assert stage.calls() == []


@pytest.mark.parametrize(
    ("name", "recorded", "left"),
    [
        ("ec2:DeleteFleets", {"unsuccessfulFleetDeletions": [{"fleetId": "fleet-1"}]}, [{"FleetId": "fleet-1"}]),
        (
            "ecr:BatchDeleteImage",
            {"imageIds": [], "failures": [{"failureCode": "ImageNotFound"}]},
            [{"failureCode": "ImageNotFound"}],
        ),
        ("ecr:BatchDeleteImage", {"imageIds": [{"imageTag": "a"}]}, None),
        ("ecr:BatchDeleteImage", None, None),
    ],
)
def test_a_record_s_answer_has_the_names_of_boto3_s(name: str, recorded: Any, left: Any) -> None:
    """CloudTrail spells members small: what was not done is found in its words as in AWS's own answer."""
    operation = catalog.get(name)
    found = partial.not_done(operation, partial.as_answered(operation, recorded))
    assert (next(iter(found.values())) if isinstance(found, dict) else found) == left
