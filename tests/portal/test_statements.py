"""Statements in the portal: the kill switch, and the closing of an outcome that is not known."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from approvals import statements
from approvals.models import Attempt, Execution, Look, Statement
from approvals.statements import Outcome
from tests.cast import seal, with_carol

SWITCH = "admin:approvals_statement_switch"


def signed(browser: Any, response: Any) -> Any:
    """The second POST, to where the ceremony's form is sent."""
    assert response.status_code == 200, response.content.decode()
    fields = {**browser.fields_of_ceremony(response), **browser.answer(response)}
    return browser.post(response.context["action"], fields)


@pytest.fixture
def cast(db: Any, tmp_path: Any, settings: Any) -> Any:
    """Bob and carol may both review."""
    return seal(tmp_path, settings, change=with_carol)


def test_an_administrator_pauses_with_one_signature_and_every_page_says_so(cast: Any, browser: Any) -> None:
    """The big button, the key: from then on everybody reads since when, by whom and why, on every page."""
    dana = browser("dana")
    page = dana.get(reverse(SWITCH)).content.decode()
    assert "Pause all executions" in page
    done = signed(dana, dana.post(reverse(SWITCH), {"verb": "pause", "reason": "the bill <b>explodes</b>"}))
    assert done.status_code == 302
    assert [one.state for one in Statement.objects.all()] == ["in force"]
    for handle, address in (("alice", "admin:index"), ("bob", "admin:approvals_approvalrequest_changelist")):
        said = browser(handle).get(reverse(address)).content.decode()
        assert "Executions are paused" in said
        assert "by dana: the bill &lt;b&gt;explodes&lt;/b&gt;" in said


def test_before_the_signature_nothing_is_paused(cast: Any, browser: Any) -> None:
    """The button alone opens a ceremony; no page says that executions are paused."""
    dana = browser("dana")
    dana.post(reverse(SWITCH), {"verb": "pause", "reason": "well"})
    assert statements.in_force() == []
    assert "Executions are paused" not in dana.get(reverse("admin:index")).content.decode()


def test_two_administrators_resume_by_the_same_statement(cast: Any, browser: Any) -> None:
    """The second who begins to resume is given the first one's statement, and finds it on his home page."""
    cast.paused("dana")
    dana, erin = browser("dana"), browser("erin")
    signed(dana, dana.post(reverse(SWITCH), {"verb": "resume", "reason": "it was nothing"}))
    assert "states that executions go on" in erin.get(reverse("admin:index")).content.decode()
    response = erin.post(reverse(SWITCH), {"verb": "resume", "reason": "for me too"})
    assert response.context["statement"].proposer.handle == "dana"
    assert signed(erin, response).status_code == 302
    statement = Statement.objects.get(kind="resume")
    assert {one.person.handle for one in statement.signatures.all()} == {"dana", "erin"}
    assert "acts on it within seconds" in erin.get(reverse("admin:index")).content.decode()


@pytest.mark.parametrize("handle", ["alice", "bob", "olivia"])
def test_others_see_the_switch_and_cannot_use_it(cast: Any, browser: Any, handle: str) -> None:
    """Whoever is no administrator reads how it stands; his form is refused, and nothing is written."""
    them = browser(handle)
    page = them.get(reverse(SWITCH))
    assert page.status_code == 200
    assert "Pause all executions" not in page.content.decode()
    assert them.post(reverse(SWITCH), {"verb": "pause", "reason": "mine"}).status_code == 403
    assert not Statement.objects.exists()


@pytest.fixture
def unknown(cast: Any) -> Execution:
    """An execution whose call was sent and never answered, written as its rows would be."""
    execution = cast.approved()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("execution", "attempt"):
            cursor.execute(f"ALTER TABLE approvals_{table} DISABLE TRIGGER USER")
    now = timezone.now() - timedelta(minutes=3)
    Attempt.objects.create(
        execution=execution, step=0, number=1, state="unknown", token=1, operation="dynamodb:DeleteTable", region="eu-west-1",
        access_key_id="ASIAUNKNOWN", sent_at=now, answered_at=now, error_code="Unknown", error_message="The line went dead.",
    )  # fmt: skip
    Execution.objects.filter(pk=execution.pk).update(state="unknown", token=1, outcome="It is not known.")
    Look.objects.create(
        execution=execution, source="target", times=4, first_at=now, looked_at=now, said="It decides nothing: still changing."
    )
    execution.refresh_from_db()
    return execution


