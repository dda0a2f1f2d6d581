"""Celery: four workers with a queue each, a beat, and the nudge that makes the outbox quick.

A message carries a task's name and nothing that is believed: tasks take their work from verified rows. Losing a message
is harmless (the next sweep does the work) and so is repeating one (the claim row is what protects).
"""

from __future__ import annotations

import functools
import logging
import os
import ssl
from typing import Any, Final

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings
from kombu import Connection, pools
from kombu.exceptions import KombuError, OperationalError

logger = logging.getLogger(__name__)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# What drains each kind of outbox row.
DRAINS: Final = {
    "notify": "executor.tasks.deliver",
    "mirror": "executor.tasks.deliver",
    "prove": "executor.tasks.deliver",
    "execute": "executor.tasks.execute_due",
    "inspect": "executor.tasks.execute_due",
    "close": "executor.tasks.execute_due",
    "logs": "executor.tasks.poll_queue",
    "apply": "executor.tasks.apply_changes",
}
ROUTES: Final = {
    "executor.tasks.poll_queue": {"queue": "feed"},
    "executor.tasks.deliver": {"queue": "delivery"},
    "executor.tasks.expire": {"queue": "delivery"},
    "executor.tasks.execute_due": {"queue": "execution"},
    "executor.tasks.reconcile": {"queue": "execution"},
    "executor.tasks.apply_changes": {"queue": "authority"},
}
QUEUES: Final = {task: route["queue"] for task, route in ROUTES.items()}
# Task, seconds between two sweeps. What has a time (the opening of a window) is begun within a sweep of it.
SWEEPS: Final = {
    "executor.tasks.poll_queue": 1,
    "executor.tasks.deliver": 5,
    "executor.tasks.execute_due": 1,
    "executor.tasks.reconcile": 10,
    "executor.tasks.expire": 15,
    "executor.tasks.apply_changes": 5,
}
# Seconds after which a sweep or a nudge that nobody took up is dropped, so that they do not pile up while a worker is away. Well
# above the second or two by which the clocks of two hosts may differ: a worker that is ahead would drop every one.
STALE_AFTER: Final = 10
# Seconds. More than twice the longest task (executor.tasks.LONGEST_TASK; a test compares them): a message that nobody has
# acknowledged by then is given to a second worker. Where that happens all the same, the second finds the claim and stops.
VISIBILITY_TIMEOUT: Final = 3600
# Seconds that a nudge may keep the request that made it waiting when the broker does not answer.
NUDGE_TIMEOUT: Final = 0.4

app = Celery("countersign")
app.conf.update(
    broker_url=settings.BROKER_URL or "memory://",
    # Workers see what `config.broker` makes of a message.
    broker_transport="config.broker:Transport" if settings.BROKER_URL else None,
    # Left alone, kombu takes any certificate for a rediss:// address. SSL_CERT_FILE names an authority of one's own.
    broker_use_ssl={"ssl_cert_reqs": ssl.CERT_REQUIRED} if settings.BROKER_URL.startswith("rediss:") else None,
    result_backend=None,
    task_ignore_result=True,
    # JSON and nothing else, in both directions: pickle would let whoever writes to the broker run code.
    accept_content=["json"],
    result_accept_content=["json"],
    task_serializer="json",
    result_serializer="json",
    event_serializer="json",
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_default_queue="unrouted",
    task_create_missing_queues=True,
    task_routes=ROUTES,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": VISIBILITY_TIMEOUT,
        # Look for messages whose worker died every two seconds instead of every few minutes.
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 2,
        # redis-py 8 needs it said: longer than the blocking pop (1 s), short enough to notice a dead broker.
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
    },
    timezone=settings.TIME_ZONE,
    enable_utc=True,
    beat_schedule={
        name.rpartition(".")[2]: {"task": name, "schedule": float(seconds), "options": {"expires": STALE_AFTER}}
        for name, seconds in SWEEPS.items()
    },
    # In memory: the schedule is a few fixed sweeps, and a file would have to live somewhere writable.
    beat_scheduler="celery.beat:Scheduler",
    beat_max_loop_interval=1,
    # Reuse the database connection for this many tasks; Celery 5.7 would close it around every one (8.5 ms).
    CELERY_DB_REUSE_MAX=1000,
)
app.autodiscover_tasks(["executor"])


@setup_logging.connect
def _keep_djangos_logging(**_: Any) -> None:
    """Being connected is the point: Celery then leaves logging as Django's settings made it."""


@functools.cache
def _connection() -> Connection:
    """A broker connection that gives up quickly, of its own so that workers keep their patient one."""
    return app.connection_for_write(
        transport_options={
            **app.conf.broker_transport_options,
            "socket_timeout": NUDGE_TIMEOUT,
            "socket_connect_timeout": NUDGE_TIMEOUT,
            "max_retries": 0,
        },
    )


def nudge(*kinds: str) -> None:
    """Wake the workers that drain outbox rows of these kinds (DRAINS), each once, in the order of the kinds.

    Called after a commit. The row is the promise and the sweep its guarantee; the nudge only makes it quick, so it
    never raises and never waits longer than about a second.
    """
    if unknown := [kind for kind in kinds if kind not in DRAINS]:
        logger.error("No worker drains outbox rows of kind %s; add it to config.celery.DRAINS.", ", ".join(map(repr, unknown)))
    tasks = dict.fromkeys(DRAINS[kind] for kind in kinds if kind in DRAINS)
    if not tasks:
        return
    try:
        with pools.producers[_connection()].acquire(block=True, timeout=NUDGE_TIMEOUT) as producer:
            for task in tasks:
                app.send_task(task, producer=producer, retry=False, expires=STALE_AFTER)
    except (OperationalError, KombuError, OSError) as error:
        logger.warning("The broker did not take the nudge for %s (%s); the next sweep does the work.", ", ".join(kinds), error)
