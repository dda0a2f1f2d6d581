"""Many hands at once, with real threads on a real PostgreSQL: one effect, whatever the interleaving."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from approvals import audit, decisions
from approvals.errors import CountersignError
from approvals.models import (
    ApprovalRequest,
    Execution,
    GuardrailUserPermission,
    OutboxMessage,
    Review,
    Signature,
    SignatureChallenge,
)
from approvals.states import Verdict
from tests.cast import seal, with_a_bot, with_carol


def at_once(*calls: Callable[[], Any]) -> Counter[str]:
    """Run the calls in threads that start together; count what each came to: `done`, or the name of its refusal."""
    barrier = threading.Barrier(len(calls))
    came_to: list[str] = []

    def run(call: Callable[[], Any]) -> None:
        try:
            barrier.wait()
            call()
            came_to.append("done")
        except CountersignError as refusal:
            came_to.append(type(refusal).__name__)
        except Exception as error:  # noqa: BLE001 - anything else must fail the test, not vanish with its thread
            came_to.append(f"{type(error).__name__}: {error}")
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(came_to)


def reviewing(cast, request, handle, verdict, ceremony=None, assertion=None) -> Callable[[], Any]:
    person = cast.person(handle)
    ceremony = ceremony or decisions.begin(request.pk, person, verdict)
    assertion = assertion or cast.assertion(handle, ceremony)
    return lambda: decisions.review(
        request.pk, person, digest=ceremony.digest, verdict=verdict, nonce=ceremony.nonce, assertion=assertion, reason="at once"
    )


def grant(cast, *handles):
    known = GuardrailUserPermission.objects.get()
    for handle in handles:
        GuardrailUserPermission.objects.create(
            user=cast.person(handle).logins.get().user, permission=known.permission, content_object=known.content_object
        )


@pytest.mark.security_row(15)
def test_one_assertion_in_sixteen_threads_counts_once(cloned_database, cast):
    """A captured signature, posted sixteen times at once, is one review."""
    request = cast.pending()
    ceremony = decisions.begin(request.pk, cast.person("bob"), Verdict.APPROVE)
    assertion = cast.assertion("bob", ceremony)
    calls = [reviewing(cast, request, "bob", Verdict.APPROVE, ceremony, assertion) for _ in range(16)]
    assert at_once(*calls) == {"done": 1, "BadSignature": 15}
    assert Review.objects.count() == 1


@pytest.mark.security_row(11)
def test_fifty_threads_on_one_request_make_one_execution(cloned_database, cast):
    """One approver with fifty ceremonies open: one review, one execution, one promise to carry it out."""
    request = cast.pending()
    results = at_once(*(reviewing(cast, request, "bob", Verdict.APPROVE) for _ in range(50)))
    assert results["done"] == 1
    assert set(results) <= {"done", "AlreadyReviewed", "WrongState"}
    assert Execution.objects.count() == 1
    assert OutboxMessage.objects.filter(kind="execute").count() == 1
    assert audit.verify().holds


@pytest.mark.parametrize("round_", range(8))
def test_an_approval_and_a_denial_at_once_end_in_a_denial(cloned_database, cast, round_):
    """Deny beats approve in every order of arrival."""
    grant(cast, "carol")
    request = cast.pending()
    results = at_once(
        reviewing(cast, request, "bob", Verdict.APPROVE), reviewing(cast, request, "carol", Verdict.DENY)
    )  # fmt: skip
    assert results["done"] >= 1
    assert ApprovalRequest.objects.get().state == "denied"


@pytest.mark.parametrize("round_", range(6))
def test_an_edit_and_an_approval_at_once_never_approve_what_was_not_signed(cloned_database, cast, round_):
    """Either the approval came first and the edit is refused, or the edit came first and the signature is stale."""
    request, alice = cast.pending(), cast.person("alice")
    results = at_once(
        reviewing(cast, request, "bob", Verdict.APPROVE),
        lambda: decisions.complete(request.pk, alice, parameters={"TableName": "prod-customers"}, number=1),
    )
    request.refresh_from_db()
    if request.state == "approved":
        assert request.revision_number == 1
        assert results == {"done": 1, "WrongState": 1}
    else:
        assert (request.state, request.revision_number) == ("draft", 2)
        assert not Execution.objects.exists()


@pytest.mark.parametrize("round_", range(6))
def test_a_return_and_an_approval_at_once_never_leave_a_draft_that_runs(cloned_database, tmp_path, settings, round_):
    """Whichever came first, it is a draft again whose newest revision nobody has signed."""
    cast = seal(tmp_path, settings, change=with_carol)
    request, carol = cast.pending(), cast.person("carol")
    at_once(reviewing(cast, request, "bob", Verdict.APPROVE), lambda: decisions.send_back(request.pk, carol, message="at once"))
    request.refresh_from_db()
    assert (request.state, request.revision_number) == ("draft", 2)
    assert not Execution.objects.filter(revision__number=2).exists()
    assert not request.current_revision().signatures.exists()


def test_a_draft_is_adopted_by_one_of_many(cloned_database, tmp_path, settings):
    """Everybody presses at once: one person stands behind it, and the others are told who."""
    cast = seal(tmp_path, settings, change=with_a_bot)
    request = cast.denied_event(user="stranger")
    people = [cast.person(handle) for handle in ("alice", "bob", "carol", "dana", "erin")]
    results = at_once(*(lambda person=person: decisions.adopt(request.pk, person) for person in people))
    assert results == {"done": 1, "WrongState": 4}


@pytest.mark.parametrize("round_", range(4))
def test_a_confirmation_and_two_approvals_of_what_nobody_confirmed_make_one_execution(
    cloned_database, tmp_path, settings, round_
):
    """Three signatures at once, any two of which are enough: one execution, whatever the order."""
    cast = seal(tmp_path, settings, change=with_carol, unconfirmed=True)
    request, alice = cast.denied_event(), cast.person("alice")
    ceremony = decisions.begin(request.pk, alice, Verdict.CONFIRM)
    signed: dict[str, Any] = {"digest": ceremony.digest, "nonce": ceremony.nonce}
    signed["assertion"] = cast.assertion("alice", ceremony)
    at_once(
        reviewing(cast, request, "bob", Verdict.APPROVE),
        reviewing(cast, request, "carol", Verdict.APPROVE),
        lambda: decisions.confirm(request.pk, alice, reason="it is empty", **signed),
    )
    request.refresh_from_db()
    assert (request.state, Execution.objects.count()) == ("approved", 1)
    assert request.current_revision().signatures.count() >= 2


@pytest.mark.parametrize("round_", range(6))
def test_a_withdrawal_and_an_approval_at_once_end_withdrawn(cloned_database, cast, round_):
    """Withdrawal beats approve in every order of arrival."""
    request, alice = cast.pending(), cast.person("alice")
    at_once(reviewing(cast, request, "bob", Verdict.APPROVE), lambda: decisions.withdraw(request.pk, alice))
    assert ApprovalRequest.objects.get().state == "withdrawn"


def test_a_right_taken_away_while_it_is_used_never_counts_afterwards(cloned_database, cast):
    """I11: whichever came first, an approval that stands was given while the right was held."""
    request = cast.pending()
    review = reviewing(cast, request, "bob", Verdict.APPROVE)
    results = at_once(review, lambda: GuardrailUserPermission.objects.all().delete())
    request.refresh_from_db()
    if request.state == "approved":
        assert results["done"] == 2
    else:
        assert not Execution.objects.exists()


def test_a_double_click_on_confirm_signs_once(cloned_database, cast):
    """Two confirmations of one draft: one signature, one round of notifications."""
    request, alice = cast.filed(), cast.person("alice")

    def confirming():
        ceremony = decisions.begin(request.pk, alice, Verdict.CONFIRM)
        assertion = cast.assertion("alice", ceremony)
        return lambda: decisions.confirm(
            request.pk, alice, digest=ceremony.digest, nonce=ceremony.nonce, assertion=assertion, reason="twice"
        )

    results = at_once(*(confirming() for _ in range(8)))
    assert results["done"] == 1
    assert Signature.objects.count() == 1
    assert OutboxMessage.objects.filter(topic="request.pending").count() == 1
    assert SignatureChallenge.objects.filter(consumed_at=None).count() == 0