def test_the_request_page_shows_what_is_known_of_an_unknown_outcome(unknown: Execution, browser: Any) -> None:
    """The call, its access key, its source identity, where it was looked and what that said; closing is for who may."""
    request = unknown.revision.request
    page = browser("bob").get(reverse("admin:approvals_approvalrequest_change", args=[request.pk])).content.decode()
    for said in ("The outcome is not known", "ASIAUNKNOWN", str(unknown.pk), "The line went dead.", "still changing", "4 looks"):
        assert said in page
    assert "Close with evidence" in page
    page = browser("alice").get(reverse("admin:approvals_approvalrequest_change", args=[request.pk])).content.decode()
    assert "Close with evidence" not in page
    assert "two others say how it went" in page


def test_two_persons_close_it_over_the_portal(cast: Any, unknown: Execution, browser: Any) -> None:
    """Bob attaches evidence and signs; carol finds it at home, reads evidence and digest, and signs the same."""
    request = unknown.revision.request
    bob, carol = browser("bob"), browser("carol")
    form = {"outcome": "had no effect", "evidence": "describe-table:\r\n<script>ACTIVE</script>", "reason": "I looked twice"}
    response = bob.post(bob.page("close", request), form)
    assert "describe-table" in response.content.decode()
    assert "<script>ACTIVE" not in response.content.decode()
    assert signed(bob, response).status_code == 302
    statement = Statement.objects.get()
    assert (statement.state, statements.read(statement).outcome) == ("open", Outcome.NO_EFFECT)
    assert statement.reference in carol.get(reverse("admin:index")).content.decode()
    address = reverse("admin:approvals_statement_sign", args=[statement.pk])
    page = carol.get(address).content.decode()
    assert statement.digest in page
    assert "I looked twice" in page
    begun = carol.post(address, {"step": "begin", "digest": statement.digest, "verdict": "approve", "reason": ""})
    assert signed(carol, begun).status_code == 302
    assert len(statements.counted_signers(statement)) == 2


def test_what_was_typed_stays_when_it_is_refused(unknown: Execution, browser: Any) -> None:
    """A closing without evidence comes back with the reason and what was typed."""
    bob = browser("bob")
    response = bob.post(
        bob.page("close", unknown.revision.request), {"outcome": "succeeded", "evidence": " ", "reason": "so it was"}
    )
    assert response.status_code == 400
    assert "Attach the evidence" in response.content.decode()
    assert "so it was" in response.content.decode()
    assert not Statement.objects.exists()


def test_a_requester_closes_nothing_over_the_portal(unknown: Execution, browser: Any) -> None:
    """Alice is refused, form or not, and so is everybody else without the right."""
    for handle in ("alice", "dana"):
        them = browser(handle)
        form = {"outcome": "succeeded", "evidence": "I saw it", "reason": "so it was"}
        assert them.get(them.page("close", unknown.revision.request)).status_code == 403
        assert them.post(them.page("close", unknown.revision.request), form).status_code == 403
    assert not Statement.objects.exists()


def test_a_signature_of_another_ceremony_is_no_statement(cast: Any, browser: Any) -> None:
    """An assertion over a decision's domain is refused for a statement of the same digest: none is taken for the other."""
    dana = browser("dana")
    response = dana.post(reverse(SWITCH), {"verb": "pause", "reason": "well"})
    from dataclasses import replace

    from fido2.utils import websafe_decode

    from approvals import signatures

    opened = response.context["ceremony"]
    asked = signatures.challenge(opened.digest, opened.verdict, bytes(websafe_decode(opened.nonce)))
    made = cast.assertion("dana", replace(opened, challenge=signatures.websafe(asked)))
    fields = dana.fields_of_ceremony(response)
    parts = {name: getattr(made, name) for name in ("credential_id", "client_data", "authenticator_data", "signature")}
    assert dana.post(response.context["action"], {**fields, **parts}).status_code == 400
    assert statements.in_force() == []
