"""Quorums of groups, and what nobody confirmed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals import policies
from approvals.policies import Irreversible, Mode, Outcome, Rules, Vote
from approvals.states import Verdict

PEOPLE = ("bob", "carol", "dana", "erin")
GROUPS = ("owners", "auditors")
RULES = Rules("tables", "", Mode.ENFORCE, ("*",), ("*",), ("*",), ("*",), 1, irreversible=Irreversible(extra_approvals=0))


def approve(person, *groups, on=("tables",), verdict=Verdict.APPROVE):
    return Vote(person, verdict, frozenset(on), frozenset(groups))


def resolve(votes, *, confirmed_by="alice", irreversible=False, **guardrails):
    return policies.resolve(
        votes, guardrails=guardrails, confirmed_by=confirmed_by, barred=frozenset({"alice"}), irreversible=irreversible
    )


@pytest.mark.parametrize(
    ("votes", "outcome", "lacking"),
    [
        ([approve("bob"), approve("carol")], Outcome.OPEN, "0 of 1 from owners"),
        ([approve("bob", "owners")], Outcome.OPEN, "1 of 2 approvals"),
        ([approve("bob", "owners"), approve("carol")], Outcome.APPROVED, ""),
        ([approve("bob", "owners", on=("other",)), approve("carol"), approve("dana")], Outcome.OPEN, "0 of 1 from owners"),
        ([approve("alice", "owners"), approve("bob"), approve("carol")], Outcome.OPEN, "0 of 1 from owners"),
        ([], Outcome.OPEN, "0 of 2 approvals, 0 of 1 from owners"),
    ],
)
def test_a_group_must_have_its_say(votes, outcome, lacking):
    """So many distinct approvers in all, so many of the group, each with the right on the guardrail, none the requester."""
    found = resolve(votes, tables=replace(RULES, approvals=2, groups=(("owners", 1),)))
    assert (found.outcome, found.progress[0].lacking) == (outcome, lacking)


def test_who_is_in_two_groups_counts_for_each_but_is_one_person():
    """Two seats may be one person's; the number of distinct persons stays."""
    both = replace(RULES, approvals=2, groups=(("auditors", 1), ("owners", 1)))
    assert resolve([approve("bob", *GROUPS)], tables=both).outcome is Outcome.OPEN
    assert resolve([approve("bob", *GROUPS), approve("carol")], tables=both).outcome is Outcome.APPROVED


def test_the_same_vote_twice_is_one_person_of_the_group():
    """Votes key on the person: two logins are no second member of a group."""
    assert resolve([approve("bob", "owners")] * 2, tables=replace(RULES, groups=(("owners", 2),))).outcome is Outcome.OPEN


@pytest.mark.parametrize(
    ("approvals", "extra", "persons", "outcome"),
    [
        (1, 0, 1, Outcome.OPEN),
        (1, 0, 2, Outcome.APPROVED),
        (3, 0, 2, Outcome.OPEN),
        (3, 0, 3, Outcome.APPROVED),
        (2, 1, 2, Outcome.OPEN),
        (2, 1, 3, Outcome.APPROVED),
    ],
)
def test_what_nobody_confirmed_takes_two_approvers_at_least(approvals, extra, persons, outcome):
    """max(N, 2) where the guardrail lets an unconfirmed event be decided; what cannot be undone still takes its extra one."""
    rules = replace(RULES, approvals=approvals, unconfirmed=True, irreversible=Irreversible(extra_approvals=extra))
    votes = [approve(person) for person in PEOPLE[:persons]]
    assert resolve(votes, confirmed_by=None, irreversible=bool(extra), tables=rules).outcome is outcome


def test_one_guardrail_that_wants_a_confirmation_suffices_to_want_it():
    """Every matching guardrail must be satisfied, so each of them must let an unconfirmed event be decided."""
    votes = [approve(person, on=("one", "two")) for person in PEOPLE]
    lets = replace(RULES, unconfirmed=True)
    assert resolve(votes, confirmed_by=None, one=lets, two=lets).outcome is Outcome.APPROVED
    assert resolve(votes, confirmed_by=None, one=lets, two=RULES).outcome is Outcome.OPEN


def test_a_confirmation_brings_the_usual_number_back():
    """With the requester's signature one approver is the second person."""
    assert resolve([approve("bob")], tables=replace(RULES, unconfirmed=True)).outcome is Outcome.APPROVED
    assert resolve([approve("bob")], confirmed_by="", tables=replace(RULES, unconfirmed=True)).outcome is Outcome.OPEN


votes = st.lists(
    st.builds(
        Vote,
        st.sampled_from((*PEOPLE, "alice")),
        st.sampled_from([Verdict.APPROVE, Verdict.DENY]),
        st.frozensets(st.sampled_from(["one", "two"])),
        st.frozensets(st.sampled_from(GROUPS)),
    ),
    max_size=7,
)
rules = st.builds(
    lambda approvals, extra, groups, unconfirmed: replace(
        RULES,
        approvals=approvals,
        irreversible=Irreversible(extra_approvals=extra),
        groups=tuple(sorted(groups.items())),
        unconfirmed=unconfirmed,
    ),
    st.integers(1, 3),
    st.integers(0, 1),
    st.dictionaries(st.sampled_from(GROUPS), st.integers(1, 2)),
    st.booleans(),
)


@given(votes, rules, rules, st.booleans(), st.sampled_from(["alice", "erin", None]))
def test_an_approval_always_has_every_number_and_two_signers(cast_votes, one, two, irreversible, confirmed_by):
    """I1: counted independently, every quorum of persons and groups is there, nobody is barred, and two persons signed."""
    found = resolve(cast_votes, confirmed_by=confirmed_by, irreversible=irreversible, one=one, two=two)
    counted = [vote for vote in cast_votes if vote.person not in {"alice", confirmed_by}]
    denied = any(vote.verdict is Verdict.DENY and vote.rights for vote in counted)
    enough = True
    signers = {confirmed_by} - {None}
    for name, asked in (("one", one), ("two", two)):
        mine = [vote for vote in counted if vote.verdict is Verdict.APPROVE and name in vote.rights]
        need = asked.approvals + (asked.irreversible.extra_approvals if irreversible else 0)
        enough &= len({vote.person for vote in mine}) >= (need if confirmed_by else max(need, 2))
        enough &= all(len({vote.person for vote in mine if group in vote.groups}) >= k for group, k in asked.groups)
        signers |= {vote.person for vote in mine}
    may = confirmed_by is not None or (one.unconfirmed and two.unconfirmed)
    assert (found.outcome is Outcome.DENIED) == denied
    assert (found.outcome is Outcome.APPROVED) == (enough and may and len(signers) >= 2 and not denied)
