"""The portal in Chromium: a real WebAuthn ceremony by a virtual authenticator, and no page against the policy."""

from __future__ import annotations

import pytest

from tests.browser.tabs import MARKS

pytestmark = MARKS


def test_two_persons_sign_with_passkeys_in_a_browser(cast, person):
    """The ceremony of the page is a real one: Chromium's authenticator signs, the server verifies, the request is approved."""
    request = cast.denied_event()
    address = f"/admin/approvals/approvalrequest/{request.pk}"
    alice = person("alice")
    page = alice.open(f"{address}/change/")
    page.get_by_role("link", name="Confirm and sign").first.click()
    page.fill("#reason", "It is empty.\nSince May.")
    page.get_by_role("button", name="Continue to sign").click()
    page.get_by_role("button", name="Sign with your passkey").click()
    page.wait_for_url("**/change/")
    request.refresh_from_db()
    assert (request.state, request.reason) == ("pending", "It is empty.\nSince May.")
    bob = person("bob", width=390)
    page = bob.open(f"{address}/decide/")
    page.check("input[value=approve]")
    page.fill("#reason", "Looked at it")
    page.get_by_role("button", name="Continue to sign").click()
    page.get_by_role("button", name="Sign with your passkey").click()
    page.wait_for_url("**/change/")
    request.refresh_from_db()
    assert request.state == "approved"
    assert alice.broken_rules == bob.broken_rules == []


def test_a_passkey_that_is_not_ones_own_signs_nothing(cast, person):
    """With carol's key at hand, bob's ceremony finds no credential; the page says so and nothing is decided."""
    request = cast.pending()
    bob = person("bob", key="carol")
    page = bob.open(f"/admin/approvals/approvalrequest/{request.pk}/decide/")
    page.check("input[value=approve]")
    page.fill("#reason", "Looked at it")
    page.get_by_role("button", name="Continue to sign").click()
    page.get_by_role("button", name="Sign with your passkey").click()
    message = page.locator("#sign-message")
    message.filter(has_text="Nothing was signed").wait_for()
    request.refresh_from_db()
    assert request.state == "pending"


@pytest.mark.parametrize(
    ("name", "seconds", "said"),
    [
        ("NotAllowedError", 1, "the dialogue was cancelled"),
        ("NotAllowedError", 300, "nobody answered the dialogue in time"),
        ("NotAllowedError", 0, "asked for no key"),
        ("SecurityError", 1, "not the one that passkeys are bound to"),
        ("InvalidStateError", 1, "that key cannot answer"),
        ("AbortError", 1, "the browser stopped the ceremony"),
        ("NotSupportedError", 1, "cannot verify that it is you"),
        ("UnknownError", 1, "the authenticator said UnknownError"),
    ],
)
def test_each_way_in_which_a_ceremony_fails_has_its_own_words(cast, person, name, seconds, said):
    """The browser says little: what it says, and how long it took, becomes what happened and what to do next."""
    request = cast.pending()
    page = person("bob").open(f"/admin/approvals/approvalrequest/{request.pk}/decide/")
    page.check("input[value=approve]")
    page.fill("#reason", "Looked at it")
    page.get_by_role("button", name="Continue to sign").click()
    page.locator("#sign-with-passkey").wait_for()
    # The browser's own function answers as browsers do, after as long as its clock is told.
    page.evaluate(
        """([name, seconds]) => {
            const began = performance.now();
            navigator.credentials.get = () => {
                performance.now = () => began + 1000 * seconds + 50;
                return Promise.reject(new DOMException("", name));
            };
        }""",
        [name, seconds],
    )
    page.get_by_role("button", name="Sign with your passkey").click()
    page.locator("#sign-message").filter(has_text=said).wait_for(timeout=5000)
    assert page.get_by_role("button", name="Sign with your passkey").is_enabled()


def test_a_passkey_for_the_manifest_is_made_in_a_browser(cast, person):
    """Registration verifies, shows the lines to copy, and stores nothing."""
    from approvals import genesis
    from approvals.models import Passkey

    before = Passkey.objects.count()
    page = person("dana").open("/passkey/")
    page.get_by_role("button", name="Begin").click()
    page.fill("#label", "blue key")
    page.get_by_role("button", name="Make the passkey now").click()
    snippet = page.locator("pre.value").inner_text()
    import yaml

    (made,) = yaml.safe_load(snippet)["passkeys"]
    assert made["label"] == "blue key"
    assert genesis._passkey(made, "dana")["credential_id"] == made["credential_id"]
    assert Passkey.objects.count() == before


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_breaks_the_policy_or_the_width(cast, person, width):
    """Every page that dana can reach by links: nothing refused by the policy, nothing asked of others, no sideways scrolling."""
    from django.urls import reverse

    cast.denied_event("UpdateTable")
    execution = cast.approved()
    dana = person("dana", width=width)
    names = [
        "approvalrequest",
        "guardrail",
        "account",
        "person",
        "execution",
        "alert",
        "auditentry",
        "feedbatch",
        "authoritychange",
    ]
    todo = ["/admin/", "/passkey/", *(reverse(f"admin:approvals_{name}_changelist") for name in names)]
    todo += [f"/admin/approvals/approvalrequest/{execution.revision.request.pk}/change/"]
    todo += [
        "/admin/approvals/approvalrequest/file/?place=111122223333/eu-west-1&operation=dynamodb:UpdateTable",
        "/accounts/2fa/",
    ]
    for address in todo:
        page = dana.open(address)
        sizes = page.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
        assert sizes[0] <= sizes[1], (address, sizes)
    assert dana.broken_rules == []


