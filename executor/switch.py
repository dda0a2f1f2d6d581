"""The kill switch, as the executor asks it: at each claim, by signatures that verify under the walked authority."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from approvals import authority, statements
from approvals.alerts import raise_once
from approvals.audit import Trail
from approvals.authority import Authority
from approvals.errors import NotYet
from approvals.models import AlertKind
from executor.endings import ACTOR

# Resuming makes what waits due at once; this is for whoever missed that.
LOOK_AGAIN: Final = timedelta(minutes=1)


def must_not_be_paused(trail: Trail, known: Authority, now: datetime) -> frozenset[UUID]:
    """Raise NotYet while a pause holds; else return those that were resumed. What does not verify pauses, and is an alert."""
    found = statements.pauses(known, authority.relying_party())
    for what in found.forged:
        raise_once(
            trail,
            AlertKind.FORGERY,
            title="A pause or a resuming of executions does not verify",
            detail=f"{what} A pause of such rows holds, and a resuming of such rows resumes nothing. Find out who wrote them.",
            actor=ACTOR,
        )
    if found.holding:
        raise NotYet(f"{statements.PAUSED}: {statements.words_of(found.holding[0])}", until=now + LOOK_AGAIN)
    return found.resumed
