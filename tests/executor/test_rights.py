"""The session policy of a step: no more than the row of its operation says that the call needs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from approvals.operations.resources import Where
from approvals.plan import Step
from executor import rights
from executor.errors import NotNamed

WHERE = Where("111122223333", "eu-west-1")


def actions(name: str, parameters: dict[str, Any]) -> set[str]:
    service, _, operation = name.partition(":")
    found = json.loads(rights.policy(Step(service, operation, parameters), WHERE, acting=True))
    return {action for statement in found["Statement"] for action in statement["Action"]}


@pytest.mark.parametrize(
    ("change", "more"),
    [
        ({"DeletionProtectionEnabled": False}, set()),
        ({"ReplicaUpdates": [{"Create": {"RegionName": "eu-central-1"}}]}, set()),
        (
            {"ReplicaUpdates": [{"Delete": {"RegionName": "eu-central-1"}}]},
            {"dynamodb:DeleteTable", "dynamodb:DeleteTableReplica"},
        ),
    ],
)
def test_another_action_is_granted_only_to_the_call_that_needs_it(change, more):
    """Only the change that removes a replica may delete a table; one that switches protection off may not."""
    usual = {"dynamodb:UpdateTable"}
    assert actions("dynamodb:UpdateTable", {"TableName": "prod-orders", **change}) == usual | more


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("dynamodb:DeleteTable", {"TableName": "prod-*"}),
        ("s3:DeleteObject", {"Bucket": "prod-invoices", "Key": "a?b"}),
        ("rds:DeleteDBInstance", {"DBInstanceIdentifier": "*", "SkipFinalSnapshot": True}),
    ],
)
def test_a_session_for_everything_is_not_opened(name, parameters):
    """A target that is named by a pattern would make a session for every one that fits: there is none."""
    with pytest.raises(NotNamed, match="plainly"):
        actions(name, parameters)
