"""Comparing the claims outside with the database: each attempt has its claim, each claim its attempt, each head its link."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone

from approvals.models import Attempt, AuditEntry
from executor.outside import body
from executor.outside.body import PREFIX, Body
from executor.outside.bucket import Bucket

AFTER_A_RESTORE: Final = "the database was restored from a backup, or its rows were taken away"


@dataclass(slots=True)
class Comparison:
    """How many attempts and claims were compared, how many attempts were made without a claim, and what does not fit."""

    attempts: int = 0
    claims: int = 0
    unclaimed: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether outside and inside say the same."""
        return not self.faults


def compare(bucket: Bucket) -> Comparison:
    """Read every claim and every attempt. An attempt that is sent meanwhile is not missed: claims are read first, then rows.

    Raises AwsRefused, AwsUnavailable.
    """
    found = Comparison()
    versions = list(bucket.walk(PREFIX))
    many = Counter(one.key for one in versions)
    claims: dict[str, Body | None] = {}
    for one in versions:
        if many[one.key] > 1 or one.marker:
            found.faults.append(f"{one.key}: {'somebody deleted it' if one.marker else 'there is more than one version of it'}.")
        if not one.marker:
            got = bucket.get(one.key, one.id)
            claims[one.key] = body.read(got[1]) if got else None
    found.claims = len(claims)
    rows = {row.claimed_as: row for row in Attempt.objects.select_related("execution__revision").exclude(claimed_as="")}
    found.attempts, found.unclaimed = len(rows), Attempt.objects.filter(claimed_as="", rehearsal=False).count()
    for key, said in claims.items():
        found.faults += [f"{key}: {what}." for what in _of_claim(key, said, rows.get(key))]
    found.faults += [f"{key}: {what}." for key, row in rows.items() if key not in claims for what in _without(row)]
    return found


def _of_claim(key: str, said: Body | None, row: Attempt | None) -> Iterator[str]:
    if said is None or said.key != key:
        yield "what lies there is no claim of ours, or was made for another key"
        return
    hash_ = AuditEntry.objects.filter(sequence=said.sequence).values_list("hash", flat=True).first()
    in_chain = said.sequence == 0 or hash_ == said.head
    if not in_chain:
        lost = "has no such entry" if hash_ is None else "has another one there"
        yield f"it saw entry #{said.sequence} of the audit trail, and the trail {lost}: {AFTER_A_RESTORE}"
    if said.genesis != settings.GENESIS:
        yield "it was made under another genesis"
    if row is None:
        why = "a worker was lost right before its call" if in_chain else "see above"
        yield f"no attempt of this database accounts for it ({AFTER_A_RESTORE}; or {why}). {said.in_words()}"
        return
    attempt = (str(row.execution_id), row.step, row.number, row.execution.revision.digest)
    # A claim under which nothing was sent may be used by the same process when it takes the execution again: under a newer token.
    if attempt != (said.execution, said.step, said.number, said.digest) or row.token < said.token:
        yield f"its attempt in the database is another: {row}. {said.in_words()}"


def _without(row: Attempt) -> Iterator[str]:
    if row.sent_at > timezone.now() - timedelta(days=settings.CLAIMS_DAYS):
        yield f"the database has an attempt that claims to lie there ({row}, sent {row.sent_at.isoformat()}), and nothing does"
