"""CloudTrail's log files in S3, read for calls whose outcome is not known. The feed's work: it alone takes records in.

Key layout (AWS CloudTrail User Guide, "CloudTrail log file examples"):
`AWSLogs/[organization/]<account>/CloudTrail/<region>/YYYY/MM/DD/<account>_CloudTrail_<region>_<YYYYMMDDTHHmmZ>_<random>.json.gz`.
What precedes the account is COUNTERSIGN_TRAIL_PREFIX. A record that is found goes the way of the queue's records: it is ingested,
told apart by its event id, and proves an attempt only by `executor.evidence`. That none is found proves nothing.
"""

from __future__ import annotations

import io
import json
import logging
import time
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from approvals import outbox, trail_files
from approvals.ingest import Message, ingest
from approvals.models import Attempt, Look, OutboxKind, OutboxMessage
from approvals.operations import catalog, regions
from executor import aws, looks, stuck
from executor.answers import translated
from executor.errors import AwsError, AwsUnavailable

log = logging.getLogger(__name__)
ACTOR: Final = "process:feed"
# Clocks differ, and a file is named after the moment at which it was begun.
BEFORE: Final = timedelta(minutes=5)
# Files come within minutes, late ones within hours; what has not come in days does not.
LONGEST: Final = timedelta(days=3)
MOST_FILES: Final = 200
# Seconds after which no further promise is taken up, and after which no further file is read for one.
ROUND: Final = 60.0
LONGEST_PROMISE: Final = 300.0
# Bytes, of one file: as it lies there, and as it is read. A file that grows beyond is no log file of CloudTrail's.
LARGEST: Final = 32 * 1024**2
LARGEST_PLAIN: Final = 256 * 1024**2
# Which files were read for which execution, by this process: each is read once.
_read: Final[OrderedDict[tuple[UUID, str], None]] = OrderedDict()
_REMEMBERED: Final = 20_000


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the records of one call lie, and from when on."""

    account: str
    region: str
    since: datetime
    keys: frozenset[str]


@dataclass(slots=True)
class _Found:
    """What a round of reading found."""

    messages: list[Message] = field(default_factory=list)
    read: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    more: bool = False
    until: float = field(default_factory=lambda: time.monotonic() + LONGEST_PROMISE)


def read_due() -> None:
    """Keep promises to read log files that are due; after a round the rest is left to the next poll. Never raises for one."""
    end = time.monotonic() + ROUND
    while time.monotonic() < end and (due := outbox.take([OutboxKind.LOGS], most=1)):
        try:
            keep(due[0])
        except Exception as error:  # noqa: BLE001 - logged there; the next promise must not wait for this one
            stuck.put_off(due[0], error, actor=ACTOR)


def keep(message: OutboxMessage) -> None:
    """Read what came since the call for the execution that the message names, and take in what is its."""
    execution_id = message.subject_id
    places = _places(execution_id)
    if not places:
        outbox.done(message)
        return
    if not settings.TRAIL_BUCKET:
        looks.note(execution_id, Look.Source.LOGS, "Not read: no bucket of a trail is configured (COUNTERSIGN_TRAIL_BUCKET).")
        outbox.done(message)
        return
    found, trouble = _Found(), ""
    try:
        for place in places:
            _look(execution_id, place, found)
    except AwsError as error:
        trouble = str(error)
    if found.messages:
        ingest(found.messages)
    # Not before: a file whose records were not taken in is read again.
    for key in found.read:
        _remember(execution_id, key)
    if trouble:
        looks.note(execution_id, Look.Source.LOGS, f"{looks.UNREAD}: {trouble}")
        outbox.put_off(message, trouble)
        return
    looks.note(execution_id, Look.Source.LOGS, _in_words(places, found))
    outbox.done(message)


def _places(execution_id: UUID) -> list[_Place]:
    """The places of every call of the execution; a global service's records lie in one region of the partition."""
    account, partition = "execution__revision__request__account_id", "execution__revision__request__account__partition"
    rows = Attempt.objects.filter(execution=execution_id).values(
        "operation", "region", "access_key_id", "sent_at", account, partition
    )
    found: dict[tuple[str, str], _Place] = {}
    for row in rows:
        region = regions.recorded_in(catalog.get(row["operation"]), row[partition], row["region"])
        key, since = (row[account], region), row["sent_at"] - BEFORE
        had = found.get(key, _Place(*key, since, frozenset()))
        found[key] = _Place(*key, min(had.since, since), had.keys | {row["access_key_id"]})
    return list(found.values())


