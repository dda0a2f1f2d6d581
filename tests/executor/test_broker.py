"""Rows 24 and 25 of the security design: whoever can write to the broker gets nothing done, and stops nobody for long.

A real Valkey and a real Celery worker of the execution queue, with its own database role and keys, beside the local AWS.
"""

from __future__ import annotations

import os
import pickle
import random
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from approvals import audit
from approvals.models import Attempt, Execution
from config import celery as configured
from tests.executor.broker import QUEUE, TASK, Broker, Process, beat, broker, message, until, worker
from tests.executor.stage import Stage, fresh

MARK = "somebody-elses-code-ran"


@pytest.fixture(scope="module")
def valkey() -> Iterator[Broker]:
    with broker() as made:
        yield made


@pytest.fixture
def execution_worker(stage: Stage, valkey: Broker, tmp_path: Path) -> Iterator[Process]:
    valkey.flush()
    with worker(stage, valkey, tmp_path) as made:
        yield made


class Gadget:
    """What pickle would run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def forged(folder: Path) -> dict[str, list[bytes | dict[str, Any]]]:
    """Messages that nobody here sends, by what is wrong with them."""
    gadget = b64encode(pickle.dumps([[Gadget(folder / MARK)], {}, {}])).decode()
    signature: dict[str, Any] = {
        "task": TASK,
        "args": [],
        "kwargs": {},
        "options": {"queue": QUEUE},
        "subtask_type": None,
        "immutable": True,
    }
    yaml = b64encode(f"!!python/object/apply:pathlib.Path.touch [{folder / MARK}]".encode()).decode()
    whole = message()
    return {
        "no message at all": [b"", b"\0\xff\xfe\x80garbage", b"null", b"[]", b"1e999", b'"text"', b"{}", b"[" * 100_000],
        "a pickle where JSON is": [pickle.dumps(Gadget(folder / MARK))],
        "parts are missing": [
            {name: value for name, value in whole.items() if name != gone} for gone in ("body", "headers", "properties")
        ],
        "parts are of another kind": [
            whole | {"headers": "executor"},
            whole | {"headers": {"task": ["executor"]}},
            whole | {"headers": {"task": TASK, "id": {}}},
            whole | {"properties": None},
            whole | {"body": 7},
            whole | {"body": "&&&"},
        ],
        "pickle and yaml are named": [
            whole | {"content-type": "application/x-python-serialize", "content-encoding": "binary", "body": gadget},
            whole | {"content-type": "application/x-yaml", "body": yaml},
            whole | {"content-encoding": "rot13"},
        ],
        "compressed": [message(headers={"compression": "application/x-gzip"}), message(headers={"compression": "zstd"})],
        "tasks that nobody has": [message("executor.tasks.delete_everything"), message("os.system", args=["true"]), message("")],
        "Celery's own tasks": [
            message(f"celery.{name}", args=[[1]])
            for name in ("map", "starmap", "chunks", "group", "chain", "chord", "chord_unlock", "accumulate", "backend_cleanup")
        ],
        "another process's task": [message(name) for name, queue in configured.QUEUES.items() if queue != QUEUE],
        "arguments": [
            message(args=["11111111-1111-1111-1111-111111111111", {"force": True}]),
            message(kwargs={"self": 1, "task_id": 2, "request": {}, "patience": 0, "__class__": "x", "execution_id": "all"}),
            message(args={"a": 1}),
        ],
        "callbacks, chains, chords": [
            message(embed={"callbacks": [signature], "errbacks": [signature], "chain": [signature], "chord": signature}),
            message(headers={"group": "g", "root_id": "r", "parent_id": "p", "replaced_task_nesting": 9, "stamps": {"a": ["b"]}}),
        ],
        "times and limits": [
            message(headers={"timelimit": [0.001, 0.001]}),
            message(headers={"eta": "2999-01-01T00:00:00+00:00"}),
            message(headers={"eta": "yesterday"}),
            message(headers={"expires": "never"}),
            message(headers={"expires": "1999-01-01T00:00:00+00:00"}),
            message(headers={"expires": 10**400}),
            message(headers={"retries": -5, "ignore_result": False, "shadow": "executor.tasks.reconcile"}),
        ],
        "where answers go": [message(properties={"reply_to": "execution", "correlation_id": "x" * 10_000, "delivery_tag": None})],
        "huge": [message(kwargs={"x": "y" * 20_000_000}), b"x" * 20_000_000],
        "the first protocol": [{"task": TASK, "id": "1", "args": [1], "kwargs": {}}, whole | {"headers": {}}],
    }


def settled(execution: Execution, process: Process) -> None:
    until("the execution succeeded", lambda: fresh(execution).state == "succeeded", process)


def drained(valkey: Broker, process: Process, *, after: str = "all that was sent") -> None:
    until(f"nothing waits after {after}", lambda: not valkey.waiting() and not valkey.unacknowledged(), process, seconds=60)


def test_row_24_forged_messages_do_nothing_and_stop_nobody(
    stage: Stage, valkey: Broker, execution_worker: Process, tmp_path: Path
) -> None:
    """Whatever lies on the queue: no call that was not signed, no code of somebody else's, and the worker goes on."""
    pending = stage.cast.pending(TableName="prod-customers")
    for kind, messages in forged(tmp_path).items():
        valkey.push(*messages)
        drained(valkey, execution_worker, after=kind)
        assert (stage.calls(), Attempt.objects.count(), pending.request_state) == ([], 0, "pending"), kind
    assert not (tmp_path / MARK).exists()
    execution = stage.cast.approved()
    valkey.push(message())
    settled(execution, execution_worker)
    assert (len(stage.calls()), Attempt.objects.count()) == (1, 1)
    assert execution_worker.lives()
    assert audit.verify().holds


