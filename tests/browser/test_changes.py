"""Changes of authority and enrolment in Chromium: real ceremonies by virtual authenticators, on wide and narrow screens."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse

from approvals.states import Verdict
from tests.browser.tabs import MARKS

pytestmark = MARKS


def look(page: Any, name: str) -> None:
    """Keep pictures of the page where the environment says, light and dark, wide and narrow; for eyes, not for the test."""
    folder = os.environ.get("SCREENSHOTS", "")
    if not folder:
        return
    size = page.viewport_size
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.screenshot(path=str(Path(folder) / f"{name}-{width}-{scheme}.png"), full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(size)


def fits(page: Any) -> None:
    """Nothing scrolls sideways."""
    page.wait_for_load_state()
    sizes = page.evaluate("() => [document.documentElement.scrollWidth, window.innerWidth]")
    assert sizes[0] <= sizes[1], (page.url, sizes)


def change_of(page: Any) -> str:
    return str(page.url.split("/")[-3])


def sign(tab: Any, change: str) -> str:
    """Sign a change with the passkey at hand; returns the code that was shown, where there is one."""
    page = tab.open(f"/admin/approvals/authoritychange/{change}/change/")
    page.get_by_role("link", name="Sign or deny").first.click()
    page.check("input[value=approve]")
    look(page, "sign")
    page.get_by_role("button", name="Continue to sign").click()
    fits(page)
    look(page, "ceremony")
    code = page.locator(".code-of-mine .code")
    shown = code.inner_text() if code.count() else ""
    page.get_by_role("button", name="Sign with your passkey").click()
    page.wait_for_url("**/change/")
    assert not shown or shown not in page.content()
    return shown


def test_a_person_is_added_invited_and_enrolled_in_a_browser(cast, person):
    """Proposed in the form, signed with two passkeys, enrolled with two new ones and both signers' codes; then she is there."""
    from approvals import changes
    from approvals.models import AuthorityChange, Passkey

    dana, erin = person("dana"), person("erin", width=390)
    page = dana.open("/admin/approvals/person/")
    page.get_by_role("link", name="Propose a new person").click()
    page.fill("#id_handle", "gina")
    page.fill("#id_name", "Gina Gold")
    page.get_by_role("button", name="Add a principal").click()
    assert page.input_value("#id_name") == "Gina Gold"
    page.select_option("#id_principals-0-kind", "iam_user")
    page.fill("#id_principals-0-value", "arn:aws:iam::111122223333:user/gina")
    page.fill("#id_reason", "She joins the night shift.")
    look(page, "person-new")
    page.get_by_role("button", name="Propose this change").click()
    page.wait_for_url("**/change/")
    look(page, "change-open")
    change = change_of(page)
    codes = [sign(dana, change), sign(erin, change)]
    assert changes.apply(AuthorityChange.objects.get(pk=change).pk)
    look(dana.open(f"/admin/approvals/authoritychange/{change}/change/"), "change-applied")

    link = reverse("enrol", args=[cast.person("gina").invitations.get().pk])
    gina = person("gina", key="carol", width=390)
    gina.take_another_authenticator()
    page = gina.open(f"{link}#{codes[0]}")
    look(page, "enrol-begin")
    for name in ("first", "second"):
        page.get_by_role("button", name=f"Make the {name} passkey").click()
        page.fill("#label", f"{name} key")
        look(page, f"enrol-make-{name}")
        page.get_by_role("button", name="Make the passkey now").click()
        page.get_by_text(f"{name} key").first.wait_for()
        fits(page)
        gina.take_another_authenticator()
    # The code of the address went through every step, and to no server.
    assert page.input_value("#code-1") == codes[0]
    assert not any(codes[0] in url.partition("#")[0] for url in gina.asked)
    page.fill("#code-2", codes[1].lower().replace("-", " "))
    look(page, "enrol-codes")
    page.get_by_role("button", name="Finish").click()
    page.get_by_text("being applied").wait_for()
    look(page, "enrol-applying")
    assert changes.apply(AuthorityChange.objects.get(kind="enrolment").pk)
    page.get_by_text("used up").wait_for()
    look(page, "enrol-done")
    assert Passkey.objects.filter(person__handle="gina").count() == 2
    assert dana.broken_rules == erin.broken_rules == gina.broken_rules == []


