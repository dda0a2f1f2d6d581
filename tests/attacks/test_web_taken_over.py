"""The web process in other hands: it writes proposals as it likes, and lets people read other words than those that they sign."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from approvals import canonical, changes
from approvals.authority import links, state
from approvals.authority.edits import apply as apply_edits
from approvals.changes.writing import head
from approvals.models import Alert, AuthorityChange, AuthorityLink, ChangeSignature
from approvals.states import Verdict
from tests.cast import Cast

pytestmark = pytest.mark.django_db
HARMLESS = [{"edit": "set_person", "person": "carol", "auditor": True}]
FOR_MALLORY = [{"edit": "set_person", "person": "alice", "administrator": True}]


def written(cast: Cast, edits: Any, document: state.Document, **columns: Any) -> AuthorityChange:
    """A proposal as whoever is the web process would write it."""
    newest, text = head(), state.text_of(document)
    now = timezone.now()
    return AuthorityChange.objects.create(
        kind="edits",
        proposer=cast.person("dana"),
        reason="it is time",
        number=newest.number + 1,
        previous=newest.hash,
        edits=edits if isinstance(edits, str) else canonical.dumps(edits),
        next_state=text,
        digest=links.link_hash(newest.number + 1, newest.hash, text),
        **{"created_at": now, "open_until": now + links.LIFETIME, **columns},
    )


def refused(change: AuthorityChange) -> bool:
    change.refresh_from_db()
    return (change.state, AuthorityLink.objects.count()) == ("refused", 1) and Alert.objects.get().kind == "forgery"


@pytest.mark.parametrize("edits", [HARMLESS, [], "[", "{}", '[{"edit":"add_person"}]', "[7]", "9" * 5000])
def test_a_state_under_other_words_is_never_applied(cast: Cast, edits: Any) -> None:
    """Two administrators read `make carol an auditor` and signed the state in which alice is an administrator."""
    change = written(cast, edits, apply_edits(head().document, FOR_MALLORY))
    for handle in ("dana", "erin"):
        cast.sign_change(change, handle)
    assert changes.apply(change.pk) is False
    assert refused(change)
    assert not cast.person("alice").is_administrator


@pytest.mark.parametrize("what", ["persons", "invitations", "settings"])
def test_a_state_that_no_edit_leads_to_is_never_applied(cast: Cast, what: str) -> None:
    """A person split in two, a link with a code of the attacker's own, one signature for everything: signed or not."""
    document = dict(apply_edits(head().document, HARMLESS))
    if what == "persons":
        twin = {**document["persons"][0], "id": str(uuid4()), "handle": "twin", "logins": ["twin"], "sign_on": []}
        document["persons"] = [*document["persons"], {**twin, "principals": [], "passkeys": []}]
    elif what == "invitations":
        person, until = str(cast.person("bob").pk), state.text_of_moment(timezone.now() + timedelta(days=1))
        document["invitations"] = [{"id": str(uuid4()), "person": person, "until": until, "codes": ["00" * 32]}]
    else:
        document["settings"] = {**document["settings"], "signers": 1}
    change = written(cast, HARMLESS, document)
    for handle in ("dana", "erin"):
        cast.sign_change(change, handle)
    assert changes.apply(change.pk) is False
    assert refused(change)


def test_a_denial_that_was_kept_quiet_counts(cast: Cast) -> None:
    """The denial is stored, the state was left open, and two others signed: it is not applied."""
    change = cast.proposed(*HARMLESS)
    opened = changes.begin(change.pk, cast.person("frank"), Verdict.DENY)
    made = cast.assertion("frank", opened)
    parts = {name: getattr(made, name) for name in ("credential_id", "client_data", "authenticator_data", "signature")}
    ChangeSignature.objects.create(
        change=change,
        person=cast.person("frank"),
        verdict="deny",
        nonce=opened.nonce,
        counter=0,
        created_at=timezone.now(),
        **parts,
    )
    for handle in ("dana", "erin"):
        cast.sign_change(change, handle)
    assert changes.apply(change.pk) is False
    assert refused(change)


def test_signatures_are_not_kept_for_later(cast: Cast) -> None:
    """A proposal that says that it is open for a year is over seven days after it was first signed."""
    edits = apply_edits(head().document, HARMLESS)
    change = written(cast, HARMLESS, edits, open_until=timezone.now() + timedelta(days=365))
    for handle in ("dana", "erin"):
        cast.sign_change(change, handle)
    assert changes.apply(change.pk, now=timezone.now() + timedelta(days=8)) is False
    change.refresh_from_db()
    assert change.state == "expired"


def test_what_is_genuine_is_applied(cast: Cast) -> None:
    """The same rows, when the words are those of the state."""
    change = written(cast, HARMLESS, apply_edits(head().document, HARMLESS))
    for handle in ("dana", "erin"):
        cast.sign_change(change, handle)
    assert changes.apply(change.pk)
    assert cast.person("carol").is_auditor
