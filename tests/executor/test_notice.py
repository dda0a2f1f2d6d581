"""The hold before what cannot be undone: the executor tells everybody what it read from the signed bytes, and waits."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.utils import timezone

from approvals import decisions
from approvals.errors import NotAllowed, WrongState
from approvals.models import ApprovalRequest, AuditEntry, Notice, OutboxKind, OutboxMessage
from executor import claim, tasks
from executor.sandbox.world import DEMO
from tests.approvals.test_races import at_once
from tests.cast import Cast, seal, with_carol
from tests.executor.stage import Stage, fresh, inbox


@pytest.fixture
def cast(cloned_database: str, tmp_path: Path, settings: Any) -> Cast:
    """The sealed world with a guardrail that asks for a hold of an hour, under which carol may review too."""
    hold = {"extra_approvals": 0, "typed_name": False, "hold": 3600}
    return seal(tmp_path, settings, change=with_carol, irreversible=hold, clocks={"approval": 86_400})


def deliver(stage: Stage) -> None:
    with stage.acting("delivery"):
        tasks.deliver()


def hold_is_over(stage: Stage) -> None:
    """An hour has passed since the approval, and since the notice if it went out: by every row, and by what was signed."""
    stage.forge(
        ("UPDATE approvals_execution SET not_before = created_at", ()),
        ("UPDATE approvals_notice SET delivered_at = delivered_at - interval '2 hours', created_at = created_at", ()),
        ("UPDATE approvals_outboxmessage SET due_at = created_at WHERE kind = 'execute'", ()),
    )


def test_everybody_concerned_is_told_what_the_executor_read(stage: Stage) -> None:
    """The signers and whoever may review get one notice: the sentence, the digest, and how to stop it."""
    execution = stage.cast.approved()
    stage.execute()
    notice = Notice.objects.get()
    assert notice.to == ["alice", "bob", "carol"]
    assert "delete table prod-orders" in notice.text
    assert execution.revision.digest in notice.text
    assert "aws dynamodb delete-table" in notice.text
    assert "approved by bob" in notice.text
    assert (fresh(execution).state, stage.calls()) == ("ready", [])
    deliver(stage)
    (message,) = [one for one in inbox(stage) if one["MessageAttributes"]["topic"]["Value"] == "execution.notice"]
    assert json.loads(message["MessageAttributes"]["to"]["Value"]) == ["alice", "bob", "carol"]
    assert "delete table prod-orders" in message["Message"]
    assert "Stop" in message["Message"]
    assert Notice.objects.get().delivered_at is not None
    assert "execution.noticed" in stage.audit()


def test_the_hold_counts_from_the_delivery(stage: Stage) -> None:
    """Nothing is claimed while the notice has not gone out, nor before its hold is over; then it runs, once."""
    execution = stage.cast.approved()
    stage.execute()
    hold_is_over(stage)
    stage.execute()
    message = OutboxMessage.objects.get(kind=OutboxKind.EXECUTE)
    assert (fresh(execution).state, message.done_at, "not gone out" in message.error) == ("ready", None, True)
    deliver(stage)
    stage.sql("UPDATE approvals_outboxmessage SET due_at = created_at WHERE kind = 'execute'")
    stage.execute()
    message.refresh_from_db()
    assert (fresh(execution).state, message.due_at > timezone.now(), "hold" in message.error) == ("ready", True, True)
    assert stage.calls() == []


def test_the_database_refuses_a_claim_inside_the_hold(stage: Stage) -> None:
    """A trigger stands behind the executor's own check: neither undelivered nor too early."""
    stage.cast.approved()
    stage.execute()
    claim = "UPDATE approvals_execution SET state = 'claimed', token = 1"
    for step in (lambda: None, lambda: deliver(stage)):
        step()
        with pytest.raises(psycopg.errors.CheckViolation, match="before its notice was delivered"):
            stage.sql(claim)


def test_a_hold_that_has_not_ended_by_what_was_signed_is_waited_for(stage: Stage) -> None:
    """The rows say that the hold is over, the signatures do not: the execution stays ready and its promise comes back."""
    execution = stage.cast.approved()
    stage.execute()
    deliver(stage)
    hold_is_over(stage)
    stage.execute()
    assert (fresh(execution).state, ApprovalRequest.objects.get().state, stage.calls()) == ("ready", "approved", [])
    message = OutboxMessage.objects.get(kind=OutboxKind.EXECUTE)
    assert message.done_at is None
    assert message.due_at > timezone.now()
    assert "hold" in message.error


@pytest.mark.security_row(28)
def test_a_page_that_shows_another_plan_is_visible_in_the_notice(stage: Stage) -> None:
    """Row 28: whatever the web process was made to show, the notice says what stands in the bytes that were signed."""
    execution = stage.cast.approved()
    stage.forge(
        ("UPDATE approvals_approvalrequest SET reason = 'delete table staging-orders'", ()),
        ("UPDATE approvals_revision SET draft = replace(draft, 'prod-orders', 'staging-orders'), why = 'harmless'", ()),
        ("UPDATE approvals_account SET alias = alias", ()),
    )
    stage.execute()
    text = Notice.objects.get().text
    assert "delete table prod-orders" in text
    assert f"account {DEMO.account}" in text
    assert "staging-orders" not in text
    assert execution.revision.digest in text


