"""Drafts that nobody stands behind: of a bot, or of an AWS identity that belongs to no person."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from approvals import decisions, notifications
from approvals.errors import Expired, NotAllowed, OwnRequest, Unmapped, WrongState
from approvals.models import ApprovalRequest, AuditEntry, OutboxMessage
from approvals.states import Verdict
from tests.cast import seal, with_a_bot


@pytest.fixture
def cast(db, tmp_path, settings):
    """A world with a bot, `deployer`, and two reviewers."""
    return seal(tmp_path, settings, change=with_a_bot)


WHOSE = pytest.mark.parametrize("user", ["stranger", "deployer"])


@WHOSE
def test_a_person_adopts_it_and_is_its_requester(cast, user):
    """Then it goes the way of every request: the adopter signs, somebody else approves."""
    request = cast.denied_event(user=user)
    decisions.adopt(request.pk, cast.person("alice"))
    request = cast.sign_confirm(ApprovalRequest.objects.get())
    assert request.requester.handle == "alice"
    cast.sign_review(request)
    request.refresh_from_db()
    assert request.state == "approved"
    entry = AuditEntry.objects.get(kind="request.adopted")
    assert (entry.actor, user in entry.body) == ("person:alice", True)
    (note,) = [notifications.compose(one) for one in OutboxMessage.objects.filter(topic=notifications.ADOPTED)]
    assert note.to == ("alice",)


def test_who_adopts_never_reviews(cast):
    """By adopting a reviewer has asked: the approval is somebody else's."""
    request = cast.denied_event(user="stranger")
    decisions.adopt(request.pk, cast.person("bob"))
    request = cast.sign_confirm(ApprovalRequest.objects.get(), "bob")
    with pytest.raises(OwnRequest):
        decisions.begin(request.pk, cast.person("bob"), Verdict.APPROVE)
    cast.sign_review(request, "carol")
    request.refresh_from_db()
    assert request.state == "approved"


def test_what_nobody_stands_behind_is_approvable_by_nobody_and_says_how_to_map_it(cast):
    """The refusal names the identity and both ways out of it."""
    request = cast.denied_event(user="stranger")
    with pytest.raises(Unmapped, match="user/stranger") as refusal:
        decisions.begin(request.pk, cast.person("bob"), Verdict.APPROVE)
    assert "change of authority" in str(refusal.value)
    assert "adopts this draft" in str(refusal.value)


def test_a_bot_asks_and_never_signs(cast):
    """Neither in Python nor by SQL: its draft waits for a person."""
    request = cast.denied_event(user="deployer")
    assert request.requester.handle == "deployer"
    bot = cast.person("deployer")
    with pytest.raises(NotAllowed, match="only a person can sign"):
        decisions.begin(request.pk, bot, Verdict.CONFIRM)
    with pytest.raises(WrongState, match="never signs"):
        decisions.begin(request.pk, cast.person("bob"), Verdict.APPROVE)
    with pytest.raises(IntegrityError, match="only an active person signs"), transaction.atomic():
        from tests.approvals.test_decisions import _signature

        _signature(request.current_revision(), bot, "confirm").save(force_insert=True)


def test_a_bot_adopts_nothing(cast):
    """Whoever adopts has to sign."""
    with pytest.raises(NotAllowed):
        decisions.adopt(cast.denied_event(user="stranger").pk, cast.person("deployer"))


def test_what_a_person_stands_behind_is_not_adopted(cast):
    """Neither what somebody asked for, nor what was adopted already; the database refuses it too."""
    mine, adopted = cast.denied_event(), cast.denied_event(user="stranger")
    decisions.adopt(adopted.pk, cast.person("alice"))
    for request in (mine, adopted):
        with pytest.raises(WrongState, match="alice stands behind"):
            decisions.adopt(request.pk, cast.person("carol"))
        with pytest.raises(IntegrityError, match="a person adopts"), transaction.atomic():
            ApprovalRequest.objects.filter(pk=request.pk).update(requester=cast.person("carol"))


def test_what_ran_out_is_not_adopted(cast):
    """The draft's clock counts at every read."""
    request = cast.denied_event(user="stranger")
    with pytest.raises(Expired):
        decisions.adopt(request.pk, cast.person("alice"), now=timezone.now() + timedelta(days=8))


def test_who_was_switched_off_adopts_nothing(cast):
    """A person without an active login could not sign either."""
    alice = cast.person("alice")
    user = alice.logins.get().user
    user.is_active = False
    user.save()
    with pytest.raises(NotAllowed):
        decisions.adopt(cast.denied_event(user="stranger").pk, alice)
