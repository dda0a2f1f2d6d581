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
from executor.sandbox.world import DEMO
from tests import cast as the_cast
from tests.cast import ACCOUNT, REGION, table_arn, trail_record

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


def by(user):
    return {"arn": f"arn:aws:iam::{ACCOUNT}:user/{user}", "type": "IAMUser", "accountId": ACCOUNT, "userName": user}


ROLE = {
    "type": "AssumedRole",
    "arn": "arn:aws:sts::111122223333:assumed-role/x/y",
    "accountId": ACCOUNT,
    "sessionContext": {"sessionIssuer": {"type": "Role", "arn": DEMO.executor_role_arn, "accountId": ACCOUNT}},
}
EVENTS = [
    trail_record(),  # alice, denied
    trail_record(denied=False, user="bob"),  # went through
    trail_record(denied=False, userIdentity=by("mallory") | {"arn": f"arn:aws:iam::{ACCOUNT}:user/ci"}),  # nobody who is mapped
    trail_record("UpdateTable", denied=False),  # today's guardrail gates it too
    trail_record(table="staging-orders", denied=False),
    trail_record(denied=False, recipientAccountId="999999999999"),
    trail_record(denied=False, userIdentity=ROLE),  # the executor itself
]


class TestReplay:
    """`manage.py guardrails_replay`."""

    @pytest.fixture
    def events(self, tmp_path):
        path = tmp_path / "events.json"
        path.write_text(json.dumps({"Records": EVENTS}))
        return str(path)

    def test_a_draft_is_held_against_what_happened(self, manifest, tmp_path, events):
        """What it gates, who asked and decides, whose quorum is out of reach, what loses its gate; nothing of other accounts."""
        draft = written(tmp_path, SOUND, SOUND | {"name": "new-one", "operations": ["dynamodb:*"], "mode": "observe"})
        out, status = run("guardrails_replay", draft, events, "--manifest", manifest, "--json", "--summary")
        found = json.loads(out)
        assert status == 1
        assert (found["records"], found["unreadable"], found["gated"], found["lost"]) == (7, 0, 3, 1)
        assert found["lost_by"] == [{"guardrail": "dynamodb-production", "operation": "dynamodb:UpdateTable", "events": 1}]
        first, second = found["guardrails"]
        assert (first["events"], first["outcomes"]) == (3, {"denied": 1, "succeeded": 2})
        assert (first["requesters"], first["unmapped"], first["deciders"]) == ({"alice": 1, "bob": 1}, 1, ["bob"])
        assert first["unreachable"] == {"asks for 1 approval and 0 persons may give one": 1}
        assert (second["mode"], second["events"], second["deciders"]) == ("observe", 4, None)

    def test_each_event_is_a_line(self, manifest, tmp_path, events):
        """With --json an object each, for whoever wants to look at single events."""
        draft = written(tmp_path, SOUND)
        out, _ = run("guardrails_replay", draft, events, "--manifest", manifest, "--json")
        lines = [json.loads(line) for line in out.splitlines()]
        assert [line["requester"] for line in lines] == ["alice", "bob", None, "alice"]
        assert [line["lost"] for line in lines] == [False, False, False, True]
        assert lines[1]["draft"] == [
            {
                "guardrail": "dynamodb-production",
                "mode": "enforce",
                "approvals": 1,
                "groups": {},
                "deciders": [],
                "unreachable": "asks for 1 approval and 0 persons may give one",
            }
        ]
        words, _ = run("guardrails_replay", draft, events, "--manifest", manifest)
        assert "Guardrail dynamodb-production would gate 3 events (2 succeeded, 1 denied)." in words
        assert "dynamodb:UpdateTable by dynamodb-production" in words

    def test_the_database_tells_todays_guardrails_and_grants(self, cast, tmp_path, events):
        """The same in an installation: its versions, grants, principals and accounts."""
        out, _ = run("guardrails_replay", written(tmp_path, SOUND), events, "--json", "--summary")
        found = json.loads(out)
        assert (found["surroundings"], found["gated"], found["lost"]) == ("database", 3, 1)
        assert found["guardrails"][0]["deciders"] == ["bob"]

    def test_the_file_and_the_events_alone_suffice(self, tmp_path):
        """Without any configuration it says what the draft would gate, and what it cannot know."""
        draft = written(tmp_path, SOUND)
        done = without_database("guardrails_replay", draft, stdin="\n".join(map(json.dumps, EVENTS)))
        assert (done.returncode, done.stderr) == (0, "")
        assert "Guardrail dynamodb-production would gate 4 events" in done.stdout
        assert "guardrails and grants are not known" in done.stdout

    def test_a_condition_decides_only_where_the_record_tells(self, tmp_path):
        """A denied call comes without parameters, so the guardrail that might match would gate it."""
        condition = {"parameter": "DeletionProtectionEnabled", "is": False}
        draft = written(tmp_path, SOUND | {"operations": ["dynamodb:UpdateTable"], "conditions": [condition]})
        changes = ({"billingMode": "PAY_PER_REQUEST"}, {"deletionProtectionEnabled": True}, {"deletionProtectionEnabled": False})
        told = [{"tableName": "prod-orders", **change} for change in changes]
        events = [
            trail_record("UpdateTable"),
            *(trail_record("UpdateTable", denied=False, requestParameters=one) for one in told),
        ]
        done = without_database("guardrails_replay", draft, "--json", stdin="\n".join(map(json.dumps, events)))
        gated = [json.loads(line)["event_id"] for line in done.stdout.splitlines()]
        assert gated == [events[0]["eventID"], events[3]["eventID"]]

    def test_what_a_change_loses_asks_for_its_approvals(self, tmp_path):
        """A change that shortens how long backups are kept counts as one that cannot be undone, as when it is asked for."""
        draft = written(
            tmp_path,
            SOUND
            | {
                "operations": ["rds:ModifyDBInstance"],
                "resources": [f"arn:aws:rds:{REGION}:{ACCOUNT}:db:prod-*"],
                "irreversible": {"extra_approvals": 1, "hold": 0},
            },
        )
        changes = ({"dBInstanceClass": "db.t3.large"}, {"backupRetentionPeriod": 0}, {"backupRetentionPeriod": 35})
        told = [{"dBInstanceIdentifier": "prod-db", **change} for change in changes]
        source = "rds.amazonaws.com"
        events = [trail_record("ModifyDBInstance", denied=False, eventSource=source, requestParameters=one) for one in told]
        done = without_database("guardrails_replay", draft, "--json", stdin="\n".join(map(json.dumps, events)))
        assert [line["draft"][0]["approvals"] for line in map(json.loads, done.stdout.splitlines())] == [1, 2, 1]

    @pytest.mark.parametrize(
        ("draft", "events", "status"),
        [("{sound}", "nowhere.json", 2), ("nowhere.yaml", "-", 2), ("-", "-", 2), ("{broken}", "-", 1), ("{sound}", "{junk}", 1)],
    )
    def test_what_cannot_be_read_is_told_apart(self, tmp_path, manifest, draft, events, status):
        """A slip in the call is 2; a file that must be mended, or a record that is none, is 1."""
        (tmp_path / "broken.yaml").write_text("schema: x")
        (tmp_path / "junk.json").write_text("{}\nno json\n")
        files = {"sound": written(tmp_path, SOUND), "broken": tmp_path / "broken.yaml", "junk": tmp_path / "junk.json"}
        arguments = [one.format(**files) for one in (draft, events)]
        assert run("guardrails_replay", *arguments, "--manifest", manifest)[1] == status
