"""Filing a request from nothing: account, service, operation, form, further steps. Plain pages, no script needed."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from approvals.models import ApprovalRequest
from tests.portal.test_operation_form import find
from tests.portal.test_pages import Page

FILE = "/admin/approvals/approvalrequest/file/"
PLACE = "111122223333/eu-west-1"
UNPROTECT = {"operation": "dynamodb:UpdateTable", "p.TableName": "prod-orders", "p.DeletionProtectionEnabled": "false"}


def text(answer: Any) -> str:
    return answer.content.decode()


def plan(request: ApprovalRequest) -> list[str]:
    request.refresh_from_db()
    return [step.operation for step in request.current_revision().plan.steps]


class TestChoosing:
    def test_first_the_place_then_the_service_then_the_operation(self, cast, browser):
        """Each page leads to the next by links and GET forms alone."""
        alice = browser("alice")
        assert f'<option value="{PLACE}"' in text(alice.get(FILE))
        services = alice.get(FILE, {"place": PLACE})
        (rds,) = [one for one in services.context["listed"] if one.name == "rds"]
        operations = alice.get(rds.url)
        (delete,) = [one for one in operations.context["described"] if one.name == "DeleteDBInstance"]
        form = alice.get(delete.url)
        assert find(form.context["fields"], "p.DBInstanceIdentifier").required
        assert f'<option value="{PLACE}" selected' in text(form)

    def test_what_a_guardrail_of_the_account_protects_comes_first_and_says_what_it_does(self, cast, browser):
        """The protected services lead, with their described operations in words; what cannot be undone is marked."""
        answer = browser("alice").get(FILE, {"place": PLACE})
        protected = {service.name: service.operations for service in answer.context["protected"]}
        assert [(one.name, one.does, one.final) for one in protected["dynamodb"]] == [
            ("DeleteTable", "delete table …", True),
            ("RestoreTableFromBackup", "restore a backup as table …", False),
            ("UpdateTable", "change table …", False),
        ]
        assert "lambda" not in protected
        assert text(answer).index("Delete table …") < text(answer).index("All services")

    @pytest.mark.parametrize(
        ("asked", "found"), [("key management", ["kms"]), ("DYNAMODBstreams", ["dynamodbstreams"]), ("nonesuch", [])]
    )
    def test_services_are_found_by_aws_s_words(self, cast, browser, asked, found):
        """Words of the full name or boto3's name, on the server."""
        answer = browser("alice").get(FILE, {"place": PLACE, "service": asked})
        assert [one.name for one in answer.context["listed"]] == found

    def test_operations_are_found_by_words(self, cast, browser):
        """Described ones first, every other that changes something after them; what only reads is not offered."""
        alice = browser("alice")
        everything = alice.get(FILE, {"place": PLACE, "service": "rds"})
        names = [one.name for one in (*everything.context["described"], *everything.context["others"])]
        assert "DescribeDBInstances" not in names
        assert len(names) > 80
        found = alice.get(FILE, {"place": PLACE, "service": "rds", "q": "delete instance"})
        assert {one.name for one in found.context["described"]} >= {"DeleteDBInstance"}
        assert all("delete" in one.name.lower() for one in found.context["others"])

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"place": "999999999999/eu-west-1"}, "Choose one of these"),
            ({"place": "nonsense", "operation": "dynamodb:DeleteTable"}, "Choose one of these"),
            ({"place": PLACE, "operation": "dynamodb:DropTable"}, "has no operation"),
            ({"place": PLACE, "operation": "nonesuch:DropTable"}, "no service"),
            ({"place": PLACE, "operation": "<script>"}, "is no operation"),
        ],
    )
    def test_a_choice_that_there_is_not_is_said(self, cast, browser, given, said):
        """The page where it is chosen comes again, with the error on it."""
        answer = browser("alice").get(FILE, given)
        assert (answer.status_code, said in text(answer)) == (400, True)
        assert "<script>" not in text(answer).replace("<script src", "")

    def test_the_pages_obey_the_policy(self, cast, browser):
        """Nothing inline, every field labelled, no id twice: the search field, the datalist and the lists."""
        alice, request = browser("alice"), cast.filed()
        choosing: tuple[dict[str, str], ...] = (
            {},
            {"place": PLACE},
            {"place": PLACE, "service": "s3"},
            {"place": PLACE, "operation": "kms:CreateKey"},
        )
        pages = [alice.get(FILE, given) for given in choosing]
        pages += [alice.get(alice.page(verb, request)) for verb in ("add", "plan", "change", "complete")]
        for answer in pages:
            page = Page(text(answer))
            assert (page.inline, page.unlabelled) == ([], [])
            assert len(page.ids) == len(set(page.ids))


