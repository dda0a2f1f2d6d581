"""From the click on Approve to the call on the wire (G6), and what a client costs a call (G7).

The real path: gunicorn, Valkey, a Celery worker of each process, PostgreSQL with its own roles, the local AWS over HTTP; as the
demo starts them. A click is the POST that carries a signed approval; the wire is the moment at which the local AWS has received
the approved call. Beside it, in the same rounds, the least that any such portal would do: a ping of the same web process, a bare
hop through Celery on the same broker, the statements of the two transactions (the decision's and the claim's) in plain SQL, and
the same AWS calls, bare, by reused boto3 clients.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import boto3
import psycopg
import redis
import requests
from botocore.config import Config

from executor.demo.launch import Launch, remove
from executor.demo.state import held
from executor.demo.supervisor import Supervisor
from executor.demo.visitor import Visitor
from executor.demo.world import PROJECT, DemoWorld
from executor.sandbox.world import DEMO
from tests.benchmarks.lines import ROUNDS, line

# Clicks in a round, and how often each part of the reference is done in one.
CLICKS, AGAIN = 4, 12
TABLE, OPERATION = "prod-customers", "dynamodb:UpdateTable"
HOP = "tests.benchmarks.hop"


def lines() -> Iterator[str]:
    """One line a goal."""
    with world() as (found, listen):
        yield from _click_to_wire(found, listen)
        yield _client_set_up(found)


@contextmanager
def world() -> Iterator[tuple[DemoWorld, Callable[[], None]]]:
    """The demo's processes in a folder of their own, without its story; Django is set up as the owner of its tables.

    What is yielded beside it reads what they have said meanwhile: a process whose words nobody reads stands still in the end.
    """
    path = Path(tempfile.mkdtemp(prefix="countersign-bench-"))
    path.chmod(0o711)
    with ExitStack() as stack:
        stack.callback(remove, path)
        state = stack.enter_context(held(path))
        silence = stack.enter_context(Path(os.devnull).open("w"))
        supervisor = stack.enter_context(Supervisor(silence, state.log))
        found = Launch(state, supervisor, lambda _: None).up()
        os.environ.update(found.owner_environ)
        import django

        django.setup()
        yield found, lambda: _listen(supervisor)


def _listen(supervisor: Supervisor) -> None:
    over = iter((False, True))
    supervisor.follow(lambda: next(over))


# --- G6 ---


@dataclass
class Round:
    """Seconds: of each click until its call was on the wire, and of the parts of the reference."""

    clicks: list[float] = field(default_factory=list)
    parts: dict[str, list[float]] = field(default_factory=dict)

    @property
    def reference(self) -> float:
        return sum(statistics.median(one) for one in self.parts.values())

    @property
    def ratio(self) -> float:
        return statistics.median(self.clicks) / self.reference


def _click_to_wire(found: DemoWorld, listen: Callable[[], None]) -> Iterator[str]:
    path = Clicks(found, listen)
    reference = Reference(found, path)
    try:
        for _ in range(3):
            path.click()
        reference.learn()
        rounds = []
        for _ in range(ROUNDS):
            one = Round()
            one.clicks = [path.click() for _ in range(CLICKS)]
            one.parts = {name: [_timed(part) for _ in range(AGAIN)] for name, part in reference.parts.items()}
            rounds.append(one)
    finally:
        reference.close()
        path.close()
    clicks = sorted(click * 1000 for one in rounds for click in one.clicks)
    parts = {name: statistics.median(s for one in rounds for s in one.parts[name]) * 1000 for name in rounds[0].parts}
    more = f"p50 {statistics.median(clicks):.0f} ms, p99 {clicks[min(len(clicks) - 1, int(len(clicks) * 0.99))]:.0f} ms; "
    more += " + ".join(f"{name} {ms:.1f}" for name, ms in parts.items()) + f" ms; {reference.counts}"
    ratios = [one.ratio for one in rounds]
    yield line("click on approve to the call on the wire", ratios, 2, "x the bare parts", at_most=True, digits=2, more=more)


class Clicks:
    """The real path: alice has filed and confirmed, bob's browser sends the signed approval."""

    def __init__(self, found: DemoWorld, listen: Callable[[], None]) -> None:
        self._world, self._listen = found, listen
        self._alice, self._bob = Visitor(found.web_url, "alice"), Visitor(found.web_url, "bob")
        self._alice.sign_in(), self._bob.sign_in()
        self._sql = psycopg.connect(found.owner_url, autocommit=True)
        self._units = 10
        self.last: list[tuple[float, str, str]] = []

    def close(self) -> None:
        self._sql.close()

    def pending(self) -> str:
        """The id of a request that alice has signed."""
        alice = self._alice
        self._units += 1
        page = alice.get(
            f"/admin/approvals/approvalrequest/file/?place={self._world.account}/{self._world.region}&operation={OPERATION}"
        )
        typed = {
            "p.TableName": TABLE,
            "p.BillingMode": "PROVISIONED",
            "p.ProvisionedThroughput.ReadCapacityUnits": str(self._units),
            "p.ProvisionedThroughput.WriteCapacityUnits": "5",
        }
        filed = alice.post(page.form(having="p.TableName"), page, **typed)
        request = filed.url.rstrip("/").split("/")[-2]
        self._until(
            "UPDATE approvals_outboxmessage SET attempts = attempts WHERE kind = 'inspect' AND done_at IS NULL", empty=True
        )
        alice.confirm(request, "More is read than before.")
        return request

    def click(self) -> float:
        """Seconds from the click to the wire, with nothing else under way."""
        self._listen()
        request, bob = self.pending(), self._bob
        page = bob.get(bob.address(request, "decide"))
        asked = bob.post(page.form(having="digest"), page, verdict="approve", reason="The numbers fit.")
        form = asked.form(having="nonce")
        self._until("SELECT 1 FROM approvals_outboxmessage WHERE done_at IS NULL AND due_at <= now()", empty=True)
        data = form.fields | {"sign_with": "software"}
        clicked = time.time()
        answer = bob.session.post(asked.url, data=data, headers={"Referer": asked.url}, timeout=20, allow_redirects=False)
        assert answer.status_code == 302, answer.text[:2000]
        state = (
            "SELECT state FROM approvals_execution e JOIN approvals_revision r ON r.id = e.revision_id WHERE r.request_id = %s"
        )
        self._until(f"SELECT 1 FROM ({state}) x WHERE state = 'succeeded'", request, empty=False)
        self.last = [
            (at, operation, caller)
            for at, operation, caller in self.arrivals()
            if at >= clicked and (f"role/{DEMO.executor_role}/" in caller or caller.endswith(f"/{DEMO.execution_user}"))
        ]
        return next(at for at, operation, _ in self.last if operation == OPERATION) - clicked

    def arrivals(self) -> list[tuple[float, str, str]]:
        """What came in at the local AWS: when, what, of whom."""
        found = requests.get(f"{self._world.aws_endpoint}/_sandbox/arrivals", timeout=10).json()
        return [(float(at), str(operation), str(caller)) for at, operation, caller in found]

    def _until(self, statement: str, *values: Any, empty: bool) -> None:
        end = time.monotonic() + 30
        while bool(self._rows(statement, values)) == empty:
            assert time.monotonic() < end, statement
            time.sleep(0.02)

    def _rows(self, statement: str, values: tuple[Any, ...]) -> Any:
        cursor = self._sql.execute(statement, values)
        return cursor.fetchall() if cursor.description else cursor.rowcount


