"""The pages of the verbs beside approve and deny: who is offered what, what each says, and what a refusal shows."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from approvals import authority, decisions
from approvals.models import Alert, ApprovalRequest, Comment, Execution, Notice, OutboxMessage
from approvals.states import Verdict
from executor import claim
from tests.approvals.test_glass import GLASS, breaking, filed
from tests.cast import seal, with_a_bot
from tests.portal.hands import browser_of


def state_of(request: ApprovalRequest) -> str:
    return ApprovalRequest.objects.get(pk=request.pk).state


@pytest.fixture
def world(db, tmp_path, settings):
    """Seal a world under these rules, with bob and carol as reviewers and a bot; returns (cast, browser)."""

    def sealed(**rules):
        cast = seal(tmp_path, settings, change=with_a_bot, **rules)
        return cast, lambda handle: browser_of(cast, handle)

    return sealed


def html_of(response, status=200) -> str:
    text = response.content.decode()
    assert response.status_code == status, text[:500]
    return text


class TestSendingBack:
    def test_a_reviewer_sends_back_from_the_page(self, world):
        """The button leads to a form; the message stands in the thread, and alice's form has her former reason in it."""
        cast, browser = world()
        request = cast.pending()
        bob, alice = browser("bob"), browser("alice")
        assert bob.page("return", request) in html_of(bob.get(bob.page("change", request)))
        assert "every signature on it is void" in html_of(bob.get(bob.page("return", request)))
        assert bob.post(bob.page("return", request), {"reason": "Which ticket?"}).status_code == 302
        assert state_of(request) == "draft"
        shown = html_of(alice.get(alice.page("change", request)))
        assert "Which ticket?" in shown
        assert "sent back" in shown
        assert "the table is empty</textarea>" in html_of(alice.get(alice.page("confirm", request)))

    def test_an_empty_message_is_said_beside_the_field_and_nothing_is_lost(self, world):
        """400, the error tied to its field, what was typed still there."""
        cast, browser = world()
        request = cast.pending()
        bob = browser("bob")
        html = html_of(bob.post(bob.page("return", request), {"reason": "x" * 2001}), 400)
        assert 'aria-describedby="reason-error"' in html
        assert "at most 2000 are kept" in html
        assert "x" * 2001 in html
        assert state_of(request) == "pending"

    def test_a_get_decides_nothing(self, world):
        """Every page of these verbs only asks, whatever stands in its address."""
        cast, browser = world(irreversible={"extra_approvals": 0, "typed_name": False, "hold": 3600})
        pending, draft = cast.pending(), cast.denied_event(user="stranger")
        approved = cast.sign_review(cast.pending(TableName="prod-customers"))
        bob = browser("bob")
        for verb, request in (("return", pending), ("comment", pending), ("adopt", draft), ("stop", approved)):
            for method in (bob.get, bob.head):
                assert method(bob.page(verb, request), {"reason": "x", "text": "x"}).status_code == 200
        states = [state_of(one) for one in (pending, draft, approved)]
        assert (states, Comment.objects.count()) == (["pending", "draft", "approved"], 0)


class TestTheThread:
    def test_a_comment_stands_in_the_thread_as_it_was_written(self, world):
        """Escaped, with its line breaks, under who said it and of which revision."""
        cast, browser = world()
        request = cast.pending()
        bob, alice = browser("bob"), browser("alice")
        assert bob.post(bob.page("comment", request), {"text": "<b>is there</b>\r\na backup?\u202e"}).status_code == 302
        html = html_of(alice.get(alice.page("change", request)))
        assert "&lt;b&gt;is there&lt;/b&gt;\na backup?\\u202e" in html
        assert Comment.objects.get().text == "<b>is there</b>\na backup?\u202e"

    def test_what_is_too_long_stays_in_the_field(self, world):
        """The review page comes back with the reason beside the field."""
        cast, browser = world()
        request = cast.pending()
        bob = browser("bob")
        html = html_of(bob.post(bob.page("comment", request), {"text": "y" * 2001}), 400)
        assert 'id="comment-error"' in html
        assert "y" * 2001 in html

    def test_who_may_not_read_has_no_word(self, db, tmp_path, settings):
        """carol reviews under none of these guardrails."""
        cast = seal(tmp_path, settings)
        request = cast.pending()
        carol = browser_of(cast, "carol")
        assert carol.post(carol.page("comment", request), {"text": "hello"}).status_code == 403
        assert not Comment.objects.exists()


