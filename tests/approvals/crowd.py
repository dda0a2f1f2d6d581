"""Fifty threads with a connection each, kept for many rounds: what they are given they begin at the same moment."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from django.db import connection

from approvals.errors import CountersignError

Call = Callable[[], Any]


class Came(NamedTuple):
    """What one call came to: `done`, the name of its refusal, or the error that nobody foresaw; and what it returned."""

    what: str
    value: Any = None


class Crowd:
    """A context of so many threads; `at_once` gives each a call and waits for all."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._given: list[queue.SimpleQueue[tuple[threading.Barrier, Call] | None]] = [queue.SimpleQueue() for _ in range(size)]
        self._back: queue.SimpleQueue[tuple[int, Came]] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(size)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for given in self._given:
            given.put(None)
        for thread in self._threads:
            thread.join(timeout=60)

    def at_once(self, calls: Sequence[Call]) -> list[Came]:
        """What each call came to, in their order."""
        assert len(calls) <= self.size
        barrier = threading.Barrier(len(calls))
        for given, call in zip(self._given, calls, strict=False):
            given.put((barrier, call))
        came = dict(self._back.get(timeout=120) for _ in calls)
        return [came[number] for number in range(len(calls))]

    def _run(self, number: int) -> None:
        try:
            while (given := self._given[number].get()) is not None:
                barrier, call = given
                barrier.wait()
                self._back.put((number, _came_to(call)))
        finally:
            connection.close()


def _came_to(call: Call) -> Came:
    try:
        return Came("done", call())
    except CountersignError as refusal:
        return Came(type(refusal).__name__)
    except Exception as error:  # noqa: BLE001 - anything else must fail the test, not vanish with its thread
        return Came(f"{type(error).__name__}: {error}")
