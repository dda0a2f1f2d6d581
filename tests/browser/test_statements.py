"""The kill switch and the closing of an unknown outcome in Chromium: real ceremonies, wide and narrow screens."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from approvals import statements
from tests.browser.tabs import MARKS
from tests.browser.test_changes import fits, look
from tests.cast import seal, with_carol

pytestmark = MARKS


@pytest.fixture
def cast(cloned_database, tmp_path, settings):
    """Bob and carol may both review."""
    return seal(tmp_path, settings, change=with_carol)


def test_one_pauses_and_two_resume_with_their_passkeys(cast, person):
    """The big button and one touch pause everything, on every page; two touches of two people say that it goes on."""
    dana, erin = person("dana"), person("erin", width=390)
    page = dana.open(reverse("admin:approvals_statement_switch"))
    fits(page)
    look(page, "switch")
    page.fill("#reason", "Somebody deletes what nobody asked for")
    page.get_by_role("button", name="Pause all executions").click()
    fits(page)
    look(page, "pause-ceremony")
    page.get_by_role("button", name="Sign with your passkey").click()
    page.wait_for_url("**/change/")
    assert len(statements.in_force()) == 1
    page = erin.open("/admin/")
    fits(page)
    look(page, "paused-home")
    assert "Executions are paused" in page.content()
    page = dana.open(reverse("admin:approvals_statement_switch"))
    look(page, "switch-paused")
    page.fill("#reason", "It was a test")
    page.get_by_role("button", name="Sign that executions go on").click()
    page.get_by_role("button", name="Sign with your passkey").click()
    page.wait_for_url("**/change/")
    look(page, "resuming")
    page = erin.open("/admin/")
    page.get_by_role("link", name="states that executions go on").first.click()
    page.get_by_role("link", name="Sign or deny").first.click()
    fits(page)
    page.check("input[value=approve]")
    look(page, "resume-sign")
    page.get_by_role("button", name="Continue to sign").click()
    page.get_by_role("button", name="Sign with your passkey").click()
    page.wait_for_url("**/change/")
    resuming = statements.waiting_to_resume()[0]
    assert len(statements.counted_signers(resuming)) == 2


def test_an_unknown_outcome_is_closed_by_two_with_their_passkeys(cast, person):
    """The request's page shows what is known; bob pastes evidence and signs, carol reads and signs the same."""
    from approvals.models import Attempt, Execution, Look, Statement

    execution = cast.approved()
    with connection.cursor() as cursor:
        for table in ("execution", "attempt"):
            cursor.execute(f"ALTER TABLE approvals_{table} DISABLE TRIGGER USER")
    now = timezone.now() - timedelta(minutes=20)
    Attempt.objects.create(
        execution=execution, step=0, number=1, state="unknown", token=1, operation="dynamodb:DeleteTable", region="eu-west-1",
        access_key_id="ASIA2EXAMPLEKEYID234", sent_at=now, answered_at=now, error_code="Unknown",
        error_message="No answer that could be used came back: the connection was closed.",
        claimed_as="claims/" + "ab" * 32 + "/0-1",
    )  # fmt: skip
    Execution.objects.filter(pk=execution.pk).update(state="unknown", token=1, outcome="It is not known whether it took effect.")
    for source, said in (
        ("events", "No record of this call has come."),
        ("logs", "3 new files of 111122223333 eu-west-1 from 2026-11-28 10:00 UTC: no records of this call's session."),
        ("target", "It was not read at the claim, so what it shows now proves nothing."),
    ):
        Look.objects.create(execution=execution, source=source, times=3, first_at=now, looked_at=timezone.now(), said=said)
    request = execution.revision.request
    bob, carol = person("bob"), person("carol", width=390)
    page = bob.open(reverse("admin:approvals_approvalrequest_change", args=[request.pk]))
    fits(page)
    look(page, "unknown")
    page.get_by_role("link", name="Close with evidence").click()
    fits(page)
    look(page, "close")
    page.check("input[value=succeeded]")
    page.fill("#evidence", "aws dynamodb describe-table --table-name prod-orders\nResourceNotFoundException\n" + "x" * 200)
    page.fill("#reason", "The console shows no such table")
    page.get_by_role("button", name="Continue to sign").click()
    fits(page)
    look(page, "close-ceremony")
    page.get_by_role("button", name="Sign with your passkey").click()
    page.wait_for_url("**/change/")
    fits(page)
    look(page, "closing")
    page = carol.open("/admin/")
    page.get_by_role("link", name="states that step 1").first.click()
    page.get_by_role("link", name="Sign or deny").first.click()
    fits(page)
    page.check("input[value=approve]")
    page.get_by_role("button", name="Continue to sign").click()
    page.get_by_role("button", name="Sign with your passkey").click()
    page.wait_for_url("**/change/")
    assert len(statements.counted_signers(Statement.objects.get())) == 2
