"""A call that gives its target another name: it has settled once the target is there under that name."""

from __future__ import annotations

import pytest

from approvals.models import Look
from approvals.operations.resources import Where
from approvals.plan import Step
from executor import rights, target
from tests.executor.own_guardrails import cast, client, facts  # noqa: F401 - fixtures
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_closing import looked
from tests.executor.test_evidence import lose_what_is_queued
from tests.executor.test_steps import approved

OPERATIONS = ("rds:ModifyDBInstance", "rds:ModifyDBCluster", "redshift:ModifyCluster")


def an_instance(stage: Stage) -> Step:
    names = {"DBInstanceIdentifier": "prod-billing", "NewDBInstanceIdentifier": "prod-billing-old"}
    return Step("rds", "ModifyDBInstance", {**names, "ApplyImmediately": True})


def a_cluster(stage: Stage) -> Step:
    with client(stage, "rds") as rds:
        rds.create_db_cluster(DBClusterIdentifier="c", Engine="aurora-mysql", MasterUsername="u", MasterUserPassword="password1")
    names = {"DBClusterIdentifier": "c", "NewDBClusterIdentifier": "c-old"}
    return Step("rds", "ModifyDBCluster", {**names, "ApplyImmediately": True})


def a_warehouse(stage: Stage) -> Step:
    with client(stage, "redshift") as redshift:
        redshift.create_cluster(
            ClusterIdentifier="w", NodeType="ra3.large", MasterUsername="u", MasterUserPassword="Password1", DBName="d"
        )
    return Step("redshift", "ModifyCluster", {"ClusterIdentifier": "w", "NewClusterIdentifier": "w-old"})


@pytest.mark.parametrize("renamed", [an_instance, a_cluster, a_warehouse], ids=lambda one: one.__name__.replace("_", " "))
def test_a_rename_settles_under_the_new_name(stage: Stage, renamed: object) -> None:
    """AWS knows the target by its new name alone: that is asked for, and nobody has to say how it went."""
    assert callable(renamed)
    execution = approved(stage, renamed(stage))
    stage.execute()
    stage.sweep()
    assert (fresh(execution).state, attempts(execution), stage.alerts()) == ("succeeded", ["succeeded"], [])


@pytest.mark.parametrize("point", ["called", "sent"])
def test_a_lost_rename_is_decided_by_the_very_target_under_its_new_name(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """No record comes: the instance of the claim is found by its new name, or nothing is decided."""
    execution = approved(stage, an_instance(stage))
    stage.killed_at(point)
    if point == "called":
        lose_what_is_queued(stage)
    stage.sweep()
    assert fresh(execution).state == "unknown"
    looked(stage, monkeypatch)
    said = Look.objects.get(source="target").said
    if point == "called":
        assert (fresh(execution).state, attempts(execution)) == ("succeeded", ["succeeded"]), said
    else:
        assert (fresh(execution).state, attempts(execution)) == ("unknown", ["unknown"]), said


def test_another_one_under_the_new_name_decides_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call was lost before it was made, and somebody made another instance of the name that it would have given."""
    execution = approved(stage, an_instance(stage))
    stage.killed_at("sent")
    with client(stage, "rds") as rds:
        rds.create_db_instance(DBInstanceIdentifier="prod-billing-old", DBInstanceClass="db.t3.micro", Engine="postgres")
    stage.sweep()
    looked(stage, monkeypatch)
    assert fresh(execution).state == "unknown"


@pytest.mark.parametrize(("new", "is_other"), [("b", True), ("a", False), ("A", False)])
def test_a_name_that_is_the_same_to_aws_is_no_new_one(new: str, is_other: bool) -> None:
    """What is found by it may be as it always was."""
    names = {"DBInstanceIdentifier": "a", "NewDBInstanceIdentifier": new}
    assert target.has_new_name(Step("rds", "ModifyDBInstance", {**names, "ApplyImmediately": True})) is is_other


@pytest.mark.parametrize("at_once", [True, False])
def test_what_is_renamed_later_is_looked_at_under_its_name(at_once: bool) -> None:
    """RDS gives the new name at once only where the call says so; the session that looks may read both."""
    step = Step(
        "rds", "ModifyDBInstance", {"DBInstanceIdentifier": "a", "NewDBInstanceIdentifier": "b", "ApplyImmediately": at_once}
    )
    assert target.renamed(step).parameters["DBInstanceIdentifier"] == ("b" if at_once else "a")
    policy = rights.policy(step, Where("111122223333", "eu-west-1", "aws"), acting=False)
    assert ("db:b" in policy, "db:a" in policy) == (at_once, True)
