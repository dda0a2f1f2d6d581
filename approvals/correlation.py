"""The ids that tie the log lines of one request, execution or event together. Knows no framework.

Whoever starts work binds its id; config's log formatter reads them. They are never used to decide anything.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

REQUEST: ContextVar[str] = ContextVar("request_id", default="")
EXECUTION: ContextVar[str] = ContextVar("execution_id", default="")
EVENT: ContextVar[str] = ContextVar("event_id", default="")


def current() -> dict[str, str]:
    """The ids that are bound here: {"request_id", "execution_id", "event_id"} without the empty ones."""
    return {variable.name: variable.get() for variable in (REQUEST, EXECUTION, EVENT) if variable.get()}


@contextmanager
def bound(*, request_id: str = "", execution_id: str = "", event_id: str = "") -> Iterator[None]:
    """Bind the given ids for the lines logged inside; ids that are not given stay as they are."""
    wanted = ((REQUEST, request_id), (EXECUTION, execution_id), (EVENT, event_id))
    tokens = [(variable, variable.set(value)) for variable, value in wanted if value]
    try:
        yield
    finally:
        for variable, token in reversed(tokens):
            variable.reset(token)
