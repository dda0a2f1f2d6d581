"""Conditions on parameters: what is known decides, what is not known protects."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.canonical import Sealed
from approvals.operations import catalog, trail
from approvals.operations.resources import Where
from approvals.policies import Call, Condition, Operator, call_of, matches, rules_from, unknown_in

ACCOUNT, REGION = "111122223333", "eu-west-1"


def guard(*conditions, operations=("*",)):
    asked = {"name": "guard", "accounts": ["*"], "operations": list(operations), "approvals": 1}
    return rules_from(asked | ({"conditions": list(conditions)} if conditions else {}))


def called(operation, parameters, unknown=frozenset()):
    known = catalog.get(operation)
    return call_of(
        known, account=ACCOUNT, region=REGION, resources=(), tags={}, parameters=parameters, unknown=frozenset(unknown)
    )


def protects(condition, parameters, operation="any:Call", **known):
    return matches(guard(condition), Call(ACCOUNT, REGION, operation, (), tags={}, parameters=parameters, **known))


@pytest.mark.parametrize(
    ("condition", "parameters", "holds"),
    [
        ({"is": False}, {"P": False}, True),
        ({"is": False}, {"P": True}, False),
        ({"is": False}, {}, False),
        ({"is": False}, {"P": None}, False),
        ({"is": 1}, {"P": True}, True),  # a number and a truth cannot be compared, so it protects
        ({"is": "a"}, {"P": "a"}, True),
        ({"is": "a"}, {"P": "A"}, False),
        ({"is": 7}, {"P": 7.0}, True),
        ({"is_not": "a"}, {"P": "a"}, False),
        ({"is_not": "a"}, {"P": "b"}, True),
        ({"is_not": "a"}, {}, True),
        ({"in": ["a", 7]}, {"P": 7}, True),
        ({"in": ["a", "c"]}, {"P": "b"}, False),
        ({"matches": "prod-*"}, {"P": "prod-x"}, True),
        ({"matches": "prod-*"}, {"P": "test-x"}, False),
        ({"at_least": 7}, {"P": 7}, True),
        ({"at_least": 7}, {"P": 6}, False),
        ({"at_most": 7}, {"P": 7}, True),
        ({"at_most": 7}, {"P": 8}, False),
        ({"at_most": 7}, {}, False),
        ({"present": True}, {"P": 0}, True),
        ({"present": True}, {}, False),
        ({"absent": True}, {}, True),
        ({"absent": True}, {"P": []}, True),
        ({"absent": True}, {"P": ""}, False),
    ],
)
def test_each_operator_compares_what_the_call_says(condition, parameters, holds):
    """The condition speaks of the parameter as boto3 takes it."""
    assert protects({"parameter": "P", **condition}, parameters) is holds


SEALED = Sealed("1." + "0" * 32 + ".AAAA")


@pytest.mark.parametrize(
    "condition", [{"is": "a"}, {"is_not": "a"}, {"in": ["a"]}, {"matches": "a"}, {"at_least": 1}, {"at_most": 1}]
)
@pytest.mark.parametrize("value", [SEALED, {"Deeper": 1}, b"a", datetime(2026, 1, 1, tzinfo=UTC)])
def test_what_cannot_be_compared_protects(condition, value):
    """A sealed value, a structure, bytes or a moment decide nothing, so the guardrail matches."""
    assert protects({"parameter": "P", **condition}, {"P": value})


@pytest.mark.parametrize(
    ("parameter", "parameters", "holds"),
    [
        ("A.B", {"A": {"B": 1}}, True),
        ("A.B", {"A": {"B": 2}}, False),
        ("A.B", {"A": {}}, False),
        ("A.B", {"A": [{"B": 2}, {"B": 1}]}, True),
        ("A.B", {"A": [[{"B": [2, 1]}]]}, True),
        ("A.B", {"A": []}, False),
        ("A.b.c", {"A": {"b.c": 1}}, True),
        ("A.B", {"A": "no structure"}, True),
    ],
)
def test_a_path_leads_through_structures_maps_and_lists(parameter, parameters, holds):
    """Lists on the way mean any of their items; where the path leads into nothing that it knows, it protects."""
    assert protects({"parameter": parameter, "is": 1}, parameters) is holds


def test_a_list_in_which_one_item_lacks_the_member_says_so():
    """`is_not` and `absent` look at every item too."""
    items = {"A": [{"B": 1}, {}]}
    assert protects({"parameter": "A.B", "is_not": 1}, items)
    assert protects({"parameter": "A.B", "absent": True}, items)
    assert protects({"parameter": "A.B", "present": True}, items)


@pytest.mark.parametrize(
    ("condition", "parameters", "holds"),
    [
        ({"parameter": "SkipFinalClusterSnapshot", "is": False}, {}, True),
        ({"parameter": "SkipFinalClusterSnapshot", "is": True}, {}, False),
        ({"parameter": "SkipFinalClusterSnapshot", "is": True}, {"SkipFinalClusterSnapshot": True}, True),
        ({"parameter": "SkipFinalClusterSnapshot", "present": True}, {}, True),
        ({"parameter": "FinalClusterSnapshotIdentifier", "absent": True}, {}, True),
    ],
)
def test_what_is_left_out_has_the_default_of_the_operations_table(condition, parameters, holds):
    """AWS does not do nothing where a dangerous member is left out: it takes its default, and so does the condition."""
    call = called("redshift:DeleteCluster", {"ClusterIdentifier": "prod"} | parameters)
    assert matches(guard(condition), call) is holds


def test_the_default_of_an_inner_member_needs_its_structure():
    """Whoever does not speak of recovery at all has set no period."""
    backups, inner = "dynamodb:UpdateContinuousBackups", "PointInTimeRecoverySpecification"
    one = guard({"parameter": f"{inner}.RecoveryPeriodInDays", "at_least": 35})
    assert matches(one, called(backups, {inner: {"PointInTimeRecoveryEnabled": True}}))
    assert not matches(one, called(backups, {"TableName": "prod"}))


def test_an_operation_without_the_member_is_protected_as_before():
    """One guardrail can protect a deletion always and a change only when it takes the protection away."""
    one = guard({"parameter": "DeletionProtectionEnabled", "is": False}, operations=["dynamodb:*Table"])
    update, delete = "dynamodb:UpdateTable", "dynamodb:DeleteTable"
    assert matches(one, called(delete, {"TableName": "prod"}))
    assert not matches(one, called(update, {"TableName": "prod", "BillingMode": "PROVISIONED"}))
    assert not matches(one, called(update, {"TableName": "prod", "DeletionProtectionEnabled": True}))
    assert matches(one, called(update, {"TableName": "prod", "DeletionProtectionEnabled": False}))


@pytest.mark.parametrize(("parameters", "unknown"), [(None, set()), ({}, {"DeletionProtectionEnabled"})])
def test_what_is_not_known_protects(parameters, unknown):
    """A denied call comes without parameters: the guardrail that might match does."""
    one = guard({"parameter": "DeletionProtectionEnabled", "is": False})
    assert matches(one, called("dynamodb:UpdateTable", parameters, unknown))


@pytest.mark.parametrize(
    ("operation", "recorded", "message", "unknown"),
    [
        ("dynamodb:UpdateTable", {"tableName": "prod", "deletionProtectionEnabled": True}, "", set()),
        ("dynamodb:UpdateTable", None, "nothing that is understood", None),
        ("dynamodb:UpdateTable", {"tableName": "prod", "someNewKey": 1}, "", None),
        ("rds:ModifyDBInstance", {"dBInstanceIdentifier": "d", "masterUserPassword": "****"}, "", {"MasterUserPassword"}),
    ],
)
def test_what_a_record_does_not_tell_is_unknown(operation, recorded, message, unknown):
    """A hidden value is unknown by its name; a key that nobody knows may be any member that is not shown (None: all of those)."""
    known = catalog.get(operation)
    conversion = trail.convert(known, recorded, message, Where(ACCOUNT, REGION, "aws"))
    expected = known.members.keys() - conversion.parameters.keys() if unknown is None else unknown
    assert expected <= unknown_in(known, conversion)
    assert bool(unknown_in(known, conversion)) is bool(expected)


values = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from(["a", "b", ""]), st.none())
scalars = st.one_of(st.booleans(), st.integers(-3, 3), st.sampled_from(["a", "b"]))
conditions = st.one_of(
    st.builds(Condition, st.just("P"), st.sampled_from([Operator.IS, Operator.IS_NOT]), scalars),
    st.builds(Condition, st.just("P"), st.sampled_from([Operator.AT_LEAST, Operator.AT_MOST]), st.integers(-3, 3)),
    st.builds(Condition, st.just("P"), st.sampled_from([Operator.PRESENT, Operator.ABSENT]), st.just(value=True)),
    st.builds(Condition, st.just("P"), st.just(Operator.IN), st.lists(scalars, min_size=1, max_size=2).map(tuple)),
    st.just(Condition("P", Operator.MATCHES, "a*")),
)


@given(st.lists(conditions, min_size=1, max_size=3), values)
def test_knowing_less_never_protects_less(several, value):
    """Whatever the call says, a guardrail that matches it also matches when that is not known."""
    one = replace(guard(), conditions=tuple(several))
    call = Call(ACCOUNT, REGION, "any:Call", (), tags={}, parameters={"P": value}, members=frozenset({"P"}))
    assert matches(one, call) <= matches(one, replace(call, parameters={}, unknown=frozenset({"P"})))
    assert matches(one, replace(call, parameters=None))
