"""A call that gives its target another name: it has settled once the target is there under that name."""

from __future__ import annotations

import pytest

from approvals.operations.resources import Where
from approvals.plan import Step
from executor import target
from tests.executor.own_guardrails import cast, client, facts  # noqa: F401 - fixtures
from tests.executor.stage import Stage, attempts, fresh
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


@pytest.mark.parametrize("at_once", [True, False])
def test_what_is_renamed_later_is_looked_at_under_its_name(at_once: bool) -> None:
    """RDS gives the new name at once only where the call says so; the session that looks may read both."""
    step = Step(
        "rds", "ModifyDBInstance", {"DBInstanceIdentifier": "a", "NewDBInstanceIdentifier": "b", "ApplyImmediately": at_once}
    )
    assert target.renamed(step).parameters["DBInstanceIdentifier"] == ("b" if at_once else "a")
    policy = target.policy(step, Where("111122223333", "eu-west-1", "aws"), acting=False)
    assert ("db:b" in policy, "db:a" in policy) == (at_once, True)
