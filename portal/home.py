"""The home page: what waits for me, what runs, what went wrong."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils import timezone

from approvals.models import Alert, ApprovalRequest, AuthorityChange, Execution, Invitation, Person, Statement
from portal import software_authenticator
from portal.listing import Line, line_of
from portal.viewer import Viewer, for_listing

MOST = 20
# One to sign with, and one for the day on which it is lost.
ENOUGH_PASSKEYS = 2


@dataclass(frozen=True, slots=True)
class Home:
    """The lists of the home page, each of at most `MOST`."""

    drafts: list[Line]
    to_review: list[Line]
    to_stop: list[Line]
    to_adopt: list[Line]
    glass: list[Alert]
    mine_under_way: list[Line]
    running: list[Execution]
    lately: list[Line]
    alerts: list[Alert]
    shows_alerts: bool
    changes: list[AuthorityChange]
    shows_changes: bool
    statements: list[Statement]
    passkeys: int
    asks_for_passkeys: bool
    invitation: Invitation | None


def home_of(viewer: Viewer) -> Home:
    """Everything that the home page of this person shows, in a constant number of queries."""
    drafts = viewer.my_requests().filter(state="draft")
    under_way = viewer.my_requests().filter(state="pending")
    lately = viewer.requests().exclude(state__in=["draft", "pending"])
    running = viewer.running().select_related("revision__request__account")
    passkeys = viewer.person.passkeys.count()
    alerts = Alert.objects.filter(closed_at=None) if viewer.sees_everything else Alert.objects.none()
    return Home(
        drafts=_lines(drafts),
        to_review=_lines(viewer.waiting_for_review()),
        to_stop=_lines(viewer.may_stop()),
        to_adopt=_lines(viewer.waiting_to_be_adopted(), 5),
        glass=list(viewer.glass_to_review()[:MOST]),
        mine_under_way=_lines(under_way),
        running=list(running[:MOST]),
        lately=_lines(lately, 5),
        alerts=list(alerts[:MOST]),
        shows_alerts=viewer.sees_everything,
        changes=list(viewer.changes_to_sign().select_related("proposer")[:MOST]),
        shows_changes=viewer.person.is_administrator,
        statements=list(viewer.statements_to_sign().select_related("proposer")[:MOST]),
        passkeys=passkeys,
        asks_for_passkeys=_asks_for_passkeys(viewer.person, passkeys),
        invitation=Invitation.objects.filter(person=viewer.person, until__gt=timezone.now()).first(),
    )


def _asks_for_passkeys(person: Person, passkeys: int) -> bool:
    """Whether somebody who signs has fewer than two keys. The demo's software authenticator cannot be lost."""
    return person.is_human and passkeys < ENOUGH_PASSKEYS and not software_authenticator.available_for(person.handle)


def _lines(requests: QuerySet[ApprovalRequest], most: int = MOST) -> list[Line]:
    return [line_of(request) for request in for_listing(requests)[:most]]
