"""Tickets that a reason must name."""

from __future__ import annotations

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from approvals.policies import tickets


@pytest.mark.parametrize(
    ("pattern", "reason", "named"),
    [
        ("", "anything", True),
        ("OPS-#", "see OPS-12: it is empty", True),
        ("OPS-#", "(ops-7)", True),
        ("OPS-#", "OPS-", False),
        ("OPS-#", "OPS-x1", False),
        ("OPS-#", "DEVOPS-1", False),
        ("OPS-#", "OPS-1a", False),
        ("OPS-#", "https://tracker.example.com/browse/OPS-1", True),
        ("OPS-# | INC#", "INC0012345", True),
        ("OPS-# | INC#", "CHG1", False),
        ("CR-*-#", "CR-db-prod-17.", True),
        ("CR-*-#", "CR-db prod-17", False),
        ("A??", "Axy", True),
        ("A??", "Ax", False),
        ("#", "only 5 words", True),
        ("OPS-1.2", "OPS-1x2", False),
    ],
)
def test_a_ticket_is_a_word_of_the_reason(pattern, reason, named):
    """`#` is a number, `?` a character, `*` any characters; nothing else is wild, and no other word holds the ticket."""
    assert tickets.named_in(pattern, reason) is named


@pytest.mark.parametrize("pattern", ["OPS-# |", "*", "**?", "- | OPS-#", "OPS #", "|".join(["A#"] * 21)])
def test_a_pattern_that_every_reason_or_none_would_satisfy_is_refused(pattern):
    """It would look like a rule and be none."""
    with pytest.raises(ValueError, match="has "):
        tickets.check(pattern)


def test_no_pattern_takes_long():
    """The reason is anybody's text and the pattern an administrator's: neither makes the other run away."""
    began = time.perf_counter()
    assert not tickets.named_in("#" * 100 + "*#" * 49 + "x", "1" * 2000)
    assert not tickets.named_in("*a" * 90 + "b", "a-" * 1000)
    assert time.perf_counter() - began < 2


@given(st.text("A#?*-", min_size=1, max_size=6), st.text("A1- ", max_size=8))
def test_named_is_what_the_definition_says(pattern, reason):
    """Compared with the definition, tried at every place."""
    assume("A" in pattern or "#" in pattern)

    def fits(rest, text):
        if not rest:
            return not text
        take = {"#": str.isdecimal, "?": lambda part: len(part) == 1 and part != " ", "*": lambda part: " " not in part}
        test = take.get(rest[0], lambda part: part == rest[0])
        return any(test(text[:n]) and fits(rest[1:], text[n:]) for n in range(len(text) + 1))

    def alone(begin, end):
        before, after = reason[:begin][-1:], reason[end:][:1]
        return not before.isalnum() and not after.isalnum()

    found = any(
        fits(pattern, reason[begin:end]) and alone(begin, end)
        for begin in range(len(reason) + 1)
        for end in range(begin, len(reason) + 1)
    )
    assert tickets.named_in(pattern, reason) is found
