"""Looking at a target: until a call has settled, and twice before what it shows counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from approvals.plan import Step
from executor import signs, target
from executor.aws import Reads
from executor.errors import AwsError, WillNotSettle


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a call to settle, in seconds: between the first two looks, between any two, and for a worker in all.

    `to_the_end` is when it is given up as unknown: a database with a last snapshot, a stack or a cluster takes hours to go.
    """

    first: float = 0.2
    longest: float = 5.0
    bound: float = 300.0
    to_the_end: float = 6 * 3600.0
    # Describe is eventually consistent: what it says counts when it says it again after this long.
    again_after: float = 0.5
    # A target that is at rest and shows nothing of the change yet is looked at again for this long: some begin it late.
    shows: float = 60.0


PATIENCE: Final = Patience()


def wait_until_settled(
    session: Reads,
    step: Step,
    patience: Patience,
    *,
    still_mine: Callable[[], None],
    answer: Mapping[str, Any] = target.NO_ANSWER,
) -> str:
    """Look until the call has settled, twice in a row; return "" then, or in words why it is not known to have settled.

    Raises WillNotSettle for a backup step whose backup will never be usable. `still_mine` is called before every look: it keeps
    the claim, and raises when it is lost.
    """
    begun = time.monotonic()
    end, shows_by = begun + patience.bound, begun + min(patience.shows, patience.bound)
    pause, seen, trouble = patience.first, False, ""
    while True:
        still_mine()
        try:
            now, trouble = target.has_settled(session, step, answer), ""
            # AWS said yes. What never shows (it waits for a window, or is spelt otherwise) has settled all the same.
            now = now and (time.monotonic() >= shows_by or not signs.shows_nothing_yet(session, step))
        except WillNotSettle as error:
            if target.makes_a_backup(step):
                raise
            return str(error)
        except AwsError as error:
            now, trouble = False, str(error)
        if now and seen:
            return ""
        seen = now
        wait = patience.again_after if now else pause
        # A slow answer must not turn what has settled into what is unknown: the second look is always taken.
        if not now and time.monotonic() + wait > end:
            return trouble or f"it has not settled within {patience.bound:.0f} seconds"
        time.sleep(wait)
        pause = min(pause * 1.6, patience.longest)


def look_twice(session: Reads, step: Step, patience: Patience, answer: Mapping[str, Any] = target.NO_ANSWER) -> str:
    """Two looks and no waiting for a change: "" when both say that it has settled, else why not. Raises AwsError."""
    if not target.has_settled(session, step, answer):
        return "the target is still changing"
    time.sleep(patience.again_after)
    return "" if target.has_settled(session, step, answer) else "the target changes again"


def look_untouched(session: Reads, step: Step, patience: Patience) -> str:
    """Two looks for a sign that the call had no effect: "" when both show it, else why not. Raises AwsError."""
    if signs.is_untouched(session, step):
        time.sleep(patience.again_after)
        if signs.is_untouched(session, step):
            return ""
    return "the target does not show that the call had no effect"


def look_effect(session: Reads, step: Step, before: Any, patience: Patience) -> str:
    """Two looks for what the call was to bring about: "" when both show it, else why not. Raises AwsError."""
    if signs.shows_effect(session, step, before):
        time.sleep(patience.again_after)
        if signs.shows_effect(session, step, before):
            return ""
    return "the target does not show what the call was to bring about"


def look_no_effect(session: Reads, step: Step, before: Any, patience: Patience) -> str:
    """Two looks for a sign that the call had no effect on the very target that was there before it. Raises AwsError."""
    if why := signs.against_no_effect(step, before, target.read_plain(session, step)):
        return why
    return look_untouched(session, step, patience)
