"""Runs the demo's processes: starts them stage by stage, shows what they say, stops them in the reverse order.

Nothing is restarted: a process that ends by itself ends the demo, with its name and its last words. There are no threads
here, because the kernel ties a child to the thread that started it.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any, TextIO

from executor.demo.children import Child, kill_session, spawn, stop
from executor.demo.errors import ChildDied

# Seconds between two looks at the children.
_TICK = 0.1
_LAST_WORDS = 15
_NAME_WIDTH = 9
_LOUD = frozenset({"WARNING", "ERROR", "CRITICAL"})


@dataclass
class _Running:
    child: Child
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    log_path: Path
    unfinished: bytes = b""
    last_words: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_WORDS))


class Interrupted(Exception):
    """Somebody asked the demo to stop (Ctrl-C, SIGTERM)."""


class Supervisor:
    """Use it as a context manager; leaving the block stops everything, however it is left.

    `log_of` says where a process's whole output goes. `verbose` shows every line instead of warnings alone.
    """

    def __init__(self, out: TextIO, log_of: Callable[[str], Path], *, verbose: bool = False) -> None:
        self._out = out
        self._log_of = log_of
        self._verbose = verbose
        self._stages: list[list[_Running]] = []
        self._pipes = selectors.DefaultSelector()
        self._asked_to_stop = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Supervisor:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._handlers[number] = signal.signal(number, self._ask_to_stop)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            self._pipes.close()

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._asked_to_stop = True

    def start(self, *children: Child, seconds: float = 30.0) -> None:
        """Start one stage and wait until each is ready. Raises ChildDied, Interrupted."""
        stage: list[_Running] = []
        self._stages.append(stage)
        for child in children:  # one by one: what was started must be stopped even if the next one cannot be
            stage.append(self._start(child))  # noqa: PERF401
        deadline = time.monotonic() + seconds
        for running in stage:
            while running.child.ready and not running.child.ready():
                self._look()
                if time.monotonic() > deadline:
                    raise ChildDied(f"{running.child.name} did not become ready in {seconds:.0f} seconds.{_words(running)}")

    def step(self, child: Child) -> None:
        """Run a process to its end. Raises ChildDied with what it said when it fails, Interrupted."""
        running = self._start(child)
        try:
            while running.process.poll() is None:
                self._look()
            self._read(running)
            if running.process.returncode:
                raise ChildDied(f"{child.name} failed (exit status {running.process.returncode}).{_words(running)}")
        finally:
            self._end([running])

    def follow(self, done: Callable[[], bool] = lambda: False) -> None:
        """Show what the children say until `done()`. Raises ChildDied when one ends, Interrupted when asked to stop."""
        while not done():
            self._look()

    def stop(self) -> None:
        """Stop every stage, the last started first; within a stage all at once. Never raises for a stubborn child."""
        self._asked_to_stop = False
        with self._kill_on_second_request():
            while self._stages:
                stage = self._stages[-1]
                for running in reversed(stage):
                    if running.process.poll() is None:
                        running.process.send_signal(running.child.stop_signal)
                self._drain_until_ended(stage)
                self._end(stage)
                self._stages.pop()

    @contextmanager
    def _kill_on_second_request(self) -> Iterator[None]:
        """A second Ctrl-C while stopping kills what is left instead of waiting for it."""

        def kill(_number: int, _frame: FrameType | None) -> None:
            for stage in self._stages:
                for running in stage:
                    kill_session(running.process.pid)

        before = {number: signal.signal(number, kill) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self, child: Child) -> _Running:
        path = self._log_of(child.name)
        log = path.open("ab")
        try:
            process = spawn(child, log if child.quiet else subprocess.PIPE)
        except OSError as error:
            log.close()
            raise ChildDied(f"{child.name} cannot be started: {error}") from error
        running = _Running(child, process, log, path)
        if process.stdout:
            os.set_blocking(process.stdout.fileno(), False)
            self._pipes.register(process.stdout, selectors.EVENT_READ, running)
        return running

    def _look(self) -> None:
        """Wait a moment for output, show it, and notice who died or that we shall stop."""
        self._show(_TICK)
        if self._asked_to_stop:
            raise Interrupted
        for running in (running for stage in self._stages for running in stage):
            if running.process.poll() is not None:
                self._read(running)
                raise ChildDied(f"{running.child.name} ended by itself ({_how(running.process.returncode)}).{_words(running)}")

    def _show(self, seconds: float) -> None:
        if not self._pipes.get_map():
            time.sleep(seconds)
            return
        for key, _ in self._pipes.select(seconds):
            self._read(key.data)

    def _read(self, running: _Running) -> None:
        """Take what a child wrote: whole into its log, line by line to the terminal."""
        pipe = running.process.stdout
        if pipe is None or pipe.closed:
            return
        data: bytes | None
        while data := pipe.read(65536):
            running.log.write(data)
            *lines, running.unfinished = (running.unfinished + data).split(b"\n")
            for line in lines:
                self._say(running, line.decode(errors="replace"))
        running.log.flush()
        if data is not None:  # the child closed it; None would only mean that there is nothing more yet
            self._forget(pipe)

    def _forget(self, pipe: IO[bytes]) -> None:
        if pipe in (key.fileobj for key in self._pipes.get_map().values()):
            self._pipes.unregister(pipe)

    def _say(self, running: _Running, line: str) -> None:
        running.last_words.append(line)
        shown = readable(line, verbose=self._verbose)
        if shown is not None:
            print(f"{running.child.name:<{_NAME_WIDTH}} | {shown}", file=self._out, flush=True)

    def _drain_until_ended(self, stage: list[_Running]) -> None:
        """Children that cannot write cannot end, so their pipes are read while they stop."""
        deadline = time.monotonic() + max((running.child.grace for running in stage), default=0)
        while time.monotonic() < deadline and any(running.process.poll() is None for running in stage):
            self._show(0.02)

    def _end(self, stage: list[_Running]) -> None:
        for running in stage:
            stop(running.process, running.child.stop_signal, 0)
            self._read(running)
            pipe = running.process.stdout
            if pipe:
                self._forget(pipe)
                pipe.close()
            running.log.close()


def readable(line: str, *, verbose: bool) -> str | None:
    """A line for a person, or None for one that need not be shown.

    A structured log line becomes its message's first line, below WARNING only when `verbose`; others are as they are.
    Anything that a terminal would obey instead of show is escaped.
    """
    if not line.strip():
        return None
    try:
        entry = json.loads(line) if line.startswith('{"time"') else None
    except ValueError:
        entry = None
    if entry is not None:
        if not verbose and entry.get("level") not in _LOUD:
            return None
        message = str(entry.get("message"))
        line = f"{entry.get('level')} {message if verbose else message.partition(chr(10))[0]}"
        if entry.get("error"):
            line += f" ({str(entry['error']).strip().splitlines()[-1]})"
    return "".join(
        mark if mark.isprintable() or mark == "\t" else mark.encode("unicode_escape").decode() for mark in line.rstrip("\r")
    )


def _how(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _words(running: _Running) -> str:
    """The last lines of a process, for the message that says it died."""
    if running.child.quiet:
        lines = running.log_path.read_text(errors="replace").splitlines()[-_LAST_WORDS:]
    else:
        lines = list(running.last_words)
    said = "\n".join(f"  {readable(line, verbose=True)}" for line in lines)
    return f" Its last lines ({running.log_path}):\n{said}" if said else f" It said nothing; its log is {running.log_path}."
