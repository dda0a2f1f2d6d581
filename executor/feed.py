"""From the queue into the judgement: receive, ingest, and only then delete. What is not deleted comes again, as a duplicate."""

from __future__ import annotations

import logging
import time

from django.conf import settings

from approvals.ingest import Message, ingest
from executor import errands
from executor.errands import Received
from executor.errors import AwsError

log = logging.getLogger(__name__)
# Seconds. A message that arrives while we wait is handed over at once; a sweep begins every second.
WAIT = 2
LONGEST = 20.0


def poll(*, wait: int = WAIT, longest: float = LONGEST) -> int:
    """Take messages until the queue is empty or `longest` seconds are over; return how many were taken in.

    Never raises: what is not taken in is not deleted, and the queue gives it again.
    """
    taken, end = 0, time.monotonic() + longest
    while True:
        try:
            messages = errands.receive(settings.QUEUE_URL, region=settings.HOME_REGION, wait=wait)
            if not messages:
                return taken
            ingest([Message(message.id, message.body) for message in messages])
            _delete(messages)
        except AwsError as error:
            log.warning("the queue could not be read or cleared; it is tried again: %s", error)
            return taken
        except Exception:
            # A database that is down, or a batch that breaks the ingest: the next poll must come all the same.
            log.exception("nothing was taken in; the messages stay on the queue")
            return taken
        taken += len(messages)
        if time.monotonic() > end:
            return taken


def _delete(messages: list[Received]) -> None:
    """They are accounted for; one that cannot be deleted comes again and is counted as a duplicate."""
    for failure in errands.delete(settings.QUEUE_URL, messages, region=settings.HOME_REGION):
        log.warning("a message that was taken in could not be deleted from the queue: %s", failure)
