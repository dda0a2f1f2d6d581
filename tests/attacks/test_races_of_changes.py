"""Real threads around the moment at which a change of authority is applied: a no is heard, or it came too late."""

from __future__ import annotations

from typing import Any

import pytest

from approvals import authority, changes
from approvals.models import Alert, AuthorityChange, AuthorityLink, Invitation
from approvals.states import Verdict
from tests.approvals.test_races import at_once
from tests.attacks.test_one_administrator import INVITE, made_by_carol
from tests.cast import Cast

AUDITOR = {"edit": "set_person", "person": "carol"}
TOO_LATE = {"WrongState", "StaleChange"}


@pytest.fixture
def world(cloned_database: str, cast: Cast) -> Cast:
    """The cast in a database of its own, which threads may share."""
    return cast


def signed(cast: Cast, *edits: dict[str, Any]) -> AuthorityChange:
    change = cast.proposed(*edits)
    for handle in ("dana", "erin"):
        cast.sign_change(change, handle)
    return change


def state_of(change: AuthorityChange) -> str:
    return AuthorityChange.objects.get(pk=change.pk).state


def test_a_denial_is_heard_or_came_too_late(world: Cast) -> None:
    """Frank denies while two workers apply: never both, and the chain holds."""
    for turn in range(6):
        change = signed(world, {**AUDITOR, "auditor": turn % 2 == 0})
        frank, opened = world.person("frank"), changes.begin(change.pk, world.person("frank"), Verdict.DENY)
        made, links = world.assertion("frank", opened), AuthorityLink.objects.count()
        came_to = at_once(
            lambda: changes.sign(
                change.pk,  # noqa: B023 - the threads end within the turn
                frank,  # noqa: B023
                digest=opened.digest,  # noqa: B023
                verdict=Verdict.DENY,
                nonce=opened.nonce,  # noqa: B023
                assertion=made,  # noqa: B023
                reason="no",
            ),
            lambda: changes.apply(change.pk),  # noqa: B023
            lambda: changes.apply(change.pk),  # noqa: B023
        )
        applied = AuthorityLink.objects.count() - links
        assert set(came_to) <= {"done", *TOO_LATE}
        assert (state_of(change), applied, came_to["done"]) in {("denied", 0, 3), ("applied", 1, 2)}
        if state_of(change) == "denied":
            world.changed({**AUDITOR, "auditor": turn % 2 == 0})
    authority.walk(world.genesis)
    assert not Alert.objects.exists()


def test_a_withdrawal_too(world: Cast) -> None:
    """Its proposer takes it back while it is applied."""
    for turn in range(6):
        change, links = signed(world, {**AUDITOR, "name": f"Carol {turn}"}), AuthorityLink.objects.count()
        at_once(
            lambda: changes.apply(change.pk),  # noqa: B023
            lambda: changes.withdraw(change.pk, world.person("dana")),  # noqa: B023
            changes.expire,
        )
        assert (state_of(change), AuthorityLink.objects.count() - links) in {("withdrawn", 0), ("applied", 1)}
    assert not Alert.objects.exists()


def test_an_enrolment_link_that_is_taken_back_opens_nothing_afterwards(world: Cast) -> None:
    """Carol registers while two administrators take her link back, and while it is registered twice: one or the other, once."""
    for _ in range(3):
        change = world.proposed(INVITE)
        given = [world.sign_change(change, handle) for handle in ("dana", "erin")]
        assert changes.apply(change.pk)
        invitation, carol = Invitation.objects.get(), world.person("carol")
        had = carol.passkeys.count()
        sent = [changes.enrol(invitation.pk, carol, given=given, registrations=made_by_carol(world, invitation)) for _ in "ab"]
        back = signed(world, {"edit": "uninvite", "person": "carol"})
        at_once(*(lambda one=one: changes.apply(one.pk) for one in (*sent, back)))
        states = ", ".join(sorted(state_of(one) for one in sent))
        assert (carol.passkeys.count() - had, states, state_of(back)) in {
            (1, "applied, expired", "stale"),
            (0, "expired, expired", "applied"),
        }
        assert not Invitation.objects.exists()
    authority.walk(world.genesis)
    assert not Alert.objects.exists()
