"""The page of a request: what must still hold of its target, what no longer does, and what was read right before the call."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from approvals import audit, decisions, preconditions
from approvals.models import ApprovalRequest, Execution, Observation
from approvals.preconditions import Reading
from portal.review_page import page_of

STATE = {"TableId": "one", "CreationDateTime": "2026-01-01", "TableStatus": "ACTIVE", "ItemCount": 7, "TableSizeBytes": 1}


def seen(request: ApprovalRequest, moment: str = "review", **changes: Any) -> None:
    """What the executor would have stored after a look at the target."""
    revision = request.current_revision()
    text = json.dumps(STATE | changes)
    Observation.objects.create(revision=revision, step=0, moment=moment, taken_at=timezone.now(), text=text)


def frozen(request: ApprovalRequest) -> ApprovalRequest:
    """The draft with what the executor read, as it freezes it."""
    revision = request.current_revision()
    fact = preconditions.of(0, revision.steps[0], Reading(json.dumps(STATE)))
    assert fact is not None
    with audit.recorded() as trail:
        assert not isinstance(decisions.freeze(trail, revision, [fact], now=timezone.now()), decisions.NotFrozen)
    request.refresh_from_db()
    seen(request)
    return request


def html(browser: Any, request: ApprovalRequest, handle: str = "alice") -> str:
    page = browser(handle)
    return str(page.get(page.page("change", request)).content.decode())


def test_what_must_still_hold_stands_beside_the_live_state(cast: Any, browser: Any) -> None:
    """What identifies the table is listed as what signatures cover, for whoever signs."""
    request = cast.sign_confirm(frozen(cast.filed()))
    (step,) = page_of(request).steps
    assert set(step.pinned.facts) == {("TableId", '"one"'), ("CreationDateTime", '"2026-01-01"')}
    said = html(browser, request, "bob")
    assert "What must still hold when the call is made" in said
    assert "This is not so any more" not in said


def test_a_draft_that_was_not_frozen_yet_says_so(cast: Any, browser: Any) -> None:
    """Whoever would sign at once reads that what the executor is about to read would not be part of it."""
    assert "Written into the plan once the executor has read the target" in html(browser, cast.filed())


@pytest.mark.parametrize(("confirmed", "advice"), [(False, "Save the parameters again"), (True, "sent back or edited")])
def test_a_target_that_changed_since_is_shown_before_anybody_signs_in_vain(
    cast: Any, browser: Any, confirmed: bool, advice: str
) -> None:
    """The newest look differs from what is signed: the page shows both, says that nothing would be sent, and what to do."""
    request = frozen(cast.filed())
    if confirmed:
        request = cast.sign_confirm(request)
    seen(request, TableId="another")
    (step,) = page_of(request).steps
    assert [str(one) for one in step.pinned.moved] == ['TableId was "one" and is "another"']
    said = html(browser, request)
    assert "This is not so any more" in said
    assert advice in said


def test_other_differences_are_shown_once_it_was_claimed(cast: Any, browser: Any) -> None:
    """An item count that changed between review and call stands there with both numbers, and hindered nothing."""
    request = cast.sign_review(cast.sign_confirm(frozen(cast.filed())))
    seen(request, "claim", ItemCount=9)
    (step,) = page_of(request).steps
    assert [str(one) for one in step.pinned.besides] == ["ItemCount was 7 and is 9"]
    said = html(browser, request)
    assert "Read again right before the call" in said
    assert "hindered nothing" in said


def test_what_stopped_the_last_approval_stands_on_the_draft(cast: Any, browser: Any) -> None:
    """Opened again after a swap: what was signed beside what was read, on top of what is to be signed anew."""
    request = cast.sign_review(cast.sign_confirm(frozen(cast.filed())))
    seen(request, "claim", TableId="another")
    execution = Execution.objects.get()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE approvals_execution DISABLE TRIGGER USER")
    Execution.objects.filter(pk=execution.pk).update(state="aborted", ended_at=timezone.now())
    with audit.recorded() as trail:
        decisions.reopen(trail, ApprovalRequest.objects.get(pk=request.pk), "it has drifted", now=timezone.now())
    request.refresh_from_db()
    stopped = page_of(request).stopped
    assert stopped is not None
    assert [str(one) for one in stopped.differences] == ['TableId was "one" and is "another"']
    said = html(browser, request)
    assert "The last approval was not carried out" in said
    assert "another" in said


def test_what_the_executor_waits_for_is_said(cast: Any, browser: Any) -> None:
    """Approved and due, and put off because AWS is still changing the table: the page says why, in the executor's words."""
    request = cast.sign_review(cast.sign_confirm(frozen(cast.filed())))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE approvals_outboxmessage SET error = 'AWS is still changing the target (UPDATING).' WHERE kind = 'execute'"
        )
    assert "AWS is still changing the target (UPDATING)." in html(browser, request)
