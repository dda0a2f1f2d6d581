"""An object that is not empty can be read, signed and deleted: what HEAD promises is the length of what it does not send."""

from __future__ import annotations

import pytest

from approvals.plan import Step
from executor import run
from tests.executor.own_guardrails import BUCKET, cast, client, facts  # noqa: F401 - fixtures
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_steps import approved

OPERATIONS = ("s3:DeleteObject",)


@pytest.mark.parametrize("body", [b"", b"x"], ids=["empty", "one byte"])
def test_an_object_can_be_deleted(stage: Stage, body: bytes) -> None:
    """Whatever it holds it is read, signed and deleted."""
    with client(stage, "s3") as s3:
        s3.put_object(Bucket=BUCKET, Key="a", Body=body)
    execution = approved(stage, Step("s3", "DeleteObject", {"Bucket": BUCKET, "Key": "a"}))
    stage.execute()
    assert (fresh(execution).state, attempts(execution)) == ("succeeded", ["succeeded"]), fresh(execution).outcome


def test_an_object_that_was_empty_when_it_was_signed_and_is_not_now(stage: Stage) -> None:
    """Read at the claim: it is drift, and ends."""
    with client(stage, "s3") as s3:
        s3.put_object(Bucket=BUCKET, Key="a", Body=b"")
    execution = approved(stage, Step("s3", "DeleteObject", {"Bucket": BUCKET, "Key": "a"}))
    with client(stage, "s3") as s3:
        s3.put_object(Bucket=BUCKET, Key="a", Body=b"x")
    stage.execute()
    assert fresh(execution).state == "aborted"


def test_written_between_two_steps(stage: Stage) -> None:
    """Begun, and what comes next can never be read: it ends all the same, and somebody hears of it."""
    with client(stage, "s3") as s3:
        for key in ("a", "b"):
            s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    execution = approved(stage, *(Step("s3", "DeleteObject", {"Bucket": BUCKET, "Key": key}) for key in ("a", "b")))
    with stage.acting("execution"):
        run.carry_out(execution.pk)
    assert attempts(execution) == ["succeeded"]
    with client(stage, "s3") as s3:
        s3.put_object(Bucket=BUCKET, Key="b", Body=b"x")
    stage.sweep(4)
    assert fresh(execution).state == "failed", stage.alerts()
