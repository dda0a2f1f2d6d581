"""Backups of other stores than DynamoDB's, carried out: made, waited for, and known by the ARN of that very backup."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from approvals.models import Attempt
from approvals.plan import Step
from executor.sandbox.world import DEMO, DemoWorldFacts
from tests.cast import ACCOUNT, REGION, Cast, seal
from tests.executor.stage import Stage, fresh
from tests.executor.test_services import client
from tests.executor.test_steps import approved

MORE = (
    "ec2:CreateSnapshot",
    "ec2:DeleteVolume",
    "redshift:CreateClusterSnapshot",
    "redshift:DeleteCluster",
    "rds:CreateDBSnapshot",
)
FIRST = replace(DEMO.guardrails[0], operations=(*DEMO.guardrails[0].operations, *MORE), resources=("arn:{partition}:*:*:*:*",))
FACTS = replace(DEMO, guardrails=(FIRST, *DEMO.guardrails[1:]))
CLUSTER = {"ClusterIdentifier": "prod-sales"}
DATABASE = {"DBInstanceIdentifier": "prod-billing"}
SNAPSHOTS = {
    "redshift": f"arn:aws:redshift:{REGION}:{ACCOUNT}:snapshot:prod-sales/prod-sales-last",
    "rds": f"arn:aws:rds:{REGION}:{ACCOUNT}:snapshot:prod-billing-last",
}


@pytest.fixture
def facts() -> DemoWorldFacts:
    """The demo's world with more operations protected."""
    return FACTS


@pytest.fixture
def cast(cloned_database: str, tmp_path: Any, settings: Any) -> Cast:
    """The same guardrails, sealed."""
    return seal(tmp_path, settings, whole=True, operations=list(FIRST.operations), resources=["arn:aws:*:*:*:*"])


@pytest.mark.parametrize(
    "plan",
    [
        [Step("rds", "DeleteDBInstance", {**DATABASE, "FinalDBSnapshotIdentifier": "prod-billing-last"})],
        [
            Step("rds", "CreateDBSnapshot", {**DATABASE, "DBSnapshotIdentifier": "prod-billing-last"}),
            Step("rds", "DeleteDBInstance", {**DATABASE, "SkipFinalSnapshot": True}),
        ],
        [
            Step(
                "redshift",
                "DeleteCluster",
                {**CLUSTER, "SkipFinalClusterSnapshot": False, "FinalClusterSnapshotIdentifier": "prod-sales-last"},
            )
        ],
        [
            Step("redshift", "CreateClusterSnapshot", {**CLUSTER, "SnapshotIdentifier": "prod-sales-last"}),
            Step("redshift", "DeleteCluster", {**CLUSTER, "SkipFinalClusterSnapshot": True}),
        ],
    ],
    ids=["rds itself", "rds before", "redshift itself", "redshift before"],
)
def test_a_snapshot_goes_before_the_loss_or_with_it(stage: Stage, plan: list[Step]) -> None:
    """By the call itself or as a step in front of it: the ARN that is kept is that of the snapshot which was asked for."""
    if plan[0].service == "redshift":
        with client(stage, "mallory", "redshift") as redshift:
            redshift.create_cluster(**CLUSTER, NodeType="ra3.large", MasterUsername="root", MasterUserPassword="A-passw0rd")
    execution = approved(stage, *plan)
    stage.execute()
    assert fresh(execution).state == "succeeded", fresh(execution).outcome
    assert Attempt.objects.get(step=0).made == SNAPSHOTS[plan[0].service]


def test_a_volume_is_kept_as_a_snapshot(stage: Stage) -> None:
    """EC2 tells the snapshot's name in its answer alone; both calls are rehearsed, and the volume goes last."""
    with client(stage, "mallory", "ec2") as ec2:
        volume = {"VolumeId": ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=8)["VolumeId"]}
    execution = approved(stage, Step("ec2", "CreateSnapshot", volume), Step("ec2", "DeleteVolume", volume))
    stage.execute()
    assert fresh(execution).state == "succeeded", fresh(execution).outcome
    made = Attempt.objects.get(step=0, rehearsal=False).made
    assert made.startswith(f"arn:aws:ec2:{REGION}::snapshot/snap-")
    with client(stage, "mallory", "ec2") as ec2:
        kept = ec2.describe_snapshots(SnapshotIds=[made.rpartition("/")[2]])["Snapshots"]
        assert [one["VolumeId"] for one in kept] == [volume["VolumeId"]]


def test_no_loss_goes_out_while_aws_shows_a_snapshot_without_its_name(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is usable, and its ARN is not told: that is waited for like the snapshot itself, and then recorded."""
    from moto.rds.models import DBSnapshot

    backup = Step("rds", "CreateDBSnapshot", {**DATABASE, "DBSnapshotIdentifier": "prod-billing-last"})
    execution = approved(stage, backup, Step("rds", "DeleteDBInstance", {**DATABASE, "SkipFinalSnapshot": True}))
    with monkeypatch.context() as patch:
        patch.setattr(DBSnapshot, "db_snapshot_arn", property(lambda _: None))
        stage.execute()
        stage.sweep()
        assert (fresh(execution).state, stage.calls("DeleteDBInstance")) == ("running", [])
    stage.sweep()
    assert fresh(execution).state == "succeeded", fresh(execution).outcome
    assert Attempt.objects.get(step=0).made == SNAPSHOTS["rds"]
