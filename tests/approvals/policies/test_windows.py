"""When a plan may be carried out: windows, freezes, and the days on which clocks change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approvals.policies import Freeze, Mode, Rules, Window, windows

RULES = Rules("tables", "", Mode.ENFORCE, ("*",), ("*",), ("*",), ("*",), 1)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
BERLIN = "Europe/Berlin"
# Half hours, quarters, midnight changes, southern summers, thirty minutes of summer time, a zone that skipped a day, no change.
ZONES = (
    BERLIN,
    "America/New_York",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "America/Havana",
    "UTC",
)


def at(text, zone="UTC", fold=0):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def window(begins, ends, *days, zone=BERLIN):
    return Window(days or DAYS, begins, ends, zone)


def opening(moment, *open_in, freezes=()):
    return windows.opening([replace(RULES, windows=open_in, freezes=freezes)], moment)


@pytest.mark.parametrize(
    ("moment", "one", "opens", "closes"),
    [
        # Inside: at once, until it closes.
        ("2026-11-23T22:30", window("22:00", "06:00"), "2026-11-23T22:30", "2026-11-24T06:00"),
        # Before: when it opens.
        ("2026-11-23T12:00", window("22:00", "06:00"), "2026-11-23T22:00", "2026-11-24T06:00"),
        # The close is outside.
        ("2026-11-24T06:00", window("22:00", "06:00", "mon"), "2026-11-30T22:00", "2026-12-01T06:00"),
        # A window belongs to the day on which it begins.
        ("2026-11-24T01:00", window("22:00", "06:00", "mon"), "2026-11-24T01:00", "2026-11-24T06:00"),
        ("2026-11-24T01:00", window("22:00", "06:00", "tue"), "2026-11-24T22:00", "2026-11-25T06:00"),
        # The same time is a whole day.
        ("2026-11-24T01:00", window("09:00", "09:00", "tue"), "2026-11-24T09:00", "2026-11-25T09:00"),
        ("2026-11-24T01:00", window("09:00", "24:00", "tue"), "2026-11-24T09:00", "2026-11-25T00:00"),
        # Clocks are set forward from 02:00 to 03:00: the wall never shows 02:30.
        ("2026-03-29T00:00", window("02:30", "04:00"), "2026-03-29T03:00", "2026-03-29T04:00"),
        ("2026-03-29T00:00", window("02:10", "02:50"), "2026-03-30T02:10", "2026-03-30T02:50"),
        ("2026-03-29T00:00", window("01:00", "02:30"), "2026-03-29T01:00", "2026-03-29T03:00"),
    ],
)
def test_a_window_opens_and_closes_by_the_clock_of_its_zone(moment, one, opens, closes):
    """Local days and times decide, whatever UTC says."""
    assert opening(at(moment, BERLIN), one) == (at(opens, BERLIN), at(closes, BERLIN))


def test_a_time_that_is_shown_twice_counts_twice():
    """Clocks are set back from 03:00 to 02:00: a window to 02:30 is open, closed, and open again for half an hour."""
    one = window("01:30", "02:30")
    first = opening(at("2026-10-25T01:00", BERLIN), one)
    assert first == (at("2026-10-25T01:30", BERLIN), at("2026-10-25T02:30", BERLIN))
    again = (at("2026-10-25T02:00", BERLIN, fold=1), at("2026-10-25T02:30", BERLIN, fold=1))
    assert opening(first.closes, one) == again


def test_windows_that_touch_are_one():
    """Whoever writes an evening and a morning means a night."""
    found = opening(at("2026-11-23T12:00", BERLIN), window("22:00", "24:00"), window("00:00", "06:00"))
    assert found == (at("2026-11-23T22:00", BERLIN), at("2026-11-24T06:00", BERLIN))


def test_every_guardrail_must_be_open():
    """Windows of several guardrails are cut with one another; where they never meet there is no opening."""
    night = replace(RULES, windows=(window("22:00", "06:00"),))
    late = replace(RULES, windows=(window("05:00", "08:00", "wed"),))
    noon = replace(RULES, windows=(window("12:00", "13:00"),))
    moment = at("2026-11-23T12:30", BERLIN)
    assert windows.opening([night, late], moment) == (at("2026-11-25T05:00", BERLIN), at("2026-11-25T06:00", BERLIN))
    assert windows.opening([night, noon], moment) is None


def test_without_windows_and_freezes_it_is_open_for_ever():
    """Guardrails that say nothing of time delay nothing."""
    moment = at("2026-11-23T12:30")
    assert windows.opening([RULES], moment) == (moment, None)
    assert windows.why_closed([RULES], moment) == ""


@pytest.mark.parametrize(
    ("begins", "ends", "first", "last"),
    [
        ("2026-12-20T00:00", "2027-01-04T06:00", at("2026-12-20T00:00", BERLIN), at("2027-01-04T06:00", BERLIN)),
        # Never shown: from the jump on. Shown twice: until the second.
        ("2026-03-29T02:30", "2026-10-25T02:30", at("2026-03-29T01:00"), at("2026-10-25T01:30")),
        # Shown twice: from the first on.
        ("2026-10-25T02:30", "2026-10-26T00:00", at("2026-10-25T00:30"), at("2026-10-26T00:00", BERLIN)),
    ],
)
def test_a_freeze_is_the_longer_in_doubt(begins, ends, first, last):
    """It closes what is open, and the time behind it is the next opening."""
    freeze = Freeze(begins, ends, BERLIN, "no changes")
    second = timedelta(seconds=1)
    assert opening(first - second, freezes=(freeze,)) == (first - second, first)
    assert opening(first, freezes=(freeze,)).opens == last
    assert opening(last - second, freezes=(freeze,)).opens == last
    assert "no changes" in windows.why_closed([replace(RULES, freezes=(freeze,))], first)
    assert windows.why_closed([replace(RULES, freezes=(freeze,))], last) == ""


def test_a_freeze_of_more_than_a_year_has_no_opening():
    """None, not a date that nobody will see."""
    freeze = Freeze("2026-01-01T00:00", "2028-01-01T00:00", "UTC", "retired")
    assert opening(at("2026-06-01T00:00"), freezes=(freeze,)) is None


@pytest.mark.parametrize(
    ("open_in", "freezes", "until"),
    [
        ((), (), "2026-11-23T13:00"),
        ((window("22:00", "06:00"),), (), "2026-11-24T06:00"),
        ((window("11:00", "12:30"),), (), "2026-11-23T13:00"),
        ((window("11:00", "16:00"),), (), "2026-11-23T16:00"),
        ((), (Freeze("2026-11-20T00:00", "2026-11-30T00:00", BERLIN, "x"),), "2026-11-30T01:00"),
        ((window("22:00", "06:00"),), (Freeze("2026-11-20T00:00", "2026-11-30T00:00", BERLIN, "x"),), "2026-11-30T06:00"),
    ],
)
def test_an_approval_is_good_until_the_window_closes(open_in, freezes, until):
    """Its seconds, extended to the close of the window that comes next; a freeze takes nothing of them away."""
    rules = replace(RULES, windows=open_in, freezes=freezes)
    assert windows.good_until([rules], at("2026-11-23T12:00", BERLIN), seconds=3600) == at(until, BERLIN)


def test_the_seconds_begin_behind_the_hold():
    """A hold does not eat the approval that it delays."""
    resolved = at("2026-11-23T12:00")
    assert windows.good_until([RULES], resolved, seconds=3600, hold=600) == resolved + timedelta(seconds=4200)


def inside(rules, moment):
    """By the definition alone: what the wall shows at this moment lies in a window, and no freeze holds it."""
    for one in rules.windows:
        wall = moment.astimezone(ZoneInfo(one.zone)).replace(tzinfo=None)
        for back in (0, 1):
            day = wall.date() - timedelta(days=back)
            midnight = datetime.combine(day, datetime.min.time())
            hours = [timedelta(hours=int(text[:2]), minutes=int(text[3:])) for text in (one.begins, one.ends)]
            end = hours[1] if hours[1] > hours[0] else hours[1] + timedelta(days=1)
            if DAYS[day.weekday()] in one.days and midnight + hours[0] <= wall < midnight + end:
                return True
    return not rules.windows


times = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
any_windows = st.builds(
    lambda days, begins, ends, zone: Window(tuple(day for day in DAYS if day in days), begins, ends, zone),
    st.sets(st.sampled_from(DAYS), min_size=1),
    times,
    times | st.just("24:00"),
    st.sampled_from(ZONES),
)
# Days on which clocks change somewhere, and any other.
moments = st.builds(
    lambda day, minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day, minutes=15 * minutes),
    st.sampled_from([66, 87, 88, 94, 95, 276, 297, 298, 303, 304, 362]) | st.integers(0, 3650),
    st.integers(0, 95),
)
QUARTER = timedelta(minutes=15)


@settings(max_examples=300, deadline=None)
@given(st.lists(any_windows, min_size=1, max_size=3), st.lists(any_windows, max_size=2), moments)
def test_an_opening_is_the_first_quarter_inside_and_lasts_while_it_is(ours, theirs, moment):
    """Against the definition, quarter by quarter, over every kind of change of the clocks: none before, all within, not after."""
    guardrails = [replace(RULES, windows=tuple(ours)), replace(RULES, windows=tuple(theirs))]
    found = windows.opening(guardrails, moment)
    limit = found.opens if found else moment + timedelta(days=8)
    tried = moment
    while tried < min(limit, moment + timedelta(days=16)):
        assert not all(inside(rules, tried) for rules in guardrails)
        tried += QUARTER
    if found is None:
        return
    tried = found.opens
    while tried < min(found.closes or tried + timedelta(days=9), found.opens + timedelta(days=9)):
        assert all(inside(rules, tried) for rules in guardrails)
        tried += QUARTER
    if found.closes is not None:
        assert not all(inside(rules, found.closes) for rules in guardrails)
