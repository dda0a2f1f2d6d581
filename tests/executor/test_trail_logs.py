"""CloudTrail's log files: read for a call whose outcome is not known, bounded, and taken in by the one door."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from moto.s3.models import s3_backends

from approvals.models import Execution, Look, OutboxMessage, Proof, TrailRecord
from executor import delivery, looks, reconcile, tasks, trail_logs
from executor.sandbox.world import DEMO
from tests.executor.proxy import Wire
from tests.executor.stage import QUICK, Stage, attempts, fresh
from tests.executor.test_evidence import lose_what_is_queued


@pytest.fixture(autouse=True)
def _bucket(settings: Any) -> None:
    settings.TRAIL_BUCKET, settings.TRAIL_PREFIX, settings.TRAIL_REGION = DEMO.trail_bucket, DEMO.trail_prefix, ""
    trail_logs._read.clear()


def lost(stage: Stage) -> Execution:
    """The call was made, its worker was lost, and EventBridge dropped the event."""
    execution = stage.cast.approved()
    stage.killed_at("called")
    lose_what_is_queued(stage)
    stage.sweep()
    assert fresh(execution).state == "unknown"
    return execution


def read(stage: Stage) -> str:
    """The feed's task, whose queue stays empty, reads log files; what it said of them."""
    stage.lapse()
    with stage.acting("feed"):
        tasks.poll_queue()
    return Look.objects.get(source="logs").said


def put(key: str, content: bytes) -> None:
    s3_backends[DEMO.account][DEMO.partition].put_object(DEMO.trail_bucket, key, content)


def key_of(moment: datetime, name: str = "x") -> str:
    place = f"{DEMO.trail_prefix}{DEMO.account}/CloudTrail/{DEMO.region}/{moment:%Y/%m/%d}"
    return f"{place}/{DEMO.account}_CloudTrail_{DEMO.region}_{moment:%Y%m%dT%H%MZ}_{name}.json.gz"


def test_a_record_in_a_log_file_settles_what_was_unknown(stage: Stage) -> None:
    """EventBridge dropped the event; the log file has it: taken in by the feed, it proves the call, and the outcome is known."""
    execution = lost(stage)
    stage.aws.write_log_files()
    assert "2 records of this call's session" in read(stage)
    with stage.acting("delivery"):
        delivery.drain()
    stage.sweep()
    assert (fresh(execution).state, attempts(execution), len(stage.calls())) == ("succeeded", ["succeeded"], 1)
    assert Proof.objects.get().attempt.execution == execution
    assert "CloudTrail event" in fresh(execution).outcome


def test_log_files_and_events_make_one_record(stage: Stage) -> None:
    """The event came by the queue as well: it is the same record, told apart by its id, and proves one attempt once."""
    execution = stage.cast.approved()
    stage.killed_at("called")
    stage.sweep()
    stage.aws.write_log_files()
    read(stage)
    stage.poll()
    call = stage.calls()[0]
    assert TrailRecord.objects.filter(event_id=call["eventID"]).count() == 1
    assert fresh(execution).state == "unknown"
    assert "conflict" not in stage.alerts()


def test_silence_of_the_log_files_proves_nothing(stage: Stage) -> None:
    """No file holds the call: the page says how many were read, and the outcome stays unknown."""
    execution = lost(stage)
    now = datetime.now(UTC)
    put(key_of(now), gzip.compress(json.dumps({"Records": []}).encode()))
    said = read(stage)
    assert said.startswith("1 new files")
    assert "no records of this call" in said
    assert fresh(execution).state == "unknown"


def test_each_file_is_read_once(stage: Stage) -> None:
    """The next round reads what is new."""
    lost(stage)
    put(key_of(datetime.now(UTC)), gzip.compress(b'{"Records": []}'))
    assert read(stage).startswith("1 new files")
    again(stage)
    assert read(stage).startswith("0 new files")
    put(key_of(datetime.now(UTC), "y"), gzip.compress(b'{"Records": []}'))
    again(stage)
    assert read(stage).startswith("1 new files")


def again(stage: Stage) -> None:
    stage.sql("UPDATE approvals_look SET looked_at = looked_at - interval '1 hour'")
    stage.lapse()
    with stage.acting("execution"):
        reconcile.sweep(patience=QUICK)


