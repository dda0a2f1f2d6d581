"""A right that ends while the signature that it stands behind waits for a lock."""

from __future__ import annotations

import threading

import psycopg
import pytest
from django.db import connection

from approvals.errors import CountersignError
from approvals.models import ApprovalRequest, Execution
from tests.executor.stage import Stage

BOBS = "(SELECT id FROM portal_user WHERE username = 'bob')"
ENDS = {
    "taken away": [
        f"DELETE FROM approvals_guardrailuserpermission WHERE user_id IN {BOBS}",
        f"DELETE FROM portal_user_groups WHERE user_id IN {BOBS}",
    ],
    "his login switched off": ["UPDATE portal_user SET is_active = false WHERE username = 'bob'"],
    "the requester's login switched off": ["UPDATE portal_user SET is_active = false WHERE username = 'alice'"],
}


def while_it_waits(stage: Stage, request: ApprovalRequest, ends: list[str]) -> None:
    """Bob signs and his row waits for a lock; meanwhile what he stands on ends, and he goes on."""

    def approve() -> None:
        try:
            stage.cast.sign_review(request)
        except CountersignError:
            pass
        finally:
            connection.close()

    with psycopg.connect(stage.owner_url) as holder:
        holder.execute("LOCK TABLE approvals_signature IN SHARE MODE")
        bob = threading.Thread(target=approve)
        bob.start()
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'approvals_signature'::regclass"
        for _ in range(400):
            if stage.sql(waits):
                break
            threading.Event().wait(0.02)
        else:
            pytest.fail("bob does not wait")
        for statement in ends:
            stage.sql(statement)
        holder.commit()
    bob.join()


@pytest.mark.parametrize("why", ENDS)
def test_it_counts_no_more(stage: Stage, why: str) -> None:
    """Bob's row waits; what he stands on ends and that is committed; he goes on: nothing is approved by it."""
    request = stage.cast.pending()
    stage.read(request)
    while_it_waits(stage, request, ENDS[why])
    assert (ApprovalRequest.objects.get(pk=request.pk).state, Execution.objects.count()) == ("pending", 0)


def test_what_counted_for_nothing_does_not_stand_in_the_way(stage: Stage) -> None:
    """His right ended while he signed and comes back: his signature was not kept, so that he can sign anew."""
    request = stage.cast.pending()
    stage.read(request)
    while_it_waits(stage, request, ENDS["his login switched off"])
    stage.sql("UPDATE portal_user SET is_active = true WHERE username = 'bob'")
    stage.cast.sign_review(request)
    assert (ApprovalRequest.objects.get(pk=request.pk).state, Execution.objects.count()) == ("approved", 1)
