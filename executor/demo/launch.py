"""Brings the demo up, step by step: servers, roles, tables, grants, local AWS, genesis, processes."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg

from executor.demo import people, sealing_pair, servers, valkey
from executor.demo.children import Child
from executor.demo.errors import DemoError
from executor.demo.state import StateFolder, free_port, is_free
from executor.demo.supervisor import Supervisor
from executor.demo.world import PROJECT, AccessKey, DemoWorld, Environments
from executor.sandbox.world import DEMO

WEB_PORT = 8000
AWS_KEYS_FILE = "aws-keys.json"
GENESIS_FILE = "genesis.hash"
ENVIRONMENT_FILE = "owner.env"
# The part of the owner's environment that is not simply the shell's.
OWNERS = frozenset({"COUNTERSIGN_PROCESS", "DATABASE_OWNER_URL"})
# What tells and what takes in gives way to what carries out and to who waits for a page, where processors are few.
BACKGROUND = frozenset({"feed", "delivery"})
# Process name -> (queue, tasks at once). Two executions may wait for AWS side by side; the others have one stream of work.
WORKERS = {"feed": 1, "delivery": 1, "execution": 2, "authority": 1}

_AFTER_OTHERS = ("nice", "-n", "10") if shutil.which("nice") else ()
Say = Callable[[str], None]


class Launch:
    """One start of the demo. `up` does the steps in order and returns the world; the supervisor owns what it started."""

    def __init__(self, state: StateFolder, supervisor: Supervisor, say: Say, *, verbose: bool = False) -> None:
        self._state = state
        self._supervisor = supervisor
        self._say = say
        found = servers.prepare(state, os.environ)
        port, aws_port = _web_port(state), state.port("local AWS")
        self._port = port
        self._aws_port = aws_port
        self._found = found
        self._environments = Environments(
            state, found, f"http://localhost:{port}", f"http://127.0.0.1:{aws_port}", verbose=verbose
        )

    def up(self) -> DemoWorld:
        """Raises DemoError with what to do, or what the supervisor raises."""
        for notice in self._found.notices:
            self._say(notice)
        self._servers()
        self._tables()
        keys = self._local_aws()
        self._environments = replace(self._environments, genesis=self._genesis())
        sealing_pair.ensure(self._state)
        self._processes(keys)
        return self._world(keys)

    def _servers(self) -> None:
        for child in self._found.children:
            self._supervisor.start(child)
        servers.provision(self._found)
        if not valkey.answers(self._found.redis_url):
            raise DemoError("No broker answers at REDIS_URL. Start it, or correct REDIS_URL (host, port, password).")
        self._say(
            "PostgreSQL and Valkey are up" + ("." if len(self._found.children) == 2 else " (from your environment, in part).")
        )

    def _tables(self) -> None:
        self._manage("migrate", "--no-input", "--verbosity", "0")
        self._manage("database_roles")
        self._say("The tables are migrated, and each process's role has the rights it needs.")

    def _local_aws(self) -> dict[str, AccessKey]:
        """The local AWS keeps its state in memory: it begins anew at every start, with the same keys."""
        keys_file = self._state.path / AWS_KEYS_FILE
        fresh = not keys_file.exists()
        self._supervisor.start(
            Child(
                name="aws",
                argv=(sys.executable, "-m", "executor.sandbox", "--port", str(self._aws_port), "--keys-file", str(keys_file)),
                environ=self._environments.base(),
                cwd=PROJECT,
                ready=lambda: keys_file.exists() and _accepts(self._aws_port),
            )
        )
        again = "" if fresh else " It lives in memory, so it was seeded anew: what was deleted earlier is back, queues are empty."
        self._say(f"The local AWS is up: account {DEMO.account} ({DEMO.alias}), {DEMO.region}.{again}")
        return {name: AccessKey(**key) for name, key in json.loads(keys_file.read_text()).items()}

    def _genesis(self) -> str:
        """Seal the manifest at the first start. The hash that the executor trusts is kept outside the database."""
        pin = self._state.path / GENESIS_FILE
        keys = people.ensure_keys(self._state)
        if _sealed_hash(self._found.owner_url) is None:
            manifest = people.write_manifest(self._state, keys)
            self._manage("bootstrap", str(manifest))
            pin.unlink(missing_ok=True)
            sealed = f"{len(people.PEOPLE)} people, {len(DEMO.guardrails)} guardrails"
            self._say(f"Authority begins with the manifest {manifest.name}: {sealed}.")
        else:
            # The local AWS forgot the mirror with everything else.
            self._manage("mirror_rewrite")
        if not pin.exists():
            pin.write_text(_sealed_hash(self._found.owner_url) or "")
        return pin.read_text().strip()

    def _processes(self, keys: dict[str, AccessKey]) -> None:
        environments, python = self._environments, sys.executable
        users = {"feed": DEMO.feed_user, "delivery": DEMO.delivery_user, "execution": DEMO.execution_user}
        self._supervisor.start(
            *(
                Child(
                    name=process,
                    argv=(*(_AFTER_OTHERS if process in BACKGROUND else ()), *_worker(python, process, concurrency)),
                    environ=environments.worker(process, keys[users[process]] if process in users else None),
                    cwd=PROJECT,
                    grace=5.0,
                )
                for process, concurrency in WORKERS.items()
            ),
            Child(
                name="inbox",
                argv=(python, "-m", "executor.demo.inbox", DEMO.queue_url(environments.aws_endpoint, DEMO.inbox)),
                environ=environments.base() | environments.aws(keys[DEMO.inbox_user]),
                cwd=PROJECT,
                grace=0.5,
            ),
        )
        web = (python, "-m", "gunicorn", "--config", "python:config.server", "--bind", f"127.0.0.1:{self._port}", "config.wsgi")
        self._supervisor.start(
            Child(name="web", argv=web, environ=environments.web(), cwd=PROJECT, ready=lambda: _healthy(self._port))
        )
        beat = (python, "-m", "celery", "--quiet", "--app", "config.celery", "beat", "--loglevel", "WARNING", "--pidfile", "")
        self._supervisor.start(Child(name="beat", argv=beat, environ=environments.beat(), cwd=PROJECT))

    def _manage(self, *arguments: str) -> None:
        argv = (sys.executable, "manage.py", *arguments)
        self._supervisor.step(Child(name=arguments[0], argv=argv, environ=self._environments.owner(), cwd=PROJECT, quiet=True))

    def _write_environment(self) -> Path:
        """What a person's shell needs to run manage.py as the owner of the tables."""
        lines = [f"{name}={shlex.quote(value)}" for name, value in sorted(self._environments.owner().items()) if name in OWNERS]
        return self._state.write_secret(ENVIRONMENT_FILE, "\n".join(lines) + "\n")

    def _world(self, keys: dict[str, AccessKey]) -> DemoWorld:
        environments = self._environments
        self._write_environment()
        return DemoWorld(
            web_url=environments.web_url,
            aws_endpoint=environments.aws_endpoint,
            account=DEMO.account,
            region=DEMO.region,
            inbox_url=DEMO.queue_url(environments.aws_endpoint, DEMO.inbox),
            state=self._state.path,
            authenticators=self._state.path / people.KEYS_FILE,
            keys=keys,
            owner_url=self._found.owner_url,
            role_urls={process: servers.role_url(self._found, process) for process in servers.ROLES},
            redis_url=self._found.redis_url,
            owner_environ=environments.owner(),
            execution_environ=environments.worker("execution", keys[DEMO.execution_user]),
        )


