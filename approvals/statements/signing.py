"""Signing a statement: who may, and what follows. A pause is in force by one signature; the rest is for the executor."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from approvals import audit, ceremonies, outbox, permissions, signatures
from approvals.ceremonies import Ceremony, Kind
from approvals.errors import AlreadyReviewed, BadAuthority, NotAllowed, Refused, StaleRevision
from approvals.models import AuditKind, OutboxKind, Person, Statement, StatementChallenge, StatementSignature
from approvals.signatures import Assertion
from approvals.statements import closing, switch, texts
from approvals.statements.writing import end, given_reason, locked, must_be_open, request_of
from approvals.states import StatementState, Verdict

_KIND: Final = Kind(
    domain=signatures.STATEMENT,
    challenges=StatementChallenge,
    signatures=StatementSignature,
    subject="statement",
    thing="statement",
    signed_already="You have signed this statement already.",
)


def begin(statement_id: UUID, person: Person, verdict: Verdict, *, now: datetime | None = None) -> Ceremony:
    """Open a signing ceremony. Decides nothing, and checks that the person may sign at all."""
    now = now or timezone.now()
    with transaction.atomic():
        statement = locked(statement_id)
        must_be_signable(statement, person, now=now)
        _must_have_verdict(statement.kind, verdict)
        return ceremonies.begin(_KIND, statement, person, verdict, now)


def sign(
    statement_id: UUID,
    person: Person,
    *,
    digest: str,
    verdict: Verdict,
    nonce: str,
    assertion: Assertion,
    reason: str = "",
    now: datetime | None = None,
) -> Statement:
    """One signed verdict of one person. A denial ends it; one administrator pauses; two signatures are handed to the executor.

    Raises NotAllowed, AlreadyReviewed, WrongState, Expired, StaleRevision, BadSignature, Refused.
    """
    now = now or timezone.now()
    reason = given_reason(reason, needed=verdict is Verdict.DENY)
    ceremonies.consume(_KIND, nonce, person, now)
    actor = f"person:{person.handle}"
    with audit.recorded() as trail:
        kind = Statement.objects.filter(pk=statement_id).values_list("kind", flat=True).first()
        _must_have_verdict(kind, verdict)
        # Whoever is about to say that it makes a call says it before us, or finds the pause.
        alone = kind == Statement.Kind.PAUSE and switch.held_alone()
        statement = locked(statement_id)
        must_be_signable(statement, person, now=now)
        if digest != statement.digest:
            raise StaleRevision("This form is about another statement than the one that is stored. Read it again.")
        ceremonies.sign(_KIND, statement, person, verdict, nonce, assertion, now, reason=reason)
        trail.add(
            AuditKind.STATEMENT_SIGNED,
            actor=actor,
            request=request_of(statement),
            statement=str(statement.pk),
            what=statement.kind,
            digest=digest,
            verdict=str(verdict),
            reason=reason,
        )
        if verdict is Verdict.DENY:
            end(trail, statement, StatementState.DENIED, f"Denied by {person.handle}: {reason}", actor, now)
        elif statement.kind == Statement.Kind.PAUSE:
            switch.put_in_force(trail, statement, person, alone=alone)
        elif len(counted_signers(statement)) >= signers_needed(statement):
            outbox.put(OutboxKind.CLOSE, statement.pk)
    return statement


def _must_have_verdict(kind: str | None, verdict: Verdict) -> None:
    """Raise Refused for what a statement of this kind is not signed with.

    A denied pause would be one more thing that rows can say of a pause that holds, and that pages and claims could judge apart.
    """
    if verdict not in (Verdict.APPROVE, Verdict.DENY):
        raise Refused("A statement is signed or denied.")
    if kind == Statement.Kind.PAUSE and verdict is Verdict.DENY:
        raise Refused("A pause is not denied. Whoever made it withdraws it, or leaves it unsigned: it runs out in minutes.")


def withdraw(statement_id: UUID, person: Person, *, now: datetime | None = None) -> Statement:
    """The proposer takes it back before it is acted on. Raises NotAllowed, WrongState, Expired."""
    now = now or timezone.now()
    with audit.recorded() as trail:
        statement = locked(statement_id)
        _must_be_withdrawable(statement, person, now)
        end(trail, statement, StatementState.WITHDRAWN, f"Withdrawn by {person.handle}.", f"person:{person.handle}", now)
    return statement


def why_not_withdraw(statement: Statement, person: Person, *, now: datetime | None = None) -> str:
    """Why this person cannot take it back, in a sentence; empty when he can."""
    try:
        _must_be_withdrawable(statement, person, now or timezone.now())
    except Refused as refusal:
        return str(refusal)
    return ""


def _must_be_withdrawable(statement: Statement, person: Person, now: datetime) -> None:
    must_be_open(statement, now)
    if statement.proposer_id != person.pk or not person.is_active:
        raise NotAllowed("Only who made the statement takes it back.")


def expire(*, now: datetime | None = None, most: int = 100) -> int:
    """End what too few signed in time; return how many. Every verb looks at the clock itself."""
    now = now or timezone.now()
    due = Statement.objects.filter(state=StatementState.OPEN, open_until__lte=now).order_by("created_at")
    ended = 0
    for pk in list(due.values_list("pk", flat=True)[:most]):
        with audit.recorded() as trail:
            statement = locked(pk)
            if statement.state == StatementState.OPEN:
                end(trail, statement, StatementState.EXPIRED, "Too few persons signed it in time.", "process:expiry", now)
                ended += 1
    return ended


def signers_needed(statement: Statement) -> int:
    """How many distinct persons sign before it is acted on."""
    return 1 if statement.kind == Statement.Kind.PAUSE else 2


def counted_signers(statement: Statement) -> frozenset[UUID]:
    """Whose signatures count as far as today's tables tell; what it leads to, the executor judges anew."""
    signed = statement.signatures.filter(verdict=Verdict.APPROVE).select_related("person")
    persons = [one.person for one in signed if not _why_not(statement, one.person)]
    return frozenset(person.pk for person in persons) & permissions.active_among([person.pk for person in persons])


def why_not_sign(statement: Statement, person: Person, *, now: datetime | None = None) -> str:
    """Why this person cannot sign it now, in a sentence for him; empty when he can."""
    try:
        must_be_signable(statement, person, now=now)
    except Refused as refusal:
        return str(refusal)
    return ""


def must_be_signable(statement: Statement, person: Person, *, now: datetime | None = None) -> None:
    """Raise WrongState, Expired, NotAllowed, AlreadyReviewed or Refused unless this person can sign the statement now."""
    must_be_open(statement, now or timezone.now())
    try:
        texts.read(statement)
    except BadAuthority as error:
        raise Refused(f"{error} Sign nothing, and tell the administrators.") from error
    if why := _why_not(statement, person):
        raise NotAllowed(why)
    if StatementSignature.objects.filter(statement=statement, person=person).exists():
        raise AlreadyReviewed("You have signed this statement already.")


def _why_not(statement: Statement, person: Person) -> str:
    if statement.kind == Statement.Kind.CLOSING:
        return closing.why_not_close(statement.execution, person)
    return switch.why_not_switch(person)
