"""A broker that may be flushed, killed and written to, and real Celery workers beside it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import redis

from executor.demo import servers
from executor.demo.state import StateFolder
from tests import databases
from tests.executor.stage import PROJECT, Stage

TASK = "executor.tasks.execute_due"
QUEUE = "execution"


class Broker:
    """A Valkey of a test's own, with its append-only file: it can be killed with -9 and started again."""

    def __init__(self, state: StateFolder) -> None:
        found = servers.prepare(state, {"DATABASE_URL": "postgresql://unused"})
        (self._child,) = found.children
        self._state, self.url = state, found.redis_url
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = servers.start_alone(self._child, self._state)

    def kill(self) -> None:
        """With -9: no farewell, nothing written any more."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def flush(self) -> None:
        with self.client() as client:
            client.flushall()

    def push(self, *messages: bytes | dict[str, Any], queue: str = QUEUE) -> None:
        with self.client() as client:
            for one in messages:
                client.lpush(queue, one if isinstance(one, bytes) else json.dumps(one).encode())

    def waiting(self, queue: str = QUEUE) -> int:
        with self.client() as client:
            return int(client.llen(queue))

    def unacknowledged(self) -> int:
        with self.client() as client:
            return int(client.hlen("unacked"))


@contextmanager
def broker() -> Iterator[Broker]:
    with databases.scratch() as state:
        made = Broker(state)
        made.start()
        try:
            yield made
        finally:
            made.kill()


def message(
    task: str = TASK, args: Any = (), kwargs: Any = None, embed: Any = None, *, headers: Any = None, properties: Any = None
) -> dict[str, Any]:
    """A message as Celery writes it, for whoever can write to the broker."""
    number = str(uuid4())
    return {
        "body": b64encode(json.dumps([args, kwargs or {}, embed or {}]).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": task, "id": number, "root_id": number, "argsrepr": "()", "kwargsrepr": "{}"}
        | (headers or {}),
        "properties": {
            "correlation_id": number,
            "reply_to": str(uuid4()),
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
        }
        | (properties or {}),
    }


class Process:
    """A process with its output in a file."""

    def __init__(self, argv: list[str], environ: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                argv, env=environ, cwd=PROJECT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def lives(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """The whole session of it, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def environment(stage: Stage, broker: Broker, process: str = "execution", **changes: str) -> dict[str, str]:
    """What a process of a deployment has in its environment: its own role and its own keys."""
    return stage.environment(process, REDIS_URL=broker.url, COUNTERSIGN_LOG_LEVEL="INFO", **changes)


@contextmanager
def worker(
    stage: Stage,
    broker: Broker,
    folder: Path,
    *,
    queue: str = QUEUE,
    concurrency: int = 1,
    visibility: int | None = None,
    **changes: str,
) -> Iterator[Process]:
    """A Celery worker of the execution queue as production starts it; `visibility` shortens the broker's time-out for a test."""
    short = f"app.conf.broker_transport_options['visibility_timeout'] = {visibility}; " if visibility else ""
    name = f"{uuid4().hex}@test"
    arguments = [
        *("--quiet", "worker", "--queues", queue, "--hostname", name, "--concurrency", str(concurrency)),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"),
    ]
    code = f"from config.celery import app; {short}app.start({arguments!r})"
    made = Process(
        [sys.executable, "-c", code], environment(stage, broker, **changes), folder / f"worker-{name.partition('@')[0]}.log"
    )
    try:
        until("the worker is ready", lambda: "ready" in made.said(), made)
        yield made
    finally:
        made.stop()


@contextmanager
def beat(stage: Stage, broker: Broker, folder: Path) -> Iterator[Process]:
    """The clock that sends the sweeps."""
    environ = {name: value for name, value in environment(stage, broker).items() if not name.startswith(("AWS_", "DATABASE"))}
    argv = [sys.executable, "-m", "celery", "--quiet", "--app", "config.celery", "beat", "--loglevel", "WARNING", "--pidfile", ""]
    made = Process(argv, environ | {"COUNTERSIGN_PROCESS": "beat"}, folder / f"beat-{uuid4().hex}.log")
    try:
        yield made
    finally:
        made.stop()


def until(what: str, holds: Callable[[], object], process: Process | None = None, *, seconds: float = 40.0) -> None:
    """Wait until it holds; fail with what the process said when it does not."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end or (process and not process.lives()):
            raise AssertionError(f"It did not come to it that {what}.\n{process.said()[-6000:] if process else ''}")
        time.sleep(0.05)
