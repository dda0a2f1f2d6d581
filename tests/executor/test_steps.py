"""Plans of several steps: in order, stopped by the first that does not succeed, taken over where they stand."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.utils import timezone

from approvals.decisions import writing
from approvals.models import Account, ApprovalRequest, Execution, Source
from approvals.plan import Step
from approvals.states import Completeness
from executor import run
from executor.claim import Later
from portal.timeline import timeline_of
from tests.cast import ACCOUNT, REGION
from tests.executor.stage import Stage, attempts, fresh


def approved(stage: Stage, *steps: Step) -> Execution:
    """Alice asks for these steps, in order; bob approves."""
    account, alice, now = Account.objects.get(pk=ACCOUNT), stage.cast.person("alice"), timezone.now()
    versions = writing.matching(writing.calls_of(steps, account, REGION))
    with transaction.atomic():
        request = writing.new_request(Source.FILED, account, REGION, steps, alice, versions, now)
        writing.revise(request, steps, alice, Completeness.EXACT, "two steps", now, versions=versions)
    stage.cast.sign_review(stage.cast.sign_confirm(request))
    return Execution.objects.get(revision__request=request)


CHANGE = Step("dynamodb", "UpdateTable", {"TableName": "prod-orders", "TableClass": "STANDARD_INFREQUENT_ACCESS"})
DELETE = Step("dynamodb", "DeleteTable", {"TableName": "prod-customers"})
NOTHING = Step("dynamodb", "UpdateTable", {"TableName": "prod-nothing", "TableClass": "STANDARD"})


def test_steps_run_in_order_each_in_a_session_of_its_own(stage: Stage) -> None:
    """The first settles before the second is sent; each call has another access key and can do nothing else."""
    execution = approved(stage, CHANGE, DELETE)
    stage.execute()
    assert (fresh(execution).state, attempts(execution)) == ("succeeded", ["succeeded", "succeeded"])
    change, delete = stage.calls("UpdateTable")[0], stage.calls("DeleteTable")[0]
    assert change["eventTime"] <= delete["eventTime"]
    assert change["userIdentity"]["accessKeyId"] != delete["userIdentity"]["accessKeyId"]


def test_the_first_step_that_fails_stops_the_rest(stage: Stage) -> None:
    """AWS refuses the first step: the second, which would destroy, is never sent."""
    execution = approved(stage, NOTHING, DELETE)
    stage.execute()
    stage.sweep(4)
    assert (fresh(execution).state, attempts(execution), stage.calls("DeleteTable")) == ("failed", ["rejected"], [])


@pytest.mark.parametrize("point", ["answered", "settled"])
def test_a_plan_is_taken_over_between_two_steps(stage: Stage, point: str) -> None:
    """The worker dies after the first step took effect: another makes the second step, and none is made twice."""
    execution = approved(stage, CHANGE, DELETE)
    stage.killed_at(point)
    stage.sweep(4)
    assert (fresh(execution).state, attempts(execution)) == ("succeeded", ["succeeded", "succeeded"])
    assert (len(stage.calls("UpdateTable")), len(stage.calls("DeleteTable"))) == (1, 1)


def test_each_step_is_judged_anew_before_it_is_made(stage: Stage) -> None:
    """A step takes its time, and the world moves on meanwhile: the next one is claimed by a token of its own."""
    execution = approved(stage, CHANGE, DELETE)
    with stage.acting("execution"):
        later = run.carry_out(execution.pk)
        assert isinstance(later, Later)
        assert later.until <= timezone.now()
        assert (fresh(execution).state, attempts(execution)) == ("running", ["succeeded"])
        assert run.carry_out(execution.pk) is None
    assert (fresh(execution).state, fresh(execution).token) == ("succeeded", 2)
    assert (len(stage.calls("UpdateTable")), len(stage.calls("DeleteTable"))) == (1, 1)
    titles = [one.title for one in timeline_of(ApprovalRequest.objects.get())]
    assert "Claimed again for what is left" in titles
    assert not [one for one in titles if "taken over" in one]


def test_a_right_lost_between_two_steps_stops_the_second(stage: Stage) -> None:
    """Whoever takes over judges everything again: what has begun has failed, and says how far it came."""
    execution = approved(stage, CHANGE, DELETE)
    stage.killed_at("settled")
    stage.sql("UPDATE portal_user SET is_active = false WHERE username = 'bob'")
    stage.sweep(4)
    assert (fresh(execution).state, attempts(execution), stage.calls("DeleteTable")) == ("failed", ["succeeded"], [])
    assert "before the next step" in fresh(execution).outcome


def test_an_unknown_first_step_stops_the_rest_for_good(stage: Stage) -> None:
    """The worker dies before it knows the first answer: even when CloudTrail proves it, the second is not made unasked."""
    from tests.executor.test_evidence import learn

    execution = approved(stage, CHANGE, DELETE)
    stage.killed_at("called")
    stage.sweep(4)
    assert fresh(execution).state == "unknown"
    learn(stage)
    stage.sweep(4)
    assert (fresh(execution).state, attempts(execution), stage.calls("DeleteTable")) == ("failed", ["succeeded"], [])
    assert "the 1 after it were not made" in fresh(execution).outcome


def test_no_further_step_is_begun_after_the_approval_ran_out(stage: Stage) -> None:
    """The first step settled when the use-by was over: the second is not made."""
    execution = approved(stage, CHANGE, DELETE)
    with stage.acting("execution"):
        run.carry_out(execution.pk)
    past = "now() - interval '1 second'"
    stage.forge(
        (f"UPDATE approvals_execution SET valid_until = {past}", ()),
        (f"UPDATE approvals_approvalrequest SET approved_until = {past}", ()),
    )
    stage.execute()
    assert (fresh(execution).state, attempts(execution), stage.calls("DeleteTable")) == ("failed", ["succeeded"], [])
    assert "time that has run out" in fresh(execution).outcome
