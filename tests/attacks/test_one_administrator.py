"""One administrator alone, with what he holds: codes of links, logins that change hands, a right that he had until yesterday."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from approvals import authority, changes
from approvals.errors import BadSignature
from approvals.models import Alert, Invitation, Passkey
from approvals.permissions import person_of
from tests.authenticators import registration
from tests.cast import Cast

pytestmark = pytest.mark.django_db
INVITE = {"edit": "invite", "person": "carol"}
FOURTH = {"edit": "set_person", "person": "olivia", "administrator": True}


def made_by_carol(cast: Cast, invitation: Invitation):
    made = registration(changes.begin_registration(invitation.pk, cast.person("carol")))
    changes.registered(made, invitation.pk, cast.person("carol"))
    return [made]


def test_the_code_of_a_former_administrator_opens_nothing(cast: Cast) -> None:
    """Erin's right was taken away after she had signed the link: her code and dana's are one administrator's word."""
    cast.changed(FOURTH)
    change = cast.proposed(INVITE)
    given = [cast.sign_change(change, handle) for handle in ("dana", "erin")]
    assert changes.apply(change.pk)
    invitation = Invitation.objects.get()
    made = made_by_carol(cast, invitation)
    sent = changes.enrol(invitation.pk, cast.person("carol"), given=given, registrations=made)
    cast.changed({"edit": "set_person", "person": "erin", "administrator": False}, signers=("dana", "frank"))
    with pytest.raises(BadSignature, match="codes of 2"):
        changes.enrol(invitation.pk, cast.person("carol"), given=given, registrations=made)
    # What was on its way is over too, and nobody is called a forger for it.
    assert changes.apply(sent.pk) is False
    sent.refresh_from_db()
    assert (sent.state, Alert.objects.count(), Passkey.objects.filter(person__handle="carol").count()) == ("expired", 0, 1)


def test_a_login_that_changes_hands_forgets_its_former_holder(cast: Cast, client) -> None:
    """Carol's login becomes bob's in one change, whatever the order of persons: her password and session are worth nothing."""
    user = get_user_model().objects.get(username="carol")
    user.set_password("what only carol knows")
    user.save(update_fields=["password"])
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    before = client.session.get("_auth_user_hash")
    taken, given = {"edit": "remove_login", "person": "carol", "login": "carol"}, {"edit": "add_login", "login": "carol"}
    swap = [{"edit": "remove_login", "person": "bob", "login": "bob"}, {"edit": "add_login", "person": "carol", "login": "bob"}]
    cast.changed(
        taken, *swap, {**given, "person": "bob"}, {"edit": "grant", "guardrail": "dynamodb-production", "login": "carol"}
    )
    user.refresh_from_db()
    assert person_of(user) == cast.person("bob")
    assert not user.has_usable_password()
    assert user.get_session_auth_hash() != before
    authority.walk(cast.genesis)


def switch_off(handle: str) -> None:
    """As an operator does it at once, by himself: the login, without a link in the chain."""
    get_user_model().objects.filter(login__person__handle=handle).update(is_active=False)


def test_the_signature_of_a_login_that_was_switched_off_no_longer_counts(cast: Cast) -> None:
    """Erin signed and was found to be an attacker: dana's signature does not complete hers, frank's does."""
    change = cast.proposed({"edit": "set_person", "person": "carol", "auditor": True})
    cast.sign_change(change, "erin")
    switch_off("erin")
    cast.sign_change(change, "dana")
    assert changes.counted_signers(change) == {str(cast.person("dana").pk)}
    assert changes.apply(change.pk) is False
    assert not cast.person("carol").is_auditor
    cast.sign_change(change, "frank")
    assert changes.apply(change.pk)
    assert authority.walk(cast.genesis).persons[str(cast.person("carol").pk)]["auditor"]


def test_nor_does_the_code_of_one(cast: Cast) -> None:
    """Her code and dana's open no enrolment link any more."""
    change = cast.proposed(INVITE)
    given = [cast.sign_change(change, handle) for handle in ("dana", "erin")]
    assert changes.apply(change.pk)
    invitation = Invitation.objects.get()
    made = made_by_carol(cast, invitation)
    sent = changes.enrol(invitation.pk, cast.person("carol"), given=given, registrations=made)
    switch_off("erin")
    with pytest.raises(BadSignature, match="codes of 2"):
        changes.enrol(invitation.pk, cast.person("carol"), given=given, registrations=made)
    assert changes.apply(sent.pk) is False
    assert Passkey.objects.filter(person__handle="carol").count() == 1