def test_row_24_a_message_repeated_and_shuffled_a_hundred_times_is_one_effect(
    stage: Stage, valkey: Broker, tmp_path: Path
) -> None:
    """The same message, others, in any order, at several workers: each approved plan is one call."""
    valkey.flush()
    executions = [stage.cast.approved(TableName=table) for table in ("prod-orders", "prod-customers")]
    same = message()
    messages = [same] * 100 + [message() for _ in range(50)] + [message("executor.tasks.reconcile") for _ in range(10)]
    random.Random(24).shuffle(messages)  # noqa: S311 - the same order every time
    with worker(stage, valkey, tmp_path, concurrency=2) as one, worker(stage, valkey, tmp_path) as other:
        valkey.push(*messages)
        for execution in executions:
            settled(execution, one)
        drained(valkey, other)
        assert one.lives()
        assert other.lives()
    assert len(stage.calls()) == Attempt.objects.count() == 2


def test_row_24_a_message_replayed_later_finds_nothing_to_do(stage: Stage, valkey: Broker, execution_worker: Process) -> None:
    """What was sent once to carry out an approval is sent again when that is done, denied or not yet approved."""
    execution = stage.cast.approved()
    kept = message(headers={"expires": "2999-01-01T00:00:00+00:00"})
    valkey.push(kept)
    settled(execution, execution_worker)
    stage.cast.pending(TableName="prod-customers")
    valkey.push(*[kept] * 20)
    drained(valkey, execution_worker)
    assert len(stage.calls()) == Attempt.objects.count() == 1


def test_row_24_what_is_approved_is_carried_out_although_the_broker_is_flushed(
    stage: Stage, valkey: Broker, execution_worker: Process, tmp_path: Path
) -> None:
    """Every message is lost, again and again: the sweep finds the promise in the database."""
    execution = stage.cast.approved()
    valkey.push(message())
    valkey.flush()
    with beat(stage, valkey, tmp_path):
        for _ in range(10):
            valkey.flush()
            time.sleep(0.1)
        settled(execution, execution_worker)
    assert len(stage.calls()) == 1


def test_row_24_what_is_approved_is_carried_out_although_the_broker_is_killed(
    stage: Stage, valkey: Broker, execution_worker: Process, tmp_path: Path
) -> None:
    """kill -9 of the broker and a new start: workers and clock come back by themselves, and nothing is done twice."""
    with beat(stage, valkey, tmp_path):
        valkey.kill()
        try:
            execution = stage.cast.approved()
            time.sleep(1.5)
            assert (stage.calls(), execution_worker.lives()) == ([], True)
        finally:
            valkey.start()
        settled(execution, execution_worker)
    assert len(stage.calls()) == Attempt.objects.count() == 1


