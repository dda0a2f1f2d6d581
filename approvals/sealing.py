"""Sealing a secret for the executor: whoever has the public key can seal, only the private key opens.

1. Each value gets a fresh data key of 32 bytes. HKDF-SHA256 makes an encryption key and a commitment from it, both bound to
   the place that the value is sealed to.
2. The value's canonical text is padded to a bucket, so that its length tells little, and encrypted with AES-256-GCM. The
   associated data is the binding (account, region, operation, target, place in the parameters), the data key's id and the
   commitment: a token that is moved anywhere else does not open.
3. The token (`Sealed`) carries id, nonce, commitment and ciphertext. It stands in the plan, and the digest covers it.
4. The data key is wrapped with RSAES-OAEP-SHA-256 for the executor's public key (what AWS KMS decrypts with an RSA key of usage
   ENCRYPT_DECRYPT) and lies beside the plan, so that it can be wrapped anew for the next key while the token and every signature
   over it stay as they are.

AES-GCM alone would let one who knows two keys make a token that opens to two values; the commitment, which is compared before
anything is decrypted, leaves each token one key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from approvals import canonical
from approvals.canonical import Sealed
from approvals.errors import BadCanonicalForm, BadSeal, BadSealingKey

VERSION: Final = "countersign/sealed/1"
DATA_KEY_BYTES: Final = 32
LEAST_BITS: Final = 3072
# AWS KMS has no larger RSA key.
MOST_BITS: Final = 4096
# Bytes of canonical text: Secrets Manager takes 64 KiB, and bytes grow by a third as base64.
LONGEST: Final = 256 * 1024
_BUCKET: Final = 64
_NONCE: Final = 12
_COMMITMENT: Final = 32
_LENGTH: Final = 4
_TAG: Final = 16

# Members' names, keys of maps, indices of lists, from the outside in.
Place = tuple[str | int, ...]
OAEP: Final = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


@dataclass(frozen=True, slots=True)
class Binding:
    """What a value is sealed to. `operation` is `service:Operation`; `target` the identifying members as canonical text."""

    account: str
    region: str
    operation: str
    target: str
    place: Place

    def text(self) -> str:
        """The binding as canonical text."""
        return canonical.dumps(
            {
                "version": VERSION,
                "account": self.account,
                "region": self.region,
                "operation": self.operation,
                "target": self.target,
                "place": list(self.place),
            }
        )


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A data key, wrapped: its id (as in the token), the RSA ciphertext, the fingerprint of the public key it was wrapped for."""

    key_id: str
    wrapped: bytes
    fingerprint: str


@dataclass(frozen=True, slots=True)
class SealingKey:
    """The executor's public key. Get one from `sealing_key`."""

    key: rsa.RSAPublicKey

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key's SubjectPublicKeyInfo (DER), as hexadecimal digits."""
        return hashlib.sha256(self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()

    def pem(self) -> str:
        """The key as the setting of the web process takes it."""
        return self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")

    def wrap(self, data_key: bytes) -> bytes:
        """The data key, encrypted for whoever holds the private key."""
        return self.key.encrypt(data_key, OAEP)


def sealing_key(pem: str) -> SealingKey:
    """The public key of a PEM text. Raises BadSealingKey, which never quotes the text."""
    if "PRIVATE KEY" in pem:
        raise BadSealingKey("It holds a private key. Give it the public key alone: whoever seals must not be able to open.")
    try:
        key = load_pem_public_key(pem.encode("utf-8"))
    except ValueError as error:
        raise BadSealingKey("It is no public key in PEM form (-----BEGIN PUBLIC KEY-----).") from error
    if not isinstance(key, rsa.RSAPublicKey) or not LEAST_BITS <= key.key_size <= MOST_BITS:
        raise BadSealingKey(f"It is no RSA key of {LEAST_BITS} to {MOST_BITS} bits, as AWS KMS has them for encryption.")
    return SealingKey(key)


def seal(value: Any, binding: Binding, key: SealingKey) -> tuple[Sealed, Wrapped]:
    """The value as a token for this place alone, and its data key for the table beside it.

    Raises BadSeal when the value is too long or cannot be written canonically.
    """
    try:
        text = canonical.dumps(canonical.encode(value)).encode("utf-8")
    except BadCanonicalForm:
        raise BadSeal("The value cannot be sealed: it is of no kind that a call could carry.") from None
    if len(text) > LONGEST:
        raise BadSeal(f"The value is too long to be sealed: at most {LONGEST // 1024} KiB.")
    data_key, key_id, nonce = os.urandom(DATA_KEY_BYTES), uuid4().hex, os.urandom(_NONCE)
    encryption, commitment = _derived(data_key, binding)
    ciphertext = AESGCM(encryption).encrypt(nonce, _padded(text), _associated(binding, key_id, commitment))
    sealed = Sealed(f"1.{key_id}.{canonical.base64url(nonce + commitment + ciphertext)}")
    return sealed, Wrapped(key_id, key.wrap(data_key), key.fingerprint)


def opened(sealed: Sealed, binding: Binding, data_key: bytes) -> Any:
    """The value that was sealed to this place with this data key. Raises BadSeal, which tells nothing of the value."""
    body = sealed.body
    nonce, commitment, ciphertext = body[:_NONCE], body[_NONCE : _NONCE + _COMMITMENT], body[_NONCE + _COMMITMENT :]
    if len(ciphertext) < _BUCKET + _TAG or len(data_key) != DATA_KEY_BYTES:
        raise BadSeal("The sealed value is not whole.")
    encryption, expected = _derived(data_key, binding)
    if not hmac.compare_digest(expected, commitment):
        raise BadSeal("The sealed value is not for this place, or not of this key: it was moved, or its key was replaced.")
    try:
        text = _unpadded(AESGCM(encryption).decrypt(nonce, ciphertext, _associated(binding, sealed.key_id, commitment)))
        return canonical.decode(canonical.loads(text))
    except (InvalidTag, UnicodeDecodeError, BadCanonicalForm):
        # The cause is left out: a text that cannot be read would stand in it.
        raise BadSeal("The sealed value was changed after it was sealed.") from None


def mark(sealed: Sealed, binding: Binding) -> str:
    """A digest of token and place, by which one who cannot open it knows that it was sealed for here: 64 hexadecimal digits."""
    return hashlib.sha256(f"{binding.text()}\n{sealed.token}".encode()).hexdigest()


def _derived(data_key: bytes, binding: Binding) -> tuple[bytes, bytes]:
    info = hashlib.sha256(binding.text().encode("utf-8")).digest()
    length = DATA_KEY_BYTES + _COMMITMENT
    made = HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=VERSION.encode() + info).derive(data_key)
    return made[:DATA_KEY_BYTES], made[DATA_KEY_BYTES:]


def _associated(binding: Binding, key_id: str, commitment: bytes) -> bytes:
    return f"{binding.text()}\n{key_id}\n{commitment.hex()}".encode()


def _padded(text: bytes) -> bytes:
    size = _BUCKET
    while size < _LENGTH + len(text):
        size *= 2
    return len(text).to_bytes(_LENGTH, "big") + text + bytes(size - _LENGTH - len(text))


def _unpadded(padded: bytes) -> str:
    length = int.from_bytes(padded[:_LENGTH], "big")
    return padded[_LENGTH : _LENGTH + length].decode("utf-8")
