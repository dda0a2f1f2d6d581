"""What holds for any record: nothing is lost or altered, what boto3 was given comes back, and there is always a verdict."""

from __future__ import annotations

import base64
import os
import random
from functools import cache

import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from approvals import canonical, trail_event
from approvals.errors import BadTrailEvent
from approvals.operations import catalog, reading, trail
from approvals.operations.resources import Where
from approvals.states import Completeness
from tests.approvals.operations import recorded

WHERE = Where("111122223333", "eu-west-1")
EXAMPLES = 50
# `make soak` asks for 100,000.
MUTANTS = int(os.environ.get("SOAK_RECORDS", "5000"))
seeds = st.integers(0, 2**32)


@cache
def operations():
    return [operation for service in recorded.SERVICES for operation in recorded.writes(service)]


@pytest.mark.parametrize("service", recorded.SERVICES)
def test_what_boto3_was_given_comes_back(service):
    """For every operation that writes: boto3's parameters, written as CloudTrail does, are read as exactly those parameters."""
    chance = random.Random(service)  # noqa: S311 - any parameters will do
    for operation in recorded.writes(service):
        call = recorded.parameters(chance, operation)
        written = recorded.written(chance, operation, call)
        found = trail.convert(operation, written, "", WHERE)
        assert found.parameters == call, (operation.full_name, written)
        assert not found.unknown, (operation.full_name, found.unknown)
        shape = operation.model.input_shape
        assert shape is not None
        assert not ParamValidator().validate(found.parameters, shape).has_errors()


@settings(max_examples=EXAMPLES, deadline=None)
@given(seeds)
def test_a_strange_key_beside_a_call_is_named_and_changes_nothing_else(seed):
    """What nobody knows is named as unknown, whatever it holds, and the rest of the call is read as if it were not there."""
    chance = random.Random(seed)  # noqa: S311 - any call will do
    for operation in chance.choices(operations(), k=10):
        call = recorded.parameters(chance, operation)
        written = recorded.written(chance, operation, call)
        clean = trail.convert(operation, written, "", WHERE)
        found = trail.convert(operation, written | {"unheardOf": {"a": [1]}}, "", WHERE)
        assert found.unknown == ("unheardOf",)
        assert (found.parameters, found.completeness) == (clean.parameters, Completeness.UNKNOWN)


@settings(max_examples=EXAMPLES, deadline=None)
@given(seeds)
def test_no_text_of_a_record_is_lost(seed):
    """Every text of a spoilt record stands in the parameters, or under a key that the conversion names as open."""
    chance = random.Random(seed)  # noqa: S311 - any call will do
    for operation in chance.choices(operations(), k=20):
        written = recorded.spoilt(chance, recorded.written(chance, operation, recorded.parameters(chance, operation)))
        if not isinstance(written, dict) or written.get("omitted") is True:
            continue
        found = trail.convert(operation, written, "", WHERE)
        kept = _haystack(found.parameters)
        named = (*found.unknown, *found.dropped)
        for path, text in _texts(written):
            under = any(path == name or path.startswith(f"{name}.") for name in named)
            assert text in kept or under or found.missing or found.redacted, (operation.full_name, path, text, found)


def _texts(value, path=""):
    """The texts of a record that are too long to be there by accident, with their paths."""
    if isinstance(value, dict):
        for key, item in value.items():
            shown = reading.printable(key)
            yield from _texts(item, f"{path}.{shown}" if path else shown)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{path}.{index}")
    elif isinstance(value, str) and len(value) >= 7 and set(value) <= set(recorded.ALPHABET):
        yield path, value


def _haystack(value):
    if isinstance(value, dict):
        return " ".join([*value, *map(_haystack, value.values())])
    if isinstance(value, list):
        return " ".join(map(_haystack, value))
    if isinstance(value, bytes):
        return f"{value.decode('latin-1')} {base64.b64encode(value).decode('ascii')}"
    return str(value)


def verdict(record):
    """What the feed does with a record, as far as a record alone decides it."""
    try:
        event = trail_event.from_record(record)
    except BadTrailEvent as refusal:
        return str(refusal)
    meant = catalog.all_of_event(event.event_source, event.event_name, event.request_parameters)
    found = [trail.convert(one, event.request_parameters, event.error_message, WHERE) for one in meant]
    assert all(one.why and one.completeness in Completeness and one.told() for one in found)
    return found


def written_down(conversion):
    """All that a draft keeps of a conversion, as the database has to take it."""
    return canonical.dumps(canonical.encode(conversion.parameters)) + conversion.told() + conversion.why


@settings(max_examples=EXAMPLES, deadline=None)
@given(seeds)
def test_every_spoilt_record_gets_a_verdict(seed):
    """Whatever is replaced, missing, repeated or buried in a record, it is refused with a reason or judged, never a crash.

    What is judged can be written down as a draft: a value that no plan can hold would put a denied call into quarantine.
    """
    chance = random.Random(seed)  # noqa: S311 - any call will do
    for operation in chance.choices(operations(), k=MUTANTS // EXAMPLES):
        call = recorded.written(chance, operation, recorded.parameters(chance, operation))
        record = recorded.record(operation, call)
        for _ in range(chance.randint(1, 4)):
            if chance.random() < 0.7 and isinstance(record, dict):
                record["requestParameters"] = recorded.spoilt(chance, record.get("requestParameters"))
            else:
                record = recorded.spoilt(chance, record)
        found = verdict(record)
        assert found is not None
        if not isinstance(found, str):
            assert all(canonical.is_storable(written_down(one)) for one in found)