class Reference:
    """The parts, each a callable that does it once."""

    def __init__(self, found: DemoWorld, path: Clicks) -> None:
        self._world, self._path = found, path
        self._ping = requests.Session()
        self._ping.trust_env = False
        self._hop = _Hop(found)
        self._sql = psycopg.connect(found.owner_url)
        self._calls: list[Callable[[], Any]] = []
        self._statements: list[list[tuple[str, Any]]] = []
        self.parts: dict[str, Callable[[], object]] = {}
        self.counts = ""

    def close(self) -> None:
        self._hop.close()
        self._sql.close()

    def learn(self) -> None:
        """What the real path has just done: which AWS calls up to the approved one, and which statements."""
        names = [operation for _, operation, _ in self._path.last]
        names = names[: names.index(OPERATION) + 1]
        bare = _bare_calls(self._world)
        self._calls = [bare[name] for name in names]
        self._statements = _statements_of(self._path.pending(), self._world)
        self._sql.execute(
            "CREATE TEMPORARY TABLE bare (id bigserial PRIMARY KEY, a uuid, b text, c text, d text, e timestamptz, f int, g text)"
        )
        self._sql.execute("INSERT INTO bare (a, b) VALUES (gen_random_uuid(), 'x')")
        self._sql.commit()
        self.parts = {"ping": self._pinged, "hop": self._hop.there, "SQL": self._transactions, "AWS": self._called}
        reads, writes = zip(*(_kinds(one) for one in self._statements), strict=True)
        self.counts = (
            f"the two transactions: {reads[0]} reads and {writes[0]} writes, {reads[1]} and {writes[1]}; "
            f"the calls: {', '.join(name.partition(':')[2] for name in names)}"
        )

    def _pinged(self) -> object:
        return self._ping.get(f"{self._world.web_url}/healthz", timeout=10).status_code

    def _transactions(self) -> None:
        """The reads word by word; for each write one to a table of the same width, for one of the trail three."""
        for statements in self._statements:
            for statement, values in statements:
                if _is_read(statement):
                    self._sql.execute(statement, values).fetchall()
                    continue
                for verb in ("UPDATE", "INSERT", "UPDATE") if "audit_append" in statement else (statement.split(None, 1)[0],):
                    if verb == "INSERT":
                        self._sql.execute(
                            "INSERT INTO bare (a, b, c, d, e, f, g) VALUES (%s, %s, %s, %s, now(), 1, %s)",
                            (uuid4(), "x" * 64, "x" * 64, "x" * 200, "x" * 500),
                        )
                    else:
                        self._sql.execute("UPDATE bare SET c = %s, e = now() WHERE id = 1", ("x" * 64,))
            self._sql.commit()

    def _called(self) -> None:
        for call in self._calls:
            call()