def test_an_authenticator_that_holds_a_key_of_his_makes_no_second_one(cast, person):
    """Bob's own authenticator is excluded: the page says to use another one, and nothing was sent."""
    change = cast.proposed({"edit": "invite", "person": "bob"})
    for handle in ("dana", "erin"):
        cast.sign_change(change, handle)
    from approvals import changes

    assert changes.apply(change.pk)
    bob = person("bob")
    page = bob.open(reverse("enrol", args=[cast.person("bob").invitations.get().pk]))
    page.get_by_role("button", name="Make the first passkey").click()
    page.get_by_role("button", name="Make the passkey now").click()
    page.locator("#make-message").filter(has_text="holds one of yours already").wait_for()
    look(page, "enrol-twice")
    assert bob.broken_rules == []


def test_a_cancelled_dialogue_makes_nothing_and_says_so(cast, person):
    """An authenticator that verifies nobody ends the dialogue; the button is there again."""
    change = cast.proposed({"edit": "invite", "person": "carol"})
    for handle in ("dana", "erin"):
        cast.sign_change(change, handle)
    from approvals import changes

    assert changes.apply(change.pk)
    carol = person("carol")
    carol.take_another_authenticator()
    carol.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": carol.authenticator, "isUserVerified": False})
    page = carol.open(reverse("enrol", args=[cast.person("carol").invitations.get().pk]))
    page.get_by_role("button", name="Make the first passkey").click()
    page.get_by_role("button", name="Make the passkey now").click()
    page.locator("#make-message").filter(has_text="No passkey was made").wait_for()
    assert page.get_by_role("button", name="Make the passkey now").is_enabled()


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_of_changes_breaks_the_policy_or_the_width(cast, person, width):
    """Every form that proposes, the list, and a change with a difference as wide as differences get."""
    from django.contrib.auth.models import Group

    from approvals.models import Account, Guardrail
    from tests.portal.test_proposing import WHOLE

    cast.changed(
        {"edit": "put_guardrail", "rules": WHOLE}, {"edit": "add_principal", "person": "bob", "kind": "sso_user", "value": "b"}
    )
    other = {**WHOLE, "operations": [f"rds:{'Delete' * 20}{number}" for number in range(5)], "approvals": 2, "ticket": "A-#"}
    wide = cast.proposed({"edit": "put_guardrail", "rules": other}, {"edit": "invite", "person": "bob"})
    denied = cast.proposed({"edit": "grant", "guardrail": "dynamodb-production", "group": "Approvers"})
    cast.sign_change(denied, "frank", Verdict.DENY)
    guardrail = Guardrail.objects.get(name="everything")
    bob = cast.person("bob").pk
    dana = person("dana", width=width)
    for name, address in (
        ("list", reverse("admin:approvals_authoritychange_changelist")),
        ("change-wide", reverse("admin:approvals_authoritychange_change", args=[wide.pk])),
        ("change-denied", reverse("admin:approvals_authoritychange_change", args=[denied.pk])),
        ("change-withdraw", reverse("admin:approvals_authoritychange_withdraw", args=[wide.pk])),
        ("person", reverse("admin:approvals_person_change", args=[bob])),
        ("person-propose", reverse("admin:approvals_person_propose", args=[bob])),
        ("group-propose", reverse("admin:auth_group_propose", args=[Group.objects.get(name="Approvers").pk])),
        ("guardrail", reverse("admin:approvals_guardrail_change", args=[guardrail.pk])),
        ("guardrail-propose", reverse("admin:approvals_guardrail_propose", args=[guardrail.pk])),
        ("guardrail-new", reverse("admin:approvals_guardrail_propose_new")),
        ("rights", reverse("admin:approvals_guardrail_rights", args=[Guardrail.objects.get(name="dynamodb-production").pk])),
        ("account", reverse("admin:approvals_account_propose", args=[Account.objects.get().pk])),
        ("settings", reverse("admin:approvals_authoritychange_settings")),
        ("home", "/admin/"),
    ):
        page = dana.open(address)
        fits(page)
        if width == 1280:
            look(page, name)
    assert dana.broken_rules == []
    page = person("bob", width=width).open(
        reverse("admin:approvals_guardrail_delegate", args=[Guardrail.objects.get(name="dynamodb-production").pk])
    )
    fits(page)
    if width == 1280:
        look(page, "delegate")
