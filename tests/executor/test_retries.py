"""Trying again what AWS definitely did not do: new attempts under the same approval, ever later, never for ever."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from approvals.models import ApprovalRequest, Attempt, AuditEntry, Execution, OutboxMessage
from approvals.plan import Step
from executor import again, run
from executor.claim import Later
from portal.review_page import page_of
from portal.timeline import timeline_of
from tests.executor.proxy import Wire
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_drift import swapped
from tests.executor.test_evidence import learn
from tests.executor.test_steps import approved

CHANGES = ({"TableClass": "STANDARD_INFREQUENT_ACCESS"}, {"DeletionProtectionEnabled": True}, {"TableClass": "STANDARD"})


def execute_again(stage: Stage, times: int = 1) -> None:
    """The worker comes back as often, each time when it is due."""
    for _ in range(times):
        stage.lapse()
        stage.execute()


@given(st.integers(1, 1000))
def test_a_delay_is_bounded_and_grows(tries: int) -> None:
    """Full jitter: between nothing and a bound that doubles from two seconds to five minutes."""
    assert timedelta(0) <= again.delay(tries) < again.bound(tries) <= again.LONGEST
    assert again.bound(1) == timedelta(seconds=2)
    assert again.bound(tries + 1) == min(again.bound(tries) * 2, again.LONGEST)


def test_what_was_throttled_is_made_again_as_a_new_attempt(stage: Stage) -> None:
    """AWS throttles twice and then says yes: three attempts, one request each, each in a session of its own."""
    execution = stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "DeleteTable", "throttle before", times=2) as wire:
        stage.endpoint = wire.url
        stage.execute()
        execute_again(stage, 2)
        stage.endpoint = ""
        assert wire.received == 3
    rows = list(Attempt.objects.filter(execution=execution))
    assert [(one.number, one.state, one.may_repeat) for one in rows] == [
        (1, "rejected", True),
        (2, "rejected", True),
        (3, "succeeded", False),
    ]
    assert len({one.access_key_id for one in rows}) == 3
    assert (fresh(execution).state, len(stage.calls()), stage.alerts()) == ("succeeded", 1, [])
    learn(stage)
    assert [hasattr(one, "proof") for one in Attempt.objects.filter(execution=execution)] == [False, False, True]


def test_nobody_comes_back_before_the_time(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the next try is due the promise waits, a second promise finds nothing to do, and the trail says when and why."""
    monkeypatch.setattr(again, "delay", again.bound)
    monkeypatch.setattr(again, "FIRST", timedelta(minutes=1))
    execution = stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "DeleteTable", "throttle before") as wire:
        stage.endpoint = wire.url
        stage.execute()
        stage.sql("UPDATE approvals_outboxmessage SET due_at = now() WHERE kind = 'execute'")
        stage.execute()
        assert wire.received == 1
        stage.endpoint = ""
    found = fresh(execution)
    assert found.state == "running"
    assert found.lease_until is not None
    assert timedelta(seconds=30) < found.lease_until - timezone.now() <= timedelta(minutes=1)
    entry = AuditEntry.objects.get(kind="execution.put-off")
    said = json.loads(entry.body)["detail"]
    assert (said["tries"], said["most"], said["step"]) == (1, 8, 0)
    assert "ThrottlingException" in said["why"]
    assert said["until"] == found.lease_until.isoformat()
    assert stage.alerts() == []


