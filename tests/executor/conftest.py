"""The stage of the executor's tests; what stands on it is in tests/executor/stage.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from executor.sandbox.world import DemoWorldFacts
    from tests.executor.stage import Stage


@pytest.fixture
def facts() -> DemoWorldFacts:
    """What the stage's local AWS consists of."""
    from executor.sandbox.world import DEMO

    return DEMO


@pytest.fixture
def stage(
    cloned_database: str, cast: Any, role_url: Any, facts: DemoWorldFacts, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    """The cast's sealed world with a local AWS, in a database of its own; nobody is nudged, and targets settle quickly."""
    # Models may be imported only once Django is set up, which is after the first conftests.
    from executor.sandbox.world import DEMO
    from tests.executor.stage import QUICK, Stage, forget_all, local_aws

    settings.OUTBOX_NUDGE = ""
    settings.HOME_REGION = DEMO.region
    settings.TOPIC_ARN = DEMO.topic_arn
    settings.CLAIMS_BUCKET = DEMO.claims_bucket
    settings.CLAIMS_DAYS = DEMO.claims_days
    monkeypatch.setattr("executor.waiting.PATIENCE", QUICK)
    # How long botocore waits before it asks again is drawn by lot, and up to seconds.
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda backoff, context: 0.01)
    with local_aws(facts) as started:
        settings.QUEUE_URL = DEMO.queue_url(started.endpoint_url)
        stage = Stage(cast, started, cloned_database, role_url)
        cast.before_signing = stage.read
        yield stage
        forget_all()
