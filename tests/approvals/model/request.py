"""The request's half of the model: its states and revision, signatures, ceremonies, rights and clocks.

A `Request` is a value; each verb is a function of the request and the guards that yields what it may become. The moves between
states are the product's own table (`approvals.states`), the verdict its own `approvals.policies.resolve`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from approvals.policies import Outcome
from approvals.states import REQUEST_MOVES, RequestState
from tests.approvals.model import verdicts
from tests.approvals.model.guards import (
    ADOPT,
    APPROVE,
    APPROVED,
    CONFIRM,
    DRAFT,
    EDIT,
    GLASS,
    PENDING,
    RETURN,
    SIGN,
    STOP,
    Guards,
)
from tests.approvals.model.people import APPROVERS, AT, BOTS, EDITORS, LOGINS, OWNERS, RIGHTS

NOBODY: Final = ("",) * len(LOGINS)


class Request(NamedTuple):
    """One request as its rows say it, and what really happened beside them.

    `votes` by login: "" none, "a" approve, "aa" approve twice, "d" deny, "s" an approval that was signed over another revision.
    `ceremonies` by login: "" none, "o" opened on the current revision, "x" on an earlier one. `confirmed` is who confirmed, with
    "!" behind it when that was another revision. `unconfirmed`: approvers may decide it as recorded. `glass`: its requester
    broke the glass. `no` is what somebody or a clock said against it and was told "done".
    """

    state: RequestState
    revision: int
    source: str
    requester: str
    authors: frozenset[str]
    unconfirmed: bool = False
    confirmed: str = ""
    votes: tuple[str, ...] = NOBODY
    ceremonies: tuple[str, ...] = NOBODY
    rights: frozenset[str] = RIGHTS
    owners: frozenset[str] = OWNERS
    active: frozenset[str] = frozenset(LOGINS)
    late: bool = False
    hold: bool = False
    glass: bool = False
    no: str = ""


@dataclass(frozen=True)
class Rule:
    """What the guardrail of the model asks for. `owners`: how many approvers of that group."""

    approvals: int = 1
    owners: int = 0
    hold: bool = False
    unconfirmed: bool = False
    break_glass: bool = False


@dataclass(frozen=True)
class Scope:
    """What a search looks at: how the request begins, the rule, who does what, and how many revisions and claims there may be."""

    name: str
    rule: Rule = Rule()
    begins: tuple[tuple[str, str], ...] = (("filed", "alice"),)  # (source, requester)
    revisions: int = 2
    claims: int = 2
    reviewers: tuple[str, ...] = LOGINS
    signing: tuple[str, ...] = APPROVERS  # whose ceremonies are opened and answered in two moves
    losing_rights: tuple[str, ...] = APPROVERS
    leaving_owners: tuple[str, ...] = ()
    switched_off: tuple[str, ...] = ("alice", "bob")
    editing: tuple[str, ...] = EDITORS
    denials: bool = True
    sending_back: bool = True
    ending: bool = True  # withdrawn, disowned, stopped, expired
    clocks: bool = True
    outside: bool = True  # each attempt is claimed outside the database too, as the product does
    restores: bool = False


class Move(NamedTuple):
    """What a verb makes of a request. `execution`: "" as it was, "ready" made, "gone" with the revision that it was for."""

    label: str
    request: Request
    execution: str = ""
    locks: bool = True


def beginnings(scope: Scope) -> list[Request]:
    """The requests that a search starts from: drafts, and what may be decided although nobody confirms it, which is pending."""
    return [begun(source, requester, scope.rule) for source, requester in scope.begins]


def begun(source: str, requester: str, rule: Rule) -> Request:
    """What was filed, or a denied call by somebody (a human, a bot, "" for nobody known)."""
    authors = frozenset({requester}) if source == "filed" else frozenset()
    unconfirmed = rule.unconfirmed and source == "event" and bool(requester) and requester not in BOTS
    return Request(PENDING if unconfirmed else DRAFT, 1, source, requester, authors, unconfirmed)


def moves(scope: Scope, guards: Guards, request: Request, *, claimed: bool) -> Iterator[Move]:
    """Everything that a person, a clock or the sweep can do to the request."""
    for move in _moves(scope, guards, request, claimed):
        # The database's trigger knows the same table as the product: what it lacks cannot happen at all.
        if move.request.state is request.state or move.request.state in REQUEST_MOVES[request.state]:
            yield move


def _moves(scope: Scope, guards: Guards, request: Request, claimed: bool) -> Iterator[Move]:
    yield from _asking(scope, guards, request)
    if scope.ending:
        yield from _ending(guards, request, claimed)
    for login in scope.reviewers:
        yield from _reviewing(scope, guards, request, login, claimed)
    yield from _without_lock(scope, request)


# --- asked for, edited, adopted, confirmed ---


def next_revision(request: Request, guards: Guards, author: str = "") -> Request:
    """A draft of the next revision: reviews are void, ceremonies opened before are about something else."""
    voided = guards["editing_voids_reviews"]()
    return request._replace(
        state=DRAFT,
        revision=request.revision + 1,
        authors=request.authors | {author} - {""},
        unconfirmed=False,
        confirmed="" if voided else request.confirmed.rstrip("!") + "!" * bool(request.confirmed),
        votes=NOBODY if voided else tuple({"a": "s", "aa": "s"}.get(vote, vote) for vote in request.votes),
        ceremonies=tuple("x" if one else "" for one in request.ceremonies),
        late=False,
        hold=False,
        glass=False,
        no="",
    )


def _asking(scope: Scope, guards: Guards, request: Request) -> Iterator[Move]:
    if request.revision < scope.revisions:
        for editor in scope.editing:
            if not guards.refused(EDIT, request, guards.who(request, editor)):
                yield _edited(guards, request, editor)
    if not guards.refused(ADOPT, request, guards.who(request, "erin")):
        yield Move("erin adopts the draft", adopted(request, "erin"))
    who = request.requester
    if who and not guards.refused(CONFIRM, request, guards.who(request, who)):
        yield confirmed(scope.rule, guards, request)
        if not guards.refused(GLASS, request, scope.rule):
            yield glass_broken(request)


def adopted(request: Request, login: str) -> Request:
    """Somebody is its requester from now on."""
    return request._replace(requester=login)


def confirmed(rule: Rule, guards: Guards, request: Request) -> Move:
    """The requester signs: pending; and of what was pending unconfirmed somebody may have approved enough already."""
    signed = request._replace(confirmed=request.requester)
    label = f"{request.requester} confirms"
    if request.state is PENDING:
        return _settled(rule, guards, signed, label)
    return Move(label, signed._replace(state=PENDING, late=False))


def glass_broken(request: Request) -> Move:
    """Approved by its requester's one signature, and due at once."""
    broken = request._replace(state=APPROVED, glass=True, late=False)
    return Move(f"{request.requester} breaks the glass", broken, "ready")


