"""`guardrails_lint` and `guardrails_replay` as an operator runs them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.core.management import CommandError, call_command

from executor.demo import people
from executor.demo.state import StateFolder
from tests import cast as the_cast
from tests.cast import ACCOUNT, table_arn, trail_record

PROJECT = Path(__file__).parents[2]
SOUND = {
    "name": "dynamodb-production",
    "accounts": [ACCOUNT],
    "operations": ["dynamodb:DeleteTable"],
    "resources": [table_arn("prod-*")],
    "approvals": 1,
    "irreversible": {"extra_approvals": 0, "hold": 0},
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return people.write_manifest(StateFolder(tmp_path_factory.mktemp("genesis")), the_cast._KEYS)


def written(folder, *guardrails):
    path = folder / "guardrails.yaml"
    path.write_text(yaml.safe_dump({"schema": "countersign/guardrails/1", "guardrails": list(guardrails)}, sort_keys=False))
    return str(path)


def run(command, *arguments):
    """What the command prints, and its exit status."""
    out = io.StringIO()
    try:
        call_command(command, *map(str, arguments), stdout=out)
    except CommandError as error:
        return out.getvalue(), error.returncode
    return out.getvalue(), 0


def without_database(*arguments, stdin=None):
    """The same as a process of its own in which no database is known."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DATABASE", "COUNTERSIGN", "DJANGO"))
    }
    return subprocess.run(
        [sys.executable, "manage.py", *map(str, arguments)],
        cwd=PROJECT,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


class TestLint:
    """`manage.py guardrails_lint`."""

    def test_the_file_alone_needs_no_database(self, tmp_path):
        """In a clone without any configuration it reads the file, and says what it does not know."""
        done = without_database("guardrails_lint", "-", stdin=Path(written(tmp_path, SOUND)).read_text())
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("1 guardrail, nothing found. Accounts, persons and grants are not known")

    def test_the_help_has_an_example_and_the_exit_status(self):
        """Whoever asks for help is shown a line to copy."""
        done = without_database("guardrails_lint", "--help")
        assert done.returncode == 0
        assert "Example: manage.py guardrails_lint guardrails.yaml" in done.stdout
        assert "Exit status: 0" in done.stdout

    def test_a_manifest_tells_persons_and_grants(self, manifest, tmp_path):
        """carol holds no right, so bob alone approves, and nobody when bob asks."""
        out, status = run("guardrails_lint", written(tmp_path, SOUND | {"approvals": 2}), "--manifest", manifest, "--json")
        found = json.loads(out)
        assert (status, found["surroundings"], found["guardrails"]) == (1, "manifest", 1)
        (one,) = found["findings"]
        assert (one["kind"], one["guardrail"], one["field"]) == ("unreachable-quorum", "dynamodb-production", "approvals")
        assert one["line"] == 10

    def test_the_database_tells_the_same(self, cast, tmp_path):
        """With DATABASE_URL the persons, groups and grants of the installation are looked at."""
        out, status = run("guardrails_lint", written(tmp_path, SOUND | {"groups": {"Aprovers": 1}}), "--json")
        found = json.loads(out)
        assert (status, found["surroundings"]) == (1, "database")
        assert {one["kind"] for one in found["findings"]} == {"unknown-group", "unreachable-quorum"}
        assert "did you mean Approvers" in out

    def test_a_field_that_cannot_be_read_is_a_finding_with_its_line(self, tmp_path):
        """A continuous integration tells a bad file (1) from a missing one (2)."""
        path = written(tmp_path, SOUND | {"approvals": 0})
        out, status = run("guardrails_lint", path)
        assert status == 1
        assert out.startswith(
            f"{path}:10: unreadable: guardrails[0].approvals: Guardrail dynamodb-production: approvals is a whole"
        )
        assert json.loads(run("guardrails_lint", path, "--json")[0])["guardrails"] is None

    @pytest.mark.parametrize("arguments", [["nowhere.yaml"], ["{file}", "--manifest", "nowhere.yaml"]])
    def test_what_cannot_be_opened_is_a_usage_error(self, tmp_path, arguments):
        """Exit status 2, so that a monitor does not take a slip for a finding."""
        path = written(tmp_path, SOUND)
        assert run("guardrails_lint", *(one.format(file=path) for one in arguments))[1] == 2
        done = without_database("guardrails_lint")
        assert done.returncode == 2


def test_records_are_written_for_the_cast():
    """The records below are what AWS writes (see tests/cast.py)."""
    assert trail_record()["eventName"] == "DeleteTable"
