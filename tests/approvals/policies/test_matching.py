"""Accounts by tags, risk and families, and the index over many guardrails."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.operations import catalog, facts, risk
from approvals.policies import Call, Index, Mode, Rules, call_of, matches, patterns
from approvals.policies import index as index_module

RULES = Rules("guard", "", Mode.ENFORCE, ("*",), ("*",), ("*",), ("*",), 1)
CALL = Call("111122223333", "eu-west-1", "dynamodb:DeleteTable", (), tags={})


@pytest.mark.parametrize(
    ("accounts", "tags", "matched"),
    [
        ((), {"env": "prod", "data": "customer"}, True),
        ((), {"env": "production", "data": "customer", "more": "x"}, True),
        ((), {"env": "prod"}, False),
        ((), {"env": "test", "data": "customer"}, False),
        ((), {}, False),
        ((), None, True),
        (("111122223333",), {}, True),
        (("999999999999",), {"env": "prod", "data": "customer"}, True),
    ],
)
def test_an_account_is_meant_by_its_number_or_by_all_its_tags(accounts, tags, matched):
    """Either suffices; tags that are not known might be those."""
    one = replace(RULES, accounts=accounts, account_tags=(("data", ("customer",)), ("env", ("prod*",))))
    assert matches(one, replace(CALL, tags=tags)) is matched


@pytest.mark.parametrize(
    ("change", "operation", "matched"),
    [
        ({"risk": ("irreversible",)}, "dynamodb:DeleteTable", True),
        ({"risk": ("irreversible",)}, "dynamodb:UpdateTable", True),  # it may delete a replica
        ({"risk": ("irreversible",)}, "dynamodb:CreateBackup", False),
        ({"risk": ("destructive",)}, "dynamodb:CreateBackup", False),
        ({"risk": ("exposure", "silence")}, "cloudtrail:StopLogging", True),
        ({"risk": ("undescribed",)}, "polly:PutLexicon", True),
        ({"risk": ("undescribed",)}, "polly:DescribeVoices", False),
        ({"risk": ("irreversible",)}, "polly:DeleteLexicon", True),
        ({"families": ("dynamodb-table-loss",)}, "dynamodb:DeleteTable", True),
        ({"families": ("dynamodb-table-loss",)}, "dynamodb:UpdateTable", False),
        # One and the same request to AWS, by another name of it.
        ({"families": ("rds-instance-loss",)}, "neptune:DeleteDBInstance", True),
    ],
)
def test_risk_and_family_are_what_the_operations_table_says(change, operation, matched):
    """A guardrail can name what a call does instead of listing operations."""
    call = call_of(catalog.get(operation), account="1", region="eu-west-1", resources=(), tags={}, parameters={})
    assert matches(replace(RULES, **change), call) is matched


def test_what_is_not_known_of_risk_and_family_matches():
    """Where only a name is known, as before a record is read, the guardrail may match."""
    assert matches(replace(RULES, risk=("silence",), families=("none-such",)), CALL)


def test_every_described_operation_has_a_class_or_adds_something():
    """No row is without a class unless it only adds or changes: a guardrail by risk must not miss what nobody classified."""
    without = {one.full_name for one in catalog.curated() if not risk.classes(one)}
    assert all(catalog.get(name).facts.destroys.startswith("nothing") for name in without)
    assert {name for one in catalog.curated() for name in risk.classes(one)} == set(facts.RISK_CLASSES) - {"undescribed"}


services, names = st.sampled_from(["rds", "ec2"]), st.sampled_from(["Delete", "DeleteDB", "Stop"])
operations = st.builds("{}:{}".format, services, names)
pattern = st.one_of(
    operations, st.builds("{}:{}*".format, services, names), st.sampled_from(["*", "?ds:Delete", "*:Stop", "rds*"])
)
some_rules = st.builds(
    lambda operations, accounts, regions: replace(RULES, operations=tuple(operations), accounts=accounts, regions=regions),
    st.lists(pattern, min_size=1, max_size=3),
    st.sampled_from([("*",), ("1",), ("2*",)]),
    st.sampled_from([("*",), ("eu-*",)]),
)
calls = st.builds(
    lambda operation, also, account, region: Call(account, region, operation, (), tuple(also), {}),
    operations,
    st.lists(operations, max_size=2),
    st.sampled_from(["1", "2", "21"]),
    st.sampled_from(["eu-west-1", "us-east-1"]),
)


@given(st.lists(some_rules, max_size=8), st.lists(calls, max_size=6))
def test_the_index_says_what_each_guardrail_says(several, asked):
    """However they are looked up, the guardrails that match are those that match one by one, in their order."""
    numbered = tuple(replace(rules, name=f"g-{number}") for number, rules in enumerate(several))
    index = Index(numbered)
    for call in (*asked, *asked):
        assert index.matching(call) == tuple(rules for rules in numbered if matches(rules, call))


def test_the_index_forgets(monkeypatch):
    """Names come out of anybody's records: a flood of them does not fill the memory."""
    monkeypatch.setattr(index_module, "_REMEMBERED", 10)
    index = Index([RULES])
    for number in range(50):
        index.matching(replace(CALL, region=f"nowhere-{number}"))
    assert len(index._remembered) <= 10


def texts(shape):
    """Every short text over two letters that fits the pattern."""
    letters = ["", *"ab", *(x + y for x in "ab" for y in "ab"), *(x + y + z for x in "ab" for y in "ab" for z in "ab")]
    return {text for text in letters if patterns.overlap(shape, text)}


@given(st.text("ab*?", max_size=4), st.text("ab*?", max_size=3))
def test_a_pattern_contains_another_when_all_of_its_texts_fit(wide, narrow):
    """Never said wrongly; said of every pair without a star beside a question mark."""
    said = patterns.contains(wide, narrow)
    assert said <= (texts(narrow) <= texts(wide))
    if not {"*?", "?*"} & {pair[i : i + 2] for pair in (wide, narrow) for i in range(len(pair))} and "*" not in narrow:
        assert said >= (texts(narrow) <= texts(wide) and bool(texts(narrow)) and "?" not in narrow)
