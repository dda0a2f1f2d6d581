"""The kill switch, as the executor asks it: at each claim, by signatures that verify under the walked authority."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from approvals import authority, statements
from approvals.alerts import raise_once
from approvals.audit import Trail
from approvals.authority import Authority
from approvals.demands import KeyWasGoing
from approvals.errors import NotYet
from approvals.models import AlertKind
from executor.endings import ACTOR

# Resuming makes what waits due at once; this is for whoever missed that.
LOOK_AGAIN: Final = timedelta(minutes=1)


def must_not_be_paused(trail: Trail, known: Authority, now: datetime) -> frozenset[UUID]:
    """Raise NotYet while a pause holds; else return those that were resumed. What does not verify pauses, and is an alert."""
    found = statements.pauses(known, authority.relying_party())
    for why in found.forged:
        # Whoever pauses with a passkey that is about to go stops everything all the same, and the pause itself is told.
        if not isinstance(why, KeyWasGoing):
            _tell(
                trail, "pause", f"{why} A pause of such rows holds until two administrators resume it. Find out who wrote them."
            )
    for resuming, why in found.spoiled:
        statements.take_back(trail, resuming, str(why), ACTOR, now)
        if isinstance(why, KeyWasGoing):
            raise_once(
                trail,
                AlertKind.PAUSED,
                title="Executions are paused again",
                detail=f"{why} The resuming by it is taken back: two administrators sign another one.",
                actor=ACTOR,
            )
        else:
            _tell(trail, "resuming", f"{why} It resumes nothing and was taken back. Find out who wrote its rows.")
    if found.holding:
        raise NotYet(f"{statements.PAUSED}: {statements.words_of(found.holding[0])}", until=now + LOOK_AGAIN)
    return found.resumed


def _tell(trail: Trail, what: str, detail: str) -> None:
    title = f"A {what} of executions does not verify"
    raise_once(trail, AlertKind.FORGERY, title=title, detail=detail, actor=ACTOR)
