"""What every step of the story uses: browsers and AWS clients, looks into the database, waiting, and saying how it went."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import boto3
import psycopg
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from psycopg.rows import dict_row

from executor.demo.errors import DemoError
from executor.demo.visitor import Visitor
from executor.demo.world import DemoWorld

PATIENCE = 30.0
T = TypeVar("T")
Row = dict[str, Any]


class DidNotHold(DemoError):
    """A step of the story did not happen as it should."""


class Teller:
    """The people, their clients, and what they have found out so far. `requests` are the ids of requests by a name."""

    def __init__(self, world: DemoWorld) -> None:
        self.world = world
        self.said = ""
        self._begun = self.asked_at = time.monotonic()
        self._people: dict[str, Visitor] = {}
        self._clients: dict[tuple[str, str], Any] = {}
        self.requests: dict[str, str] = {}

    def close(self) -> None:
        """Close every connection."""
        for visitor in self._people.values():
            visitor.session.close()
        for client in self._clients.values():
            client.close()

    def ok(self, point: int, sentence: str) -> None:
        """One printed line: the point of the story, what held, the seconds since the beginning."""
        self.said = sentence
        print(f"ok  {point}  {sentence}  [{time.monotonic() - self._begun:.1f} s]", flush=True)

    def aws(self, user: str, service: str = "dynamodb") -> Any:
        """A client of the service with this IAM user's keys, as any program would make one."""
        if (user, service) not in self._clients:
            key = self.world.keys[user]
            make: Any = boto3.client
            self._clients[user, service] = make(
                service,
                endpoint_url=self.world.aws_endpoint,
                region_name=self.world.region,
                aws_access_key_id=key.access_key_id,
                aws_secret_access_key=key.secret_access_key,
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self._clients[user, service]

    def denied(self, user: str, operation: str, **parameters: Any) -> None:
        """Make a call that AWS must deny explicitly, in DynamoDB's own format."""
        self.denied_by("dynamodb", "AccessDeniedException", user, operation, **parameters)

    def denied_by(self, service: str, code: str, user: str, operation: str, **parameters: Any) -> None:
        """Make a call that the service must deny explicitly, with its own code for it."""
        try:
            getattr(self.aws(user, service), operation)(**parameters)
        except ClientError as error:
            said = error.response["Error"]
            must(said["Code"] == code and "explicit deny" in said["Message"], f"AWS said {said}")
            return
        raise DidNotHold(f"{user}'s {operation} was not denied")

    def person(self, handle: str) -> Visitor:
        """This person's browser, signed in."""
        if handle not in self._people:
            self._people[handle] = Visitor(self.world.web_url, handle)
            page = self._people[handle].sign_in()
            must(page.status == 200, f"{handle} cannot sign in: {page.status} {page.text[:200]}")
        return self._people[handle]

    def record(self, name: str, fate: str, other_than: str = "") -> Row | None:
        """The kept CloudTrail record of an operation with this fate, not of the request `other_than` names."""
        return self.one(
            "SELECT raw, request_id, received_at, event_time FROM approvals_trailrecord "
            "WHERE event_name = %s AND fate = %s AND request_id::text <> %s",
            name,
            fate,
            self.requests.get(other_than, ""),
        )

    def state_is(self, request: str, state: str) -> None:
        """Raise DidNotHold unless the request is in this state now."""
        found = self.one_row("SELECT state FROM approvals_approvalrequest WHERE id = %s", request)["state"]
        must(found == state, f"the request is {found}, not {state}")

    def told(self, subject: str) -> None:
        """The inbox process of the demo printed the notification that the topic delivered."""
        log = Path(self.world.state) / "logs" / "inbox.log"
        self.wait(f"the notification {subject!r}", lambda: log.exists() and subject in log.read_text("utf-8", "replace"))

    def trail(self) -> list[Row]:
        """Every CloudTrail record that the local AWS has made."""
        answer = requests.get(f"{self.world.aws_endpoint}/_sandbox/records", timeout=10)
        found: list[Row] = answer.json()
        return found

    def calls_of(self, execution: str) -> list[Row]:
        """CloudTrail's records of what was changed under an execution's source identity, oldest first."""
        return [one for one in self.trail() if _source_identity(one) == execution and not one["readOnly"]]

    def ended(self, name: str) -> Row | None:
        """How the execution of a request ended, or None while it has not."""
        return self.one(
            "SELECT e.id, e.state, e.outcome FROM approvals_execution e JOIN approvals_revision r ON r.id = e.revision_id "
            "WHERE r.request_id = %s AND e.state IN ('succeeded', 'failed', 'aborted', 'unknown')",
            self.requests[name],
        )

    def proven(self, execution: str) -> int:
        """How many of an execution's calls CloudTrail has proven."""
        proofs = (
            "SELECT count(*) AS n FROM approvals_proof p JOIN approvals_attempt a ON a.id = p.attempt_id "
            "WHERE a.execution_id = %s"
        )
        return int(self.one_row(proofs, execution)["n"])

    def manage(self, *arguments: str, as_execution: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command of manage.py as the owner, or as the execution process."""
        argv = [self.world.python, "manage.py", *arguments]
        environ = dict(self.world.execution_environ if as_execution else self.world.owner_environ)
        return subprocess.run(argv, cwd=self.world.project, env=environ, capture_output=True, text=True, timeout=120, check=False)

    def wait(self, what: str, probe: Callable[[], T | None]) -> T:
        """Ask until there is an answer; raise DidNotHold after PATIENCE seconds."""
        end = time.monotonic() + PATIENCE
        while not (found := probe()):
            if time.monotonic() > end:
                raise DidNotHold(f"waited {PATIENCE:.0f} s for {what}")
            time.sleep(0.1)
        return found

    def one(self, query: str, *values: Any) -> Row | None:
        """The first row of a query as the owner, or None."""
        with psycopg.connect(self.world.owner_url, row_factory=dict_row) as connection:
            return connection.execute(query, values).fetchone()

    def one_row(self, query: str, *values: Any) -> Row:
        """The first row of a query that must find one."""
        return self.one(query, *values) or fail(f"nothing found by {query}")

    def count(self, query: str) -> int:
        """The number that a query names `n`."""
        return int(self.one_row(query)["n"])


def must(holds: bool, otherwise: str) -> None:
    """Raise DidNotHold, saying what was found instead, unless it holds."""
    if not holds:
        fail(otherwise)


def fail(why: str) -> NoReturn:
    """Raise DidNotHold."""
    raise DidNotHold(why)


def _source_identity(record: Row) -> str:
    return str(record["userIdentity"].get("sessionContext", {}).get("sourceIdentity", ""))
