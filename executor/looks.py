"""Where it was looked for what became of a call: one row a source, so that people see what is known, and how often it was."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from approvals.models import Look

SOON: Final = timedelta(seconds=20)
SELDOM: Final = timedelta(minutes=10)
LONGEST: Final = 4000
# What a look says that could not look at all there is, and how one begins that came to nothing.
LEFT_OUT: Final = "could not be read"
UNREAD: Final = f"They {LEFT_OUT}"
# What one says that has more to look at.
MORE: Final = "More are there, and are read next."


def note(execution_id: UUID, source: Look.Source, said: str) -> None:
    """Say what a look said. The first and the newest moment and the number of looks stay; of the words the newest."""
    now, said = timezone.now(), said[:LONGEST]
    mine = Look.objects.filter(execution_id=execution_id, source=source)
    if mine.update(looked_at=now, times=F("times") + 1, said=said):
        return
    try:
        with transaction.atomic():
            Look.objects.create(execution_id=execution_id, source=source, first_at=now, looked_at=now, said=said)
    except IntegrityError:
        mine.update(looked_at=now, times=F("times") + 1, said=said)


def came_after(execution_id: UUID, source: Look.Source, moment: datetime) -> bool:
    """Whether this source was looked at since, whole."""
    since = Look.objects.filter(execution_id=execution_id, source=source, looked_at__gte=moment)
    return since.exclude(said__contains=LEFT_OUT).exclude(said__contains=MORE).exists()


def is_due(execution_id: UUID, source: Look.Source, sent_at: datetime) -> bool:
    """Whether to look again: soon at first, then after a tenth of the time since the call, and seldom in the end."""
    last = Look.objects.filter(execution_id=execution_id, source=source).values_list("looked_at", flat=True).first()
    now = timezone.now()
    return last is None or last + min(max((now - sent_at) / 10, SOON), SELDOM) <= now
