"""Guardrails: what they match, and what reviews add up to."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals import policies
from approvals.errors import BadGuardrail
from approvals.policies import Call, Irreversible, Mode, Outcome, Rules, Vote, rules_from, rules_from_text
from approvals.states import Verdict

PLAIN = {
    "name": "tables",
    "accounts": ["111122223333"],
    "operations": ["dynamodb:Delete*"],
    "resources": ["arn:aws:dynamodb:*:*:table/prod-*"],
    "approvals": 1,
}
PEOPLE = ("bob", "carol", "dana")
votes = st.lists(
    st.builds(
        Vote,
        st.sampled_from((*PEOPLE, "alice", "editor")),
        st.sampled_from([Verdict.APPROVE, Verdict.DENY]),
        st.frozensets(st.sampled_from(["one", "two"])),
    ),
    max_size=6,
)


def rules(name="tables", approvals=1, extra=0):
    return Rules(
        name, "", Mode.ENFORCE, ("*",), ("*",), ("*",), ("*",), approvals, irreversible=Irreversible(extra_approvals=extra)
    )


def resolve(cast_votes, guardrails, confirmed_by="alice", *, irreversible=False):
    return policies.resolve(
        cast_votes,
        guardrails=guardrails,
        confirmed_by=confirmed_by,
        barred=frozenset({"alice", "editor"}),
        irreversible=irreversible,
    )


@pytest.mark.parametrize(
    ("change", "matches"),
    [
        ({}, True),
        ({"account": "999999999999"}, False),
        ({"operation": "dynamodb:UpdateTable"}, False),
        ({"operation": "rds:DeleteTable"}, False),
        ({"resources": ("arn:aws:dynamodb:eu-west-1:111122223333:table/staging-orders",)}, False),
        ({"resources": ("x", "arn:aws:dynamodb:eu-west-1:111122223333:table/prod-x")}, True),
        ({"resources": ()}, True),
        ({"region": "us-east-1"}, True),
    ],
)
def test_a_guardrail_matches_what_it_names_and_what_it_cannot_decide(change, matches):
    """Accounts, operations and ARNs by pattern; an unknown resource counts as a match."""
    call = {
        "account": "111122223333",
        "region": "eu-west-1",
        "operation": "dynamodb:DeleteTable",
        "resources": ("arn:aws:dynamodb:eu-west-1:111122223333:table/prod-orders",),
    }
    assert policies.matches(rules_from(PLAIN), Call(**call | change)) is matches


def fits(pattern, value):
    """Whether a text fits a pattern, by its definition."""
    if not pattern:
        return not value
    if pattern[0] == "*":
        return any(fits(pattern[1:], value[i:]) for i in range(len(value) + 1))
    return bool(value) and pattern[0] in ("?", value[0]) and fits(pattern[1:], value[1:])


@given(st.text("ab*?.[", max_size=6), st.text("ab.[\n", max_size=6))
def test_only_star_and_question_mark_are_wild(pattern, value):
    """Every other character of a pattern stands for itself."""
    assert policies.overlap(pattern, value) == fits(pattern, value)


TEXTS = ["".join(chars) for length in range(7) for chars in itertools.product("ab", repeat=length)]


@given(st.text("ab*?", max_size=4), st.text("ab*?", max_size=4))
def test_two_patterns_overlap_when_a_text_fits_both(one, other):
    """A guardrail's pattern and what is known of a resource match when some name is both; short patterns have short witnesses."""
    common = any(fits(one, text) and fits(other, text) for text in TEXTS)
    assert policies.overlap(one, other) == common
    assert policies.overlap(other, one) == common


def test_no_pattern_takes_long():
    """A pattern full of stars is refused in a moment, whether against a text or against another pattern."""
    began = time.perf_counter()
    assert not policies.overlap("*a" * 30 + "b", "a" * 2000)
    assert not policies.overlap("*a" * 30 + "b", "*a" * 100 + "c")
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("pattern", "known", "matches"),
    [
        ("arn:aws:secretsmanager:*:*:secret:prod/*", "arn:aws:secretsmanager:eu-west-1:1:secret:prod/db-??????", True),
        ("arn:aws:secretsmanager:*:*:secret:prod/db-AbCdEf", "arn:aws:secretsmanager:eu-west-1:1:secret:prod/db-??????", True),
        ("arn:aws:secretsmanager:*:*:secret:test/*", "arn:aws:secretsmanager:eu-west-1:1:secret:prod/db-??????", False),
        ("arn:aws:cloudformation:*:*:stack/prod-*", "arn:aws:cloudformation:eu-west-1:1:stack/prod-web/*", True),
        ("arn:aws:cloudformation:*:*:stack/prod-*/*", "arn:aws:cloudformation:eu-west-1:1:stack/test/*", False),
        ("arn:aws:rds:*:*:db:prod-*", "arn:aws:rds:eu-west-1:1:db:*", True),
        ("arn:aws:rds:*:*:db:prod-*", "arn:aws:rds:eu-west-1:1:cluster:*", False),
    ],
)
def test_a_resource_that_is_known_in_part_matches_what_it_may_be(pattern, known, matches):
    """A call whose resource may be the protected one is protected."""
    rules = rules_from(PLAIN | {"operations": ["*"], "resources": [pattern]})
    assert policies.matches(rules, Call("111122223333", "eu-west-1", "any:Call", (known,))) is matches


