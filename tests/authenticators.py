"""Authenticators of the tests' own: they register and sign as a security key does, flags and counters as asked."""

from __future__ import annotations

import hashlib
import secrets

from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import Aaguid, AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

from approvals.changes import Enrolment
from approvals.signatures import Registration

UP, UV, AT = AuthenticatorData.FLAG.UP, AuthenticatorData.FLAG.UV, AuthenticatorData.FLAG.AT


def registration(
    asked: Enrolment,
    *,
    flags: AuthenticatorData.FLAG = UP | UV,
    origin: str = "",
    party: str = "",
    kind: str = "webauthn.create",
    challenge: str = "",
    label: str = "a key",
) -> Registration:
    """What a new authenticator answers to the registration that was asked for."""
    private = ec.generate_private_key(ec.SECP256R1())
    public = ES256.from_cryptography_key(private.public_key())
    credential = AttestedCredentialData.create(Aaguid.NONE, secrets.token_bytes(32), public)
    host = hashlib.sha256((party or asked.relying_party.id).encode()).digest()
    data = AuthenticatorData.create(host, flags | AT, 0, bytes(credential))
    client = CollectedClientData.create(kind, challenge or asked.challenge, origin or asked.relying_party.origin)
    return Registration(
        websafe_encode(credential.credential_id),
        websafe_encode(cbor.encode(credential.public_key)),
        label,
        asked.nonce,
        websafe_encode(bytes(client)),
        websafe_encode(bytes(AttestationObject.create("none", data, {}))),
    )
