"""The story on the pages: what each person of the cast sees, does, and cannot do."""

from __future__ import annotations

import pytest
from django.urls import reverse

from approvals.models import ApprovalRequest, Execution, Review
from approvals.states import Verdict

LIST = "admin:approvals_approvalrequest_changelist"


def state_of(request: ApprovalRequest) -> str:
    return ApprovalRequest.objects.get(pk=request.pk).state


class TestTheStory:
    def test_a_denied_call_waits_on_the_home_page_of_who_made_it(self, cast, browser):
        """The draft is there, in a sentence, with the link to its page."""
        request = cast.denied_event()
        html = browser("alice").get(reverse("admin:index")).content.decode()
        assert "delete table prod-orders in Production, eu-west-1" in html
        assert browser("alice").page("change", request) in html

    def test_alice_confirms_and_bob_approves_on_the_pages(self, cast, browser):
        """Two persons, four forms, and there is an execution of exactly the plan that both signed."""
        request = cast.denied_event()
        alice, bob = browser("alice"), browser("bob")
        confirmed = alice.sign("confirm", request, reason="it is empty since May")
        assert (confirmed.status_code, state_of(request)) == (302, "pending")
        assert "it is empty since May" in bob.get(bob.page("change", request)).content.decode()
        approved = bob.sign("decide", request, verdict="approve", reason="checked with the team")
        assert (approved.status_code, approved.url, state_of(request)) == (302, bob.page("change", request), "approved")
        assert Execution.objects.get(revision__request=request).revision.digest == request.current_revision().digest

    def test_bob_denies_and_it_is_over(self, cast, browser):
        """A denial is final, with its reason on the page."""
        request = cast.pending()
        bob = browser("bob")
        bob.sign("decide", request, verdict="deny", reason="not in this quarter")
        assert state_of(request) == "denied"
        html = browser("alice").get(bob.page("change", request)).content.decode()
        assert "Denied by bob: not in this quarter" in html

    @pytest.mark.parametrize("page", ["index", "approvals_approvalrequest_changelist", "approvals_approvalrequest_file"])
    @pytest.mark.parametrize("handle", ["alice", "bob", "carol", "dana", "olivia"])
    def test_everybody_opens_the_pages_that_are_for_everybody(self, cast, browser, handle, page):
        """Home, the list and the form for a new request open for each part."""
        cast.denied_event()
        cast.pending()
        assert browser(handle).get(reverse(f"admin:{page}")).status_code == 200

    def test_alice_completes_an_update_in_a_form_of_the_operation(self, cast, browser):
        """What a person sets goes into the plan, and nothing else."""
        request = cast.denied_event("UpdateTable")
        alice = browser("alice")
        page = alice.get(alice.page("complete", request))
        assert "DeletionProtectionEnabled" in page.content.decode()
        done = alice.post(
            alice.page("complete", request),
            {"revision": "1", "p.TableName": "prod-orders", "p.DeletionProtectionEnabled": "false", "p.BillingMode": ""},
        )
        assert done.status_code == 302
        request.refresh_from_db()
        plan = request.current_revision().plan
        assert plan.steps[0].parameters == {"TableName": "prod-orders", "DeletionProtectionEnabled": False}

    def test_alice_files_without_an_event(self, cast, browser):
        """A request needs no denied call."""
        alice = browser("alice")
        place = {"place": "111122223333/eu-west-1", "operation": "dynamodb:DeleteTable"}
        assert "TableName" in alice.get(reverse("admin:approvals_approvalrequest_file"), place).content.decode()
        filed = alice.post(reverse("admin:approvals_approvalrequest_file"), {**place, "p.TableName": "prod-orders"})
        request = ApprovalRequest.objects.get()
        assert (filed.status_code, filed.url) == (302, alice.page("change", request))

    def test_alice_withdraws_and_disowns_after_a_page_that_asks(self, cast, browser):
        """GET asks; POST ends."""
        alice = browser("alice")
        for verb, state in (("withdraw", "withdrawn"), ("disown", "disowned")):
            request = cast.denied_event()
            assert alice.get(alice.page(verb, request)).status_code == 200
            assert state_of(request) == "draft"
            assert alice.post(alice.page(verb, request)).status_code == 302
            assert state_of(request) == state

    def test_the_review_page_tells_everything_in_order(self, cast, browser):
        """From the sentence to the timeline, as the design says."""
        request = cast.approved().revision.request
        html = browser("dana").get(browser("dana").page("change", request)).content.decode()
        order = [
            "asks to delete table prod-orders in Production, eu-west-1",
            "Cannot be undone.",
            "Approved, about to run",
            "What changes",
            "&quot;prod-orders&quot;",
            "Not read yet",
            "aws dynamodb delete-table --region eu-west-1 --table-name prod-orders",
            request.current_revision().digest,
            "the table is empty",
            "arn:aws:iam::111122223333:user/alice",
            "1 of 1 approval: bob",
            "looked at it",
            'id="decision"',
            "Plan confirmed and signed",
            "Reviewed and signed",
        ]
        places = [html.find(part) for part in order]
        assert -1 not in places, order[places.index(-1)]
        assert places == sorted(places)

    def test_reviews_are_one_a_person(self, cast, browser):
        """After a review the page offers none, and a second one is a conflict."""
        request = cast.sign_review(cast.pending(), "bob", Verdict.APPROVE)
        bob = browser("bob")
        assert bob.get(bob.page("decide", request)).status_code == 409
        assert Review.objects.count() == 1
