"""An installation that begins with links alone: nobody has a passkey, and the first signed change is carried out all the same."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.core.management import call_command

from tests.browser.server import serving
from tests.browser.tabs import MARKS
from tests.browser.test_changes import change_of, look, sign

pytestmark = MARKS

PASSWORD = "correct horse battery staple"


@pytest.fixture
def links(cloned_database, tmp_path, settings) -> Iterator[dict[str, str]]:
    """The portal on localhost, sealed by `bootstrap` from a manifest without a single passkey: each person's printed link."""
    from executor.demo import people
    from tests import cast as the_cast

    settings.SESSION_COOKIE_NAME, settings.SESSION_COOKIE_SECURE = "session", False
    settings.CSRF_COOKIE_NAME, settings.CSRF_COOKIE_SECURE = "csrf", False
    settings.ALLOWED_HOSTS = ["localhost"]
    path = people.write_manifest(SimpleNamespace(path=tmp_path), the_cast._KEYS)  # type: ignore[arg-type]
    manifest = yaml.safe_load(path.read_text())
    for one in manifest["persons"]:
        del one["passkeys"]
    path.write_text(yaml.safe_dump(manifest))
    with serving() as address:
        settings.ORIGIN, settings.RP_ID, settings.CSRF_TRUSTED_ORIGINS = address, "localhost", [address]
        out = io.StringIO()
        call_command("bootstrap", str(path), "--json", stdout=out)
        said = json.loads(out.getvalue())
        settings.GENESIS = said["genesis"]
        yield {one["handle"]: one["link"] for one in said["enrolment"]}


def code_of(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))


class Tab:
    """A tab of somebody who has nothing yet: no session, no passkey, a password that an operator set."""

    def __init__(self, chromium: Any, handle: str) -> None:
        from django.contrib.auth import get_user_model

        user = get_user_model().objects.get(username=handle)
        user.set_password(PASSWORD)
        user.save()
        self.handle = handle
        self.context = chromium.new_context(viewport={"width": 1280, "height": 900})
        self.page = self.context.new_page()
        self.cdp = self.context.new_cdp_session(self.page)
        self.cdp.send("WebAuthn.enable")
        self.authenticators: list[str] = []
        self._new_authenticator()

    def _another_authenticator(self) -> None:
        """The platform's own verifies nobody for a while, so that a security key answers."""
        self.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self.authenticators[0], "isUserVerified": False})
        self._new_authenticator("usb")

    def _new_authenticator(self, transport: str = "internal") -> None:
        options = {"protocol": "ctap2", "transport": transport, "hasUserVerification": True, "isUserVerified": True}
        made = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": {**options, "automaticPresenceSimulation": True}})
        self.authenticators.append(made["authenticatorId"])

    def open(self, address: str) -> Any:
        self.page.goto(address if ":" in address else self.origin + address)
        return self.page

    def enter(self, link: str) -> None:
        """Sign in on the way to the link, and set up the second factor that is asked for."""
        self.origin = link.partition("/enrol/")[0]
        page = self.open(link)
        page.fill("[name=login]", self.handle)
        page.fill("[name=password]", PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.fill("[name=password]", PASSWORD)
        page.get_by_role("button", name="Confirm").click()
        page.wait_for_url("**/totp/activate/**")
        look(page, "begun-second-factor")
        secret = page.locator("#authenticator_secret").input_value()
        page.fill("[name=code]", code_of(secret))
        page.get_by_role("button", name="Activate").click()
        page.get_by_text("Authenticator app activated").wait_for()
        self.open(link)
        page.fill("[name=code]", code_of(secret))
        page.get_by_role("button", name="Confirm").click()
        page.get_by_role("button", name="Make the first passkey").wait_for()

    def enrol(self, link: str) -> None:
        """Open the link as it was printed: its code fills itself in."""
        page = self.open("about:blank")
        self.open(link)
        page.get_by_role("button", name="Make the first passkey").click()
        page.get_by_role("button", name="Make the passkey now").click()
        # Whoever decides has two, on two authenticators: there is no way to finish with the first alone.
        assert page.get_by_role("button", name="Finish").count() == 0
        self._another_authenticator()
        page.get_by_role("button", name="Make the second passkey").click()
        page.get_by_role("button", name="Make the passkey now").click()
        page.get_by_role("button", name="Finish").wait_for()
        look(page, "begun-codes")
        assert page.input_value("#code-1") == link.partition("#")[2]
        page.get_by_role("button", name="Finish").click()
        page.get_by_text("being applied").wait_for()
        self.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self.authenticators[0], "isUserVerified": True})

    def enrolled(self) -> None:
        """The page looks again by itself until it is done."""
        self.page.get_by_text("being applied").wait_for(state="detached")


def test_two_administrators_enrol_by_their_links_and_sign_the_first_change(chromium, links, settings):
    """From `bootstrap` without passkeys to a change: sign in, second factor, enrol, propose; two sign, one is too few."""
    from approvals import authority
    from approvals.models import AuthorityChange, Passkey
    from executor.tasks import apply_changes

    tabs = {}
    for handle in ("dana", "erin"):
        tab = tabs[handle] = Tab(chromium, handle)
        tab.enter(links[handle])
        tab.enrol(links[handle])
        apply_changes()
        tab.enrolled()
        assert Passkey.objects.filter(person__handle=handle).count() == 2
    dana = tabs["dana"]
    page = dana.open("/admin/approvals/person/")
    page.get_by_role("link", name="Propose a new person").click()
    page.fill("#id_handle", "gina")
    page.fill("#id_name", "Gina Gold")
    page.fill("#id_reason", "She joins the night shift.")
    page.get_by_role("button", name="Propose this change").click()
    page.wait_for_url("**/change/")
    change = change_of(page)
    sign(dana, change)
    apply_changes()
    assert AuthorityChange.objects.get(pk=change).state == "open"
    sign(tabs["erin"], change)
    apply_changes()
    assert AuthorityChange.objects.get(pk=change).state == "applied"
    assert "gina" in authority.standing(settings.GENESIS).text
