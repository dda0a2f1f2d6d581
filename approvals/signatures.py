"""Signed decisions: what a passkey signs, and whether it did.

A signature is a WebAuthn assertion with user verification. Its challenge is not random: it is SHA-256 over a domain tag, the
plan's digest, the verdict and a nonce that the database lets be used once, so the assertion can be verified again from stored
bytes by anybody who knows the person's public key. Source: W3C Web Authentication Level 3, section 7.2.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from fido2 import cbor
from fido2.cose import CoseKey
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject, AuthenticatorData

from approvals.errors import BadSignature
from approvals.states import Verdict

DOMAIN: Final = b"countersign/decision/1"
# A change of authority, a statement and a registration are no decisions: none of the four can ever be taken for another.
AUTHORITY: Final = b"countersign/change/1"
STATEMENT: Final = b"countersign/statement/1"
REGISTRATION: Final = b"countersign/registration/1"
NONCE_BYTES: Final = 32
# From the opening of a ceremony to its signature.
LIFETIME: Final = timedelta(minutes=5)
LARGEST: Final = 8192
LARGEST_ATTESTATION: Final = 32 * 1024


@dataclass(frozen=True, slots=True)
class Assertion:
    """What an authenticator answered, each part as base64url without padding, exactly as it came."""

    credential_id: str
    client_data: str
    authenticator_data: str
    signature: str


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Who asks for the signature: the id (a host name) and the one origin (scheme, host, port) that may show the page."""

    id: str
    origin: str


def challenge(digest: str, verdict: Verdict, nonce: bytes, *, domain: bytes = DOMAIN) -> bytes:
    """The 32 bytes that the passkey is asked to sign, for a plan's or a change's digest (64 hexadecimal digits).

    Every part has a fixed length or a terminator, so no two decisions share an input.
    """
    if len(digest) != 64 or len(nonce) != NONCE_BYTES:
        raise BadSignature("A decision is signed over a 32 byte digest and a 32 byte nonce; begin again from the request's page.")
    return hashlib.sha256(domain + b"\0" + bytes.fromhex(digest) + verdict.encode() + b"\0" + nonce).digest()


def new_nonce(moment: datetime, tail: bytes = b"") -> bytes:
    """32 bytes that are used once: the moment (milliseconds since 1970, 8 bytes) and 24 random bytes, or those of `tail`.

    The moment is inside what is signed, so that whoever can write the database cannot make an old approval young again.
    """
    return int(moment.timestamp() * 1000).to_bytes(8, "big") + (tail or secrets.token_bytes(NONCE_BYTES))[: NONCE_BYTES - 8]


def moment_of(nonce: bytes) -> datetime:
    """When the ceremony of this nonce was opened. Raises BadSignature for bytes that are no nonce of ours."""
    try:
        if len(nonce) == NONCE_BYTES:
            found = datetime.fromtimestamp(int.from_bytes(nonce[:8], "big") / 1000, UTC)
            if found.year < 3000:  # beyond it, adding a lifetime would end in an overflow
                return found
    except (ValueError, OverflowError, OSError) as error:
        raise BadSignature("The signature's nonce holds no time.") from error
    raise BadSignature("The signature's nonce has another length than ours, or a time that nobody signs in.")


def verify(assertion: Assertion, *, expected: bytes, public_key: bytes, party: RelyingParty) -> int:
    """Check an assertion over the expected challenge with a COSE public key (CBOR bytes); return the signature counter.

    Raises BadSignature with the reason: wrong type, challenge, origin, relying party, missing presence or user verification, or a
    signature that the key did not make.
    """
    client_data, auth_data, signature = _parts(assertion)
    said = _client_data(client_data)
    if said.get("type") != "webauthn.get":
        raise BadSignature("This is the answer to another ceremony than signing. Begin again from the request's page.")
    if not hmac.compare_digest(_decoded(said.get("challenge")), expected):
        raise BadSignature("The signature is over something else than this decision. Reload the page, read it again and sign.")
    if said.get("origin") != party.origin or said.get("crossOrigin", False) is not False:
        raise BadSignature(
            f"The signature was asked for by {said.get('origin')!r}, not by this portal. Do not use that page again."
        )
    try:
        authenticator = AuthenticatorData(auth_data)
    except Exception as error:  # fido2 raises several kinds for malformed bytes; none of them has an effect
        raise BadSignature("The authenticator's answer cannot be read. Try again, or with another passkey.") from error
    if not hmac.compare_digest(authenticator.rp_id_hash, hashlib.sha256(party.id.encode()).digest()):
        raise BadSignature("The passkey belongs to another site.")
    if not authenticator.is_user_present() or not authenticator.is_user_verified():
        raise BadSignature("The passkey did not verify that it was you (PIN or biometric). Sign again with verification.")
    _check(public_key, auth_data + hashlib.sha256(client_data).digest(), signature)
    return int(authenticator.counter)