def _is_read(statement: str) -> bool:
    return statement.lstrip("( \n").upper().startswith(("SELECT", "WITH")) and "audit_append" not in statement


def _kinds(statements: list[tuple[str, Any]]) -> tuple[int, int]:
    reads = sum(_is_read(statement) for statement, _ in statements)
    return reads, len(statements) - reads


def _statements_of(request_id: str, found: DemoWorld) -> list[list[tuple[str, Any]]]:
    """What the decision and the claim say to the database, learnt from both in a transaction that is taken back."""
    import json

    from django.conf import settings
    from django.db import connection, transaction
    from django.utils import timezone

    from approvals import decisions
    from approvals.models import ApprovalRequest, Execution, Person
    from approvals.states import Verdict
    from executor import claim, drift
    from portal import software_authenticator

    settings.GENESIS = found.owner_environ["COUNTERSIGN_GENESIS"]
    keys = json.loads(found.authenticators.read_text())["bob"]
    said: list[list[tuple[str, Any]]] = [[], []]

    def noting(which: int) -> Callable[..., Any]:
        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if not sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK", "SET")):
                said[which].append((sql, params))
            return execute(sql, params, many, context)

        return note

    bob = Person.objects.get(handle="bob")
    revision = ApprovalRequest.objects.get(pk=request_id).current_revision()
    readings = _read_before(revision.plan, found)
    looked = drift.look

    # No call is made while a transaction is open, and this one is: what the claim goes by was read before it.
    def seen(execution_id: UUID) -> drift.Look | None:
        return drift.Look(revision.digest, timezone.now(), readings)

    drift.look = seen
    try:
        with transaction.atomic():
            opened = decisions.begin(request_id, bob, Verdict.APPROVE)  # type: ignore[arg-type]
            assertion = software_authenticator.assertion(keys["credential_id"], keys["private_key"], opened)
            with connection.execute_wrapper(noting(0)):
                decisions.review(
                    request_id,  # type: ignore[arg-type]
                    bob,
                    digest=opened.digest,
                    verdict=Verdict.APPROVE,
                    nonce=opened.nonce,
                    assertion=assertion,
                    reason="The numbers fit.",
                )
            execution = Execution.objects.get(revision__request__pk=request_id)
            with connection.execute_wrapper(noting(1)):
                assert isinstance(claim.take(execution.pk), claim.Cleared)
            transaction.set_rollback(True)
    finally:
        drift.look = looked
        connection.close()
    return said


def _read_before(plan: Any, found: DemoWorld) -> dict[int, Any]:
    """What AWS says of the plan's targets, read as the execution worker reads them."""
    from executor import aws, drift

    _as_the_worker(found)
    account = drift.account_of(plan)
    readings = {index: drift.read(plan, account, step) for index, step in enumerate(plan.steps)}
    aws.forget()
    return readings


def _as_the_worker(found: DemoWorld) -> None:
    """This process calls AWS with the execution worker's keys from here on."""
    key = found.keys[DEMO.execution_user]
    os.environ.update(
        AWS_ENDPOINT_URL=found.aws_endpoint,
        AWS_ACCESS_KEY_ID=key.access_key_id,
        AWS_SECRET_ACCESS_KEY=key.secret_access_key,
        AWS_DEFAULT_REGION=found.region,
        AWS_EC2_METADATA_DISABLED="true",
    )