@given(votes, st.integers(1, 3), st.integers(1, 3), st.integers(0, 1), st.booleans(), st.sampled_from(["alice", None]))
def test_nothing_is_approved_without_two_persons_and_every_quorum(cast_votes, one, two, extra, irreversible, confirmed_by):
    """I1 as a property: an approval has N distinct, unbarred persons with the right per guardrail, and two signers in all."""
    guardrails = {"one": rules("one", one, extra), "two": rules("two", two, extra)}
    found = resolve(cast_votes, guardrails, confirmed_by, irreversible=irreversible)
    if found.outcome is not Outcome.APPROVED:
        return
    for name, need in (("one", one), ("two", two)):
        approvers = {v.person for v in cast_votes if v.verdict is Verdict.APPROVE and name in v.rights} - {"alice", "editor"}
        assert len(approvers) >= need + (extra if irreversible else 0)
        assert len(approvers | ({confirmed_by} if confirmed_by else set())) >= 2
    assert not [v for v in cast_votes if v.verdict is Verdict.DENY and v.rights and v.person in PEOPLE]


@given(votes)
def test_the_order_of_votes_does_not_matter(cast_votes):
    """I12: the same votes in any order come to the same outcome."""
    outcomes = {
        resolve(order, {"one": rules("one", 2)}).outcome for order in itertools.islice(itertools.permutations(cast_votes), 24)
    }
    assert len(outcomes) == 1


def test_no_guardrail_approves_nothing():
    """Without a rule nobody has decided anything."""
    assert resolve([Vote("bob", Verdict.APPROVE, frozenset({"one"}))], {}).outcome is Outcome.OPEN


def test_what_nobody_confirmed_is_never_approved():
    """Whoever can put a message on the queue is no person: without a requester's signature no number of approvers suffices."""
    voters = [Vote(p, Verdict.APPROVE, frozenset({"tables"})) for p in PEOPLE]
    assert resolve(voters, {"tables": rules()}, None).outcome is Outcome.OPEN
    assert resolve(voters, {"tables": rules()}, "alice").outcome is Outcome.APPROVED


def test_what_cannot_be_undone_needs_one_approver_more():
    """The usual extra approval of irreversible plans."""
    bob = Vote("bob", Verdict.APPROVE, frozenset({"tables"}))
    assert resolve([bob], {"tables": rules(extra=1)}, irreversible=True).outcome is Outcome.OPEN
    assert resolve([bob], {"tables": rules(extra=1)}, irreversible=False).outcome is Outcome.APPROVED


def test_a_denial_without_the_right_is_none():
    """Somebody who may not review cannot stop others either."""
    stranger = Vote("dana", Verdict.DENY, frozenset())
    bob = Vote("bob", Verdict.APPROVE, frozenset({"tables"}))
    assert resolve([stranger, bob], {"tables": rules()}).outcome is Outcome.APPROVED


def test_rules_are_read_back_from_their_text():
    """The stored text says the rules, whole."""
    one = rules_from(PLAIN | {"clocks": {"draft": 60}, "irreversible": {"hold": 0}, "mode": "observe", "regions": ["eu-*"]})
    assert rules_from_text(one.text()) == one


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "Tables"}, "name"),
        ({"colour": "red"}, "unknown field colour"),
        ({"approvals": 0}, "approvals"),
        ({"approvals": True}, "approvals"),
        ({"approvals": "2"}, "approvals"),
        ({"operations": []}, "operations"),
        ({"operations": "dynamodb:*"}, "operations"),
        ({"mode": "off"}, "mode"),
        ({"clocks": {"draft": 1}}, "draft"),
        ({"clocks": {"drafts": 100}}, "clocks.drafts"),
        ({"irreversible": {"typed_name": "yes"}}, "typed_name"),
        ({"schema": "x"}, "schema"),
    ],
)
def test_a_wrong_field_is_named(change, says):
    """A guardrail that cannot be read says which field is wrong."""
    with pytest.raises(BadGuardrail, match=says):
        rules_from(PLAIN | change)
