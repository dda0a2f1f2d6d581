"""What nobody confirmed: decided by two approvers at least, where every guardrail lets it be."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from approvals import authority, clearance, decisions, notifications
from approvals.clearance import Forged
from approvals.errors import OwnRequest, Refused, WrongState
from approvals.models import ApprovalRequest, Execution, OutboxMessage
from approvals.states import Verdict
from tests.approvals.test_clearance import as_the_owner, clear
from tests.cast import seal, with_a_bot


@pytest.fixture
def world(db, tmp_path, settings):
    """Seal a world under these rules, with bob and carol as reviewers and a bot."""
    return lambda **rules: seal(tmp_path, settings, change=with_a_bot, **{"unconfirmed": True, **rules})


def test_two_approvers_decide_what_its_caller_did_not_confirm(world):
    """It is pending at once; one approval is not enough, two are, and the executor finds the same."""
    cast = world()
    request = cast.denied_event()
    assert (request.state, request.unconfirmed, request.requester.handle) == ("pending", True, "alice")
    cast.sign_review(request, "bob")
    request.refresh_from_db()
    assert request.state == "pending"
    cast.sign_review(request, "carol")
    request.refresh_from_db()
    assert request.state == "approved"
    assert clear(cast, Execution.objects.get()) == request.current_revision().plan


def test_approvers_and_caller_are_told_that_nobody_confirmed_it(world):
    """alice can still confirm or disown; the approvers read that they are two at least."""
    cast = world()
    cast.denied_event()
    by_topic = {m.topic: notifications.compose(m) for m in OutboxMessage.objects.filter(kind="notify").order_by("-id")}
    assert by_topic[notifications.DRAFTED].to == ("alice",)
    assert "not you" in by_topic[notifications.DRAFTED].body
    assert by_topic[notifications.PENDING].to == ("bob", "carol")
    assert "two approvers" in by_topic[notifications.PENDING].body


def test_the_caller_never_counts_among_the_approvers(world):
    """Whoever made the denied call is barred, with a right on the guardrail or without."""
    cast = world()
    request = cast.denied_event(user="bob")
    with pytest.raises(OwnRequest):
        decisions.begin(request.pk, cast.person("bob"), Verdict.APPROVE)


def test_the_caller_may_still_confirm_and_then_one_approval_is_enough(world):
    """In either order: before the approval, or after it."""
    cast = world()
    first, second = cast.denied_event(), cast.denied_event(table="prod-customers")
    cast.sign_confirm(first)
    cast.sign_review(first, "bob")
    cast.sign_review(second, "bob")
    cast.sign_confirm(second)
    for request in (first, second):
        request.refresh_from_db()
        assert request.state == "approved", request.target
        clear(cast, Execution.objects.get(revision__request=request))


def test_nobody_confirms_twice(world):
    """One confirmation of one plan."""
    cast = world()
    request = cast.sign_confirm(cast.denied_event())
    with pytest.raises(WrongState, match="confirmed this plan already"):
        decisions.begin(request.pk, cast.person("alice"), Verdict.CONFIRM)


def test_this_was_not_me_ends_it_at_once(world):
    """Disowned beats every approval, until it is claimed."""
    cast = world()
    request = cast.denied_event()
    cast.sign_review(request, "bob")
    cast.sign_review(request, "carol")
    decisions.disown(request.pk, cast.person("alice"))
    with pytest.raises(WrongState):
        clear(cast, Execution.objects.get())


@pytest.mark.parametrize(
    ("rules", "event"),
    [
        ({"unconfirmed": False}, {}),
        ({"ticket": "OPS-#"}, {}),
        ({}, {"operation": "UpdateTable"}),
        ({}, {"user": "stranger"}),
        ({}, {"user": "deployer"}),
    ],
    ids=["not-allowed", "a-ticket-is-asked-for", "not-whole", "unmapped", "a-bot"],
)
def test_anything_else_stays_a_draft_that_waits_for_a_person(world, rules, event):
    """Silence confirms only what is whole, of a known human, where the guardrail says so."""
    cast = world(**rules)
    request = cast.denied_event(**event)
    assert (request.state, request.unconfirmed) == ("draft", False)


def test_a_caller_who_was_switched_off_leaves_nothing_to_decide(world):
    """Before the event it stays a draft; after it an approval is refused; after the approvals the claim is."""
    cast = world()
    requests = [cast.denied_event(), cast.denied_event(table="prod-customers")]
    for handle in ("bob", "carol"):
        cast.sign_review(requests[1], handle)
    user = cast.person("alice").logins.get().user
    user.is_active = False
    user.save()
    assert cast.denied_event(table="prod-late").state == "draft"
    with pytest.raises(Refused, match="switched off"):
        cast.sign_review(requests[0], "bob")
    # A login alone was switched off, so the chain of authority is as it was signed.
    walked = authority.walk(cast.genesis)
    with pytest.raises(Refused, match="no active one"):
        clearance.clear(Execution.objects.get(), walked, decisions.relying_party(), now=timezone.now())


def test_a_confirmation_of_somebody_switched_off_is_no_silence(world):
    """Who signed as requester and was switched off since is not replaced by the approvers: neither here nor at the claim."""
    cast = world(approvals=2)
    request = cast.pending()
    for handle in ("bob", "carol"):
        cast.sign_review(request, handle)
    revision = request.current_revision()
    assert decisions.resolution_of(revision).outcome == "approved"
    user = cast.person("alice").logins.get().user
    user.is_active = False
    user.save()
    assert decisions.resolution_of(revision).outcome == "open"
    walked = authority.walk(cast.genesis)
    with pytest.raises(Refused, match="does not stand behind it"):
        clearance.clear(Execution.objects.get(), walked, decisions.relying_party(), now=timezone.now())


def test_an_edit_or_a_return_makes_it_an_ordinary_draft(world):
    """What was recorded may be decided unconfirmed; what somebody entered is signed by who entered it."""
    cast = world()
    edited, returned = cast.denied_event(), cast.denied_event(table="prod-customers")
    decisions.complete(edited.pk, cast.person("alice"), parameters={"TableName": "prod-orders"}, number=1)
    decisions.send_back(returned.pk, cast.person("bob"), message="what for?")
    for request in (edited, returned):
        request.refresh_from_db()
        assert (request.state, request.unconfirmed) == ("draft", False)


def test_the_mark_is_fixed_at_the_draft(world):
    """Nobody lets approvers go ahead afterwards, whatever he may write; and an approval needs every guardrail's word."""
    cast = world(unconfirmed=False)
    draft = cast.denied_event()
    with pytest.raises(IntegrityError, match="fixed at the draft"), transaction.atomic():
        ApprovalRequest.objects.filter(pk=draft.pk).update(unconfirmed=True, state="pending", version=2)
    as_the_owner(f"UPDATE approvals_approvalrequest SET unconfirmed = true, state = 'pending' WHERE id = '{draft.pk}'")
    cast.sign_review(draft, "bob")
    cast.sign_review(draft, "carol")
    draft.refresh_from_db()
    assert draft.state == "pending"
    with pytest.raises(IntegrityError, match="every guardrail allows it"), transaction.atomic():
        ApprovalRequest.objects.filter(pk=draft.pk).update(state="approved", version=draft.version + 1)


