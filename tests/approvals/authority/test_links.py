"""Whether a link follows: only with a quorum's signatures over the new state and the state before, from stored bytes alone."""

from __future__ import annotations

from typing import Any

import pytest
from fido2.utils import websafe_encode
from hypothesis import given, reject
from hypothesis import strategies as st

from approvals import canonical, signatures
from approvals.authority import difference, links, state
from approvals.authority.edits import apply
from approvals.authority.links import Link, Standing, link_hash
from approvals.ceremonies import Ceremony
from approvals.errors import BadAuthority, BadChange
from approvals.signatures import RelyingParty
from approvals.states import Verdict
from executor.demo import people
from portal import software_authenticator

PARTY = RelyingParty("localhost", "https://localhost")
HANDLES = ("alice", "bob", "dana", "erin", "frank")
ADMINISTRATORS = HANDLES[2:]
KEYS = {handle: people._new_key() for handle in HANDLES}
IDS = {handle: f"0000000{number}-0000-4000-8000-000000000000" for number, handle in enumerate(HANDLES)}
RULES = '{"accounts":["*"],"approvals":1,"clocks":{"approval":3600,"draft":604800,"pending":86400},"description":"","irreversible":{"extra_approvals":1,"hold":300,"typed_name":true},"mode":"enforce","name":"tables","operations":["dynamodb:*"],"regions":["*"],"resources":["*"],"schema":"countersign/guardrail/1"}'  # noqa: E501


def person(handle: str) -> dict[str, Any]:
    return {
        "id": IDS[handle],
        "handle": handle,
        "name": handle,
        "email": "",
        "human": True,
        "active": True,
        "administrator": handle in ADMINISTRATORS,
        "auditor": False,
        "logins": [handle],
        "sign_on": [],
        "principals": [],
        "passkeys": [
            {
                "credential_id": KEYS[handle]["credential_id"],
                "public_key": people.public_key(KEYS[handle]["private_key"]),
                "label": "key",
            }
        ],
    }


GENESIS: dict[str, Any] = {
    "schema": state.SCHEMA,
    "settings": {"signers": 2, "checkpoint_bucket": "", "checkpoint_every": 3600},
    "accounts": [],
    "persons": [person(handle) for handle in HANDLES],
    "groups": {},
    "grants": [{"guardrail": "tables", "login": "bob", "starts": None, "ends": None, "delegated_by": None}],
    "guardrails": [{"name": "tables", "number": 1, "hash": canonical.digest(RULES), "text": RULES}],
    "invitations": [],
}
TEXT = state.text_of(GENESIS)
FIRST = links.begin(Link(0, "", TEXT, link_hash(0, "", TEXT), "{}"), link_hash(0, "", TEXT))
GRANT = {"edit": "grant", "guardrail": "tables", "login": "alice"}


def signed(digest: str, handle: str, *, verdict: Verdict = Verdict.APPROVE, nonce: bytes = b"", **changes: Any) -> dict[str, Any]:
    from datetime import UTC, datetime

    nonce = nonce or signatures.new_nonce(datetime(2026, 11, 1, tzinfo=UTC))
    asked = signatures.challenge(digest, verdict, nonce, domain=changes.pop("domain", signatures.AUTHORITY))
    ceremony = Ceremony(websafe_encode(nonce), websafe_encode(asked), digest, verdict, (), PARTY)
    key = KEYS[changes.pop("key_of", handle)]
    made = software_authenticator.assertion(key["credential_id"], key["private_key"], ceremony)
    row = {
        "person": IDS[handle],
        "verdict": str(verdict),
        "nonce": websafe_encode(nonce),
        "credential_id": made.credential_id,
        "client_data": made.client_data,
        "authenticator_data": made.authenticator_data,
        "signature": made.signature,
    }
    return {**row, **changes}


def link(*edits: dict[str, Any], after: Standing = FIRST, signers: tuple[str, ...] = ("dana", "erin"), **how: Any) -> Link:
    text = state.text_of(apply(after.document, edits))
    digest = link_hash(after.number + 1, after.hash, text)
    rows = [signed(how.get("digest", digest), handle) for handle in signers]
    return Link(after.number + 1, after.hash, text, digest, canonical.dumps({"kind": "edits", "signatures": rows}))


