"""Databases for the tests: one PostgreSQL for a run, one migrated template, a clone for each worker and on demand.

DATABASE_URL in the environment wins over the embedded server; its role must be allowed to create roles and databases,
and its server should be one that may be thrown away.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from executor.demo import accounts, children, servers
from executor.demo.state import StateFolder, held

# Read before conftest sets the tests' own environment.
# Bytes: what the databases of a run need, with as much again for what tests leave behind until the end.
ENOUGH = 2 * 1024**3
GIVEN = {name: os.environ.get(name, "") for name in ("DATABASE_URL", "REDIS_URL")}


@dataclass(frozen=True)
class Cluster:
    """What a worker needs to know of the run's server; plain strings, so that xdist can hand it over."""

    admin_url: str
    owner_url: str
    passwords: dict[str, str]
    run: str

    @property
    def template(self) -> str:
        return f"countersign_{self.run}_template"

    def as_plain(self) -> dict[str, Any]:
        return asdict(self)

    def role_url(self, process: str, database: str) -> str:
        """The URL of a process's role (web, feed, delivery, execution, authority) on one of the run's databases."""
        return servers.with_login(self.owner_url, servers.ROLES[process], self.passwords[process], database)

    def clone(self, name: str) -> str:
        """A fresh copy of the migrated template; returns the owner's URL of it."""
        self._administer("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY FILE_COPY", name, self.template, self._owner)
        return servers.with_database(self.owner_url, name)

    def copy(self, source: str, name: str) -> str:
        """A copy of one of the run's databases, as a backup would be; nobody may be connected to it. Returns the owner's URL."""
        self._administer("CREATE DATABASE {} TEMPLATE {} OWNER {}", name, source, self._owner)
        return servers.with_database(self.owner_url, name)

    def create_template(self) -> str:
        self._administer("CREATE DATABASE {} OWNER {}", self.template, self._owner)
        return servers.with_database(self.owner_url, self.template)

    def drop(self, name: str) -> None:
        """Drop a database together with whatever sessions a test's threads or processes left open."""
        self._administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    @contextmanager
    def one_worker_at_a_time(self) -> Iterator[bool]:
        """Hold the run's lock; says whether the template is there already."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [self.template])
            yield bool(connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self.template]).fetchone())

    @cached_property
    def _owner(self) -> str:
        with psycopg.connect(self.owner_url) as connection:
            return connection.info.user

    def _administer(self, statement: str, *names: str) -> None:
        _administration(self.admin_url).execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


# A thousand tests make and drop a database each: to sign in for it would be a third of what it costs.
_sessions: dict[str, psycopg.Connection[Any]] = {}


def _administration(url: str) -> psycopg.Connection[Any]:
    """This process's session as whoever makes databases, kept until `hang_up`."""
    known = _sessions.get(url)
    if known is None or known.closed:
        known = _sessions[url] = psycopg.connect(url, autocommit=True)
    return known


def hang_up() -> None:
    """Close the sessions that are kept."""
    while _sessions:
        _sessions.popitem()[1].close()


@contextmanager
def scratch() -> Iterator[StateFolder]:
    """A state folder for a server of the tests, which PostgreSQL's account may enter; removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="countersign-tests-", dir=_memory()))
    path.chmod(0o711)
    try:
        with held(path) as state:
            yield state
    finally:
        accounts.remove_refuge(path.resolve())
        shutil.rmtree(path, ignore_errors=True)


def _memory() -> str | None:
    """A folder in memory where there is enough of it: a clone is a thousand small files, made for each of hundreds of tests."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder with a random name is made in it
    roomy = os.access(shared, os.W_OK) and shutil.disk_usage(shared).free >= ENOUGH
    return str(shared) if roomy else None


@contextmanager
def cluster() -> Iterator[Cluster]:
    """The run's server, stopped at the end; databases made on a given server are dropped."""
    with ExitStack() as stack:
        state = stack.enter_context(scratch())
        found = servers.prepare(state, {"DATABASE_URL": GIVEN["DATABASE_URL"], "REDIS_URL": "redis://unused"}, durable=False)
        for child in found.children:
            process = servers.start_alone(child, state)
            stack.callback(children.stop, process, child.stop_signal, child.grace)
        servers.provision(found)
        passwords = {process: state.secret(role) for process, role in servers.ROLES.items()}
        made = Cluster(found.admin_url, found.owner_url, passwords, uuid.uuid4().hex[:8])
        yield made
        made.drop(made.template)
        hang_up()


@contextmanager
def broker(given: str) -> Iterator[str]:
    """The URL given, or else that of a Valkey of its own without a file behind it."""
    if given:
        yield given
        return
    with scratch() as state:
        found = servers.prepare(state, {"DATABASE_URL": "postgresql://unused"}, durable=False)
        (child,) = found.children
        process = servers.start_alone(child, state)
        try:
            yield found.redis_url
        finally:
            children.stop(process, child.stop_signal, child.grace)
