"""What a change asks for in a sentence, as lists, titles and notifications say it."""

from __future__ import annotations

from typing import Any

import pytest

from approvals import canonical, notifications
from approvals.authority import edits, words
from approvals.models import OutboxMessage

EVERY: dict[str, dict[str, Any]] = {
    "add_person": {"handle": "gina"},
    "set_person": {"person": "bob", "active": False},
    "add_login": {"person": "bob", "login": "bob2"},
    "remove_login": {"person": "bob", "login": "bob2"},
    "add_sign_on": {"person": "bob", "login": "bob", "provider": "oidc", "subject": "1"},
    "remove_sign_on": {"person": "bob", "login": "bob", "provider": "oidc", "subject": "1"},
    "add_principal": {"person": "bob", "kind": "sso_user", "value": "b"},
    "remove_principal": {"person": "bob", "kind": "sso_user", "value": "b"},
    "add_passkey": {"person": "bob"},
    "remove_passkey": {"person": "bob"},
    "invite": {"person": "bob"},
    "uninvite": {"person": "bob"},
    "add_member": {"group": "Night", "login": "bob"},
    "remove_member": {"group": "Night", "login": "bob"},
    "grant": {"guardrail": "g", "login": "bob", "delegated_by": "carol", "ends": "2027-01-01T00:00:00+00:00"},
    "revoke": {"guardrail": "g", "group": "bob's"},
    "put_guardrail": {"rules": {"name": "bob's"}},
    "put_account": {"id": "111122223333", "alias": "bob's"},
    "set_settings": {"signers": 3},
}


@pytest.mark.parametrize("name", sorted(edits.EDITS))
def test_every_edit_has_words_that_name_what_it_is_about(name):
    """No edit is shown by its technical name alone."""
    said = words.sentence_of([{"edit": name, **EVERY[name]}])
    assert said != name.replace("_", " ")
    assert any(text in said for text in ("bob", "gina", "signers")), said


def test_many_edits_are_cut_and_counted():
    """A title stays a title; the difference shows all."""
    said = words.sentence_of([{"edit": "invite", "person": f"p{number}"} for number in range(9)])
    assert said.endswith("; and 6 more")


@pytest.mark.parametrize("text", ["", "no json", "[1]", "{}", "[null]", canonical.dumps([{"edit": "grant"}]), "7"])
def test_what_cannot_be_read_is_said_and_raises_nothing(text):
    """Rows are written by a process that may have been taken over: a list of them still opens."""
    assert words.sentence_in(text)


def test_a_notification_says_what_is_proposed_and_nothing_invisible(cast):
    """Administrators read it before they open the page; a name that hides characters is shown with escapes."""
    cast.proposed({"edit": "add_principal", "person": "bob", "kind": "sso_user", "value": "b\u202eob"})
    said = notifications.compose(OutboxMessage.objects.get(topic="change.proposed"))
    assert "dana proposes to take sso_user:b\\u202eob for bob" in said.body
    assert "/admin/approvals/authoritychange/" in said.body