def with_proof(one: Link, proof: Any) -> Link:
    return Link(one.number, one.previous, one.state, one.hash, proof if isinstance(proof, str) else canonical.dumps(proof))


def refused(one: Link, says: str = ".", after: Standing = FIRST) -> None:
    with pytest.raises(BadAuthority, match=says):
        links.follow(after, one, PARTY)


def test_a_link_that_two_administrators_signed_follows():
    """The right that they gave is there, and a third link follows on it."""
    second = links.follow(FIRST, link(GRANT), PARTY)
    assert [grant.guardrail for grant in second.authority.grants] == ["tables", "tables"]
    third = links.follow(second, link({**GRANT, "edit": "revoke"}, after=second), PARTY)
    assert (third.number, len(third.authority.grants)) == (2, 1)


@pytest.mark.parametrize(
    "signers", [(), ("dana",), ("dana", "dana"), ("alice", "bob"), ("dana", "alice"), ("dana", "bob")]
)  # fmt: skip
def test_too_few_administrators_are_no_quorum(signers):
    """Nobody, one, one twice, or others than administrators: the link does not follow."""
    refused(link(GRANT, signers=signers), "signatures of 2 administrators")


def test_whoever_gains_is_not_counted():
    """A right for erin, signed by dana and erin, is dana's alone."""
    refused(link({**GRANT, "login": "erin"}), "carries 1")
    assert links.follow(FIRST, link({**GRANT, "login": "erin"}, signers=("dana", "frank")), PARTY).number == 1


def test_a_signature_is_over_the_state_before_too():
    """The same state after another history is another hash: what was signed for one is worth nothing for the other."""
    second = links.follow(FIRST, link({"edit": "set_settings", "checkpoint_every": 600}), PARTY)
    real = link(GRANT)
    refused(Link(2, second.hash, real.state, real.hash, real.proof), "does not follow", after=second)
    moved = Link(2, second.hash, real.state, link_hash(2, second.hash, real.state), real.proof)
    refused(moved, "does not hold", after=second)


def test_a_signature_of_another_kind_is_none():
    """A request's approval over the same digest, a denial, a key of somebody else's: refused."""
    one = link(GRANT)
    for bad in (
        signed(one.hash, "erin", domain=signatures.DOMAIN),
        signed(one.hash, "erin", verdict=Verdict.DENY),
        signed(one.hash, "erin", verdict=Verdict.CONFIRM),
        signed(one.hash, "erin", key_of="frank"),
        signed("0" * 64, "erin"),
        signed(one.hash, "erin", person=IDS["frank"]),
        signed(one.hash, "erin") | {"nonce": websafe_encode(b"n" * 32)},
    ):
        refused(with_proof(one, {"kind": "edits", "signatures": [signed(one.hash, "dana"), bad]}))


def test_signatures_are_of_one_time():
    """An approval of a month ago is not dug out for a change of today."""
    from datetime import UTC, datetime

    one = link(GRANT)
    old = signed(one.hash, "erin", nonce=signatures.new_nonce(datetime(2026, 10, 1, tzinfo=UTC)))
    refused(with_proof(one, {"kind": "edits", "signatures": [signed(one.hash, "dana"), old]}), "not of one time")


def test_a_key_that_a_link_takes_away_signs_no_more():
    """Authority is that of the link before: a former passkey's signature is refused afterwards."""
    gone = {"edit": "set_person", "person": "erin", "active": False}
    second = links.follow(FIRST, link(gone, signers=("dana", "frank")), PARTY)
    refused(link(GRANT, after=second), "carries 1", after=second)