class TestAdoption:
    def test_a_person_finds_and_adopts_what_nobody_stands_behind(self, world):
        """On the home page and in its own list, not among the requests; then it is hers to confirm."""
        cast, browser = world()
        request = cast.denied_event(user="stranger")
        alice = browser("alice")
        listed = reverse("admin:approvals_approvalrequest_changelist")
        assert request.reference not in html_of(alice.get(listed))
        assert request.reference in html_of(alice.get(listed, {"view": "adopt"}))
        assert "Nobody stands behind these" in html_of(alice.get(reverse("admin:index")))
        page = html_of(alice.get(alice.page("change", request)))
        assert "belongs to nobody known here" in page
        assert alice.page("adopt", request) in page
        assert alice.post(alice.page("adopt", request)).status_code == 302
        assert alice.page("confirm", request) in html_of(alice.get(alice.page("change", request)))

    def test_a_reviewer_is_told_how_to_map_it_and_gets_no_decision(self, world):
        """An unmapped principal makes a request unapprovable, and the page says what to do."""
        cast, browser = world()
        request = cast.denied_event(user="stranger")
        bob = browser("bob")
        html = html_of(bob.get(bob.page("decide", request)), 403)
        assert "change of authority" in html
        assert "user/stranger" in html

    def test_who_comes_second_is_told_who_was_first(self, world):
        """A conflict, with the request as it is now."""
        cast, browser = world()
        request = cast.denied_event(user="deployer")
        decisions.adopt(request.pk, cast.person("alice"))
        bob = browser("bob")
        html = html_of(bob.post(bob.page("adopt", request)), 409)
        assert "alice stands behind this draft already" in html
        assert "As it is now" in html


class TestTheHold:
    def test_the_page_shows_the_notice_and_a_stop(self, world):
        """Before it runs: who was told what, when it runs, and the button that ends it for good."""
        cast, browser = world(irreversible={"extra_approvals": 0, "typed_name": False, "hold": 3600})
        request = cast.sign_review(cast.pending())
        bob, alice, dana = browser("bob"), browser("alice"), browser("dana")
        assert "is about to read the signed bytes" in html_of(bob.get(bob.page("change", request)))
        claim.take(Execution.objects.get().pk)
        Notice.objects.update(delivered_at=timezone.now())
        for someone in (bob, alice):
            html = html_of(someone.get(someone.page("change", request)))
            assert "The executor read it from the bytes that were signed" in html
            assert someone.page("stop", request) in html
        assert dana.page("stop", request) not in html_of(dana.get(dana.page("change", request)))
        assert "I can still stop it" in html_of(bob.get(reverse("admin:index")))
        assert bob.post(bob.page("stop", request), {"reason": "not what I read"}).status_code == 302
        assert state_of(request) == "denied"
        assert "Stopped by bob before it ran: not what I read" in html_of(alice.get(alice.page("change", request)))

    def test_a_stop_without_a_reason_is_asked_for_one(self, world):
        """The form comes back; nothing has ended."""
        cast, browser = world(irreversible={"extra_approvals": 0, "typed_name": False, "hold": 3600})
        request = cast.sign_review(cast.pending())
        bob = browser("bob")
        assert "Give a reason" in html_of(bob.post(bob.page("stop", request), {"reason": " "}), 400)
        assert state_of(request) == "approved"


