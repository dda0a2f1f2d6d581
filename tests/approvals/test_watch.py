"""Which guardrails a record may concern: told without a model where it can be, and never told wrongly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from approvals import trail_event, watch
from approvals.operations import catalog, trail
from approvals.operations.resources import Where
from approvals.policies import Clocks, Condition, Irreversible, Mode, Operator, Rules
from tests.cast import ACCOUNT, REGION, table_arn, trail_record


def rules(*operations, resources=("*",), accounts=("*",), regions=("*",)):
    return Rules("g", "", Mode.ENFORCE, accounts, regions, operations, resources, 1, Clocks(), Irreversible())


def event(source="dynamodb", name="DeleteTable", **changes):
    return trail_event.from_record(trail_record(denied=False, eventSource=f"{source}.amazonaws.com", eventName=name, **changes))


def matching(found, one):
    operation = catalog.of_event(one.event_source, one.event_name, one.request_parameters)
    assert operation is not None
    return bool(found.matching(one, operation, ()))


@pytest.mark.parametrize(
    ("protects", "one", "concerned"),
    [
        (rules("dynamodb:DeleteTable"), event(), True),
        (rules("dynamodb:*", resources=("arn:nothing",)), event(), True),
        (rules("dynamodb:DeleteTable", accounts=("999999999999",)), event(), False),
        (rules("dynamodb:DeleteTable", regions=("us-*",)), event(), False),
        (rules("dynamodb:UpdateTable"), event(), False),
        (rules("docdb:DeleteDBCluster"), event("rds", "DeleteDBCluster"), True),
        (rules("*"), event("signin", "ConsoleLogin"), False),
        (rules("rds:*"), event("rds", "DescribeDBInstances", readOnly=True), False),
        (rules("rds:DescribeDBInstances"), event("rds", "DescribeDBInstances", readOnly=True), True),
        (rules("dynamodb:*"), event(readOnly=True), True),
    ],
)
def test_a_record_concerns_a_guardrail_or_certainly_none(protects, one, concerned):
    """Account, region and every name of the call decide; a resource is not looked at; reads concern nobody but by name."""
    assert watch.Watch((protects,)).may_concern(one) is concerned


@pytest.mark.parametrize(
    ("protects", "one", "matches"),
    [
        (rules("rds:*"), event("rds", "DescribeDBInstances"), False),
        (rules("rds:Describe*"), event("rds", "DescribeDBInstances"), False),
        (rules("rds:DescribeDBInstances"), event("rds", "DescribeDBInstances"), True),
        (rules("ec2:*"), event("ec2", "CreateRoute", readOnly=True), False),
        (rules("ec2:*"), event("ec2", "CreateRoute"), True),
        (rules("dynamodb:*"), event(readOnly=True), True),
    ],
)
def test_a_read_matches_only_the_guardrail_that_names_it(protects, one, matches):
    """Whether a call reads is told by its access level or the record; an operation with a row of ours is a write."""
    assert matching(watch.Watch((protects,)), one) is matches


def test_the_resource_decides_in_the_end():
    """What may concern a guardrail still has to match it."""
    found = watch.Watch((rules("dynamodb:*", resources=(f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/prod-*",)),))
    operation = catalog.get("dynamodb:DeleteTable")
    assert found.matching(event(), operation, [table_arn("prod-x")]) == found.rules
    assert found.matching(event(), operation, [table_arn("staging-x")]) == ()


def test_what_is_remembered_has_an_end(monkeypatch):
    """Names in records are anybody's: a flood of them does not fill the memory."""
    monkeypatch.setattr(watch, "_REMEMBERED", 10)
    found = watch.Watch((rules("dynamodb:*"),))
    for number in range(50):
        found.may_concern(event(name=f"Nothing{number}"))
    assert len(found._known) <= 10


@pytest.mark.parametrize(
    ("recorded", "matches"),
    [({"deletionProtectionEnabled": False}, True), ({"deletionProtectionEnabled": True}, False), ({"noSuchKey": 1}, True)],
)
def test_conditions_are_held_against_what_the_record_tells(recorded, matches):
    """A condition decides where the record tells the parameter, and protects where it does not."""
    condition = Condition("DeletionProtectionEnabled", Operator.IS, value=False)
    found = watch.over((replace(rules("dynamodb:UpdateTable"), conditions=(condition,)),))
    one = event(name="UpdateTable", requestParameters={"tableName": "prod-orders", **recorded})
    operation = catalog.get("dynamodb:UpdateTable")
    conversion = trail.convert(operation, one.request_parameters, "", Where(ACCOUNT, REGION, "aws"))
    assert found.may_concern(one)
    assert bool(found.matching(one, operation, (), conversion)) is matches


def test_the_tags_of_accounts_decide_before_a_record_is_read():
    """An account that is known not to have the tag is told apart at once; one whose tags nobody knows may have it."""
    by_tag = replace(rules("dynamodb:*", accounts=()), account_tags=(("environment", ("production",)),))
    assert watch.over((by_tag,), ((ACCOUNT, (("environment", "production"),)),)).may_concern(event())
    assert not watch.over((by_tag,), ((ACCOUNT, ()),)).may_concern(event())
    assert watch.over((by_tag,)).may_concern(event())
