"""When an approved plan may be carried out: inside every guardrail's windows, outside of every freeze. They only delay.

A moment is inside a window when the clock on the wall of the window's zone shows a time in it. So where clocks are set back, a
time that is shown twice counts twice; where they are set forward, a time that is never shown is none. A freeze goes from the
first moment at which the clock shows its beginning or a later time to the last at which it shows its end: in doubt the longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from approvals.policies.rules import DAYS, Freeze, Rules, Window

# How far ahead an opening is looked for.
HORIZON: Final = timedelta(days=366)
_STEP: Final = timedelta(hours=6)
_DAY: Final = timedelta(days=1)
_MOMENT: Final = timedelta(seconds=1)


class Opening(NamedTuple):
    """When execution is allowed next, and when that ends: at the close of a window, at a freeze, or (None) not within a year."""

    opens: datetime
    closes: datetime | None


class _Span(NamedTuple):
    begins: datetime
    ends: datetime


def opening(guardrails: Iterable[Rules], at: datetime) -> Opening | None:
    """The first time at or after `at` at which every one of the guardrails lets a plan be carried out, in UTC.

    None when there is none within a year. `at` has a time zone.
    """
    at = at.astimezone(UTC)
    until = at + HORIZON
    limits = [rules for rules in guardrails if rules.windows or rules.freezes]
    begins, closes = at, until
    while begins < until:
        found = [next(_open_spans(rules, begins, until), None) for rules in limits]
        spans = [span for span in found if span is not None]
        if len(spans) < len(limits):
            return None
        begins = max([begins, *(span.begins for span in spans)])
        closes = min([until, *(span.ends for span in spans)])
        if begins < closes:
            return Opening(begins, closes if closes < until else None)
    return None


def good_until(guardrails: Iterable[Rules], resolved: datetime, *, seconds: int, hold: int = 0) -> datetime:
    """Until when an approval that was resolved then is good, in UTC.

    `seconds` from the end of its hold, extended to the close of the execution window that comes next; behind a freeze the seconds
    begin when it ends. Where nothing opens within a year, the seconds alone.
    """
    rules = list(guardrails)
    ready = resolved.astimezone(UTC) + timedelta(seconds=hold)
    usual = ready + timedelta(seconds=seconds)
    found = opening(rules, ready)
    if found is None:
        return usual
    if any(one.windows for one in rules):
        return max(usual, found.closes or usual)
    return max(usual, found.opens + timedelta(seconds=seconds))


def why_closed(guardrails: Iterable[Rules], at: datetime) -> str:
    """Why nothing is carried out at this moment, in a sentence's words; empty when it may be."""
    at = at.astimezone(UTC)
    for rules in guardrails:
        for freeze in rules.freezes:
            span = _frozen(freeze)
            if span.begins <= at < span.ends:
                return f"guardrail {rules.name} is frozen until {freeze.ends} ({freeze.zone}): {freeze.why}"
    for rules in guardrails:
        if rules.windows and next(_open_spans(rules, at, at + _MOMENT), None) is None:
            return f"guardrail {rules.name} lets plans be carried out in its execution windows only"
    return ""


def _open_spans(rules: Rules, begins: datetime, until: datetime) -> Iterator[_Span]:
    """The spans in which one guardrail is open, in order, clipped to begin no earlier; those that touch are one."""
    spans: Iterable[_Span] = _merged(rules.windows, begins, until) if rules.windows else (_Span(begins, until),)
    frozen = sorted(_frozen(freeze) for freeze in rules.freezes)
    for span in spans:
        yield from _without(span, frozen)


def _without(span: _Span, frozen: Sequence[_Span]) -> Iterator[_Span]:
    begins = span.begins
    for freeze in frozen:
        if freeze.ends <= begins or freeze.begins >= span.ends:
            continue
        if begins < freeze.begins:
            yield _Span(begins, freeze.begins)
        begins = max(begins, freeze.ends)
    if begins < span.ends:
        yield _Span(begins, span.ends)


def _merged(windows: Sequence[Window], begins: datetime, until: datetime) -> Iterator[_Span]:
    """The windows' spans between two moments, in order; those that touch or overlap are one."""
    current: _Span | None = None
    for whole in _spans(windows, begins, until):
        span = _Span(max(whole.begins, begins), min(whole.ends, until))
        if span.begins >= span.ends:
            continue
        if current is None:
            current = span
        elif span.begins <= current.ends:
            current = _Span(current.begins, max(current.ends, span.ends))
        else:
            yield current
            current = span
    if current is not None:
        yield current


def _spans(windows: Sequence[Window], begins: datetime, until: datetime) -> Iterator[_Span]:
    """The windows' spans ordered by their beginnings, from those that may hold `begins` on."""
    day = begins.date() - 3 * _DAY
    waiting: list[_Span] = []
    while day <= until.date() + 2 * _DAY:
        waiting += [span for window in windows for span in _on(window, day)]
        # No zone is further than a day from UTC, so nothing that a later day brings begins before this.
        settled = datetime(day.year, day.month, day.day, tzinfo=UTC) - _DAY
        waiting.sort()
        yield from (span for span in waiting if span.begins < settled)
        waiting = [span for span in waiting if span.begins >= settled]
        day += _DAY
    yield from waiting


@lru_cache(maxsize=8192)
def _on(window: Window, day: date) -> tuple[_Span, ...]:
    """The spans of real time in which the wall shows the window that begins on this local day; usually one."""
    if DAYS[day.weekday()] not in window.days:
        return ()
    begins, ends = _minutes(window.begins), _minutes(window.ends)
    if ends <= begins:
        ends += 24 * 60
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - what the wall shows
    local = midnight + timedelta(minutes=begins), midnight + timedelta(minutes=ends)
    found = []
    for piece, offset in _pieces(ZoneInfo(window.zone), midnight.replace(tzinfo=UTC)):
        span = _Span(
            max(piece.begins, (local[0] - offset).replace(tzinfo=UTC)), min(piece.ends, (local[1] - offset).replace(tzinfo=UTC))
        )
        if span.begins < span.ends:
            found.append(span)
    return tuple(found)


def _minutes(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def _pieces(zone: ZoneInfo, around: datetime) -> Iterator[tuple[_Span, timedelta]]:
    """The time from a day before to three days after, in pieces of one offset from UTC."""
    begins, last = around - _DAY, around + 3 * _DAY
    at, offset = begins, _offset(zone, begins)
    while at < last:
        ahead = min(at + _STEP, last)
        if _offset(zone, ahead) == offset:
            at = ahead
            continue
        change = _change(zone, at, ahead)
        yield _Span(begins, change), offset
        begins = at = change
        offset = _offset(zone, change)
    yield _Span(begins, last), offset


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first second at which the offset is no longer what it was before."""
    offset = _offset(zone, before)
    while after - before > _MOMENT:
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        before, after = (middle, after) if _offset(zone, middle) == offset else (before, middle)
    return after


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    found = at.astimezone(zone).utcoffset()
    return found if found is not None else timedelta()


@lru_cache(maxsize=1024)
def _frozen(freeze: Freeze) -> _Span:
    zone = ZoneInfo(freeze.zone)
    return _Span(_shown(zone, freeze.begins)[0], _shown(zone, freeze.ends)[1])


def _shown(zone: ZoneInfo, text: str) -> tuple[datetime, datetime]:
    """The first and the last moment at which the wall goes to this time or over it."""
    local = datetime.fromisoformat(text)
    first, last = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first > last:  # a time that is never shown: the clock jumps over it
        change = _change(zone, last - _MOMENT, first + _MOMENT)
        return change, change
    return first, last
