"""Enrolment links on the page: sign in, make passkeys, enter the codes; and each mistake has its own message."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse
from django.utils import timezone

from approvals import changes
from approvals.models import AuthorityChange, Invitation, Passkey, RegistrationChallenge
from approvals.signatures import RelyingParty
from portal.change_page import url_of
from tests import authenticators
from tests.portal.test_changes import INVITE_BOB, found_in_the_database
from tests.portal.test_pages import Page, as_owner, everything_stored


@pytest.fixture
def invited(cast):
    """Bob was invited by dana and erin; `codes` are theirs."""
    change = cast.proposed(INVITE_BOB)
    codes = [cast.sign_change(change, handle) for handle in ("dana", "erin")]
    assert changes.apply(change.pk)
    invitation = Invitation.objects.get()
    return cast, reverse("enrol", args=[invitation.pk]), codes


def make(client: Any, url: str, label: str = "blue key") -> Any:
    """Both POSTs of one passkey, with an authenticator of the test's own."""
    page = client.post(url, {"step": "begin"})
    assert page.status_code == 200, page.content.decode()
    return register(client, url, page, label)


def register(client: Any, url: str, page: Any, label: str = "blue key", **how: Any) -> Any:
    options = page.context["options"]
    asked = json.loads(options["json"])
    enrolment_asked = changes.Enrolment(
        invitation="",
        nonce=options["nonce"],
        challenge=asked["challenge"],
        person_id="",
        handle="",
        known=(),
        relying_party=RelyingParty(asked["rp"]["id"], "https://localhost"),
    )
    made = authenticators.registration(enrolment_asked, **how)
    return client.post(url, answer_of(made, options["nonce"], label))


def answer_of(made: Any, nonce: str, label: str) -> dict[str, str]:
    return {"step": "register", "nonce": nonce, "client_data": made.client_data, "attestation": made.attestation, "label": label}


def finish(client: Any, url: str, codes: list[str]) -> Any:
    return client.post(url, {"step": "enrol", "code": codes})


def keys_of(cast: Any, handle: str = "bob") -> int:
    return Passkey.objects.filter(person=cast.person(handle)).count()


