from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.sandbox.patterns import MissingVariableError, arn_matches, filled, glob, matches, overlaps

ALPHABET = st.text(alphabet="ab*?:/$", max_size=8)


def reference_glob(pattern: str, value: str) -> bool:
    """The definition, character by character: `*` takes none or one and stays, `?` takes one."""
    if not pattern:
        return not value
    if pattern[0] == "*":
        return reference_glob(pattern[1:], value) or (bool(value) and reference_glob(pattern, value[1:]))
    return bool(value) and pattern[0] in ("?", value[0]) and reference_glob(pattern[1:], value[1:])


@given(ALPHABET, ALPHABET)
def test_the_matcher_is_the_definition_of_wildcards(pattern: str, value: str) -> None:
    """A pattern matches exactly what its definition says, whatever it is made of."""
    assert glob(pattern, value) is reference_glob(pattern, value)


SHORT = st.text(alphabet="ab*?", max_size=3)
# Two patterns of three characters that have a value in common have one of six or fewer.
VALUES = ["".join(letters) for length in range(7) for letters in product("ab", repeat=length)]


@given(SHORT, SHORT)
def test_two_patterns_overlap_exactly_when_a_value_matches_both(one: str, other: str) -> None:
    """Whether patterns overlap is what trying every value says."""
    tried = any(reference_glob(one, value) and reference_glob(other, value) for value in VALUES)
    assert overlaps(one, other, {}) is overlaps(other, one, {}) is tried


@pytest.mark.parametrize(
    ("pattern", "expected"), [("home/${aws:username}", True), ("home/${aws:PrincipalTag/x}", False), ("home/${*}x", False)]
)
def test_an_overlap_fills_in_variables_first(pattern: str, expected: bool) -> None:
    """A variable's value is literal in an overlap too, and one without a value overlaps with nothing."""
    assert overlaps(pattern, "home/a*", {"aws:username": ("alice",)}) is expected


@given(st.text(max_size=20))
def test_a_value_matches_itself_when_it_has_no_wildcards(value: str) -> None:
    """Characters that mean something in regular expressions mean nothing in a policy."""
    assert glob(value.replace("*", "").replace("?", ""), value.replace("*", "").replace("?", ""))


@pytest.mark.parametrize(
    ("pattern", "value", "expected"),
    [
        ("arn:aws:dynamodb:*:111122223333:table/prod-*", "arn:aws:dynamodb:eu-west-1:111122223333:table/prod-orders", True),
        ("arn:aws:dynamodb:*:111122223333:table/prod-*", "arn:aws:dynamodb:eu-west-1:111122223333:table/staging", False),
        ("arn:aws:dynamodb:*:*:table/PROD-*", "arn:aws:dynamodb:eu-west-1:111122223333:table/prod-orders", False),
        ("arn:aws:s3:::*", "arn:aws:s3:::bucket/key:with:colons\nand lines", True),
    ],
)
def test_resources_are_matched_with_case(pattern: str, value: str, expected: bool) -> None:
    """A resource pattern distinguishes case, and a star at its end takes everything."""
    assert matches(pattern, value, {}) is expected


def test_an_arn_condition_stays_within_its_parts() -> None:
    """ArnLike matches each of the six parts by itself: a star never reaches over a colon (IAM User Guide)."""
    arn = "arn:aws:sns:eu-west-1:111122223333:topic"
    assert arn_matches("arn:aws:sns:*:111122223333:*", arn, {})
    assert arn_matches("arn:aws:sns:*:111122223333:top*", "arn:aws:sns:eu-west-1:111122223333:topic:with:more", {})
    assert not arn_matches("arn:aws:*:topic", arn, {})
    assert not arn_matches("arn:aws:sns:*:999988887777:*", arn, {})


def test_a_variable_is_filled_in_and_its_value_is_no_pattern() -> None:
    """`${aws:username}` stands for the name, and a name with a star in it matches only itself."""
    context = {"aws:username": ("a*",)}
    assert matches("arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/a*/file", context)
    assert not matches("arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/alice/file", context)


def test_a_variable_without_a_value_matches_nothing_unless_it_has_a_default() -> None:
    """A missing variable makes the element not match; `${key, 'default'}` is used instead where it is given."""
    assert not matches("home/${aws:username}", "home/", {})
    assert matches("home/${aws:username, 'anybody'}", "home/anybody", {})
    with pytest.raises(MissingVariableError):
        filled("${aws:username}", {})


@pytest.mark.parametrize("character", ["*", "?", "$"])
def test_special_characters_can_be_written_as_variables(character: str) -> None:
    """`${*}`, `${?}` and `${$}` are the characters themselves."""
    assert matches(f"a${{{character}}}b", f"a{character}b", {})
    assert not matches("a${*}b", "axxb", {})
