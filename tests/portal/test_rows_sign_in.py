"""Rows 19, 20 and 36 of the security design: who somebody is, and what neither a provider nor a flag can make of him."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any
from uuid import uuid4

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction

from approvals import changes, decisions, weakened
from approvals.errors import BadSignature, NotAllowed, Refused
from approvals.models import Alert, Invitation, Passkey, Person, Signature
from approvals.permissions import reviewable_by
from approvals.states import Verdict
from executor import tasks
from portal.site import site
from tests.authenticators import registration
from tests.portal.hands import browser_of

INVITE = {"edit": "invite", "person": "carol"}


class TestRow19:
    @pytest.fixture
    def bobs_subject(self, cast) -> Any:
        """Bob signs in by single sign-on, as the subject that the authority names."""
        sign_on = {"edit": "add_sign_on", "person": "bob", "login": "bob", "provider": "oidc", "subject": "subject-bob"}
        cast.changed(sign_on)
        return cast

    def test_row_19_a_name_that_the_provider_gives_to_another_is_another_person(self, bobs_subject, rf):
        """Sign-in keys on provider and subject: bob's name, mail and user name under another subject are nobody."""
        from portal.sso import KnownSubject

        bob = get_user_model().objects.get(username="bob")
        for uid, provider, known in (
            ("subject-bob", "oidc", True),
            ("subject-of-the-new-bob", "oidc", False),
            ("SUBJECT-BOB", "oidc", False),
            ("subject-bob ", "oidc", False),
            ("bob", "oidc", False),
            (bob.email or "bob@example.com", "oidc", False),
            ("subject-bob", "another-provider", False),
        ):
            claimed = get_user_model()(username="bob", email="bob@example.com", first_name="Bob Brandt")
            account = SocialAccount(provider=provider, uid=uid, extra_data={"preferred_username": "bob"})
            signing_in = KnownSubject(user=claimed, account=account)
            signing_in.lookup()
            assert signing_in.is_existing is known, (uid, provider)
            assert (signing_in.user == bob) is known

    def test_a_subject_belongs_to_one_login(self, bobs_subject):
        """The authority gives it to nobody else, and neither does the database."""
        carol = get_user_model().objects.get(username="carol")
        with pytest.raises(Refused, match="belongs to one"):
            bobs_subject.proposed(
                {"edit": "add_sign_on", "person": "carol", "login": "carol", "provider": "oidc", "subject": "subject-bob"}
            )
        with pytest.raises(IntegrityError), transaction.atomic():
            SocialAccount.objects.create(user=carol, provider="oidc", uid="subject-bob", extra_data={})


class TestRow20:
    @pytest.fixture
    def superuser(self, cast) -> Any:
        """Carol, made a superuser by whoever owns the database: the constraint is dropped first."""
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(f"ALTER TABLE portal_user DROP CONSTRAINT {weakened.CONSTRAINT}")
        get_user_model().objects.filter(username="carol").update(is_superuser=True, is_staff=True)
        return cast

    def test_row_20_a_superuser_is_impossible_decides_nothing_and_is_an_alert(self, superuser):
        """With the constraint gone and the flag set: no right, no decision by the portal, none by the executor, and an alarm."""
        carol, request = superuser.person("carol"), superuser.pending()
        assert not reviewable_by(carol)
        with pytest.raises(NotAllowed):
            decisions.begin(request.pk, carol, Verdict.APPROVE)
        browser = browser_of(superuser, "carol")
        for verb in ("change", "decide", "confirm", "withdraw"):
            assert browser.get(browser.page(verb, request)).status_code == 403
        assert browser.begin("decide", request, verdict="approve").status_code == 403
        for page in ("person", "account", "auditentry", "alert"):
            assert browser.get(f"/admin/approvals/{page}/").status_code == 403
        assert not Signature.objects.exclude(person__handle="alice").exists()
        tasks.apply_changes()
        titles = sorted(Alert.objects.filter(kind="weakened").values_list("title", flat=True))
        assert titles == ["Nothing in the database forbids superusers any more", "The login carol is a superuser"]
        tasks.apply_changes()
        assert Alert.objects.count() == 2

    def test_the_flag_alone_is_refused_and_nothing_is_raised_without_one(self, cast):
        """By SQL, by the ORM, for whom it may be; a house without superusers is quiet."""
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("UPDATE portal_user SET is_superuser = true")
        with pytest.raises(IntegrityError), transaction.atomic():
            get_user_model().objects.create_superuser("root", None, None)
        assert weakened.look(actor="process:authority") == 0
        assert not Alert.objects.exists()

    def test_no_code_asks_for_the_flag_or_for_django_s_own_rights(self):
        """`is_superuser` and `has_perm` are read nowhere that could decide."""
        from pathlib import Path

        root = Path(__file__).resolve().parents[2]
        allowed = {"portal/models.py", "approvals/weakened.py"}
        for path in (path for room in ("approvals", "portal", "executor", "config") for path in (root / room).rglob("*.py")):
            name = str(path.relative_to(root))
            text = path.read_text()
            assert name in allowed or "migrations" in name or "is_superuser" not in text, name
            assert "has_perm(" not in text, name
            assert "has_perms(" not in text, name

    def test_the_admin_gives_a_superuser_no_more_than_anybody(self, superuser, rf):
        """Django's admin asks the user for its rights by itself; here it is never asked."""
        http = browser_of(superuser, "carol").get("/admin/").wsgi_request
        for model, page in site._registry.items():
            assert not page.has_add_permission(http), model
            assert not page.has_change_permission(http), model
            assert not page.has_delete_permission(http), model
            assert not page.get_actions(http), model