def test_the_form_works_without_javascript(chromium, origin, cast):
    """Rows are added and removed by the server's own buttons."""
    from django.contrib.auth import get_user_model

    from tests.portal.hands import session_for

    request = cast.denied_event("UpdateTable")
    context = chromium.new_context(java_script_enabled=False)
    session = session_for(get_user_model().objects.get(username="alice"))
    context.add_cookies([{"name": "session", "value": session, "url": origin}])
    page = context.new_page()
    page.goto(f"{origin}/admin/approvals/approvalrequest/{request.pk}/complete/")
    page.click("button[name=add][value='p.GlobalSecondaryIndexUpdates']")
    page.click("button[name=unfold][value='p.GlobalSecondaryIndexUpdates.0.Delete']")
    page.fill("input[name='p.GlobalSecondaryIndexUpdates.0.Delete.IndexName']", "by-customer")
    # Enter in a field saves; it does not press the first button of the form.
    page.press("input[name='p.GlobalSecondaryIndexUpdates.0.Delete.IndexName']", "Enter")
    page.wait_for_url("**/change/")
    context.close()
    request.refresh_from_db()
    parameters = request.current_revision().plan.steps[0].parameters
    assert parameters == {"TableName": "prod-orders", "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by-customer"}}]}


def test_a_list_narrows_while_one_types(cast, person):
    """The search field filters what the page holds already; a group with nothing left goes with it."""
    page = person("alice").open("/admin/approvals/approvalrequest/file/?place=111122223333/eu-west-1")
    page.locator("#service").press_sequentially("key management")
    page.get_by_role("link", name="AWS Key Management Service").last.wait_for()
    assert page.locator("#choices li:visible").count() < 5
    assert page.get_by_role("link", name="Amazon DynamoDB").first.is_hidden()
    page.locator("#service").press("Enter")
    page.wait_for_url("**service=key+management*")
    page.get_by_role("link", name="AWS Key Management Service").last.click()
    page.get_by_role("link", name="ScheduleKeyDeletion").click()
    assert page.locator("select[name=place]").input_value() == "111122223333/eu-west-1"


class TestDeciding:
    """The pages of the verbs beside approve and deny, under a guardrail that has a hold and a break-glass."""

    @pytest.fixture
    def cast(self, cloned_database, tmp_path, settings):
        from tests.cast import seal, with_a_bot

        hold = {"extra_approvals": 0, "typed_name": False, "hold": 600}
        glass = {"groups": ["Owners"], "review_within": 14_400}
        return seal(tmp_path, settings, change=with_a_bot, irreversible=hold, break_glass=glass, groups={"Approvers": 1})

    @pytest.mark.parametrize("width", [1280, 390])
    def test_they_fit_and_keep_the_policy(self, cast, person, width):
        """No sideways scrolling, nothing refused by the policy; a stop takes one field and one button."""
        from django.utils import timezone

        from approvals import decisions
        from approvals.models import Execution, Notice
        from executor import claim
        from tests.approvals.test_glass import breaking, filed

        pending, held = cast.pending(), cast.sign_review(cast.pending(TableName="prod-customers"))
        decisions.comment(pending.pk, cast.person("bob"), text="x" * 300)
        claim.take(Execution.objects.get().pk)
        Notice.objects.update(delivered_at=timezone.now())
        stranger, broken = cast.denied_event(user="stranger"), breaking(cast, filed(cast))
        bob, root = person("bob", width=width), "/admin/approvals/approvalrequest"
        for address in (
            "/admin/",
            f"{root}/?view=adopt",
            *(f"{root}/{one.pk}/change/" for one in (pending, held, stranger, broken)),
            f"{root}/{pending.pk}/return/",
            f"{root}/{held.pk}/stop/",
            f"{root}/{stranger.pk}/adopt/",
        ):
            page = bob.open(address)
            sizes = page.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
            assert sizes[0] <= sizes[1], (address, sizes)
        page = bob.open(f"{root}/{held.pk}/change/")
        page.get_by_label("Stop it: why?").fill("not what I read")
        page.get_by_role("button", name="Stop", exact=True).click()
        page.get_by_text("Stopped. Nothing more will be done").wait_for()
        held.refresh_from_db()
        assert held.state == "denied"
        assert bob.broken_rules == []