@dataclass(frozen=True, slots=True)
class Registration:
    """A passkey that was made for a person: the new key, and what the authenticator said of it, each as base64url text."""

    credential_id: str
    public_key: str
    label: str
    nonce: str
    client_data: str
    attestation: str

    def passkey(self) -> dict[str, str]:
        """The key as the state of authority holds it."""
        return {"credential_id": self.credential_id, "public_key": self.public_key, "label": self.label}


def registration_challenge(invitation: str, nonce: bytes) -> bytes:
    """The 32 bytes that a registration under this invitation answers."""
    return hashlib.sha256(REGISTRATION + b"\0" + invitation.encode() + b"\0" + nonce).digest()


def verify_registration(made: Registration, *, invitation: str, party: RelyingParty) -> None:
    """Check that an authenticator made this key for this portal under this invitation, with user verification.

    No attestation of its maker is asked for. Raises BadSignature with the reason. Source: W3C WebAuthn Level 3, section 7.1.
    """
    if len(made.client_data) > LARGEST or len(made.attestation) > LARGEST_ATTESTATION:
        raise BadSignature("The authenticator's answer is too large to be a registration.")
    said = _client_data(_decoded(made.client_data))
    expected = registration_challenge(invitation, _decoded(made.nonce))
    if said.get("type") != "webauthn.create" or not hmac.compare_digest(_decoded(said.get("challenge")), expected):
        raise BadSignature("This is the answer to another ceremony than this registration. Begin again from the enrolment link.")
    if said.get("origin") != party.origin or said.get("crossOrigin", False) is not False:
        raise BadSignature(f"The passkey was made for {said.get('origin')!r}, not for this portal. Do not use that page again.")
    try:
        data = AttestationObject(_decoded(made.attestation)).auth_data
        credential = data.credential_data
        key = credential and (websafe_encode(credential.credential_id), websafe_encode(cbor.encode(credential.public_key)))
    except Exception as error:  # fido2 raises several kinds for malformed bytes; none of them has an effect
        raise BadSignature("The authenticator's answer cannot be read. Try again, or with another passkey.") from error
    if not hmac.compare_digest(data.rp_id_hash, hashlib.sha256(party.id.encode()).digest()):
        raise BadSignature("The passkey belongs to another site.")
    if not data.is_user_present() or not data.is_user_verified():
        raise BadSignature("The passkey did not verify that it was you (PIN or biometric). Use one that does.")
    if key != (made.credential_id, made.public_key):
        raise BadSignature("The passkey is not the one that the authenticator made.")


def counter_went_back(last: int, now: int) -> bool:
    """Whether a counter shows a cloned authenticator. Synced passkeys report 0 for ever, so both being 0 says nothing."""
    return not (last == 0 and now == 0) and now <= last


def cose_key(public_key: bytes) -> CoseKey:
    """The public key that these CBOR bytes say. Raises ValueError when they say none."""
    try:
        found = cbor.decode(public_key)
        if isinstance(found, dict):
            return CoseKey.parse(found)
    except (IndexError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("these bytes are no COSE key") from error
    raise ValueError("a COSE key is a map")


def websafe(data: bytes) -> str:
    """base64url without padding, as WebAuthn writes bytes."""
    return websafe_encode(data)


def _parts(assertion: Assertion) -> tuple[bytes, bytes, bytes]:
    parts = (assertion.client_data, assertion.authenticator_data, assertion.signature)
    if any(len(part) > LARGEST for part in parts):
        raise BadSignature("The authenticator's answer is too large to be a signature.")
    client_data, auth_data, signature = (_decoded(part) for part in parts)
    return client_data, auth_data, signature


def _decoded(text: Any) -> bytes:
    # A number would be taken for a length, and so many bytes be made of nothing.
    if not isinstance(text, str):
        raise BadSignature("The authenticator's answer is not base64url. Reload the page and sign again.")
    try:
        return bytes(websafe_decode(text))
    except (ValueError, TypeError, AttributeError) as error:
        raise BadSignature("The authenticator's answer is not base64url. Reload the page and sign again.") from error


def _client_data(data: bytes) -> dict[str, Any]:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadSignature("The browser's part of the signature cannot be read. Reload the page and sign again.") from error
    if not isinstance(said, dict):
        raise BadSignature("The browser's part of the signature cannot be read. Reload the page and sign again.")
    return said


def _check(public_key: bytes, message: bytes, signature: bytes) -> None:
    try:
        cose_key(public_key).verify(message, signature)
    except InvalidSignature as error:
        raise BadSignature("The signature was not made by the registered passkey.") from error
    except (ValueError, KeyError, TypeError, NotImplementedError, UnsupportedAlgorithm) as error:
        raise BadSignature("The registered passkey's public key cannot be used.") from error
