"""Plans of several steps: what stands in them, what they are about, who has to approve them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from django.utils import timezone

from approvals import authority, clearance, decisions, genesis, ingest
from approvals.decisions.steps import MOST_STEPS, Asked
from approvals.errors import BadParameters, NothingMatches, StaleRevision
from approvals.models import ApprovalRequest, Execution, Revision
from approvals.states import RequestState
from executor.demo import people
from tests.cast import _KEYS, ACCOUNT, REGION, Cast, envelope, seal, trail_record

UNPROTECT: Asked = ("dynamodb:UpdateTable", {"TableName": "prod-orders", "DeletionProtectionEnabled": False})
DELETE: Asked = ("dynamodb:DeleteTable", {"TableName": "prod-orders"})
ELSEWHERE: Asked = ("dynamodb:UpdateTable", {"TableName": "staging-orders", "DeletionProtectionEnabled": False})
BACKUP: Asked = ("dynamodb:CreateBackup", {"TableName": "prod-orders", "BackupName": "before"})


def filed(cast: Any, *steps: Asked) -> ApprovalRequest:
    return decisions.file(cast.person("alice"), account_id=ACCOUNT, region=REGION, steps=steps)


def completed(cast: Any, request: ApprovalRequest, *steps: Asked, number: int = 1) -> Revision:
    return decisions.complete(request.pk, cast.person("alice"), steps=steps, number=number)


def names(revision: Revision) -> list[str]:
    return [step.operation for step in revision.plan.steps]


class TestFiled:
    def test_the_steps_are_the_plan_in_order(self, cast):
        """What is filed in an order is signed in that order."""
        request = filed(cast, BACKUP, UNPROTECT, DELETE)
        assert names(request.current_revision()) == ["CreateBackup", "UpdateTable", "DeleteTable"]

    @pytest.mark.parametrize(
        ("steps", "about"),
        [
            ((UNPROTECT, DELETE), "dynamodb:DeleteTable"),
            ((DELETE, UNPROTECT), "dynamodb:DeleteTable"),
            ((BACKUP, UNPROTECT), "dynamodb:UpdateTable"),
            ((ELSEWHERE, UNPROTECT), "dynamodb:UpdateTable"),
        ],
    )
    def test_it_is_named_after_the_gravest_protected_step(self, cast, steps, about):
        """The last step that cannot be undone among the protected ones, else the first protected one."""
        request = filed(cast, *steps)
        assert (request.operation, request.target) == (about, "prod-orders")

    def test_one_protected_step_is_enough_and_none_is_too_few(self, cast):
        """A guardrail that matches any step pins the plan; a plan that none matches needs no approval."""
        assert filed(cast, ELSEWHERE, DELETE).current_revision().guardrails.count() == 1
        with pytest.raises(NothingMatches):
            filed(cast, ELSEWHERE)

    def test_every_guardrail_that_matches_any_step_pins_the_plan(self, db, tmp_path, settings):
        """Two guardrails, each protecting another step: both must be satisfied."""
        path = people.write_manifest(SimpleNamespace(path=tmp_path), _KEYS)  # type: ignore[arg-type]
        manifest = yaml.safe_load(path.read_text())
        tables = next(one for one in manifest["guardrails"] if "dynamodb:DeleteTable" in one["operations"])
        backups = {**tables, "name": "backups", "operations": ["dynamodb:CreateBackup"], "resources": ["*"]}
        manifest["guardrails"] = [tables, backups]
        manifest["grants"] = [{"guardrail": one["name"], "person": "bob"} for one in (tables, backups)]
        sealed = genesis.seal(genesis.read(yaml.safe_dump(manifest)))
        settings.GENESIS = sealed.hash
        request = filed(Cast(sealed.hash, _KEYS), BACKUP, DELETE)
        assert [pin.name for pin in request.current_revision().plan.guardrails] == ["backups", tables["name"]]

    def test_what_does_not_fit_is_said_of_its_step(self, cast):
        """The field and the step, counted from 0; nothing is written."""
        with pytest.raises(BadParameters) as refusal:
            filed(cast, DELETE, ("dynamodb:UpdateTable", {"TableName": "prod-orders", "BillingMode": "FREE"}))
        assert (refusal.value.step, list(refusal.value.fields)) == (1, ["BillingMode"])
        assert not ApprovalRequest.objects.exists()

    def test_a_plan_that_nobody_could_read_is_refused(self, cast):
        """Persons sign it in one go, so its length is bounded."""
        with pytest.raises(BadParameters, match="one to"):
            filed(cast, *[DELETE] * (MOST_STEPS + 1))

    def test_another_account_or_region_cannot_hide_in_a_step(self, cast):
        """All steps are of the request's account and region, however they name their target."""
        foreign = ("dynamodb:DeleteTable", {"TableName": "arn:aws:dynamodb:us-east-1:111122223333:table/prod-orders"})
        with pytest.raises(BadParameters) as refusal:
            filed(cast, DELETE, foreign)
        assert (refusal.value.step, list(refusal.value.fields)) == (1, ["TableName"])


