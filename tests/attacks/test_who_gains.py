"""One administrator and what he might sign for himself: every edit that gives somebody something, and whether it is seen."""

from __future__ import annotations

from typing import Any

import pytest

from approvals import canonical
from approvals.authority import difference, links, state
from approvals.authority.edits import apply
from approvals.authority.links import Standing
from approvals.errors import BadChange
from tests.approvals.authority.test_links import FIRST, GENESIS, GRANT, IDS, KEYS, PARTY, RULES, link, refused

USER = "arn:aws:iam::111122223333:user/"
DANAS = {"edit": "add_principal", "person": "dana", "kind": "iam_user", "value": f"{USER}dana"}
DANAS_PATTERN = {"edit": "add_principal", "person": "dana", "kind": "iam_user", "value": f"{USER}ops/*"}
KEY = KEYS["dana"]["credential_id"]
FRIEND = {"edit": "add_person", "handle": "gina", "name": "Gina", "email": "", "id": "00000000-0000-4000-8000-0000000000aa"}
BOT = {**FRIEND, "handle": "deployer", "human": False, "id": "00000000-0000-4000-8000-0000000000dd"}
INVITE = {"edit": "invite", "until": "2026-12-01T00:00:00+00:00"}
BOBS_LINK = {**INVITE, "person": "bob", "id": "00000000-0000-4000-8000-0000000000bb"}
WITH_GLASS = {**canonical.loads(RULES), "break_glass": {"groups": ["of dana"], "review_within": 3600}}


def after(*edits: dict[str, Any], of: state.Document = GENESIS) -> state.Document:
    return apply(of, edits)


def gaining(before: state.Document, new: state.Document) -> set[str]:
    found = difference.gains(before, new)
    return {handle for handle, key in IDS.items() if key in found}


SEEN: dict[str, tuple[list[Any], list[Any], set[str]]] = {
    "a right of his own": ([], [{**GRANT, "login": "dana"}], {"dana"}),
    "a right with other dates": (
        [{**GRANT, "login": "dana", "ends": "2026-12-01T00:00:00Z"}],
        [{**GRANT, "login": "dana", "ends": "2027-12-01T00:00:00Z"}],
        {"dana"},
    ),
    "a right that somebody lends him": (
        [],
        [{**GRANT, "login": "dana", "delegated_by": "bob", "ends": "2026-12-01T00:00:00Z"}],
        {"dana"},
    ),
    "a right of a group that he alone is": (
        [{"edit": "add_member", "group": "of dana", "login": "dana"}],
        [{"edit": "grant", "guardrail": "tables", "group": "of dana"}],
        {"dana"},
    ),
    "a right of a group in which he has somebody new, and a bot, beside him": (
        [BOT, {"edit": "add_member", "group": "of dana", "login": "dana"}],
        [
            FRIEND,
            {"edit": "add_member", "group": "of dana", "login": "gina"},
            {"edit": "add_member", "group": "of dana", "login": "deployer"},
            {"edit": "grant", "guardrail": "tables", "group": "of dana"},
        ],
        {"dana"},
    ),
    "the glass for a group that he alone is": (
        [{"edit": "add_member", "group": "of dana", "login": "dana"}],
        [{"edit": "put_guardrail", "rules": WITH_GLASS}],
        {"dana"},
    ),
    "membership": ([], [{"edit": "add_member", "group": "dba", "login": "dana"}], {"dana"}),
    "a second login": ([], [{"edit": "add_login", "person": "dana", "login": "dana2"}], {"dana"}),
    "a login of somebody else": (
        [],
        [{"edit": "remove_login", "person": "bob", "login": "bob"}, {"edit": "add_login", "person": "dana", "login": "bob"}],
        {"dana", "bob"},
    ),
    "another flag": ([], [{"edit": "set_person", "person": "dana", "auditor": True}], {"dana"}),
    "an enrolment link": ([], [{**INVITE, "person": "dana", "id": BOBS_LINK["id"]}], {"dana"}),
    "a longer enrolment link": (
        [{**INVITE, "person": "dana", "id": BOBS_LINK["id"]}],
        [{**INVITE, "person": "dana", "id": BOBS_LINK["id"], "until": "2027-12-01T00:00:00Z"}],
        {"dana"},
    ),
    "an identity": ([], [DANAS], {"dana"}),
    "his own identity taken away, so that its calls stand for nobody": (
        [DANAS],
        [{**DANAS, "edit": "remove_principal"}],
        {"dana"},
    ),
    "his own identity given to somebody else": (
        [DANAS],
        [{**DANAS, "edit": "remove_principal"}, {**DANAS, "person": "bob"}],
        {"dana", "bob"},
    ),
    "his own identity given to somebody new": (
        [DANAS],
        [FRIEND, {**DANAS, "edit": "remove_principal"}, {**DANAS, "person": "gina"}],
        {"dana"},
    ),
    "a plainer identity that wins over his own": (
        [DANAS_PATTERN],
        [{**DANAS_PATTERN, "person": "bob", "value": f"{USER}ops/dana"}],
        {"dana", "bob"},
    ),
    "a pattern that fits as well as his own, so that nobody is meant": (
        [DANAS_PATTERN],
        [{**DANAS_PATTERN, "person": "bob", "value": f"{USER}o*/*"}],
        {"dana", "bob"},
    ),
    "another weight of somebody's pattern": (
        [DANAS_PATTERN, {**DANAS_PATTERN, "person": "bob", "value": f"{USER}*"}],
        [
            {**DANAS_PATTERN, "edit": "remove_principal", "person": "bob", "value": f"{USER}*"},
            {**DANAS_PATTERN, "person": "bob", "value": f"{USER}*", "precedence": 9},
        ],
        {"dana", "bob"},
    ),
    "one of his passkeys under a new name": (
        [],
        [
            FRIEND,
            {"edit": "remove_passkey", "person": "dana", "credential_id": KEY},
            {"edit": "add_passkey", "person": "gina", **GENESIS["persons"][2]["passkeys"][0]},
        ],
        {"dana"},
    ),
    "his login under a new name": (
        [],
        [{"edit": "remove_login", "person": "dana", "login": "dana"}, {**FRIEND, "login": "dana"}],
        {"dana"},
    ),
}