class TestFurtherSteps:
    def test_a_step_is_added_edited_moved_and_removed_before_anybody_signs(self, cast, browser):
        """Each press makes the next revision, and the plan is what the page shows."""
        alice, request = browser("alice"), cast.filed()
        added = alice.post(alice.page("add", request), {"revision": "1", "at": "1", **UNPROTECT})
        assert (added.status_code, plan(request)) == (302, ["UpdateTable", "DeleteTable"])
        form = alice.get(alice.page("complete", request), {"step": "1"})
        assert find(form.context["fields"], "p.DeletionProtectionEnabled").text == "false"
        edit = {"revision": "2", "step": "1", "p.TableName": "prod-orders", "p.TableClass": "STANDARD"}
        assert alice.post(alice.page("complete", request), edit).status_code == 302
        request.refresh_from_db()
        assert request.current_revision().plan.steps[0].parameters == {"TableName": "prod-orders", "TableClass": "STANDARD"}
        alice.post(alice.page("plan", request), {"revision": "3", "down": "1"})
        assert plan(request) == ["DeleteTable", "UpdateTable"]
        alice.post(alice.page("plan", request), {"revision": "4", "up": "2"})
        assert plan(request) == ["UpdateTable", "DeleteTable"]
        alice.post(alice.page("plan", request), {"revision": "5", "remove": "1"})
        assert plan(request) == ["DeleteTable"]

    def test_the_step_that_the_request_is_about_is_not_removed(self, cast, browser):
        """No button offers it, and who posts it is told why not."""
        alice, request = browser("alice"), cast.denied_event()
        page = text(alice.get(alice.page("plan", request)))
        assert 'name="remove"' not in page
        alice.post(alice.page("add", request), {"revision": "1", "at": "1", **UNPROTECT})
        answer = alice.post(alice.page("plan", request), {"revision": "2", "remove": "2"})
        assert (answer.status_code, "must stay one of its steps" in text(answer)) == (400, True)
        assert plan(request) == ["UpdateTable", "DeleteTable"]

    def test_another_step_is_chosen_on_the_same_pages(self, cast, browser):
        """The place is the request's; the links keep where the step goes."""
        alice, request = browser("alice"), cast.filed()
        services = alice.get(alice.page("add", request), {"at": "1"})
        (kms,) = [one for one in services.context["listed"] if one.name == "kms"]
        assert kms.url == f"{alice.page('add', request)}?at=1&service=kms"
        assert alice.get(kms.url).context["described"]

    def test_a_bad_step_is_said_beside_its_field_and_keeps_what_was_typed(self, cast, browser):
        """Nothing is stored, and the form comes again."""
        alice, request = browser("alice"), cast.filed()
        bad = {"revision": "1", "at": "1", "operation": "dynamodb:UpdateTable", "p.TableName": "prod-orders"}
        answer = alice.post(alice.page("add", request), {**bad, "p.ProvisionedThroughput.ReadCapacityUnits": "0"})
        assert answer.status_code == 400
        assert find(answer.context["fields"], "p.ProvisionedThroughput.ReadCapacityUnits").errors == ["At least 1."]
        assert plan(request) == ["DeleteTable"]

    def test_an_old_page_changes_nothing(self, cast, browser):
        """Whoever was overtaken is told to look again, whatever button he pressed."""
        alice, request = browser("alice"), cast.filed()
        alice.post(alice.page("add", request), {"revision": "1", "at": "1", **UNPROTECT})
        for verb, fields in (("plan", {"down": "1"}), ("add", {"at": "1", **UNPROTECT}), ("plan", {"ready": "2.0"})):
            assert alice.post(alice.page(verb, request), {"revision": "1", **fields}).status_code in (400, 409)
        assert plan(request) == ["UpdateTable", "DeleteTable"]

    @pytest.mark.parametrize("verb", ["add", "plan"])
    def test_only_who_may_edit_changes_the_plan(self, cast, browser, verb):
        """Somebody else's plan is not his to change, nor one that has ended."""
        request = cast.filed()
        bob = browser("bob")
        assert bob.get(bob.page(verb, request)).status_code == 403
        assert bob.post(bob.page(verb, request), {"revision": "1", "ready": "1.0", **UNPROTECT}).status_code == 403
        assert plan(request) == ["DeleteTable"]

    @pytest.mark.parametrize("fields", [{}, {"up": "9"}, {"down": "x"}, {"remove": "0"}, {"ready": "9.9"}, {"ready": "é.\0"}])
    def test_a_button_that_is_not_on_the_page_is_refused_in_words(self, cast, browser, fields):
        """No value of a button makes the server stumble."""
        alice, request = browser("alice"), cast.filed()
        assert alice.post(alice.page("plan", request), {"revision": "1", **fields}).status_code in (400, 409)

    def test_what_is_incomplete_is_completed_first(self, cast, browser):
        """A plan that lacks parameters takes no further steps yet, and the page says so."""
        alice, request = browser("alice"), cast.denied_event("UpdateTable")
        answer = alice.get(alice.page("add", request))
        assert (answer.status_code, "Complete them first" in text(answer)) == (400, True)
        assert reverse("admin:approvals_approvalrequest_plan", args=[request.pk]) not in text(
            alice.get(alice.page("change", request))
        )

    def test_two_persons_sign_the_whole_plan(self, cast, browser):
        """The pages of signing show every step, and one signature each covers all."""
        alice, bob, request = browser("alice"), browser("bob"), cast.filed()
        alice.post(alice.page("add", request), {"revision": "1", "at": "1", **UNPROTECT})
        request.refresh_from_db()
        assert alice.sign("confirm", request).status_code == 302
        page = text(bob.get(bob.page("decide", request)))
        assert "Step 1: change table prod-orders" in page
        assert "Step 2: delete table prod-orders" in page
        assert "change table prod-orders, then delete table prod-orders in Production" in page.replace('<span class="place">', "")
        assert bob.sign("decide", request, verdict="approve").status_code == 302
        request.refresh_from_db()
        assert request.state == "approved"
