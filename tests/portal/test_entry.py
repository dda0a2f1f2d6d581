"""Who comes in: a known person with a second factor; and which doors do not exist."""

from __future__ import annotations

import io
import re
from urllib.parse import quote

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client
from django.urls import NoReverseMatch, clear_url_caches, reverse

from approvals import decisions
from approvals.errors import NotAllowed
from approvals.models import Login, Passkey, Person
from approvals.states import Verdict
from portal import mfa
from tests.portal.hands import browser_of

PASSWORD = "correct horse battery staple"


def with_password(handle: str):
    user = get_user_model().objects.get(username=handle)
    user.set_password(PASSWORD)
    user.save()
    return user


def code_of(secret: str) -> str:
    counter = next(iter(yield_hotp_counters_from_time()))
    return format_hotp_value(hotp_value(secret, counter))


class TestTheDoor:
    def test_nobody_is_let_in_without_signing_in(self, cast, client):
        """Every page leads to the sign-in page, and back afterwards."""
        request = cast.pending()
        url = reverse("admin:approvals_approvalrequest_change", args=[request.pk])
        answer = client.get(url, follow=True)
        assert answer.redirect_chain[-1][0] == f"/accounts/login/?next={quote(url, safe='')}"

    def test_a_password_alone_does_not_open_the_portal(self, cast, client):
        """Signed in without a second factor: sent to set one up, and told why."""
        with_password("alice")
        answer = client.post("/accounts/login/", {"login": "alice", "password": PASSWORD, "next": "/admin/"}, follow=True)
        assert any(url.startswith("/accounts/2fa/totp/activate/") for url, _ in answer.redirect_chain)
        assert "a password alone does not open it" in answer.content.decode()
        assert client.get("/admin/approvals/approvalrequest/").status_code == 302

    def test_a_second_factor_opens_it_and_its_secret_is_encrypted(self, cast, client):
        """Set up, shown once, and in; the database holds no secret that a reader could use."""
        user = with_password("alice")
        client.post("/accounts/login/", {"login": "alice", "password": PASSWORD})
        # allauth asks for the password again before it adds a factor.
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        page = client.get("/accounts/2fa/totp/activate/")
        secret = page.context["form"].secret
        client.post("/accounts/2fa/totp/activate/", {"code": code_of(secret)})
        stored = Authenticator.objects.get(user=user, type="totp")
        assert secret not in str(stored.data)
        assert TOTP(stored).validate_code(code_of(secret))
        fresh = Client()
        fresh.post("/accounts/login/", {"login": "alice", "password": PASSWORD})
        assert fresh.get("/admin/").status_code == 302
        codes = Authenticator.objects.get(user=user, type="recovery_codes").wrap().get_unused_codes()
        fresh.post("/accounts/2fa/authenticate/", {"code": codes[0]})
        assert fresh.get("/admin/").status_code == 200

    def test_a_login_of_nobody_is_told_what_to_do(self, cast, browser):
        """A user without a person may be signed in and sees nothing."""
        get_user_model().objects.create_user("zoe", None, None, is_staff=True)
        zoe = browser("zoe")
        answer = zoe.get("/admin/", follow=True)
        assert answer.status_code == 403
        assert "belongs to no active person" in answer.content.decode()

    @pytest.mark.parametrize("taken", ["person", "user", "staff", "login"])
    def test_who_was_taken_out_is_out_at_once(self, cast, browser, taken):
        """The session lives on, the rights do not."""
        bob = browser("bob")
        request = cast.pending()
        assert bob.get(bob.page("decide", request)).status_code == 200
        {
            "person": lambda: Person.objects.filter(handle="bob").update(is_active=False),
            "user": lambda: get_user_model().objects.filter(username="bob").update(is_active=False),
            "staff": lambda: get_user_model().objects.filter(username="bob").update(is_staff=False),
            "login": lambda: Login.objects.filter(person__handle="bob").delete(),
        }[taken]()
        assert bob.get(bob.page("decide", request)).status_code in (302, 403)
        assert bob.begin("decide", request, verdict="approve").status_code in (302, 403)

    def test_without_a_second_factor_no_address_opens(self, cast, browser):
        """Not the pages, not the verbs."""
        request = cast.pending()
        bob = browser("bob", second_factor=False)
        for verb in ("change", "decide", "confirm", "withdraw"):
            assert bob.get(bob.page(verb, request)).status_code == 302, verb
        assert bob.begin("decide", request, verdict="deny").status_code == 302

    def test_after_signing_in_one_goes_nowhere_else(self, cast, browser):
        """The `next` of a link stays on this site."""
        answer = browser("alice").get("/admin/login/", {"next": "https://evil.example/"})
        assert answer["Location"] == "/admin/"


