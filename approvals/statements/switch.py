"""The kill switch: one administrator pauses all executions by one signature; two sign the same statement to resume them.

A pause is in force from the commit of its signature on: whoever says `sent` holds the same lock, shared, while he looks.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import OperationalError, connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from psycopg.errors import LockNotAvailable

from approvals import audit, notifications, signatures
from approvals.alerts import raise_alert
from approvals.audit import Trail
from approvals.demands import Forged
from approvals.errors import BadAuthority, NotAllowed, NotYet, Refused, WrongState
from approvals.models import AlertKind, AuditKind, Person, Statement, StatementSignature
from approvals.statements import texts
from approvals.statements.texts import Said
from approvals.statements.writing import end, given_reason, new
from approvals.states import StatementState

# To resume is no emergency; what was read a day ago is read again.
RESUMED_WITHIN: Final = timedelta(days=1)
_KEY: Final = int.from_bytes(b"cspause1", "big")
# How many pauses one resuming names: whoever is the web process may make any number, and what is signed is read by people.
MOST_AT_ONCE: Final = 2000
PAUSED: Final = "Executions are paused"
# Whoever holds it properly does so for some milliseconds.
_PATIENCE: Final = "2s"
_NOT_ALONE: Final = (
    " Somebody kept the lock of the kill switch: a call that was announced in this very moment may still be made. Look at "
    "pg_locks for an advisory lock that stays, and find out whose session that is."
)
log = logging.getLogger(__name__)


def held_still() -> None:
    """Nobody pauses until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [_KEY])


