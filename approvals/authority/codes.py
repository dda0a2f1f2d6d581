"""The codes of an enrolment link. A code is never stored: it is the seed of a key, and what is kept is that key's fingerprint.

An invitation is signed by a quorum, and each of those who sign it holds a code of his own: the random part of his signature's
nonce is the code's fingerprint, so the code is bound to his signature without another field. The invited person needs the codes
of all of them, so no one of them can register a passkey in somebody else's name. Whoever reads the database learns public keys.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import b32encode
from collections.abc import Sequence
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from fido2.utils import websafe_decode, websafe_encode

from approvals import canonical
from approvals.errors import BadSignature

_SEED: Final = b"countersign/code/1"
_STATEMENT: Final = "countersign/enrolment/1"
# 160 bits as 32 letters and digits that nobody confuses.
_BYTES: Final = 20
_GROUP: Final = 4


def new_code() -> str:
    """A code to hand to a person: eight groups of four letters and digits."""
    text = b32encode(secrets.token_bytes(_BYTES)).decode()
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))


def fingerprint(code: str) -> bytes:
    """The 32 bytes by which a code is known; how it is typed (case, spaces, dashes) does not matter."""
    return _fingerprint_of(_key(code).public_key().public_bytes_raw())


def _fingerprint_of(public: bytes) -> bytes:
    return hashlib.sha256(public).digest()


def proof(code: str, invitation: str, passkeys: Sequence[Any]) -> dict[str, str]:
    """What shows that somebody knew the code when these passkeys were registered, without showing the code."""
    key = _key(code)
    return {
        "public": websafe_encode(key.public_key().public_bytes_raw()),
        "signature": websafe_encode(key.sign(_statement(invitation, passkeys))),
    }


def verified(shown: Any, invitation: str, passkeys: Sequence[Any]) -> bytes:
    """The fingerprint of the code that a proof shows knowledge of. Raises BadSignature."""
    try:
        public, signature = (_decoded(shown[name]) for name in ("public", "signature"))
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _statement(invitation, passkeys))
    except (InvalidSignature, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadSignature("A code of this enrolment link does not fit the passkeys that are being registered.") from error
    return _fingerprint_of(public)


def _statement(invitation: str, passkeys: Sequence[Any]) -> bytes:
    return canonical.dumps({"schema": _STATEMENT, "invitation": invitation, "passkeys": list(passkeys)}).encode()


def _decoded(text: Any) -> bytes:
    # A number would be taken for a length, and so many bytes be made of nothing.
    if not isinstance(text, str):
        raise TypeError("no text")
    return bytes(websafe_decode(text))


def _key(code: str) -> Ed25519PrivateKey:
    plain = "".join(char for char in code.upper() if char.isalnum())
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(_SEED + b"\0" + plain.encode()).digest())
