"""What a passkey signs, and that nothing else counts."""

from __future__ import annotations

import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor
from fido2.cose import ES256, EdDSA
from fido2.utils import websafe_decode, websafe_encode
from hypothesis import given
from hypothesis import strategies as st

from approvals import signatures
from approvals.errors import BadSignature
from approvals.signatures import Assertion, RelyingParty
from approvals.states import Verdict

PARTY = RelyingParty("localhost", "http://localhost:8000")
DIGEST, NONCE = "ab" * 32, b"n" * 32
EXPECTED = signatures.challenge(DIGEST, Verdict.APPROVE, NONCE)
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = cbor.encode(ES256.from_cryptography_key(KEY.public_key()))


def assertion(
    challenge=EXPECTED, origin=PARTY.origin, kind="webauthn.get", rp=PARTY.id, flags=0x05, counter=7, key=KEY, **client
):
    client_data = json.dumps(
        {"type": kind, "challenge": websafe_encode(challenge), "origin": origin, "crossOrigin": False} | client
    )
    data = hashlib.sha256(rp.encode()).digest() + bytes([flags]) + counter.to_bytes(4, "big")
    message = data + hashlib.sha256(client_data.encode()).digest()
    made = key.sign(message, ec.ECDSA(SHA256())) if isinstance(key, ec.EllipticCurvePrivateKey) else key.sign(message)
    return Assertion("id", websafe_encode(client_data.encode()), websafe_encode(data), websafe_encode(made))


# Made once: an ECDSA signature differs, in length too, each time it is made.
ONE = assertion()


def verify(one, public=PUBLIC, expected=EXPECTED):
    return signatures.verify(one, expected=expected, public_key=public, party=PARTY)


def test_a_passkeys_assertion_verifies_again_and_again_and_tells_its_counter():
    """Verification needs stored bytes alone, so the executor can repeat it."""
    one = assertion()
    assert verify(one) == verify(one) == 7


def test_an_ed25519_passkey_verifies_too():
    """Whatever algorithm the registered key names is used."""
    key = ed25519.Ed25519PrivateKey.generate()
    assert verify(assertion(key=key), cbor.encode(EdDSA.from_cryptography_key(key.public_key()))) == 7


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"challenge": b"other" * 8}, "something else"),
        ({"origin": "https://localhost.example.org"}, "not by this portal"),
        ({"kind": "webauthn.create"}, "another ceremony"),
        ({"rp": "example.org"}, "another site"),
        ({"flags": 0x01}, "verify that it was you"),
        ({"flags": 0x04}, "verify that it was you"),
        ({"crossOrigin": True}, "not by this portal"),
        ({"key": ec.generate_private_key(ec.SECP256R1())}, "not made by the registered passkey"),
    ],
)
def test_each_wrong_part_is_refused_with_its_own_message(change, says):
    """Challenge, origin, type, site, presence, verification, key: each counts."""
    with pytest.raises(BadSignature, match=says):
        verify(assertion(**change))


@given(st.binary(max_size=300), st.sampled_from(["client_data", "authenticator_data", "signature"]), st.data())
def test_a_changed_byte_anywhere_is_refused(noise, part, data):
    """Mutating any part of an assertion, or replacing it by noise, never verifies and never breaks."""
    parts = {name: getattr(ONE, name) for name in ("credential_id", "client_data", "authenticator_data", "signature")}
    whole = bytearray(websafe_decode(parts[part]))
    if data.draw(st.booleans()):
        position = data.draw(st.integers(0, len(whole) - 1))
        whole[position] ^= data.draw(st.integers(1, 255))
    else:
        whole = bytearray(noise)
    if bytes(whole) == bytes(websafe_decode(parts[part])):
        return
    with pytest.raises(BadSignature):
        verify(Assertion(**parts | {part: websafe_encode(bytes(whole))}))


@given(st.text(max_size=200))
def test_text_that_is_no_base64url_is_refused(text):
    """Whatever a form posts, the answer is a refusal and not an exception of a library."""
    with pytest.raises(BadSignature):
        verify(Assertion("id", text, text, text))


@given(
    st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.sampled_from(Verdict), st.sampled_from(Verdict)
)
def test_a_challenge_binds_digest_verdict_and_nonce(digest, nonce, one, other):
    """Two decisions share a challenge only when all three are the same."""
    first = signatures.challenge(digest.hex(), one, nonce)
    assert (first == signatures.challenge(digest.hex(), other, nonce)) == (one is other)
    assert (
        first != signatures.challenge(digest[::-1].hex() if digest != digest[::-1] else "00" * 32, one, nonce)
        or digest == b"\0" * 32
    )


@pytest.mark.parametrize(
    "public", [b"", b"\x00", b"\xa0", cbor.encode({1: 2}), cbor.encode([1]), cbor.encode({1: 2, 3: -7, -1: 9})]
)
def test_a_key_that_is_none_verifies_nothing(public):
    """An unusable public key refuses; it never counts as a signature."""
    with pytest.raises(BadSignature):
        verify(assertion(), public)


@pytest.mark.parametrize(
    ("last", "now", "back"), [(0, 0, False), (0, 1, False), (5, 6, False), (5, 5, True), (5, 4, True), (5, 0, True)]
)
def test_counters_are_compared_unless_both_are_zero(last, now, back):
    """A synced passkey reports 0 for ever; any other counter must grow."""
    assert signatures.counter_went_back(last, now) is back


@pytest.mark.parametrize("said", [10**11, 2**31, -1, True, 1.5, [], {}, None])
def test_a_challenge_that_is_no_text_is_refused_at_once(said):
    """A number in the browser's part is never taken for a length: no memory is filled with zeros before the refusal."""
    with pytest.raises(BadSignature, match="base64url"):
        verify(_with_challenge(said))


def _with_challenge(said):
    client_data = json.dumps({"type": "webauthn.get", "challenge": said, "origin": PARTY.origin, "crossOrigin": False})
    return Assertion("id", websafe_encode(client_data.encode()), ONE.authenticator_data, ONE.signature)
