"""The audit trail: append and verify.

An entry's body is canonical JSON; its hash is SHA-256 of `previous hash \\n sequence \\n role \\n body`. The database function
`approvals_audit_append` alone writes entries: it takes the lock on the chain's head, so it is called last in a transaction, and
whoever runs as a process's role can neither write a row by hand nor change one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from approvals import canonical
from approvals.errors import AuditUnavailable
from approvals.models import AuditEntry, AuditKind, ChainHead

FIRST = "0" * 64


@dataclass(slots=True)
class Trail:
    """The entries of one transaction, written together at its end."""

    bodies: list[str] = field(default_factory=list)

    def add(self, kind: AuditKind, *, actor: str, request: UUID | None = None, at: datetime | None = None, **detail: Any) -> None:
        """Note one entry. `actor` is `person:<handle>` or `process:<name>`; `detail` says what happened, in canonical values."""
        moment = (at or timezone.now()).astimezone(UTC).isoformat()
        body = {
            "at": moment,
            "kind": str(AuditKind(kind)),
            "actor": actor,
            "request": str(request) if request else None,
            "detail": canonical.encode(detail),
        }
        self.bodies.append(canonical.dumps(body))

    def flush(self) -> None:
        """Append the entries. Raises AuditUnavailable, which rolls everything of the transaction back."""
        if not self.bodies:
            return
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT approvals_audit_append(%s::text[])", [self.bodies])
        except DatabaseError as error:
            raise AuditUnavailable(f"The audit trail could not be written, so nothing was done: {error}") from error
        self.bodies = []


@contextmanager
def recorded() -> Iterator[Trail]:
    """A transaction whose audit entries are appended last: either everything is written with its entries, or nothing is."""
    with transaction.atomic():
        trail = Trail()
        yield trail
        trail.flush()


def append(kind: AuditKind, *, actor: str, request: UUID | None = None, **detail: Any) -> None:
    """One entry in a transaction of its own."""
    with recorded() as trail:
        trail.add(kind, actor=actor, request=request, **detail)


@contextmanager
def snapshot() -> Iterator[None]:
    """A read-only transaction in which every query sees the same moment. Inside another transaction it is that one."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the chain: the sequence number it was found at, and what in words."""

    sequence: int
    what: str


@dataclass(slots=True)
class Verification:
    """What `verify` found: how many links were read, the head they lead to, and the faults in order."""

    links: int = 0
    head: str = FIRST
    faults: list[Fault] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether no link is at fault."""
        return not self.faults


def link_hash(previous: str, sequence: int, role: str, body: str) -> str:
    """The hash of one link, as the database function computes it."""
    return hashlib.sha256(f"{previous}\n{sequence}\n{role}\n{body}".encode()).hexdigest()


def verify(*, kept_head: str | None = None, most_faults: int = 10_000) -> Verification:
    """Walk the whole chain from its beginning and name every link that does not hold. Memory stays flat.

    Finds an edited body or column, a deleted, inserted or re-ordered link, and a head that does not fit. What it cannot find
    alone is the whole chain rewritten, or its end cut off together with the head: `kept_head` is a hash from an earlier run,
    kept elsewhere, that the chain must still contain.
    """
    seen_head = kept_head in (None, FIRST)
    found = Verification()
    # One snapshot: entries appended while we read must not look like a head that does not fit.
    with snapshot():
        for entry in AuditEntry.objects.order_by("sequence").iterator(chunk_size=5000):
            _check(entry, found)
            seen_head = seen_head or entry.hash == kept_head
            if len(found.faults) >= most_faults:
                return found
        _check_head(found)
    if not seen_head:
        found.faults.append(
            Fault(found.links, f"the kept head {kept_head} is no link of this chain (it was rewritten, or its end cut off)")
        )
    return found


def _check(entry: AuditEntry, found: Verification) -> None:
    expected = found.links + 1
    if entry.sequence != expected:
        found.faults.append(
            Fault(entry.sequence, f"entry #{expected} is missing before it (deleted, or the numbers were changed)")
        )
        found.links = entry.sequence - 1
    if entry.previous != found.head:
        found.faults.append(
            Fault(entry.sequence, "it does not follow the entry before it (its link was changed, or a row went in between)")
        )
    if entry.hash != link_hash(entry.previous, entry.sequence, entry.role, entry.body):
        found.faults.append(Fault(entry.sequence, "its content was changed after it was written (the hash does not fit)"))
    elif what := _columns_differ(entry):
        found.faults.append(Fault(entry.sequence, what))
    found.links = entry.sequence
    found.head = entry.hash


def _columns_differ(entry: AuditEntry) -> str:
    try:
        body = json.loads(entry.body)
        at = datetime.fromisoformat(body["at"])
    except (ValueError, KeyError, TypeError) as error:
        return f"its body cannot be read: {error}"
    columns = {
        "at": body["at"] if at == entry.at else entry.at,
        "kind": entry.kind,
        "actor": entry.actor,
        "request": str(entry.request_id) if entry.request_id else None,
    }
    wrong = [name for name, value in columns.items() if body.get(name) != value]
    return f"its column {', '.join(wrong)} was changed: the body says otherwise" if wrong else ""


def _check_head(found: Verification) -> None:
    head = ChainHead.objects.get(pk=1)
    if (head.sequence, head.hash) != (found.links, found.head):
        found.faults.append(
            Fault(
                head.sequence,
                f"the chain's head says #{head.sequence}, the entries end at #{found.links} (cut off, or the head changed)",
            )
        )
