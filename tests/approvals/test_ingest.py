"""The feed's judgement: every message is accounted for, and becomes what it should."""

from __future__ import annotations

import random
import threading
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from approvals import ingest
from approvals.ingest import Message
from approvals.models import (
    Alert,
    ApprovalRequest,
    Execution,
    FeedBatch,
    OutboxMessage,
    Principal,
    QuarantinedMessage,
    TrailRecord,
)
from tests.cast import ACCOUNT, envelope, table_arn, trail_record


def take(*records, **changes):
    return ingest.ingest([Message(str(uuid4()), envelope(record, **changes)) for record in records])


def test_a_batch_with_bad_messages_goes_on(cast):
    """Bad messages are quarantined with their reasons; the rest of the batch becomes what it is."""
    batch = ingest.ingest(
        [
            Message("1", "junk"),
            Message("2", "x" * (1024 * 1024 + 1)),
            Message("3", "{}"),
            Message("4", envelope({"eventName": "DeleteTable"})),
            Message("5", envelope(trail_record())),
        ]
    )
    assert batch.fates == {"quarantined": 4, "requests": 1}
    assert QuarantinedMessage.objects.count() == 4
    assert QuarantinedMessage.objects.get(message_id="2").size == 1024 * 1024 + 1
    assert len(QuarantinedMessage.objects.get(message_id="2").body) == 64 * 1024


def test_each_event_a_hundred_times_in_any_order_makes_one_request(cast):
    """I5: duplicates and reordering make one request for each event."""
    records = [trail_record(table=f"prod-{n}") for n in range(3)]
    messages = [Message(str(n), envelope(record)) for n, record in enumerate(records * 100)]
    random.Random(7).shuffle(messages)  # noqa: S311 - any order will do
    for start in range(0, len(messages), 10):
        ingest.ingest(messages[start : start + 10])
    assert ApprovalRequest.objects.count() == 3
    assert sum(TrailRecord.objects.values_list("duplicates", flat=True)) == 297
    assert sum(FeedBatch.objects.values_list("received", flat=True)) == 300


def test_two_feeds_with_the_same_events_make_one_request_each(cloned_database, cast):
    """Four threads take the same twenty events at once: twenty requests, everything accounted for."""
    bodies = [envelope(trail_record(table=f"prod-{n}")) for n in range(20)]
    failures = []

    def feed(seed):
        try:
            mine = bodies[:]
            random.Random(seed).shuffle(mine)  # noqa: S311 - any order will do
            for start in range(0, 20, 5):
                ingest.ingest([Message(str(uuid4()), body) for body in mine[start : start + 5]])
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must see it
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=feed, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not [failure for failure in failures if "deadlock" not in str(failure)], failures
    for failure in failures:
        # A deadlock rolls one whole batch back; the queue delivers it again.
        assert "deadlock" in str(failure)
    ingest.ingest([Message(str(uuid4()), body) for body in bodies])
    assert ApprovalRequest.objects.count() == 20
    assert not QuarantinedMessage.objects.exists()


def test_the_same_call_denied_again_counts_as_a_repeat(cast):
    """A person who tries three times finds one draft."""
    for _ in range(3):
        take(trail_record())
    assert ApprovalRequest.objects.get().repeats == 2
    assert OutboxMessage.objects.filter(topic="request.drafted").count() == 1


def test_a_call_denied_again_while_its_approval_waits_is_a_repeat(cast):
    """In a hold, or before a window opens, the request is still to come; once carried out, a denial asks for something new."""
    request = cast.denied_event()
    cast.sign_review(cast.sign_confirm(request))
    take(trail_record())
    request.refresh_from_db()
    assert (request.state, request.repeats, ApprovalRequest.objects.count()) == ("approved", 1, 1)
    Execution.objects.update(state="claimed")
    Execution.objects.update(state="running")
    Execution.objects.update(state="succeeded")
    take(trail_record())
    assert ApprovalRequest.objects.count() == 2


def test_after_the_draft_has_ended_a_new_denial_is_a_new_request(cast):
    """Repeats merge into what is open only."""
    from approvals import decisions

    take(trail_record())
    decisions.withdraw(ApprovalRequest.objects.get().pk, cast.person("alice"))
    take(trail_record())
    assert ApprovalRequest.objects.count() == 2


