"""Registering passkeys by an enrolment link: for the invited person, signed in as himself, with the codes of who invited.

The codes are used in memory alone: what is stored shows that they were known for exactly these passkeys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone
from fido2.utils import websafe_decode

from approvals import audit, canonical, outbox, permissions, signatures
from approvals.authority import codes, links, relying_party, state
from approvals.authority.links import MOST_PASSKEYS
from approvals.changes.writing import head
from approvals.errors import BadSignature, Expired, NotAllowed, Refused
from approvals.models import AuditKind, AuthorityChange, Invitation, OutboxKind, Passkey, Person, RegistrationChallenge
from approvals.signatures import Registration, RelyingParty


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator is asked to make: bytes as base64url. `known` are the credentials that it must not make again."""

    invitation: str
    nonce: str
    challenge: str
    person_id: str
    handle: str
    known: tuple[str, ...]
    relying_party: RelyingParty


def invitation_of(invitation_id: UUID, person: Person, *, now: datetime | None = None) -> Invitation:
    """The invitation, which is this person's own and still good. Raises NotAllowed, Expired."""
    now = now or timezone.now()
    found = Invitation.objects.filter(pk=invitation_id).first()
    if found is None:
        raise NotAllowed(
            "This enrolment link was used, or a newer one took its place, or it was never issued. Ask the administrators for a "
            "new one if you need it."
        )
    if found.person_id != person.pk:
        raise NotAllowed("This enrolment link was issued for somebody else. Sign in as the person it was issued for.")
    if not person.is_active or not person.is_human:
        raise NotAllowed("Only an active person registers passkeys. Ask the administrators.")
    if found.until <= now:
        raise Expired("This enrolment link has lapsed. Ask the administrators for a new one.")
    return found


def codes_asked(invitation: Invitation) -> int:
    """How many codes the person has to enter."""
    return 1 if invitation.codes else max(2, head().authority.signers)


def keys_asked(person: Person) -> int:
    """How many passkeys the person has to register: whoever may review, or administers, has two in the end; others one."""
    decides = person.is_administrator or bool(permissions.reviewable_by(person))
    return max(1, MOST_PASSKEYS - Passkey.objects.filter(person=person).count()) if decides else 1


def begin_registration(invitation_id: UUID, person: Person, *, now: datetime | None = None) -> Enrolment:
    """Open the registration of one passkey. Stores the challenge and nothing else."""
    now = now or timezone.now()
    invitation = invitation_of(invitation_id, person, now=now)
    nonce = signatures.new_nonce(now)
    RegistrationChallenge.objects.create(
        nonce=signatures.websafe(nonce),
        invitation=invitation,
        person=person,
        created_at=now,
        expires_at=now + signatures.LIFETIME,
    )
    challenge = signatures.registration_challenge(str(invitation.pk), nonce)
    known = tuple(Passkey.objects.filter(person=person).values_list("credential_id", flat=True))
    return Enrolment(
        str(invitation.pk),
        signatures.websafe(nonce),
        signatures.websafe(challenge),
        str(person.pk),
        person.handle,
        known,
        relying_party(),
    )


def registered(made: Registration, invitation_id: UUID, person: Person, *, now: datetime | None = None) -> None:
    """Check one registration and use its challenge up. Raises BadSignature, NotAllowed, Expired."""
    now = now or timezone.now()
    invitation = invitation_of(invitation_id, person, now=now)
    mine = RegistrationChallenge.objects.filter(
        nonce=made.nonce, person=person, invitation=invitation, consumed_at__isnull=True, expires_at__gt=now
    )
    if not mine.update(consumed_at=now):
        raise BadSignature("This registration was used already, took over five minutes, or was never asked for. Begin again.")
    signatures.verify_registration(made, invitation=str(invitation.pk), party=relying_party())


