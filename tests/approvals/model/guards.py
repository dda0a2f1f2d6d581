"""The guards of the model, one table: a name, the rule in words, what holds it, and what the product says when it does not.

A test takes guards out by name and the search shows what breaks. The same rule often stands in several places (at the decision,
in the quorum, at the claim, in the database); each place is a guard of its own, so that a test can show that the next one holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from approvals.errors import (
    AlreadyReviewed,
    BadAuthority,
    CountersignError,
    Expired,
    NotAllowed,
    NotYet,
    OwnRequest,
    Refused,
    StaleRevision,
    Unmapped,
    WrongState,
)
from approvals.states import REVIEWABLE_STATES, RequestState
from tests.approvals.model.people import ALIASES, BOTS, LOGINS, OWNERS

DRAFT, PENDING, APPROVED = RequestState.DRAFT, RequestState.PENDING, RequestState.APPROVED


class Who(NamedTuple):
    """Somebody who does something: by which login, as which person, with the right or not, when it is claimed or not."""

    login: str
    person: str
    right: bool
    claimed: bool = False


def always(*_: Any) -> bool:
    """A guard that is there and asks nothing, or one that was taken out."""
    return True


def never(*_: Any) -> bool:
    """What stands for a guard whose name says what is done, when it is not done."""
    return False


class Guard(NamedTuple):
    """`holds(...)` is true when the thing may go on; `without` is what stands there when a test takes the guard out."""

    rule: str
    holds: Callable[..., Any]
    refusal: type[CountersignError] | None = None
    without: Callable[..., Any] = always


class Guards:
    """The table with some guards taken out; `guards[name]` is what is asked."""

    def __init__(self, out: Iterable[str] = ()) -> None:
        self.out = frozenset(out)
        unknown = self.out - TABLE.keys()
        assert not unknown, f"there is no guard {', '.join(sorted(unknown))}"
        self._asked = {name: guard.without if name in self.out else guard.holds for name, guard in TABLE.items()}

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return self._asked[name]

    def who(self, request: Any, login: str, *, claimed: bool = False) -> Who:
        """How the portal sees a login."""
        right = login in request.rights and self["only_humans_hold_rights"](login)
        return Who(login, self["aliases_are_merged"](login), right, claimed)

    def signers(self, request: Any) -> frozenset[str]:
        """The persons, as the portal sees them, who signed the current revision."""
        voted = {self["aliases_are_merged"](login) for login, vote in zip(LOGINS, request.votes, strict=True) if vote}
        return frozenset(voted | {request.confirmed.rstrip("!")} - {""})

    def refused(self, names: str, request: Any, *facts: Any) -> str:
        """The first of the named guards, in the order in which the product asks them, that does not hold; "" when all do."""
        return next((name for name in names.split() if not self[name](request, *facts)), "")


RETURN: Final = (
    "reviewer_is_active reviewer_is_human reviewer_is_not_requester reviewer_is_no_editor a_draft_is_somebodys "
    "a_draft_is_no_bots reviewer_has_right drafts_are_not_reviewed only_what_is_open_is_reviewed review_is_in_time "
    "claimed_is_settled"
)
REVIEW: Final = f"{RETURN} one_review_a_person"
SIGN: Final = "one_signature_a_person"
APPROVE: Final = "digest_is_compared only_pending_is_approved requester_stands_behind_it"
CONFIRM: Final = "only_the_requester requester_is_human only_the_open_is_confirmed confirmation_is_in_time confirmed_once"
EDIT: Final = "editor_is_active only_open_is_edited edit_is_in_time"
ADOPT: Final = "only_a_draft_is_adopted only_what_is_nobodys_is_adopted a_draft_has_a_clock adopter_is_eligible"
STOP: Final = "only_approved_is_stopped who_stops_is_active who_stops_is_concerned claimed_is_settled"
GLASS: Final = "glass_on_a_draft break_glass_is_off"


def _reviewed_already(request: Any, who: Who) -> bool:
    # By person, as UNIQUE(revision, person) has it: a second login is no second person.
    same = {login for login in LOGINS if ALIASES.get(login, login) == who.person} | {who.login}
    return any(vote for login, vote in zip(LOGINS, request.votes, strict=True) if login in same)


def _voted(request: Any, who: Who) -> bool:
    return any(vote for login, vote in zip(LOGINS, request.votes, strict=True) if ALIASES.get(login, login) == who.person)


REVIEWING: Final = {
    "aliases_are_merged": Guard("A login counts as the person behind it.", lambda login: ALIASES.get(login, login), None, str),
    "only_humans_hold_rights": Guard("A bot's grant counts nowhere.", lambda login: login not in BOTS),
    "reviewer_is_active": Guard("Somebody switched off reviews nothing.", lambda r, who: who.person in r.active, NotAllowed),
    "reviewer_is_human": Guard("Bots ask, they never decide.", lambda r, who: who.login not in BOTS, NotAllowed),
    "reviewer_is_not_requester": Guard("Who asked does not review.", lambda r, who: who.person != r.requester, OwnRequest),
    "reviewer_is_no_editor": Guard("Who wrote a revision reviews none.", lambda r, who: who.person not in r.authors, OwnRequest),
    "reviewer_has_right": Guard("The right is read at the decision.", lambda r, who: who.right, NotAllowed),
    "a_draft_is_somebodys": Guard(
        "Nobody approves what belongs to nobody.", lambda r, who: r.state is not DRAFT or bool(r.requester), Unmapped
    ),
    "a_draft_is_no_bots": Guard(
        "Nobody approves what a bot asked for.", lambda r, who: r.state is not DRAFT or r.requester not in BOTS, WrongState
    ),
    "drafts_are_not_reviewed": Guard("Nothing to decide until it is signed.", lambda r, who: r.state is not DRAFT, WrongState),
    "only_what_is_open_is_reviewed": Guard(
        "What has ended is not reviewed.", lambda r, who: r.state in REVIEWABLE_STATES, WrongState
    ),
    "review_is_in_time": Guard("The clock counts at the review.", lambda r, who: not r.late, Expired),
    "claimed_is_settled": Guard(
        "What is carried out is neither reviewed, nor withdrawn, nor expired.", lambda r, who: not who.claimed, WrongState
    ),
    "one_review_a_person": Guard(
        "One person reviews a revision once.", lambda r, who: not _reviewed_already(r, who), AlreadyReviewed
    ),
    "one_signature_a_person": Guard(
        "Who confirmed a revision signs it no second time.", lambda r, who: who.person != r.confirmed, AlreadyReviewed
    ),
    "digest_is_compared": Guard(
        "A signature counts for the digest that it was made over.", lambda r, ceremony: ceremony == "o", StaleRevision
    ),
    "only_pending_is_approved": Guard("Approved is not approved again.", lambda r, _: r.state is PENDING, WrongState),
    "requester_stands_behind_it": Guard(
        "What a switched-off requester asked for is only denied.",
        lambda r, _: not r.requester or r.requester in r.active,
        Refused,
    ),
}
ASKING: Final = {
    "only_the_requester": Guard(
        "The requester alone confirms.", lambda r, who: who.person == r.requester and who.person in r.active, NotAllowed
    ),
    "requester_is_human": Guard("A bot may ask; only a person signs.", lambda r, who: who.login not in BOTS, NotAllowed),
    "only_the_open_is_confirmed": Guard(
        "What is confirmed is a draft, or pending and not confirmed.",
        lambda r, who: r.state is DRAFT or (r.unconfirmed and r.state is PENDING),
        WrongState,
    ),
    "confirmation_is_in_time": Guard("The clock counts at the confirmation.", lambda r, who: not r.late, Expired),
    "confirmed_once": Guard("A revision is confirmed once.", lambda r, who: r.confirmed in ("", f"{who.person}!"), WrongState),
    "editor_is_active": Guard("Somebody switched off edits nothing.", lambda r, who: who.person in r.active, NotAllowed),
    "only_open_is_edited": Guard("Approved is not edited.", lambda r, who: r.state in (DRAFT, PENDING), WrongState),
    "edit_is_in_time": Guard("The clock counts at the edit.", lambda r, who: not r.late, Expired),
    "editing_voids_reviews": Guard("Another plan begins without reviews.", always, without=never),
    "adopter_is_eligible": Guard(
        "Who adopts is an active human.", lambda r, who: who.person in r.active and who.login not in BOTS, NotAllowed
    ),
    "only_a_draft_is_adopted": Guard("Only a draft is adopted.", lambda r, who: r.state is DRAFT, WrongState),
    "a_draft_has_a_clock": Guard("A draft is adopted in time.", lambda r, who: not r.late, Expired),
    "only_what_is_nobodys_is_adopted": Guard(
        "Only what a bot or nobody known asked for is adopted.", lambda r, who: r.requester in {"", *BOTS}, WrongState
    ),
    "glass_on_a_draft": Guard("The glass is broken for a draft.", lambda r, rule: r.state is DRAFT, WrongState),
    "break_glass_is_off": Guard("Nobody acts alone unless the guardrail says so.", lambda r, rule: rule.break_glass, NotAllowed),
}
SETTLING: Final = {
    "persons_are_counted": Guard("Distinct persons are counted, not reviews.", always, without=never),
    "requester_and_editors_are_barred": Guard("The quorum leaves out who asked or edited.", always, without=never),
    "nobody_confirmed_wants_two": Guard("What nobody confirmed takes two approvers at least.", always, without=never),
    "groups_are_counted": Guard("So many of the group that the guardrail names.", always, without=never),
    "silence_of_the_caller_alone": Guard(
        "Undecided by its requester is only what was recorded, of an active human who signed nothing.",
        lambda r, active: r.unconfirmed and not r.confirmed and r.requester in active,
    ),
    "a_denial_ends_what_is_approved": Guard("Deny beats approve until the claim.", always, without=never),
    "one_execution_a_revision": Guard("A revision has one execution.", lambda existing, revision: existing != revision),
    "who_stops_is_active": Guard(
        "A bot, or somebody switched off, stops nothing.",
        lambda r, who: who.person in r.active and who.login not in BOTS,
        NotAllowed,
    ),
    "who_stops_is_concerned": Guard(
        "Who signed it or may review it stops it.",
        lambda r, who: who.right or who.person == r.confirmed or (r.glass and who.person == r.requester) or _voted(r, who),
        NotAllowed,
    ),
    "only_approved_is_stopped": Guard("What is stopped is approved.", lambda r, who: r.state is APPROVED, WrongState),
    "a_stop_ends_it": Guard("What was stopped is denied.", always, without=never),
}
CLAIMING: Final = {
    "only_approved_is_claimed": Guard("What has ended is not claimed.", lambda r, _: r.state is APPROVED, WrongState),
    "only_the_current_revision_is_claimed": Guard(
        "The revision executed is the current one.", lambda r, revision: revision == r.revision, StaleRevision
    ),
    "the_hold_is_over_at_the_claim": Guard("Nothing is claimed in its hold.", lambda r, _: not r.hold, NotYet),
    "the_claim_is_in_time": Guard("An approval is good for a time.", lambda r, _: not r.late, Expired),
    "signatures_are_over_this_digest": Guard(
        "Every stored signature verifies over the digest of what is executed.",
        lambda r, _: "s" not in r.votes and not r.confirmed.endswith("!"),
        BadAuthority,
    ),
    "glass_at_the_claim": Guard(
        "The guardrail lets that person break the glass at the claim too.",
        lambda r, rule: rule.break_glass and r.requester in r.active,
        Refused,
    ),
    "the_quorum_is_computed_again": Guard("Reviews are added up again at the claim.", always, Refused, never),
    "rights_are_read_at_the_claim": Guard(
        "Rights and persons count as they are at the claim.",
        lambda r: (r.rights, r.owners, r.active),
        without=lambda r: (r.rights | {"bob", "carol"}, r.owners | OWNERS, frozenset(LOGINS)),
    ),
    "two_sign": Guard(
        "Whatever the guardrail says, two persons have signed.",
        lambda r, signers: len(signers) >= 2,
        BadAuthority,
    ),
}
CARRYING_OUT: Final = {
    "the_row_is_locked": Guard("Judging and claiming are one transaction that holds the request.", always, without=never),
    "a_lease_is_waited_for": Guard("A claim is taken over when its lease is over.", lambda lapsed: lapsed),
    "only_settled_calls_are_taken_over": Guard(
        "A call without an answer is not made again by who comes next.", lambda attempt: attempt in ("", "succeeded")
    ),
    "the_newest_token_sends": Guard("Only the holder of the newest token sends.", lambda current: current),
    "one_attempt_a_step": Guard("A step is sent again only when it was refused.", lambda attempt: attempt in ("", "rejected")),
    "who_was_given_up_does_not_call": Guard("A worker whose claim was lost makes no call.", lambda alive: alive),
    "silence_settles_nothing": Guard("Unknown ends by evidence alone.", always, without=never),
    "what_is_done_is_not_judged": Guard("When every call has succeeded the end is written, unasked.", always, without=never),
    "the_claim_outside_is_asked": Guard("Another's claim outside the database means unknown.", always, without=never),
}
TABLE: Final[Mapping[str, Guard]] = REVIEWING | ASKING | SETTLING | CLAIMING | CARRYING_OUT
