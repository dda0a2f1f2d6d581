"""Backup steps before what cannot be undone: where a guardrail asks for one, and what a plan with one needs."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from approvals import decisions
from approvals.errors import Refused
from approvals.models import ApprovalRequest, Execution, GuardrailVersion
from approvals.policies import rules_from
from tests.approvals.test_clearance import as_the_owner, clear, verify
from tests.approvals.test_glass import GLASS, breaking
from tests.approvals.test_steps import BACKUP, DELETE, UNPROTECT
from tests.cast import ACCOUNT, REGION, seal, with_carol

STRICT = {"irreversible": {"extra_approvals": 1, "typed_name": True, "hold": 300}}
OTHER = ("dynamodb:CreateBackup", {**BACKUP[1], "TableName": "prod-customers"})
PITR = (
    "dynamodb:UpdateContinuousBackups",
    {"TableName": "prod-orders", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}},
)


@pytest.fixture
def world(db, tmp_path, settings):
    """Seal a world under these rules; carol may review too, and break the glass where the rules have one."""
    return lambda **rules: seal(tmp_path, settings, change=with_carol, **rules)


def filed(cast, *steps, by="alice"):
    return decisions.file(cast.person(by), account_id=ACCOUNT, region=REGION, steps=steps)


class TestWhereAGuardrailAsks:
    def test_a_loss_without_a_backup_is_not_confirmed_and_the_message_says_what_to_put_in(self, world):
        """The draft stays a draft; with the step it is confirmed, approved and cleared for the executor."""
        cast = world(protective_step=True)
        request = filed(cast, DELETE)
        with pytest.raises(Refused, match=r"asks for a backup first: step 1.*put dynamodb:CreateBackup in front of it"):
            cast.sign_confirm(request)
        assert ApprovalRequest.objects.get().state == "draft"
        decisions.complete(request.pk, cast.person("alice"), steps=[BACKUP, DELETE], number=1)
        cast.sign_review(cast.sign_confirm(request))
        assert clear(cast, Execution.objects.get()).steps[0].operation == "CreateBackup"

    @pytest.mark.parametrize("steps", [(DELETE, BACKUP), (OTHER, DELETE)])
    def test_a_backup_that_does_not_protect_is_none(self, world, steps):
        """Behind the loss, or of another table."""
        cast = world(protective_step=True)
        with pytest.raises(Refused, match="asks for a backup first"):
            cast.sign_confirm(filed(cast, *steps))

    def test_point_in_time_recovery_does_as_well(self, world):
        """Switched on as a step; no guardrail has to protect that step by itself."""
        cast = world(protective_step=True)
        assert cast.sign_confirm(filed(cast, PITR, DELETE)).state == "pending"

    def test_what_loses_nothing_is_asked_for_nothing(self, world):
        """A change that can be undone is confirmed as ever."""
        cast = world(protective_step=True)
        assert cast.sign_confirm(filed(cast, UNPROTECT)).state == "pending"

    def test_nothing_is_asked_where_the_guardrail_does_not(self, world):
        """Off by default; versions written before keep their text and hash."""
        cast = world()
        assert cast.sign_confirm(filed(cast, DELETE)).state == "pending"

    def test_a_denied_call_is_a_draft_that_nobody_can_decide_unconfirmed(self, world):
        """Its requester puts the step in, and stands behind the plan by that."""
        cast = world(protective_step=True, unconfirmed=True)
        request = cast.denied_event()
        assert (request.state, request.unconfirmed) == ("draft", False)
        with pytest.raises(Refused, match="asks for a backup first"):
            cast.sign_confirm(request)
        assert request.current_revision().text

    def test_the_glass_is_not_broken_without_it(self, world):
        """Break-glass waits for nobody, and for the backup all the same."""
        cast = world(**GLASS, protective_step=True)
        with pytest.raises(Refused, match="cannot be undone"):
            breaking(cast, filed(cast, DELETE, by="carol"))

    def test_the_executor_refuses_what_was_signed_before_it_was_asked_for(self, world):
        """The guardrail of today asks at the claim, from the signed bytes: nothing is sent, a new review is needed."""
        cast = world()
        execution = cast.approved()
        rules = {**json.loads(GuardrailVersion.objects.get().text), "protective_step": True}
        cast.changed({"edit": "put_guardrail", "rules": rules})
        with pytest.raises(Refused, match="asks for a backup first"):
            clear(cast, execution)


class TestAProtectedPlanCountsAsOneThatCanBeUndone:
    def test_it_needs_no_more_than_any_other(self, world):
        """One approval, no name typed, no hold: and the executor finds the same from what was signed."""
        cast = world(**STRICT)
        cast.sign_review(cast.sign_confirm(filed(cast, BACKUP, UNPROTECT, DELETE)))
        execution = Execution.objects.get()
        assert execution.not_before - execution.created_at < timedelta(seconds=1)
        assert verify(cast, execution).hold == 0

    def test_without_its_backup_it_needs_all_of_it(self, world):
        """The same plan with the backup behind the loss: a name to type, one approval more, a hold."""
        cast = world(**STRICT)
        request = cast.sign_confirm(filed(cast, UNPROTECT, DELETE, BACKUP))
        with pytest.raises(Refused, match="Type the name"):
            cast.sign_review(request)

    def test_the_glass_may_be_broken_for_it(self, world):
        """Never for what cannot be undone without a verified backup step; with one it may."""
        cast = world(**GLASS, **STRICT)
        request = breaking(cast, filed(cast, BACKUP, DELETE, by="carol"))
        assert request.state == "approved"
        assert clear(cast, Execution.objects.get())

    def test_the_order_of_signed_steps_is_what_counts(self, world):
        """A row whose steps were swapped after the signatures has another digest: nothing of it is believed."""
        cast = world(**STRICT)
        request = cast.sign_review(cast.sign_confirm(filed(cast, BACKUP, DELETE)))
        execution = Execution.objects.get(revision__request=request)
        as_the_owner("UPDATE approvals_revision SET text = replace(text, 'CreateBackup', 'DeleteBackup')")
        with pytest.raises(Exception, match="digest"):
            clear(cast, execution)


def test_the_field_is_written_only_where_it_is_set():
    """A version that was written before the field existed keeps its text and so its hash."""
    plain = {"name": "tables", "accounts": ["*"], "operations": ["dynamodb:*"], "approvals": 1}
    assert "protective_step" not in rules_from(plain).text()
    assert '"protective_step":true' in rules_from({**plain, "protective_step": True}).text()
    assert rules_from({**plain, "protective_step": False}).text() == rules_from(plain).text()