class TestTheWay:
    def test_two_passkeys_and_two_codes_make_two_keys_of_his(self, invited, browser):
        """Nothing counts before the authority process has applied it; afterwards the page says that it is done."""
        cast, url, codes = invited
        bob = browser("bob")
        html = bob.get(url).content.decode()
        assert "one can be lost" in html
        assert Page(html).inline == []
        assert Page(html).unlabelled == []
        assert make(bob, url).url == url
        html = bob.get(url).content.decode()
        assert "blue key" in html
        assert "Make a second one" in html
        make(bob, url, "red key")
        html = bob.get(url).content.decode()
        assert html.count('name="code"') == 2
        assert 'value="begin"' not in html
        assert finish(bob, url, codes).status_code == 302
        assert "being applied" in bob.get(url).content.decode()
        assert keys_of(cast) == 1
        assert changes.apply(AuthorityChange.objects.get(kind="enrolment").pk)
        assert keys_of(cast) == 3
        html = bob.get(url).content.decode()
        assert "Done" in html
        assert "red key" in html
        assert "used up" in html

    def test_one_passkey_is_enough_and_a_second_is_asked_for(self, invited, browser):
        """Finishing with one works and says that one can be lost."""
        _, url, codes = invited
        bob = browser("bob")
        make(bob, url)
        finish(bob, url, codes)
        assert changes.apply(AuthorityChange.objects.get(kind="enrolment").pk)
        assert "One can be lost" in bob.get(url).content.decode()

    def test_a_registration_is_a_change_that_others_read_and_nobody_signs(self, invited, browser):
        """Its page shows the new key and says what it rests on; its address for signing is refused."""
        _, url, codes = invited
        bob = browser("bob")
        make(bob, url)
        finish(bob, url, codes)
        change = AuthorityChange.objects.get(kind="enrolment")
        for client in (browser("dana"), browser("olivia"), bob):
            html = client.get(url_of(change)).content.decode()
            assert "register passkeys by an enrolment link" in html
            assert "it carries the codes of those who issued the enrolment link" in html
            assert "blue key" in html
            assert "Sign nothing" not in html
            assert url_of(change, "sign") not in html
        assert browser("dana").get(url_of(change, "sign")).status_code == 403
        assert "codes of the link" in browser("dana").get(reverse("admin:approvals_authoritychange_changelist")).content.decode()

    def test_looking_changes_nothing(self, invited, browser):
        """No challenge is made by GET."""
        _, url, _ = invited
        bob = browser("bob")
        before = everything_stored()
        assert bob.get(url).status_code == 200
        assert everything_stored() == before
        assert not RegistrationChallenge.objects.exists()

    def test_sign_in_with_a_second_factor_comes_first(self, invited, browser, client):
        """Whoever is not signed in, or has shown no second factor, is sent to sign in and told to come back."""
        _, url, _ = invited
        for visitor in (client, browser("bob", second_factor=False)):
            for answer in (visitor.get(url), visitor.post(url, {"step": "begin"})):
                assert (answer.status_code, answer.url.split("?")[0]) == (302, reverse("admin:login"))
        assert "open your enrolment link once more" in client.get(reverse("account_login")).content.decode()

    def test_codes_are_typed_as_people_type_and_kept_nowhere(self, invited, browser):
        """Case and dashes do not matter; neither session nor database holds a code afterwards, nor does a page."""
        _, url, codes = invited
        bob = browser("bob")
        make(bob, url)
        wrong = finish(bob, url, [codes[0], "WRONG"])
        done = finish(bob, url, [code.lower().replace("-", " ") for code in codes])
        assert done.status_code == 302
        for code in codes:
            assert not found_in_the_database(code, code.replace("-", ""))
            for page in (wrong, done, bob.get(url), bob.get("/admin/")):
                assert code not in page.content.decode()
            assert all(code not in str(one.get_decoded()) for one in Session.objects.all())

    def test_the_authenticator_is_told_what_it_must_not_make_again(self, invited, browser):
        """Registered keys and the one of a moment ago are excluded, and user verification is asked for."""
        cast, url, _ = invited
        bob = browser("bob")
        make(bob, url)
        asked = json.loads(bob.post(url, {"step": "begin"}).context["options"]["json"])
        known = {one["id"] for one in asked["excludeCredentials"]}
        assert cast.keys["bob"]["credential_id"] in known
        assert len(known) == 2
        assert asked["authenticatorSelection"]["userVerification"] == "required"
        assert asked["rp"]["id"] == "localhost"

    def test_beginning_again_forgets_what_was_made(self, invited, browser):
        """The keys of the session go; the link stays good."""
        _, url, _ = invited
        bob = browser("bob")
        make(bob, url)
        bob.post(url, {"step": "restart"})
        html = bob.get(url).content.decode()
        assert "blue key" not in html
        assert "Make the first passkey" in html


