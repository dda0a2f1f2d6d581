"""Faults put in on purpose: guards taken out, the invariant that must then break, and the scope in which it is looked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tests.approvals.model.request import Rule, Scope

# One denied call of alice's that bob or carol may approve; small enough to be searched to the end in a second.
DENIED: Final = Scope(
    "a denied call", begins=(("event", "alice"),), revisions=1, switched_off=(), losing_rights=("bob",), signing=()
)
EDITED: Final = Scope("a plan that is edited", switched_off=(), losing_rights=(), sending_back=False)
SENT_BACK: Final = replace(EDITED, name="a plan that is sent back", sending_back=True, signing=())
TWO: Final = Scope(
    "two approvers", Rule(approvals=2), begins=(("event", "alice"),), revisions=1, switched_off=(), losing_rights=(), signing=()
)
TWO_EDITED: Final = replace(TWO, name="two approvers of a plan that is edited", revisions=2, sending_back=False)
# Nothing happens but the workers: so that what breaks is theirs.
QUIET: Final = replace(
    DENIED, name="workers alone", losing_rights=(), denials=False, sending_back=False, ending=False, clocks=False
)
HELD: Final = Scope("a hold", Rule(hold=True), revisions=1, switched_off=(), losing_rights=(), signing=())
NOBODYS: Final = Scope(
    "nobody confirmed",
    Rule(unconfirmed=True),
    begins=(("event", "alice"), ("event", "robo")),
    revisions=1,
    switched_off=(),
    losing_rights=(),
    signing=(),
)
SILENT: Final = replace(NOBODYS, name="a silent caller", begins=(("event", "alice"),), switched_off=("alice",))
OWNED: Final = Scope(
    "one of the owners", Rule(owners=1), revisions=1, switched_off=(), losing_rights=(), leaving_owners=("carol",)
)
GLASS: Final = Scope("break-glass", Rule(break_glass=True), revisions=1, switched_off=("alice",), losing_rights=(), signing=())
RESTORED: Final = Scope(
    "a backup restored",
    revisions=1,
    reviewers=("bob",),
    signing=(),
    losing_rights=("bob",),
    switched_off=(),
    editing=(),
    sending_back=False,
    restores=True,
)


@dataclass(frozen=True)
class Fault:
    """`out` are the guards of one rule, from the first line to the last; without all of them `breaks` is broken.

    `holds` says that with any one of them left in, nothing breaks.
    """

    what: str
    out: str
    breaks: str
    scope: Scope = DENIED

    @property
    def guards(self) -> tuple[str, ...]:
        return tuple(self.out.split())


FAULTS: Final = (
    Fault(
        "the requester reviews", "reviewer_is_not_requester one_signature_a_person requester_and_editors_are_barred", "I1", TWO
    ),
    Fault("an editor reviews", "reviewer_is_no_editor requester_and_editors_are_barred", "I1", EDITED),
    Fault("a second login counts as a second person", "aliases_are_merged", "I1"),
    Fault("a bot counts", "reviewer_is_human only_humans_hold_rights", "I1"),
    Fault("reviews are counted instead of persons", "one_review_a_person persons_are_counted", "I1", TWO),
    Fault("editing keeps the reviews", "editing_voids_reviews signatures_are_over_this_digest", "I1", TWO_EDITED),
    Fault("the digest is not compared", "digest_is_compared signatures_are_over_this_digest", "I1", EDITED),
    Fault(
        "what is approved is edited",
        "only_open_is_edited only_the_current_revision_is_claimed the_quorum_is_computed_again two_sign",
        "I1",
        EDITED,
    ),
    Fault("what was sent back is claimed", "only_the_current_revision_is_claimed", "I1", SENT_BACK),
    Fault("one signature is enough where nobody confirmed", "nobody_confirmed_wants_two two_sign", "I1", NOBODYS),
    Fault("a bot confirms", "requester_is_human only_humans_hold_rights", "I1", NOBODYS),
    Fault("what somebody asked for is adopted by another", "only_a_draft_is_adopted only_what_is_nobodys_is_adopted", "I1"),
    Fault("the caller was switched off and counts as silent", "silence_of_the_caller_alone", "I11", SILENT),
    Fault("nobody of the group has to approve", "groups_are_counted", "I1", OWNED),
    Fault("the glass is broken where it is off", "break_glass_is_off glass_at_the_claim", "I1"),
    Fault("the glass is not looked at again at the claim", "glass_at_the_claim", "I11", GLASS),
    Fault(
        "the glass is broken twice",
        "glass_on_a_draft only_the_open_is_confirmed one_execution_a_revision the_claim_outside_is_asked",
        "I3",
        GLASS,
    ),
    Fault("rights are not read again at the claim", "rights_are_read_at_the_claim", "I11"),
    Fault("a denial after the approval is only noted", "a_denial_ends_what_is_approved", "I12"),
    Fault("the clock is not asked at the review", "review_is_in_time", "I12"),
    Fault("the clock is not asked at the confirmation", "confirmation_is_in_time", "I12", NOBODYS),
    Fault("the clock is not asked at the claim", "the_claim_is_in_time", "I12"),
    Fault("what has ended is claimed", "only_approved_is_claimed", "I12"),
    Fault("what is claimed is still withdrawn", "claimed_is_settled", "I12"),
    Fault("the claim does not lock the request", "the_row_is_locked", "I12"),
    Fault("the hold is ignored", "the_hold_is_over_at_the_claim", "R28", HELD),
    Fault("a stop in the hold is ignored", "a_stop_ends_it", "I12", HELD),
    Fault("two workers claim at once", "the_row_is_locked one_attempt_a_step the_claim_outside_is_asked", "I3", QUIET),
    Fault(
        "a call without an answer is made again",
        "only_settled_calls_are_taken_over one_attempt_a_step the_claim_outside_is_asked",
        "I3",
        QUIET,
    ),
    Fault("a worker that was given up calls", "who_was_given_up_does_not_call", "R38", QUIET),
    Fault("silence is taken for a no", "silence_settles_nothing", "O", QUIET),
    Fault("what is done is judged again", "what_is_done_is_not_judged", "O"),
    Fault("a restored database asks no claim outside", "the_claim_outside_is_asked", "I10", RESTORED),
)