class TestFromADeniedCall:
    def test_steps_go_before_and_after_it(self, cast):
        """The denied call stays, with what protects or prepares around it."""
        request = cast.denied_event()
        revision = completed(cast, request, BACKUP, UNPROTECT, DELETE, ELSEWHERE)
        assert names(revision) == ["CreateBackup", "UpdateTable", "DeleteTable", "UpdateTable"]
        fresh = ApprovalRequest.objects.get(pk=request.pk)
        assert (fresh.operation, fresh.target) == ("dynamodb:DeleteTable", "prod-orders")

    @pytest.mark.parametrize(
        "steps",
        [
            (UNPROTECT,),
            (("dynamodb:DeleteTable", {"TableName": "prod-customers"}),),
            (UNPROTECT, ("dynamodb:DeleteTable", {"TableName": "prod-customers"})),
        ],
    )
    def test_it_cannot_be_taken_out_or_turned(self, cast, steps):
        """Neither left out nor made on another target: for that another request is filed."""
        request = cast.denied_event()
        with pytest.raises(BadParameters, match="File another request"):
            completed(cast, request, *steps)
        assert request.current_revision().number == 1

    def test_a_target_that_was_entered_once_can_still_be_corrected(self, cast):
        """Where the record told no target, none is held fast: a slip in it is mended by an edit."""
        record = trail_record("UpdateTable", errorMessage="Denied.")
        ingest.ingest([ingest.Message("m", envelope(record))])
        request = ApprovalRequest.objects.get(records__event_id=record["eventID"])
        for number, table in enumerate(("prod-a", "prod-b"), start=1):
            completed(cast, request, ("dynamodb:UpdateTable", {"TableName": table, "TableClass": "STANDARD"}), number=number)
        assert ApprovalRequest.objects.get(pk=request.pk).target == "prod-b"

    def test_parameters_alone_change_the_step_that_it_is_about(self, cast):
        """The other steps stay as they are."""
        request = cast.denied_event("UpdateTable")
        completed(cast, request, BACKUP, UNPROTECT)
        parameters = {"TableName": "prod-orders", "TableClass": "STANDARD"}
        revision = decisions.complete(request.pk, cast.person("alice"), parameters=parameters, number=2)
        assert [(step.operation, step.parameters) for step in revision.plan.steps] == [
            ("CreateBackup", BACKUP[1]),
            ("UpdateTable", parameters),
        ]


class TestEdited:
    def test_a_filed_request_stays_about_its_operation(self, cast):
        """Its target may change, what it asks for may not."""
        request = filed(cast, DELETE)
        completed(cast, request, ("dynamodb:DeleteTable", {"TableName": "prod-customers"}))
        assert ApprovalRequest.objects.get(pk=request.pk).target == "prod-customers"
        with pytest.raises(BadParameters, match="must stay one of its steps"):
            completed(cast, request, UNPROTECT, number=2)

    def test_two_edits_at_once_make_one(self, cast):
        """The revision number that was seen decides; the later one is told to look again."""
        request = filed(cast, DELETE)
        completed(cast, request, UNPROTECT, DELETE)
        with pytest.raises(StaleRevision):
            completed(cast, request, BACKUP, DELETE)

    def test_a_step_more_voids_what_was_signed(self, cast):
        """Another step is another plan: back to draft, and nobody has approved it."""
        request = cast.pending()
        completed(cast, request, UNPROTECT, DELETE)
        fresh = ApprovalRequest.objects.get(pk=request.pk)
        assert fresh.request_state is RequestState.DRAFT
        assert not fresh.current_revision().signatures.exists()

    def test_a_plan_of_two_steps_is_signed_as_one(self, cast):
        """One confirmation, one approval, one execution of both."""
        request = cast.sign_review(cast.sign_confirm(filed(cast, UNPROTECT, DELETE)))
        assert request.state == "approved"
        assert names(request.current_revision()) == ["UpdateTable", "DeleteTable"]


