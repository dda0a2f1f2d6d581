"""Single sign-on against a provider on this machine: it opens the door for whom the manifest names, and gives no right."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import yaml
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group
from django.test import Client

from approvals import genesis
from approvals.errors import BadManifest
from approvals.models import GuardrailGroupPermission, GuardrailUserPermission
from approvals.permissions import reviewable_by
from tests.cast import Cast

with warnings.catch_warnings():
    # The provider's own libraries announce their next versions at import.
    warnings.simplefilter("ignore")
    import oidc_provider_mock

# The provider is a development server in a thread, whose sockets are closed when they are collected.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

USERS = {
    "subject-carol": {"amr": ["pwd", "otp"], "groups": ["Approvers", "Administrators"], "preferred_username": "bob"},
    "subject-weak": {"amr": ["pwd"]},
    "subject-silent": {},
    "subject-stranger": {"amr": ["mfa"], "email": "carol@example.com", "preferred_username": "carol"},
}


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    users = [oidc_provider_mock.User(sub=sub, claims=claims) for sub, claims in USERS.items()]
    with oidc_provider_mock.run_server_in_thread(user_claims=users) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def house(db, tmp_path, settings, provider) -> Cast:
    """The demo's world in which carol, erin and frank sign in through the provider."""
    from types import SimpleNamespace

    from executor.demo import people
    from tests import cast as standing

    text = people.write_manifest(SimpleNamespace(path=tmp_path), standing._KEYS).read_text()  # type: ignore[arg-type]
    manifest = yaml.safe_load(text)
    subjects = {"carol": "subject-carol", "erin": "subject-weak", "frank": "subject-silent"}
    for person in manifest["persons"]:
        if person["handle"] in subjects:
            person["single_sign_on"] = {"provider": "oidc", "subject": subjects[person["handle"]]}
    sealed = genesis.seal(genesis.read(yaml.safe_dump(manifest)))
    settings.SECOND_FACTOR = "amr"
    settings.ACCOUNT_DEFAULT_HTTP_PROTOCOL = "http"
    settings.SOCIALACCOUNT_PROVIDERS = {
        "openid_connect": {
            "APPS": [
                {
                    "provider_id": "oidc",
                    "name": "Single sign-on",
                    "client_id": "countersign",
                    "secret": "not so secret",
                    "settings": {"server_url": provider, "oauth_pkce_enabled": True, "fetch_userinfo": False},
                }
            ]
        }
    }
    return Cast(sealed.hash, standing._KEYS)


def sign_in(client: Client, subject: str) -> Any:
    """The whole way: our form, the provider's form, and back."""
    gone = client.post("/accounts/oidc/oidc/login/?process=login&next=/admin/")
    assert gone.status_code == 302, gone.content.decode()
    with requests.Session() as session:
        back = session.post(gone["Location"], data={"sub": subject}, allow_redirects=False, timeout=10)
    assert back.status_code == 302, back.text
    address = urlsplit(back.headers["Location"])
    return client.get(f"{address.path}?{address.query}")


