"""Opening sealed values, right before the one call that needs them. Nothing else in the project can.

The data key lies wrapped in a row; a private key in a file (`LocalKey`: the demo, a deployment without KMS) or in AWS KMS
(`KmsKey`: the key never leaves it) unwraps it. What is open lives in an `Opened`, which is used for one call and shown nowhere:
AWS may quote a parameter in its answer, so every answer passes `Opened.hidden` before it is stored, told or logged.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote, quote_plus
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_private_key
from django.conf import settings

from approvals import sealing
from approvals.canonical import Sealed
from approvals.errors import BadParameters, BadSeal, BadSealingKey
from approvals.models import SealedKey
from approvals.operations import catalog, inputs, sensitive
from approvals.operations.resources import Where
from approvals.plan import Step
from approvals.sealing import OAEP, Place, SealingKey
from executor import errands
from executor.answers import Accepted, Answer, Rejected, Unknown
from executor.errors import AwsError

HIDDEN: Final = "(hidden)"
# Characters. To replace a shorter value inside a message would show where it stood: that message is hidden whole.
_SHORT: Final = 6


class CannotOpen(AwsError):
    """A sealed value does not open, so the call that needs it is not made. Says where it stands, never what it holds."""


class OpeningKey(Protocol):
    """A private key, wherever it is."""

    def fingerprint(self) -> str:
        """That of its public key. Raises AwsError when it cannot be asked."""

    def unwrap(self, wrapped: bytes) -> bytes:
        """The data key. Raises BadSeal when it was wrapped for another key, AwsError when AWS cannot be asked."""


@dataclass(frozen=True)
class LocalKey:
    """A private key in memory."""

    key: rsa.RSAPrivateKey = field(repr=False)

    @classmethod
    def of_file(cls, path: Path) -> LocalKey:
        """The unencrypted PEM file's key. Raises BadSealingKey."""
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise BadSealingKey(f"{path} holds no private key in PEM form that can be read without a password.") from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise BadSealingKey(f"{path} holds no RSA key.")
        return cls(key)

    def fingerprint(self) -> str:
        return SealingKey(self.key.public_key()).fingerprint

    def unwrap(self, wrapped: bytes) -> bytes:
        try:
            return bytes(self.key.decrypt(wrapped, OAEP))
        except ValueError:
            raise BadSeal("The data key was wrapped for another key, or changed.") from None


@dataclass(frozen=True)
class KmsKey:
    """An RSA key of AWS KMS (usage ENCRYPT_DECRYPT), with this process's own credentials."""

    arn: str

    def fingerprint(self) -> str:
        public = load_der_public_key(errands.public_key(self.arn))
        if not isinstance(public, rsa.RSAPublicKey):
            raise BadSealingKey(f"{self.arn} is no RSA key.")
        return SealingKey(public).fingerprint

    def unwrap(self, wrapped: bytes) -> bytes:
        found = errands.unwrapped(self.arn, wrapped)
        if found is None:
            raise BadSeal("The data key was wrapped for another key, or changed.")
        return found


def keys(named: Sequence[str]) -> list[OpeningKey]:
    """The keys of a list of PEM files and KMS ARNs. Raises BadSealingKey."""
    return [KmsKey(name) if name.startswith("arn:") else LocalKey.of_file(Path(name)) for name in named]


@lru_cache(maxsize=4)
def _by_fingerprint(named: tuple[str, ...]) -> Mapping[str, OpeningKey]:
    return {key.fingerprint(): key for key in keys(named)}


def data_key(row: SealedKey) -> bytes:
    """The row's data key. Raises CannotOpen, AwsUnavailable and AwsRefused (KMS cannot be asked, or refuses)."""
    if not settings.OPENING_KEYS:
        raise CannotOpen("This process has no key that opens sealed values: set COUNTERSIGN_OPENING_KEY.")
    try:
        key = _by_fingerprint(tuple(settings.OPENING_KEYS)).get(row.fingerprint)
        if key is None:
            raise CannotOpen(
                f"None of the keys in COUNTERSIGN_OPENING_KEY is the one that a value was sealed for ({row.fingerprint[:16]}…)."
            )
        return key.unwrap(base64.b64decode(row.wrapped))
    except (BadSeal, BadSealingKey, ValueError) as error:
        raise CannotOpen(str(error)) from None


