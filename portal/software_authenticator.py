"""The demo's software authenticator: signs for the demo's people in place of a passkey, to be verified like one.

It exists only under the demo setting, which `check --deploy` refuses: it holds private keys that no portal may hold.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from django.conf import settings
from fido2.utils import websafe_encode
from fido2.webauthn import AuthenticatorData, CollectedClientData

from approvals.ceremonies import Ceremony
from approvals.errors import NotAllowed
from approvals.signatures import Assertion


def available_for(handle: str) -> bool:
    """Whether the demo's software authenticator can sign for this person."""
    return bool(settings.DEMO) and handle in _keys()


def sign(handle: str, ceremony: Ceremony) -> Assertion:
    """Answer a ceremony as the person's passkey would. Raises NotAllowed outside the demo or for somebody without a key."""
    if not available_for(handle):
        raise NotAllowed("The software authenticator signs for the demo's people, in the demo alone. Use your passkey.")
    key = _keys()[handle]
    return assertion(key["credential_id"], key["private_key"], ceremony)


def assertion(credential_id: str, private_key_pem: str, ceremony: Ceremony) -> Assertion:
    """A WebAuthn assertion over the ceremony's challenge with a P-256 key in PEM; presence and verification flags are set."""
    private_key = load_pem_private_key(private_key_pem.encode(), password=None)
    assert isinstance(private_key, ec.EllipticCurvePrivateKey)  # noqa: S101 - the demo wrote the file itself
    party = ceremony.relying_party
    client_data = CollectedClientData.create(CollectedClientData.TYPE.GET, ceremony.challenge, party.origin)
    flags = AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.UV
    # The counter stays 0, as a synced passkey's does.
    data = AuthenticatorData.create(hashlib.sha256(party.id.encode()).digest(), flags, 0)
    signature = private_key.sign(bytes(data) + client_data.hash, ec.ECDSA(SHA256()))
    return Assertion(credential_id, websafe_encode(bytes(client_data)), websafe_encode(bytes(data)), websafe_encode(signature))


def _keys() -> dict[str, dict[str, str]]:
    path: Path | None = settings.DEMO_KEYS
    if path is None or not path.exists():
        return {}
    found: dict[str, dict[str, str]] = json.loads(path.read_text("utf-8"))
    return found