def test_the_steps_before_are_no_tries_of_a_late_one(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """STS hiccups at the third step of a plan: it is begun again as soon as a first step would be."""
    monkeypatch.setattr(again, "delay", again.bound)
    monkeypatch.setattr(again, "FIRST", timedelta(minutes=1))
    execution = approved(stage, *(Step("dynamodb", "UpdateTable", {"TableName": "prod-orders", **one}) for one in CHANGES))
    with stage.acting("execution"):
        for made in (1, 2):
            run.carry_out(execution.pk)
            assert attempts(execution) == ["succeeded"] * made
    with Wire(stage.aws.endpoint_url, "AssumeRole", "throttle before") as wire:
        stage.endpoint = wire.url
        with stage.acting("execution"):
            later = run.carry_out(execution.pk)
        assert wire.received
        stage.endpoint = ""
    assert isinstance(later, Later)
    assert "AssumeRole" in later.why or "Throttling" in later.why
    until = fresh(execution).lease_until
    assert until is not None
    assert timedelta(0) < until - timezone.now() <= timedelta(minutes=1)


def test_after_eight_tries_it_has_failed(stage: Stage) -> None:
    """AWS throttles for ever: eight requests, eight rows, then failed with no effect, and nobody tries on."""
    execution = stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "DeleteTable", "throttle before") as wire:
        stage.endpoint = wire.url
        stage.execute()
        execute_again(stage, 10)
        assert wire.received == again.MOST_TRIES
        stage.endpoint = ""
    assert (fresh(execution).state, attempts(execution)) == ("failed", ["rejected"] * 8)
    assert "tried 8 times" in fresh(execution).outcome
    assert not Attempt.objects.get(execution=execution, number=8).may_repeat
    assert stage.alerts() == ["failed"]


def test_nothing_is_tried_beyond_the_use_by(stage: Stage) -> None:
    """The approval runs out before the next try: it failed at once, and not when somebody comes back."""
    execution = stage.cast.approved()
    stage.forge(("UPDATE approvals_execution SET valid_until = now() + interval '5 seconds'", ()))
    with pytest.MonkeyPatch.context() as patch, Wire(stage.aws.endpoint_url, "DeleteTable", "throttle before") as wire:
        patch.setattr(again, "delay", lambda tries: timedelta(seconds=30))
        stage.endpoint = wire.url
        stage.execute()
        execute_again(stage)
        stage.endpoint = ""
        assert wire.received == 1
    assert (fresh(execution).state, attempts(execution)) == ("failed", ["rejected"])


def test_a_delay_is_drawn_from_the_whole_of_its_bound() -> None:
    """Workers that were throttled together do not come back together: neither soon, nor late, nor all in the middle."""
    drawn = [again.delay(8) / again.bound(8) for _ in range(200)]
    assert min(drawn) < 0.2
    assert max(drawn) > 0.8
    assert len(set(drawn)) > 150


def test_whoever_comes_back_judges_everything_again(stage: Stage) -> None:
    """Bob loses his right while the call is put off: the next worker stops, no second request goes out, and a new review is
    asked for, as before a first try."""
    execution = stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "DeleteTable", "throttle before") as wire:
        stage.endpoint = wire.url
        stage.execute()
        stage.sql("UPDATE portal_user SET is_active = false WHERE username = 'bob'")
        execute_again(stage)
        stage.endpoint = ""
        assert wire.received == 1
    assert (fresh(execution).state, attempts(execution), stage.calls()) == ("failed", ["rejected"], [])
    assert ApprovalRequest.objects.get().state == "draft"


def test_drift_after_a_refused_try_asks_for_a_new_review(stage: Stage) -> None:
    """The table is deleted and made anew while a throttled call waits: nothing is sent, and its reviewers hear the difference."""
    execution = stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "DeleteTable", "throttle before", times=1) as wire:
        stage.endpoint = wire.url
        stage.execute()
        swapped()
        execute_again(stage)
        stage.endpoint = ""
    request = ApprovalRequest.objects.get()
    assert (fresh(execution).state, attempts(execution), stage.calls()) == ("failed", ["rejected"], [])
    assert request.state == "draft"
    assert AuditEntry.objects.filter(kind="request.reopened").count() == 1
    assert "TableId" in fresh(execution).outcome
    assert "tried again" in fresh(execution).outcome


@pytest.mark.parametrize("fault", ["500 before", "close before", "error without code before", "malformed after"])
def test_what_is_not_known_is_never_tried_again(stage: Stage, fault: str) -> None:
    """An answer that decides nothing is not a rejection: one request, however often somebody comes back."""
    execution = stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "DeleteTable", fault) as wire:
        stage.endpoint = wire.url
        stage.execute()
        execute_again(stage, 3)
        stage.endpoint = ""
        assert wire.received == 1
    assert (fresh(execution).state, attempts(execution)) == ("unknown", ["unknown"])
    assert Attempt.objects.filter(may_repeat=True).count() == 0