def enrol(
    invitation_id: UUID,
    person: Person,
    *,
    given: Sequence[str],
    registrations: Sequence[Registration],
    now: datetime | None = None,
) -> AuthorityChange:
    """Ask that these passkeys, each accepted by `registered`, be the person's. `given` are the codes, which are not kept.

    Raises NotAllowed, Expired, Refused for the number of keys, BadSignature when the codes are not those of who issued the link.
    """
    now = now or timezone.now()
    invitation = invitation_of(invitation_id, person, now=now)
    if not 0 < len(registrations) <= MOST_PASSKEYS or len({one.credential_id for one in registrations}) != len(registrations):
        raise Refused(f"Register one or {MOST_PASSKEYS} different passkeys; two are better, because one can be lost.")
    if len(registrations) < keys_asked(person):
        raise Refused(
            "Register two passkeys on two authenticators: you may review or administer here, and with a lost key there would be "
            "one person less to decide."
        )
    for one in registrations:
        signatures.verify_registration(one, invitation=str(invitation.pk), party=relying_party())
        if not RegistrationChallenge.objects.filter(nonce=one.nonce, invitation=invitation, consumed_at__isnull=False).exists():
            raise BadSignature("One of these passkeys was not registered here. Begin again from the enrolment link.")
        if Passkey.objects.filter(credential_id=one.credential_id).exists():
            raise Refused("One of these passkeys is registered already. Use another authenticator.")
    keys = [one.passkey() for one in registrations]
    proofs = [codes.proof(code, str(invitation.pk), keys) for code in given if code.strip()]
    _must_know_codes(invitation, {codes.fingerprint(code) for code in given if code.strip()})
    with audit.recorded() as trail:
        newest = head()
        row = next((row for row in newest.document["invitations"] if row["id"] == str(invitation.pk)), None)
        if row is None:
            raise NotAllowed("This enrolment link was used. Ask the administrators for a new one.")
        text = state.text_of(links.enrolled(newest.document, row, keys))
        change = AuthorityChange.objects.create(
            kind=AuthorityChange.Kind.ENROLMENT,
            proposer=person,
            reason="Registered by an enrolment link.",
            number=newest.number + 1,
            previous=newest.hash,
            edits="[]",
            next_state=text,
            digest=links.link_hash(newest.number + 1, newest.hash, text),
            registration=canonical.dumps(_proof(invitation, registrations, proofs)),
            created_at=now,
            open_until=min(now + links.LIFETIME, invitation.until),
        )
        trail.add(
            AuditKind.CHANGE_PROPOSED,
            actor=f"person:{person.handle}",
            change=str(change.pk),
            digest=change.digest,
            reason=change.reason,
            passkeys=[key["credential_id"] for key in keys],
        )
        outbox.put(OutboxKind.APPLY, change.pk)
    return change


def _must_know_codes(invitation: Invitation, known: set[bytes]) -> None:
    """Say early what the authority process would find: it verifies the codes again, against the chain."""
    if invitation.codes:
        if not {one.hex() for one in known} & set(invitation.codes):
            raise BadSignature("That is not the code of this enrolment link. Check it for a slip.")
        return
    need = codes_asked(invitation)
    if len(known) < need or len(makers_known(invitation, known)) < need:
        raise BadSignature(
            f"The codes of {need} of the administrators who issued this link are needed, each as they gave it to you. Check them "
            "for a slip."
        )


def makers_known(invitation: Invitation, known: set[bytes]) -> set[UUID]:
    """The administrators whose codes these are."""
    tails = {one[: signatures.NONCE_BYTES - 8] for one in known}
    makers = (
        AuthorityChange.objects.filter(state="applied", next_state__contains=str(invitation.pk), kind=AuthorityChange.Kind.EDITS)
        .order_by("number")
        .first()
    )
    if makers is None:
        return set()
    # Somebody whose right was taken away since opens nothing.
    signed = list(makers.signatures.filter(verdict="approve", person__is_administrator=True))
    active = permissions.active_among([row.person_id for row in signed])
    return {row.person_id for row in signed if row.person_id in active and bytes(websafe_decode(row.nonce))[8:] in tails}


def _proof(invitation: Invitation, registrations: Sequence[Registration], proofs: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    return {
        "kind": "enrolment",
        "invitation": str(invitation.pk),
        "registrations": [
            {
                "credential_id": one.credential_id,
                "public_key": one.public_key,
                "label": one.label,
                "nonce": one.nonce,
                "client_data": one.client_data,
                "attestation": one.attestation,
            }
            for one in registrations
        ],
        "codes": list(proofs),
    }
