"""Reading queue messages: every byte string is a record or a refusal with its reason."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals import trail_event
from approvals.errors import BadTrailEvent
from approvals.trail_event import Outcome
from tests.cast import ACCOUNT, envelope, trail_record

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.text() | st.binary() | json_values.map(json.dumps))
def test_no_message_breaks_the_reader(body):
    """Whatever comes, the answer is a record or BadTrailEvent."""
    with pytest.raises(BadTrailEvent):
        trail_event.from_message(body)


@given(
    st.dictionaries(st.sampled_from(list(trail_record())), json_values, max_size=3),
    st.sets(st.sampled_from(list(trail_record()))),
)
def test_no_mutated_record_breaks_the_reader(changes, without):
    """Members replaced by anything or missing: a typed record or BadTrailEvent, never another exception."""
    record = {key: value for key, value in (trail_record() | changes).items() if key not in without}
    try:
        event = trail_event.from_message(json.dumps({"detail-type": trail_event.DETAIL_TYPE, "detail": record}))
    except BadTrailEvent:
        return
    assert isinstance(event.event_id, str)
    assert len(event.account) == 12
    assert event.outcome in Outcome


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("junk", "no JSON"),
        ("{}", "no EventBridge envelope"),
        ("[]", "no EventBridge envelope"),
        (json.dumps({"detail-type": "Scheduled Event", "detail": {}}), "of type 'Scheduled Event'"),
        (json.dumps({"detail-type": trail_event.DETAIL_TYPE, "detail": []}), "not an object"),
        (json.dumps({"detail-type": trail_event.DETAIL_TYPE, "detail": {}}), "lacks eventID"),
        ("x" * (1024 * 1024 + 1), "bytes; the most that is read"),
        ('{"detail-type":"a","detail-type":"b","detail":{}}', "twice"),
        (envelope(trail_record(), account="999999999999"), "envelope is of account '999999999999'"),
        (envelope(trail_record(eventTime="yesterday")), "eventTime"),
        (envelope(trail_record(userIdentity="root")), "userIdentity"),
        (envelope(trail_record(requestParameters=[1])), "requestParameters"),
        (envelope(trail_record(eventName="x" * 500)), "500 characters"),
        (envelope(trail_record(eventName="a\0b")), "NUL"),
        (envelope(trail_record(recipientAccountId="12")), "12 digits"),
        ("NaN", "no JSON"),
    ],
)
def test_each_kind_of_bad_message_has_its_own_reason(body, says):
    """The quarantine says what is wrong with it."""
    with pytest.raises(BadTrailEvent, match=says):
        trail_event.from_message(body)


def test_a_message_of_exactly_one_mebibyte_is_read():
    """The cap is on what is over 1 MiB."""
    body = envelope(trail_record(userAgent="x"))
    padded = body[:-1] + " " * (1024 * 1024 - len(body)) + "}"
    assert trail_event.from_message(padded).event_name == "DeleteTable"


@pytest.mark.parametrize(
    ("identity", "principals"),
    [
        ({"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/alice"}, [("iam_user", f"arn:aws:iam::{ACCOUNT}:user/alice")]),
        ({"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root"}, []),
        ({"type": "AWSService", "invokedBy": "backup.amazonaws.com"}, []),
        ({"type": "IAMUser", "arn": "arn", "invokedBy": "cloudformation.amazonaws.com"}, []),
        ({"type": "IAMUser", "arn": "arn", "invokedBy": "signin.amazonaws.com"}, [("iam_user", "arn")]),
        (
            {
                "type": "AssumedRole",
                "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/dev/alice",
                "sessionContext": {"sessionIssuer": {"arn": f"arn:aws:iam::{ACCOUNT}:role/dev"}},
            },
            [("role", f"arn:aws:iam::{ACCOUNT}:role/dev")],
        ),
        (
            {
                "type": "AssumedRole",
                "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/dev/x",
                "sessionContext": {
                    "sourceIdentity": "alice@example.com",
                    "sessionIssuer": {"arn": f"arn:aws:iam::{ACCOUNT}:role/dev"},
                },
            },
            [("source_identity", "alice@example.com"), ("role", f"arn:aws:iam::{ACCOUNT}:role/dev")],
        ),
        (
            {
                "type": "AssumedRole",
                "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Dev_1/alice@example.com",
                "sessionContext": {
                    "sessionIssuer": {
                        "arn": f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Dev_1"
                    }
                },
            },
            [("sso_user", "alice@example.com")],
        ),
        (
            {
                "type": "AssumedRole",
                "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Dev_1/alice@example.com",
                "sessionContext": {"sessionIssuer": {"arn": f"arn:aws:iam::{ACCOUNT}:role/AWSReservedSSO_Dev_1"}},
            },
            [("role", f"arn:aws:iam::{ACCOUNT}:role/AWSReservedSSO_Dev_1")],
        ),
    ],
    ids=["user", "root", "service", "for-a-service", "console", "role", "source-identity", "sso", "sso-look-alike"],
)
def test_only_what_cannot_be_chosen_by_the_caller_names_the_human(identity, principals):
    """A session name is trusted for Identity Center's own roles alone; a role that only looks like one stays unmapped."""
    event = trail_event.from_record(trail_record(userIdentity=identity | {"accountId": ACCOUNT}))
    assert list(event.caller.principals()) == principals


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (None, Outcome.SUCCEEDED),
        ("AccessDenied", Outcome.DENIED),
        ("AccessDeniedException", Outcome.DENIED),
        ("Client.UnauthorizedOperation", Outcome.DENIED),
        ("Client.DryRunOperation", Outcome.FAILED),
        ("ResourceNotFoundException", Outcome.FAILED),
    ],
)
def test_a_dry_run_is_no_denial(code, outcome):
    """Denials are the codes that AWS uses for them, nothing else."""
    assert trail_event.from_record(trail_record(denied=False, errorCode=code)).outcome is outcome


hostile_texts = st.one_of(
    json_values.map(json.dumps),
    json_values.map(lambda value: json.dumps({"a": value, "b": [value]}, ensure_ascii=False, separators=(",", ":"))),
    st.sampled_from(
        [
            '{"a":1,"a":2}',
            '{"a":{"b":1,"\\u0062":"\\u0022\\u0022"}}',
            '{"a":12345678901234567890123}',
            "[18446744073709551616,-9223372036854775809]",
            "-9223372036854775809",
            '{"a":1e999}',
            '{"a":NaN}',
            '{"a":"\\ud800"}',
            '{"a":1.0E22,"b":[1e22]}',
            "null",
            "\ufeff{}",
            "[" * 70 + "]" * 70,
        ]
    ),
)


@given(hostile_texts)
def test_the_quick_reading_is_the_strict_one_or_none(text):
    """Repeated keys, large numbers, half surrogates, depth: what is read quickly is exactly what the strict reader says."""
    try:
        strict = trail_event._json(text)
    except BadTrailEvent:
        strict = None
    try:
        quick = trail_event._quickly(text.encode("utf-8", "surrogatepass"))
    except BadTrailEvent:
        quick = None
    assert quick is None or (repr(quick) == repr(strict))


def test_the_text_of_a_record_is_what_came():
    """`raw` holds every member, and the digest does not depend on their order."""
    record = trail_record()
    event, other = trail_event.from_record(record), trail_event.from_record(dict(reversed(record.items())))
    assert json.loads(event.raw) == record
    assert event.sha256 == other.sha256 == trail_event.from_message(envelope(record)).sha256
