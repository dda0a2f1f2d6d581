"""Every refusal on the pages: who may not, what may not any more, what was not signed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from approvals import decisions
from approvals.models import (
    ApprovalRequest,
    Execution,
    GuardrailGroupPermission,
    GuardrailUserPermission,
    Review,
    Signature,
    SignatureChallenge,
)
from approvals.signatures import websafe
from approvals.states import Verdict
from tests.cast import noise, seal
from tests.portal.hands import browser_of


def state_of(request: ApprovalRequest) -> str:
    return ApprovalRequest.objects.get(pk=request.pk).state


class TestWhoMayNotRead:
    @pytest.mark.parametrize("verb", ["confirm", "decide", "glass"])
    @pytest.mark.parametrize("posted", ["nothing", "a digest", "all of it", "an unknown verdict"])
    def test_a_posted_signature_tells_him_no_more_than_the_page(self, cast, browser, verb, posted):
        """Carol reviews under nothing that protects it: her signature is answered as her visit is, without a word of it."""
        request = cast.pending()
        carol = browser("carol")
        digest = request.current_revision().digest
        whole = {"digest": digest, "verdict": "approve", "reason": "mine", "nonce": websafe(bytes(32)), "sign_with": "software"}
        fields = {
            "nothing": {},
            "a digest": {"digest": digest},
            "all of it": whole,
            "an unknown verdict": {**whole, "verdict": "x"},
        }
        visit = carol.get(carol.page(verb, request))
        answer = carol.post(carol.page(verb, request), {"step": "sign", **fields[posted]})
        said = answer.content.decode()
        assert (answer.status_code, visit.status_code, state_of(request)) == (403, 403, "pending")
        assert "review under none of the guardrails" in said
        for word in (request.target, request.reference, request.operation.partition(":")[2], str(request.pk)):
            assert word not in said.replace(carol.page(verb, request), "")
        assert not Review.objects.exists()

    def test_a_denied_right_is_said_once_the_signature_is_refused(self, cast, browser):
        """Bob's right is taken away between his two steps: his signature counts nothing, and he is told nothing more."""
        request = cast.pending()
        bob = browser("bob")
        begun = bob.begin("decide", request, verdict="approve")
        GuardrailUserPermission.objects.all().delete()
        GuardrailGroupPermission.objects.all().delete()
        answer = bob.post(bob.page("decide", request), {**bob.fields_of_ceremony(begun), **bob.answer(begun)})
        assert (answer.status_code, state_of(request), Review.objects.count()) == (403, "pending", 0)
        assert request.target not in answer.content.decode()


class TestNobodyReviewsHisOwn:
    def test_the_requester_has_no_decision_page(self, cast, browser):
        """Alice asked, so the page with the form is not hers, even by its address."""
        request = cast.pending()
        page = browser("alice").get(browser("alice").page("decide", request))
        assert page.status_code == 403
        assert "Somebody else must review it" in page.content.decode()
        assert "<textarea" not in page.content.decode()

    @pytest.mark.parametrize("step", ["begin", "sign"])
    def test_a_direct_post_changes_nothing(self, cast, browser, step):
        """Whoever skips the form meets the same rule."""
        request = cast.pending()
        alice = browser("alice")
        fields = {"step": step, "verdict": "approve", "reason": "mine", "digest": request.current_revision().digest}
        answer = alice.post(alice.page("decide", request), {**fields, "nonce": websafe(bytes(32)), "sign_with": "software"})
        assert (answer.status_code, state_of(request), Review.objects.count()) == (403, "pending", 0)

    def test_a_reviewer_who_asked_is_a_requester(self, cast, browser):
        """Bob holds the right to review, but not what he asks for himself."""
        request = cast.sign_confirm(cast.filed(by="bob"), "bob")
        bob = browser("bob")
        html = bob.get(bob.page("change", request)).content.decode()
        assert bob.page("decide", request) not in html
        assert bob.get(bob.page("decide", request)).status_code == 403
        assert (
            "delete table"
            not in bob.get(reverse("admin:index")).content.decode().split("Requests I may review")[1].split("<h2")[0]
        )

    def test_there_is_no_admin_action_to_misuse(self, cast, browser):
        """The list offers no action and takes no POST."""
        request = cast.pending()
        bob = browser("bob")
        listed = reverse("admin:approvals_approvalrequest_changelist")
        html = bob.get(listed).content.decode()
        assert 'name="action"' not in html
        assert "action-select" not in html
        posted = bob.post(listed, {"action": "delete_selected", "_selected_action": [str(request.pk)], "post": "yes"})
        assert posted.status_code == 405
        assert state_of(request) == "pending"

    @pytest.mark.parametrize("address", ["add/", "{id}/delete/", "{id}/history/"])
    def test_django_s_own_forms_do_not_exist(self, cast, browser, address):
        """Nothing of the model is added, deleted or changed by a form."""
        request = cast.pending()
        url = reverse("admin:approvals_approvalrequest_changelist") + address.format(id=request.pk)
        assert browser("dana").get(url).status_code == 404
        assert browser("dana").post(browser("dana").page("change", request), {"state": "approved"}).status_code == 405
        assert state_of(request) == "pending"