def _worker(python: str, process: str, concurrency: int) -> tuple[str, ...]:
    """A Celery worker for the process's own queue; gossip and remote control would only cost broker traffic."""
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")
    name = f"{process}@countersign"
    return (
        *(python, "-m", "celery", "--quiet", "--app", "config.celery", "worker", "--queues", process, "--hostname", name),
        *("--concurrency", str(concurrency), *quiet),
    )


def _web_port(state: StateFolder) -> int:
    """COUNTERSIGN_PORT where it is set; else the port used last, 8000, or the next free one.

    Passkeys and stored signatures are bound to the origin with its port, so a state folder keeps its port if it can.
    """
    wish = os.environ.get("COUNTERSIGN_PORT", "")
    if wish:
        if not wish.isdecimal() or not 0 < int(wish) < 65536:
            raise DemoError(f"COUNTERSIGN_PORT is {wish!r}; it must be a port number.")
        if not is_free(int(wish)):
            raise DemoError(f"Port {wish} (COUNTERSIGN_PORT) is in use. Choose another, or stop what listens there.")
        return int(wish)
    remembered = state.path / "web.port"
    known = int(remembered.read_text()) if remembered.exists() else WEB_PORT
    candidates = (known, *range(WEB_PORT, WEB_PORT + 20))
    port = next((port for port in candidates if is_free(port)), 0) or free_port(set())
    remembered.write_text(str(port))
    return port


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/healthz", headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _sealed_hash(owner_url: str) -> str | None:
    """The hash of the first link of the chain of authority, None before the manifest is sealed."""
    with psycopg.connect(owner_url) as connection:
        row = connection.execute("SELECT hash FROM approvals_authoritylink WHERE number = 0").fetchone()
    return str(row[0]) if row else None


def remove(path: Path) -> None:
    """Remove a state folder of which nothing runs any more."""
    servers.forget(StateFolder(path))
    (path / "lock").unlink(missing_ok=True)
    path.rmdir()
