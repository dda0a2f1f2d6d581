"""Which losses of a plan are protected by a backup step of the same plan: drawn narrowly, since it takes signatures away."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.operations import catalog, protection
from approvals.operations.facts import rows
from approvals.plan import Step


def step(name, **parameters):
    service, _, operation = name.partition(":")
    return Step(service, operation, parameters)


def point_in_time(table="prod-orders", **specification):
    return step(
        "dynamodb:UpdateContinuousBackups",
        TableName=table,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True, **specification},
    )


BACKUP = step("dynamodb:CreateBackup", TableName="prod-orders", BackupName="before")
DELETE = step("dynamodb:DeleteTable", TableName="prod-orders")
UNPROTECT = step("dynamodb:UpdateTable", TableName="prod-orders", DeletionProtectionEnabled=False)
TTL = step("dynamodb:UpdateTimeToLive", TableName="prod-orders", TimeToLiveSpecification={"Enabled": True, "AttributeName": "a"})
SNAPSHOT = step("rds:CreateDBSnapshot", DBInstanceIdentifier="db-1", DBSnapshotIdentifier="before")
RENAME = step("rds:ModifyDBInstance", DBInstanceIdentifier="db-2", NewDBInstanceIdentifier="db-1", ApplyImmediately=True)
INSTANCE = step("rds:DeleteDBInstance", DBInstanceIdentifier="db-1", SkipFinalSnapshot=True)
ALLOWED = step("rds:ModifyDBInstance", DBInstanceIdentifier="db-1", DeletionProtection=False, ApplyImmediately=True)
VOLUME = step("ec2:DeleteVolume", VolumeId="vol-1")
OFF = point_in_time(PointInTimeRecoveryEnabled=False)


@pytest.mark.parametrize(
    "steps",
    [
        [BACKUP, DELETE],
        [point_in_time(), DELETE],
        [point_in_time(RecoveryPeriodInDays=35), TTL],
        [UNPROTECT, BACKUP, DELETE],
        [BACKUP, UNPROTECT, DELETE],
        [
            BACKUP,
            step("dynamodb:CreateBackup", TableName="prod-x", BackupName="b"),
            DELETE,
            step("dynamodb:DeleteTable", TableName="prod-x"),
        ],
        [SNAPSHOT, ALLOWED, INSTANCE],
        [step("rds:DeleteDBInstance", DBInstanceIdentifier="db-1", FinalDBSnapshotIdentifier="last")],
        [step("redshift:DeleteCluster", ClusterIdentifier="c", FinalClusterSnapshotIdentifier="last")],
        [
            step("elasticache:CreateSnapshot", ReplicationGroupId="g", SnapshotName="s"),
            step("elasticache:DeleteReplicationGroup", ReplicationGroupId="g"),
        ],
        [step("ec2:CreateSnapshot", VolumeId="vol-1"), step("ec2:DetachVolume", VolumeId="vol-1"), VOLUME],
    ],
)
def test_a_backup_of_the_same_target_before_the_loss_protects_it(steps):
    """Such a plan can be undone; without its backup it cannot."""
    assert not protection.is_final(steps)
    assert protection.lacking(steps) == ()
    without = [
        one
        for one in steps
        if one.operation not in {"CreateBackup", "CreateDBSnapshot", "CreateSnapshot", "UpdateContinuousBackups"}
    ]
    bare = [
        Step(one.service, one.operation, {k: v for k, v in one.parameters.items() if not k.startswith("Final")})
        for one in without
    ]
    assert protection.is_final(bare)
    assert protection.lacking(bare)


@pytest.mark.parametrize(
    ("why", "steps"),
    [
        ("the backup comes after", [DELETE, BACKUP]),
        ("another target", [step("dynamodb:CreateBackup", TableName="prod-order", BackupName="before"), DELETE]),
        ("another spelling", [step("dynamodb:CreateBackup", TableName="PROD-ORDERS", BackupName="before"), DELETE]),
        (
            "an ARN is not the plain name",
            [step("dynamodb:CreateBackup", TableName="arn:aws:dynamodb:eu-west-1:1:table/prod-orders", BackupName="b"), DELETE],
        ),
        (
            "a pattern names nothing",
            [step("dynamodb:CreateBackup", TableName="*", BackupName="b"), step("dynamodb:DeleteTable", TableName="*")],
        ),
        ("nothing is named", [step("dynamodb:CreateBackup", BackupName="b"), step("dynamodb:DeleteTable")]),
        (
            "an empty name",
            [step("dynamodb:CreateBackup", TableName="", BackupName="b"), step("dynamodb:DeleteTable", TableName="")],
        ),
        ("one backup for two losses", [BACKUP, DELETE, DELETE]),
        ("the table is another by then", [BACKUP, DELETE, step("dynamodb:CreateTable", TableName="prod-orders"), DELETE]),
        ("the name was given to another", [SNAPSHOT, RENAME, INSTANCE]),
        ("recovery is switched off again", [point_in_time(), point_in_time(PointInTimeRecoveryEnabled=False), DELETE]),
        ("recovery was never switched on", [point_in_time(PointInTimeRecoveryEnabled=False), DELETE]),
        ("true as a text", [point_in_time(PointInTimeRecoveryEnabled="true"), DELETE]),
        ("older points in time are given up", [point_in_time(RecoveryPeriodInDays=1), DELETE]),
        ("the backup is deleted afterwards", [SNAPSHOT, INSTANCE, step("rds:DeleteDBSnapshot", DBSnapshotIdentifier="before")]),
        ("the backup is deleted before", [SNAPSHOT, step("rds:DeleteDBSnapshot", DBSnapshotIdentifier="before"), INSTANCE]),
        ("the backup's key goes", [SNAPSHOT, INSTANCE, step("kms:ScheduleKeyDeletion", KeyId="k")]),
        (
            "no last snapshot after all",
            [step("rds:DeleteDBInstance", DBInstanceIdentifier="d", FinalDBSnapshotIdentifier="l", SkipFinalSnapshot=True)],
        ),
        (
            "a last snapshot for a day",
            [
                step(
                    "redshift:DeleteCluster",
                    ClusterIdentifier="c",
                    FinalClusterSnapshotIdentifier="l",
                    FinalClusterSnapshotRetentionPeriod=1,
                )
            ],
        ),
        ("a rehearsed snapshot", [step("ec2:CreateSnapshot", VolumeId="vol-1", DryRun=True), VOLUME]),
        (
            "an image keeps volumes, not the instance",
            [step("ec2:CreateImage", InstanceId="i-1", Name="n"), step("ec2:TerminateInstances", InstanceIds=["i-1"])],
        ),
        (
            "two targets named",
            [
                step("elasticache:CreateSnapshot", ReplicationGroupId="g", CacheClusterId="x", SnapshotName="s"),
                step("elasticache:DeleteReplicationGroup", ReplicationGroupId="g"),
            ],
        ),
        ("another loss goes without", [BACKUP, DELETE, step("dynamodb:DeleteTable", TableName="prod-customers")]),
        ("a loss nobody knows a backup of", [BACKUP, DELETE, step("sqs:PurgeQueue", QueueUrl="q")]),
    ],
)
def test_whatever_could_leave_the_loss_without_a_usable_backup_is_final(why, steps):
    """Order, target, spelling, what stands between, and what becomes of the backup: each alone makes the plan final."""
    assert protection.is_final(steps), why


# Deletions that take no backup away, only what would make or copy the next one, or what must be empty.
NO_BACKUP = re.compile(r"Schedule|Configuration|Plan|Selection|Policy|Notifications|BlueGreen|DeleteBackupVault$")


def test_whatever_takes_a_backup_away_cannot_be_undone_and_is_protected_by_nothing():
    """So no plan that also deletes its backup counts as one that can be undone."""
    found = [
        name
        for name in rows()
        if re.search(r":(Batch)?(Delete|Deregister)\w*(Snapshot|Backup|RecoveryPoint|Image)", name) and not NO_BACKUP.search(name)
    ]
    assert len(found) > 15
    for name in found:
        assert rows()[name]["irreversible"], name
        assert name not in protection.protected(), name


CHANGED = {"DBInstanceIdentifier": "d", "ApplyImmediately": True}


@pytest.mark.parametrize(
    ("name", "parameters", "lost"),
    [
        ("dynamodb:UpdateTable", {"TableName": "t", "ReplicaUpdates": [{"Delete": {"RegionName": "eu-west-1"}}]}, True),
        ("dynamodb:UpdateTable", {"TableName": "t", "ReplicaUpdates": [{"Create": {"RegionName": "eu-west-1"}}]}, False),
        ("rds:ModifyDBInstance", CHANGED | {"BackupRetentionPeriod": 0}, True),
        ("rds:ModifyDBInstance", CHANGED | {"BackupRetentionPeriod": 7}, True),
        ("rds:ModifyDBInstance", CHANGED | {"BackupRetentionPeriod": "35"}, True),
        ("rds:ModifyDBInstance", CHANGED | {"BackupRetentionPeriod": 35}, False),
        ("rds:ModifyDBInstance", CHANGED | {"DeletionProtection": False}, False),
        ("rds:ModifyDBInstance", CHANGED | {"AdditionalStorageVolumes": [{"VolumeName": "v", "SetForDelete": True}]}, True),
        ("rds:ModifyDBInstance", CHANGED | {"AdditionalStorageVolumes": [{"VolumeName": "v", "SetForDelete": False}]}, False),
        ("rds:ModifyDBCluster", {"DBClusterIdentifier": "c", "BacktrackWindow": 0}, True),
        ("docdb:ModifyDBInstance", CHANGED | {"PreferredMaintenanceWindow": "sun:05:00-sun:06:00"}, False),
        ("neptune:ModifyDBInstance", CHANGED | {"BackupRetentionPeriod": 1}, True),
        ("docdb:ModifyDBCluster", {"DBClusterIdentifier": "c", "BackupRetentionPeriod": 1}, True),
        ("redshift:ModifyCluster", {"ClusterIdentifier": "c", "AutomatedSnapshotRetentionPeriod": 0}, True),
        ("redshift:ModifyCluster", {"ClusterIdentifier": "c", "NumberOfNodes": 4}, False),
        ("elasticache:ModifyReplicationGroup", {"ReplicationGroupId": "g", "SnapshotRetentionLimit": 0}, True),
        ("elasticache:ModifyServerlessCache", {"ServerlessCacheName": "g", "SnapshotRetentionLimit": 1}, True),
        ("memorydb:UpdateCluster", {"ClusterName": "c", "SnapshotRetentionLimit": 1}, True),
        ("eks:DeleteNodegroup", {"clusterName": "c", "nodegroupName": "n"}, True),
        ("cloudformation:UpdateStackSet", {"StackSetName": "s"}, True),
        ("s3control:PutBucketLifecycleConfiguration", {"AccountId": "111122223333", "Bucket": "b"}, True),
    ],
)
def test_what_deletes_backups_under_the_name_of_a_change_cannot_be_undone(name, parameters, lost):
    """A shorter retention deletes what `Delete…` would: only one that is the longest of all, or another change, loses nothing."""
    assert protection.is_loss(name, parameters) is lost


def test_switching_recovery_on_is_no_loss():
    """It is of an operation that can lose points in time; with it on and nothing shortened none is lost."""
    on = point_in_time()
    assert catalog.get(on.name).facts.irreversible
    assert not protection.is_loss(on.name, on.parameters)
    assert protection.is_loss(on.name, None)
    assert protection.is_loss(on.name, point_in_time(RecoveryPeriodInDays=7).parameters)


def test_what_goes_without_is_said_with_the_step_to_put_in():
    """The message names the operation of every backup that would do."""
    said = protection.asked_for([INSTANCE], 0)
    assert "rds:CreateDBSnapshot" in said
    assert "last snapshot" in said


POOL = [
    *(BACKUP, DELETE, UNPROTECT, TTL, SNAPSHOT, RENAME, INSTANCE, point_in_time(), OFF),
    step("dynamodb:DeleteTable", TableName="prod-x"),
    step("dynamodb:CreateBackup", TableName="prod-x", BackupName="bbb"),
]


@given(st.lists(st.sampled_from(POOL), max_size=7))
def test_no_plan_loses_more_often_than_it_takes_backups(steps):
    """Of any plan that counts as one to be undone: each loss has a backup of its own, before it, of the same name."""
    if protection.is_final(steps):
        return
    used = [at for by in protection.covered(steps).values() for at in by]
    assert len(used) == len(set(used))
    for loss, by in protection.covered(steps).items():
        assert by
        assert all(at < loss for at in by)
    assert sum(protection.is_loss(one.name, one.parameters) for one in steps) == len(protection.covered(steps))


BEFORE = Step("rds", "CreateDBSnapshot", {"DBInstanceIdentifier": "d", "DBSnapshotIdentifier": "s"})
GONE = Step("rds", "DeleteDBInstance", {"DBInstanceIdentifier": "d", "SkipFinalSnapshot": True})
LAST = Step("rds", "DeleteDBInstance", {"DBInstanceIdentifier": "d", "FinalDBSnapshotIdentifier": "s"})


@pytest.mark.parametrize(
    "away",
    [
        Step("rds", "DeleteDBSnapshot", {"DBSnapshotIdentifier": "s"}),
        Step("rds", "DeleteDBSnapshot", {"DBSnapshotIdentifier": "S"}),
        Step("backup", "DeleteRecoveryPoint", {"BackupVaultName": "v", "RecoveryPointArn": "arn:aws:rds:eu-west-1:1:snapshot:s"}),
    ],
)
def test_a_backup_that_the_plan_takes_away_again_protects_from_nothing(away: Step) -> None:
    """A snapshot before the loss, or the last one, that a later step deletes: the plan cannot be undone, and lacks one."""
    assert protection.losses([BEFORE, GONE]) == protection.losses([LAST]) == ()
    assert protection.lacking([BEFORE, GONE, away])[:1] == (1,)
    assert protection.lacking([LAST, away])[:1] == (0,)
    other = Step("rds", "DeleteDBSnapshot", {"DBSnapshotIdentifier": "older"})
    assert protection.lacking([BEFORE, GONE, other]) == ()


@pytest.mark.parametrize(
    "later",
    [
        Step("logs", "DeleteLogGroup", {"logGroupName": "/app/prod-orders"}),
        Step("dynamodb", "DeleteItem", {"TableName": "prod-orders", "Key": {}}),
        Step("elasticache", "DeleteSnapshot", {"SnapshotName": "before"}),
    ],
)
def test_what_is_only_called_alike_takes_no_backup_away(later: Step) -> None:
    """A name of another service, or the target's own: the recovery and the snapshot are there as before."""
    assert 1 not in protection.lacking([point_in_time(), DELETE, later])
    assert 1 not in protection.lacking([SNAPSHOT, INSTANCE, later])
    assert 1 in protection.lacking([point_in_time(), DELETE, OFF])