class TestNobodyWithoutTheRight:
    def test_carol_sees_neither_the_request_nor_the_decision_page(self, cast, browser):
        """Without the right on the guardrail there is no page, no button and no way by address."""
        request = cast.pending()
        carol = browser("carol")
        assert request.reference not in carol.get(reverse("admin:approvals_approvalrequest_changelist")).content.decode()
        for verb in ("change", "decide", "confirm", "complete", "withdraw", "disown"):
            page = carol.get(carol.page(verb, request))
            assert page.status_code == 403, verb
            assert "ask the administrators" in page.content.decode()
        for verb in ("decide", "confirm", "complete", "withdraw", "disown"):
            assert carol.begin(verb, request, verdict="approve").status_code == 403, verb
        assert (state_of(request), SignatureChallenge.objects.exclude(person__handle="alice").count()) == ("pending", 0)

    @pytest.mark.parametrize("handle", ["dana", "olivia"])
    def test_overseers_see_the_request_without_a_button(self, cast, browser, handle):
        """Administrators and auditors read everything and decide nothing."""
        request = cast.pending()
        them = browser(handle)
        html = them.get(them.page("change", request)).content.decode()
        assert "asks to delete table prod-orders" in html
        assert not any(them.page(verb, request) in html for verb in ("decide", "confirm", "complete", "withdraw", "disown"))
        assert them.get(them.page("decide", request)).status_code == 403
        assert them.begin("decide", request, verdict="deny").status_code == 403

    @pytest.mark.parametrize("verb", ["confirm", "complete", "withdraw", "disown"])
    def test_only_the_requester_moves_his_draft(self, cast, browser, verb):
        """Bob may review it one day; until then it is alice's alone."""
        request = cast.denied_event()
        bob = browser("bob")
        assert bob.post(bob.page(verb, request), {"revision": "1", "p.TableName": "prod-orders"}).status_code == 403
        assert state_of(request) == "draft"


class TestWhatIsNoLongerPossible:
    @pytest.mark.parametrize("verb", ["withdraw", "disown"])
    def test_what_has_ended_is_not_asked_to_end_again(self, cast, browser, verb):
        """No form is offered whose button would be refused; the page leads to what the request has become."""
        request = cast.denied_event()
        decisions.withdraw(request.pk, cast.person("alice"))
        alice = browser("alice")
        answer = alice.get(alice.page(verb, request))
        assert (answer.status_code, "<textarea" in answer.content.decode()) == (409, False)
        assert alice.page("change", request) in answer.content.decode()

    def test_what_was_filed_is_not_disowned(self, cast, browser):
        """ "This was not me" is for denied calls; what one filed oneself is withdrawn."""
        request = cast.filed()
        alice = browser("alice")
        answer = alice.get(alice.page("disown", request))
        assert (answer.status_code, "withdraw it instead" in answer.content.decode()) == (409, True)

    def test_a_decision_on_what_is_a_draft_again_leads_to_what_it_is_now(self, cast, browser):
        """The refusal carries the link to the request as it stands."""
        request = cast.pending()
        bob = browser("bob")
        opened = bob.begin("decide", request, verdict="approve")
        fields = {**bob.fields_of_ceremony(opened), **bob.answer(opened)}
        decisions.complete(request.pk, cast.person("alice"), parameters={"TableName": "prod-customers"}, number=1)
        answer = bob.post(bob.page("decide", request), fields)
        assert (answer.status_code, state_of(request)) == (409, "draft")
        assert bob.page("change", request) in answer.content.decode()

    def test_an_edited_plan_is_not_approved_by_who_read_the_former_one(self, cast, browser):
        """The digest in the form is the one that was read; another one is a conflict."""
        request = cast.pending()
        bob = browser("bob")
        opened = bob.begin("decide", request, verdict="approve")
        fields = {**bob.fields_of_ceremony(opened), **bob.answer(opened)}
        decisions.complete(request.pk, cast.person("alice"), parameters={"TableName": "prod-customers"}, number=1)
        cast.sign_confirm(request)
        answer = bob.post(bob.page("decide", request), fields)
        assert (answer.status_code, state_of(request)) == (409, "pending")
        assert "edited since you opened it" in answer.content.decode()

    def test_an_expired_request_is_not_decided(self, cast, browser):
        """The clock counts, whether or not expiry has swept."""
        request = cast.pending()
        ApprovalRequest.objects.filter(pk=request.pk).update(pending_until=timezone.now() - timedelta(seconds=1))
        bob = browser("bob")
        assert bob.get(bob.page("decide", request)).status_code == 409
        assert bob.begin("decide", request, verdict="approve").status_code == 409
        assert bob.page("decide", request) not in bob.get(bob.page("change", request)).content.decode()

    def test_a_denied_request_is_over(self, cast, browser):
        """Nobody approves what was denied."""
        request = cast.sign_review(cast.pending(), "bob", Verdict.DENY)
        bob = browser("bob")
        assert bob.begin("decide", request, verdict="approve").status_code == 409
        assert not Execution.objects.exists()

    def test_a_withdrawn_request_is_over(self, cast, browser):
        """Nobody approves what is no longer wanted."""
        request = cast.pending()
        decisions.withdraw(request.pk, cast.person("alice"))
        bob = browser("bob")
        assert bob.begin("decide", request, verdict="approve").status_code == 409
        assert browser("alice").begin("confirm", request).status_code == 409

    def test_a_form_that_somebody_overtook_is_a_conflict(self, cast, browser):
        """Completing from an old page does not overwrite the newer revision."""
        request = cast.denied_event("UpdateTable")
        alice = browser("alice")
        fields = {"revision": "1", "p.TableName": "prod-orders", "p.TableClass": "STANDARD"}
        assert alice.post(alice.page("complete", request), fields).status_code == 302
        assert alice.post(alice.page("complete", request), fields).status_code == 409
        assert ApprovalRequest.objects.get(pk=request.pk).revision_number == 2


