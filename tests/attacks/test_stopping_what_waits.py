"""What was claimed and waits again is nobody's: whoever may, stops it; and a worker that comes back makes no call."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from approvals import clearance, decisions
from approvals.errors import WrongState
from approvals.models import ApprovalRequest, Attempt, Execution
from approvals.states import Status
from executor import again
from executor.outside import bucket
from portal.viewer import Viewer
from tests.attacks.test_ends_after_a_restore import NO_LIST, with_s3
from tests.executor.proxy import Wire
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_steps import CHANGE, DELETE, approved
from tests.portal.hands import browser_of

ENDS: dict[str, Callable[[Stage, Execution], ApprovalRequest]] = {
    "stop": lambda stage, one: decisions.stop(one.revision.request_id, stage.cast.person("bob"), reason="not this one"),
    "withdraw": lambda stage, one: decisions.withdraw(one.revision.request_id, stage.cast.person("alice")),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_a_pause_held_is_stopped_before_it_is_lifted(stage: Stage, end: str) -> None:
    """Pause, look, stop that one, resume: no call is made, and nothing was."""
    execution = stage.cast.approved()
    with stage.frozen_at("claiming") as thaw:
        stage.cast.paused()
        thaw()
    assert fresh(execution).state == "claimed"
    ENDS[end](stage, execution)
    stage.resume()
    stage.sweep()
    assert (fresh(execution).state, attempts(execution), stage.calls()) == ("aborted", [], [])


@pytest.mark.parametrize("end", ENDS)
def test_what_is_left_of_a_plan_is_stopped_between_two_steps(stage: Stage, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """One step was made and the window closed before the other: that one is never made, and the page says that it failed."""
    execution = approved(stage, CHANGE, DELETE)
    with monkeypatch.context() as patch:
        patch.setattr(clearance, "why_closed", lambda rules, now: "closed" if Attempt.objects.filter(state="succeeded") else "")
        patch.setattr(clearance, "opens_at", lambda rules, now: timezone.now() + timedelta(days=2))
        stage.execute()
        assert (fresh(execution).state, attempts(execution)) == ("running", ["succeeded"])
        ended = ENDS[end](stage, execution)
    assert "before it ran" not in ended.ended_why
    stage.sweep()
    assert (fresh(execution).state, attempts(execution), stage.calls()) == ("failed", ["succeeded"], [])
    assert ApprovalRequest.objects.get().status() is Status.FAILED


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("point", ["claimed", "opened", "claiming", "claimed-outside"])
def test_a_worker_that_stood_still_makes_no_call_for_what_was_stopped(stage: Stage, end: str, point: str) -> None:
    """It stalls for longer than its lease, somebody ends the request, it wakes: nothing goes out, whoever comes next ends it."""
    execution = stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "DeleteTable", "hang after", times=0) as wire:
        stage.endpoint = wire.url
        with stage.frozen_at(point) as thaw:
            stage.endpoint = ""
            stage.sql("UPDATE approvals_execution SET lease_until = now() - interval '1 second'")
            ENDS[end](stage, execution)
            thaw()
        assert wire.received == 0
    stage.sweep()
    assert fresh(execution).state in {"aborted", "failed"}
    assert "succeeded" not in attempts(execution)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("point", ["claimed", "sent", "called"])
def test_what_somebody_has_or_what_is_not_known_is_not_stopped(stage: Stage, end: str, point: str) -> None:
    """While its worker's lease lasts, and whenever a call has no answer: it can no longer be stopped here."""
    execution = stage.cast.approved()
    with stage.frozen_at(point) as thaw:
        if point != "claimed":
            stage.sql("UPDATE approvals_execution SET lease_until = now() - interval '1 second'")
        with pytest.raises(WrongState, match="no longer be stopped"):
            ENDS[end](stage, execution)
        thaw()
    assert ApprovalRequest.objects.get().state == "approved"


