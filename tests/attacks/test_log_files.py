"""Log files that hold the proof, and a service that fails in the middle of reading them."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError

from approvals.ingest import ingest
from approvals.models import TrailRecord
from executor import trail_logs
from executor.errors import AwsUnavailable
from tests.executor.stage import Stage
from tests.executor.test_trail_logs import _bucket, again, key_of, lost, put, read

__all__ = ["_bucket"]


def test_a_record_is_not_lost_with_the_file_after_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first file has the record, the second cannot be read now: what was read is taken in, or read again."""
    lost(stage)
    stage.aws.write_log_files()
    put(key_of(datetime.now(UTC) + timedelta(minutes=3), "zzz"), gzip.compress(b'{"Records": []}'))
    plain = trail_logs._plain
    failed: list[str] = []

    def once(s3: Any, key: str, size: int) -> bytes | None:
        if key.endswith("zzz.json.gz") and not failed:
            failed.append(key)
            raise AwsUnavailable("AWS gave no answer that could be used")
        return plain(s3, key, size)

    monkeypatch.setattr(trail_logs, "_plain", once)
    assert "could not be read" in read(stage)
    again(stage)
    read(stage)
    assert failed
    assert TrailRecord.objects.filter(event_id=stage.calls()[0]["eventID"]).exists()


def test_a_record_is_not_lost_with_the_database(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database breaks off while the records are taken in: the next round reads them again."""
    lost(stage)
    stage.aws.write_log_files()
    failed: list[Any] = []

    def once(messages: Any) -> Any:
        if not failed:
            failed.append(messages)
            raise OperationalError("the database restarts")
        return ingest(messages)

    monkeypatch.setattr("executor.trail_logs.ingest", once)
    stage.lapse()
    with stage.acting("feed"), pytest.raises(OperationalError):
        trail_logs.read_due()
    again(stage)
    read(stage)
    assert TrailRecord.objects.filter(event_id=stage.calls()[0]["eventID"]).exists()
