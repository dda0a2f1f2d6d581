"""CloudTrail records in the shapes that people have them: every one is found, and what is none is said with its place."""

from __future__ import annotations

import gzip
import io
import json

from hypothesis import given
from hypothesis import strategies as st

from approvals import trail_files
from approvals.trail_files import Found, Unreadable


def read(data: bytes) -> list[Found | Unreadable]:
    return list(trail_files.read(io.BufferedReader(io.BytesIO(data)), "f"))


def values(data: bytes) -> list[object]:
    found = read(data)
    assert all(isinstance(one, Found) for one in found), found
    return [one.value for one in found if isinstance(one, Found)]


RECORDS = st.lists(
    st.fixed_dictionaries(
        {"eventName": st.text(max_size=8), "requestParameters": st.none() | st.dictionaries(st.text(), st.text())}
    ),
    min_size=1,
    max_size=4,
)
WRAPPED = {
    "bare": lambda record: record,
    "record": lambda record: {"path": "a.json", "record": record},
    "envelope": lambda record: {"version": "0", "detail-type": "AWS API Call via CloudTrail", "detail": record},
}


@given(RECORDS, st.sampled_from(sorted(WRAPPED)), st.booleans(), st.sampled_from([None, 2]), st.booleans())
def test_every_wrapping_gives_the_same_records(records, wrapping, lines, indent, packed):
    """Bare, wrapped or in an envelope, a line each or indented, packed or not: the records are the same and in order."""
    wrapped = [WRAPPED[wrapping](record) for record in records]
    text = "\n".join(json.dumps(one, indent=None if lines else indent) for one in wrapped)
    data = text.encode()
    assert values(gzip.compress(data) if packed else data) == records


@given(RECORDS, st.sampled_from([None, 1]), st.booleans())
def test_a_log_file_and_a_list_give_their_records(records, indent, listed):
    """`{"Records": [...]}`, CloudTrail's own form, and a plain list give each record."""
    assert values(json.dumps(records if listed else {"Records": records}, indent=indent).encode()) == records


@given(st.binary(max_size=200))
def test_no_bytes_raise(data):
    """Whatever the bytes are, each thing in them comes out as found or as unreadable."""
    assert all(isinstance(one, Found | Unreadable) for one in read(data))


def test_a_bad_line_hides_nothing_behind_it():
    """A broken line is named with its number, and the lines behind it are read."""
    good = json.dumps({"eventName": "A"}).encode()
    found = read(good + b"\n{broken\n\n" + good + b"\n")
    assert [type(one) for one in found] == [Found, Unreadable, Found]
    assert found[1].place == "f, line 2"
    first_bad = read(b"{broken\n" + good)
    assert [type(one) for one in first_bad] == [Unreadable, Found]


def test_a_broken_gzip_stream_says_so():
    """What could be unpacked is read; that the rest is missing is said."""
    whole = gzip.compress(b"\n".join(json.dumps({"eventName": str(number)}).encode() for number in range(20_000)))
    found = read(whole[: len(whole) // 2])
    assert isinstance(found[-1], Unreadable)
    assert "gzip" in found[-1].why


def test_an_empty_file_holds_nothing():
    """Nothing in, nothing out."""
    assert read(b"") == read(b"\n \n") == []


def test_deep_nesting_is_unreadable_not_a_crash():
    """A document that is made to exhaust the reader is unreadable."""
    deep = b"[" * 100_000
    assert all(isinstance(one, Unreadable) for one in read(deep))
    assert all(isinstance(one, Unreadable) for one in read(deep + b"\n{}\n")[:1])
