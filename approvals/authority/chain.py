"""Walking the chain: from the genesis that the executor's own configuration pins, link by link, to what holds now."""

from __future__ import annotations

import json
from contextlib import nullcontext
from threading import Lock
from typing import Final

from django.conf import settings
from django.db import connection, transaction

from approvals.authority import links
from approvals.authority.links import Link, Standing
from approvals.authority.state import Authority
from approvals.authority.tables import fingerprint, state_of_tables
from approvals.errors import BadAuthority
from approvals.models import AuditKind, AuthorityLink
from approvals.signatures import RelyingParty

# What was verified once need not be verified again: hash -> standing, for the newest link of each pin that was walked.
_walked: Final[dict[tuple[str, RelyingParty], Standing]] = {}
# The link that the tables were found to say the same as, and what they looked like then (`tables.fingerprint`).
_equal: Final[dict[str, tuple[str, ...]]] = {}
_lock: Final = Lock()
_NOTED: Final = (AuditKind.GENESIS, AuditKind.CHANGE_APPLIED, AuditKind.PASSKEY_REGISTERED)
_NEWEST: Final = " UNION ALL ".join(
    ["(SELECT sequence, body FROM approvals_auditentry WHERE kind = %s ORDER BY sequence DESC LIMIT 1)"] * len(_NOTED)
)
# Of the advisory lock: "countersi" would be too long for 64 bits.
_KEY: Final = int.from_bytes(b"csauth01", "big")


def relying_party() -> RelyingParty:
    """Who asks for signatures here."""
    return RelyingParty(settings.RP_ID, settings.ORIGIN)


def walk(pin: str) -> Authority:
    """Walk the chain from the genesis whose hash is `pin` and return its newest state.

    Raises BadAuthority when there is no pin, the genesis is another one, a link does not follow, the trail knows of a newer one,
    or the tables say something else than the newest link: then somebody wrote authority without the signatures for it.
    """
    # Only reads: a transaction of somebody else's needs no savepoint for it.
    with nullcontext() if connection.in_atomic_block else transaction.atomic():
        held_still()
        newest = standing(pin)
        _nothing_taken_back(newest)
        known = _tables_say(newest)
    # A snapshot begins with a transaction of its own.
    if not known and not connection.in_atomic_block and connection.get_autocommit():
        _remember_the_tables(newest)
    return newest.authority


def _tables_say(newest: Standing) -> bool:
    """The tables are the newest link's state: by their digest where that was seen to say it (True), else row by row."""
    if _equal.get(newest.hash) == fingerprint():
        return True
    if state_of_tables() != newest.text:
        raise BadAuthority(
            "The tables of authority differ from the signed chain: somebody changed a person, key, grant or guardrail."
        )
    return False


def _remember_the_tables(newest: Standing) -> None:
    """What the tables look like when they say the same as the link. Digest and rows are of one snapshot: none writes between."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        found, said = fingerprint(), state_of_tables()
    if said == newest.text:
        with _lock:
            _equal.clear()
            _equal[newest.hash] = found


def _nothing_taken_back(newest: Standing) -> None:
    """Each link was noted in the audit trail, which is kept outside as well: links cut off together with their rows are missed.

    Without this an older state of authority, consistent in itself, could be brought back and a right that was taken away with it.
    """
    # One for each kind: by kind and sequence they are found at once, in a trail of any length.
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, [str(kind) for kind in _NOTED])
        _, last = max(cursor.fetchall(), default=(0, ""))
    noted = json.loads(last)["detail"].get("hash") if last else None
    if noted != newest.hash:
        raise BadAuthority(
            f"The chain of authority ends with link {newest.number}, and the audit trail's newest link is another one: links "
            "were taken away or added."
        )


def held_still(*, to_change: bool = False) -> None:
    """Nobody applies a change until the transaction ends, so chain and tables are of one moment; `to_change`: nobody looks."""
    with connection.cursor() as cursor:
        shared = "" if to_change else "_shared"
        cursor.execute(f"SELECT pg_advisory_xact_lock{shared}(%s)", [_KEY])


def standing(pin: str) -> Standing:
    """The newest link, verified from the pinned genesis on; the tables are not looked at. Raises BadAuthority."""
    if not pin:
        raise BadAuthority(
            "COUNTERSIGN_GENESIS is not set: the executor trusts no authority that its own configuration does not pin."
        )
    party = relying_party()
    known = _walked.get((pin, party))
    rows = AuthorityLink.objects.order_by("number")
    for row in _behind(known, list(rows.filter(number__gte=known.number))) if known else rows:
        link = Link(row.number, row.previous, row.state, row.hash, row.proof)
        known = links.follow(known, link, party) if known else links.begin(link, pin)
    if known is None:
        raise BadAuthority("There is no authority yet. Run `manage.py bootstrap MANIFEST` first.")
    with _lock:
        _walked.clear()
        _walked[pin, party] = known
    return known


def forget() -> None:
    """As a process that starts anew: the next walk begins at the genesis. For whoever puts a database back on purpose."""
    with _lock:
        _walked.clear()
        _equal.clear()


def _behind(known: Standing, rows: list[AuthorityLink]) -> list[AuthorityLink]:
    """The links after what was walked before, where its own stored link, the first of the rows, is still the very same.

    A chain without it is no older truth but a lie: every right that was taken away by the links that are gone would be back.
    Raises BadAuthority.
    """
    row = rows[0] if rows else None
    if row is None or (row.number, row.state, row.hash) != (known.number, known.text, known.hash):
        raise BadAuthority(
            f"Link {known.number} of the chain of authority was verified before and is gone or another now: somebody took the "
            "chain back to a former state. If a backup was restored on purpose, restart this process once you know what it lost."
        )
    return rows[1:]
