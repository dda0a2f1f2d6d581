"""The demo's state folder: its lock, its secrets, the ports it used last, one log a process.

Layout: `lock`, `secrets.json` (0600), `ports.json`, `logs/NAME.log`, `home/` (an empty home for the children), and
what the servers keep (`postgres/`, `valkey/`).
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from executor.demo.errors import AlreadyRunning, DemoError

# Another account (PostgreSQL's, where the demo runs as root) must be able to walk through, nobody to list.
_FOLDER_MODE = 0o711
_SECRET_FILE_MODE = 0o600


class StateFolder:
    """A folder that only the demo writes, held by one demo at a time. Get one from `held`."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    def folder(self, name: str) -> Path:
        """A folder of that name inside, made if missing."""
        path = self.path / name
        path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        return path

    def log(self, name: str) -> Path:
        return self.folder("logs") / f"{name}.log"

    def secret(self, name: str) -> str:
        """The secret of that name, the same at every start of this folder; 32 random bytes, safe inside a URL."""
        known = self._json("secrets.json")
        if name not in known:
            known[name] = secrets.token_urlsafe(48)
            self.write_secret("secrets.json", json.dumps(known, indent=1))
        return str(known[name])

    def port(self, name: str) -> int:
        """A free port on the loopback: the one used last time where it is still free."""
        known = self._json("ports.json")
        remembered = known.get(name)
        if not isinstance(remembered, int) or not is_free(remembered):
            taken = {port for other, port in known.items() if other != name}
            known[name] = free_port(taken)
            (self.path / "ports.json").write_text(json.dumps(known, indent=1))
        return int(known[name])

    def write_secret(self, name: str, text: str) -> Path:
        """Write a file that only its owner may read; complete or not at all, so that a crash leaves the old one."""
        path = self.path / name
        draft = path.with_name(f"{path.name}.new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _SECRET_FILE_MODE), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        return path

    def empty(self) -> None:
        """Begin anew: remove everything but the lock (whoever waits for it must find the same file)."""
        for path in self.path.iterdir():
            if path.name == "lock":
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _json(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads((self.path / name).read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise DemoError(f"{self.path / name} is damaged. Begin anew with `make demo FRESH=1`.") from error
        return dict(found)


@contextmanager
def held(path: Path) -> Iterator[StateFolder]:
    """The state folder at `path`, made if missing and locked until the end of the block.

    Raises AlreadyRunning when another process holds it. The kernel drops the lock with the process, however it ends.
    """
    try:
        path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        lock = (path / "lock").open("a+")
    except OSError as error:
        raise DemoError(f"The state folder {path} cannot be used ({error.strerror}). Choose another with --state.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise AlreadyRunning(
                f"A demo with the state folder {path} is already running (process {holder}). Stop it with Ctrl-C first, "
                "or start a second one beside it: manage.py demo --state .demo-second"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield StateFolder(path)


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(taken: set[int]) -> int:
    """A loopback port that nobody listens on, and that is not among `taken`."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port