@pytest.mark.parametrize(
    ("changes", "fate"),
    [
        ({}, "requests"),
        ({"denied": False}, "alerts"),
        ({"table": "staging-orders"}, "ignored"),
        ({"table": "staging-orders", "denied": False}, "ignored"),
        ({"operation": "CreateTable"}, "ignored"),
        ({"eventSource": "rds.amazonaws.com"}, "ignored"),
        ({"recipientAccountId": "999999999999", "userIdentity": {"type": "IAMUser", "arn": "x"}}, "ignored"),
        ({"readOnly": True}, "requests"),
        ({"readOnly": True, "denied": False}, "alerts"),
        ({"errorCode": "ResourceInUseException", "errorMessage": "the table is being changed"}, "harmless"),
        ({"errorCode": "InvalidParameterValueException"}, "requests"),
        ({"denied": False, "errorCode": "InternalServerError"}, "alerts"),
        ({"denied": False, "table": table_arn("prod-orders")}, "alerts"),
        ({"denied": False, "table": table_arn("staging-orders")}, "ignored"),
        ({"denied": False, "table": table_arn("prod-orders").replace("eu-west-1", "us-east-1")}, "alerts"),
        ({"denied": False, "table": table_arn("prod-orders").replace("111122223333", "999999999999")}, "alerts"),
        ({"denied": False, "table": "****"}, "alerts"),
        ({"denied": False, "table": "HIDDEN_DUE_TO_SECURITY_REASONS"}, "alerts"),
        ({"denied": False, "table": None}, "alerts"),
        ({"denied": False, "table": ["prod-orders"]}, "alerts"),
        ({"userIdentity": {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}}, "alerts"),
        ({"userIdentity": {"type": "AWSService", "invokedBy": "backup.amazonaws.com"}}, "harmless"),
        ({"errorMessage": "a wording that nobody knows"}, "requests"),
    ],
)
def test_what_becomes_of_an_event(cast, changes, fate):
    """Denied, succeeded, unprotected, unknown, root, service: each has its one fate."""
    record = trail_record(**changes)
    batch = take(record, account=record["recipientAccountId"])
    assert batch.fates == {fate: 1}


def test_a_record_that_borrows_an_id_hides_nothing(cast):
    """Whoever sends a harmless record first under the real event's id only adds an alert; the real one is judged as well."""
    real = trail_record(user="mallory", denied=False)
    take(real | {"errorCode": "ValidationException"})
    take(real)
    assert sorted(Alert.objects.values_list("kind", flat=True)) == ["bypass", "conflict"]
    take(dict(reversed(real.items())))
    assert Alert.objects.count() == 2


def test_a_denial_is_not_swallowed_by_a_draft_whose_clock_is_over(cast):
    """Before the sweep has ended the old draft, a new denial already opens a new one."""
    from datetime import timedelta

    from django.utils import timezone

    later = timezone.now() + timedelta(days=8)
    take(trail_record())
    ingest.ingest([Message("x", envelope(trail_record()))], now=later)
    assert ApprovalRequest.objects.filter(draft_until__gt=later).count() == 1


@pytest.mark.parametrize("depth", [70, 400, 600, 900])
def test_a_message_that_is_too_deep_is_quarantined_and_its_neighbours_go_on(cast, depth):
    """What would exhaust a reader's stack is refused by its depth."""
    deep = envelope(trail_record(denied=False)).replace('"prod-orders"', "[" * depth + "]" * depth)
    batch = ingest.ingest([Message("1", deep), Message("2", envelope(trail_record(denied=False, user="mallory")))])
    assert batch.fates == {"quarantined": 1, "alerts": 1}


def test_a_success_outside_the_portal_is_a_bypass(cast):
    """I13: mallory deletes a protected table with stolen keys, and administrators are told once."""
    record = trail_record(table="prod-customers", user="mallory", denied=False)
    take(record)
    take(record)
    alert = Alert.objects.get()
    assert alert.kind == "bypass"
    assert "mallory" in alert.detail
    assert OutboxMessage.objects.filter(topic="alert.raised").count() == 1


def test_the_executors_calls_wait_for_their_proof(cast):
    """A call of the executor's role is neither a request nor a bypass before its attempt was looked for."""
    from executor.sandbox.world import DEMO

    identity = {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/CountersignExecutor/x",
        "accountId": ACCOUNT,
        "sessionContext": {"sessionIssuer": {"arn": DEMO.executor_role_arn}, "sourceIdentity": str(uuid4())},
    }
    assert take(trail_record(denied=False, userIdentity=identity)).fates == {"executor": 1}
    assert OutboxMessage.objects.filter(kind="prove").count() == 1