class TestSingleSignOn:
    def test_a_known_subject_with_two_factors_comes_in(self, house, client):
        """Carol's subject stands in the manifest and the id token says otp: the portal opens as carol."""
        assert sign_in(client, "subject-carol").url == "/admin/"
        answer = client.get("/admin/")
        assert (answer.status_code, answer.context["viewer"].person.handle) == (200, "carol")

    @pytest.mark.security_row(18)
    def test_claims_give_no_right(self, house, client):
        """A group, an administrator's flag or another's name in the token changes nothing that is stored or allowed."""
        before = (Group.objects.count(), GuardrailUserPermission.objects.count(), GuardrailGroupPermission.objects.count())
        memberships = set(house.person("carol").logins.get().user.groups.values_list("name", flat=True))
        sign_in(client, "subject-carol")
        assert reviewable_by(house.person("carol")) == frozenset()
        carol = house.person("carol")
        assert (carol.is_administrator, carol.is_auditor) == (False, False)
        assert set(carol.logins.get().user.groups.values_list("name", flat=True)) == memberships
        after = (Group.objects.count(), GuardrailUserPermission.objects.count(), GuardrailGroupPermission.objects.count())
        assert after == before
        request = house.pending()
        assert client.get(f"/admin/approvals/approvalrequest/{request.pk}/decide/").status_code == 403

    @pytest.mark.parametrize("subject", ["subject-weak", "subject-silent"])
    def test_a_sign_in_without_a_second_factor_is_not_let_in(self, house, client, subject):
        """One factor, or no word of any: the page says what to do."""
        sign_in(client, subject)
        answer = client.get("/admin/", follow=True)
        assert answer.status_code == 403
        assert "did not say that you used a second factor" in answer.content.decode()

    def test_a_factor_of_ours_does_not_stand_in_for_the_provider_s(self, house, client):
        """Who got past the provider with one factor cannot enrol the second one here."""
        from tests.portal.test_entry import code_of

        sign_in(client, "subject-weak")
        page = client.get("/accounts/2fa/totp/activate/")
        if page.status_code == 200:
            client.post("/accounts/2fa/totp/activate/", {"code": code_of(page.context["form"].secret)})
            client.post("/accounts/2fa/reauthenticate/", {"code": code_of(page.context["form"].secret)})
        assert client.get("/admin/", follow=True).status_code == 403

    def test_the_provider_s_policy_may_be_trusted_by_setting(self, house, client, settings):
        """Where the claim is never sent, an operator may say that the provider demands a factor."""
        settings.SECOND_FACTOR = "provider"
        sign_in(client, "subject-silent")
        assert client.get("/admin/").status_code == 200

    def test_an_unknown_subject_is_nobody(self, house, client):
        """Not by mail address, not by name: the subject is not linked, so the page says whom to tell."""
        answer = sign_in(client, "subject-stranger")
        html = answer.content.decode()
        assert (answer.status_code, "subject-stranger" in html, "administrators" in html) == (403, True, True)
        assert client.get("/admin/").status_code == 302
        assert not SocialAccount.objects.filter(uid="subject-stranger").exists()

    def test_a_signed_in_person_cannot_take_a_further_identity(self, house, client):
        """Connecting a subject to a session is refused: whose it is stands in the manifest."""
        sign_in(client, "subject-carol")
        gone = client.post("/accounts/oidc/oidc/login/?process=connect")
        back = requests.post(gone.url, data={"sub": "subject-stranger"}, allow_redirects=False, timeout=10)
        address = urlsplit(back.headers["Location"])
        assert client.get(f"{address.path}?{address.query}").status_code == 403
        assert SocialAccount.objects.count() == 3

    def test_nothing_of_the_claims_is_kept(self, house, client):
        """The row says whose subject it is, and when he came."""
        sign_in(client, "subject-carol")
        assert SocialAccount.objects.get(uid="subject-carol").extra_data == {}


class TestTheManifest:
    @pytest.mark.parametrize("subject", [4711, "", None, ["a"]])
    def test_a_subject_is_a_text(self, cast_manifest, subject):
        """A number without quotes would be another subject than the provider's."""
        cast_manifest["persons"][0]["single_sign_on"] = {"provider": "oidc", "subject": subject}
        with pytest.raises(BadManifest, match="in quotes"):
            genesis.read(yaml.safe_dump(cast_manifest))

    def test_a_subject_belongs_to_one_person(self, cast_manifest):
        """Two persons behind one subject would be one voter with two faces."""
        for person in cast_manifest["persons"][:2]:
            person["single_sign_on"] = {"provider": "oidc", "subject": "same"}
        with pytest.raises(BadManifest, match="belongs to one"):
            genesis.read(yaml.safe_dump(cast_manifest))

    @pytest.fixture
    def cast_manifest(self, tmp_path) -> dict[str, Any]:
        from types import SimpleNamespace

        from executor.demo import people
        from tests import cast as standing

        path = people.write_manifest(SimpleNamespace(path=tmp_path), standing._KEYS)  # type: ignore[arg-type]
        found: dict[str, Any] = yaml.safe_load(path.read_text())
        return found