class TestDoorsThatDoNotExist:
    @pytest.mark.parametrize(
        "address",
        [
            "/accounts/signup/",
            "/accounts/email/",
            "/accounts/password/change/",
            "/accounts/password/set/",
            "/accounts/password/reset/",
            "/accounts/3rdparty/",
            "/accounts/3rdparty/signup/",
            "/accounts/demo/",
            "/admin/password_change/",
            "/admin/auth/user/",
            "/admin/approvals/passkey/",
            "/admin/approvals/login/",
            "/admin/approvals/",
            "/admin/r/1/1/",
            "/admin/autocomplete/",
        ],
    )
    def test_ways_past_the_two_persons_are_closed(self, cast, browser, address):
        """No sign-up, no reset by mail, no further identities, no table of keys."""
        assert browser("dana").get(address).status_code == 404
        assert browser("dana").post(address, {"handle": "bob"}).status_code == 404

    def test_the_pages_of_factors_say_that_these_sign_nothing(self, cast):
        """Whoever adds a security key there is told that it is none to decide with, and finds the way to the portal."""
        client = Client()
        with_password("dana")
        client.post("/accounts/login/", {"login": "dana", "password": PASSWORD})
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        secret = client.get("/accounts/2fa/totp/activate/").context["form"].secret
        codes = client.post("/accounts/2fa/totp/activate/", {"code": code_of(secret)}, follow=True)
        for page in (client.get("/accounts/2fa/"), codes):
            html = page.content.decode()
            assert re.search(r"signs? nothing", html), page.request["PATH_INFO"]
            assert f'href="{reverse("admin:index")}">To the portal' in html

    def test_a_factor_for_sign_in_is_no_passkey_for_decisions(self, cast, browser):
        """allauth's security keys are rows of another table: having one gives nothing to sign with."""
        Passkey.objects.filter(person__handle="bob").delete()
        user = get_user_model().objects.get(username="bob")
        Authenticator.objects.create(user=user, type="webauthn", data={"name": "key", "credential": {}})
        request = cast.pending()
        with pytest.raises(NotAllowed, match="no registered passkey"):
            decisions.begin(request.pk, cast.person("bob"), Verdict.APPROVE)
        answer = browser("bob").begin("decide", request, verdict="approve")
        assert (answer.status_code, "no registered passkey" in answer.content.decode()) == (403, True)


class TestTheDemo:
    @pytest.fixture
    def demo(self, cast, settings, tmp_path):
        """The portal with the demo switched on, its addresses made anew."""
        import importlib
        import json

        import config.urls
        import portal.urls

        def reload() -> None:
            importlib.reload(portal.urls)
            importlib.reload(config.urls)
            clear_url_caches()

        settings.DEMO = True
        settings.DEMO_KEYS = tmp_path / "keys.json"
        settings.DEMO_KEYS.write_text(json.dumps(cast.keys))
        reload()
        yield cast
        settings.DEMO = False
        reload()

    def test_the_sign_in_page_offers_its_people_with_their_parts(self, demo, client):
        """One click each, and what they are there for."""
        html = client.get("/accounts/login/").content.decode()
        assert "Bob Brandt" in html
        assert "reviews under dynamodb-production" in html

    def test_one_click_signs_in_by_post_with_a_token(self, demo):
        """A link cannot sign anybody in, nor another site's form."""
        client = Client(enforce_csrf_checks=True)
        assert client.get("/accounts/demo/").status_code == 405
        assert client.post("/accounts/demo/", {"handle": "bob"}).status_code == 403
        token = client.get("/accounts/login/").context["csrf_token"]
        answer = client.post("/accounts/demo/", {"handle": "bob", "csrfmiddlewaretoken": str(token)})
        assert (answer.status_code, answer["Location"]) == (302, "/admin/")
        assert client.get("/admin/").status_code == 200

    def test_the_software_authenticator_signs_through_the_same_verification(self, demo):
        """Its answer is an assertion like any other; a nonce is used once for it too."""
        request = demo.denied_event()
        alice = browser_of(demo, "alice", second_factor=False)
        opened = alice.begin("confirm", request)
        assert "software authenticator" in opened.content.decode()
        fields = {**alice.fields_of_ceremony(opened), "sign_with": "software"}
        assert alice.post(alice.page("confirm", request), fields).status_code == 302
        request.refresh_from_db()
        assert request.state == "pending"
        assert alice.post(alice.page("confirm", request), fields).status_code == 409

    def test_outside_the_demo_neither_exists(self, cast, client):
        """No button, no address, no answer."""
        assert "choose whom to be" not in client.get("/accounts/login/").content.decode()
        with pytest.raises(NoReverseMatch):
            reverse("demo_sign_in")
        request = cast.denied_event()
        alice = browser_of(cast, "alice")
        opened = alice.begin("confirm", request)
        assert "software authenticator" not in opened.content.decode()
        answer = alice.post(alice.page("confirm", request), {**alice.fields_of_ceremony(opened), "sign_with": "software"})
        request.refresh_from_db()
        assert (answer.status_code, request.state) == (403, "draft")


