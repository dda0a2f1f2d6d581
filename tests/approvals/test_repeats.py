"""I5 under several feeds at once: each event a hundred times, in any order, is one request, and everything is accounted for."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial

from approvals import audit, ingest
from approvals.ingest import Message
from approvals.models import ApprovalRequest, AuditEntry, FeedBatch, OutboxMessage, TrailRecord
from tests.approvals.crowd import Crowd
from tests.cast import envelope, trail_record

FEEDS, TIMES = 6, 100


def _feed(batches: list[list[Message]]) -> Counter[str]:
    """What one feed does. A deadlock would raise here: the batch would come again, meet the others again, and so on for ever."""
    return sum((ingest.ingest(batch).fates for batch in batches), Counter())


def test_each_event_a_hundred_times_by_six_feeds_makes_one_request(cloned_database, cast, settings):
    """Seven calls, one of them denied twice (two events): seven requests, eight records, 792 duplicates, each told of once."""
    settings.OUTBOX_NUDGE = ""
    records = [trail_record(table=f"prod-{number}") for number in range(7)] + [trail_record(table="prod-0")]
    messages = [Message(str(number), envelope(record)) for number, record in enumerate(records * TIMES)]
    random.Random(5).shuffle(messages)  # noqa: S311 - any order will do
    batches = [messages[start : start + 10] for start in range(0, len(messages), 10)]
    with Crowd(FEEDS) as feeds:
        came = feeds.at_once([partial(_feed, batches[feed::FEEDS]) for feed in range(FEEDS)])
    assert {one.what for one in came} == {"done"}
    fates: Counter[str] = sum((one.value for one in came), Counter())
    assert fates == {"requests": 7, "merged": 1, "duplicates": len(records) * TIMES - 8}
    assert ApprovalRequest.objects.count() == 7
    assert sorted(ApprovalRequest.objects.values_list("repeats", flat=True)) == [0] * 6 + [1]
    assert sorted(TrailRecord.objects.values_list("duplicates", flat=True)) == [TIMES - 1] * 8
    assert set(TrailRecord.objects.values_list("request__target", flat=True)) == {f"prod-{number}" for number in range(7)}
    assert sum(FeedBatch.objects.values_list("received", flat=True)) == len(messages)
    assert OutboxMessage.objects.filter(topic="request.drafted").count() == 7
    assert Counter(AuditEntry.objects.values_list("kind", flat=True))["request.drafted"] == 7
    assert audit.verify().holds