class TestWhatWasNotSigned:
    def test_an_answer_is_used_once(self, cast, browser):
        """The same POST again is refused; there is one review."""
        request = cast.pending()
        bob = browser("bob")
        opened = bob.begin("decide", request, verdict="approve")
        fields = {**bob.fields_of_ceremony(opened), **bob.answer(opened)}
        assert bob.post(bob.page("decide", request), fields).status_code == 302
        assert bob.post(bob.page("decide", request), fields).status_code == 409
        assert Review.objects.count() == 1

    def test_an_answer_from_another_request_is_refused(self, cast, browser):
        """A challenge belongs to one plan and one verdict."""
        first, second = cast.pending(), cast.pending(TableName="prod-customers")
        bob = browser("bob")
        opened = bob.begin("decide", first, verdict="approve")
        fields = {**bob.fields_of_ceremony(opened), **bob.answer(opened), "digest": second.current_revision().digest}
        assert bob.post(bob.page("decide", second), fields).status_code == 400
        assert not Review.objects.exists()

    def test_a_signed_denial_is_no_approval(self, cast, browser):
        """The verdict is part of what is signed."""
        request = cast.pending()
        bob = browser("bob")
        opened = bob.begin("decide", request, verdict="deny")
        fields = {**bob.fields_of_ceremony(opened), **bob.answer(opened), "verdict": "approve"}
        assert bob.post(bob.page("decide", request), fields).status_code == 400
        assert state_of(request) == "pending"

    def test_a_forged_answer_keeps_what_was_typed(self, cast, browser):
        """A signature that does not verify is refused, and the reason is still in the form."""
        request = cast.pending()
        bob = browser("bob")
        opened = bob.begin("decide", request, verdict="approve", reason="read twice")
        fields = {**bob.fields_of_ceremony(opened), **bob.answer(opened), "signature": noise()}
        answer = bob.post(bob.page("decide", request), fields)
        html = answer.content.decode()
        assert (answer.status_code, state_of(request)) == (400, "pending")
        assert "not made by the registered passkey" in html
        assert "read twice</textarea>" in html
        assert 'value="approve" required checked' in html

    def test_another_person_s_passkey_does_not_sign_for_bob(self, cast, browser):
        """Carol's key over bob's challenge is not bob's signature."""
        request = cast.pending()
        bob = browser("bob")
        opened = bob.begin("decide", request, verdict="approve")
        answer = bob.post(bob.page("decide", request), {**bob.fields_of_ceremony(opened), **bob.answer(opened, "carol")})
        assert (answer.status_code, Signature.objects.filter(verdict="approve").count()) == (400, 0)

    def test_a_challenge_of_somebody_else_is_not_used(self, cast, browser):
        """The nonce is the person's own, so a session alone cannot ride on another's ceremony."""
        request = cast.denied_event()
        opened = browser("alice").begin("confirm", request)
        fields = {**browser("alice").fields_of_ceremony(opened), **browser("alice").answer(opened)}
        assert browser("bob").post(browser("bob").page("confirm", request), fields).status_code == 403
        assert state_of(request) == "draft"

    @pytest.mark.security_row(14)
    def test_a_session_alone_signs_nothing(self, cast, browser):
        """A stolen cookie can open the form; without the passkey's answer nothing is decided."""
        request = cast.pending()
        bob = browser("bob")
        fields = bob.fields_of_ceremony(bob.begin("decide", request, verdict="approve"))
        for more in ({}, {"sign_with": "software"}):
            answer = bob.post(bob.page("decide", request), {**fields, **more})
            assert answer.status_code in (400, 403)
        assert (state_of(request), Review.objects.count()) == ("pending", 0)

    def test_a_missing_reason_is_said_before_the_key_is_touched(self, cast, browser):
        """No challenge is made for a form that would be refused anyway."""
        request = cast.pending()
        before = SignatureChallenge.objects.count()
        answer = browser("bob").begin("decide", request, verdict="approve", reason="   ")
        assert answer.status_code == 400
        assert "Give a reason" in answer.content.decode()
        assert SignatureChallenge.objects.count() == before

    @pytest.mark.parametrize(
        "name", ["digest", "nonce", "credential_id", "client_data", "authenticator_data", "signature", "verdict"]
    )
    @pytest.mark.parametrize("value", ["", "\0", "é" * 64, "A" * 9000, "../../etc", "0" * 64])
    def test_nonsense_in_any_field_is_refused_in_words(self, cast, browser, name, value):
        """No field of the form can make the server stumble."""
        request = cast.pending()
        bob = browser("bob")
        opened = bob.begin("decide", request, verdict="approve")
        fields = {**bob.fields_of_ceremony(opened), **bob.answer(opened), name: value}
        answer = bob.post(bob.page("decide", request), fields)
        assert answer.status_code in (400, 409), answer.status_code
        assert state_of(request) == "pending"

    def test_the_name_of_what_cannot_be_undone_must_be_typed(self, db, tmp_path, settings):
        """Where the guardrail asks for it, approving without the name is refused before the key is touched; denying is not."""
        cast = seal(tmp_path, settings, irreversible={"extra_approvals": 0, "typed_name": True, "hold": 0})
        request = cast.pending()
        bob = browser_of(cast, "bob")
        assert 'name="typed_name"' in bob.get(bob.page("decide", request)).content.decode()
        answer = bob.begin("decide", request, verdict="approve", typed_name="prod-order")
        assert (answer.status_code, "Type the name" in answer.content.decode()) == (400, True)
        assert bob.begin("decide", request, verdict="deny").status_code == 200
        assert bob.sign("decide", request, verdict="approve", typed_name="prod-orders").status_code == 302
        assert state_of(request) == "approved"


