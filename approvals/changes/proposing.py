"""Proposing a change of authority, and taking a proposal back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from django.utils import timezone

from approvals import audit, canonical, outbox
from approvals.authority import difference, links, soundness, state, words
from approvals.authority.edits import apply as apply_edits
from approvals.changes.writing import end, given_reason, head, locked, must_be_open
from approvals.errors import CountersignError, NotAllowed, Refused, WrongState
from approvals.models import AuditKind, AuthorityChange, AuthorityLink, OutboxKind, Person
from approvals.states import ChangeState

INVITED_FOR: Final = timedelta(days=7)
# Of one person: each open proposal holds a whole state, and is ended by the next change that is applied.
MOST_OPEN: Final = 20


def propose(person: Person, edits: Sequence[Mapping[str, Any]], *, reason: str, now: datetime | None = None) -> AuthorityChange:
    """Propose the next state of authority. Nothing changes until enough administrators have signed it.

    Any active person may propose; administrators sign. Raises BadChange when the edits do not fit together or would leave a
    state that nobody could live with, NotAllowed, Refused without a reason.
    """
    now = now or timezone.now()
    reason = given_reason(reason)
    if not person.is_active or not person.is_human:
        raise NotAllowed("Only an active person proposes a change of authority.")
    if AuthorityChange.objects.filter(proposer=person, state=ChangeState.OPEN).count() >= MOST_OPEN:
        raise Refused(
            f"{MOST_OPEN} proposals of yours wait for signatures. Withdraw one that is no longer wanted, and propose again."
        )
    with audit.recorded() as trail:
        newest = head()
        _must_lend_ones_own(person, edits)
        whole = [_filled_in(edit, now) for edit in edits]
        after = apply_edits(newest.document, whole)
        soundness.must_be_sound(after, now)
        text = state.text_of(after)
        change = AuthorityChange.objects.create(
            kind=AuthorityChange.Kind.EDITS,
            proposer=person,
            reason=reason,
            number=newest.number + 1,
            previous=newest.hash,
            edits=canonical.dumps(whole),
            next_state=text,
            digest=links.link_hash(newest.number + 1, newest.hash, text),
            created_at=now,
            open_until=now + links.LIFETIME,
        )
        trail.add(
            AuditKind.CHANGE_PROPOSED,
            actor=f"person:{person.handle}",
            change=str(change.pk),
            digest=change.digest,
            reason=reason,
            edits=whole,
        )
        outbox.put(OutboxKind.NOTIFY, change.pk, topic="change.proposed")
    return change


def propose_again(change_id: UUID, person: Person, *, now: datetime | None = None) -> AuthorityChange:
    """The same edits over what holds now, after another change overtook them: a new proposal, to be read and signed anew."""
    former = AuthorityChange.objects.get(pk=change_id)
    _must_be_repeatable(former, person)
    edits = [
        {name: value for name, value in edit.items() if edit["edit"] != "invite" or name not in ("id", "until")}
        for edit in canonical.loads(former.edits)
    ]
    return propose(person, edits, reason=former.reason, now=now)


def withdraw(change_id: UUID, person: Person, *, now: datetime | None = None) -> AuthorityChange:
    """The proposer no longer wants it. Raises NotAllowed, WrongState."""
    now = now or timezone.now()
    with audit.recorded() as trail:
        change = locked(change_id, now)
        _must_be_ones_own(change, person)
        end(trail, change, ChangeState.WITHDRAWN, f"Withdrawn by {person.handle}.", f"person:{person.handle}", now)
    return change


def why_not_withdraw(change: AuthorityChange, person: Person, *, now: datetime | None = None) -> str:
    """Why this person cannot take the proposal back now, in a sentence for him; empty when he can."""
    try:
        must_be_open(change, now or timezone.now())
        _must_be_ones_own(change, person)
    except Refused as refusal:
        return str(refusal)
    return ""


def why_not_propose_again(change: AuthorityChange, person: Person) -> str:
    """Why this person cannot propose the same once more, in a sentence for him; empty when he can."""
    try:
        _must_be_repeatable(change, person)
    except Refused as refusal:
        return str(refusal)
    return ""


def _must_lend_ones_own(person: Person, edits: Sequence[Mapping[str, Any]]) -> None:
    """A delegation stands in the name of whoever wants it; an administrator may write one down for somebody."""
    lenders = {str(edit["delegated_by"]) for edit in edits if edit.get("edit") == "grant" and edit.get("delegated_by")}
    if not person.is_administrator and (others := sorted(lenders - {person.handle})):
        raise NotAllowed(f"A right is delegated by whoever holds it: {', '.join(others)} proposes this, or an administrator.")


def _must_be_ones_own(change: AuthorityChange, person: Person) -> None:
    if change.proposer_id != person.pk:
        raise NotAllowed("Only who proposed a change takes it back; an administrator can deny it.")


def _must_be_repeatable(change: AuthorityChange, person: Person) -> None:
    if change.kind != AuthorityChange.Kind.EDITS or change.state not in (ChangeState.STALE, ChangeState.EXPIRED):
        raise WrongState("Only a proposal that was overtaken, or that nobody signed in time, is proposed again.")
    if not person.is_active or not person.is_human:
        raise NotAllowed("Only an active person proposes a change of authority.")
    if change.proposer_id != person.pk and not person.is_administrator:
        raise NotAllowed("Who proposed it, or an administrator, proposes it again.")


def differences(change: AuthorityChange) -> tuple[difference.Difference, ...]:
    """What the change would change, against the state that it follows: what its signers read."""
    before = links_state(change)
    return difference.between(before, state.read(change.next_state))


def is_genuine(change: AuthorityChange) -> bool:
    """Whether edits, state and digest as they are stored belong together, so that what is shown is what is signed.

    The authority process verifies the digest again before it applies anything; this is for whoever reads before he signs.
    """
    before = AuthorityLink.objects.filter(number=change.number - 1).first()
    if before is None or before.hash != change.previous:
        return False
    if links.link_hash(change.number, change.previous, change.next_state) != change.digest:
        return False
    if change.kind != AuthorityChange.Kind.EDITS:
        return True
    try:
        return state.text_of(apply_edits(state.read(before.state), canonical.loads(change.edits))) == change.next_state
    except CountersignError:
        return False


def sentence_of(change: AuthorityChange) -> str:
    """What is proposed, as the end of "somebody proposes to ..."."""
    return words.ENROLMENT if change.kind == AuthorityChange.Kind.ENROLMENT else words.sentence_in(change.edits)


def links_state(change: AuthorityChange) -> state.Document:
    """The state that the change follows."""
    return state.read(AuthorityLink.objects.get(number=change.number - 1).state)


def _filled_in(edit: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """With what people do not name: ids, and until when an invitation is good."""
    whole = dict(edit)
    if edit.get("edit") == "add_person":
        whole.setdefault("id", str(uuid4()))
    if edit.get("edit") == "invite":
        whole["id"] = str(uuid4())
        whole.setdefault("until", str(state.text_of_moment(now + INVITED_FOR)))
    return whole
