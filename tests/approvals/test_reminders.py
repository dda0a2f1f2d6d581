"""Reminders, escalation and the warning before expiry: promised when a request becomes pending, dropped when it is decided."""

from __future__ import annotations

from datetime import timedelta

import pytest

from approvals import decisions, notifications
from approvals.models import ApprovalRequest, OutboxMessage
from approvals.notifications import ESCALATED, REMINDER, RUNS_OUT
from tests.cast import seal, with_carol


@pytest.fixture
def cast(db, tmp_path, settings):
    """A world in which a request may be pending for 16 hours."""
    return seal(tmp_path, settings, change=with_carol, approvals=2, clocks={"pending": 16 * 3600})


def promised(*topics):
    return OutboxMessage.objects.filter(kind="notify", topic__in=topics).order_by("due_at", "id")


def test_reviewers_are_reminded_with_back_off_and_a_bound(cast):
    """Three times, each pause twice the one before; administrators at half of the time, the requester before its end."""
    request = cast.pending()
    start = request.pending_until - timedelta(hours=16)
    assert [(m.topic, round((m.due_at - start).total_seconds() / 3600)) for m in promised(REMINDER, ESCALATED, RUNS_OUT)] == [
        (REMINDER, 2),
        (REMINDER, 6),
        (ESCALATED, 8),
        (RUNS_OUT, 12),
        (REMINDER, 14),
    ]


def test_each_says_whom_to_turn_to(cast):
    """Reviewers who have not decided yet, administrators with the names of those, the requester with the time that is left."""
    request = cast.pending()
    cast.sign_review(request, "bob")
    reminder, escalated, runs_out = (notifications.compose(promised(topic)[0]) for topic in (REMINDER, ESCALATED, RUNS_OUT))
    assert reminder.to == ("carol",)
    assert (escalated.to, "bob, carol" in escalated.body) == (("dana", "erin", "frank"), True)
    assert (runs_out.to, "expires at" in runs_out.body) == (("alice",), True)


@pytest.mark.parametrize("end", ["approved", "withdrawn", "sent back", "sent back and confirmed anew"])
def test_what_is_decided_meanwhile_is_dropped_without_a_word(cast, end):
    """Nothing is composed any more; a request that is pending anew has reminders of its own."""
    request = cast.pending()
    old = list(promised(REMINDER, ESCALATED, RUNS_OUT))
    if end == "approved":
        cast.sign_review(request, "bob")
        cast.sign_review(request, "carol")
    elif end == "withdrawn":
        decisions.withdraw(request.pk, cast.person("alice"))
    else:
        decisions.send_back(request.pk, cast.person("bob"), message="why?")
    if end.endswith("anew"):
        cast.sign_confirm(ApprovalRequest.objects.get())
        assert promised(REMINDER).count() == 6
    assert [notifications.compose(message) for message in old] == [None] * 5
