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
from tests.approvals.model.guards import ADOPT, APPROVE, APPROVED, CONFIRM, DRAFT, EDIT, PENDING, REVIEW, SIGN, Guards
from tests.approvals.model.people import APPROVERS, AT, EDITORS, LOGINS, RIGHTS

NOBODY: Final = ("",) * len(LOGINS)


class Request(NamedTuple):
    """One request as its rows say it, and what really happened beside them.

    `votes` by login: "" none, "a" approve, "aa" approve twice, "d" deny, "s" an approval that was signed over another revision.
    `ceremonies` by login: "" none, "o" opened on the current revision, "x" opened on an earlier one. `confirmed` is who confirmed,
    with "!" behind it when that was another revision. `no` is what somebody or a clock said against it and was told "done".
    """

    state: RequestState
    revision: int
    source: str
    requester: str
    authors: frozenset[str]
    confirmed: str = ""
    votes: tuple[str, ...] = NOBODY
    ceremonies: tuple[str, ...] = NOBODY
    rights: frozenset[str] = RIGHTS
    active: frozenset[str] = frozenset(LOGINS)
    late: bool = False
    hold: bool = False
    glass: bool = False
    no: str = ""


@dataclass(frozen=True)
class Rule:
    """What the guardrail of the model asks for. `unconfirmed`: whether two approvers may decide what nobody confirmed."""

    approvals: int = 1
    hold: bool = False
    unconfirmed: bool = False


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
    switched_off: tuple[str, ...] = ("alice", "bob")
    editing: tuple[str, ...] = EDITORS
    denials: bool = True
    sending_back: bool = True
    ending: bool = True  # withdrawn, disowned, expired
    clocks: bool = True
    outside: bool = False  # a claim is also written outside the database
    restores: bool = False


class Move(NamedTuple):
    """What a verb makes of a request. `execution`: "" as it was, "ready" made, "gone" with the revision that it was for."""

    label: str
    request: Request
    execution: str = ""
    locks: bool = True


def beginnings(scope: Scope) -> list[Request]:
    """The drafts that a search starts from."""
    return [
        Request(DRAFT, 1, source, requester, frozenset({requester}) if source == "filed" else frozenset())
        for source, requester in scope.begins
    ]


def moves(scope: Scope, guards: Guards, request: Request, *, claimed: bool) -> Iterator[Move]:
    """Everything that a person, a clock or the sweep can do to the request."""
    for move in _moves(scope, guards, request, claimed):
        # The database's trigger knows the same table as the product: what it lacks cannot happen at all.
        if move.request.state is request.state or move.request.state in REQUEST_MOVES[request.state]:
            yield move


def _moves(scope: Scope, guards: Guards, request: Request, claimed: bool) -> Iterator[Move]:
    yield from _asking(scope, guards, request, claimed)
    if scope.ending:
        yield from _ending(scope, guards, request, claimed)
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
        confirmed="" if voided else request.confirmed.rstrip("!") + "!" * bool(request.confirmed),
        votes=NOBODY if voided else tuple({"a": "s", "aa": "s"}.get(vote, vote) for vote in request.votes),
        ceremonies=tuple("x" if one else "" for one in request.ceremonies),
        late=False,
        hold=False,
        glass=False,
        no="",
    )


def _asking(scope: Scope, guards: Guards, request: Request, claimed: bool) -> Iterator[Move]:
    if request.revision < scope.revisions:
        for editor in scope.editing:
            if not guards.refused(EDIT, request, guards.who(request, editor)):
                yield _edited(guards, request, editor)
    if not guards.refused(ADOPT, request, guards.who(request, "erin")):
        yield Move("erin adopts the draft", request._replace(requester="erin"))
    who = request.requester
    if who and not guards.refused(CONFIRM, request, guards.who(request, who)):
        yield Move(f"{who} confirms", request._replace(state=PENDING, confirmed=who, late=False))
    if scope.rule.unconfirmed and request.source == "event" and request.state is DRAFT and not request.late:
        yield Move("nobody confirms: put up for two approvers", request._replace(state=PENDING, late=False))
    for login in APPROVERS if request.revision < scope.revisions and scope.sending_back else ():
        if request.state is PENDING and not guards.refused(REVIEW, request, guards.who(request, login, claimed=claimed)):
            yield Move(f"{login} sends it back", next_revision(request, guards), "gone")