def test_an_unmapped_principal_makes_a_draft_that_stands_for_nobody(cast):
    """Who made the call is not guessed; without a person there is nobody to tell."""
    take(trail_record(user="stranger"))
    request = ApprovalRequest.objects.get()
    assert request.requester is None
    assert request.principal.endswith("user/stranger")
    assert not OutboxMessage.objects.filter(kind="notify").exists()


def test_a_principal_of_an_inactive_person_stands_for_nobody(cast):
    """A person who was switched off asks for nothing."""
    person = Principal.objects.get(value__endswith="user/alice").person
    person.is_active = False
    person.save()
    take(trail_record())
    assert ApprovalRequest.objects.get().requester is None


def test_an_account_of_a_batch_that_does_not_add_up_is_refused(cast):
    """I6: the database itself holds that every message has exactly one fate."""
    from django.utils import timezone

    with pytest.raises(IntegrityError), transaction.atomic():
        FeedBatch.objects.create(at=timezone.now(), received=3, requests=1, quarantined=1)


UNSTORABLE = ["a\0b", "\ud800", "a\udfffb"]


@pytest.mark.parametrize("text", UNSTORABLE, ids=ascii)
@pytest.mark.parametrize("key", ["billingMode", "streamSpecification", "tableName"])
def test_a_parameter_that_cannot_be_stored_is_left_open_in_a_draft(cast, key, text):
    """Whoever makes a denied call chooses its parameters: a NUL or half a surrogate in one must not keep it from people."""
    recorded = {"tableName": "prod-orders", key: {"streamViewType": text} if key == "streamSpecification" else text}
    assert take(trail_record("UpdateTable", requestParameters=recorded)).fates == {"requests": 1}
    request = ApprovalRequest.objects.get()
    assert key.lower() in request.current_revision().why.lower()
    assert not request.current_revision().digest


@pytest.mark.parametrize("text", UNSTORABLE, ids=ascii)
def test_a_key_that_cannot_be_stored_is_named_as_unknown(cast, text):
    """A key that nobody knows is shown with escapes for what cannot be stored."""
    recorded = {"tableName": "prod-orders", f"key{text}": 1}
    assert take(trail_record("UpdateTable", requestParameters=recorded)).fates == {"requests": 1}
    assert "key" in ApprovalRequest.objects.get().current_revision().why


@pytest.mark.parametrize("text", [*UNSTORABLE, "x" * 10_000], ids=lambda text: ascii(text)[:12])
@pytest.mark.parametrize("key", ["userAgent", "sourceIPAddress", "errorMessage"])
def test_what_a_caller_says_of_itself_hides_nothing(cast, key, text):
    """No user agent, address or message, whatever it holds and however long it is, keeps a bypass from being an alert."""
    record = trail_record(denied=False) | {key: text}
    assert take(record).fates == {"alerts": 1}
    assert Alert.objects.get().kind == "bypass"


def test_one_poisonous_message_does_not_take_its_neighbours_with_it(cast):
    """What breaks the database (a lone surrogate) is taken alone and quarantined; the others become what they are."""
    poison = envelope(trail_record(table="prod-x")).replace("aws-cli/2.31", "\\ud800")
    poison = poison.replace('"sourceIPAddress": "192.0.2.7"', '"sourceIPAddress": "\\ud800"')
    arn = poison.replace("user/alice", "user/\\ud800")
    batch = ingest.ingest(
        [Message("1", envelope(trail_record())), Message("2", arn), Message("3", envelope(trail_record(table="prod-y")))]
    )
    assert batch.received == 3
    assert batch.fates == {"requests": 2, "quarantined": 1}


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    changes=st.dictionaries(
        st.sampled_from([key for key in trail_record() if key != "eventID"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.dictionaries(st.text(), st.text()),
        max_size=3,
    )
)
def test_whatever_comes_every_message_is_accounted_for(cast, changes):
    """N in = N accounted, for any mutation of a record."""
    batch = ingest.ingest(
        [Message("1", envelope(trail_record() | changes)), Message("2", envelope(trail_record(table="prod-z")))]
    )
    assert batch.received == sum(batch.fates.values()) == 2
