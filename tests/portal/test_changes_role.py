"""Changes and enrolment with the rights that each process has: web proposes and collects, authority alone applies."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from django.db import DatabaseError, connection
from django.urls import reverse

from approvals import changes
from approvals.models import AuthorityChange, Guardrail, Invitation, Passkey
from approvals.permissions import reviewable_by
from executor import tasks
from portal.change_page import url_of
from tests.conftest import _connect_to
from tests.portal.hands import browser_of
from tests.portal.test_changes import CAROL_REVIEWS, begin, sign
from tests.portal.test_enrolment import finish, make
from tests.portal.test_proposing import edits_of, propose


@pytest.fixture
def as_role(cloned_database, cast, role_url):
    """`with as_role("web"):` Django is connected as countersign_web."""

    @contextmanager
    def connected(process: str):
        _connect_to(role_url(process))
        try:
            yield
        finally:
            _connect_to(cloned_database)

    return connected


def test_proposing_signing_and_applying_work_with_the_rights_of_their_processes(cast, as_role):
    """Web opens every page, proposes in a form, signs twice; the authority worker applies; web reads what came of it."""
    dana, erin = browser_of(cast, "dana"), browser_of(cast, "erin")
    guardrail = Guardrail.objects.get().pk
    with as_role("web"):
        rights = reverse("admin:approvals_guardrail_rights", args=[guardrail])
        answer = propose(dana, rights, add=("rights",), rights__1__holder="login:carol")
        assert edits_of(answer) == [CAROL_REVIEWS]
        change = AuthorityChange.objects.get()
        for client in (dana, erin):
            assert sign(client, change).status_code == 302
        for address in ("/admin/", url_of(change), reverse("admin:approvals_authoritychange_changelist")):
            assert dana.get(address).status_code == 200
    with as_role("authority"):
        tasks.apply_changes()
    with as_role("web"):
        assert "Applied" in dana.get(url_of(change)).content.decode()
        assert reviewable_by(cast.person("carol")) == {"dynamodb-production"}
        other = propose(dana, reverse("admin:approvals_person_propose", args=[cast.person("bob").pk]), enrolment="invite")
        invitation = AuthorityChange.objects.exclude(pk=change.pk).get()
        assert other.url == url_of(invitation)
        assert dana.post(url_of(invitation, "withdraw")).status_code == 302
        assert begin(erin, invitation, verdict="approve").status_code == 409


def test_enrolment_works_with_the_rights_of_their_processes(cast, as_role):
    """The whole way from the invitation to two keys, each step as the process that makes it."""
    bob, codes = browser_of(cast, "bob"), []
    with as_role("web"):
        change = cast.proposed({"edit": "invite", "person": "bob"})
        for handle in ("dana", "erin"):
            client = browser_of(cast, handle)
            opened = begin(client, change, verdict="approve")
            codes.append(opened.context["ceremony"].code)
            fields = client.fields_of_ceremony(opened) | client.answer(opened)
            assert client.post(url_of(change, "sign"), fields).status_code == 302
    with as_role("authority"):
        tasks.apply_changes()
    with as_role("web"):
        url = reverse("enrol", args=[Invitation.objects.get().pk])
        assert bob.get(url).status_code == 200
        make(bob, url)
        make(bob, url)
        assert finish(bob, url, codes).status_code == 302
        assert "being applied" in bob.get(url).content.decode()
    with as_role("authority"):
        tasks.apply_changes()
    with as_role("web"):
        assert "used up" in bob.get(url).content.decode()
        assert Passkey.objects.filter(person=cast.person("bob")).count() == 3


def test_the_web_process_applies_nothing_itself(cast, as_role):
    """Whoever has taken it over and signs nothing cannot write what a change says: the database refuses."""
    change = cast.proposed(CAROL_REVIEWS)
    for handle in ("dana", "erin"):
        cast.sign_change(change, handle)
    with as_role("web"), pytest.raises(DatabaseError, match="permission denied"):
        changes.apply(change.pk)
    connection.close()
    assert reviewable_by(cast.person("carol")) == set()
