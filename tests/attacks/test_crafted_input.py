"""Numbers and nesting without end, stars where nobody expects them: an answer in words, soon, and of the expected kind."""

from __future__ import annotations

from typing import Any

import pytest
from fido2.utils import websafe_encode

from approvals import canonical, principals, signatures
from approvals.authority import links
from approvals.authority.difference import gains
from approvals.authority.edits import apply
from approvals.authority.links import Link
from approvals.caller import Caller
from approvals.errors import BadAuthority, BadCanonicalForm, BadChange, BadPlan
from approvals.models import Principal
from approvals.plan import Plan, Step, parse
from tests.approvals.authority.test_links import FIRST, GENESIS, IDS, PARTY, TEXT, signed
from tests.cast import ACCOUNT

ENDLESS = ["9" * 5000, "-" + "9" * 5000, '{"a":' + "9" * 100_000 + "}", "[" * 100_000, '{"a":' * 100_000]


@pytest.mark.parametrize("text", ENDLESS, ids=range(len(ENDLESS)))
def test_a_text_that_is_no_canonical_json_is_refused_as_such(text: str) -> None:
    """In a plan and in a proof alike: a forgery that is read is one that raises the alarm, not one that stumbles."""
    with pytest.raises(BadCanonicalForm):
        canonical.parse(text)
    with pytest.raises(BadPlan):
        parse(text)
    with pytest.raises(BadAuthority, match="cannot be read"):
        links.follow(FIRST, Link(1, FIRST.hash, TEXT, links.link_hash(1, FIRST.hash, TEXT), text), PARTY)


@pytest.mark.parametrize(
    "data", [b"\x81" * 1400, b"\xa1\x01" * 700, b"\xc1" * 1400, b"\x9b" + b"\xff" * 8, b"\x5b" + b"\xff" * 8]
)
def test_a_public_key_that_is_none_is_refused_as_such(data: bytes) -> None:
    """CBOR nested a thousand deep, or of a length that nobody has."""
    with pytest.raises(ValueError, match="COSE"):
        signatures.cose_key(data)
    edit = {"edit": "add_passkey", "person": "bob", "credential_id": "AAAA", "label": "x", "public_key": websafe_encode(data)}
    with pytest.raises(BadChange, match="cannot be read"):
        apply(GENESIS, [edit])


@pytest.mark.django_db
def test_a_star_in_a_callers_name_is_no_pattern(cast) -> None:
    """Whoever may make IAM users chooses their path, and `/*/` is one: it fits no pattern that it does not fit as it stands."""
    user = f"arn:aws:iam::{ACCOUNT}:user/"
    Principal.objects.create(person=cast.person("carol"), kind="iam_user", value=f"{user}carol-*")
    for name in ("*/x", "?arol-*", "c*", "*"):
        assert principals.behind(Caller("IAMUser", user + name, ACCOUNT, "AKIA", "", "", "")).person is None
    assert principals.behind(Caller("IAMUser", f"{user}carol-*/x", ACCOUNT, "AKIA", "", "", "")).person == cast.person("carol")


def test_patterns_of_stars_keep_nobody_waiting() -> None:
    """Whoever proposes two hundred of the longest patterns: who gains by them is told at once, every time somebody looks."""
    edits = [
        {"edit": "add_principal", "person": "bob", "kind": "sso_user", "value": f"{'*a' * 1000}{number}"} for number in range(200)
    ]
    after = apply(GENESIS, edits)
    assert gains(GENESIS, after) == {IDS["bob"]}


GUARDRAIL = {"name": "tables", "number": 2, "hash": ""}
SHAPES: list[dict[str, Any]] = [
    {"accounts": 7},
    {"persons": [7]},
    {"persons": [{}]},
    {"persons": None},
    {"groups": []},
    {"grants": [{"guardrail": "tables", "login": "bob", "starts": 7, "ends": "never", "delegated_by": None}]},
    {"guardrails": [*GENESIS["guardrails"], {**GUARDRAIL, "text": "["}]},
    {"guardrails": [*GENESIS["guardrails"], {**GUARDRAIL, "text": "7"}]},
    {"guardrails": [*GENESIS["guardrails"], {**GUARDRAIL, "text": "{}"}]},
    {"invitations": [{"id": "x", "codes": []}]},
    {"settings": []},
]


@pytest.mark.parametrize("part", SHAPES, ids=range(len(SHAPES)))
@pytest.mark.parametrize("signers", [(), ("dana", "erin")], ids=["unsigned", "signed"])
def test_a_state_without_shape_is_a_forgery(part: dict[str, Any], signers: tuple[str, ...]) -> None:
    """Whoever owns the database writes a link that hashes well and says nothing: refused as a forgery, signed or not."""
    text = canonical.dumps({**GENESIS, **part})
    digest = links.link_hash(1, FIRST.hash, text)
    proof = canonical.dumps({"kind": "edits", "signatures": [signed(digest, handle) for handle in signers]})
    with pytest.raises(BadAuthority):
        links.follow(FIRST, Link(1, FIRST.hash, text, digest, proof), PARTY)


@pytest.mark.parametrize("value", [{"$sealed": "x"}, {"$decimal": "9" * 5000}, {"$timestamp": "x"}, {"$bytes": "?"}, {"$x": "y"}])
def test_a_plan_with_a_value_that_means_nothing_is_no_plan(value: dict[str, str]) -> None:
    """A tag that our own code never writes: the executor's reader says that it is no plan, which is a forgery."""
    whole = Plan("x", 1, ACCOUNT, "aws", "eu-west-1", "arn:aws:iam::1:role/x", (Step("dynamodb", "DeleteTable", {}),), (), 3600)
    document = canonical.loads(whole.text())
    document["steps"][0]["parameters"] = {"TableName": value}
    with pytest.raises(BadPlan, match="cannot be read"):
        parse(canonical.dumps(document))