def test_two_approvals_of_what_must_be_confirmed_are_refused_at_the_claim(world):
    """With every trigger off: the rules that were signed say that a requester signs."""
    cast = world(unconfirmed=False)
    draft = cast.denied_event()
    as_the_owner(f"UPDATE approvals_approvalrequest SET unconfirmed = true, state = 'pending' WHERE id = '{draft.pk}'")
    cast.sign_review(draft, "bob")
    cast.sign_review(draft, "carol")
    revision = draft.current_revision()
    as_the_owner(
        "UPDATE approvals_approvalrequest SET state = 'approved', approved_until = now() + interval '1 hour' "
        f"WHERE id = '{draft.pk}'",
        "INSERT INTO approvals_execution (id, revision_id, state, token, worker, not_before, valid_until, created_at, outcome) "
        f"VALUES (gen_random_uuid(), {revision.pk}, 'ready', 0, '', now(), now() + interval '1 hour', now(), '')",
    )
    with pytest.raises(Refused, match="no longer suffice"):
        clear(cast, Execution.objects.get())


def test_one_approval_alone_is_never_enough_whatever_the_rows_say(world):
    """The least is two persons, with the guardrail's leave to decide unconfirmed or without."""
    cast = world()
    request = cast.denied_event()
    cast.sign_review(request, "bob")
    revision = request.current_revision()
    as_the_owner(
        f"UPDATE approvals_approvalrequest SET state = 'approved', approved_until = now() + interval '1 hour' "
        f"WHERE id = '{request.pk}'",
        "INSERT INTO approvals_execution (id, revision_id, state, token, worker, not_before, valid_until, created_at, outcome) "
        f"VALUES (gen_random_uuid(), {revision.pk}, 'ready', 0, '', now(), now() + interval '1 hour', now(), '')",
    )
    with pytest.raises(Forged, match="fewer than two persons"):
        clear(cast, Execution.objects.get())
