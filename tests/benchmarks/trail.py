"""Reading CloudTrail: records that concern nobody, records explained to the end, and the memory that the models take."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from approvals import explanation, trail_event, watch
from approvals.explanation import ASSUMED
from approvals.policies import Mode, Rules
from tests.approvals.operations import recorded
from tests.benchmarks.lines import beside, line, rates

PROJECT = Path(__file__).resolve().parents[2]
GUARDRAIL = Rules(
    "databases",
    "",
    Mode.ENFORCE,
    ("111122223333",),
    ("eu-west-1",),
    ("rds:DeleteDB*", "dynamodb:DeleteTable", "redshift:DeleteCluster"),
    ("arn:aws:*:*:*:*prod-*",),
    1,
)
SERVICES_OF_THE_TABLE = recorded.SERVICES[: recorded.SERVICES.index("organizations") + 1]


def lines() -> Iterator[str]:
    """One line a goal."""
    made = [json.dumps(one).encode() for one in records()]
    yield _screened(made)
    yield _explained(made)
    yield _memory()


def records() -> list[object]:
    """A record of each changing operation of the listed services: every third denied without parameters."""
    chance = random.Random(20261123)  # noqa: S311 - the same records every time
    found: list[object] = []
    for service in SERVICES_OF_THE_TABLE:
        for operation in recorded.writes(service):
            written = recorded.written(chance, operation, recorded.parameters(chance, operation))
            found.append(recorded.record(operation, None if len(found) % 3 == 0 else written))
    return found


def _screened(made: list[bytes]) -> str:
    """Queue messages that match no guardrail: read strictly, and told apart."""
    bodies = [b'{"detail-type":"AWS API Call via CloudTrail","detail":' + one + b"}" for one in made]
    over = watch.over((GUARDRAIL,))
    idle = [body for body in bodies if not over.may_concern(trail_event.from_message(body))]

    def work() -> int:
        for body in idle:
            over.may_concern(trail_event.from_message(body))
        return len(idle)

    def parsed() -> int:
        for body in idle:
            json.loads(body)
        return len(idle)

    speed, reference = rates(work, parsed)
    return line("records that match no guardrail", speed, 20_000, "records/s", more=beside(speed, reference, "json.loads"))


def _explained(made: list[bytes]) -> str:
    """The whole explanation of one record, as trail_explain prints it, models loaded."""

    def work() -> int:
        for one in made:
            explanation.explain(json.loads(one), ASSUMED).as_json()
        return len(made)

    def parsed() -> int:
        for one in made:
            json.loads(one)
        return len(made)

    speed, reference = rates(work, parsed)
    return line("records explained whole", speed, 1_500, "records/s", more=beside(speed, reference, "json.loads"))


def _memory() -> str:
    """Peak resident memory of a process that loaded every listed service and explained a record of each changing operation."""
    code = "from tests.benchmarks import trail; print(trail.peak())"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    return line("peak memory with every listed service loaded", [float(done.stdout)], 300, "MB", at_most=True)


def peak() -> float:
    """What this process took at most, in MB, after a record of each was explained."""
    for one in records():
        explanation.explain(one, ASSUMED).as_json()
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return taken / (1024 * 1024 if sys.platform == "darwin" else 1024)