def _look(execution_id: UUID, place: _Place, found: _Found) -> None:
    s3 = aws.own("s3", settings.TRAIL_REGION or settings.HOME_REGION)
    for key, size in _listed(s3, place):
        if (execution_id, key) in _read:
            continue
        if len(found.read) >= MOST_FILES or time.monotonic() > found.until:
            found.more = True
            return
        data = _plain(s3, key, size) if size <= LARGEST else None
        if data is None:
            # It is said at each look that it was not read, and the target decides nothing while it is so.
            log.warning("a log file cannot be read: it is too large, or not whole", extra={"key": key})
            found.skipped.append(key)
            continue
        found.messages += _messages(key, data, str(execution_id), place)
        found.read.append(key)


def _listed(s3: Any, place: _Place) -> Iterator[tuple[str, int]]:
    """Key and size of every log file that may hold the call, oldest first."""
    day, end = place.since.date(), min(timezone.now(), place.since + LONGEST).date()
    while day <= end:
        folder = f"{settings.TRAIL_PREFIX}{place.account}/CloudTrail/{place.region}/{day:%Y/%m/%d}/"
        after = f"{folder}{place.account}_CloudTrail_{place.region}_{place.since:%Y%m%dT%H%MZ}"
        more: dict[str, str] = {"StartAfter": after}
        while more:
            with translated():
                answer = s3.list_objects_v2(Bucket=settings.TRAIL_BUCKET, Prefix=folder, **more)
            yield from ((one["Key"], one["Size"]) for one in answer.get("Contents", ()) if one["Key"].endswith(".json.gz"))
            more = {"ContinuationToken": answer["NextContinuationToken"]} if answer.get("IsTruncated") else {}
        day += timedelta(days=1)


def _plain(s3: Any, key: str, size: int) -> bytes | None:
    """A file's content, unpacked; None for what is not whole, or larger than a log file is: a few bytes can unpack to millions.

    Raises AwsUnavailable where less came than lies there.
    """
    with translated():
        packed = s3.get_object(Bucket=settings.TRAIL_BUCKET, Key=key)["Body"].read(LARGEST + 1)
    if len(packed) < size:
        raise AwsUnavailable(f"{len(packed)} of the {size} bytes of {key} came.")
    if len(packed) > LARGEST:
        return None
    unpacking = zlib.decompressobj(wbits=31)
    try:
        data = unpacking.decompress(packed, LARGEST_PLAIN)
    except zlib.error:
        return None
    return data if unpacking.eof else None


def _messages(key: str, data: bytes, source_identity: str, place: _Place) -> Iterator[Message]:
    """The records of this execution's sessions, as the queue would have carried them."""
    # Most files hold nothing of ours: not worth parsing.
    if source_identity.encode() not in data:
        return
    for number, one in enumerate(trail_files.read(io.BufferedReader(io.BytesIO(data)), key)):
        if not isinstance(one, trail_files.Found) or not isinstance(one.value, dict):
            continue
        identity = one.value.get("userIdentity")
        if not isinstance(identity, dict):
            continue
        context = identity.get("sessionContext")
        ours = isinstance(context, dict) and context.get("sourceIdentity") == source_identity
        if ours and identity.get("accessKeyId") in place.keys:
            yield Message(f"{key}#{number}", json.dumps(_envelope(one.value, place)))


def _envelope(record: dict[str, Any], place: _Place) -> dict[str, Any]:
    """As EventBridge would have wrapped it."""
    return {
        "version": "0",
        "id": str(record.get("eventID", "")),
        "detail-type": "AWS API Call via CloudTrail",
        "source": f"aws.{str(record.get('eventSource', '')).partition('.')[0]}",
        "account": place.account,
        "time": record.get("eventTime"),
        "region": place.region,
        "resources": [],
        "detail": record,
    }


def _remember(execution_id: UUID, key: str) -> None:
    _read[execution_id, key] = None
    while len(_read) > _REMEMBERED:
        _read.popitem(last=False)


def _in_words(places: list[_Place], found: _Found) -> str:
    where = ", ".join(f"{one.account} {one.region} from {one.since:%Y-%m-%d %H:%M %Z}" for one in places)
    hits = len(found.messages)
    # The call's own session asks AWS first who it is, and may be in other hands: its records are more than the call's.
    said = f"{len(found.read)} new files of {where}: {hits or 'no'} record{'' if hits == 1 else 's'} of this call's session."
    if found.read:
        said += f" The last was {found.read[-1].rpartition('/')[2]}."
    if found.skipped:
        said += f" {len(found.skipped)} {looks.LEFT_OUT} (too large, or not whole), the first of them {found.skipped[0]}."
    return said + (f" {looks.MORE}" if found.more else "")
