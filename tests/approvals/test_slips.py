"""Ways past a guardrail: calls, and names of things, that AWS takes for something else than they look like."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from approvals import authority, clearance, decisions, ingest
from approvals.errors import Refused
from approvals.models import Alert, Execution, TrailRecord
from approvals.operations import sources
from tests.cast import ACCOUNT, REGION, envelope, seal, trail_record

TABLE = ("dynamodb:DeleteTable", {"TableName": "prod-orders"})


def taken(**record: Any) -> TrailRecord | None:
    """What became of one record."""
    made = trail_record(denied=False) | {"eventID": str(uuid4())} | record
    ingest.ingest([ingest.Message(str(uuid4()), envelope(made))])
    return TrailRecord.objects.filter(event_id=made["eventID"]).first()


@pytest.fixture
def whole(db, tmp_path, settings):
    """All of the demo's guardrails."""
    return seal(tmp_path, settings, whole=True)


class TestOtherNames:
    @pytest.mark.parametrize("name", ["docdb:DeleteDBInstance", "neptune:DeleteDBInstance"])
    def test_a_step_is_protected_under_every_name_of_its_call(self, whole, name):
        """boto3 has the same request by several names; a plan is pinned to the guardrail whichever of them it uses."""
        steps = [TABLE, (name, {"DBInstanceIdentifier": "prod-billing"})]
        request = decisions.file(whole.person("alice"), account_id=ACCOUNT, region=REGION, steps=steps)
        pinned = {pin.name for pin in request.current_revision().plan.guardrails}
        assert pinned == {"dynamodb-production", "rds-production"}

    def test_what_was_signed_without_a_guardrail_is_not_cleared(self, whole, monkeypatch):
        """The executor judges a step under every name too, whatever the portal pinned."""
        steps = [TABLE, ("neptune:DeleteDBInstance", {"DBInstanceIdentifier": "prod-billing"})]
        with monkeypatch.context() as blind:
            blind.setattr(sources, "other_names", lambda _: ())
            request = decisions.file(whole.person("alice"), account_id=ACCOUNT, region=REGION, steps=steps)
            whole.sign_review(whole.sign_confirm(request))
        execution = Execution.objects.get(revision__request=request)
        with pytest.raises(Refused, match="rds-production"):
            clearance.clear(execution, authority.walk(whole.genesis), decisions.relying_party(), now=timezone.now())

    def test_a_bypass_is_seen_under_every_name(self, db, tmp_path, settings):
        """A guardrail that says neptune hears of a call with a parameter that only rds has: it is the same database."""
        arn = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:prod-*"
        seal(tmp_path, settings, operations=["neptune:DeleteDBInstance"], resources=[arn])
        parameters = {"dBInstanceIdentifier": "prod-graph", "skipFinalSnapshot": True, "deleteAutomatedBackups": True}
        record = taken(eventSource="rds.amazonaws.com", eventName="DeleteDBInstance", requestParameters=parameters)
        assert record is not None and record.fate == TrailRecord.Fate.ALERT
        assert Alert.objects.get().kind == "bypass"

    def test_a_guardrail_by_a_call_s_former_name_is_heard(self, db, tmp_path, settings):
        """S3 has two names for one request; a guardrail by the former one protects it."""
        seal(tmp_path, settings, operations=["s3:PutBucketLifecycle"], resources=["arn:aws:s3:::prod-*"])
        record = taken(
            eventSource="s3.amazonaws.com", eventName="PutBucketLifecycle", requestParameters={"bucketName": "prod-invoices"}
        )
        assert record is not None and record.fate == TrailRecord.Fate.ALERT
