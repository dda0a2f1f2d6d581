"""The database and the broker of the demo and of the tests: from wheels, or those the environment names.

DATABASE_URL and REDIS_URL win over the embedded servers. DATABASE_URL is then the owner's: it must be allowed to
create roles (and databases, for the tests).
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from executor.demo import accounts, postgres, valkey
from executor.demo.children import Child, spawn
from executor.demo.errors import ChildDied, ServerUnavailable
from executor.demo.state import StateFolder

OWNER = "countersign_owner"
DATABASE = "countersign"
# The roles of the five processes that use the database, by the process's name.
ROLES = {process: f"countersign_{process}" for process in ("web", "feed", "delivery", "execution", "authority")}


@dataclass(frozen=True)
class Servers:
    """What `prepare` found or will start. `children` are to be started in this order, before the URLs work."""

    children: tuple[Child, ...]
    owner_url: str
    redis_url: str
    web_redis_url: str
    notices: tuple[str, ...]
    embedded: postgres.Postgres | None
    state: StateFolder

    @property
    def admin_url(self) -> str:
        """Whoever may create databases and end other roles' sessions: the superuser of our own server, else the owner."""
        return self.embedded.superuser_url if self.embedded else self.owner_url


def prepare(state: StateFolder, environ: Mapping[str, str], *, durable: bool = True) -> Servers:
    """Decide for each server whether it is ours or the environment's, and make ours ready to start."""
    owner_url, redis_url = environ.get("DATABASE_URL", ""), environ.get("REDIS_URL", "")
    web_redis_url, children, embedded = redis_url, [], None
    if not owner_url:
        embedded = postgres.prepare(state, durable=durable)
        owner_url = embedded.url(OWNER, state.secret(OWNER), DATABASE)
        children.append(embedded.child)
    if not redis_url:
        broker = valkey.prepare(state, durable=durable)
        redis_url, web_redis_url = broker.url, broker.web_url
        children.append(broker.child)
    notices = embedded.notices if embedded else ()
    return Servers(tuple(children), owner_url, redis_url, web_redis_url, notices, embedded, state)


def provision(servers: Servers) -> None:
    """Once the database answers: the owner and its database where the server is ours, and the five login roles."""
    if servers.embedded:
        postgres.provision(servers.embedded, OWNER, servers.state.secret(OWNER), DATABASE)
    try:
        with psycopg.connect(servers.owner_url, autocommit=True, connect_timeout=5) as connection:
            for role in ROLES.values():
                _login_role(connection, role, servers.state.secret(role))
    except psycopg.OperationalError as error:
        raise ServerUnavailable(f"No database answers at DATABASE_URL: {error}. Start it, or correct DATABASE_URL.") from error
    except psycopg.Error as error:
        raise ServerUnavailable(
            f"The database refused to make the roles of the processes: {error}. DATABASE_URL must name a role with CREATEROLE."
        ) from error


def _login_role(connection: psycopg.Connection[tuple[object, ...]], role: str, password: str) -> None:
    """A role that may sign in and nothing else; `manage.py database_roles` grants what its process needs."""
    exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    statement = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}" if exists else "CREATE ROLE {} LOGIN PASSWORD {}")
    connection.execute(statement.format(sql.Identifier(role), sql.Literal(password)))


def role_url(servers: Servers, process: str, database: str = "") -> str:
    """The database URL of a process (web, feed, delivery, execution); `database` instead of the owner's own."""
    return with_login(servers.owner_url, ROLES[process], servers.state.secret(ROLES[process]), database)


def with_login(url: str, user: str, password: str, database: str = "") -> str:
    """The same server as in `url`, for another role and, where given, another database."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    netloc = f"{quote(user, safe='')}:{quote(password, safe='')}@{place}"
    return urlunsplit(parts._replace(netloc=netloc, path=f"/{quote(database, safe='')}" if database else parts.path))


def with_database(url: str, database: str) -> str:
    """The same server and role as in `url`, with another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(database, safe='')}"))


def forget(state: StateFolder) -> None:
    """Begin anew: remove everything in the state folder and what the servers kept for it elsewhere."""
    postgres.stop_leftover(state)
    valkey.stop_leftover(state)
    state.empty()
    accounts.remove_refuge(state.path)


def start_alone(child: Child, state: StateFolder, seconds: float = 20.0) -> subprocess.Popen[bytes]:
    """Start one server without a supervisor (the tests do) and wait until it answers. Raises ChildDied."""
    log = state.log(child.name)
    with log.open("ab") as output:
        process = spawn(child, output)
    deadline = time.monotonic() + seconds
    while child.ready and not child.ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise ChildDied(f"The {child.name} did not start. The end of {log}:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)
    return process