@pytest.mark.parametrize(
    "change",
    [
        {"number": 2},
        {"previous": "0" * 64},
        {"hash": "0" * 64},
        {"state": "{}"},
        {"state": TEXT + " "},
        {"proof": "{}"},
        {"proof": "nonsense"},
        {"proof": '{"kind":"edits","signatures":[1]}'},
        {"proof": '{"kind":"edits","signatures":"x"}'},
        {"proof": '{"kind":"enrolment"}'},
        {"proof": '{"kind":"enrolment","invitation":"x","registrations":[],"codes":[]}'},
    ],
)
def test_a_link_with_anything_changed_does_not_follow(change):
    """Number, previous hash, state, hash and proof are each held against the rest."""
    one = link(GRANT)
    parts = {"number": one.number, "previous": one.previous, "state": one.state, "hash": one.hash, "proof": one.proof}
    refused(Link(**{**parts, **change}))


_NAMES = ("kind", "signatures", "registrations", "codes", "invitation", "person", "verdict", "nonce", "public")
_ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 10**12)
    | st.text(max_size=9)
    | st.sampled_from(("edits", "enrolment", "approve")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4),
)


@given(_ANYTHING)
def test_whatever_stands_in_the_proof_is_answered(found):
    """A proof is bytes from a database that somebody else may write: refused in words, never another exception."""
    refused(with_proof(link(GRANT), canonical.dumps(found)))


def test_another_genesis_is_none():
    """The pin decides where authority begins."""
    for one, pin in ((Link(0, "", TEXT, FIRST.hash, "{}"), "0" * 64), (Link(1, "", TEXT, FIRST.hash, "{}"), FIRST.hash)):
        with pytest.raises(BadAuthority, match="genesis"):
            links.begin(one, pin)


_EDITS = st.lists(
    st.sampled_from(
        [
            GRANT,
            {**GRANT, "edit": "revoke", "login": "bob"},
            {"edit": "add_member", "group": "dba", "login": "bob"},
            {"edit": "add_member", "group": "dba", "login": "dana"},
            {"edit": "set_person", "person": "alice", "auditor": True},
            {"edit": "set_person", "person": "bob", "active": False},
            {"edit": "add_principal", "person": "bob", "kind": "sso_user", "value": "bob@example.com"},
            {"edit": "set_settings", "checkpoint_every": 600},
            {
                "edit": "invite",
                "person": "bob",
                "id": "00000000-0000-4000-8000-00000000000a",
                "until": "2026-12-01T00:00:00+00:00",
            },
        ]
    ),
    min_size=1,
    max_size=5,
    unique_by=canonical.dumps,
)


def applied(edits: list[dict[str, Any]]) -> state.Document:
    """The state after the edits, where they fit together."""
    try:
        return apply(GENESIS, edits)
    except BadChange:
        reject()
        raise


@given(_EDITS, st.randoms())
def test_equal_authority_has_equal_text(edits, random):
    """Whatever the order of rows, a state has one text; and reading it back gives the same state."""
    after = applied(edits)
    shuffled = {name: random.sample(value, len(value)) if isinstance(value, list) else value for name, value in after.items()}
    assert state.text_of(shuffled) == state.text_of(after)
    assert state.text_of(state.read(state.text_of(after))) == state.text_of(after)


@given(_EDITS)
def test_every_change_is_shown(edits):
    """Where two states differ the difference is not empty; where they do not, it is."""
    after = applied(edits)
    assert bool(difference.between(GENESIS, after)) is (state.text_of(after) != TEXT)
    assert not difference.between(after, after)


@given(_EDITS)
def test_gains_are_of_persons_who_were_there(edits):
    """Whom a change gives something is found whatever else it changes."""
    found = difference.gains(GENESIS, applied(edits))
    named = {"alice" if edit == GRANT else edit.get("person") or edit.get("login") for edit in edits}
    assert found <= {IDS[handle] for handle in named if handle in IDS}
    if GRANT in edits:
        assert IDS["alice"] in found


def test_what_belongs_together_is_told_field_by_field():
    """A clock that changes is one line with its value before and after, not an object of them."""
    later = RULES.replace('"approval":3600', '"approval":60')
    version = {"name": "tables", "number": 2, "hash": canonical.digest(later), "text": later}
    after = {**GENESIS, "guardrails": [*GENESIS["guardrails"], version]}
    told = [(one.field, one.before, one.after) for one in difference.between(GENESIS, after)]
    assert told == [("clocks approval", "3600", "60")]