class TestSecrets:
    def test_a_rotated_key_still_reads_what_it_wrote(self, settings):
        """While the former key is a fallback, factors stay valid; afterwards the error says what to do."""
        adapter = mfa.EncryptingMFAAdapter()
        token = adapter.encrypt("JBSWY3DPEHPK3PXP")
        assert "JBSWY3DP" not in token
        former, settings.SECRET_KEY = settings.SECRET_KEY, "another key of the tests, long enough for what it is for"
        settings.SECRET_KEY_FALLBACKS = [former]
        assert adapter.decrypt(token) == "JBSWY3DPEHPK3PXP"
        settings.SECRET_KEY_FALLBACKS = []
        with pytest.raises(ImproperlyConfigured, match="SECRET_KEY_FALLBACKS"):
            adapter.decrypt(token)

    @pytest.mark.parametrize(
        ("amr", "enough"),
        [
            (["mfa"], True),
            (["pwd", "otp"], True),
            (["hwk", "pin"], True),
            (["pwd"], False),
            (["otp"], False),
            (["pwd", "kba"], False),
            ([], False),
            (None, False),
            ("mfa", False),
            ([["mfa"]], False),
        ],
    )
    def test_what_an_identity_provider_must_say(self, amr, enough):
        """`mfa` outright, or something one has beside something one knows or is."""
        assert mfa.multi_factor(amr) is enough


class TestDeployChecks:
    @pytest.mark.parametrize(
        ("name", "value", "number"),
        [
            ("DEMO", True, "E001"),
            ("DEMO_KEYS", "/somewhere", "E002"),
            ("DEBUG", True, "E003"),
            ("ORIGIN", "http://countersign.example.com", "E010"),
            ("SESSION_COOKIE_SECURE", False, "E012"),
            ("CSRF_COOKIE_SECURE", False, "E012"),
            ("SECURE_SSL_REDIRECT", False, "E012"),
            ("ALLOWED_HOSTS", ["*"], "E013"),
            ("CONTENT_SECURITY_POLICY", {"DIRECTIVES": {"script-src": ["'self'", "'unsafe-inline'"]}}, "E020"),
            ("SESSION_SERIALIZER", "django.contrib.sessions.serializers.PickleSerializer", "E030"),
            ("SESSION_ENGINE", "django.contrib.sessions.backends.cache", "E031"),
            ("CACHES", {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache"}}, "E032"),
            ("MFA_ADAPTER", "allauth.mfa.adapter.DefaultMFAAdapter", "E040"),
            ("SOCIALACCOUNT_EMAIL_AUTHENTICATION", True, "E044"),
            ("SOCIALACCOUNT_PROVIDERS", {}, "W042"),
            ("OPENING_KEYS", ("opening.pem",), "E060"),
            ("SEALING_KEY", "-----BEGIN PRIVATE KEY-----", "E060"),
            ("SEALING_KEY", "", "W061"),
        ],
    )
    def test_a_dangerous_setting_is_refused(self, settings, name, value, number):
        """`check --deploy` names it and says what to set."""
        from portal.checks import dangerous_settings

        settings.SECURE_SSL_REDIRECT = True
        setattr(settings, name, value)
        assert f"portal.{number}" in [message.id for message in dangerous_settings(None)]

    def test_an_executor_that_claims_nothing_outside_is_refused(self, settings):
        """A deployment's execution process without a bucket of claims would execute a restored backup again."""
        from portal.checks import dangerous_settings

        settings.PROCESS, settings.GENESIS, settings.CLAIMS_BUCKET = "execution", "0" * 64, ""
        found = {message.id: message for message in dangerous_settings(None)}
        assert "COUNTERSIGN_CLAIMS_BUCKET" in (found["portal.E051"].hint or "")
        settings.CLAIMS_BUCKET = "countersign-claims"
        assert "portal.E051" not in {message.id for message in dangerous_settings(None)}

    def test_the_command_itself_refuses_the_demo(self, settings):
        """What CI and the container run fails."""
        settings.DEMO = True
        with pytest.raises(SystemCheckError, match=r"portal\.E001"):
            call_command("check", deploy=True, stderr=io.StringIO(), stdout=io.StringIO())


class TestPasskeyForTheManifest:
    def test_it_is_open_until_the_genesis_is_sealed(self, db, client):
        """Before that nobody can sign in, and the manifest needs keys."""
        assert client.get("/passkey/").status_code == 200

    def test_it_is_for_signed_in_persons_afterwards(self, cast, client, browser):
        """It grants nothing, but is nobody's business outside."""
        assert client.get("/passkey/").status_code == 302
        assert browser("alice").get("/passkey/").status_code == 200

    def test_an_answer_that_was_not_asked_for_is_refused(self, cast, browser):
        """Nonsense, and an answer without a ceremony, are refused in words and change nothing."""
        alice = browser("alice")
        before = Passkey.objects.count()
        assert alice.post("/passkey/", {"step": "finish", "credential": "{}"}).status_code == 400
        alice.post("/passkey/", {"step": "begin"})
        for nonsense in ("{}", "[]", "null", "x", '{"id": 1}', '{"id":"AA","rawId":"AA","response":{},"type":"public-key"}'):
            assert alice.post("/passkey/", {"step": "finish", "credential": nonsense}).status_code == 400, nonsense
        assert Passkey.objects.count() == before