def held_alone() -> bool:
    """Nobody says until this transaction ends that it is about to make a call; False where that could not be had at once.

    Whoever may connect can keep an advisory lock. No pause waits for that: a worker looks once more right before its call.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_KEY])
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        log.critical("somebody keeps the lock of the kill switch, so it was paused without: %s", error)
        return False
    return True


def counting() -> QuerySet[Statement]:
    """Every pause that ever was in force. One that was signed counts whatever its state says: that cannot be written by us."""
    signed = StatementSignature.objects.filter(statement=OuterRef("pk"))
    return Statement.objects.filter(
        Q(state__in=[StatementState.IN_FORCE, StatementState.OVER]) | Exists(signed), kind=Statement.Kind.PAUSE
    )


def paused_since(resumed: Collection[UUID]) -> QuerySet[Statement]:
    """The pauses that count, but for these, which were known to be resumed."""
    return counting().exclude(pk__in=resumed)


def must_still_run(resumed: Collection[UUID]) -> None:
    """In the transaction that says `sent`: no pause came since the claim, which knew `resumed` ones. Raises NotYet."""
    held_still()
    must_go_on(resumed)


def must_go_on(resumed: Collection[UUID]) -> None:
    """The same for what only prepares a call: without the lock, so that a pause may come right after it. Raises NotYet."""
    since = paused_since(resumed).select_related("proposer").first()
    if since is not None:
        raise NotYet(f"{PAUSED}: {words_of(since)}")


def words_of(pause: Statement) -> str:
    """Since when, by whom and why."""
    try:
        reason = texts.read(pause).reason
    except BadAuthority:
        reason = "its text cannot be read"
    return f"since {pause.created_at:%Y-%m-%d %H:%M %Z} by {pause.proposer.handle}: {reason}"


def resumings() -> QuerySet[Statement]:
    """Those in force. Whether their signatures verify the executor judges, and takes back what does not."""
    return Statement.objects.filter(kind=Statement.Kind.RESUME, state=StatementState.IN_FORCE)


def in_force() -> list[Statement]:
    """The pauses that hold, the newest first: those that count and that no resuming in force names, whatever their state says."""
    found = list(counting().select_related("proposer"))
    resumed = {pause for one in resumings() for pause in _pauses_of(one)} if found else set()
    return [one for one in found if one.pk not in resumed]


def must_name_pauses(said: Said) -> None:
    """Raise Forged when a resuming names what is no pause: one that is made later under that id would be none from the start."""
    if set(counting().filter(pk__in=said.pauses).values_list("pk", flat=True)) != set(said.pauses):
        raise Forged("It names a pause that there is not.")


def take_back(trail: Trail, resuming: Statement, why: str, actor: str, now: datetime) -> None:
    """A resuming in force that does not verify has resumed nothing: its pauses are shown as what they are, and resumed anew.

    Whoever comes second finds it done.
    """
    with suppress(WrongState):
        end(trail, resuming, StatementState.REFUSED, f"Taken back: {why}", actor, now, was=StatementState.IN_FORCE)


def waiting_to_resume(now: datetime | None = None) -> list[Statement]:
    """The resumings that wait for signatures, the newest first."""
    open_ones = Statement.objects.filter(kind=Statement.Kind.RESUME, state=StatementState.OPEN)
    return list(open_ones.filter(open_until__gt=now or timezone.now()).select_related("proposer"))


def why_not_switch(person: Person) -> str:
    """Why this person neither pauses nor resumes, in a sentence; empty when he may."""
    if not person.is_active or not person.is_human or not person.is_administrator:
        return "Administrators pause and resume executions."
    return ""


def pause(person: Person, *, reason: str, now: datetime | None = None) -> Statement:
    """The statement of a pause, to be signed at once; nothing is paused before. Raises NotAllowed, Refused."""
    now = now or timezone.now()
    reason = given_reason(reason)
    _must_switch(person)
    with audit.recorded() as trail:
        return new(trail, Statement.Kind.PAUSE, person, reason, now, lasts=signatures.LIFETIME)


def put_in_force(trail: Trail, statement: Statement, person: Person, *, alone: bool) -> None:
    """A pause that was signed, in the transaction of its signature and under its lock, where that could be had (`alone`)."""
    Statement.objects.filter(pk=statement.pk, state=StatementState.OPEN).update(state=StatementState.IN_FORCE)
    statement.state = StatementState.IN_FORCE
    said, actor = texts.read(statement), f"person:{person.handle}"
    trail.add(AuditKind.EXECUTIONS_PAUSED, actor=actor, statement=str(statement.pk), digest=statement.digest, reason=said.reason)
    raise_alert(
        trail,
        AlertKind.PAUSED,
        title=f"{person.handle} paused all executions",
        detail=(
            f"{said.reason}\nNo call is made until two administrators sign that executions go on. What was sent before is "
            "followed to its end. Approvals run out meanwhile as they would otherwise."
            f"{'' if alone else _NOT_ALONE}"
        ),
        actor=actor,
    )


def propose_resuming(person: Person, *, reason: str, now: datetime | None = None) -> Statement:
    """The statement that ends every pause now in force, or the oldest of more than two persons could read of.

    Two administrators sign it. Raises NotAllowed, Refused.
    """
    now = now or timezone.now()
    reason = given_reason(reason)
    _must_switch(person)
    with audit.recorded() as trail:
        held_still()
        named = sorted(str(one.pk) for one in in_force()[-MOST_AT_ONCE:])
        if not named:
            raise Refused("Executions are not paused, so there is nothing to resume.")
        same = next((one for one in waiting_to_resume(now) if sorted(map(str, _pauses_of(one))) == named), None)
        if same is not None and not same.signatures.filter(person=person).exists():
            # Two administrators who begin at the same time sign one statement, not two.
            return same
        statement = new(trail, Statement.Kind.RESUME, person, reason, now, lasts=RESUMED_WITHIN, pauses=named)
        notifications.tell_of_statement(notifications.STATEMENT_PROPOSED, statement)
    return statement


def _pauses_of(statement: Statement) -> tuple[UUID, ...]:
    try:
        return texts.read(statement).pauses
    except BadAuthority:
        return ()


def _must_switch(person: Person) -> None:
    if why := why_not_switch(person):
        raise NotAllowed(why)
