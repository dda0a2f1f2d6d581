"""A sealed world beside a started local AWS, and the processes of a deployment acting in it: each with its own keys and role."""

from __future__ import annotations

import gc
import json
import logging.config
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.db import connections
from django.utils import timezone
from psycopg.pq import TransactionStatus

from approvals.models import Alert, ApprovalRequest, Attempt, AuditEntry, Execution, Revision
from config.environment import _database
from executor import aws, closing, errands, feed, inspect, reconcile, tasks
from executor.kept import Kept
from executor.sandbox.server import LocalAws
from executor.sandbox.world import DEMO, DemoWorldFacts
from executor.waiting import Patience
from tests.cast import Cast
from tests.executor.proxy import Wire

log = logging.getLogger(__name__)
PROJECT = Path(__file__).resolve().parents[2]
QUICK = Patience(first=0.03, longest=0.1, bound=3.0, to_the_end=3.0, again_after=0.03, shows=0.3)
USERS = {"feed": DEMO.feed_user, "delivery": DEMO.delivery_user, "execution": DEMO.execution_user}


@dataclass
class Stage:
    """What the tests of the executor stand on. Outside `acting` a test is the owner of the tables and has no AWS keys."""

    cast: Cast
    aws: LocalAws
    owner_url: str
    role_url: Callable[[str], str]
    endpoint: str = ""
    _acts_as: str = ""
    _environ: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def acting(self, process: str, *, keys_of: str = "") -> Iterator[None]:
        """As feed, delivery or execution: its database role, its IAM user's keys, its environment."""
        acted_as = self._acts_as
        with with_keys(self.aws, keys_of or USERS[process], self.endpoint):
            self._acts_as = self.role_url(process)
            connect_to(self._acts_as)
            try:
                yield
            finally:
                self._acts_as = acted_as
                connect_to(acted_as or self.owner_url)

    def execute(self) -> None:
        """The execution worker does what is due."""
        with self.acting("execution"):
            tasks.execute_due()

    def poll(self) -> int:
        """The feed takes in all that has happened; what is delivered by then is there at once, so nothing is waited for."""
        self.aws.wait_until_delivered()
        with self.acting("feed"):
            return feed.poll(wait=0)

    def read(self, request: ApprovalRequest) -> None:
        """The execution worker reads the targets of the current revision, unless it has, and freezes an unsigned draft."""
        if (revision := unread(request)) is not None:
            with self.acting("execution"):
                inspect.freeze(revision, inspect.observe(revision))

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """As the owner of the tables, in a session that nobody else has at the moment."""
        with _session_of_owner(self.owner_url) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def forge(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        """As the owner of the tables with every trigger switched off: the worst that a database can be done to."""
        with _session_of_owner(self.owner_url) as connection, connection.transaction():
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            connection.execute("; ".join(f"ALTER TABLE {table} DISABLE TRIGGER USER" for (table,) in tables))
            for statement, values in statements:
                connection.execute(statement, values)
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            connection.execute("; ".join(f"ALTER TABLE {table} ENABLE TRIGGER USER" for (table,) in tables))

    def lapse(self) -> None:
        """The leases of every lost worker run out, and every promise is due."""
        before = timezone.now() - timedelta(seconds=1)
        self.sql("UPDATE approvals_execution SET lease_until = %s WHERE lease_until IS NOT NULL", before)
        self.sql("UPDATE approvals_outboxmessage SET due_at = %s WHERE done_at IS NULL", before)

    def sweep(self, times: int = 3) -> None:
        """What the execution worker that comes next does, with every lease run out."""
        for _ in range(times):
            self.lapse()
            with self.acting("execution"):
                reconcile.sweep(patience=QUICK)
                tasks.execute_due()

    def resume(self) -> None:
        """Two administrators sign that executions go on, and the execution worker puts that in force."""
        resuming = self.cast.resuming("dana", "erin")
        with self.acting("execution"):
            closing.act_on(resuming.pk)

    def trail_refuses(self, kind: str) -> None:
        """From now on no entry of this kind can be written, until `trail_works`."""
        self.sql(
            f"""
            CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN IF NEW.kind = '{kind}' THEN RAISE EXCEPTION 'the disk is full'; END IF; RETURN NEW; END $$;
            CREATE TRIGGER broken BEFORE INSERT ON approvals_auditentry FOR EACH ROW EXECUTE FUNCTION broken();
            """
        )

    def trail_works(self) -> None:
        self.sql("DROP TRIGGER broken ON approvals_auditentry")

    def calls(self, operation: str = "DeleteTable") -> list[dict[str, Any]]:
        """What the executor's role was seen to call, allowed or not."""
        return [
            record
            for record in self.aws.records()
            if record["eventName"] == operation and record["userIdentity"]["type"] == "AssumedRole"
        ]

    def alerts(self) -> list[str]:
        return sorted(Alert.objects.values_list("kind", flat=True))

    def audit(self) -> list[str]:
        """The kinds of all entries of the trail, oldest first."""
        return list(AuditEntry.objects.order_by("sequence").values_list("kind", flat=True))

    def environment(self, process: str, **changes: str) -> dict[str, str]:
        """What a process of a deployment has in its environment; nobody listens at its broker unless `changes` names one."""
        key = self.aws.keys[USERS[process]]
        return {
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "COUNTERSIGN_PROCESS": process,
            "COUNTERSIGN_DEMO": "1",
            "COUNTERSIGN_ORIGIN": "https://localhost",
            "COUNTERSIGN_GENESIS": self.cast.genesis,
            "COUNTERSIGN_CLAIMS_BUCKET": DEMO.claims_bucket,
            "COUNTERSIGN_HOME_REGION": DEMO.region,
            "COUNTERSIGN_TOPIC_ARN": DEMO.topic_arn,
            "COUNTERSIGN_QUEUE_URL": DEMO.queue_url(self.endpoint or self.aws.endpoint_url),
            "DATABASE_URL": self.role_url(process),
            "REDIS_URL": "redis://127.0.0.1:9/0",
            "AWS_ENDPOINT_URL": self.endpoint or self.aws.endpoint_url,
            "AWS_ACCESS_KEY_ID": key["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": key["secret_access_key"],
            "AWS_DEFAULT_REGION": DEMO.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        } | changes

    def killed_at(self, point: str) -> None:
        """A worker, forked off this process, that kills itself with -9 at the point (`sent`, or `sent:2` the second time)."""
        _, status = os.waitpid(self._forked(f"kill:{point}"), 0)
        assert os.WIFSIGNALED(status), f"it did not get to {point}"
        assert os.WTERMSIG(status) == signal.SIGKILL

    def _forked(self, stop_at: str, says: int | None = None) -> int:
        """The id of a worker that was forked off this process and does what is due; what it says goes to the descriptor."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the threads of the local AWS hold no lock that a worker needs
            pid = os.fork()
        if pid:
            return pid
        code = 1
        leave_alone()
        # It lives for a moment: looking for garbage would only copy the memory that it shares.
        gc.disable()
        try:
            if says is not None:
                sys.stdout = sys.stderr = os.fdopen(says, "w", buffering=1)
                logging.config.dictConfig(settings.LOGGING)
                logging.getLogger().setLevel(logging.INFO)
            settings.STOP_AT = stop_at
            self.execute()
            code = 0
        except Exception:
            log.exception("the worker failed")
        finally:
            with suppress(Exception):
                sys.stdout.flush()
            os._exit(code)

    @contextmanager
    def celery(self, broker: str, *, stop_at: str = "") -> Iterator[subprocess.Popen[str]]:
        """A real Celery worker of the execution queue, with the environment of a deployment; killed whole at the end."""
        # As production starts it: nobody is asked who else is there. Celery looks for lost children every five seconds.
        argv = ["--quiet", "worker", "--queues", "execution", "--concurrency", "1"]
        argv += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        quick = "AsynPool.timers = property(lambda pool: {pool.maintain_pool: 0.1})"
        code = f"from celery.concurrency.asynpool import AsynPool; {quick}; from config.celery import app; app.start({argv!r})"
        more = {"REDIS_URL": broker, "COUNTERSIGN_STOP_AT": stop_at, "COUNTERSIGN_LOG_LEVEL": "INFO"}
        worker = subprocess.Popen(
            [sys.executable, "-c", code],
            env=self.environment("execution", **more),
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield worker
        finally:
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.communicate()

    @contextmanager
    def frozen_at(self, point: str) -> Iterator[Callable[[], str]]:
        """A worker, forked off this process, that stands still at the point.

        What is yielded thaws it and returns what it said until its end.
        """
        reads, writes = os.pipe()
        pid = self._forked(f"freeze:{point}", writes)
        os.close(writes)
        # Whatever it hangs of: after a minute it is no more.
        watch = threading.Timer(60, os.kill, (pid, signal.SIGKILL))
        watch.start()
        lives = True
        try:
            with os.fdopen(reads) as output:
                _, status = os.waitpid(pid, os.WUNTRACED)
                lives = os.WIFSTOPPED(status)
                assert lives, f"it did not get to {point}: {output.read()}"

                def thaw() -> str:
                    nonlocal lives
                    os.kill(pid, signal.SIGCONT)
                    said = output.read()
                    _, status = os.waitpid(pid, 0)
                    lives = False
                    assert status == 0, said
                    return said

                yield thaw
        finally:
            watch.cancel()
            if lives:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def unread(request: ApprovalRequest) -> Revision | None:
    """The request's current revision, unless its targets were read."""
    revision = Revision.objects.select_related("request__account").get(
        request=request, number=ApprovalRequest.objects.get(pk=request.pk).revision_number
    )
    return None if revision.observations.exists() else revision


def read(request: ApprovalRequest) -> None:
    """As `Stage.read`, by this process as it is: within `reading_tables`."""
    if (revision := unread(request)) is not None:
        inspect.freeze(revision, inspect.observe(revision))


@contextmanager
def with_keys(started: LocalAws, user: str, endpoint: str = "") -> Iterator[None]:
    """This process has an IAM user's keys in its environment, and the local AWS for AWS."""
    key, before = started.keys[user], dict(os.environ)
    os.environ.update(
        AWS_ENDPOINT_URL=endpoint or started.endpoint_url,
        AWS_ACCESS_KEY_ID=key["access_key_id"],
        AWS_SECRET_ACCESS_KEY=key["secret_access_key"],
        AWS_DEFAULT_REGION=DEMO.region,
    )
    who = _who()
    outer = _set_aside()
    _take_up(_processes.pop(who) if who in _processes else _nothing())
    try:
        yield
    finally:
        held = _set_aside()
        _take_up(outer)
        if _who() == who:
            _processes[who] = held
        else:  # a test has made it somebody else
            held.close()
        os.environ.clear()
        os.environ.update(before)


@dataclass(frozen=True)
class _Held:
    """What a process of a stage keeps while another acts, as a process of a deployment would: to make it anew is much of what a
    test costs."""

    base: dict[tuple[str, str], Any]
    boto: list[Any]
    readings: Kept[aws.Session]

    def close(self) -> None:
        """Close what it reads by, and the connections of its clients, which make new ones when they are asked again."""
        self.readings.clear()
        for client in self.base.values():
            client.close()


_processes: dict[tuple[Any, ...], _Held] = {}
# Where the local AWS of this process was last, and its users' keys: with both as they were, clients are good for the next one.
_last: tuple[int, dict[str, dict[str, str]]] = (0, {})


@contextmanager
def local_aws(facts: DemoWorldFacts) -> Iterator[LocalAws]:
    """A local AWS that settles quickly."""
    global _last  # noqa: PLW0603 - what one test's leaves to the next
    port, keys = _last
    try:
        started = LocalAws(facts, keys=keys, port=port, settle_seconds=0.1).start()
    except OSError:  # somebody else has taken the port meanwhile
        started = LocalAws(facts, keys=keys, settle_seconds=0.1).start()
    _last = (urlsplit(started.endpoint_url).port or 0, {**keys, **started.keys})
    try:
        yield started
    finally:
        started.stop()


_make_client = aws.client


def _who() -> tuple[Any, ...]:
    """Who acts now: by what clients are made of."""
    variables = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "HTTP_PROXY", "http_proxy", "AWS_CA_BUNDLE")
    configs = (repr(sorted(vars(one)["_user_provided_options"].items())) for one in (aws._AGAIN, aws._ONCE))
    return (*(os.environ.get(name) for name in variables), *configs, None if aws.client is _make_client else object())


def _nothing() -> _Held:
    return _Held({}, [], Kept(aws.Session.close, most=aws.MOST_READINGS))


def _set_aside() -> _Held:
    """Take away what the process that acted keeps."""
    found = _Held(dict(aws._base), list(aws._boto), aws._readings)
    aws._base.clear()
    aws._boto.clear()
    aws._readings = _nothing().readings
    return found


def _take_up(held: _Held) -> None:
    aws._base.update(held.base)
    aws._boto.extend(held.boto)
    aws._readings = held.readings


def forget_all() -> None:
    """As if every process of a stage had ended: no connection of theirs is left."""
    aws.forget()
    hang_up()
    kept = {f"http://127.0.0.1:{port}" for port in (_last[0], Wire.last) if port}
    for who, held in list(_processes.items()):
        held.close()
        if who[0] not in kept:
            del _processes[who]


_left_alone: list[Any] = []


def leave_alone() -> None:
    """In a process that was forked off: make connections anew. The other's are not closed, which would end them there too."""
    _left_alone.extend((connections["default"].connection, dict(_connections), dict(_processes), dict(aws._base), aws._readings))
    connections["default"].connection = None
    _connections.clear()
    _processes.clear()
    aws._base.clear()
    aws._readings = _nothing().readings


@contextmanager
def reading_tables(tables: Iterable[str]) -> Iterator[None]:
    """This process reads as the execution worker does, in a local AWS with these tables and little else; its database is kept."""
    facts = replace(DEMO, tables=tuple(tables), databases={}, key_aliases=(), buckets=(), instances=(), secrets=())
    with LocalAws(facts) as started:
        with with_keys(started, DEMO.execution_user):
            yield
        forget_all()


def connect_to(url: str) -> None:
    """Point Django's connection of this and every new thread at a database, as a role.

    This thread's former connection is kept for when it comes back, as a process of a deployment keeps its own: to sign in and to
    plan every statement anew is much of what a test costs.
    """
    place, django = _database(url), connections["default"]
    lost = django.connection is None or django.connection.closed or django.in_atomic_block
    if lost or django.connection.info.transaction_status is not TransactionStatus.IDLE:
        django.close()
    else:
        _connections[_whose(django.settings_dict)], django.connection = django.connection, None
    django.settings_dict.update(HOST=place.host, PORT=place.port, NAME=place.name, USER=place.user, PASSWORD=place.password)
    django.connection = _connections.pop(_whose(django.settings_dict), None)


_connections: dict[tuple[Any, ...], Any] = {}


@contextmanager
def _session_of_owner(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A session apart from Django's, kept for the next unless it was lost or something is left open in it."""
    key = ("owner", url)
    connection = _connections.pop(key, None) or psycopg.connect(url, autocommit=True)
    try:
        yield connection
    finally:
        lost = connection.closed or connection.info.transaction_status is not TransactionStatus.IDLE
        if lost or _connections.setdefault(key, connection) is not connection:
            connection.close()


def _whose(given: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(given[name] for name in ("HOST", "PORT", "NAME", "USER"))


def hang_up() -> None:
    """Close the connections that are kept for those who do not act now."""
    while _connections:
        _connections.popitem()[1].close()


def inbox(stage: Stage) -> list[dict[str, Any]]:
    """The SNS envelopes that the topic delivered."""
    with stage.acting("delivery", keys_of="mallory"):
        url = DEMO.queue_url(stage.aws.endpoint_url, DEMO.inbox)
        found: list[dict[str, Any]] = []
        while got := errands.receive(url, region=DEMO.region, wait=0):
            found += [json.loads(message.body) for message in got]
            errands.delete(url, got, region=DEMO.region)
        aws.forget()
    return found


def fresh(execution: Execution) -> Execution:
    """The same execution, read anew."""
    return Execution.objects.get(pk=execution.pk)


def attempts(execution: Execution) -> list[str]:
    return list(Attempt.objects.filter(execution=execution).order_by("step", "number").values_list("state", flat=True))