def _edited(guards: Guards, request: Request, editor: str) -> Move:
    edited = next_revision(request, guards, editor)
    if request.state is APPROVED:
        # Only without its guard: the plan is changed under an approval that stands.
        return Move(f"{editor} edits what is approved", edited._replace(state=APPROVED))
    return Move(f"{editor} edits the plan", edited, "gone")


# --- ended ---


def _ending(guards: Guards, request: Request, claimed: bool) -> Iterator[Move]:
    by_anybody = guards.who(request, request.requester, claimed=claimed)
    settled = request.state not in (DRAFT, PENDING, APPROVED) or guards.refused("claimed_is_settled", request, by_anybody)
    if settled:
        return
    if request.requester and request.requester in request.active:
        yield Move(f"{request.requester} withdraws", request._replace(state=RequestState.WITHDRAWN, no="withdrawn"))
        if request.source == "event":
            yield Move(f"{request.requester} disowns", request._replace(state=RequestState.DISOWNED, no="disowned"))
    if request.late:
        yield Move("the sweep expires it", request._replace(state=RequestState.EXPIRED, no="expired"))
    for login in dict.fromkeys((request.requester, *APPROVERS)):
        if login and not request.no and not guards.refused(STOP, request, guards.who(request, login, claimed=claimed)):
            stopped = RequestState.DENIED if guards["a_stop_ends_it"]() else APPROVED
            yield Move(f"{login} stops it", request._replace(state=stopped, no="stopped"))


