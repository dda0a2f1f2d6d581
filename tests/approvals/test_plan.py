"""The plan: what is shown, signed and sent is parsed from the same bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals import canonical, plan
from approvals.errors import BadPlan
from approvals.plan import GuardrailPin, Plan, Step
from tests.approvals.test_canonical import parameters, texts

plans = st.builds(
    Plan,
    request_id=texts,
    revision=st.integers(1, 99),
    account=texts,
    partition=texts,
    region=texts,
    role=texts,
    steps=st.lists(st.builds(Step, texts, texts, st.dictionaries(texts, parameters, max_size=3)), min_size=1, max_size=3).map(
        tuple
    ),
    guardrails=st.lists(st.builds(GuardrailPin, texts, st.integers(1, 99), texts), max_size=3).map(tuple),
    valid_for=st.integers(1, 10**6),
    preconditions=st.lists(st.dictionaries(texts, parameters, max_size=2), max_size=2).map(tuple),
)
ONE = Plan("r", 1, "1" * 12, "aws", "eu-west-1", "role", (Step("dynamodb", "DeleteTable", {"TableName": "t"}),), (), 60)


@given(plans)
def test_a_plan_is_read_back_from_its_text_alone(one):
    """parse(text) is the plan, and its text is the same again: nothing hides between the bytes and what is executed."""
    text = one.text()
    assert plan.parse(text).text() == text
    assert plan.parse(text) == one


@given(plans, plans)
def test_two_plans_share_a_digest_only_when_they_are_one(one, other):
    """Whatever differs in a plan differs in its digest."""
    assert (canonical.digest(one.text()) == canonical.digest(other.text())) == (one.text() == other.text())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p: p | {"extra": 1}, "unknown fields: extra"),
        (lambda p: {k: v for k, v in p.items() if k != "role"}, "lacks role"),
        (lambda p: p | {"revision": "1"}, "revision is a str"),
        (lambda p: p | {"revision": True}, "revision is a bool"),
        (lambda p: p | {"schema": "countersign/plan/2"}, "schema"),
        (lambda p: p | {"steps": []}, "no step"),
        (lambda p: p | {"steps": [p["steps"][0] | {"force": True}]}, "step 1 has unknown fields"),
        (lambda p: p | {"steps": [p["steps"][0] | {"parameters": {"$float": "1.5"}}]}, "no object"),
        (lambda p: [p], "no object"),
    ],
)
def test_bytes_that_are_no_plan_are_refused(change, says):
    """An unknown, missing or mistyped field is an error that names it."""
    with pytest.raises(BadPlan, match=says):
        plan.parse(canonical.dumps(change(canonical.loads(ONE.text()))))


def test_a_duplicate_key_cannot_smuggle_a_parameter():
    """One reader would take the first value, another the last: neither gets to."""
    text = ONE.text().replace('"TableName":"t"', '"TableName":"t","TableName":"prod-orders"')
    with pytest.raises(BadPlan, match="twice"):
        plan.parse(text)
