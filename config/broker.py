"""What a worker takes from the broker: the name of a task of its own queue, and nothing else that somebody wrote there.

Whoever can write to the broker can forge, retarget and replay messages, and a message that nobody can read would end a worker of
Celery's. So each one is replaced, before Celery sees it, by a new one that carries its task's name, an id of ours and no
arguments: callbacks, chains, times, limits, replies and serialized objects have nothing to travel in. What names no task of the
queue that it lay on is dropped; the next sweep does the work that it may have stood for.
"""

from __future__ import annotations

import json
import logging
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from kombu.transport import redis

log = logging.getLogger(__name__)
# The body of a task without arguments, as Celery's second protocol has it.
_BODY: Final = b64encode(
    json.dumps([[], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]).encode()
).decode()
# Characters of an expiry in ISO 8601; what is longer is none.
_LONGEST_TIME: Final = 40

Message = dict[str, Any]


class NoTaskOfOurs(ValueError):
    """The message names no task of the queue that it lay on."""


def bare(message: object, queue: str, tasks: Mapping[str, str]) -> Message:
    """The message anew with its task's name and its expiry alone. `tasks` maps the names of tasks to their queues.

    Raises NoTaskOfOurs.
    """
    headers = message.get("headers") if isinstance(message, dict) else None
    task = headers.get("task") if isinstance(headers, dict) else None
    if not isinstance(headers, dict) or not isinstance(task, str) or tasks.get(task) != queue:
        raise NoTaskOfOurs(f"It is not for a task of the queue {queue}.")
    number = str(uuid4())
    return {
        "body": _BODY,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": task,
            "id": number,
            "root_id": number,
            "parent_id": None,
            "group": None,
            "argsrepr": "()",
            "kwargsrepr": "{}",
            "expires": _expiry(headers.get("expires")),
            "redelivered": bool(headers.get("redelivered")),
        },
        "properties": {
            "correlation_id": number,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
        },
    }


def _expiry(said: object) -> str | None:
    """When a sweep need not be begun any more. Forged it can only drop the message that it came with."""
    if not isinstance(said, str) or len(said) > _LONGEST_TIME:
        return None
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        return None
    return moment.isoformat() if moment.tzinfo else None


class Channel(redis.Channel):
    """Redis's channel, which what cannot be read at all does not stop."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # kombu's types leave it out
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            # It left the queue when it was read. Connection errors are none of these and go their way.
            log.warning("a message that cannot be read was dropped: %s", type(error).__name__)
            return True


class Transport(redis.Transport):
    """Redis's transport, whose workers see bare messages alone."""

    Channel = Channel

    def _deliver(self, message: Any, queue: Any) -> None:
        # Here and not above: the module of the app names this one.
        from config.celery import QUEUES

        try:
            found = bare(message, queue, QUEUES)
        except NoTaskOfOurs as error:
            log.warning("a message was dropped: %s", error)
            return
        super()._deliver(found, queue)