@pytest.mark.parametrize(
    "content",
    [b"no gzip at all", gzip.compress(b"{}")[:-9], gzip.compress(b"\0" * 2_000_000)],
    ids=["no gzip", "cut off", "a bomb"],
)
def test_what_is_no_log_file_is_skipped(stage: Stage, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """A file that is broken, or unpacks to more than a log file holds, is passed over and named; the next one is read."""
    monkeypatch.setattr(trail_logs, "LARGEST_PLAIN", 1_000_000)
    execution = lost(stage)
    put(key_of(datetime.now(UTC) - timedelta(minutes=2), "aaa"), content)
    stage.aws.write_log_files()
    said = read(stage)
    assert "1 could not be read" in said
    assert "2 records of this call's session" in said
    assert fresh(execution).state == "unknown"
    # While it is there, nobody has looked at all there is: the record of the call may lie in it.
    assert not looks.came_after(execution.pk, Look.Source.LOGS, timezone.now() - timedelta(hours=1))
    again(stage)
    assert "1 could not be read" in read(stage)


@pytest.mark.parametrize("fault", ["truncated after", "reset in the answer after", "close after"])
def test_a_file_that_was_cut_on_its_way_is_read_again(stage: Stage, fault: str) -> None:
    """What came is less than what lies there: nothing was looked at whole, and the record is found once all of it comes."""
    execution = lost(stage)
    stage.aws.write_log_files()
    with Wire(stage.aws.endpoint_url, f"GET /{DEMO.trail_bucket}/*", fault, times=3) as wire:
        stage.endpoint = wire.url
        read(stage)
        stage.endpoint = ""
    assert wire.received
    assert not looks.came_after(execution.pk, Look.Source.LOGS, timezone.now() - timedelta(hours=1))
    stage.sql("UPDATE approvals_outboxmessage SET due_at = now() WHERE kind = 'logs'")
    assert "2 records of this call's session" in read(stage)
    with stage.acting("delivery"):
        delivery.drain()
    assert Proof.objects.get().attempt.execution == execution


def test_files_from_before_the_call_are_not_read(stage: Stage) -> None:
    """A log file of an hour ago cannot hold the call."""
    lost(stage)
    put(key_of(datetime.now(UTC) - timedelta(hours=1)), gzip.compress(b'{"Records": []}'))
    assert read(stage).startswith("0 new files")


def test_a_round_reads_so_many_files(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, one round ends; the rest is said, and read next."""
    monkeypatch.setattr(trail_logs, "MOST_FILES", 2)
    lost(stage)
    for number in range(3):
        put(key_of(datetime.now(UTC), str(number)), gzip.compress(b'{"Records": []}'))
    assert "More are there" in read(stage)
    again(stage)
    assert read(stage).startswith("1 new files")


def test_a_record_of_another_session_is_left_alone(stage: Stage) -> None:
    """A record of the same source identity under another access key is not handed on for this call."""
    lost(stage)
    call = stage.calls()[0]
    other = call | {"userIdentity": call["userIdentity"] | {"accessKeyId": "ASIAANOTHER"}, "eventID": "another"}
    put(key_of(datetime.now(UTC)), gzip.compress(json.dumps({"Records": [other]}).encode()))
    assert "no records of this call" in read(stage)
    assert not TrailRecord.objects.filter(event_id="another").exists()


def test_a_bucket_that_cannot_be_read_is_said(stage: Stage, settings: Any) -> None:
    """The promise stays, the page says why, and nothing else waits for it."""
    settings.TRAIL_BUCKET = "somebody-elses-bucket"
    lost(stage)
    assert "could not be read" in read(stage)
    assert OutboxMessage.objects.filter(kind="logs", done_at=None).count() == 1


def test_without_a_bucket_the_page_says_that_none_is_read(stage: Stage, settings: Any) -> None:
    """Nothing is promised that nobody could keep: it says which setting is missing."""
    settings.TRAIL_BUCKET = ""
    lost(stage)
    assert "COUNTERSIGN_TRAIL_BUCKET" in read(stage)
    assert not OutboxMessage.objects.filter(kind="logs", done_at=None).exists()


def test_the_feed_reads_only_below_the_prefix(stage: Stage, settings: Any) -> None:
    """The generated policy lets the feed list and read log files, and nothing else of the bucket; nor may execution."""
    from executor import aws
    from executor.answers import translated
    from executor.errors import AwsRefused

    put("elsewhere/secret", b"x")
    with stage.acting("feed"), pytest.raises(AwsRefused), translated():
        aws.own("s3", DEMO.region).get_object(Bucket=DEMO.trail_bucket, Key="elsewhere/secret")
    with stage.acting("execution"), pytest.raises(AwsRefused), translated():
        aws.own("s3", DEMO.region).list_objects_v2(Bucket=DEMO.trail_bucket, Prefix=DEMO.trail_prefix)