def test_a_backup_that_goes_again_takes_no_other_with_it() -> None:
    """Of two snapshots the second one's is deleted: the first still protects."""
    other = step("rds:CreateDBSnapshot", DBInstanceIdentifier="db-9", DBSnapshotIdentifier="gone")
    assert protection.lacking([SNAPSHOT, other, INSTANCE, step("rds:DeleteDBSnapshot", DBSnapshotIdentifier="gone")]) == ()


def final(operation: str, **parameters: str) -> Step:
    """A destruction that makes no last snapshot."""
    skips = {"rds": "SkipFinalSnapshot", "docdb": "SkipFinalSnapshot", "redshift": "SkipFinalClusterSnapshot"}
    skip = skips.get(operation.partition(":")[0])
    return step(operation, **parameters, **({skip: True} if skip else {}))


@pytest.mark.parametrize(
    "plan",
    [
        [
            step("rds:CreateDBSnapshot", DBInstanceIdentifier="c", DBSnapshotIdentifier="c"),
            final("rds:DeleteDBInstance", DBInstanceIdentifier="c"),
            step("rds:DeleteDBSnapshot", DBSnapshotIdentifier="c"),
        ],
        [
            step("redshift:CreateClusterSnapshot", ClusterIdentifier="c", SnapshotIdentifier="c"),
            final("redshift:DeleteCluster", ClusterIdentifier="c"),
            step("redshift:DeleteClusterSnapshot", SnapshotIdentifier="c"),
        ],
        [
            step("elasticache:CreateSnapshot", ReplicationGroupId="c", SnapshotName="c"),
            final("elasticache:DeleteReplicationGroup", ReplicationGroupId="c"),
            step("elasticache:DeleteSnapshot", SnapshotName="c"),
        ],
        [
            step("memorydb:CreateSnapshot", ClusterName="c", SnapshotName="c"),
            final("memorydb:DeleteCluster", ClusterName="c"),
            step("memorydb:DeleteSnapshot", SnapshotName="c"),
        ],
        [
            step("docdb:CreateDBClusterSnapshot", DBClusterIdentifier="c", DBClusterSnapshotIdentifier="s"),
            final("docdb:DeleteDBCluster", DBClusterIdentifier="c"),
            step("rds:DeleteDBClusterSnapshot", DBClusterSnapshotIdentifier="s"),
        ],
        [
            step("neptune:DeleteDBCluster", DBClusterIdentifier="c", FinalDBSnapshotIdentifier="s"),
            step("docdb:DeleteDBClusterSnapshot", DBClusterSnapshotIdentifier="s"),
        ],
    ],
    ids=lambda plan: plan[0].name,
)
def test_a_backup_goes_whatever_it_is_called_and_whatever_service_is_asked(plan: list[Step]) -> None:
    """It has its target's own name, or one of three services of one API deletes what another one made."""
    assert protection.losses(plan[:-1]) == ()
    loss = len(plan) - 2
    assert protection.lacking(plan)[:1] == (loss,)


