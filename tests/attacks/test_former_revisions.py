"""One request, one execution that ever reaches AWS: whatever the web process writes meanwhile."""

from __future__ import annotations

import psycopg
import pytest

from approvals import decisions
from approvals.decisions import checks
from approvals.models import ApprovalRequest, Execution
from tests.executor.stage import Stage, attempts, fresh


def test_a_former_revision_is_not_sent_after_the_next_was_approved(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker stands still between claim and `sent`; the web process in other hands takes the request back to draft by SQL,
    which is signed anew: the one that was signed before is not carried out beside it."""
    former = stage.cast.approved()
    request = ApprovalRequest.objects.get()
    with stage.frozen_at("claiming") as thaw:
        with psycopg.connect(stage.role_url("web"), autocommit=True) as web:
            web.execute(
                "UPDATE approvals_approvalrequest SET state = 'draft', version = version + 1, "
                "draft_until = now() + interval '1 day', approved_until = NULL WHERE id = %s",
                (request.pk,),
            )
        # What the web process asks of itself it need not ask any more; the triggers stay.
        with monkeypatch.context() as patch:
            patch.setattr(checks, "must_be_unclaimed", lambda request: None)
            patch.setattr(checks, "must_be_in_nobodys_hands", lambda request, now=None: None)
            number = ApprovalRequest.objects.get().revision_number
            alice, again = stage.cast.person("alice"), {"TableName": "prod-orders"}
            decisions.complete(request.pk, alice, number=number, parameters=again)
            stage.cast.sign_confirm(ApprovalRequest.objects.get())
            stage.cast.sign_review(ApprovalRequest.objects.get())
        thaw()
    # The one call is the newer one's, if that was due in the same task.
    assert ("succeeded" in attempts(former), len(stage.calls()) <= 1) == (False, True)
    stage.sweep(1)
    assert fresh(former).state in {"aborted", "failed"}
    assert Execution.objects.count() == 2
