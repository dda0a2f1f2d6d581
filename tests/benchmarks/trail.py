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
from approvals.operations import catalog
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
    yield _memory("peak memory with every listed service loaded", "peak", 300)
    yield _memory("peak memory after every service was opened", "peak_of_all", 350)


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


def _memory(title: str, measured: str, most: int) -> str:
    """Peak resident memory of a process of its own that did what is measured."""
    code = f"from tests.benchmarks import trail; print(trail.{measured}())"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    return line(title, [float(done.stdout)], most, "MB", at_most=True)


def peak_of_all() -> float:
    """What a process took at most, in MB, after every operation of every service was looked at; the catalog keeps some."""
    for service in catalog.services():
        for name in catalog.service_model(service).operation_names:
            catalog.get(f"{service}:{name}")
    return _taken()


def peak() -> float:
    """What this process took at most, in MB, after a record of each changing operation of the listed services was explained."""
    for one in records():
        explanation.explain(one, ASSUMED).as_json()
    return _taken()


def _taken() -> float:
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return taken / (1024 * 1024 if sys.platform == "darwin" else 1024)
