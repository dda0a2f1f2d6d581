"""A Celery app with one task that does nothing but tell the time, on the broker of the benchmark: the least that a hop costs."""

from __future__ import annotations

import os
import time

import redis
from celery import Celery

app = Celery("bench")
app.conf.update(
    broker_url=os.environ.get("REDIS_URL", "memory://"),
    result_backend=None,
    task_ignore_result=True,
    accept_content=["json"],
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)
_told: list[redis.Redis] = []


@app.task(name="tests.benchmarks.hop.told")
def told() -> None:
    """Say when the first line of the task ran."""
    now = time.time()
    if not _told:
        _told.append(redis.Redis.from_url(os.environ["REDIS_URL"]))
    _told[0].rpush("bench-told", now)
