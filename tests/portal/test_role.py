"""The web process as its own database role: the grants suffice for every page and verb, and for nothing beyond."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.apps import apps
from django.db import DatabaseError, connection
from django.urls import reverse

from approvals import decisions, ingest
from approvals.models import Alert, ApprovalRequest, Execution, Review
from tests.cast import envelope, trail_record
from tests.conftest import _connect_to
from tests.portal.hands import browser_of


@contextmanager
def connected_as_web(role_url, owner_url: str) -> Iterator[None]:
    """Django's connection as countersign_web; the owner's again afterwards, for the tests that follow on this worker."""
    _connect_to(role_url("web"))
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            assert cursor.fetchone() == ("countersign_web",)
        yield
    finally:
        _connect_to(owner_url)


@pytest.fixture
def as_web(cloned_database, cast, role_url):
    """A sealed world with a bypass alert, then Django connected as countersign_web."""
    ingest.ingest([ingest.Message("m1", envelope(trail_record("DeleteTable", "prod-customers", "mallory", denied=False)))])
    drafts = {name: cast.denied_event(name, table) for name, table in (("DeleteTable", "prod-orders"), ("UpdateTable", "prod-a"))}
    with connected_as_web(role_url, cloned_database):
        yield cast, drafts


def test_the_whole_way_works_with_the_rights_of_the_web_process(as_web):
    """Confirm, complete, edit, decide, file, withdraw, disown, close an alert, and every page, as countersign_web."""
    cast, drafts = as_web
    alice, bob, dana = (browser_of(cast, handle) for handle in ("alice", "bob", "dana"))
    assert alice.sign("confirm", drafts["DeleteTable"], reason="empty").status_code == 302
    assert bob.sign("decide", drafts["DeleteTable"], verdict="approve").status_code == 302
    assert Execution.objects.get().state == "ready"
    update = drafts["UpdateTable"]
    fields = {"revision": "1", "p.TableName": "prod-a", "p.TableClass": "STANDARD"}
    assert alice.post(alice.page("complete", update), fields).status_code == 302
    update.refresh_from_db()
    assert alice.sign("confirm", update).status_code == 302
    assert bob.sign("decide", update, verdict="deny").status_code == 302
    place = {"place": "111122223333/eu-west-1", "operation": "dynamodb:DeleteTable", "p.TableName": "prod-b"}
    filed = alice.post(reverse("admin:approvals_approvalrequest_file"), place)
    assert filed.status_code == 302
    request = ApprovalRequest.objects.get(target="prod-b")
    assert alice.post(alice.page("withdraw", request), {"reason": "no"}).status_code == 302
    alert = Alert.objects.get()
    assert dana.post(reverse("admin:approvals_alert_close", args=[alert.pk]), {"reason": "key rotated"}).status_code == 302
    for model in ("approvalrequest", "guardrail", "account", "person", "execution", "alert", "auditentry", "feedbatch"):
        listed = dana.get(reverse(f"admin:approvals_{model}_changelist"))
        assert listed.status_code == 200, model
        for row in listed.context["cl"].result_list[:2]:
            assert dana.get(reverse(f"admin:approvals_{model}_change", args=[row.pk])).status_code == 200, model
    assert dana.get(reverse("admin:auth_group_changelist")).status_code == 200
    assert dana.get(reverse("admin:approvals_quarantinedmessage_changelist")).status_code == 200
    assert dana.get(reverse("admin:index")).status_code == 200
    assert alice.post("/accounts/logout/").status_code == 302


def test_disowning_works_with_the_rights_of_the_web_process(as_web):
    """It writes an alert as well."""
    cast, drafts = as_web
    alice = browser_of(cast, "alice")
    assert alice.post(alice.page("disown", drafts["DeleteTable"])).status_code == 302
    assert Alert.objects.filter(kind="disowned").exists()


def test_signing_in_with_a_password_works_with_the_rights_of_the_web_process(cloned_database, cast, role_url, client):
    """The session, the second factor's rows and the date of the sign-in are all that sign-in writes."""
    from tests.portal.test_entry import PASSWORD, code_of, with_password

    with_password("alice")
    with connected_as_web(role_url, cloned_database):
        client.post("/accounts/login/", {"login": "alice", "password": PASSWORD})
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        page = client.get("/accounts/2fa/totp/activate/")
        code = code_of(page.context["form"].secret)
        assert client.post("/accounts/2fa/totp/activate/", {"code": code}).status_code == 302
        # The door is still shut: the factor was set up, and is to be shown once.
        assert client.get("/admin/login/").url.startswith("/accounts/2fa/reauthenticate/")


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("approvals.Passkey", "DELETE FROM {}"),
        ("approvals.Person", "UPDATE {} SET is_administrator = true"),
        ("approvals.Login", "UPDATE {} SET person_id = person_id"),
        ("approvals.GuardrailUserPermission", "INSERT INTO {} SELECT * FROM {}"),
        ("approvals.Execution", "UPDATE {} SET state = 'succeeded'"),
        ("approvals.Review", "DELETE FROM {}"),
        ("approvals.AuditEntry", "DELETE FROM {}"),
        ("portal.User", "UPDATE {} SET is_staff = true"),
        ("portal.User", "UPDATE {} SET password = 'x'"),
        ("socialaccount.SocialAccount", "UPDATE {} SET uid = 'mine'"),
        ("socialaccount.SocialAccount", "INSERT INTO {} SELECT * FROM {}"),
    ],
)
def test_a_web_process_taken_over_cannot_rewrite_who_may_do_what(as_web, table, statement):
    """The database itself refuses, whatever the code would do."""
    name = apps.get_model(table)._meta.db_table
    with connection.cursor() as cursor, pytest.raises(DatabaseError, match="permission denied"):
        cursor.execute(statement.format(name, name))


def test_as_the_web_role_a_second_review_is_refused_too(as_web):
    """The rule does not rest on the owner's connection."""
    cast, drafts = as_web
    cast.sign_confirm(drafts["DeleteTable"])
    bob = browser_of(cast, "bob")
    assert bob.sign("decide", drafts["DeleteTable"], verdict="deny").status_code == 302
    assert bob.get(bob.page("decide", drafts["DeleteTable"])).status_code == 409
    assert Review.objects.count() == 1
    assert decisions.why_not_review(drafts["DeleteTable"], cast.person("bob"))
