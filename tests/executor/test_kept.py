"""What is kept for its next user: one for each key, until it is due, and no more than so many."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from executor.kept import Kept


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def closed() -> list[str]:
    return []


@pytest.fixture
def kept(clock: Clock, closed: list[str]) -> Kept[str]:
    return Kept(closed.append, most=2, clock=clock)


def test_it_is_made_once_until_it_is_due(kept: Kept[str], clock: Clock, closed: list[str]) -> None:
    """The same key gives the same thing until its time is over; then a new one, and the former is closed."""
    assert kept.get("a", lambda: ("first", clock.now + 10)) == "first"
    assert kept.get("a", lambda: ("second", clock.now + 10)) == "first"
    clock.now += 10
    assert kept.get("a", lambda: ("third", clock.now + 10)) == "third"
    assert closed == ["first"]


def test_there_are_never_more_than_so_many(kept: Kept[str], clock: Clock, closed: list[str]) -> None:
    """The one that nobody used for the longest time goes first."""
    for name in ("a", "b", "a", "c"):
        clock.now += 1
        kept.get(name, partial(tuple[str, float], (name, clock.now + 100)))
    assert (len(kept), closed) == (2, ["b"])


def test_what_ran_out_is_closed_when_another_is_made(kept: Kept[str], clock: Clock, closed: list[str]) -> None:
    """Nothing stays open because nobody asks for it any more."""
    kept.get("a", lambda: ("a", clock.now + 1))
    clock.now += 2
    kept.get("b", lambda: ("b", clock.now + 1))
    assert (len(kept), closed) == (1, ["a"])


def test_a_failure_is_not_kept(kept: Kept[str], clock: Clock) -> None:
    """Whoever comes after a failure tries anew."""

    def broken() -> tuple[str, float]:
        raise LookupError

    with pytest.raises(LookupError):
        kept.get("a", broken)
    assert kept.get("a", lambda: ("a", clock.now + 1)) == "a"


def test_what_is_of_no_use_is_dropped_and_all_can_be(kept: Kept[str], clock: Clock, closed: list[str]) -> None:
    """A thing that turned out to be useless goes at once, and closing is done once for each."""
    kept.get("a", lambda: ("a", clock.now + 100))
    kept.get("b", lambda: ("b", clock.now + 100))
    kept.drop("a")
    kept.drop("a")
    kept.clear()
    assert (len(kept), closed) == (0, ["a", "b"])


def test_threads_make_one_thing_between_them(kept: Kept[str], clock: Clock) -> None:
    """Sixteen threads ask at once: it is made once, and those that ask for another key do not wait for it."""
    made, gate, found = [], threading.Event(), []

    def slow() -> tuple[str, float]:
        made.append(1)
        assert gate.wait(10)
        return "a", clock.now + 100

    threads = [threading.Thread(target=lambda: found.append(kept.get("a", slow))) for _ in range(16)]
    for thread in threads:
        thread.start()
    assert kept.get("b", lambda: ("b", clock.now + 100)) == "b"
    gate.set()
    for thread in threads:
        thread.join(10)
    assert (found, made) == (["a"] * 16, [1])
