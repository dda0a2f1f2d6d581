"""The named points of an execution at which a test kills or freezes the worker that gets there.

`settings.STOP_AT` names one, as `kill:sent` (SIGKILL) or `freeze:sent` (SIGSTOP). The environment refuses it outside the demo,
so that nothing of this exists where it matters.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum
from typing import Final

from django.conf import settings


class Point(StrEnum):
    """Where a worker may be lost, in the order in which it gets there."""

    JUDGED = "judged"  # everything verified, the claim not committed
    CLAIMED = "claimed"  # the claim committed, no session yet
    ASSUMED = "assumed"  # a session in hand, nothing said about a call
    OUTSIDE = "outside"  # the claim outside the database written, nothing said about it inside
    SENT = "sent"  # `sent` committed, the call not made
    CALLED = "called"  # the call made, its answer in memory alone
    ANSWERED = "answered"  # the answer committed, the target still changing
    SETTLED = "settled"  # the target settled, the end not committed
    FINISHED = "finished"  # the end committed, the promise not marked as kept


_SIGNALS: Final = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}


def reached(point: Point) -> None:
    """Say that the worker got here; outside a test nothing follows."""
    how, _, where = getattr(settings, "STOP_AT", "").partition(":")
    if where == point and how in _SIGNALS:
        os.kill(os.getpid(), _SIGNALS[how])
