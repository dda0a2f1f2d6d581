"""One request to AWS has several names in boto3; what cannot be undone under one of them cannot be undone under any."""

from __future__ import annotations

from typing import Any

import pytest

from approvals.errors import Refused
from approvals.models import ApprovalRequest
from approvals.operations import catalog, protection, risk, sources
from approvals.operations.facts import rows
from approvals.plan import Step
from portal.review_page import page_of
from tests.approvals.test_glass import GLASS, breaking
from tests.cast import Cast, seal, with_carol
from tests.executor.own_guardrails import facts  # noqa: F401 - a fixture
from tests.executor.stage import Stage
from tests.executor.test_steps import approved

OPERATIONS = ("rds:DeleteDBInstance", "s3:PutBucketLifecycleConfiguration")
GONE = {"DBInstanceIdentifier": "prod-billing", "SkipFinalSnapshot": True}


@pytest.fixture
def cast(request: pytest.FixtureRequest, facts: Any, cloned_database: str, tmp_path: Any, settings: Any) -> Cast:  # noqa: F811
    """A guardrail that asks for a backup, one approver more, the name and a hold before what cannot be undone; with a glass."""
    return seal(
        tmp_path,
        settings,
        change=with_carol,
        operations=list(OPERATIONS),
        resources=["arn:aws:*:*:*:*"],
        protective_step=True,
        irreversible={"extra_approvals": 1, "typed_name": True, "hold": 600},
        break_glass=GLASS["break_glass"],
    )


@pytest.mark.parametrize("service", ["rds", "neptune", "docdb"])
def test_a_loss_by_another_name_needs_the_same_backup(stage: Stage, service: str) -> None:
    """Two persons ask for it as Neptune's call: it is refused as RDS's is, with what to do."""
    parameters = GONE if service != "docdb" else {"DBInstanceIdentifier": "prod-billing"}
    with pytest.raises(Refused, match="asks for a backup first") as refused:
        approved(stage, Step(service, "DeleteDBInstance", parameters))
    assert "rds:" in str(refused.value)
    request = ApprovalRequest.objects.get()
    assert (request.state, page_of(request).irreversible) == ("draft", True)


@pytest.mark.parametrize("service", ["rds", "neptune"])
def test_nobody_breaks_the_glass_for_a_loss_by_another_name(stage: Stage, service: str) -> None:
    """One person alone cannot delete a database, whatever the call is named."""
    request = stage.cast.filed(by="carol", operation=f"{service}:DeleteDBInstance", **GONE)
    stage.read(request)
    with pytest.raises(Refused):
        breaking(stage.cast, ApprovalRequest.objects.get(pk=request.pk))
    assert ApprovalRequest.objects.get().state == "draft"


def test_every_name_of_a_request_is_judged_alike() -> None:
    """Whatever the table says of one of them; for each set of names that boto3 has for one request."""
    seen = 0
    for name in rows():
        for other in sources.other_names(name):
            assert protection.is_loss(name, {}) == protection.is_loss(other, {}), (name, other)
            assert protection.protectors(name) == protection.protectors(other), (name, other)
            assert risk.of(catalog.get(name)).irreversible == risk.of(catalog.get(other)).irreversible, (name, other)
            seen += 1
    assert seen > 50
    assert protection.is_final([Step("s3", "PutBucketLifecycle", {"Bucket": "b"})])