@pytest.mark.parametrize(
    "plan",
    [
        [BEFORE, GONE, step("rds:DeleteDBCluster", DBClusterIdentifier="c", FinalDBSnapshotIdentifier="s")],
        [BEFORE, GONE, step("rds:DeleteDBClusterSnapshot", DBClusterSnapshotIdentifier="s")],
        [
            step("elasticache:DeleteReplicationGroup", ReplicationGroupId="a", FinalSnapshotIdentifier="final"),
            step("elasticache:DeleteServerlessCache", ServerlessCacheName="b", FinalSnapshotName="final"),
        ],
        [
            step("redshift:DeleteCluster", ClusterIdentifier="a", FinalClusterSnapshotIdentifier="b"),
            step("redshift:DeleteCluster", ClusterIdentifier="b", FinalClusterSnapshotIdentifier="a-last"),
        ],
    ],
)
def test_a_thing_of_another_kind_that_is_called_alike_is_not_the_backup(plan: list[Step]) -> None:
    """Snapshots of instances and of clusters, of caches with and without servers, a cluster: each kind has names of its own."""
    assert not {0, 1} & set(protection.lacking(plan))


def test_recovery_that_goes_with_its_table_keeps_no_item_that_ran_out_before() -> None:
    """The recovery is there for the time to live, and the plan deletes the table: what had run out before the backup is lost."""
    assert protection.losses([point_in_time(), TTL]) == ()
    assert protection.losses([point_in_time(), TTL, BACKUP, DELETE]) == (1,)