def test_a_notice_that_was_changed_on_its_way_executes_nothing(stage: Stage) -> None:
    """What people were told is compared with the bytes at the claim: another text is a forgery."""
    execution = stage.cast.approved()
    stage.execute()
    stage.forge(("UPDATE approvals_notice SET text = replace(text, 'prod-orders', 'staging-orders')", ()))
    stage.lapse()
    stage.execute()
    assert (fresh(execution).state, stage.calls(), stage.alerts()) == ("aborted", [], ["forgery"])


@pytest.mark.parametrize("handle", ["alice", "bob", "carol"])
@pytest.mark.security_row(28)
def test_anybody_concerned_stops_it_without_a_key(stage: Stage, handle: str) -> None:
    """A signer or a reviewer ends it for good with a reason; nothing is claimed afterwards, and it is in the trail."""
    execution = stage.cast.approved()
    stage.execute()
    deliver(stage)
    request = execution.revision.request
    decisions.stop(request.pk, stage.cast.person(handle), reason="not the table that I read")
    request.refresh_from_db()
    assert (request.state, request.ended_why) == ("denied", f"Stopped by {handle} before it ran: not the table that I read")
    hold_is_over(stage)
    stage.execute()
    assert (fresh(execution).state, stage.calls()) == ("aborted", [])
    assert AuditEntry.objects.filter(kind="request.stopped", actor=f"person:{handle}").exists()


def test_who_is_not_concerned_stops_nothing(stage: Stage) -> None:
    """An administrator who neither signed nor may review has no Stop; nor has anybody once it is claimed."""
    request = stage.cast.approved().revision.request
    with pytest.raises(NotAllowed):
        decisions.stop(request.pk, stage.cast.person("dana"), reason="no")
    stage.sql("UPDATE approvals_execution SET state = 'claimed', token = 1")
    with pytest.raises(WrongState, match="being made"):
        decisions.stop(request.pk, stage.cast.person("bob"), reason="too late")


def test_what_was_sent_back_and_approved_anew_is_run_by_its_newer_approval_alone(stage: Stage) -> None:
    """The former execution ends without a word and opens nothing again; the newer one has a notice of its own."""
    former = stage.cast.approved()
    request = former.revision.request
    decisions.send_back(request.pk, stage.cast.person("carol"), message="say why")
    stage.cast.sign_confirm(request)
    stage.cast.sign_review(request)
    stage.sql("UPDATE approvals_outboxmessage SET due_at = now() WHERE kind = 'execute'")
    stage.execute()
    request.refresh_from_db()
    assert (fresh(former).state, request.state, request.revision_number) == ("aborted", "approved", 4)
    assert Notice.objects.get().digest == request.current_revision().digest
    assert not OutboxMessage.objects.filter(topic="execution.finished").exists()


class TestAShortHold:
    """The same with a hold of one second, which ends while the test looks on."""

    @pytest.fixture
    def cast(self, cloned_database: str, tmp_path: Path, settings: Any) -> Cast:
        return seal(tmp_path, settings, irreversible={"extra_approvals": 0, "typed_name": False, "hold": 1})

    def test_when_nobody_stops_it_it_runs_once(self, stage: Stage) -> None:
        """Told, waited, done: one call."""
        execution = stage.cast.approved()
        stage.execute()
        deliver(stage)
        time.sleep(1.1)
        stage.sql("UPDATE approvals_outboxmessage SET due_at = now() WHERE kind = 'execute'")
        stage.execute()
        assert (fresh(execution).state, len(stage.calls())) == ("succeeded", 1)
        told, claimed = (stage.audit().index(kind) for kind in ("execution.noticed", "execution.claimed"))
        assert told < claimed

    @pytest.mark.parametrize("round_", range(6))
    def test_a_stop_and_the_claim_at_once_come_to_one_of_the_two(self, stage: Stage, round_: int) -> None:
        """Whichever has the row's lock first: a stopped request is never claimed, a claimed one never stopped."""
        execution = stage.cast.approved()
        request, bob = execution.revision.request, stage.cast.person("bob")
        claim.take(execution.pk)
        Notice.objects.update(delivered_at=timezone.now())
        time.sleep(1.1)
        results = at_once(
            lambda: decisions.stop(request.pk, bob, reason="at once"),
            lambda: claim.take(execution.pk),
        )
        request.refresh_from_db()
        if request.state == "denied":
            # Whoever took it found that, and asks outside whether it was claimed before it is ended.
            stage.lapse()
            stage.execute()
            assert (fresh(execution).state, results["done"], stage.calls()) == ("aborted", 2, [])
        else:
            assert (request.state, fresh(execution).state) == ("approved", "claimed")
            assert results == {"done": 1, "WrongState": 1}
