"""Signing a change of authority: a challenge that is used once, and the assertion over (new state, state before)."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from approvals import audit, ceremonies, outbox, permissions, signatures
from approvals.authority import codes, links, state
from approvals.ceremonies import Ceremony, Kind
from approvals.changes.writing import end, given_reason, head, locked, must_be_open
from approvals.errors import AlreadyReviewed, NotAllowed, Refused, StaleRevision
from approvals.models import (
    AuditKind,
    AuthorityChange,
    ChangeChallenge,
    ChangeSignature,
    OutboxKind,
    Person,
)
from approvals.signatures import Assertion
from approvals.states import ChangeState, Verdict

_KIND: Final = Kind(
    domain=signatures.AUTHORITY,
    challenges=ChangeChallenge,
    signatures=ChangeSignature,
    subject="change",
    thing="change",
    signed_already="You have signed this change already.",
)


def begin(change_id: UUID, person: Person, verdict: Verdict, *, now: datetime | None = None) -> Ceremony:
    """Open a signing ceremony. Decides nothing, and checks that the person may sign at all."""
    now = now or timezone.now()
    if verdict not in (Verdict.APPROVE, Verdict.DENY):
        raise Refused("A change of authority is approved or denied.")
    with transaction.atomic():
        change = locked(change_id, now)
        _must_be_signer(change, person)
        ceremonies.keys_of(person)
        code = codes.new_code() if verdict is Verdict.APPROVE and invites(change) else ""
        tail = codes.fingerprint(code) if code else b""
        return ceremonies.begin(_KIND, change, person, verdict, now, tail=tail, code=code)


def sign(
    change_id: UUID,
    person: Person,
    *,
    digest: str,
    verdict: Verdict,
    nonce: str,
    assertion: Assertion,
    reason: str = "",
    now: datetime | None = None,
) -> AuthorityChange:
    """One signed verdict of one administrator. A denial ends it; enough approvals promise that it is applied.

    Raises NotAllowed, AlreadyReviewed, WrongState, Expired, StaleChange, StaleRevision, BadSignature, Refused.
    """
    now = now or timezone.now()
    reason = must_have_reason(verdict, reason)
    ceremonies.consume(_KIND, nonce, person, now)
    with audit.recorded() as trail:
        change = locked(change_id, now)
        _must_be_signer(change, person)
        if digest != change.digest:
            raise StaleRevision("This form is about another change than the one that is stored. Read it again.")
        ceremonies.sign(_KIND, change, person, verdict, nonce, assertion, now, reason=reason)
        trail.add(
            AuditKind.CHANGE_SIGNED,
            actor=f"person:{person.handle}",
            change=str(change.pk),
            digest=digest,
            verdict=str(verdict),
            reason=reason,
        )
        if verdict is Verdict.DENY:
            why = f"Denied by {person.handle}: {reason}"
            end(trail, change, ChangeState.DENIED, why, f"person:{person.handle}", now)
        elif len(counted_signers(change)) >= signers_needed():
            outbox.put(OutboxKind.APPLY, change.pk)
    return change


def must_have_reason(verdict: Verdict, reason: str) -> str:
    """The reason, stripped; only a denial needs one. Raises Refused."""
    return given_reason(reason, needed=verdict is Verdict.DENY, reader="whoever proposed this")


def counted_signers(change: AuthorityChange) -> frozenset[str]:
    """The ids of those whose signatures count so far: administrators who gain nothing by the change, with an active login."""
    approved = list(change.signatures.filter(verdict=Verdict.APPROVE).values_list("person_id", flat=True))
    active = permissions.active_among(approved) if approved else frozenset()
    return links.counted(head(), state.read(change.next_state), frozenset(map(str, active)))


def signers_needed() -> int:
    """How many must count before a change is applied."""
    return max(2, head().authority.signers)


def why_not_sign(change: AuthorityChange, person: Person, *, now: datetime | None = None) -> str:
    """Why this person cannot sign the change now, in a sentence for him; empty when he can."""
    try:
        must_be_signable(change, person, now=now)
    except Refused as refusal:
        return str(refusal)
    return ""


def must_be_signable(change: AuthorityChange, person: Person, *, now: datetime | None = None) -> None:
    """Raise WrongState, Expired, StaleChange, NotAllowed or AlreadyReviewed unless this person can sign the change now."""
    must_be_open(change, now or timezone.now())
    _must_be_signer(change, person)


def invites(change: AuthorityChange) -> bool:
    """Whether the change makes an invitation, so that each who signs it gets a code of his own."""
    had = {row["id"] for row in head().document["invitations"]}
    return any(row["id"] not in had for row in state.read(change.next_state)["invitations"])


def _must_be_signer(change: AuthorityChange, person: Person) -> None:
    if change.kind != AuthorityChange.Kind.EDITS:
        raise NotAllowed("A registration of passkeys is not signed by others: it carries the codes of those who invited.")
    if not person.is_active or not person.is_human or not person.is_administrator:
        raise NotAllowed("Administrators sign changes of authority.")
    if str(person.pk) not in links.counted(head(), state.read(change.next_state), frozenset({str(person.pk)})):
        raise NotAllowed(
            "You gain something by this change, or what is yours passes to others: two other administrators have to sign it."
        )
    if ChangeSignature.objects.filter(change=change, person=person).exists():
        raise AlreadyReviewed("You have signed this change already.")
