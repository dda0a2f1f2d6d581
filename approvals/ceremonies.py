"""Signing ceremonies, whatever is signed: a challenge that is used once, and the assertion that answers it.

Plans, changes of authority and statements are signed alike. What differs (the tables, the domain tag, the words) a `Kind` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, models
from fido2.utils import websafe_decode

from approvals import signatures
from approvals.authority import Authority, relying_party
from approvals.counters import last_counter
from approvals.demands import Forged, KeyWasGoing
from approvals.errors import AlreadyReviewed, BadSignature, NotAllowed
from approvals.models import Passkey, Person
from approvals.signatures import Assertion, RelyingParty
from approvals.states import Verdict

# Clocks of several web processes differ a little, and a nonce counts milliseconds.
_SKEW: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of what is signed. `subject` is the foreign key of both tables to it, `thing` how people call it."""

    domain: bytes
    challenges: type[models.Model]
    signatures: type[models.Model]
    subject: str
    thing: str
    signed_already: str


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What a person's passkey is asked to sign: all bytes as base64url. `credential_ids` are the passkeys that may answer.

    `code` is his part of an enrolment link: shown once, kept nowhere.
    """

    nonce: str
    challenge: str
    digest: str
    verdict: Verdict
    credential_ids: tuple[str, ...]
    relying_party: RelyingParty
    code: str = ""


def begin(
    kind: Kind, signed: Any, person: Person, verdict: Verdict, now: datetime, *, tail: bytes = b"", code: str = ""
) -> Ceremony:
    """Open a ceremony, in the caller's transaction; whether the person may sign is the caller's to check. Raises NotAllowed."""
    keys = keys_of(person)
    nonce = signatures.new_nonce(now, tail)
    kind.challenges._default_manager.create(
        nonce=signatures.websafe(nonce),
        person=person,
        verdict=verdict,
        created_at=now,
        expires_at=now + signatures.LIFETIME,
        **{kind.subject: signed},
    )
    asked = signatures.challenge(signed.digest, verdict, nonce, domain=kind.domain)
    return Ceremony(signatures.websafe(nonce), signatures.websafe(asked), signed.digest, verdict, keys, relying_party(), code)


def keys_of(person: Person) -> tuple[str, ...]:
    """The credential ids that may answer. Raises NotAllowed when there are none."""
    keys = tuple(Passkey.objects.filter(person=person).order_by("id").values_list("credential_id", flat=True))
    if not keys:
        raise NotAllowed("You have no registered passkey, so you cannot sign. Ask the administrators for an enrolment link.")
    return keys


def consume(kind: Kind, nonce: str, person: Person, now: datetime) -> None:
    """Use the nonce up, before and outside the verb's transaction, so that a refused signature cannot be tried again."""
    mine = kind.challenges._default_manager.filter(nonce=nonce, person=person)
    if mine.filter(consumed_at__isnull=True).update(consumed_at=now):
        return
    if mine.exists():
        raise BadSignature(
            "This signature was used already: a signature counts once, and sending it again changes nothing. Open the "
            f"{kind.thing} to see what became of it; sign anew if there is still something to sign."
        )
    raise BadSignature(f"This signature was never asked of you here. Open the {kind.thing} again and sign anew.")


def sign(
    kind: Kind,
    signed: Any,
    person: Person,
    verdict: Verdict,
    nonce: str,
    assertion: Assertion,
    now: datetime,
    **more: Any,
) -> Any:
    """Verify the answer to a ceremony whose nonce was consumed, and store it whole, in the caller's transaction.

    Returns the row of the kind's signatures; `more` are columns of its own. Raises BadSignature, AlreadyReviewed; by the latter
    the caller's transaction is broken, and it ends with nothing done.
    """
    about = {kind.subject: signed}
    ceremony: Any = kind.challenges._default_manager.filter(nonce=nonce, person=person, verdict=verdict, **about).first()
    if ceremony is None:
        raise BadSignature(f"This signature was asked for another decision. Open the {kind.thing} again and sign anew.")
    if ceremony.expires_at <= now:
        raise BadSignature(f"You took longer than five minutes to sign. Open the {kind.thing} again and sign anew.")
    passkey = Passkey.objects.filter(credential_id=assertion.credential_id, person=person).first()
    if passkey is None:
        raise BadSignature("That passkey is not one of yours. Sign with a passkey that is registered for you.")
    expected = signatures.challenge(signed.digest, verdict, bytes(websafe_decode(nonce)), domain=kind.domain)
    key = bytes(websafe_decode(passkey.public_key))
    counter = signatures.verify(assertion, expected=expected, public_key=key, party=relying_party())
    if signatures.counter_went_back(last_counter(passkey.credential_id), counter):
        raise BadSignature(
            "The passkey's counter went back: it may have been cloned. Tell the administrators before you sign again."
        )
    try:
        return kind.signatures._default_manager.create(
            person=person,
            verdict=verdict,
            nonce=nonce,
            credential_id=assertion.credential_id,
            client_data=assertion.client_data,
            authenticator_data=assertion.authenticator_data,
            signature=assertion.signature,
            counter=counter,
            created_at=now,
            **about,
            **more,
        )
    except IntegrityError as error:
        raise AlreadyReviewed(kind.signed_already) from error


def verified(row: Any, digest: str, authority: Authority, party: RelyingParty, *, domain: bytes) -> str:
    """The person whose signature a stored row is, by the walked authority; also under a passkey that was removed since.

    Raises Forged when it was made with another key, over something else, or at another time than the row says; KeyWasGoing.
    """
    known, going = authority.passkeys.get(row.credential_id), False
    retired = authority.retired.get(row.credential_id)
    if known is None and retired is not None:
        known, going = (retired.person, retired.public_key), row.created_at >= retired.moment
    if known is None or known[0] != str(row.person_id):
        raise Forged(f"A signature by {row.person} was made with a passkey that the authority does not know as theirs.")
    try:
        nonce = bytes(websafe_decode(row.nonce))
        expected = signatures.challenge(digest, Verdict(row.verdict), nonce, domain=domain)
        assertion = Assertion(row.credential_id, row.client_data, row.authenticator_data, row.signature)
        signatures.verify(assertion, expected=expected, public_key=known[1], party=party)
        opened = signatures.moment_of(nonce)
    except (BadSignature, ValueError) as error:
        raise Forged(f"A signature by {row.person} does not verify: {error}") from error
    # The ceremony's moment is inside what was signed; a row that says another time was changed to revive an old approval.
    if not opened - _SKEW <= row.created_at <= opened + signatures.LIFETIME + _SKEW:
        raise Forged(f"A signature by {row.person} says another time than the one that was signed.")
    if going:
        raise KeyWasGoing(f"A signature by {row.person} was made with a passkey after its removal was signed.")
    return known[0]