def test_the_mark_of_a_hidden_value_is_never_taken_for_the_value(cast):
    """A draft leaves CloudTrail's mark out, and a plan that holds one is refused."""
    marked = trail_record("UpdateTable", denied=True, requestParameters={"tableName": "prod-orders", "billingMode": "****"})
    ingest.ingest([ingest.Message("m", envelope(marked))])
    request = ApprovalRequest.objects.get(records__event_id=marked["eventID"])
    revision = request.current_revision()
    assert revision.draft_steps[0]["parameters"] == {"TableName": "prod-orders"}
    assert (revision.completeness, revision.text) == ("redacted", "")
    with pytest.raises(BadParameters, match="mark for something that it hides"):
        cast.filed("dynamodb:DeleteTable", TableName="HIDDEN_DUE_TO_SECURITY_REASONS")


@pytest.mark.parametrize("first", [True, False])
def test_what_cannot_be_undone_does_not_ride_on_another_steps_guardrail(cast, first):
    """An irreversible step that no guardrail protects is refused: nobody is named who may approve it."""
    protected: Asked = ("dynamodb:DeleteTable", {"TableName": "prod-orders"})
    rider: Asked = ("dynamodb:DeleteTable", {"TableName": "staging-orders"})
    with pytest.raises(NothingMatches, match="step 2" if not first else "step 1"):
        decisions.file(
            cast.person("alice"),
            account_id=ACCOUNT,
            region=REGION,
            steps=[rider, protected] if first else [protected, rider],
        )


def test_a_call_of_a_global_service_is_carried_out_though_its_region_is_not_used(tmp_path, settings, db):
    """IAM's calls are recorded in us-east-1, whatever region people work in: the draft of one can be approved and cleared."""
    cast = seal(tmp_path, settings, operations=["iam:DeleteUser"], resources=["arn:aws:iam::*:user/*"])
    message = (
        f"User: arn:aws:iam::{ACCOUNT}:user/alice is not authorized to perform: iam:DeleteUser on resource: user robot "
        "with an explicit deny in an identity-based policy"
    )
    denied = trail_record("DeleteUser", eventSource="iam.amazonaws.com", awsRegion="us-east-1", errorMessage=message)
    ingest.ingest([ingest.Message("m", envelope(denied))])
    request = ApprovalRequest.objects.get(records__event_id=denied["eventID"])
    assert request.current_revision().draft_steps[0]["parameters"] == {"UserName": "robot"}
    cast.sign_confirm(request)
    cast.sign_review(request)
    execution = Execution.objects.get(revision__request=request)
    walked = authority.walk(cast.genesis)
    plan = clearance.clear(execution, walked, decisions.relying_party(), now=timezone.now())
    assert (plan.region, plan.steps[0].name) == ("us-east-1", "iam:DeleteUser")


def test_the_region_of_a_global_service_is_its_own_wherever_it_is_filed(tmp_path, settings, db):
    """A guardrail on us-east-1 protects IAM's calls filed for any region; a regional service is refused where it is not used."""
    cast = seal(tmp_path, settings, operations=["iam:DeleteUser"], resources=["*"], regions=["us-east-1"])
    assert cast.filed("iam:DeleteUser", UserName="robot").state == RequestState.DRAFT
    with pytest.raises(BadParameters, match="not in 'us-east-1'"):
        decisions.file(
            cast.person("alice"),
            account_id=ACCOUNT,
            region="us-east-1",
            operation="dynamodb:DeleteTable",
            parameters={"TableName": "prod-orders"},
        )
