"""From queue messages to requests, proofs and alerts: deduplicate, keep what matters, match guardrails, account for each one.

One transaction a batch. A message that cannot be read goes into quarantine with its reason and the rest goes on; a message that
breaks something unforeseen is taken alone, so that it cannot take its neighbours with it.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, InterfaceError, OperationalError, connection
from django.db.models import F
from django.utils import timezone
from psycopg import sql

from approvals import audit, canonical, explanation, outbox, principals, trail_event, watch
from approvals.alerts import raise_alert, raise_once
from approvals.audit import Trail
from approvals.decisions import submit
from approvals.errors import AuditUnavailable, BadTrailEvent, TooMany
from approvals.explanation import Becomes
from approvals.models import (
    Account,
    AlertKind,
    ApprovalRequest,
    FeedBatch,
    GuardrailVersion,
    OutboxKind,
    Person,
    QuarantinedMessage,
    TrailRecord,
)
from approvals.operations import words
from approvals.operations.catalog import Operation
from approvals.operations.resources import Where
from approvals.operations.trail import Conversion
from approvals.policies import Mode, Rules
from approvals.trail_event import Outcome, TrailEvent
from approvals.watch import Watch

log = logging.getLogger(__name__)
KEPT_OF_A_BAD_MESSAGE = 64 * 1024
Fate = TrailRecord.Fate


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the queue: its id and its body as text."""

    id: str
    body: str


@dataclass(slots=True)
class Batch:
    """What became of a batch: how many of each fate. `received` is their sum."""

    received: int = 0
    fates: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Guard:
    """The guardrails in force: what records are held against, and the version that each set of rules is of."""

    watch: Watch
    versions: dict[Rules, GuardrailVersion]

    @classmethod
    def now(cls, accounts: Iterable[Account]) -> _Guard:
        versions = {version.rules: version for version in GuardrailVersion.objects.current().select_related("guardrail")}
        tags = tuple((account.pk, tuple(sorted(account.tags.items()))) for account in accounts)
        return cls(watch.over(tuple(versions), tags), versions)