class TestBreakGlass:
    def test_it_is_offered_to_whom_it_is_for_and_signed_like_everything(self, world):
        """carol, of Owners, sees the button on her own draft; alice does not on hers."""
        cast, browser = world(**GLASS)
        hers, alices = filed(cast), filed(cast, by="alice")
        carol, alice = browser("carol"), browser("alice")
        assert alice.page("glass", alices) not in html_of(alice.get(alice.page("change", alices)))
        assert alice.get(alice.page("glass", alices)).status_code == 403
        assert carol.page("glass", hers) in html_of(carol.get(carol.page("change", hers)))
        assert "within 1 hour" in html_of(carol.get(carol.page("glass", hers)))
        assert carol.sign("glass", hers).status_code == 302
        assert state_of(hers) == "approved"

    def test_a_confirmation_is_no_broken_glass(self, world):
        """The verdict is part of what is signed."""
        cast, browser = world(**GLASS)
        request = filed(cast)
        carol = browser("carol")
        opened = carol.begin("confirm", request)
        fields = {**carol.fields_of_ceremony(opened), **carol.answer(opened)}
        assert carol.post(carol.page("glass", request), fields).status_code == 400
        assert state_of(request) == "draft"

    def test_another_approver_closes_its_review_on_the_page(self, world):
        """bob finds it on his home page; an administrator's alert page leads there and closes nothing."""
        cast, browser = world(**GLASS)
        request = breaking(cast, filed(cast))
        bob, dana, carol = browser("bob"), browser("dana"), browser("carol")
        assert "Broken glasses to review" in html_of(bob.get(reverse("admin:index")))
        alert = Alert.objects.get()
        assert "Another approver reviews it" in html_of(dana.get(reverse("admin:approvals_alert_change", args=[alert.pk])))
        assert dana.post(reverse("admin:approvals_alert_close", args=[alert.pk]), {"reason": "fine"}).status_code == 403
        assert carol.post(carol.page("reviewed", request), {"text": "I was right"}).status_code == 403
        assert "Give a reason" in html_of(bob.post(bob.page("reviewed", request), {"text": " "}), 400)
        assert bob.post(bob.page("reviewed", request), {"text": "needed"}).status_code == 302
        assert "Reviewed by <strong>bob</strong>" in html_of(dana.get(dana.page("change", request)))


class TestUnconfirmed:
    def test_the_page_says_that_nobody_confirmed_it(self, world):
        """To approvers and to the caller, who may still confirm or disown it."""
        cast, browser = world(unconfirmed=True)
        request = cast.denied_event()
        bob, alice = browser("bob"), browser("alice")
        for someone in (bob, alice):
            html = html_of(someone.get(someone.page("change", request)))
            assert "Nobody has confirmed this" in html
            assert "0 of 2 approvals" in html
        html = html_of(alice.get(alice.page("change", request)))
        assert alice.page("confirm", request) in html
        assert alice.page("disown", request) in html
        assert bob.sign("decide", request, verdict="approve").status_code == 302
        assert alice.sign("confirm", request).status_code == 302
        assert state_of(request) == "approved"


class TestWhatAGuardrailAsks:
    def test_groups_and_tickets_stand_on_the_page(self, world):
        """How many of which group are still to come, and what a ticket looks like, before anybody signs."""
        cast, browser = world(groups={"Owners": 1}, ticket="OPS-#")
        request = cast.filed()
        alice = browser("alice")
        assert "0 of 1 from Owners" in html_of(alice.get(alice.page("change", request)))
        assert "<code>OPS-#</code>" in html_of(alice.get(alice.page("confirm", request)))
        html = html_of(alice.begin("confirm", request, reason="because"), 400)
        assert "asks for a ticket" in html
        assert "because</textarea>" in html
        assert alice.sign("confirm", request, reason="OPS-4").status_code == 302

    def test_a_reason_may_be_left_out_where_no_guardrail_asks_for_one(self, world):
        """Of an approval, never of a denial."""
        cast, browser = world(reason=False)
        request = cast.pending()
        bob = browser("bob")
        assert "Give a reason" in html_of(bob.begin("decide", request, verdict="deny", reason=""), 400)
        assert bob.sign("decide", request, verdict="approve", reason="").status_code == 302

    def test_a_closed_window_is_said_with_its_time(self, world):
        """Approved, and not before the window."""
        later = (timezone.now() + timedelta(hours=5)).replace(second=0)
        days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
        window = {"days": days, "from": f"{later:%H:%M}", "to": f"{later + timedelta(hours=1):%H:%M}", "zone": "UTC"}
        cast, browser = world(windows=[window])
        request = cast.sign_review(cast.pending())
        html = html_of(browser("bob").get(browser("bob").page("change", request)))
        assert "execution windows only" in html


