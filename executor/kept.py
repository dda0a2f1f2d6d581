"""Things that are dear to make and good for a while: kept until they are due, no more than so many, closed when they go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Place(Generic[T]):
    """Where one thing stands. Whoever holds its lock makes it; the others wait for that one, and not for other places."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    made: T | None = None
    until: float = 0.0
    used: float = 0.0


class Kept(Generic[T]):
    """A thing for each key, made when it is asked for. Safe to use from many threads; a failure to make one is not kept.

    `most` bounds how many are kept: the one that was not used for the longest time goes first.
    """

    def __init__(self, close: Callable[[T], None], *, most: int, clock: Callable[[], float] = time.time) -> None:
        self._close, self._most, self._clock = close, most, clock
        self._places: dict[Hashable, _Place[T]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: Hashable, make: Callable[[], tuple[T, float]]) -> T:
        """The thing kept for `key`, or a new one: `make` returns it and the time (of the clock) until which it is good."""
        with self._lock:
            place = self._places.setdefault(key, _Place())
            place.used = self._clock()
        with place.lock:
            if place.made is not None and self._clock() < place.until:
                return place.made
            former, place.made = place.made, None
            if former is not None:
                self._close(former)
            try:
                place.made, place.until = make()
            finally:
                self._tidy(keep=key)
            return place.made

    def drop(self, thing: T) -> None:
        """Keep this one no longer: it turned out to be of no use before its time."""
        with self._lock:
            gone = [key for key, place in self._places.items() if place.made is thing]
            for key in gone:
                del self._places[key]
        if gone:
            self._close(thing)

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            places, self._places = list(self._places.values()), {}
        for place in places:
            if place.made is not None:
                self._close(place.made)

    def _tidy(self, *, keep: Hashable) -> None:
        """Let go what is past its time, what was never made, and what is too many."""
        now = self._clock()
        with self._lock:
            # A place whose lock is held is being filled by somebody.
            idle = {key: place for key, place in self._places.items() if key != keep and not place.lock.locked()}
            gone = [key for key, place in idle.items() if place.until <= now]
            left = sorted((key for key in idle if key not in gone), key=lambda key: idle[key].used)
            gone += left[: max(len(self._places) - len(gone) - self._most, 0)]
            for key in gone:
                del self._places[key]
        for key in gone:
            made = idle[key].made
            if made is not None:
                self._close(made)