class TestWhereAFormComesFrom:
    @pytest.mark.parametrize("verb", ["confirm", "decide", "complete", "withdraw", "disown"])
    def test_a_post_without_our_token_is_refused(self, cast, browser, verb):
        """Another site can make a browser post; it cannot know the token."""
        request = cast.denied_event()
        alice = browser("alice", enforce_csrf_checks=True)
        answer = alice.post(alice.page(verb, request), {"reason": "x"})
        assert (answer.status_code, state_of(request)) == (403, "draft")
        assert "did not come from a page of this portal" in answer.content.decode()

    @pytest.mark.parametrize("verb", ["confirm", "decide", "complete", "withdraw", "disown", "change"])
    def test_other_methods_do_not_exist(self, cast, browser, verb):
        """GET shows and POST acts; nothing else is understood."""
        request = cast.denied_event()
        alice = browser("alice")
        assert alice.put(alice.page(verb, request)).status_code == 405
        assert alice.delete(alice.page(verb, request)).status_code == 405

    def test_an_unknown_request_is_not_found(self, cast, browser):
        """A wrong address says so."""
        listed = reverse("admin:approvals_approvalrequest_changelist")
        for address in (
            "00000000-0000-0000-0000-000000000000/change/",
            "nonsense/change/",
            "00000000-0000-0000-0000-000000000000/decide/",
        ):
            assert browser("dana").get(listed + address).status_code == 404, address
