"""The command line: it helps without an environment, and a missing environment is not a finding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "audit_export",
    "audit_verify",
    "bootstrap",
    "database_roles",
    "demo",
    "guardrails_apply",
    "mirror_rewrite",
    "requests_export",
)


def manage(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py with no more environment than a shell has."""
    plain = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=PROJECT, env=plain | environ, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_helps_without_an_environment(command):
    """--help has an example and the exit statuses, before anything is configured."""
    answer = manage(command, "--help")
    assert answer.returncode == 0, answer.stderr
    assert "xample" in answer.stdout
    assert "xit status" in answer.stdout


@pytest.mark.parametrize("command", ["audit_verify", "audit_export", "requests_export", "mirror_rewrite"])
def test_a_missing_environment_is_status_2_in_words(command):
    """1 would say that the trail was altered; a monitor must be able to tell the two apart."""
    answer = manage(command)
    assert answer.returncode == 2
    assert "DATABASE_URL is missing" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_verifier_needs_the_database_alone(cloned_database):
    """No origin, no secret key, no broker: a URL that may read is enough."""
    answer = manage("audit_verify", DATABASE_URL=cloned_database)
    assert answer.returncode == 0, answer.stderr
    assert "Every link holds" in answer.stdout


def test_a_first_password_is_set_with_the_database_alone(cloned_database):
    """Where there is no single sign-on, an operator lets an invited person in; for whom there is no login, it says so."""
    answer = manage("changepassword", "nobody", DATABASE_URL=cloned_database)
    assert answer.returncode == 1
    assert "user 'nobody' does not exist" in answer.stderr


def test_a_database_that_is_not_there_is_status_2_in_words():
    """Nobody listens: the environment is at fault, not the trail."""
    answer = manage("audit_verify", DATABASE_URL="postgresql://x:y@127.0.0.1:9/z")
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
