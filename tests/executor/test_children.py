"""What a service does in the executor's name for a call that was signed is that call's; anything else is an alert."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from approvals.models import Attempt, Proof, TrailRecord
from approvals.plan import Step
from executor import same_call
from executor.sandbox.world import DEMO
from tests.cast import envelope
from tests.executor.own_guardrails import cast, client, facts  # noqa: F401 - fixtures
from tests.executor.stage import Stage, fresh
from tests.executor.test_evidence import learn
from tests.executor.test_feed import put
from tests.executor.test_steps import approved

# The service's own call is protected, too: else nobody would hear of it.
OPERATIONS = ("rds:CreateDBSnapshot", "rds:AddTagsToResource")
ARN = f"arn:aws:rds:{DEMO.region}:{DEMO.account}:"
SNAPSHOT = Step(
    "rds",
    "CreateDBSnapshot",
    {"DBInstanceIdentifier": "prod", "DBSnapshotIdentifier": "before", "Tags": [{"Key": "a", "Value": "b"}]},
)


@pytest.fixture
def child(stage: Stage, settings: Any) -> dict[str, Any]:
    """The snapshot was made; what CloudTrail would write of RDS, which tags it in the executor's name."""
    settings.PROOF_GRACE = 0
    with client(stage, "rds") as rds:
        rds.create_db_instance(
            DBInstanceIdentifier="prod",
            DBInstanceClass="db.t3.micro",
            Engine="postgres",
            AllocatedStorage=20,
            MasterUsername="u",
            MasterUserPassword="a-long-password",
        )
    execution = approved(stage, SNAPSHOT)
    stage.execute()
    stage.sweep()
    assert fresh(execution).state == "succeeded", fresh(execution).outcome
    record = copy.deepcopy(dict(stage.calls("CreateDBSnapshot")[-1]))
    record |= {"eventID": str(uuid4()), "requestID": str(uuid4()), "sourceIPAddress": "rds.amazonaws.com"}
    record["userIdentity"]["invokedBy"] = "rds.amazonaws.com"
    record |= {"eventName": "AddTagsToResource", "requestParameters": {"resourceName": f"{ARN}snapshot:before"}}
    return record


def test_what_a_service_does_for_the_call_is_accounted_for(stage: Stage, child: dict[str, Any]) -> None:
    """The session had the right to tag that very snapshot: one call is proven, the other is explained, nobody is alarmed."""
    put(stage, envelope(child))
    learn(stage)
    assert (Proof.objects.count(), stage.alerts()) == (1, [])
    (told,) = TrailRecord.objects.filter(fate=TrailRecord.Fate.OBSERVED)
    assert "rds:CreateDBSnapshot" in told.why


@pytest.mark.parametrize(
    "changes",
    [
        {"requestParameters": {"resourceName": f"{ARN}snapshot:another"}},
        {"requestParameters": {"resourceName": f"{ARN}db:prod"}},
        {"requestParameters": None},
        {
            "eventName": "CreateDBSnapshot",
            "requestParameters": {"dBInstanceIdentifier": "prod", "dBSnapshotIdentifier": "before"},
        },
    ],
)
def test_what_the_session_had_no_right_to_is_an_alert(stage: Stage, child: dict[str, Any], changes: dict[str, Any]) -> None:
    """Another thing, nothing that is named, the signed call once more: whoever did it had another session."""
    put(stage, envelope(child | changes))
    learn(stage)
    assert stage.alerts() == ["rogue"]


def test_an_old_call_explains_nothing(stage: Stage, child: dict[str, Any]) -> None:
    """A session lasts a quarter of an hour: half a day later nobody acts by it."""
    attempt = Attempt.objects.get()
    put(stage, envelope(child | {"eventTime": (attempt.sent_at + timedelta(hours=12)).strftime("%Y-%m-%dT%H:%M:%SZ")}))
    learn(stage)
    assert stage.alerts() == ["rogue"]
    assert same_call.gave_the_right(attempt, TrailRecord.objects.get(event_id=child["eventID"]))