@pytest.mark.parametrize("end", ENDS)
def test_what_is_left_is_stopped_while_a_step_settles(stage: Stage, end: str) -> None:
    """AWS accepted the first step, and takes its time: the request ends at once, the step settles, no other is made."""
    execution = approved(stage, CHANGE, DELETE)
    stage.killed_at("answered")
    assert (fresh(execution).state, attempts(execution)) == ("running", ["accepted"])
    ended = ENDS[end](stage, execution)
    assert ended.status() is Status.RUNNING
    assert [one.pk for one in seen_by(stage, "bob").running()] == [execution.pk]
    stage.sweep()
    assert (fresh(execution).state, attempts(execution), stage.calls()) == ("failed", ["succeeded"], [])
    assert ended.ended_why in fresh(execution).outcome


@pytest.mark.parametrize("end", ENDS)
def test_a_worker_that_looks_at_a_step_makes_no_other_for_what_was_stopped(stage: Stage, end: str) -> None:
    """It holds the claim and looks whether the first step has settled: the request ends all the same, and so does the plan."""
    execution = approved(stage, CHANGE, DELETE)
    with stage.frozen_at("looking") as thaw:
        ENDS[end](stage, execution)
        thaw()
    stage.sweep()
    assert (fresh(execution).state, attempts(execution), stage.calls()) == ("failed", ["succeeded"], [])


@pytest.mark.parametrize("end", ENDS)
def test_what_is_tried_again_later_is_stopped_at_once(stage: Stage, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS throttled it and the next try is minutes away: nobody waits for that to stop it, and it is not made."""
    monkeypatch.setattr(again, "FIRST", timedelta(minutes=1))
    execution = stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "DeleteTable", "throttle before", times=1) as wire:
        stage.endpoint = wire.url
        stage.execute()
        stage.endpoint = ""
    assert (fresh(execution).state, attempts(execution)) == ("running", ["rejected"])
    ENDS[end](stage, execution)
    stage.sweep()
    assert (fresh(execution).state, attempts(execution), stage.calls()) == ("failed", ["rejected"], [])


@pytest.mark.parametrize("end", ENDS)
def test_where_every_step_is_made_there_is_nothing_to_stop(stage: Stage, end: str) -> None:
    """AWS accepted the last step: whoever would stop it is told so, no list offers it, and what was done is said as it is."""
    execution = stage.cast.approved()
    stage.killed_at("answered")
    with pytest.raises(WrongState, match="no longer be stopped"):
        ENDS[end](stage, execution)
    assert not seen_by(stage, "bob").may_stop()
    stage.sweep()
    assert fresh(execution).state == "succeeded"


def test_the_lists_and_the_page_offer_to_stop_what_is_left(stage: Stage) -> None:
    """While a step settles a reviewer finds the request among those to stop; its page says what stays, with the form."""
    execution = approved(stage, CHANGE, DELETE)
    stage.killed_at("answered")
    request = execution.revision.request
    assert [one.pk for one in seen_by(stage, "bob").may_stop()] == [request.pk]
    bob = browser_of(stage.cast, "bob")
    page = bob.get(bob.page("change", request)).content.decode()
    assert "What was made stays made" in page
    assert f'action="{bob.page("stop", request)}"' in page
    assert bob.post(bob.page("stop", request), {"reason": "the backup is enough"}).status_code == 302
    assert ApprovalRequest.objects.get().ended_why == "Stopped by bob before its next step: the backup is enough"


def seen_by(stage: Stage, handle: str) -> Viewer:
    return Viewer(stage.cast.person(handle))


def test_what_waits_for_s3_can_be_stopped(stage: Stage) -> None:
    """A check does not hold and S3 is away: nobody has it, so whoever may stops it, although it is asked again in a minute."""
    execution = stage.cast.approved()
    stage.killed_at("claimed")
    stage.sql("UPDATE portal_user SET is_active = false WHERE username = 'bob'")
    bucket.must_keep.cache_clear()
    with_s3(stage, NO_LIST["down"], lambda: stage.sweep(1))
    bucket.must_keep.cache_clear()
    stage.sql("UPDATE portal_user SET is_active = true WHERE username = 'bob'")
    one = fresh(execution)
    assert (one.state, one.worker, attempts(execution), stage.calls()) == ("claimed", "", [], [])
    # Nobody has it: nothing was made, and the next who asks would carry it out.
    decisions.stop(execution.revision.request_id, stage.cast.person("bob"), reason="no")
    stage.sweep(2)
    assert stage.calls() == []
