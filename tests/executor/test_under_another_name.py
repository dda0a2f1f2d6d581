"""What people see named is what is signed and sent; a call of one person never hides under the request of another."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from approvals import ingest
from approvals.models import ApprovalRequest, Notice, Principal
from tests.cast import ACCOUNT, Cast, envelope, seal, trail_record, with_carol
from tests.executor.stage import Stage, fresh


@pytest.mark.parametrize("column", ["operation = 'dynamodb:TagResource'", "target = 'scratch'", "region = 'eu-central-1'"])
def test_a_request_named_after_another_call_is_not_executed(stage: Stage, column: str) -> None:
    """Lists and messages said `TagResource`; the plan that was signed deletes the table: an alarm, and no call."""
    execution = stage.cast.approved()
    stage.forge((f"UPDATE approvals_approvalrequest SET {column}", ()))
    stage.execute()
    assert (fresh(execution).state, stage.calls(), stage.alerts()) == ("aborted", [], ["forgery"])


@pytest.mark.django_db
def test_two_people_of_one_role_and_session_name_have_a_request_each(cast: Cast) -> None:
    """Mallory names her session as carol's: carol's denied call does not become a repeat of mallory's draft."""
    issuer = f"arn:aws:iam::{ACCOUNT}:role/Developer"
    for handle in ("alice", "carol"):
        Principal.objects.create(person=cast.person(handle), kind="source_identity", value=f"{handle}@example.com")
        record = trail_record()
        record["userIdentity"] = {
            "type": "AssumedRole",
            "principalId": "AROA:cli",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Developer/cli",
            "accountId": ACCOUNT,
            "accessKeyId": f"ASIA{handle.upper()}",
            "sessionContext": {
                "sessionIssuer": {"type": "Role", "arn": issuer, "accountId": ACCOUNT, "userName": "Developer"},
                "sourceIdentity": f"{handle}@example.com",
            },
        }
        for _ in range(2):
            ingest.ingest([ingest.Message(str(uuid4()), envelope({**record, "eventID": str(uuid4())}))])
    found = ApprovalRequest.objects.order_by("created_at").values_list("requester__handle", "repeats")
    assert list(found) == [("alice", 1), ("carol", 1)]


class TestWithAHold:
    """A guardrail that asks for a hold of an hour."""

    @pytest.fixture
    def cast(self, cloned_database: str, tmp_path: Path, settings: Any) -> Cast:
        hold = {"extra_approvals": 0, "typed_name": False, "hold": 3600}
        return seal(tmp_path, settings, change=with_carol, irreversible=hold, clocks={"approval": 86_400})

    @pytest.mark.parametrize(("said", "ends"), [("claimed", "aborted"), ("running", "failed")])
    def test_a_row_that_says_that_it_was_claimed_spares_nobody_the_notice(self, stage: Stage, said: str, ends: str) -> None:
        """The owner of the tables makes it look like a lost worker's, an hour later: nobody was told, so nothing is sent."""
        execution = stage.cast.approved()
        lapsed = timezone.now() - timedelta(minutes=1)
        stage.forge(
            ("UPDATE approvals_execution SET state = %s, token = 1, lease_until = %s", (said, lapsed)),
            ("UPDATE approvals_outboxmessage SET due_at = created_at WHERE kind = 'execute'", ()),
        )
        stage.execute()
        assert (fresh(execution).state, stage.calls(), Notice.objects.count()) == (ends, [], 0)
        assert "nobody had been told" in fresh(execution).outcome