def _edited(guards: Guards, request: Request, editor: str) -> Move:
    edited = next_revision(request, guards, editor)
    if request.state is APPROVED:
        # Only without its guard: the plan is changed under an approval that stands.
        return Move(f"{editor} edits what is approved", edited._replace(state=APPROVED))
    return Move(f"{editor} edits the plan", edited, "gone")


# --- ended ---


def _ending(scope: Scope, guards: Guards, request: Request, claimed: bool) -> Iterator[Move]:
    by_anybody = guards.who(request, request.requester, claimed=claimed)
    settled = request.state not in (DRAFT, PENDING, APPROVED) or guards.refused("claimed_is_settled", request, by_anybody)
    if request.requester and request.requester in request.active and not settled:
        yield Move(f"{request.requester} withdraws", request._replace(state=RequestState.WITHDRAWN, no="withdrawn"))
        if request.source == "event":
            yield Move(f"{request.requester} disowns", request._replace(state=RequestState.DISOWNED, no="disowned"))
    if request.late and not settled:
        yield Move("the sweep expires it", request._replace(state=RequestState.EXPIRED, no="expired"))
    if request.hold and request.state is APPROVED and not settled:
        for login in (request.requester or "bob", *APPROVERS):
            if login in request.active and not request.no:
                stopped = RequestState.DENIED if guards["a_stop_ends_it"]() else APPROVED
                yield Move(f"{login} stops it in its hold", request._replace(state=stopped, no="stopped"))


# --- reviewed ---


def _reviewing(scope: Scope, guards: Guards, request: Request, login: str, claimed: bool) -> Iterator[Move]:
    if guards.refused(REVIEW, request, guards.who(request, login, claimed=claimed)):
        return
    at = AT[login]
    ceremony = request.ceremonies[at]
    if login in scope.signing and ceremony != "o" and request.state is PENDING:
        yield Move(f"{login} opens a ceremony", request._replace(ceremonies=_with(request.ceremonies, at, "o")))
    if scope.denials and login in APPROVERS:
        yield _denied(guards, request, login)
    answering = ceremony if login in scope.signing else "o"
    if guards.refused(SIGN, request, guards.who(request, login)):
        return
    if answering and not guards.refused(APPROVE, request, answering):
        # What was signed over an earlier revision stays that, whatever the portal makes of it.
        vote = "s" if answering == "x" else {"a": "aa", "aa": "aa"}.get(request.votes[at], "a")
        signed = request._replace(votes=_with(request.votes, at, vote), ceremonies=_with(request.ceremonies, at, ""))
        yield _settled(scope, guards, signed, f"{login} approves" + (" by an old ceremony" if answering == "x" else ""))
    if not guards["break_glass_is_off"]() and request.state is PENDING:
        yield Move(f"{login} breaks the glass", request._replace(state=APPROVED, glass=True), "ready")


def _denied(guards: Guards, request: Request, login: str) -> Move:
    said = request._replace(votes=_with(request.votes, AT[login], "d"), no="denied")
    final = request.state is PENDING or guards["a_denial_ends_what_is_approved"]()
    return Move(f"{login} denies", said._replace(state=RequestState.DENIED) if final else said)


def _settled(scope: Scope, guards: Guards, request: Request, label: str) -> Move:
    found = verdicts.outcome(guards, request, scope.rule, request.rights, request.active)
    if request.state is PENDING and found is Outcome.APPROVED:
        no = "expired" if request.late else request.no
        approved = request._replace(state=APPROVED, late=False, hold=scope.rule.hold, no=no)
        return Move(f"{label}: approved", approved, "ready")
    return Move(label, request)


# --- what asks nobody and takes no lock: rights, persons, time ---


def _without_lock(scope: Scope, request: Request) -> Iterator[Move]:
    for login in scope.losing_rights:
        what = "loses" if login in request.rights else "gets back"
        yield Move(f"{login} {what} the right", request._replace(rights=request.rights ^ {login}), locks=False)
    for login in scope.switched_off:
        what = "off" if login in request.active else "on again"
        yield Move(f"{login} is switched {what}", request._replace(active=request.active ^ {login}), locks=False)
    if request.hold:
        yield Move("the hold ends", request._replace(hold=False), locks=False)
    elif scope.clocks and not request.late and request.state in (DRAFT, PENDING, APPROVED):
        yield Move(f"the clock of what is {request.state} runs out", request._replace(late=True), locks=False)


def _with(row: tuple[str, ...], at: int, value: str) -> tuple[str, ...]:
    return (*row[:at], value, *row[at + 1 :])