def _bare_calls(found: DemoWorld) -> dict[str, Callable[[], Any]]:
    """The calls of the path by clients that are made once, with the same keys and sessions as the path's."""
    key = found.keys[DEMO.execution_user]
    own = {"aws_access_key_id": key.access_key_id, "aws_secret_access_key": key.secret_access_key}
    sts, s3 = _client(found, "sts", **own), _client(found, "s3", **own)
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["dynamodb:UpdateTable","dynamodb:DescribeTable"],'
        f'"Resource":["{DEMO.table_arn(TABLE)}"]}}]}}'
    )
    asked = {
        "RoleArn": DEMO.executor_role_arn,
        "RoleSessionName": "countersign-step-1",
        "ExternalId": DEMO.external_id,
        "SourceIdentity": str(uuid4()),
        "DurationSeconds": 900,
        "Policy": policy,
        "Tags": [{"Key": "countersign:request", "Value": str(uuid4())}],
    }
    given = sts.assume_role(**asked)["Credentials"]
    session = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    table, who = _client(found, "dynamodb", **session), _client(found, "sts", **session)
    units = iter(range(1000, 100_000))

    def update() -> None:
        throughput = {"ReadCapacityUnits": next(units), "WriteCapacityUnits": 5}
        table.update_table(TableName=TABLE, BillingMode="PROVISIONED", ProvisionedThroughput=throughput)

    def put() -> None:
        s3.put_object(
            Bucket=DEMO.claims_bucket,
            Key=f"claims/bench/{uuid4()}",
            Body=b"x" * 500,
            IfNoneMatch="*",
            ObjectLockMode="COMPLIANCE",
            ObjectLockRetainUntilDate=datetime.now(UTC) + timedelta(days=DEMO.claims_days),
            ChecksumAlgorithm="SHA256",
        )

    return {
        "sts:AssumeRole": lambda: sts.assume_role(**asked),
        "sts:GetCallerIdentity": who.get_caller_identity,
        "dynamodb:DescribeTable": lambda: table.describe_table(TableName=TABLE),
        "s3:PutObject": put,
        "s3:ListObjectVersions": lambda: s3.list_object_versions(Bucket=DEMO.claims_bucket, Prefix="claims/none/"),
        OPERATION: update,
    }


def _client(found: DemoWorld, service: str, **keys: str) -> Any:
    make: Any = boto3.client
    return make(
        service,
        endpoint_url=found.aws_endpoint,
        region_name=found.region,
        config=Config(retries={"total_max_attempts": 1}),
        **keys,
    )


class _Hop:
    """A Celery worker of its own on the same broker, with the product's settings and one task that only tells the time."""

    def __init__(self, found: DemoWorld) -> None:
        self._redis = redis.Redis.from_url(found.redis_url, socket_timeout=60)
        environ = {**os.environ, "REDIS_URL": found.redis_url, "PYTHONPATH": str(PROJECT)}
        argv = [sys.executable, "-m", "celery", "--quiet", "--app", HOP, "worker", "--queues", "bench", "--concurrency", "1"]
        argv += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR", "--hostname", "bench@here"]
        self._worker = subprocess.Popen(
            argv, env=environ, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        os.environ["REDIS_URL"] = found.redis_url
        from tests.benchmarks import hop

        self._task = hop.told
        for _ in range(5):
            self.there()

    def there(self) -> float:
        """Seconds from sending to the task's first line."""
        sent = time.time()
        self._task.apply_async(queue="bench")
        answer: Any = self._redis.blpop(["bench-told"], timeout=30)
        assert answer, "the bare worker does not answer"
        return float(answer[1]) - sent

    def close(self) -> None:
        self._worker.kill()
        self._worker.wait()
        self._redis.close()


def _timed(part: Callable[[], object]) -> float:
    began = time.perf_counter()
    said = part()
    return said if isinstance(said, float) else time.perf_counter() - began


# --- G7 ---


def _client_set_up(found: DemoWorld) -> str:
    """A look at a table as the executor makes it, every time anew from account, policy and step, beside a reused client."""
    from approvals.authority import KnownAccount
    from executor import aws

    _as_the_worker(found)

    account = KnownAccount(found.account, "aws", (found.region,), DEMO.executor_role_arn, DEMO.external_id)
    policy = aws.session_policy([aws.Allowed(["dynamodb:DescribeTable"], [DEMO.table_arn(TABLE)])])
    bare = _bare_calls(found)["dynamodb:DescribeTable"]

    def ours() -> None:
        aws.reading(account, policy, region=found.region).read("dynamodb", "DescribeTable", {"TableName": TABLE})

    ours()
    bare()
    ratios = []
    for _ in range(ROUNDS):
        mine, others = [], []
        for _ in range(60):
            mine.append(_timed(ours))
            others.append(_timed(bare))
        ratios.append(statistics.median(mine) / statistics.median(others))
    aws.forget()
    return line("client set-up a call", ratios, 1.1, "x a reused boto3 client", at_most=True, digits=2)
