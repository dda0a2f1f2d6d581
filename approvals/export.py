"""Exports for auditors: CSV and JSON Lines, streamed from one snapshot, with spreadsheet formulas neutralised.

A cell that a spreadsheet would take for a formula gets an apostrophe in front (CSV alone; JSON Lines carries what was stored), as
OWASP advises against CSV injection: session names and reasons are chosen by people who may wish the reader ill.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson

from approvals.models import ApprovalRequest, AuditEntry

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
CHUNK = 2000


class Format(StrEnum):
    """How rows are written."""

    CSV = "csv"
    JSONL = "jsonl"


AUDIT_COLUMNS = ("sequence", "at", "kind", "actor", "request_id", "role", "body", "previous", "hash")
REQUEST_COLUMNS = (
    "id",
    "created_at",
    "status",
    "state",
    "source",
    "account",
    "region",
    "operation",
    "target",
    "principal",
    "requester",
    "unconfirmed",
    "break_glass",
    "reason",
    "approvers",
    "deniers",
    "digest",
    "execution",
    "execution_state",
    "outcome",
    "ended_at",
    "ended_why",
)


def audit_rows(*, since: datetime | None = None, until: datetime | None = None) -> Iterator[dict[str, Any]]:
    """Audit entries in order of their sequence, as columns of AUDIT_COLUMNS. Memory stays flat."""
    entries = AuditEntry.objects.order_by("sequence")
    if since is not None:
        entries = entries.filter(at__gte=since)
    if until is not None:
        entries = entries.filter(at__lt=until)
    yield from entries.values(*AUDIT_COLUMNS).iterator(chunk_size=CHUNK)


def request_rows(*, since: datetime | None = None, until: datetime | None = None) -> Iterator[dict[str, Any]]:
    """Requests in order of their making, as columns of REQUEST_COLUMNS. Memory stays flat; a few queries a chunk."""
    requests = ApprovalRequest.objects.order_by("created_at", "id").select_related("requester")
    requests = requests.prefetch_related("revisions__execution", "revisions__reviews__person")
    if since is not None:
        requests = requests.filter(created_at__gte=since)
    if until is not None:
        requests = requests.filter(created_at__lt=until)
    for request in requests.iterator(chunk_size=CHUNK):
        yield _request_row(request)


def _request_row(request: ApprovalRequest) -> dict[str, Any]:
    revisions = {revision.number: revision for revision in request.revisions.all()}
    revision = revisions[request.revision_number]
    execution = getattr(revision, "execution", None)
    said = {
        verdict: sorted(r.person.handle for r in revision.reviews.all() if r.verdict == verdict)
        for verdict in ("approve", "deny")
    }
    return {
        "id": request.pk,
        "created_at": request.created_at,
        "status": str(request.status()),
        "state": request.state,
        "source": request.source,
        "account": request.account_id,
        "region": request.region,
        "operation": request.operation,
        "target": request.target,
        "principal": request.principal,
        "requester": request.requester.handle if request.requester else "",
        "unconfirmed": "yes" if request.unconfirmed else "",
        "break_glass": "yes" if request.break_glass else "",
        "reason": request.reason,
        "approvers": " ".join(said["approve"]),
        "deniers": " ".join(said["deny"]),
        "digest": revision.digest,
        "execution": execution.pk if execution else "",
        "execution_state": execution.state if execution else "",
        "outcome": execution.outcome if execution else "",
        "ended_at": request.ended_at,
        "ended_why": request.ended_why,
    }


def write(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], how: Format, out: Callable[[str], Any]) -> int:
    """Write rows to `out` (a function that takes text), one at a time; return how many."""
    line = _jsonl if how is Format.JSONL else _csv
    if how is Format.CSV:
        out(_csv_line(columns))
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007 - the last number is the count
        out(line([(name, row[name]) for name in columns]))
    return count


def _jsonl(cells: Sequence[tuple[str, Any]]) -> str:
    return orjson.dumps({name: _plain(value) for name, value in cells}).decode("utf-8") + "\n"


def _csv(cells: Sequence[tuple[str, Any]]) -> str:
    return _csv_line([_harmless("" if (plain := _plain(value)) is None else str(plain)) for _, value in cells])


def _csv_line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value if value is None or isinstance(value, str | int) else str(value)


def _harmless(cell: str) -> str:
    return "'" + cell if cell.startswith(_FORMULA) else cell