@dataclass(frozen=True, slots=True)
class Opened:
    """A step's parameters as they go over the wire, and what must not be seen of them."""

    parameters: Mapping[str, Any] = field(repr=False)
    secrets: tuple[Any, ...] = field(repr=False, default=())

    def forms(self) -> list[str]:
        """Every spelling of every secret text, longest first, so that one that contains another is replaced whole."""
        texts = [secret for secret in self.secrets if isinstance(secret, str | bytes)]
        return sorted({form for secret in texts for form in _forms(secret) if form}, key=len, reverse=True)

    def hidden(self, answer: Answer) -> Answer:
        """The answer without any of the secrets."""
        forms = self.forms()
        if not forms:
            return answer
        match answer:
            case Accepted():
                return replace(answer, answer=_without(answer.answer, forms))
            case Rejected():
                return replace(answer, message=_text_without(answer.message, forms))
            case Unknown():
                return replace(answer, what=_text_without(answer.what, forms))


def opened(step: Step, where: Where) -> Opened:
    """The step with every sealed value open. Raises CannotOpen; AwsUnavailable or AwsRefused when KMS does not answer or refuses.

    A step that holds nothing sealed is given back as it is. What comes out of a seal is checked against the operation's shape
    once more: nobody could look at it since it was entered.
    """
    operation = catalog.get(step.name)
    sealed = [value for _, value in sensitive.secrets_in(operation, step.parameters) if isinstance(value, Sealed)]
    if not sealed:
        return Opened(step.parameters)
    rows = {row.pk: row for row in SealedKey.objects.filter(pk__in=[UUID(value.key_id) for value in sealed])}
    found: list[Any] = []

    def open_one(place: Place, value: Any) -> Any:
        if not isinstance(value, Sealed):
            return value
        row = rows.get(UUID(value.key_id))
        if row is None:
            raise CannotOpen(f"{sensitive.dotted(place)} cannot be opened: its data key is not in the database.")
        try:
            binding = sensitive.binding(operation, step.parameters, where, place)
            found.append(sealing.opened(value, binding, data_key(row)))
        except (BadSeal, CannotOpen) as error:
            raise CannotOpen(f"{sensitive.dotted(place)} cannot be opened. {error}") from None
        return found[-1]

    parameters = sensitive.replaced(operation, step.parameters, open_one)
    try:
        inputs.check(operation, parameters)
    except BadParameters as error:
        # The messages may quote a value.
        raise CannotOpen(f"What was sealed does not fit: {', '.join(error.fields)}. It has to be entered again.") from None
    return Opened(parameters, tuple(found))


def _forms(secret: str | bytes) -> Iterator[str]:
    """How a secret may be spelt in an answer: as it is, in JSON, XML, a URL, a Python text, as base64; line by line."""
    raw = secret if isinstance(secret, bytes) else secret.encode("utf-8", "surrogatepass")
    yield base64.b64encode(raw).decode("ascii")
    text = raw.decode("utf-8", "replace")
    yield from (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1], repr(raw)[2:-1])
    yield from (escape(text), escape(text, quote=False), quote(text), quote(text, safe=""), quote_plus(text))
    yield from (line for line in text.splitlines() if len(line) >= _SHORT)


def _without(value: Any, forms: Sequence[str]) -> Any:
    """An answer's value without secrets. A short one is only hidden where it is all that is said: others would be chance."""
    match value:
        case Mapping():
            return {name: _without(item, forms) for name, item in value.items()}
        case list() | tuple():
            return [_without(item, forms) for item in value]
        case bytes() | bytearray():
            found = bytes(value).decode("utf-8", "replace")
            return value if _without(found, forms) == found else HIDDEN
        case str():
            return HIDDEN if value in forms else _text_without(value, [form for form in forms if len(form) >= _SHORT])
    return value


def _text_without(text: str, forms: Sequence[str]) -> str:
    for form in forms:
        if form in text:
            if len(form) < _SHORT:
                return HIDDEN
            text = text.replace(form, HIDDEN)
    return text
