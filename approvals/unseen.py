"""Texts that must not be logged while a piece of work holds them. config's log formatter asks. Knows no framework."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_TEXTS: ContextVar[tuple[str, ...]] = ContextVar("unseen", default=())


def texts() -> tuple[str, ...]:
    """What no line that is logged here may hold, longest first."""
    return _TEXTS.get()


@contextmanager
def unseen(held: Sequence[str]) -> Iterator[None]:
    """No line that is logged inside shows any of these, whoever logs it."""
    token = _TEXTS.set(tuple(sorted({*held, *_TEXTS.get()}, key=len, reverse=True)))
    try:
        yield
    finally:
        _TEXTS.reset(token)
