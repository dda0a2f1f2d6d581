"""The supervisor: starts in order, hides no death, stops in the reverse order, leaves nothing behind."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from executor.demo.children import Child, command_of
from executor.demo.errors import ChildDied
from executor.demo.supervisor import Supervisor, readable

PROJECT = Path(__file__).resolve().parents[3]
# Says that it is up, appends its name to the journal when asked to stop, and keeps a child of its own as gunicorn does.
POLITE = """
import os, signal, subprocess, sys, time
name, journal = sys.argv[1:]
inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
def end(*_):
    with open(journal, "a") as file: file.write(name + "\\n")
    inner.kill(); inner.wait()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open(journal + "." + name, "w").write(f"{os.getpid()} {inner.pid}")
print(name, "is up", flush=True)
time.sleep(600)
"""
STUBBORN = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


def python(code: str, *arguments: str, name: str = "child", **options) -> Child:
    return Child(name=name, argv=(sys.executable, "-c", code, *arguments), environ=dict(os.environ), **options)


class Stage:
    """A supervisor with what it printed and where its children's logs are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = io.StringIO()
        self.journal = folder / "journal"

    def supervisor(self, **options) -> Supervisor:
        return Supervisor(self.out, lambda name: self.folder / f"{name}.log", **options)

    def polite(self, name: str) -> Child:
        mark = self.folder / f"journal.{name}"
        return python(POLITE, name, str(self.journal), name=name, ready=lambda: bool(mark.exists() and mark.read_text()))

    def pids(self) -> list[int]:
        return [int(pid) for path in self.folder.glob("journal.*") for pid in path.read_text().split()]


@pytest.fixture
def stage(tmp_path) -> Stage:
    return Stage(tmp_path)


def gone(pids: list[int]) -> Callable[[], bool]:
    return lambda: not any(command_of(pid) for pid in pids)


def eventually(test: Callable[[], object], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not test():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_children_stop_in_the_reverse_order_of_their_start(stage):
    with stage.supervisor() as supervisor:
        for name in ("database", "broker", "worker", "web", "beat"):
            supervisor.start(stage.polite(name))
        pids = stage.pids()
        assert len(pids) == 10
    assert stage.journal.read_text().split() == ["beat", "web", "worker", "broker", "database"]
    assert gone(pids)()


def test_what_a_child_says_is_shown_with_its_name_and_kept_in_its_log(stage):
    with stage.supervisor() as supervisor:
        supervisor.start(stage.polite("web"))
        supervisor.follow(done=lambda: "up" in stage.out.getvalue())
    assert stage.out.getvalue() == "web       | web is up\n"
    assert (stage.folder / "web.log").read_text() == "web is up\n"


def test_a_child_that_dies_is_named_with_its_last_lines(stage):
    """Nothing is restarted silently, and the rest is stopped."""
    with pytest.raises(ChildDied) as died, stage.supervisor() as supervisor:
        supervisor.start(stage.polite("web"))
        supervisor.start(python("print('the reason'); raise SystemExit(3)", name="beat"))
        supervisor.follow()
    assert str(died.value).startswith("beat ended by itself (exit status 3). Its last lines (")
    assert "the reason" in str(died.value)
    assert gone(stage.pids())()


@pytest.mark.parametrize("quiet", [True, False])
def test_a_killed_child_is_named_with_the_signal(stage, quiet):
    code = "import os, signal; print('last words', flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    with (
        pytest.raises(ChildDied, match=r"(?s)feed ended by itself \(killed by SIGKILL\).*last words"),
        stage.supervisor() as supervisor,
    ):
        supervisor.start(python(code, name="feed", quiet=quiet))
        supervisor.follow()


def test_a_step_that_fails_says_why(stage):
    with pytest.raises(ChildDied, match=r"(?s)migrate failed \(exit status 1\).*no such table"), stage.supervisor() as supervisor:
        supervisor.step(python("pass", name="fine"))
        supervisor.step(python("raise SystemExit('no such table')", name="migrate"))


def test_a_program_that_does_not_exist_is_named(stage):
    with pytest.raises(ChildDied, match="aws cannot be started"), stage.supervisor() as supervisor:
        supervisor.start(Child(name="aws", argv=("/nowhere/aws",)))


