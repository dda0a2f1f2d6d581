"""May this execution be carried out? Everything that was decided is judged again, from stored bytes and the walked authority.

The executor calls this with the request and the execution locked, right before it claims. Nothing that the web process could
have written is believed: not the state, the reviews' verdicts or the passkey table, only signatures that verify under keys of
the authority chain, over the digest of the very bytes that are about to be parsed and sent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NoReturn
from uuid import UUID

from approvals import ceremonies, permissions, policies, signatures
from approvals.authority import Authority
from approvals.demands import Forged, guardrails_of, must_be_its_role, signed_plan
from approvals.errors import (
    Expired,
    NotYet,
    Refused,
    StaleRevision,
    WrongState,
)
from approvals.models import ApprovalRequest, Execution, Revision, Signature
from approvals.operations import protection
from approvals.plan import Plan
from approvals.policies import Outcome, Resolution, Rules, Vote
from approvals.signatures import RelyingParty
from approvals.states import RequestState, Verdict
from approvals.terms import hold_of, opens_at, term_of, why_closed

__all__ = ["Forged", "Verified", "clear", "must_be_in_time", "plan_under_signatures", "verify"]

# Whatever a guardrail says: nobody acts alone.
_LEAST_SIGNERS: Final = 2
_TOO_FEW: Final = "The request says that it is approved, and fewer than two persons have signed it."


@dataclass(frozen=True, slots=True)
class Verified:
    """What the signatures bear out: the plan, every rule set that must hold, and who signed when. Persons are ids as text."""

    plan: Plan
    digest: str
    rules: tuple[Rules, ...]
    confirmed_by: str | None
    approved_by: frozenset[str]
    broken_by: str | None
    moments: Mapping[str, datetime]
    resolved: datetime
    hold: int


def clear(
    execution: Execution, authority: Authority, party: RelyingParty, *, now: datetime, told_at: datetime | None = None
) -> Plan:
    """The plan to carry out, if everything holds, the clocks too.

    Raises WrongState or Expired when it was ended meanwhile, StaleRevision when it was edited, NotYet when it is too early,
    Refused when a right or a guardrail no longer holds, and Forged (a BadAuthority) when rows do not verify.
    """
    verified = verify(execution, authority, party, now=now)
    must_be_in_time(verified, now=now, told_at=told_at)
    if execution.not_before > now:
        raise NotYet("The hold has not ended yet.", until=execution.not_before)
    return verified.plan


def verify(execution: Execution, authority: Authority, party: RelyingParty, *, now: datetime) -> Verified:
    """The same but for being too early: what the executor may tell everybody of while it waits. Raises as `clear` does."""
    revision = execution.revision
    request = revision.request
    _still_wanted(execution, request, revision, now)
    plan = signed_plan(request, revision)
    signed, current = guardrails_of(plan, authority)
    rules = (*signed.values(), *current.values())
    stored, behind_it = list(revision.signatures.all()), request.editors()
    votes, by_verdict, moments = _votes(revision, stored, behind_it, authority, party, now)
    must_be_its_role(plan, authority)
    irreversible = protection.is_final(plan.steps)
    hold = hold_of(rules, irreversible=irreversible)
    broken_by = by_verdict.get(Verdict.BREAK_GLASS)
    if broken_by is not None:
        _may_break(broken_by, rules, request, authority, votes, irreversible=irreversible)
        return Verified(plan, revision.digest, rules, None, frozenset(), broken_by, moments, moments[broken_by], hold)
    if any(signature.verdict == Verdict.BREAK_GLASS for signature in stored):
        raise Refused("Who broke the glass was switched off since, so nobody stands behind it. It takes its usual approvals.")
    confirmed_by = by_verdict.get(Verdict.CONFIRM)
    # Both what was signed and what the authority asks for now must be met; each is a quorum of its own.
    found = [
        policies.resolve(
            votes,
            guardrails=demanded,
            confirmed_by=confirmed_by,
            barred=frozenset(str(person) for person in behind_it),
            irreversible=irreversible,
        )
        for demanded in (signed, current)
        if demanded
    ]
    if any(one.outcome is Outcome.DENIED for one in found):
        raise WrongState("A reviewer denied it.")
    if not all(one.outcome is Outcome.APPROVED for one in found):
        _refuse(found, moments)
    if confirmed_by is None:
        _may_be_unconfirmed(plan, revision, request, authority)
    voters = frozenset(person for one in found for progress in one.progress for person in progress.have)
    # A fresh confirmation revives no old approval; only where approvers may go first can it be what completed the quorum.
    last = {confirmed_by} if confirmed_by is not None and policies.unconfirmed_may_be_decided(rules) else set()
    resolved = max(moments[person] for person in voters | last)
    return Verified(plan, revision.digest, rules, confirmed_by, voters, None, moments, resolved, hold)


def plan_under_signatures(revision: Revision, authority: Authority, party: RelyingParty) -> Plan:
    """The plan of bytes that two persons have signed (one, who broke the glass), of an account and a role that are known so.

    Enough to look at its targets, never to change them: whether these persons may, and when, `verify` says. Raises BadAuthority,
    Refused.
    """
    plan = signed_plan(revision.request, revision)
    stored = list(revision.signatures.all())
    signers = {ceremonies.verified(one, revision.digest, authority, party, domain=signatures.DOMAIN) for one in stored}
    broken = any(one.verdict == Verdict.BREAK_GLASS for one in stored)
    if len(signers) < (1 if broken else _LEAST_SIGNERS):
        raise Forged(_TOO_FEW)
    if plan.account not in authority.accounts:
        raise Forged("The plan's account is not one that the authority knows.")
    must_be_its_role(plan, authority)
    return plan


def _refuse(found: Sequence[Resolution], moments: Mapping[str, datetime]) -> NoReturn:
    if len(moments) < _LEAST_SIGNERS:
        raise Forged(_TOO_FEW)
    lacking = dict.fromkeys(f"{one.guardrail} has {one.lacking}" for each in found for one in each.progress if one.lacking)
    said = "; ".join(lacking) or "its requester does not stand behind it"
    raise Refused(f"The approvals no longer suffice: {said}. A right was taken away, or a signature is missing.")


def _may_be_unconfirmed(plan: Plan, revision: Revision, request: ApprovalRequest, authority: Authority) -> None:
    """Nobody confirmed it, and every guardrail lets two approvers decide such: it is what was recorded, of an active human."""
    if plan.revision != 1 or revision.signatures.filter(verdict=Verdict.CONFIRM).exists():
        raise Refused("The approvals no longer suffice: its requester does not stand behind it, or was switched off.")
    caller = request.requester_id
    if caller is None or not authority.is_voter(str(caller)) or caller not in permissions.active_among([caller]):
        raise Refused("Nobody confirmed it, and the person behind the denied call is no active one: a person adopts it first.")


def _may_break(
    person: str,
    rules: Sequence[Rules],
    request: ApprovalRequest,
    authority: Authority,
    votes: Sequence[Vote],
    *,
    irreversible: bool,
) -> None:
    """One signature is enough where every guardrail has a break-glass for a group of that person, then and now."""
    if request.requester_id != UUID(person):
        raise Forged("The glass was broken by somebody who is not the requester.")
    if irreversible:
        raise Forged("The glass was broken for what cannot be undone.")
    names = {one.name for one in rules}
    if any(vote.verdict is Verdict.DENY and vote.rights & names for vote in votes):
        raise WrongState("A reviewer denied it.")
    groups = authority.groups_of(person) & permissions.groups_of([UUID(person)])[UUID(person)]
    for one in rules:
        if one.break_glass is None or not groups & set(one.break_glass.groups):
            raise Refused(f"Guardrail {one.name} does not let this person break the glass. It takes its usual approvals.")


def must_be_in_time(verified: Verified, *, now: datetime, told_at: datetime | None = None) -> None:
    """The clocks from what was signed, not from columns that could be moved. Raises NotYet, Expired.

    The approval was resolved by its newest counted vote; the confirmation and the other votes must be of the same pending time. A
    hold counts from `told_at`, when everybody concerned was told, and never less than from the resolution. The glass is broken
    whatever window or freeze there is.
    """
    ready = max([verified.resolved, *([told_at] if told_at else [])]) + timedelta(seconds=verified.hold)
    if now < ready:
        raise NotYet("The hold that the guardrail asks for has not ended yet.", until=ready)
    if verified.broken_by is not None:
        until = verified.resolved + timedelta(seconds=verified.plan.valid_for)
    else:
        term = term_of(verified.rules, resolved=verified.resolved, hold=verified.hold, valid_for=verified.plan.valid_for)
        until = term.until if term else verified.resolved
    if now > until:
        raise Expired("The approval was good for a time that has run out.")
    _are_of_one_time(verified)
    if verified.broken_by is None and (closed := why_closed(verified.rules, now)):
        raise NotYet(f"Nothing is carried out yet: {closed}.", until=opens_at(verified.rules, now))


def _are_of_one_time(verified: Verified) -> None:
    pending = max(rules.clocks.pending for rules in verified.rules)
    signers = verified.approved_by | ({verified.confirmed_by} if verified.confirmed_by else set())
    for person in signers:
        if abs(verified.resolved - verified.moments[person]) > timedelta(seconds=pending) + signatures.LIFETIME:
            raise Expired("The signatures are not of one time: one of them is older than a pending request may be.")


def _still_wanted(execution: Execution, request: ApprovalRequest, revision: Revision, now: datetime) -> None:
    if request.request_state is not RequestState.APPROVED:
        raise WrongState(f"The request is {request.state}. {request.ended_why}".strip())
    if revision.number != request.revision_number:
        raise StaleRevision("The plan was edited after it was approved.")
    if execution.valid_until <= now or (request.approved_until is not None and request.approved_until <= now):
        raise Expired("The approval was good for a time that has run out.")


def _votes(
    revision: Revision,
    stored: list[Signature],
    behind_it: Collection[UUID],
    authority: Authority,
    party: RelyingParty,
    now: datetime,
) -> tuple[list[Vote], dict[Verdict, str], dict[str, datetime]]:
    """Votes from verified signatures alone; who signed as the requester, by verdict; when each signed, counted or not."""
    signers = [signature.person_id for signature in stored]
    apart_from = frozenset(str(person) for person in behind_it)
    live = permissions.held_by(signers, at=now, apart_from=behind_it)
    moments: dict[str, datetime] = {}
    votes: list[Vote] = []
    as_requester: dict[Verdict, str] = {}
    for signature in stored:
        person = ceremonies.verified(signature, revision.digest, authority, party, domain=signatures.DOMAIN)
        moments[person] = signature.created_at
        # What a passkey signed before it was removed is no forgery, and counts no more: it may have been lost or stolen.
        if signature.credential_id not in authority.passkeys:
            continue
        # A person counts when the signed authority and today's tables both say so: switching one off needs no quorum.
        if not authority.is_voter(person) or signature.person_id not in live.active:
            continue
        if signature.verdict in (Verdict.CONFIRM, Verdict.BREAK_GLASS):
            as_requester[Verdict(signature.verdict)] = person
            continue
        # A right or a group counts when both the signed authority and today's tables have it: taking one away needs no quorum.
        rights = authority.rights_at(person, now, apart_from=apart_from) & live.rights[signature.person_id]
        groups = authority.groups_of(person) & live.groups[signature.person_id]
        votes.append(Vote(person, Verdict(signature.verdict), rights, groups))
    _reviews_are_signed(revision, stored)
    confirmed_by = as_requester.get(Verdict.CONFIRM)
    if confirmed_by is not None and revision.request.requester_id != UUID(confirmed_by):
        raise Forged("The plan was confirmed by somebody who is not its requester.")
    return votes, as_requester, moments


def _reviews_are_signed(revision: Revision, stored: list[Signature]) -> None:
    signed = {(signature.pk, signature.person_id, signature.verdict) for signature in stored}
    for review in revision.reviews.all():
        if (review.signature_id, review.person_id, review.verdict) not in signed:
            raise Forged("A review does not rest on a signature of the same person, verdict and revision.")