@dataclass(frozen=True, slots=True)
class _Protected:
    """An event that concerns something protected: what it means and which guardrail versions match."""

    event: TrailEvent
    account: Account
    operation: Operation
    conversion: Conversion
    resources: tuple[str, ...]
    enforcing: tuple[GuardrailVersion, ...]


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A record that was not here before: the person behind it, and the key under which repeats of its call merge."""

    protected: _Protected
    record: TrailRecord
    requester: Person | None
    merge_key: str


def ingest(messages: Sequence[Message], *, now: datetime | None = None) -> Batch:
    """Take a batch in. When it returns, every message is accounted for and may be deleted from the queue.

    Raises DatabaseError (other than for one message's content) when the database cannot be written: then nothing was taken.
    """
    now = now or timezone.now()
    try:
        return _take_or_again(messages, now)
    except (OperationalError, InterfaceError, AuditUnavailable):
        raise  # the database is down: nothing was taken, and the queue gives it again
    except Exception as error:  # whatever one message breaks, its neighbours must not wait for
        if len(messages) == 1:
            log.exception("message quarantined: it broke the ingest")
            return _quarantine_alone(messages[0], f"Reading it failed: {type(error).__name__}: {str(error)[:500]}", now)
    whole = Batch()
    for message in messages:
        alone = ingest([message], now=now)
        whole.received += alone.received
        whole.fates += alone.fates
    return whole


def _take_or_again(messages: Sequence[Message], now: datetime) -> Batch:
    try:
        return _take(messages, now)
    except IntegrityError:
        # Another feed opened the same request a moment ago; the second time it is found and merged.
        return _take(messages, now)


def _take(messages: Sequence[Message], now: datetime) -> Batch:
    batch = Batch(received=len(messages))
    with audit.recorded() as entries:
        accounts = {account.pk: account for account in Account.objects.all()}
        guard = _Guard.now(accounts.values())
        found: list[_Protected] = []
        for message in messages:
            try:
                event = trail_event.from_message(message.body)
            except BadTrailEvent as reason:
                _quarantine(message, str(reason), now)
                batch.fates["quarantined"] += 1
                continue
            protected = _protected(event, accounts, guard)
            if protected is None:
                batch.fates["ignored"] += 1
            else:
                found.append(protected)
        batch.fates += _judged(entries, found, now)
        _account_for(batch, now)
    return batch


def _judged(entries: Trail, found: Sequence[_Protected], now: datetime) -> Counter[str]:
    """Keep the records of a batch and judge those that are new.

    Several feeds hold the same events in any order. Each writes all its records first and then opens or counts requests, both in
    an order that is everybody's: otherwise they would wait for one another in a circle, and again when the batches come back.
    """
    fates: Counter[str] = Counter()
    fresh: list[_Fresh] = []
    for protected in sorted(found, key=lambda one: (one.event.event_id, one.event.account, one.event.sha256)):
        event = protected.event
        record = _record(event, now)
        if record is None:
            same = TrailRecord.objects.filter(event_id=event.event_id, account=event.account, sha256=event.sha256)
            same.update(duplicates=F("duplicates") + 1)
            fates["duplicates"] += 1
        else:
            requester = principals.behind(event.caller).person
            fresh.append(_Fresh(protected, record, requester, _merge_key(protected, requester)))
    for one in sorted(fresh, key=lambda one: one.merge_key):
        _same_id_other_content(entries, one.record)
        fate, why, request = _judge(entries, one, now)
        TrailRecord.objects.filter(pk=one.record.pk).update(fate=fate, why=why, request=request)
        fates[_COLUMNS[fate]] += 1
    return fates


_COLUMNS = {
    Fate.REQUEST: "requests",
    Fate.MERGED: "merged",
    Fate.EXECUTOR: "executor",
    Fate.ALERT: "alerts",
    Fate.OBSERVED: "observed",
    Fate.HARMLESS: "harmless",
}


def _protected(event: TrailEvent, accounts: dict[str, Account], guard: _Guard) -> _Protected | None:
    account = accounts.get(event.account)
    if account is None or not guard.watch.may_concern(event):
        return None
    meant, matching = guard.watch.read(event, Where(account.pk, event.region, account.partition))
    if meant is None or not matching:
        return None
    enforcing = tuple(guard.versions[rules] for rules in matching if rules.mode is Mode.ENFORCE)
    return _Protected(event, account, meant.operation, meant.conversion, meant.resources, enforcing)


def _judge(entries: Trail, fresh: _Fresh, now: datetime) -> tuple[Fate, str, ApprovalRequest | None]:
    found, record = fresh.protected, fresh.record
    event = found.event
    if not found.enforcing:
        return Fate.OBSERVED, "Only observing guardrails match.", None
    becomes, why = explanation.fate_of(event, found.account.executor_role_arn)
    if becomes is Becomes.PROOF:
        outbox.put(OutboxKind.PROVE, record.pk)
        return Fate.EXECUTOR, why, None
    if becomes is Becomes.IGNORED:
        return Fate.HARMLESS, why, None
    if becomes is Becomes.ALERT:
        if event.outcome is Outcome.DENIED:
            _root(entries, found, record)
        else:
            _bypass(entries, found, record, what="succeeded" if event.outcome is Outcome.SUCCEEDED else "may have succeeded")
        return Fate.ALERT, why, None
    try:
        request, new = submit(
            entries,
            event,
            operation=found.operation.full_name,
            conversion=found.conversion,
            account=found.account,
            requester=fresh.requester,
            versions=found.enforcing,
            merge_key=fresh.merge_key,
            now=now,
        )
    except TooMany as reason:
        _flood(entries, str(reason), record)
        return Fate.ALERT, str(reason), None
    return (
        (Fate.REQUEST, "", request) if new else (Fate.MERGED, "The same call was denied before and its request is open.", request)
    )


def _same_id_other_content(entries: Trail, record: TrailRecord) -> None:
    """Both are judged; that there are two is an alert, because one of them may be meant to hide the other."""
    others = TrailRecord.objects.filter(event_id=record.event_id, account=record.account).exclude(pk=record.pk)
    if others.exists():
        raise_alert(
            entries,
            AlertKind.CONFLICT,
            title=f"Two different records carry the event id {words.visible(record.event_id)}",
            detail=(
                f"Both are of account {record.account}. CloudTrail corrects an event seldom (it is then marked as an "
                "addendum); otherwise somebody puts records of his own on the queue. Compare both on the feed's page, and look "
                "at who may send to the queue."
            ),
            actor="process:feed",
            record=record,
        )


def _root(entries: Trail, found: _Protected, record: TrailRecord) -> None:
    raise_alert(
        entries,
        AlertKind.ROOT,
        title=f"The root user of {found.account} tried {found.operation.full_name}",
        detail="Root stands for nobody in particular, so no request was opened. Find out who used it.",
        actor="process:feed",
        record=record,
    )


def _flood(entries: Trail, reason: str, record: TrailRecord) -> None:
    """One alert for as long as it is open: a flood of alerts would hide what the flood of drafts would have hidden."""
    raise_once(
        entries,
        AlertKind.FLOOD,
        title=words.visible(reason),
        detail=(
            "Every further denied call is kept as a record and becomes no draft. Look at what the identity does: a script that "
            "tries again and again, or somebody who wants to hide a request among many. Drafts are made again once some of its "
            "open ones are decided, withdrawn or expired."
        ),
        actor="process:feed",
        record=record,
    )


def _bypass(entries: Trail, found: _Protected, record: TrailRecord, *, what: str) -> None:
    event = found.event
    names = ", ".join(version.guardrail.name for version in found.enforcing)
    touched = ", ".join(found.resources) or "an unknown resource"
    raise_alert(
        entries,
        AlertKind.BYPASS,
        title=f"{found.operation.full_name} on {touched} {what} outside the portal",
        detail=(
            f"{words.visible(event.caller.arn or event.caller.type)} called it at {event.event_time.isoformat()} from "
            f"{words.visible(event.source_ip) or 'an unknown address'} with access key "
            f"{words.visible(event.caller.access_key_id) or '(none)'}. "
            f"Guardrail {names} should have stopped it: the key can do more than it should, or a policy was taken away."
        ),
        actor="process:feed",
        record=record,
    )


def _merge_key(found: _Protected, requester: Person | None) -> str:
    return canonical.digest(
        canonical.dumps(
            [
                found.event.caller.arn,
                # Two people may share a role and a session's name: a call of one never hides in the other's request.
                str(requester.pk) if requester else None,
                [list(principal) for principal in found.event.caller.principals()],
                found.account.pk,
                found.event.region,
                found.operation.full_name,
                canonical.encode(found.conversion.parameters),
            ]
        )
    )


def _record(event: TrailEvent, now: datetime) -> TrailRecord | None:
    """Keep the record, or None when it is here already: deliveries repeat, and two feeds may hold the same one."""
    row: dict[str, Any] = {
        "event_id": event.event_id,
        "account": event.account,
        "region": event.region,
        "event_source": event.event_source,
        "event_name": event.event_name,
        "event_time": event.event_time,
        "outcome": str(event.outcome),
        "error_code": event.error_code,
        "principal": event.caller.arn,
        "session_issuer": event.caller.session_issuer_arn,
        "source_identity": event.caller.source_identity,
        "access_key_id": event.caller.access_key_id,
        "aws_request_id": event.request_id,
        "fate": str(Fate.HARMLESS),
        "why": "",
        "received_at": now,
        "duplicates": 0,
        "raw": event.raw,
        "sha256": event.sha256,
    }
    # The ORM's ignore_conflicts does not tell whether the row went in; RETURNING does.
    insert = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT (event_id, account, sha256) DO NOTHING RETURNING id").format(
        sql.Identifier(TrailRecord._meta.db_table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    with connection.cursor() as cursor:
        cursor.execute(insert, list(row.values()))
        inserted = cursor.fetchone()
    return TrailRecord(id=inserted[0], **row) if inserted else None


def _quarantine(message: Message, reason: str, now: datetime) -> None:
    data = message.body.encode("utf-8", "surrogatepass")
    kept = data[:KEPT_OF_A_BAD_MESSAGE].decode("utf-8", "replace").replace("\0", "\\u0000")
    QuarantinedMessage.objects.create(
        message_id=message.id[:200],
        reason=reason[:2000].replace("\0", "\\u0000"),
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        body=kept,
        received_at=now,
    )
    log.warning("message quarantined", extra={"message_id": message.id, "reason": reason})


def _quarantine_alone(message: Message, reason: str, now: datetime) -> Batch:
    batch = Batch(received=1)
    with audit.recorded():
        _quarantine(message, reason, now)
        batch.fates["quarantined"] += 1
        _account_for(batch, now)
    return batch


def _account_for(batch: Batch, now: datetime) -> None:
    FeedBatch.objects.create(at=now, received=batch.received, **batch.fates)
