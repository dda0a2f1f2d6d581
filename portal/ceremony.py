"""The forms of a signing ceremony: what was typed, and the authenticator's answer, taken from a POST without trusting either."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest
from fido2.utils import websafe_decode

from approvals import decisions, signatures
from approvals.ceremonies import Ceremony
from approvals.errors import BadSignature, Refused, StaleRevision
from approvals.models import Person
from approvals.signatures import Assertion
from approvals.states import Verdict
from portal import software_authenticator

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_PART: Final = re.compile(r"[A-Za-z0-9_-]{1,8192}")
# The longest credential id that the database keeps.
_CREDENTIAL: Final = re.compile(r"[A-Za-z0-9_-]{1,1400}")


@dataclass(frozen=True, slots=True)
class Typed:
    """What the person typed and read, carried from step to step so that a failed signing loses nothing."""

    reason: str
    digest: str
    verdict: Verdict
    typed_name: str = ""


def typed(http: HttpRequest, verdict: Verdict | None = None) -> Typed:
    """Take what was typed. Raises StaleRevision without a digest that could be one, Refused for a verdict that is none."""
    digest = http.POST.get("digest", "")
    if not _DIGEST.fullmatch(digest):
        raise StaleRevision("This form does not say which plan it is about. Open the request again and begin from its page.")
    return Typed(
        # A browser writes line ends its own way; the reason that is kept has plain ones.
        reason=http.POST.get("reason", "").replace("\r\n", "\n"),
        digest=digest,
        verdict=verdict or _verdict(http.POST.get("verdict", "")),
        typed_name=http.POST.get("typed_name", ""),
    )


def _verdict(said: str) -> Verdict:
    if said not in (Verdict.APPROVE, Verdict.DENY):
        raise Refused("Choose whether you approve or deny.")
    return Verdict(said)


def nonce_of(http: HttpRequest) -> str:
    """The nonce that the challenge was made with. Raises BadSignature for a text that never was one."""
    nonce = http.POST.get("nonce", "")
    if not _NONCE.fullmatch(nonce):
        raise BadSignature("This form carries no challenge of ours. Open the request again and sign anew.")
    return nonce


def assertion_of(http: HttpRequest, person: Person, said: Typed, *, domain: bytes = signatures.DOMAIN) -> Assertion:
    """The authenticator's answer: the passkey's from the form, or (demo only) the software authenticator's.

    Either goes through the same verification in `decisions` or `changes`. `domain` tells a plan's decision from a change of
    authority. Raises BadSignature, NotAllowed.
    """
    if http.POST.get("sign_with") == "software":
        return software_authenticator.sign(person.handle, _ceremony(nonce_of(http), said, domain))
    parts = {name: http.POST.get(name, "") for name in ("credential_id", "client_data", "authenticator_data", "signature")}
    fits = all(_PART.fullmatch(part) for part in parts.values()) and _CREDENTIAL.fullmatch(parts["credential_id"])
    if not fits:
        raise BadSignature("Nothing was signed: the passkey's answer is missing or cannot be read. Sign again.")
    return Assertion(**parts)


def _ceremony(nonce: str, said: Typed, domain: bytes) -> Ceremony:
    challenge = signatures.challenge(said.digest, said.verdict, bytes(websafe_decode(nonce)), domain=domain)
    return Ceremony(nonce, signatures.websafe(challenge), said.digest, said.verdict, (), decisions.relying_party())