class TestMistakes:
    """Each has its own message, and what was made stays."""

    def test_a_wrong_code(self, invited, browser):
        """The passkeys are still there, and the codes are asked for again."""
        _, url, codes = invited
        bob = browser("bob")
        make(bob, url)
        slip = codes[1][:-1] + ("B" if codes[1].endswith("A") else "A")
        for given in ([codes[0]], [codes[0], codes[0]], [codes[0], slip], []):
            answer = finish(bob, url, given)
            assert answer.status_code == 400
            assert "The codes of 2 of the administrators" in answer.content.decode()
            assert "blue key" in answer.content.decode()
        assert not AuthorityChange.objects.filter(kind="enrolment").exists()

    def test_somebody_else_s_link(self, invited, browser):
        """Carol opens bob's link, with the right codes."""
        _, url, codes = invited
        carol = browser("carol")
        for answer in (carol.get(url), carol.post(url, {"step": "begin"}), finish(carol, url, codes)):
            assert answer.status_code == 403
            assert "issued for somebody else" in answer.content.decode()

    def test_a_lapsed_link(self, invited, browser):
        """After its time."""
        _, url, _ = invited
        as_owner("approvals_invitation", "SET until = %s", str(timezone.now() - timedelta(minutes=1)))
        answer = browser("bob").get(url)
        assert answer.status_code == 409
        assert "has lapsed" in answer.content.decode()

    def test_a_link_that_a_newer_one_replaced_or_that_never_was(self, invited, browser):
        """It says what may have happened."""
        cast, url, _ = invited
        cast.changed(INVITE_BOB)
        for address in (url, reverse("enrol", args=[uuid4()])):
            answer = browser("bob").get(address)
            assert answer.status_code == 403
            assert "a newer one took its place" in answer.content.decode()

    def test_a_used_link_shows_what_was_registered_and_registers_no_more(self, invited, browser):
        """The person sees that it is done; a POST is refused."""
        _, url, codes = invited
        bob = browser("bob")
        make(bob, url)
        finish(bob, url, codes)
        assert changes.apply(AuthorityChange.objects.get(kind="enrolment").pk)
        assert "used up" in bob.get(url).content.decode()
        answer = bob.post(url, {"step": "begin"})
        assert answer.status_code == 403
        assert "was used" in answer.content.decode()

    def test_nothing_from_the_authenticator(self, invited, browser):
        """A form without an answer, and one that cannot be read."""
        _, url, _ = invited
        bob = browser("bob")
        nonce = bob.post(url, {"step": "begin"}).context["options"]["nonce"]
        empty = bob.post(url, {"step": "register", "nonce": nonce})
        broken = bob.post(url, {"step": "register", "nonce": nonce, "client_data": "AAAA", "attestation": "AAAA"})
        assert (empty.status_code, broken.status_code) == (400, 400)
        assert "No passkey was made" in empty.content.decode()
        assert "cannot be read" in broken.content.decode()

    def test_the_same_passkey_twice(self, invited, browser):
        """A second answer with the same credential is told apart from another key."""
        _, url, _ = invited
        bob = browser("bob")
        page = bob.post(url, {"step": "begin"})
        register(bob, url, page)
        kept = bob.session["countersign_enrolment"]["made"][0]
        again = bob.post(
            url,
            {
                "step": "register",
                "nonce": kept["nonce"],
                "client_data": kept["client_data"],
                "attestation": kept["attestation"],
                "label": "again",
            },
        )
        assert again.status_code == 400
        assert "Use another authenticator" in again.content.decode()

    def test_without_user_verification(self, invited, browser):
        """A key that only notices a touch is no passkey to decide with."""
        _, url, _ = invited
        bob = browser("bob")
        page = bob.post(url, {"step": "begin"})
        answer = register(bob, url, page, flags=authenticators.UP)
        assert answer.status_code == 400
        assert "did not verify that it was you" in answer.content.decode()

    def test_a_third_passkey(self, invited, browser):
        """Two are registered at once, not more."""
        _, url, _ = invited
        bob = browser("bob")
        make(bob, url)
        make(bob, url)
        answer = bob.post(url, {"step": "begin"})
        assert answer.status_code == 400
        assert "You have made 2 passkeys" in answer.content.decode()

    def test_a_registration_that_does_not_verify_is_told_and_begun_anew(self, invited, browser):
        """What the authority process refused leaves the link good, and the page lets the person begin again."""
        cast, url, codes = invited
        bob = browser("bob")
        make(bob, url)
        finish(bob, url, codes)
        change = AuthorityChange.objects.get(kind="enrolment")
        as_owner(
            "approvals_authoritychange",
            "SET registration = replace(registration, 'blue key', 'green key') WHERE id = %s",
            str(change.pk),
        )
        assert changes.apply(change.pk) is False
        assert keys_of(cast) == 1
        html = bob.get(url).content.decode()
        assert "came to nothing" in html
        assert "Make the first passkey" in html
