"""From a guardrail's rules to IAM's documents: what is told, what cannot be, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from approvals.operations import catalog
from approvals.policies import Condition, Mode, Operator, Rules, call_of, matches
from executor.infrastructure import beyond_aws, event_patterns, guardrail_deny, protected_by

RULES = Rules(
    "tables",
    "",
    Mode.ENFORCE,
    ("111122223333",),
    ("*",),
    ("dynamodb:DeleteTable", "dynamodb:Update*"),
    ("arn:aws:dynamodb:*:*:table/prod-*",),
    1,
)


@dataclass(frozen=True)
class Account:
    """An account as the authority knows it."""

    id: str
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def executor_role_arn(self) -> str:
        return f"arn:aws:iam::{self.id}:role/CountersignExecutor"


ACCOUNTS = (Account("111122223333"), Account("444455556666", {"environment": "production"}))


def test_patterns_become_the_operations_that_change_something():
    """A rule on event names follows no pattern, and reading is nobody's concern."""
    told = protected_by(replace(RULES, operations=("dynamodb:*Table",)), ACCOUNTS)
    assert "dynamodb:DeleteTable" in told.operations
    assert "dynamodb:DescribeTable" not in told.operations
    assert told.accounts == ("111122223333",)
    named = protected_by(replace(RULES, operations=("dynamodb:DescribeTable",)), ACCOUNTS)
    assert named.operations == ("dynamodb:DescribeTable",)


def test_accounts_are_chosen_by_number_or_tags():
    """Each account that the guardrail means is told, with its executor's role spared."""
    told = protected_by(replace(RULES, account_tags=(("environment", ("prod*",)),)), ACCOUNTS)
    assert told.accounts == ("111122223333", "444455556666")
    assert guardrail_deny(told)["Statement"][0]["Condition"]["ArnNotEquals"]["aws:PrincipalArn"] == list(told.executor_roles)


def test_risk_and_families_narrow_what_is_denied():
    """What the operations table says of an operation is known when the documents are made."""
    told = protected_by(replace(RULES, risk=("irreversible",)), ACCOUNTS)
    assert "dynamodb:DeleteTable" in told.operations
    assert "dynamodb:UpdateTable" in told.operations, "it may delete a replica, and IAM sees no parameters"
    assert "dynamodb:UpdateContributorInsights" not in told.operations


def test_a_condition_does_not_narrow_the_deny():
    """IAM sees no parameters: what the guardrail matches under some condition is denied whole, and that is said."""
    condition = Condition("DeletionProtectionEnabled", Operator.IS, value=False)
    narrowed = replace(RULES, conditions=(condition,))
    assert guardrail_deny(protected_by(narrowed, ACCOUNTS)) == guardrail_deny(protected_by(RULES, ACCOUNTS))
    assert "the deny covers every such call" in beyond_aws(narrowed)[0]
    assert beyond_aws(RULES) == ()
    regions = beyond_aws(replace(RULES, regions=("eu-*",), account_tags=(("a", ("b",)),)))
    assert ["every region" in regions[0], "tags" in regions[1]] == [True, True]


def test_whatever_may_match_is_denied_and_heard_of():
    """No call that the guardrail would match is missing from what AWS is told, whatever its parameters are."""
    narrowed = replace(RULES, families=("dynamodb-table-loss", "dynamodb-table-change"), operations=("dynamodb:*",))
    told = protected_by(narrowed, ACCOUNTS)
    may_match = {
        operation.full_name
        for operation in catalog.curated()
        if matches(narrowed, call_of(operation, account="111122223333", region="eu-west-1", resources=(), tags={}))
    }
    assert may_match
    assert may_match <= set(told.operations)
    assert "eu-west-1" in event_patterns([told], ["eu-west-1"])


def test_any_resource_is_any_of_the_services_that_are_named():
    """IAM reads no star that stands for a service; an action of another service would not be denied by it anyway."""
    told = protected_by(replace(RULES, operations=("dynamodb:DeleteTable", "kms:DisableKey"), resources=("*",)), ACCOUNTS)
    assert told.resources == ("arn:aws:dynamodb:*:*:*", "arn:aws:kms:*:*:*")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"mode": Mode.OBSERVE}, "only observes"),
        ({"operations": ("*",)}, "names every service"),
        ({"operations": ("*:Delete*",)}, "names every service"),
        ({"resources": ("*prod*",)}, "IAM cannot read"),
        ({"accounts": ("999999999999",)}, "accounts is empty"),
        ({"families": ("rds-instance-loss",)}, "operations is empty"),
    ],
)
def test_what_aws_cannot_be_told_is_refused(change, says):
    """Rather no document than one that protects less, or everything."""
    with pytest.raises(ValueError, match=says):
        protected_by(replace(RULES, **change), ACCOUNTS)
