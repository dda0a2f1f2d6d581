"""However long somebody had to look, the request's page still shows what was done in the end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from approvals.models import ApprovalRequest, Execution
from executor import concluding, holding, outside, reconcile
from executor.claim import Stopped, take
from executor.errors import AwsUnavailable
from portal import timeline
from tests.executor.stage import QUICK, Stage, fresh

LOOKS = 60


@pytest.fixture(autouse=True)
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page holds fewer entries than somebody looks."""
    monkeypatch.setattr(timeline, "MOST", LOOKS // 2)
    monkeypatch.setattr(timeline, "MOST_LOOKS", 5)


def shown(request: ApprovalRequest) -> list[str]:
    return [one.title for one in timeline.timeline_of(request)]


def test_the_page_shows_the_end_after_a_long_outage(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check does not hold, S3 is away for five hours and looked at once a minute; then it is back and the execution ends."""
    execution = stage.cast.approved()
    stage.killed_at("claimed")
    stage.sql("UPDATE portal_user SET is_active = false WHERE username = 'bob'")

    def away(*_: object) -> None:
        raise AwsUnavailable("S3 is away")

    with monkeypatch.context() as patch, stage.acting("execution"):
        patch.setattr(outside, "must_be_unclaimed", away)
        for _ in range(LOOKS):
            Execution.objects.filter(pk=execution.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
            found = take(execution.pk)
            assert isinstance(found, Stopped)
            holding.stopped(found)
    stage.sweep(2)
    request = ApprovalRequest.objects.get()
    assert fresh(execution).state == "aborted"
    assert any("aborted" in one.lower() or "stopped" in one.lower() for one in shown(request)), shown(request)[-3:]


def test_the_page_shows_the_end_after_a_long_wait(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that AWS accepted takes two hours (a backup does) and is looked at every twenty seconds by sweeps: how it went on
    and ended still stands in the timeline."""
    execution, patient = stage.cast.approved(), replace(QUICK, to_the_end=1_000_000.0)
    stage.killed_at("answered")
    with monkeypatch.context() as patch, stage.acting("execution"):
        patch.setattr(concluding, "_seen", lambda *_: "it is still being made")
        for _ in range(LOOKS):
            Execution.objects.filter(pk=execution.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
            reconcile.sweep(patience=patient)
    assert fresh(execution).state == "running"
    stage.sweep(2)
    assert fresh(execution).state == "succeeded"
    said = shown(ApprovalRequest.objects.get())
    assert any("succeeded" in one.lower() for one in said), said[-3:]