def test_what_cannot_pass_is_not_tried_again(stage: Stage) -> None:
    """AWS says that there is no such table: one attempt, failed."""
    execution = stage.cast.approved(TableName="prod-nothing")
    stage.execute()
    execute_again(stage, 2)
    assert (fresh(execution).state, attempts(execution), len(stage.calls())) == ("failed", ["rejected"], 1)


def test_the_database_takes_no_second_attempt_after_an_unknown_one(stage: Stage) -> None:
    """Even a worker gone mad cannot send again what may have happened: a trigger holds that."""
    execution = stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "DeleteTable", "500 before") as wire:
        stage.endpoint = wire.url
        stage.execute()
        stage.endpoint = ""
    row: Any = Attempt.objects.get(execution=execution)
    stage.forge(("UPDATE approvals_execution SET state = 'running' WHERE id = %s", (execution.pk,)))
    with pytest.raises(psycopg.errors.CheckViolation, match="sent again only when"):
        stage.sql(
            "INSERT INTO approvals_attempt (execution_id, step, number, state, token, operation, region, access_key_id, "
            "aws_request_id, sent_at, rehearsal, claimed_as, client_token, answer, made, error_code, error_message, may_repeat) "
            "VALUES (%s, 0, 2, 'sent', %s, %s, %s, 'ASIA', '', now(), false, '', '', '', '', '', '', false)",
            execution.pk,
            row.token,
            row.operation,
            row.region,
        )


def test_the_role_that_cannot_be_assumed_is_tried_ever_later(stage: Stage) -> None:
    """STS throttles: no attempt, the claim is given back with a time, and the promise waits for it; then it is carried out."""
    execution = stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "AssumeRole", "throttle before") as wire:
        stage.endpoint = wire.url
        for _ in range(2):
            stage.lapse()
            stage.execute()
        stage.endpoint = ""
    found = fresh(execution)
    assert (found.state, found.token, attempts(execution)) == ("claimed", 2, [])
    assert stage.audit().count("execution.put-off") == 2
    promise = OutboxMessage.objects.get(kind="execute")
    assert (promise.done_at, promise.due_at) == (None, found.lease_until)
    execute_again(stage)
    assert (fresh(execution).state, attempts(execution)) == ("succeeded", ["succeeded"])
    assert Execution.objects.count() == 1


def test_the_pages_say_when_and_for_which_attempt_somebody_comes_back(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a call is put off the request page says until when, which attempt follows and why; afterwards it does not."""
    monkeypatch.setattr(again, "delay", lambda tries: timedelta(minutes=3))
    execution = stage.cast.approved()
    request = execution.revision.request
    with Wire(stage.aws.endpoint_url, "DeleteTable", "throttle before", times=2) as wire:
        stage.endpoint = wire.url
        stage.execute()
        execute_again(stage)
        stage.endpoint = ""
    later = page_of(request).put_off
    assert later is not None
    assert (later.until, later.words) == (fresh(execution).lease_until, "attempt 3 of 8")
    assert "ThrottlingException" in later.why
    titles = [one.title for one in timeline_of(request)]
    assert "Put off: attempt 2 of 8 follows" in titles
    execute_again(stage)
    assert page_of(request).put_off is None


def test_an_answer_that_was_given_before_is_none(stage: Stage) -> None:
    """Somebody who keeps AWS's answers may tell an old one after the call went through: it is not made a third time."""
    execution = stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "DeleteTable", "replay before") as wire:
        stage.endpoint = wire.url
        stage.execute()
        assert (fresh(execution).state, attempts(execution)) == ("running", ["rejected"])
        for _ in range(3):
            stage.lapse()
            stage.execute()
        stage.endpoint = ""
    assert (fresh(execution).state, attempts(execution), wire.received) == ("unknown", ["rejected", "unknown"], 2)
