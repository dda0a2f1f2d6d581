"""`python -m executor.sandbox` as the demo starts it."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from executor.sandbox.__main__ import main
from executor.sandbox.world import DEMO, DemoWorldFacts, read_facts

Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """`start("--keys-file", path)`: the process and its first line, once it is ready."""
    running: list[subprocess.Popen[str]] = []

    def run(*arguments: object) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "executor.sandbox", "--port", "0", *map(str, arguments)]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        running.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline()

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def handlers() -> Iterator[None]:
    """What `main` does with signals is undone in this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_it_says_that_it_is_ready_and_stops_quickly(start: Start, tmp_path: Path) -> None:
    """One line names the address; SIGTERM ends the process at once, with status 0."""
    process, line = start("--keys-file", tmp_path / "keys.json")
    assert line.startswith("local AWS ready at http://127.0.0.1:")
    before = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=5) == 0
    assert time.monotonic() - before < 3


def test_keys_stay_over_a_restart(start: Start, tmp_path: Path) -> None:
    """The first start writes the keys for their owner alone, the next reads them."""
    path = tmp_path / "state" / "keys.json"
    process, _ = start("--keys-file", path)
    written = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(written).keys() == set(DEMO.users)
    process.terminate()
    process.wait(timeout=5)
    start("--keys-file", path)
    assert path.read_text() == written


@pytest.mark.parametrize(
    ("arguments", "content", "message"),
    [
        ("--keys-file", "no json", "Expecting value"),
        ("--keys-file", '{"alice": {}}', "access_key_id and secret_access_key"),
        ("--seed", '{"planet": "mars"}', "an object with the fields account"),
        ("--seed", "[", "no JSON"),
    ],
)
def test_an_unusable_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], handlers: None, arguments: str, content: str, message: str
) -> None:
    """A file of another form ends the start with status 2 and a sentence, not with a traceback."""
    path = tmp_path / "file.json"
    path.write_text(content)
    assert main(["--port", "0", arguments, str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("sandbox: ")
    assert message in said.err


def test_a_process_that_cannot_start_says_so_in_its_status(start: Start, tmp_path: Path) -> None:
    """What `main` returns is the process's status, and its standard error holds the sentence alone."""
    path = tmp_path / "world.json"
    path.write_text("[")
    process, line = start("--seed", path)
    _, errors = process.communicate(timeout=10)
    assert (line, process.returncode, errors.count("\n")) == ("", 2, 1)
    assert errors.startswith("sandbox: ")


def test_the_world_can_come_from_a_file(start: Start, tmp_path: Path) -> None:
    """A seed file changes what it names and leaves the rest of the demo's world."""
    facts = DemoWorldFacts(account="444455556666", tables=("prod-invoices",))
    path = tmp_path / "world.json"
    path.write_text(facts.as_json())
    assert read_facts(path) == facts
    _, line = start("--seed", path)
    assert "account 444455556666" in line
