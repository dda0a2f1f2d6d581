"""A restored backup, and something that ends an execution before anybody has claimed it: the claims outside are asked first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from moto.dynamodb.models import dynamodb_backends

from approvals import decisions
from approvals.models import ApprovalRequest, Attempt, Execution
from approvals.states import Status
from executor.outside import bucket
from executor.sandbox.world import DEMO
from tests.executor import broken_s3
from tests.executor.broken_s3 import BrokenS3
from tests.executor.proxy import Wire
from tests.executor.stage import Stage, fresh
from tests.executor.test_restores import restored  # noqa: F401 - a fixture

Restored = Callable[[], Callable[..., None]]
ELSEWHERE = b"<ListVersionsResult><Name>other</Name><Prefix>x</Prefix><IsTruncated>false</IsTruncated></ListVersionsResult>"
NO_LIST: dict[str, dict[str, Any]] = {
    "down": {"LIST": broken_s3.GONE, "ASK": broken_s3.GONE},
    "denied": {"LIST": broken_s3.DENIED},
    "cut off": {"LIST": broken_s3.MALFORMED},
    "nothing": {"LIST": (True, (200, broken_s3.XML, b""))},
    "an error that says 200": {"LIST": (True, (200, broken_s3.XML, b"<Error><Code>InternalError</Code></Error>"))},
    "the list of another bucket": {"LIST": (True, (200, broken_s3.XML, ELSEWHERE))},
    "the page of a proxy": {"LIST": (True, (200, {"content-type": "text/html"}, b"<html>proxy</html>"))},
}


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    bucket.must_keep.cache_clear()
    yield
    bucket.must_keep.cache_clear()


def tables() -> dict[str, Any]:
    found: dict[str, Any] = dynamodb_backends[DEMO.account][DEMO.region].tables
    return found


def with_s3(stage: Stage, faults: dict[str, Any], does: Callable[[], None]) -> None:
    with BrokenS3(stage.aws.endpoint_url, faults) as wire:
        stage.endpoint = wire.url
        does()
    stage.endpoint = ""


@pytest.mark.parametrize("fault", NO_LIST)
def test_without_the_list_nothing_is_called_untouched(stage: Stage, restored: Restored, fault: str) -> None:  # noqa: F811
    """The call was made, a backup restored, the table is gone: while S3 does not list the claims nothing is ended."""
    stage.cast.approved()
    restore = restored()
    stage.execute()
    restore()
    bucket.must_keep.cache_clear()
    with_s3(stage, NO_LIST[fault], lambda: stage.sweep(2))
    assert Execution.objects.get().state == "ready"
    stage.sweep()
    assert (Execution.objects.get().state, len(stage.calls()), Attempt.objects.count()) == ("unknown", 1, 0)


@pytest.mark.parametrize("why", ["ran out", "was swept", "who approved was switched off", "who asked withdrew"])
def test_whatever_ends_it_the_claims_are_asked_first(stage: Stage, restored: Restored, why: str) -> None:  # noqa: F811
    """The call was made and the backup says `ready`; a clock or a right ends it: unknown with an alert, not aborted."""
    stage.cast.approved()
    restore = restored()
    stage.execute()
    restore()
    match why:
        case "ran out":
            soon = "now() - interval '1 second'"
            stage.forge(
                (f"UPDATE approvals_execution SET valid_until = {soon}", ()),
                (f"UPDATE approvals_approvalrequest SET approved_until = {soon}", ()),
            )
        case "was swept":
            with stage.acting("delivery"):
                assert decisions.expire(now=timezone.now() + timedelta(days=2)) == 1
        case "who approved was switched off":
            stage.sql("UPDATE portal_user SET is_active = false WHERE username = 'bob'")
        case _:
            stage.forge(("UPDATE approvals_approvalrequest SET state = 'withdrawn'", ()))
    stage.sweep()
    assert (Execution.objects.get().state, len(stage.calls())) == ("unknown", 1)
    assert "claimed-outside" in stage.alerts() or "claimed" in stage.alerts()
    # However the request ended: its page does not say that nothing was done.
    assert ApprovalRequest.objects.get().status() is Status.UNKNOWN


@pytest.mark.parametrize("why", ["the role refuses", "the tables differ"])
def test_what_cannot_be_begun_asks_too(stage: Stage, restored: Restored, why: str) -> None:  # noqa: F811
    """The call was made and the backup does not know it; there is no session, or rows do not verify: unknown all the same."""
    stage.cast.approved()
    restore = restored()
    stage.execute()
    restore(as_it_was=True)
    if why == "the role refuses":
        with Wire(stage.aws.endpoint_url, "AssumeRole", "refuse before") as wire:
            stage.endpoint = wire.url
            stage.sweep(2)
        stage.endpoint = ""
    else:
        stage.sql("UPDATE approvals_person SET name = 'x' WHERE handle = 'carol'")
        stage.sweep(2)
    assert (Execution.objects.get().state, len(stage.calls()), Attempt.objects.count()) == ("unknown", 1, 0)
    assert "claimed" in stage.alerts()
    assert ("forgery" in stage.alerts()) == (why == "the tables differ")


def test_what_is_forged_is_told_without_s3_too(stage: Stage) -> None:
    """Rows do not verify and S3 is down: one alert says so at once, and it ends when S3 tells."""
    stage.cast.approved()
    stage.sql("UPDATE approvals_person SET name = 'x' WHERE handle = 'carol'")
    with_s3(stage, NO_LIST["down"], lambda: stage.sweep(2))
    assert (Execution.objects.get().state, stage.alerts()) == ("ready", ["forgery"])
    stage.sweep(2)
    assert (Execution.objects.get().state, set(stage.alerts())) == ("aborted", {"forgery"})
    assert stage.calls() == []


def test_what_waits_for_the_list_can_be_stopped_and_takes_no_place(stage: Stage, settings: Any) -> None:
    """Its table is gone and S3 is down: nothing has begun, so another has the only place, and whoever signed it stops it."""
    settings.EXECUTIONS_PER_ACCOUNT = settings.EXECUTIONS_PER_REQUESTER = 1
    first = stage.cast.approved()
    gone = tables().pop("prod-orders")
    with_s3(stage, NO_LIST["down"], stage.execute)
    tables()["prod-orders"] = gone
    assert fresh(first).state == "ready"
    stage.sql("UPDATE approvals_outboxmessage SET due_at = now() + interval '4 minutes' WHERE subject = %s", str(first.pk))
    second = stage.cast.approved(TableName="prod-customers")
    stage.execute()
    assert fresh(second).state == "succeeded"
    decisions.stop(first.revision.request_id, stage.cast.person("bob"), reason="it has changed")
    stage.sweep()
    assert (fresh(first).state, ApprovalRequest.objects.get(pk=first.revision.request_id).state) == ("aborted", "denied")
    assert len(stage.calls()) == 1
