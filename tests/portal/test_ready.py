"""Ready-made plans: protection switched off, a backup taken, in front of what was asked for, with one press of a button."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals import canonical, decisions
from approvals.models import ApprovalRequest, Revision
from approvals.operations import catalog, ready
from approvals.operations.facts import Ready
from approvals.plan import Step
from tests.cast import seal
from tests.portal.hands import browser_of
from tests.portal.test_filing import plan, text
from tests.portal.test_operation_form import find
from tests.portal.test_pages import as_owner, observed

PROTECTED = {"TableName": "prod-orders", "TableStatus": "ACTIVE", "DeletionProtectionEnabled": True}
LABEL = "Switch deletion protection off first, then delete"


def offered(name: str, parameters: dict[str, Any], state: Any = None, *before: Step) -> list[ready.Offered]:
    return ready.offers(catalog.get(name), parameters, state, before)


class TestOffers:
    def test_an_offer_depends_on_what_is_known_of_the_target(self):
        """Made when the state asks for it or is not known, not when the state says that it is not needed."""
        titles = {
            name: [one.ready.title for one in offered("dynamodb:DeleteTable", {"TableName": "t"}, state)]
            for name, state in (("on", PROTECTED), ("unknown", None), ("off", {"DeletionProtectionEnabled": False}))
        }
        assert "Switch deletion protection off first" in titles["on"]
        assert titles["on"] == titles["unknown"]
        assert "Switch deletion protection off first" not in titles["off"]

    def test_a_state_of_another_shape_tells_nothing(self):
        """An expression that AWS's answer does not fit makes no page stumble; the offer stands."""
        odd = Ready("t", "dynamodb:CreateBackup", {}, "w", when="length(DeletionProtectionEnabled) > `0`")
        assert ready._applies(odd, PROTECTED)

    def test_the_call_s_members_fill_it(self):
        """A whole value as it is, a part of a text as text."""
        unprotect, *_, backup = offered("dynamodb:DeleteTable", {"TableName": "t"})
        assert unprotect.steps == (Step("dynamodb", "UpdateTable", {"TableName": "t", "DeletionProtectionEnabled": False}),)
        assert backup.steps[0].parameters["BackupName"] == "before-change-of-t"

    def test_what_the_call_does_not_tell_is_asked_of_a_person(self):
        """A placeholder that nothing fills, and whatever else the offered call requires, is missing."""
        found = {one.ready.title: one for one in offered("dynamodb:DeleteTable", {})}
        assert found["Take a backup first"].missing == ("TableName", "BackupName")

    def test_one_call_each_where_the_offered_one_takes_a_single_target(self):
        """Two instances: the protection of each is switched off."""
        found = {one.ready.title: one for one in offered("ec2:TerminateInstances", {"InstanceIds": ["i-1", "i-2"]})}
        steps = found["Switch termination protection off first"].steps
        assert [step.parameters["InstanceId"] for step in steps] == ["i-1", "i-2"]
        assert found["Stop the instances first"].steps[0].parameters == {"InstanceIds": ["i-1", "i-2"]}

    def test_what_stands_before_already_is_not_offered_again(self):
        """The same call on the same target in front of it; on another target it does not count."""
        for table, again in (("t", False), ("other", True)):
            before = Step("dynamodb", "UpdateTable", {"TableName": table, "DeletionProtectionEnabled": False})
            titles = [one.ready.title for one in offered("dynamodb:DeleteTable", {"TableName": "t"}, PROTECTED, before)]
            assert ("Switch deletion protection off first" in titles) is again

    def test_every_row_s_offer_is_a_call_that_there_is(self):
        """With its target named each offer of each row names members of its operation, and asks for what is missing."""
        for operation in catalog.curated():
            given_ = {name: ["x"] if operation.members[name].type_name == "list" else "x" for name in operation.facts.identifies}
            for one in ready.offers(operation, given_, None):
                target = catalog.get(one.ready.operation)
                for step in one.steps:
                    assert set(step.parameters) <= set(target.members), operation.full_name
                    assert target.required <= {*step.parameters, *one.missing}, operation.full_name

    @given(st.dictionaries(st.sampled_from(["TableName", "x"]), st.none() | st.text() | st.lists(st.text(), max_size=2)))
    def test_whatever_the_call_has_an_offer_can_be_made(self, parameters):
        """Nothing that a draft may hold makes filling stumble."""
        assert offered("dynamodb:DeleteTable", parameters)


