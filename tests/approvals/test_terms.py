"""Execution windows and freezes: they only delay, at the decision and at the claim."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from approvals import authority, clearance, decisions, terms
from approvals.errors import Expired, NotYet, Refused
from approvals.models import ApprovalRequest, Execution, OutboxMessage
from approvals.policies import rules_from
from tests.cast import seal

ALL_DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def rules(**changes):
    return rules_from({"name": "one", "accounts": ["*"], "operations": ["*"], "approvals": 1, **changes})


def window_around(moment, *, minutes=60, days=ALL_DAYS):
    """A window of every day that begins at this moment's hour and minute, in UTC."""
    end = moment + timedelta(minutes=minutes)
    return {"days": days, "from": f"{moment:%H:%M}", "to": f"{end:%H:%M}", "zone": "UTC"}


NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)  # a Wednesday


class TestTheTerm:
    """When an approval that was resolved at noon may be carried out."""

    @pytest.mark.parametrize(
        ("changes", "hold", "not_before", "until"),
        [
            ({}, 0, NOON, NOON + timedelta(hours=1)),
            ({}, 600, NOON + timedelta(minutes=10), NOON + timedelta(minutes=70)),
            # An open window extends the approval to its close; a later one delays it, and lasts to its close.
            ({"windows": [window_around(NOON - timedelta(hours=1), minutes=300)]}, 0, NOON, NOON + timedelta(hours=4)),
            ({"windows": [window_around(NOON + timedelta(hours=8))]}, 0, NOON + timedelta(hours=8), NOON + timedelta(hours=9)),
            # A window that closes sooner takes nothing from it: the next one may open within its time.
            ({"windows": [window_around(NOON - timedelta(minutes=30))]}, 0, NOON, NOON + timedelta(hours=1)),
            # Behind a freeze the approval's hour begins anew.
            (
                {"freezes": [{"from": "2026-11-25T10:00", "until": "2026-11-27T06:00", "zone": "UTC", "why": "sale"}]},
                0,
                datetime(2026, 11, 27, 6, 0, tzinfo=UTC),
                datetime(2026, 11, 27, 7, 0, tzinfo=UTC),
            ),
        ],
    )
    def test_windows_and_freezes_only_delay(self, changes, hold, not_before, until):
        """Never earlier than without them, and never a shorter time."""
        found = terms.term_of([rules(**changes)], resolved=NOON, hold=hold, valid_for=3600)
        assert found == terms.Term(not_before, until)

    def test_two_guardrails_open_when_both_do(self):
        """Every matching guardrail must be satisfied, in time as well."""
        one = rules(windows=[window_around(NOON + timedelta(hours=1), minutes=180)])
        other = rules(windows=[window_around(NOON + timedelta(hours=3), minutes=180)])
        found = terms.term_of([one, other], resolved=NOON, hold=0, valid_for=3600)
        assert (found.not_before, found.until) == (NOON + timedelta(hours=3), NOON + timedelta(hours=4))


class TestDecided:
    @pytest.fixture
    def world(self, db, tmp_path, settings):
        return lambda **guardrail: seal(tmp_path, settings, **guardrail)

    def verified(self, cast, execution):
        return clearance.verify(execution, authority.walk(cast.genesis), decisions.relying_party(), now=timezone.now())

    def test_an_approval_before_its_window_waits_for_it_and_lasts_to_its_close(self, world):
        """The execution says from when, the request until when, and the promise is due then."""
        opens = (timezone.now() + timedelta(hours=5)).replace(second=0, microsecond=0)
        cast = world(windows=[window_around(opens)])
        execution = cast.approved()
        request = ApprovalRequest.objects.get()
        assert execution.not_before == opens
        assert request.approved_until == execution.valid_until == opens + timedelta(hours=1)
        assert OutboxMessage.objects.get(kind="execute").due_at == opens

    def test_the_executor_keeps_the_window_by_what_was_signed(self, world):
        """Rows that say another time change nothing: too early before it opens, too late after it closes."""
        opens = (timezone.now() + timedelta(hours=5)).replace(second=0, microsecond=0)
        cast = world(windows=[window_around(opens)])
        verified = self.verified(cast, cast.approved())
        with pytest.raises(NotYet, match="execution windows") as early:
            clearance.must_be_in_time(verified, now=timezone.now())
        assert early.value.until == opens
        clearance.must_be_in_time(verified, now=opens)
        clearance.must_be_in_time(verified, now=opens + timedelta(minutes=59))
        with pytest.raises(Expired):
            clearance.must_be_in_time(verified, now=opens + timedelta(hours=1, seconds=1))

    def test_a_freeze_that_was_declared_after_the_approval_delays_it(self, world):
        """The current version holds at the claim too: the message says until when, and why."""
        cast = world()
        execution = cast.approved()
        walked = authority.walk(cast.genesis)
        now = timezone.now()
        frozen = replace(
            next(iter(walked.guardrails.values()))[2],
            freezes=(rules(freezes=[_freeze(now, "the sale")]).freezes[0],),
        )
        name, (number, text_hash, _) = next(iter(walked.guardrails.items()))
        later = replace(walked, guardrails={name: (number + 1, text_hash, frozen)})
        with pytest.raises(NotYet, match="the sale"):
            clearance.clear(execution, later, decisions.relying_party(), now=now)

    def test_what_no_window_ever_opens_for_is_not_approved(self, world):
        """The last approval is refused with the reason, rather than leave something approved that could never run."""
        year = timezone.now().year
        freeze = {"from": f"{year - 1}-01-01T00:00", "until": f"{year + 3}-01-01T00:00", "zone": "UTC", "why": "wound down"}
        cast = world(freezes=[freeze])
        request = cast.pending()
        with pytest.raises(Refused, match="within a year"):
            cast.sign_review(request)
        assert ApprovalRequest.objects.get().state == "pending"
        assert not Execution.objects.exists()


def _freeze(now, why):
    day = timedelta(days=1)
    return {"from": f"{now - day:%Y-%m-%dT%H:%M}", "until": f"{now + day:%Y-%m-%dT%H:%M}", "zone": "UTC", "why": why}