# --- reviewed ---


def _reviewing(scope: Scope, guards: Guards, request: Request, login: str, claimed: bool) -> Iterator[Move]:
    who = guards.who(request, login, claimed=claimed)
    if guards.refused(RETURN, request, who):
        return
    if scope.sending_back and login in APPROVERS and request.revision < scope.revisions:
        yield Move(f"{login} sends it back", next_revision(request, guards), "gone")
    if guards.refused("one_review_a_person", request, who):
        return
    at = AT[login]
    ceremony = request.ceremonies[at]
    if login in scope.signing and ceremony != "o" and request.state is PENDING:
        yield Move(f"{login} opens a ceremony", request._replace(ceremonies=_with(request.ceremonies, at, "o")))
    if guards.refused(SIGN, request, who):
        return
    if scope.denials and login in APPROVERS:
        yield denied(guards, request, login)
    answering = ceremony if login in scope.signing else "o"
    if answering and not guards.refused(APPROVE, request, answering):
        yield approved(scope.rule, guards, request, login, answering)


def denied(guards: Guards, request: Request, login: str) -> Move:
    """A signed denial: final."""
    said = request._replace(votes=_with(request.votes, AT[login], "d"), no="denied")
    final = request.state is PENDING or guards["a_denial_ends_what_is_approved"]()
    return Move(f"{login} denies", said._replace(state=RequestState.DENIED) if final else said)


def approved(rule: Rule, guards: Guards, request: Request, login: str, ceremony: str = "o") -> Move:
    """A signed approval, and what it adds up to with the others."""
    at = AT[login]
    # What was signed over an earlier revision stays that, whatever the portal makes of it.
    vote = "s" if ceremony == "x" else {"a": "aa", "aa": "aa"}.get(request.votes[at], "a")
    signed = request._replace(votes=_with(request.votes, at, vote), ceremonies=_with(request.ceremonies, at, ""))
    return _settled(rule, guards, signed, f"{login} approves" + (" by an old ceremony" if ceremony == "x" else ""))


def _settled(rule: Rule, guards: Guards, request: Request, label: str) -> Move:
    found = verdicts.outcome(guards, request, rule, request.rights, request.owners, request.active)
    if request.state is PENDING and found is Outcome.APPROVED:
        no = "expired" if request.late else request.no
        return Move(f"{label}: approved", request._replace(state=APPROVED, late=False, hold=rule.hold, no=no), "ready")
    return Move(label, request)


# --- what asks nobody and takes no lock: rights, persons, time ---


def _without_lock(scope: Scope, request: Request) -> Iterator[Move]:
    for login in scope.losing_rights:
        what = "loses" if login in request.rights else "gets back"
        yield Move(f"{login} {what} the right", request._replace(rights=request.rights ^ {login}), locks=False)
    for login in scope.leaving_owners:
        what = "leaves" if login in request.owners else "joins"
        yield Move(f"{login} {what} the owners", request._replace(owners=request.owners ^ {login}), locks=False)
    for login in scope.switched_off:
        what = "off" if login in request.active else "on again"
        yield Move(f"{login} is switched {what}", request._replace(active=request.active ^ {login}), locks=False)
    if request.hold:
        yield Move("the hold ends", request._replace(hold=False), locks=False)
    elif scope.clocks and not request.late and request.state in (DRAFT, PENDING, APPROVED):
        yield Move(f"the clock of what is {request.state} runs out", request._replace(late=True), locks=False)


def _with(row: tuple[str, ...], at: int, value: str) -> tuple[str, ...]:
    return (*row[:at], value, *row[at + 1 :])