class TestOnThePages:
    def test_what_aws_will_refuse_is_mended_by_one_button(self, cast, browser):
        """The review page says what is in the way and offers the plan that takes it away; the press makes the next revision."""
        alice, request = browser("alice"), cast.filed()
        observed(request, "review", PROTECTED)
        page = text(alice.get(alice.page("change", request)))
        assert "AWS will refuse this." in page
        assert page.index(LABEL) < page.index("What changes")
        answer = alice.post(alice.page("plan", request), {"revision": "1", "ready": "1.0"})
        assert (answer.status_code, plan(request)) == (302, ["UpdateTable", "DeleteTable"])
        assert request.current_revision().plan.steps[0].parameters["DeletionProtectionEnabled"] is False
        observed(request, "review", PROTECTED)
        after = text(alice.get(alice.page("change", request)))
        assert "AWS will refuse" not in after.split("Step 2:")[-1]

    def test_the_form_offers_it_too(self, cast, browser):
        """Whoever edits the parameters sees the same buttons."""
        alice, request = browser("alice"), cast.denied_event()
        assert LABEL in text(alice.get(alice.page("complete", request)))

    def test_it_is_offered_to_whom_may_edit_alone(self, cast, browser):
        """A reviewer sees what AWS will refuse, and no button that would change the plan."""
        request = cast.filed()
        observed(request, "review", PROTECTED)
        page = text(browser("bob").get(browser("bob").page("change", request)))
        assert "AWS will refuse this." in page
        assert LABEL not in page

    def test_a_target_that_is_not_protected_is_offered_no_unprotecting(self, cast, browser):
        """What was read says that it is off; a backup is still offered, for nothing says that there is one."""
        alice, request = browser("alice"), cast.filed()
        observed(request, "review", PROTECTED | {"DeletionProtectionEnabled": False})
        page = text(alice.get(alice.page("change", request)))
        assert LABEL not in page
        assert "Take a backup first, then delete" in page
        assert alice.post(alice.page("plan", request), {"revision": "1", "ready": "1.0"}).status_code == 400
        assert plan(request) == ["DeleteTable"]

    def test_a_gone_target_is_offered_nothing(self, cast, browser):
        """What does not exist needs no protection switched off."""
        alice, request = browser("alice"), cast.filed()
        observed(request, "review", None, "AWS says ResourceNotFoundException: no such table")
        assert 'name="ready"' not in text(alice.get(alice.page("change", request)))

    def test_an_offer_opens_its_form_prefilled_when_a_person_has_to_say_something(self, cast, browser):
        """A name that AWS does not accept, or none: the step's form, with what is known in it."""
        alice, request = browser("alice"), cast.filed()
        form = alice.get(alice.page("add", request), {"at": "1", "ready": "1.2"})
        assert find(form.context["fields"], "p.BackupName").text == "before-change-of-prod-orders"
        long = cast.filed(TableName="prod-" + "x" * 240)
        answer = alice.post(alice.page("plan", long), {"revision": "1", "ready": "1.2"})
        assert answer.status_code == 400
        assert find(answer.context["fields"], "p.BackupName").errors
        sent = {
            "revision": "1",
            "at": "1",
            "operation": "dynamodb:CreateBackup",
            "p.TableName": long.target,
            "p.BackupName": "short",
        }
        assert alice.post(alice.page("add", long), sent).status_code == 302
        assert plan(long) == ["CreateBackup", "DeleteTable"]


class TestWhatTheReviewerReads:
    def test_dangerous_parameters_that_are_not_set_say_what_aws_takes(self, db, tmp_path, settings):
        """Absence is a choice too: the default stands beside the name."""
        cast = seal(tmp_path, settings, operations=["dynamodb:DeleteTable", "rds:DeleteDBInstance"], resources=["*"])
        request = ApprovalRequest.objects.get(pk=cast.filed().pk)
        alice = browser_of(cast, "alice")
        sent = {"operation": "rds:DeleteDBInstance", "p.DBInstanceIdentifier": "db-1", "p.FinalDBSnapshotIdentifier": "last"}
        assert alice.post(alice.page("add", request), {"revision": "1", "at": "2", **sent}).status_code == 302
        step = alice.get(alice.page("change", request)).context["review"].steps[1]
        defaults = {one.name: one.default for one in step.defaulted}
        assert defaults == {"DeleteAutomatedBackups": "true", "SkipFinalSnapshot": "false"}
        assert "FinalDBSnapshotIdentifier" in [row.path for row in step.rows if row.danger]
        assert "rds:CreateDBSnapshot" in [right.action for right in step.rights]
        assert step.lost

    def test_what_nobody_described_is_never_called_harmless(self, db, tmp_path, settings):
        """An operation without a row says that its effect is not known here."""
        cast = seal(tmp_path, settings, operations=["dynamodb:DeleteTable", "codepipeline:DeletePipeline"], resources=["*"])
        alice, request = browser_of(cast, "alice"), cast.filed()
        sent = {"revision": "1", "at": "1", "operation": "codepipeline:DeletePipeline", "p.name": "deploy"}
        assert alice.post(alice.page("add", request), sent).status_code == 302
        page = text(alice.get(alice.page("change", request)))
        assert "What codepipeline:DeletePipeline takes away is not described here." in page
        assert "Can be undone." not in page

    @pytest.mark.parametrize(("completed", "said"), [(False, "you must enter it"), (True, "alice entered it or left it out")])
    def test_what_cloudtrail_hides_is_said(self, cast, browser, completed, said):
        """Before it is completed the requester is told what to enter, afterwards the reviewer who entered it."""
        request = cast.denied_event("UpdateTable")
        told = {
            "dropped": ["a"],
            "redacted": ["sSESpecification.kMSMasterKeyId"],
            "unknown": [],
            "missing": [],
            "renamed": [["b", "C"]],
        }
        as_owner("approvals_revision", "SET recorded = %s WHERE request_id = %s", canonical.dumps(told), str(request.pk))
        alice = browser("alice")
        if completed:
            decisions.complete(
                request.pk, cast.person("alice"), parameters={"TableName": "prod-orders", "TableClass": "STANDARD"}, number=1
            )
        for verb in ("change", "complete"):
            page = text(alice.get(alice.page(verb, request)))
            assert f"CloudTrail hides sSESpecification.kMSMasterKeyId; {said}" in page
            assert "The service wrote a into the record itself" in page
            assert "The record writes b for C." in page
        assert Revision.objects.filter(request=request).count() == 1 + completed