@pytest.mark.parametrize("what", SEEN)
def test_who_gains_is_seen(what: str) -> None:
    """Whoever would be nearer to deciding what he asks for is among those who do not count."""
    first, then, who = SEEN[what]
    before = after(*first) if first else GENESIS
    assert gaining(before, after(*then, of=before)) == who


@pytest.mark.parametrize(
    "edits",
    [
        [{"edit": "put_guardrail", "rules": {**canonical.loads(RULES), "mode": "observe"}}],
        [{"edit": "set_settings", "signers": 3}],
        [{"edit": "set_person", "person": "dana", "name": "Dana D."}],
        [{"edit": "remove_passkey", "person": "dana", "credential_id": KEY}],
        [{"edit": "revoke", "guardrail": "tables", "login": "bob"}],
        [FRIEND],
    ],
)
def test_what_concerns_all_is_nobodys_own(edits: list[dict[str, Any]]) -> None:
    """A guardrail that only observes, other settings, a new person: two administrators read the difference and sign it."""
    assert not gaining(GENESIS, after(*edits))


def test_a_link_by_which_an_identity_changes_hands_needs_two_others() -> None:
    """Dana's calls are to stand for nobody: her own signature under it does not count."""
    known = links.follow(FIRST, link(DANAS, signers=("erin", "frank")), PARTY)
    gone = {**DANAS, "edit": "remove_principal"}
    refused(link(gone, after=known), "carries 1", after=known)
    assert links.follow(known, link(gone, after=known, signers=("erin", "frank")), PARTY).number == 2


def _as_signed(document: state.Document, standing: Standing = FIRST) -> links.Link:
    """A link to any state at all, which two administrators signed."""
    from tests.approvals.authority.test_links import signed

    text = state.text_of(document)
    digest = links.link_hash(standing.number + 1, standing.hash, text)
    rows = [signed(digest, handle) for handle in ("dana", "erin")]
    return links.Link(standing.number + 1, standing.hash, text, digest, canonical.dumps({"kind": "edits", "signatures": rows}))


def test_one_set_of_codes_opens_one_enrolment_link() -> None:
    """Who is invited together with somebody else would hold the codes for him too: neither proposed nor followed."""
    two = [BOBS_LINK, {**INVITE, "person": "alice", "id": "00000000-0000-4000-8000-0000000000cc"}]
    with pytest.raises(BadChange, match="one enrolment link"):
        after(*two)
    one_by_one = after(two[1], of=after(two[0]))
    refused(_as_signed(one_by_one), "issues 2 enrolment links under the same codes")


def test_an_enrolment_link_passes_to_nobody_else() -> None:
    """The same link under another name, for longer, or with a code of somebody's own: shown, a gain, and not followed."""
    known = links.follow(FIRST, link(BOBS_LINK), PARTY)
    (bobs,) = known.document["invitations"]
    for change in ({"person": IDS["alice"]}, {"until": "2030-01-01T00:00:00+00:00"}, {"codes": ["00" * 32]}):
        document = {**known.document, "invitations": [{**bobs, **change}]}
        assert difference.between(known.document, document)
        assert difference.gains(known.document, document) == {change.get("person", IDS["bob"])}
        refused(_as_signed(document, known), "other codes would open", after=known)
    new = {**GENESIS, "invitations": [{**bobs, "codes": ["00" * 32]}]}
    refused(_as_signed(new), "other codes would open")


def test_a_new_person_has_no_second_spelling_of_a_known_id() -> None:
    """Bob's id in capitals would be bob in the tables and somebody else in the document."""
    for spelt in (IDS["bob"].replace("-", ""), f"urn:uuid:{IDS['bob']}", FRIEND["id"].upper(), "x", 7):
        with pytest.raises(BadChange, match="lower-case digits"):
            after({**FRIEND, "id": spelt})
