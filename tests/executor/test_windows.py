"""An execution window at the claim: kept by the signed rules, whatever the rows say; begun when it opens, in any zone."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from approvals import authority, clearance
from approvals.errors import NotYet
from approvals.models import ApprovalRequest, Attempt, OutboxKind, OutboxMessage
from executor import claim
from executor.claim import Later
from tests.cast import Cast, seal
from tests.executor.broker import beat, broker, until, worker
from tests.executor.stage import Stage, fresh

ALL_DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def window(hours: int) -> dict[str, Any]:
    """An hour of every day that begins in so many hours, or began so long ago."""
    begins = timezone.now() + timedelta(hours=hours)
    return {"days": ALL_DAYS, "from": f"{begins:%H:%M}", "to": f"{begins + timedelta(hours=1):%H:%M}", "zone": "UTC"}


def minute(begins: datetime, zone: str = "UTC", minutes: int = 60) -> dict[str, Any]:
    """The window that begins at this moment, as a wall of the zone shows it."""
    shown = begins.astimezone(ZoneInfo(zone))
    return {"days": ALL_DAYS, "from": f"{shown:%H:%M}", "to": f"{shown + timedelta(minutes=minutes):%H:%M}", "zone": zone}


@pytest.fixture
def hours() -> int:
    return 5


@pytest.fixture
def opens(hours: int) -> dict[str, Any]:
    return window(hours)


@pytest.fixture
def cast(cloned_database: str, tmp_path: Path, settings: Any, opens: dict[str, Any]) -> Cast:
    return seal(tmp_path, settings, windows=[opens])


def test_nothing_is_carried_out_before_the_window_opens(stage: Stage) -> None:
    """Rows that were moved forward change nothing: it stays ready, says why, and is looked at again within ten minutes."""
    execution = stage.cast.approved()
    stage.forge(
        ("UPDATE approvals_execution SET not_before = created_at", ()),
        ("UPDATE approvals_outboxmessage SET due_at = created_at WHERE kind = 'execute'", ()),
    )
    stage.execute()
    message = OutboxMessage.objects.get(kind=OutboxKind.EXECUTE)
    assert (fresh(execution).state, ApprovalRequest.objects.get().state, stage.calls()) == ("ready", "approved", [])
    assert "execution windows" in message.error
    assert message.done_at is None
    assert timezone.now() < message.due_at <= timezone.now() + timedelta(minutes=10)


@pytest.mark.parametrize("hours", [0])
def test_inside_the_window_it_is_carried_out(stage: Stage) -> None:
    """The same guardrail with a window that is open now."""
    execution = stage.cast.approved()
    stage.execute()
    assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1)


def next_minute(least: float = 0.0) -> datetime:
    """The first full minute that is at least so many seconds away."""
    return (timezone.now() + timedelta(seconds=60 + least)).replace(second=0, microsecond=0)


# Clocks go forward in Berlin on 2026-03-29 at 2 (there is no half past two), back on 2026-10-25 at 3 (half past two comes twice);
# on Lord Howe by half an hour, back on 2026-04-05 at 2.
CHANGES = [
    ("Europe/Berlin", "02:30", "05:00", "2026-03-28T23:00", "2026-03-29T01:00"),
    ("Europe/Berlin", "02:30", "02:45", "2026-10-24T22:00", "2026-10-25T00:30"),
    ("Europe/Berlin", "02:30", "02:45", "2026-10-25T00:45", "2026-10-25T01:30"),
    ("Europe/Berlin", "06:00", "07:00", "2026-03-28T12:00", "2026-03-29T04:00"),
    ("Europe/Berlin", "06:00", "07:00", "2026-10-24T12:00", "2026-10-25T05:00"),
    ("Australia/Lord_Howe", "01:45", "01:55", "2026-04-04T14:00", "2026-04-04T14:45"),
    ("America/New_York", "23:30", "00:30", "2026-11-01T12:00", "2026-11-02T04:30"),
]


@pytest.mark.parametrize(("zone", "begins", "ends", "at", "opening"), CHANGES)
def test_where_clocks_change_it_opens_when_the_wall_says_so(
    db: None, tmp_path: Path, settings: Any, zone: str, begins: str, ends: str, at: str, opening: str
) -> None:
    """By the signed rules: not before, with the opening told to the second, and from that second on."""
    cast = seal(tmp_path, settings, windows=[{"days": ALL_DAYS, "from": begins, "to": ends, "zone": zone}])
    walked = authority.walk(cast.genesis)
    rules = next(iter(walked.guardrails.values()))[2]
    now, expected = (datetime.fromisoformat(one).replace(tzinfo=UTC) for one in (at, opening))
    signed: Any = SimpleNamespace(
        resolved=now - timedelta(minutes=1),
        hold=0,
        broken_by=None,
        rules=(rules,),
        plan=SimpleNamespace(valid_for=86_400),
        approved_by=frozenset({"bob"}),
        confirmed_by=None,
        moments={"bob": now - timedelta(minutes=1)},
    )
    with pytest.raises(NotYet) as early:
        clearance.must_be_in_time(signed, now=now)
    assert early.value.until == expected
    with pytest.raises(NotYet):
        clearance.must_be_in_time(signed, now=expected - timedelta(seconds=1))
    clearance.must_be_in_time(signed, now=expected)


class TestOpening:
    @pytest.fixture
    def opening(self) -> datetime:
        return next_minute(15)

    @pytest.fixture
    def zone(self) -> str:
        return "Asia/Kathmandu"

    @pytest.fixture
    def opens(self, opening: datetime, zone: str) -> dict[str, Any]:
        return minute(opening, zone)

    @pytest.mark.parametrize("zone", ["UTC", "America/St_Johns", "Pacific/Chatham"])
    def test_the_promise_is_due_again_when_it_opens(self, stage: Stage, opening: datetime) -> None:
        """Whoever looks too early is told the opening to the second, in zones that differ by quarters of an hour too."""
        execution = stage.cast.approved()
        assert execution.not_before == OutboxMessage.objects.get(kind=OutboxKind.EXECUTE).due_at == opening
        stage.forge(("UPDATE approvals_execution SET not_before = created_at", ()))
        with stage.acting("execution"):
            later = claim.take(execution.pk)
        assert isinstance(later, Later)
        assert later.until == opening

    @pytest.mark.slow
    def test_a_worker_begins_when_the_window_opens(self, stage: Stage, tmp_path: Path, opening: datetime) -> None:
        """A real worker and a real clock: not before the opening, and within a second or two of it."""
        execution = stage.cast.approved()
        # Who moved the rows forward made the worker look before, all the time.
        stage.forge(
            ("UPDATE approvals_execution SET not_before = created_at", ()),
            ("UPDATE approvals_outboxmessage SET due_at = created_at WHERE kind = 'execute'", ()),
        )
        with broker() as valkey, worker(stage, valkey, tmp_path) as process, beat(stage, valkey, tmp_path):
            while timezone.now() < opening:
                assert stage.calls() == []
                time.sleep(0.2)
            until("the call is made", lambda: Attempt.objects.filter(execution=execution).exists(), process, seconds=15)
        sent_at = Attempt.objects.get().sent_at
        assert opening <= sent_at <= opening + timedelta(seconds=4)