def test_a_child_that_never_becomes_ready_is_named(stage):
    with pytest.raises(ChildDied, match="web did not become ready in 0 seconds"), stage.supervisor() as supervisor:
        supervisor.start(python("import time; time.sleep(60)", name="web", ready=lambda: False), seconds=0.3)


def test_a_child_that_does_not_want_to_stop_is_killed_after_its_grace(stage):
    with stage.supervisor() as supervisor:
        supervisor.start(python(STUBBORN, name="worker", grace=0.3))
        supervisor.follow(done=lambda: "up" in stage.out.getvalue())
        began = time.monotonic()
    assert time.monotonic() - began < 2


def test_a_child_that_writes_much_while_it_stops_can_end(stage):
    """Its pipe is read on while it stops; otherwise it would block and be killed in the middle of its work."""
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    print('x' * 1_000_000, flush=True); open(sys.argv[1], 'w').close(); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(60)\n"
    )
    finished = stage.folder / "finished"
    with stage.supervisor() as supervisor:
        supervisor.start(python(code, str(finished), name="web", grace=5))
        supervisor.follow(done=lambda: "up" in stage.out.getvalue())
    assert finished.exists()


def test_a_child_sees_its_own_environment_alone(stage, monkeypatch):
    """What the person's shell holds (credentials, say) does not leak into a child."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the shell")
    code = "import os, json; print(json.dumps(sorted(os.environ)))"
    with stage.supervisor() as supervisor:
        supervisor.step(Child(name="web", argv=(sys.executable, "-c", code), environ={"ONLY": "this"}))
    seen = json.loads((stage.folder / "web.log").read_text())
    assert "ONLY" in seen
    assert not [name for name in seen if name.startswith("AWS")]


# A supervisor as a process of its own, with two polite children, until it is told to stop.
SUPERVISED = """
import sys
from pathlib import Path
sys.path.insert(0, ".")
from tests.executor.demo.test_supervisor import Stage
from executor.demo.supervisor import Interrupted
stage = Stage(Path(sys.argv[1]))
stage.out = sys.stdout
try:
    with stage.supervisor() as supervisor:
        supervisor.start(stage.polite("database"))
        supervisor.start(stage.polite("web"))
        print("ALL UP", flush=True)
        supervisor.follow()
except Interrupted:
    print("STOPPED", flush=True)
"""


@pytest.fixture
def supervised(stage) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", SUPERVISED, str(stage.folder)]
    with subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout
        assert any("ALL UP" in line for line in process.stdout)
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_and_its_kin_stop_everything_in_order(stage, supervised, number):
    pids = stage.pids()
    # As a terminal does: to every process of the foreground group. The children are in sessions of their own.
    os.killpg(supervised.pid, number)
    rest, _ = supervised.communicate(timeout=10)
    assert supervised.returncode == 0
    assert "STOPPED" in rest
    assert stage.journal.read_text().split() == ["web", "database"]
    assert gone(pids)()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to its parent")
def test_a_killed_supervisor_leaves_no_child(stage, supervised):
    leaders = [int(path.read_text().split()[0]) for path in stage.folder.glob("journal.*")]
    assert len(leaders) == 2
    supervised.kill()
    supervised.wait()
    assert eventually(gone(leaders))
    for pid in stage.pids():  # grandchildren of this test alone; the demo's own notice that their parent is gone
        if command_of(pid):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain", "plain"),
        ("", None),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ('{"time": "t", "level": "INFO", "message": "quiet"}', None),
        ('{"time": "t", "level": "WARNING", "message": "loud\\nand long"}', "WARNING loud"),
        (
            '{"time": "t", "level": "ERROR", "message": "broke", "error": "Traceback\\nValueError: why\\n"}',
            "ERROR broke (ValueError: why)",
        ),
        ('{"time": "t", "level": "WARNING", "message": "\\u001b[2J"}', "WARNING \\x1b[2J"),
        ('{"time": broken', '{"time": broken'),
    ],
)
def test_a_terminal_shows_warnings_and_obeys_nothing(line, shown):
    assert readable(line, verbose=False) == shown