class TestStaleForms:
    """What happened meanwhile is said, and the request is shown as it is now."""

    @pytest.mark.parametrize(
        ("meanwhile", "status", "said"),
        [
            ("somebody denied it", 409, "Denied by carol"),
            ("somebody approved it", 409, "approved already"),
            ("its requester withdrew it", 409, "Withdrawn by alice"),
            ("its requester edited it", 409, "has edited it since"),
            ("somebody sent it back", 409, "has not signed it yet"),
            ("the right was taken away", 403, "review under none of the guardrails"),
        ],
    )
    def test_a_signature_that_comes_too_late(self, world, meanwhile, status, said):
        """Nothing is signed, the cause is named, and the current state stands below it."""
        cast, browser = world()
        request = cast.pending()
        bob = browser("bob")
        opened = bob.begin("decide", request, verdict="approve")
        fields = {**bob.fields_of_ceremony(opened), **bob.answer(opened)}
        alice = cast.person("alice")
        if meanwhile == "somebody denied it":
            cast.sign_review(request, "carol", Verdict.DENY)
        elif meanwhile == "somebody approved it":
            cast.sign_review(request, "carol")
        elif meanwhile == "its requester withdrew it":
            decisions.withdraw(request.pk, alice)
        elif meanwhile == "its requester edited it":
            decisions.complete(request.pk, alice, parameters={"TableName": "prod-customers"}, number=1)
        elif meanwhile == "somebody sent it back":
            decisions.send_back(request.pk, cast.person("carol"), message="why?")
        else:
            cast.person("bob").logins.get().user.guardrailuserpermission_set.all().delete()
        before = ApprovalRequest.objects.get()
        answer = bob.post(bob.page("decide", request), fields)
        html = html_of(answer, status)
        assert said in html
        if meanwhile != "the right was taken away":
            assert before.current_revision().digest in html
        after = ApprovalRequest.objects.get()
        assert (after.state, after.version) == (before.state, before.version)

    def test_each_way_of_not_signing_has_its_own_words(self, world):
        """A wrong key, an answer that was used, and one that was never asked for are told apart."""
        cast, browser = world()
        request = cast.pending()
        bob = browser("bob")
        opened = bob.begin("decide", request, verdict="deny")
        fields = {**bob.fields_of_ceremony(opened), **bob.answer(opened)}
        wrong = html_of(bob.post(bob.page("decide", request), {**fields, **bob.answer(opened, "carol")}), 400)
        used = html_of(bob.post(bob.page("decide", request), fields), 400)
        unknown = html_of(bob.post(bob.page("decide", request), {**fields, "nonce": "A" * 43}), 400)
        assert "not one of yours" in wrong
        assert "used already" in used
        assert "never asked of you" in unknown
        assert state_of(request) == "pending"


def test_the_chain_of_authority_is_the_one_that_was_sealed(world, settings):
    """What these pages were tested on walks from its genesis."""
    cast, _ = world(unconfirmed=True, **GLASS)
    assert authority.walk(cast.genesis).groups_of(str(cast.person("carol").pk)) == {"Approvers", "Owners"}


class TestTurns:
    def test_a_page_says_what_an_approved_request_waits_for(self, world):
        """What the executor said when it found no place stands on the page, escaped, and goes when it has begun."""
        cast, browser = world()
        execution = cast.approved()
        request = execution.revision.request
        alice = browser("alice")
        assert "Waits its turn" not in html_of(alice.get(alice.page("change", request)))
        promise = OutboxMessage.objects.filter(kind="execute", subject=str(execution.pk))
        promise.update(error="Waits its turn: 5 executions of <b>dynamodb</b> are under way in account 111122223333.")
        shown = html_of(alice.get(alice.page("change", request)))
        assert "Waits its turn: 5 executions of &lt;b&gt;dynamodb&lt;/b&gt; are under way" in shown
        promise.update(done_at=timezone.now())
        assert "Waits its turn" not in html_of(alice.get(alice.page("change", request)))
