"""What is left of a message before a worker sees it: its task's name, if that is one of the queue, and an expiry."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import celery
from config.broker import NoTaskOfOurs, bare

TASK, QUEUE = "executor.tasks.execute_due", "execution"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["task", "headers", "expires", "id"]), inner),
    max_leaves=20,
)
NAMES = st.sampled_from(["task", "id", "expires", "eta", "timelimit", "group", "lang", "retries", "compression", "stamps"])


def left_of(message: Any) -> dict[str, Any]:
    """The message with what is ours anew each time taken out."""
    found = bare(message, QUEUE, celery.QUEUES)
    for part, name in (
        ("headers", "id"),
        ("headers", "root_id"),
        ("properties", "correlation_id"),
        ("properties", "delivery_tag"),
    ):
        found[part].pop(name)
    return found


@given(st.dictionaries(NAMES, JSON), JSON)
def test_whatever_comes_with_a_name_nothing_else_is_left(headers: dict[str, Any], rest: Any) -> None:
    """Two messages for one task differ in their expiry alone, and that is a moment with a zone or nothing."""
    message = (rest if isinstance(rest, dict) else {"body": rest}) | {"headers": headers | {"task": TASK}}
    plain, found = left_of({"headers": {"task": TASK}}), left_of(message)
    found["headers"].pop("expires"), plain["headers"].pop("expires")
    found["headers"].pop("redelivered"), plain["headers"].pop("redelivered")
    assert found == plain
    assert json.loads(base64.b64decode(found["body"]))[:2] == [[], {}]


@given(JSON)
def test_anything_else_is_no_message(message: Any) -> None:
    """Whatever JSON it is: without the name of a task of this queue it is refused, by one kind of error."""
    with pytest.raises(NoTaskOfOurs):
        bare(message, QUEUE, celery.QUEUES)


@pytest.mark.parametrize("task", [name for name, queue in celery.QUEUES.items() if queue != QUEUE])
def test_another_process_s_task_is_not_taken(task: str) -> None:
    """A message for the feed that lies on the execution's queue is nobody's."""
    with pytest.raises(NoTaskOfOurs):
        bare({"headers": {"task": task}}, QUEUE, celery.QUEUES)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("2026-11-28T10:00:00+00:00", "2026-11-28T10:00:00+00:00"),
        ("2026-11-28T10:00:00", None),
        ("soon", None),
        (7, None),
        ("2" * 1000, None),
    ],
)
def test_an_expiry_is_a_moment_or_nothing(said: Any, kept: str | None) -> None:
    """What cannot be read as a moment is left out, not passed on."""
    assert bare({"headers": {"task": TASK, "expires": said}}, QUEUE, celery.QUEUES)["headers"]["expires"] == kept
