"""The numbered points of an execution at which a test kills or freezes the worker that gets there.

`settings.STOP_AT` names one, as `kill:sent` (SIGKILL) or `freeze:sent` (SIGSTOP), and with `kill:sent:2` the second time that a
worker gets there. The environment refuses it outside the demo, so that nothing of this exists where it matters.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from enum import StrEnum
from typing import Final

from django.conf import settings


class Point(StrEnum):
    """Where a worker may be lost, in the order in which it gets there. The numbers are those of docs/decisions/0012."""

    TAKEN = "taken"  # 1: the promise in hand, nothing looked at
    JUDGED = "judged"  # 2: everything verified, the claim not committed
    CLAIMED = "claimed"  # 3: the claim committed
    PREPARED = "prepared"  # 4: every step that is left could be made
    STEP = "step"  # 5: at the beginning of a step
    ASSUMED = "assumed"  # 6: a session in hand
    IDENTIFIED = "identified"  # 7: AWS said that the session is the one that was signed
    OPENED = "opened"  # 8: what is sealed is open, nothing said about a call
    CLAIMING = "claiming"  # 9: about to claim the attempt outside the database
    CLAIMED_OUTSIDE = "claimed-outside"  # 10: claimed there, `sent` not committed
    REHEARSAL_SENT = "rehearsal-sent"  # 11: a rehearsal's `sent` committed, it was not made
    REHEARSAL_CALLED = "rehearsal-called"  # 12: a rehearsal made, its answer in memory alone
    REHEARSED = "rehearsed"  # 13: a rehearsal's answer committed
    SENT = "sent"  # 14: `sent` committed, the call not made
    FENCED = "fenced"  # 15: the last look at the claim passed, the call not made
    CALLED = "called"  # 16: the call made, its answer in memory alone
    PUT_OFF = "put-off"  # 17: refused for now and committed so, the promise not put off
    ANSWERED = "answered"  # 18: a yes committed, the target still changing
    LOOKING = "looking"  # 19: about to look at the target
    SEEN = "seen"  # 20: the target seen settled, twice, and nothing said of it
    SETTLED = "settled"  # 21: the step settled, the next not begun or the end not committed
    FINISHED = "finished"  # 22: the end committed, the promise not marked as kept


_SIGNALS: Final = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}
_times: Final[Counter[str]] = Counter()


def reached(point: Point) -> None:
    """Say that the worker got here; outside a test nothing follows."""
    how, _, rest = getattr(settings, "STOP_AT", "").partition(":")
    where, _, time = rest.partition(":")
    if where == point and how in _SIGNALS:
        _times[point] += 1
        if _times[point] == int(time or 1):
            os.kill(os.getpid(), _SIGNALS[how])
