"""The whole story of the demo, from one command, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_demo_plays_the_whole_story(tmp_path: Path) -> None:
    """`manage.py demo --once` starts everything, plays every point of the story, stops everything and exits 0."""
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    state = tmp_path / "demo"
    tmp_path.chmod(0o755)
    played = subprocess.run(
        [sys.executable, "manage.py", "demo", "--once", "--state", str(state)],
        cwd=PROJECT,
        env=environ | {"COUNTERSIGN_PROCESS": "tool"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said = played.stdout + played.stderr
    assert played.returncode == 0, said
    points = {line.split()[1] for line in played.stdout.splitlines() if line.startswith("ok ")}
    assert points == set("123456789"), said
    assert "The story held." in played.stdout
