"""The second factor: who has shown one in this session, and how its secrets are kept.

allauth keeps one-time-password secrets as they are unless told otherwise; here they are encrypted under a key derived from
SECRET_KEY, so that a copy of the database alone is no second factor. These factors open the door of the portal. They never sign a
decision: review passkeys are rows of authority (`approvals.models.Passkey`), which no page of allauth can write.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from allauth.account.authentication import get_authentication_records
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

# Values of `amr` (RFC 8176): `mfa` says it outright; else something one has must stand beside something one knows or is.
OUTRIGHT: Final = "mfa"
POSSESSION: Final = frozenset({"fido", "hwk", "otp", "pop", "sc", "sms", "swk", "tel"})
KNOWLEDGE_OR_BODY: Final = frozenset({"face", "fpt", "iris", "kba", "pin", "pwd", "retina", "vbm"})
SESSION_AMR: Final = "countersign_amr"
_PURPOSE: Final = b"countersign/mfa-secret/1"


def second_factor_shown(http: HttpRequest) -> bool:
    """Whether this session has a second factor. In the demo nobody needs one.

    A session that came through single sign-on is judged by the provider's word alone: otherwise whoever got past the provider
    with a password could enrol a factor here and count it as the second.
    """
    if settings.DEMO:
        return True
    records = [record for record in get_authentication_records(http, http.user) if isinstance(record, dict)]
    if any(record.get("method") == "socialaccount" for record in records):
        return provider_vouches(http)
    return any(record.get("method") == "mfa" for record in records)


def came_by_single_sign_on(http: HttpRequest) -> bool:
    """Whether this session was opened by the identity provider."""
    return any(record.get("method") == "socialaccount" for record in get_authentication_records(http, http.user))


def provider_vouches(http: HttpRequest) -> bool:
    """Whether the provider's policy, or the id token of this sign-in, speaks for a second factor."""
    return settings.SECOND_FACTOR == "provider" or multi_factor(http.session.get(SESSION_AMR))


def multi_factor(amr: Any) -> bool:
    """Whether an id token's `amr` claim speaks of more than one factor."""
    if not isinstance(amr, list):
        return False
    methods = {method for method in amr if isinstance(method, str)}
    return OUTRIGHT in methods or bool(methods & POSSESSION and methods & KNOWLEDGE_OR_BODY)


class EncryptingMFAAdapter(DefaultMFAAdapter):
    """Keeps secrets of authenticators encrypted and authenticated (Fernet under an HKDF key of SECRET_KEY)."""

    def encrypt(self, text: str) -> str:
        """The token that the database keeps."""
        return _fernet(settings.SECRET_KEY).encrypt(text.encode()).decode("ascii")

    def decrypt(self, encrypted_text: str) -> str:
        """The secret again. A key that was rotated stays readable while it stands in SECRET_KEY_FALLBACKS."""
        for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
            try:
                return _fernet(key).decrypt(encrypted_text.encode("ascii")).decode()
            except InvalidToken:
                continue
        raise ImproperlyConfigured(
            "A stored second factor cannot be read: it was written under another SECRET_KEY. Put the former key into "
            "SECRET_KEY_FALLBACKS, or remove that person's authenticator so that it can be enrolled again."
        )

    def get_totp_issuer(self) -> str:
        """What an authenticator app shows beside the code."""
        return f"Countersign ({settings.RP_ID})"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """The same relying party as for decisions, whatever the Host header says."""
        return {"id": settings.RP_ID, "name": "Countersign"}


def _fernet(secret: str | bytes) -> Fernet:
    given = secret if isinstance(secret, bytes) else secret.encode()
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(given)
    return Fernet(base64.urlsafe_b64encode(key))
