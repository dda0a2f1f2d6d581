"""Signing ceremonies: a challenge that is used once, and the assertion that answers it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from fido2.utils import websafe_decode

from approvals import signatures
from approvals.authority import relying_party
from approvals.counters import last_counter
from approvals.decisions.checks import (
    must_be_breakable,
    must_be_confirmable,
    must_be_reviewable,
)
from approvals.decisions.writing import (
    locked,
)
from approvals.errors import (
    AlreadyReviewed,
    BadSignature,
    NotAllowed,
)
from approvals.models import (
    Passkey,
    Person,
    Revision,
    Signature,
    SignatureChallenge,
)
from approvals.signatures import Assertion, RelyingParty
from approvals.states import Verdict


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What a person's passkey is asked to sign: all bytes as base64url. `credential_ids` are the passkeys that may answer."""

    nonce: str
    challenge: str
    digest: str
    verdict: Verdict
    credential_ids: tuple[str, ...]
    relying_party: RelyingParty


def begin(request_id: UUID, person: Person, verdict: Verdict, *, now: datetime | None = None) -> Ceremony:
    """Open a signing ceremony for the current revision. Decides nothing, and checks that the person may sign at all."""
    now = now or timezone.now()
    with transaction.atomic():
        request = locked(request_id)
        revision = request.current_revision()
        if verdict is Verdict.CONFIRM:
            must_be_confirmable(request, revision, person, now)
        elif verdict is Verdict.BREAK_GLASS:
            must_be_breakable(request, revision, person, now)
        else:
            must_be_reviewable(request, revision, person, now)
        keys = tuple(Passkey.objects.filter(person=person).order_by("id").values_list("credential_id", flat=True))
        if not keys:
            raise NotAllowed("You have no registered passkey, so you cannot sign. Ask the administrators for an enrolment.")
        nonce = signatures.new_nonce(now)
        SignatureChallenge.objects.create(
            nonce=signatures.websafe(nonce),
            revision=revision,
            person=person,
            verdict=verdict,
            created_at=now,
            expires_at=now + signatures.LIFETIME,
        )
    challenge = signatures.websafe(signatures.challenge(revision.digest, verdict, nonce))
    return Ceremony(signatures.websafe(nonce), challenge, revision.digest, verdict, keys, relying_party())


def consume(nonce: str, person: Person, now: datetime) -> None:
    """Use the nonce up, before and outside the decision's transaction, so that a refused signature cannot be tried again."""
    mine = SignatureChallenge.objects.filter(nonce=nonce, person=person, consumed_at__isnull=True)
    if not mine.update(consumed_at=now):
        if SignatureChallenge.objects.filter(nonce=nonce, person=person).exists():
            raise BadSignature(
                "This signature was used already: a signature counts once, and sending it again changes nothing. Open the "
                "request to see what became of it; sign anew if there is still something to sign."
            )
        raise BadSignature("This signature was never asked of you here. Open the request again and sign anew.")


def sign(revision: Revision, person: Person, verdict: Verdict, nonce: str, assertion: Assertion, now: datetime) -> Signature:
    ceremony = SignatureChallenge.objects.filter(nonce=nonce, person=person, revision=revision, verdict=verdict).first()
    if ceremony is None:
        raise BadSignature("This signature was asked for another decision. Open the request again and sign anew.")
    if ceremony.expires_at <= now:
        raise BadSignature("You took longer than five minutes to sign. Open the request again and sign anew.")
    passkey = Passkey.objects.filter(credential_id=assertion.credential_id, person=person).first()
    if passkey is None:
        raise BadSignature("That passkey is not one of yours. Sign with a passkey that is registered for you.")
    counter = signatures.verify(
        assertion,
        expected=signatures.challenge(revision.digest, verdict, bytes(websafe_decode(nonce))),
        public_key=bytes(websafe_decode(passkey.public_key)),
        party=relying_party(),
    )
    if signatures.counter_went_back(last_counter(passkey.credential_id), counter):
        raise BadSignature(
            "The passkey's counter went back: it may have been cloned. Tell the administrators before you sign again."
        )
    try:
        with transaction.atomic():
            return Signature.objects.create(
                revision=revision,
                person=person,
                verdict=verdict,
                nonce=nonce,
                credential_id=assertion.credential_id,
                client_data=assertion.client_data,
                authenticator_data=assertion.authenticator_data,
                signature=assertion.signature,
                counter=counter,
                created_at=now,
            )
    except IntegrityError as error:
        raise AlreadyReviewed("You have signed this revision already.") from error