class TestRow36:
    @pytest.fixture
    def new(self, cast) -> Any:
        """Carol without a passkey of hers, as who has just been made a person."""
        cast.changed({"edit": "remove_passkey", "person": "carol", "credential_id": cast.keys["carol"]["credential_id"]})
        return cast

    def _invited(self, cast) -> tuple[Invitation, list[str]]:
        change = cast.proposed(INVITE)
        codes = [cast.sign_change(change, "dana"), cast.sign_change(change, "erin")]
        assert changes.apply(change.pk)
        return Invitation.objects.get(person__handle="carol"), codes

    def _keys(self, invitation: Invitation, person: Person) -> list[Any]:
        made = registration(changes.begin_registration(invitation.pk, person))
        changes.registered(made, invitation.pk, person)
        return [made]

    def test_row_36_signing_in_alone_registers_no_passkey_for_decisions(self, new):
        """A session as carol, with a second factor, however it came about: without the codes of those who invited, no key."""
        carol = new.person("carol")
        for link in (uuid4(), uuid4()):
            with pytest.raises(NotAllowed):
                changes.begin_registration(link, carol)
        invitation, codes = self._invited(new)
        made = self._keys(invitation, carol)
        for given in ([], [""], codes[:1], codes[1:], [codes[0], codes[0]], ["AAAA-AAAA", codes[1]], ["x", "y"]):
            with pytest.raises(BadSignature, match="codes of 2"):
                changes.enrol(invitation.pk, carol, given=given, registrations=made)
        assert not Passkey.objects.filter(person=carol).exists()
        # With both codes it is a registration, so the refusals above are about the codes alone.
        assert changes.apply(changes.enrol(invitation.pk, carol, given=codes, registrations=made).pk)
        assert Passkey.objects.filter(person=carol).count() == 1

    @pytest.mark.parametrize("handle", ["alice", "bob", "dana", "erin", "olivia"])
    def test_somebody_else_s_link_is_of_no_use(self, new, handle):
        """Not even to who holds every code, nor to who issued it."""
        invitation, codes = self._invited(new)
        other = new.person(handle)
        with pytest.raises(NotAllowed):
            changes.begin_registration(invitation.pk, other)
        made = self._keys(invitation, new.person("carol"))
        with pytest.raises(NotAllowed):
            changes.enrol(invitation.pk, other, given=codes, registrations=made)

    def test_the_sign_in_library_s_own_pages_register_nothing_for_decisions(self, new):
        """allauth's security keys, codes and their removal are for the door: a key added there signs no decision."""
        before = list(Passkey.objects.order_by("pk").values())
        request = new.pending()
        carol = browser_of(new, "carol")
        invitation, _ = self._invited(new)
        made = registration(changes.begin_registration(invitation.pk, new.person("carol")))
        response = {"clientDataJSON": made.client_data, "attestationObject": made.attestation}
        key = {"id": made.credential_id, "rawId": made.credential_id, "type": "public-key", "response": response}
        for address in ("webauthn/add/", "totp/activate/", "recovery-codes/generate/", "webauthn/keys/1/remove/"):
            carol.get(f"/accounts/2fa/{address}")
            carol.post(f"/accounts/2fa/{address}", {"credential": json.dumps(key), "name": "mine", "code": "123456"})
        user = get_user_model().objects.get(username="carol")
        Authenticator.objects.create(user=user, type="webauthn", data={"name": "mine", "credential": key})
        new.changed({"edit": "grant", "guardrail": "dynamodb-production", "login": "carol"})
        with pytest.raises(NotAllowed, match="no registered passkey"):
            decisions.begin(request.pk, new.person("carol"), Verdict.APPROVE)
        assert list(Passkey.objects.order_by("pk").values()) == before
        assert asdict(made)["credential_id"] not in {row["credential_id"] for row in before}
