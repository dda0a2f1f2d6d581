"""What a service does in the executor's name for a call that was signed is that call's; anything else is an alert."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from approvals.models import Attempt, Execution, Proof, TrailRecord
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
OPERATIONS = (
    *("rds:CreateDBSnapshot", "rds:AddTagsToResource", "rds:ModifyDBInstance"),
    *("secretsmanager:RemoveRegionsFromReplication", "secretsmanager:DeleteSecret", "secretsmanager:RotateSecret"),
    *("redshift:DeleteCluster", "redshift:CreateClusterSnapshot", "dynamodb:UpdateTable", "dynamodb:DeleteTable"),
)
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


@dataclass(frozen=True)
class Story:
    """A step that AWS accepted some hours ago, and a call that a service makes now with the same SourceIdentity."""

    step: Step
    name: str
    parameters: dict[str, Any]
    by: str
    alerts: tuple[str, ...] = ()
    settled: timedelta | None = None


SECRET = f"arn:aws:secretsmanager:{DEMO.region}:{DEMO.account}:secret:prod/db-AbCdEf"
NO_REPLICA = Step(
    "secretsmanager", "RemoveRegionsFromReplication", {"SecretId": "prod/db", "RemoveReplicaRegions": [DEMO.region]}
)
CLUSTER = Step("redshift", "DeleteCluster", {"ClusterIdentifier": "prod", "FinalClusterSnapshotIdentifier": "fin"})
ROTATES = Step(
    "rds", "ModifyDBInstance", {"DBInstanceIdentifier": "a", "RotateMasterUserPassword": True, "ApplyImmediately": True}
)
NO_TABLE = Step("dynamodb", "UpdateTable", {"TableName": "prod", "ReplicaUpdates": [{"Delete": {"RegionName": DEMO.region}}]})
LAST = {"clusterIdentifier": "prod", "snapshotIdentifier": "fin"}
ROGUE = ("rogue",)
STORIES = {
    "a replica goes, by its ARN": Story(NO_REPLICA, "DeleteSecret", {"secretId": SECRET}, "secretsmanager"),
    "a last snapshot, of the cluster": Story(CLUSTER, "CreateClusterSnapshot", LAST, "redshift"),
    "a part of a service": Story(NO_TABLE, "DeleteTable", {"tableName": "prod"}, "replication.dynamodb"),
    "another cluster's": Story(CLUSTER, "CreateClusterSnapshot", LAST | {"clusterIdentifier": "x"}, "redshift", ROGUE),
    "another snapshot": Story(CLUSTER, "CreateClusterSnapshot", LAST | {"snapshotIdentifier": "x"}, "redshift", ROGUE),
    "another service": Story(NO_TABLE, "DeleteTable", {"tableName": "prod"}, "cloudformation", ROGUE),
    "one that is called alike": Story(NO_TABLE, "DeleteTable", {"tableName": "prod"}, "notdynamodb", ROGUE),
    "another database's secret": Story(ROTATES, "RotateSecret", {"secretId": "rds!db-OTHER"}, "cloudformation", ROGUE),
    "another database's secret, by the service": Story(ROTATES, "RotateSecret", {"secretId": "rds!db-OTHER"}, "rds", ROGUE),
    "long after it was done": Story(
        NO_TABLE, "DeleteTable", {"tableName": "prod"}, "dynamodb", ROGUE, settled=timedelta(minutes=20)
    ),
    "right after it was done": Story(NO_TABLE, "DeleteTable", {"tableName": "prod"}, "dynamodb", settled=timedelta(minutes=10)),
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_only_the_service_that_was_called_acts_for_its_call(stage: Stage, settings: Any, story: Story) -> None:
    """By the rights that the session had for that, on those things and what was signed besides, and until the effect is complete;
    anybody else made a call of his own, which nobody signed."""
    settings.PROOF_GRACE = 0
    execution = approved(stage, story.step)
    now = timezone.now()
    rows = Execution.objects.filter(pk=execution.pk)
    rows.update(state="claimed", token=1, worker="w", lease_until=now + timedelta(hours=1), claimed_at=now)
    rows.update(state="running")
    sent = now - timedelta(hours=5)
    attempt = Attempt.objects.create(
        execution=execution,
        step=0,
        number=1,
        token=1,
        operation=story.step.name,
        region=DEMO.region,
        access_key_id="ASIA",
        sent_at=sent,
    )
    settled = {"state": "succeeded", "settled_at": now - story.settled} if story.settled is not None else {"state": "accepted"}
    Attempt.objects.filter(pk=attempt.pk).update(answered_at=sent, aws_request_id="r-1", **settled)
    role = execution.revision.request.account.executor_role_arn
    record = {
        "eventVersion": "1.11",
        "eventID": str(uuid4()),
        "requestID": str(uuid4()),
        "eventSource": f"{'secretsmanager' if 'Secret' in story.name else story.step.service}.amazonaws.com",
        "eventName": story.name,
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "awsRegion": DEMO.region,
        "recipientAccountId": DEMO.account,
        "eventType": "AwsApiCall",
        "eventCategory": "Management",
        "managementEvent": True,
        "readOnly": False,
        "sourceIPAddress": f"{story.by}.amazonaws.com",
        "userAgent": f"{story.by}.amazonaws.com",
        "requestParameters": story.parameters,
        "responseElements": None,
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROA:x",
            "arn": f"arn:aws:sts::{DEMO.account}:assumed-role/{role.rpartition('/')[2]}/countersign-step-1",
            "accountId": DEMO.account,
            "accessKeyId": "ASIACHILD",
            "invokedBy": f"{story.by}.amazonaws.com",
            "sessionContext": {
                "sessionIssuer": {"type": "Role", "principalId": "AROA", "arn": role, "accountId": DEMO.account, "userName": "x"},
                "sourceIdentity": str(execution.pk),
                "attributes": {"mfaAuthenticated": "false"},
            },
        },
    }
    put(stage, envelope(record))
    learn(stage)
    assert stage.alerts() == list(story.alerts)
