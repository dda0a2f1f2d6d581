"""CloudTrail's log files: records by account and region, packed, put into the trail's bucket some time after the calls.

Source: AWS CloudTrail User Guide, "CloudTrail log file examples" (the names), "How CloudTrail works" (minutes later).
"""

import gzip
import json
import logging
import threading
import uuid
from collections import defaultdict
from datetime import UTC, datetime

from moto.s3.models import s3_backends

from executor.sandbox.record import Record
from executor.sandbox.world import DemoWorldFacts

log = logging.getLogger(__name__)


class TrailBucket:
    """Collects records and writes them as files each `every` seconds; with 0 only when it is told to."""

    def __init__(self, state: threading.RLock, facts: DemoWorldFacts, every: float) -> None:
        self._state, self._facts, self._every = state, facts, every
        self._waiting: list[Record] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox-trail", daemon=True)

    def start(self) -> None:
        if self._every:
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2)

    def accept(self, record: Record) -> None:
        """Takes a record and returns at once."""
        with self._lock:
            self._waiting.append(record)

    def write(self, moment: datetime | None = None) -> list[str]:
        """Writes a file for each account and region that something happened in; returns their keys."""
        with self._lock:
            records, self._waiting = self._waiting, []
        by_place: dict[tuple[str, str], list[Record]] = defaultdict(list)
        for record in records:
            by_place[record["recipientAccountId"], record["awsRegion"]].append(record)
        return [self._put(account, region, some, moment or datetime.now(UTC)) for (account, region), some in by_place.items()]

    def _put(self, account: str, region: str, records: list[Record], moment: datetime) -> str:
        name = f"{account}_CloudTrail_{region}_{moment:%Y%m%dT%H%MZ}_{uuid.uuid4().hex[:16]}.json.gz"
        key = f"{self._facts.trail_prefix}{account}/CloudTrail/{region}/{moment:%Y/%m/%d}/{name}"
        packed = gzip.compress(json.dumps({"Records": records}, separators=(",", ":")).encode())
        with self._state:
            s3_backends[self._facts.account][self._facts.partition].put_object(self._facts.trail_bucket, key, packed)
        return key

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            try:
                self.write()
            except Exception:
                log.exception("a log file could not be written")
