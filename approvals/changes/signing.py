"""Signing a change of authority: a challenge that is used once, and the assertion over (new state, state before)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from fido2.utils import websafe_decode

from approvals import audit, outbox, permissions, signatures
from approvals.authority import codes, links, relying_party, state
from approvals.changes.writing import end, given_reason, head, locked, must_be_open
from approvals.counters import last_counter
from approvals.errors import AlreadyReviewed, BadSignature, NotAllowed, Refused, StaleRevision
from approvals.models import (
    AuditKind,
    AuthorityChange,
    ChangeChallenge,
    ChangeSignature,
    OutboxKind,
    Passkey,
    Person,
)
from approvals.signatures import Assertion, RelyingParty
from approvals.states import ChangeState, Verdict


@dataclass(frozen=True, slots=True)
class Opened:
    """What a person's passkey is asked to sign. `code` is his part of an enrolment link: shown once, kept nowhere."""

    nonce: str
    challenge: str
    digest: str
    verdict: Verdict
    credential_ids: tuple[str, ...]
    relying_party: RelyingParty
    code: str = ""


def begin(change_id: UUID, person: Person, verdict: Verdict, *, now: datetime | None = None) -> Opened:
    """Open a signing ceremony. Decides nothing, and checks that the person may sign at all."""
    now = now or timezone.now()
    if verdict not in (Verdict.APPROVE, Verdict.DENY):
        raise Refused("A change of authority is approved or denied.")
    with transaction.atomic():
        change = locked(change_id, now)
        _must_be_signer(change, person)
        keys = tuple(Passkey.objects.filter(person=person).order_by("id").values_list("credential_id", flat=True))
        if not keys:
            raise NotAllowed("You have no registered passkey, so you cannot sign. Ask the administrators for an enrolment link.")
        code = codes.new_code() if verdict is Verdict.APPROVE and invites(change) else ""
        nonce = signatures.new_nonce(now, codes.fingerprint(code) if code else b"")
        ChangeChallenge.objects.create(
            nonce=signatures.websafe(nonce),
            change=change,
            person=person,
            verdict=verdict,
            created_at=now,
            expires_at=now + signatures.LIFETIME,
        )
    asked = signatures.challenge(change.digest, verdict, nonce, domain=signatures.AUTHORITY)
    return Opened(signatures.websafe(nonce), signatures.websafe(asked), change.digest, verdict, keys, relying_party(), code)


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
    _consume(nonce, person, now)
    with audit.recorded() as trail:
        change = locked(change_id, now)
        _must_be_signer(change, person)
        if digest != change.digest:
            raise StaleRevision("This form is about another change than the one that is stored. Read it again.")
        _store(change, person, verdict, nonce, assertion, reason, now)
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


def _consume(nonce: str, person: Person, now: datetime) -> None:
    """Use the nonce up, before and outside the transaction, so that a refused signature cannot be tried again."""
    mine = ChangeChallenge.objects.filter(nonce=nonce, person=person, consumed_at__isnull=True)
    if not mine.update(consumed_at=now):
        raise BadSignature("This signature was used already, or was never asked for. Open the change again and sign anew.")


def _store(
    change: AuthorityChange, person: Person, verdict: Verdict, nonce: str, assertion: Assertion, reason: str, now: datetime
) -> None:
    ceremony = ChangeChallenge.objects.filter(nonce=nonce, person=person, change=change, verdict=verdict).first()
    if ceremony is None:
        raise BadSignature("This signature was asked for another decision. Open the change again and sign anew.")
    if ceremony.expires_at <= now:
        raise BadSignature("You took longer than five minutes to sign. Open the change again and sign anew.")
    passkey = Passkey.objects.filter(credential_id=assertion.credential_id, person=person).first()
    if passkey is None:
        raise BadSignature("That passkey is not one of yours. Sign with a passkey that is registered for you.")
    expected = signatures.challenge(change.digest, verdict, bytes(websafe_decode(nonce)), domain=signatures.AUTHORITY)
    key = bytes(websafe_decode(passkey.public_key))
    counter = signatures.verify(assertion, expected=expected, public_key=key, party=relying_party())
    if signatures.counter_went_back(last_counter(passkey.credential_id), counter):
        raise BadSignature(
            "The passkey's counter went back: it may have been cloned. Tell the administrators before you sign again."
        )
    try:
        with transaction.atomic():
            ChangeSignature.objects.create(
                change=change,
                person=person,
                verdict=verdict,
                reason=reason,
                nonce=nonce,
                credential_id=assertion.credential_id,
                client_data=assertion.client_data,
                authenticator_data=assertion.authenticator_data,
                signature=assertion.signature,
                counter=counter,
                created_at=now,
            )
    except IntegrityError as error:
        raise AlreadyReviewed("You have signed this change already.") from error
