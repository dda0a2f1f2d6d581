"""Canonical JSON: equal values have equal bytes, and only one value has those bytes."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from approvals import canonical
from approvals.errors import BadCanonicalForm

texts = st.text(st.characters(exclude_categories=["Cs"]))
profile = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53 - 1), 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
moments = st.datetimes(timezones=st.just(UTC))
parameters = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts | st.binary(max_size=20) | moments
    | st.decimals(allow_nan=False, allow_infinity=False).filter(lambda d: not str(d).lstrip("-").isdigit()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@given(profile)
def test_the_text_is_that_of_rfc_8785(value):
    """Within the profile our text and the standard's reference are the same bytes."""
    assert canonical.dumps(value).encode() == rfc8785.dumps(value)


@given(profile)
def test_reading_gives_back_what_was_written(value):
    """loads is the inverse of dumps."""
    assert canonical.loads(canonical.dumps(value)) == value


@given(parameters)
def test_every_parameter_survives_its_tags(value):
    """decode(encode(x)) is x, type for type, through the text."""
    back = canonical.decode(canonical.loads(canonical.dumps(canonical.encode(value))))
    assert _typed(back) == _typed(value)


@given(parameters, parameters)
def test_two_values_never_share_their_bytes(one, other):
    """Equal text means equal values: a tag cannot be imitated by a person's own keys."""
    same = canonical.dumps(canonical.encode(one)) == canonical.dumps(canonical.encode(other))
    assert same == (_typed(one) == _typed(other))


@given(profile)
def test_a_persons_own_dollar_key_is_no_tag(value):
    """An object with one key `$bytes` that a person wrote comes back as that object."""
    mine = {"$bytes": value, "$": value}
    assert canonical.decode(canonical.encode({"$float": value})) == {"$float": value}
    assert canonical.decode(canonical.encode(mine)) == mine


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}', '{"a": 1}', '{"b":1,"a":2}', "1.0", "1e3", "NaN", "Infinity", "-Infinity", "9007199254740992",
        '"\\u0061"', '"\\/"', "[1,]", "", "nul", " 1", "1 ", '{"a":{"b":1,"b":2}}', "[" * 100 + "]" * 100,
        '"\\ud800"', "-0", "01",
    ],
)  # fmt: skip
def test_a_text_with_a_second_reading_is_refused(text):
    """Duplicate keys, white space, floats, other escapes, lone surrogates: none of them is canonical."""
    with pytest.raises(BadCanonicalForm):
        canonical.loads(text)


@pytest.mark.parametrize(
    "value", [1.5, 2**53, -(2**53), {1: 2}, {"a": b"x"}, object(), "\ud800", {"\ud800": 1}, (1,), [{"a": math.nan}]]
)
def test_what_the_profile_has_no_word_for_is_refused(value):
    """dumps takes nothing outside the profile; tags are made by encode alone."""
    with pytest.raises(BadCanonicalForm):
        canonical.dumps(value)


@pytest.mark.parametrize(
    "value",
    [
        {"$float": "x"},
        {"$bytes": "%"},
        {"$timestamp": "today"},
        {"$secret": "x"},
        {"$float": 1},
        {"a": 1, "$b": 2},
        {"$decimal": "x"},
    ],
)
def test_an_unknown_or_broken_tag_is_refused(value):
    """A tag that means nothing is no value."""
    with pytest.raises(BadCanonicalForm):
        canonical.decode(value)


def test_a_timestamp_without_a_zone_is_refused():
    """Nobody can sign an instant that is not one."""
    with pytest.raises(BadCanonicalForm, match="time zone"):
        canonical.encode(datetime(2026, 11, 23))  # noqa: DTZ001 - that is the point


def _typed(value):
    """The value with its types, so that 1, True and 1.0 differ."""
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    if isinstance(value, float | Decimal):
        return type(value).__name__, repr(value)
    return type(value).__name__, value
