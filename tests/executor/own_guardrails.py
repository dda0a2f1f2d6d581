"""A stage whose guardrail protects the operations that a module names, on everything: for plans of many services.

The module says `OPERATIONS` and imports the two fixtures.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import boto3
import pytest

from executor.sandbox.world import DEMO, DemoWorldFacts
from tests.cast import Cast, seal
from tests.executor.stage import Stage

# One of the demo's.
BUCKET = "prod-invoices-111122223333"


@pytest.fixture
def facts(request: pytest.FixtureRequest) -> DemoWorldFacts:
    """The demo's facts, whose first guardrail has the module's operations."""
    first = replace(DEMO.guardrails[0], operations=request.module.OPERATIONS, resources=("arn:{partition}:*:*:*:*",))
    return replace(DEMO, guardrails=(first, *DEMO.guardrails[1:]))


@pytest.fixture
def cast(request: pytest.FixtureRequest, facts: DemoWorldFacts, cloned_database: str, tmp_path: Any, settings: Any) -> Cast:
    """Persons and authority over that guardrail, in a database of the test's own."""
    return seal(tmp_path, settings, whole=True, operations=list(request.module.OPERATIONS), resources=["arn:aws:*:*:*:*"])


@contextmanager
def client(stage: Stage, service: str) -> Iterator[Any]:
    """As the administrator of the account, who may do everything."""
    made: Any = boto3.Session(**stage.aws.credentials("mallory")).client
    with closing(made(service, endpoint_url=stage.aws.endpoint_url, region_name=DEMO.region)) as found:
        yield found