def test_row_24_chaos_at_the_broker_has_one_effect_for_each_approval(stage: Stage, valkey: Broker, tmp_path: Path) -> None:
    """Flushed, killed, flooded and fed forgeries in any order, round after round: each approved plan is one call, in the end."""
    chance = random.Random(245)  # noqa: S311 - the same chaos every time
    rubbish = [one for kind, messages in forged(tmp_path).items() if kind != "huge" for one in messages]

    def killed() -> None:
        valkey.kill()
        valkey.start()

    def flooded() -> None:
        valkey.push(*chance.sample(rubbish, 10), *[message() for _ in range(20)])

    valkey.flush()
    with worker(stage, valkey, tmp_path, concurrency=2) as process, beat(stage, valkey, tmp_path):
        for number in range(int(os.environ.get("SOAK_BROKER", "2"))):
            execution = stage.cast.approved(
                operation="dynamodb:UpdateTable",
                TableName="prod-customers",
                BillingMode="PROVISIONED",
                ProvisionedThroughput={"ReadCapacityUnits": number + 10, "WriteCapacityUnits": 5},
            )
            for deed in chance.sample([killed, valkey.flush, flooded, flooded], 3):
                deed()
                time.sleep(chance.random() / 2)
            settled(execution, process)
            assert len(stage.calls("UpdateTable")) == Attempt.objects.count() == number + 1
        assert process.lives()


def test_a_message_delivered_twice_finds_the_claim_and_stops(stage: Stage, valkey: Broker, tmp_path: Path) -> None:
    """A worker stands still past the broker's time-out: the same message comes to another, which finds the claim and stops."""
    valkey.flush()
    execution = stage.cast.approved()
    with worker(stage, valkey, tmp_path, visibility=2, COUNTERSIGN_STOP_AT="freeze:sent") as first:
        valkey.push(message())
        until("the first says that it makes the call", lambda: Attempt.objects.filter(execution=execution).exists(), first)
        # The promise's own lease would keep the second away from it as well.
        stage.sql("UPDATE approvals_outboxmessage SET due_at = now() WHERE done_at IS NULL")
        with worker(stage, valkey, tmp_path, visibility=2) as second:
            # One message was sent: whoever looks for the second time got it again.
            until("the second has looked", lambda: _looked(stage), second)
            drained(valkey, second)
            assert first.lives()
            assert (fresh(execution).state, fresh(execution).token) == ("running", 1)
            assert (stage.calls(), Attempt.objects.count()) == ([], 1)


def _looked(stage: Stage) -> bool:
    # What is in hand stays promised for whoever comes after its worker.
    return bool(
        stage.sql("SELECT 1 FROM approvals_outboxmessage WHERE kind = 'execute' AND (attempts > 1 OR done_at IS NOT NULL)")
    )


def test_row_25_no_pickle_in_broker_cache_or_session(
    stage: Stage, valkey: Broker, execution_worker: Process, tmp_path: Path
) -> None:
    """JSON alone; no cache and no session in Redis, whose Django client unpickles; a gadget that lies there does nothing."""
    found = configured.app.conf
    assert (found.accept_content, found.result_accept_content) == (["json"], ["json"])
    assert not found.result_backend
    assert {found.task_serializer, found.result_serializer, found.event_serializer} == {"json"}
    assert {one["BACKEND"] for one in settings.CACHES.values()} == {"django.core.cache.backends.locmem.LocMemCache"}
    assert settings.SESSION_ENGINE == "django.contrib.sessions.backends.db"
    assert settings.SESSION_SERIALIZER == "django.contrib.sessions.serializers.JSONSerializer"
    gadget = pickle.dumps(Gadget(tmp_path / MARK))
    with valkey.client() as client:
        for key in (":1:session", "celery-task-meta-1", "_kombu.binding.celery"):
            client.set(key, gadget)
        client.hset("unacked", "tag", gadget)
        client.zadd("unacked_index", {"tag": 1.0})
    execution = stage.cast.approved()
    valkey.push(gadget, message())
    settled(execution, execution_worker)
    time.sleep(3)  # the broker's client looks for what nobody acknowledged every second or two
    assert execution_worker.lives(), execution_worker.said()[-3000:]
    assert not (tmp_path / MARK).exists()
    assert len(stage.calls()) == 1
