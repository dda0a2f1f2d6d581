"""Processes that never outlive the one that started them.

A child runs in a session of its own (a Ctrl-C in the terminal reaches the supervisor alone, which then stops the
children in order). On Linux the kernel also signals it when its parent dies, however that happens.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec only what is already in memory may be used.
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Child:
    """One process to run: how it starts, what it may see, how it stops.

    `environ` is its whole environment; nothing is inherited. `account` is (uid, gid) to run as, or None.
    `stop_signal` asks it to end, `death_signal` is sent by the kernel when the supervisor dies; `grace` is how many
    seconds it gets before it is killed. `quiet` keeps its output for the log file and the last words alone.
    """

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    account: tuple[int, int] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    grace: float = 3.0
    quiet: bool = False
    ready: Callable[[], bool] | None = None


def spawn(child: Child, output: IO[bytes] | int) -> subprocess.Popen[bytes]:
    """Start the child with standard output and error going to `output`. Call it from the main thread: the kernel
    watches the thread that forked. Raises OSError when the program cannot be run."""
    user, group = child.account or (None, None)
    return subprocess.Popen(
        child.argv,
        env=dict(child.environ),
        cwd=child.cwd,
        bufsize=0,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=user,
        group=group,
        extra_groups=[] if child.account else None,
        preexec_fn=_tied_to_parent(child.death_signal),  # noqa: PLW1509 - the supervisor has no threads
    )


def _tied_to_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    """What runs between fork and exec. After the change of account: the kernel forgets the wish when the uid changes."""
    if _LIBC is None:
        return None
    parent = os.getpid()

    def tie() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return tie


def stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals, grace: float) -> bool:
    """Ask a child to end and wait `grace` seconds; then kill its whole session. True when it ended by itself."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(stop_signal)
    deadline = time.monotonic() + grace
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    ended = process.poll() is not None
    kill_session(process.pid)
    process.wait()
    return ended


def kill_session(leader: int) -> None:
    """Kill what is left of a child's process group (it leads a session of its own, so the group bears its pid)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def command_of(pid: int) -> str:
    """The command line of a process, "" when there is none or it cannot be read. From /proc, else from `ps`."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        if Path("/proc/self").exists():
            return ""
    found = subprocess.run(["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip()


def stop_orphan(pid: int, belongs: str, stop_signal: signal.Signals, seconds: float = 10.0) -> bool:
    """Stop process `pid` if its command line contains `belongs`; a reused process id is left alone.

    True when it was ours and is gone. Raises TimeoutError when it does not end within `seconds`, even killed.
    """
    if belongs not in command_of(pid):
        return False
    deadline = time.monotonic() + seconds
    os.kill(pid, stop_signal)
    while belongs in command_of(pid):
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} does not end")
        if time.monotonic() > deadline - seconds / 2:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    return True
