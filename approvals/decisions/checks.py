"""What must hold before a verb may happen; each check raises one named refusal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from approvals import earlier_steps, permissions, policies, terms
from approvals.decisions.quorum import Concerned, concerned_in, guardrails_of
from approvals.decisions.writing import calls_of
from approvals.errors import (
    AlreadyReviewed,
    BadPlan,
    Expired,
    NotAllowed,
    OwnRequest,
    Refused,
    StaleRevision,
    Unmapped,
    WrongState,
)
from approvals.models import (
    ApprovalRequest,
    Attempt,
    Execution,
    Observation,
    Person,
    Review,
    Revision,
    Source,
)
from approvals.operations import catalog, held, protection, words
from approvals.policies import Rules, tickets
from approvals.preconditions import Reading
from approvals.states import (
    REVIEWABLE_STATES,
    SETTLED_EXECUTIONS,
    AttemptState,
    ExecutionState,
    RequestState,
    Verdict,
    may_move,
)

LONGEST_REASON = 2000
# A call that AWS has accepted and whose effect is not complete yet is decided all the same: it is made, and by nobody again.
_SAID_YES = (AttemptState.ACCEPTED, AttemptState.SUCCEEDED)
_BEGUN = "A call of it is being made, was made already or may have been made; it can no longer be stopped here."


def must_be_somebodys(request: ApprovalRequest) -> None:
    """A person stands behind it. Raises Unmapped, saying how to map the AWS identity; WrongState for a bot's."""
    if request.requester is None:
        raise Unmapped(
            f"AWS denied this call to {words.visible(request.principal) or 'an identity that it did not name'}, which belongs to "
            "nobody known here, so nobody can approve it. Either the administrators map that identity to its person (a change of "
            "authority that adds it to the person's principals; then the call is made again), or a person adopts this draft and "
            "is its requester."
        )
    if not request.requester.is_human:
        raise WrongState(
            f"The bot {request.requester.handle} asked for this. A bot may ask, and never signs: a person adopts the draft first."
        )


def must_be_requester(request: ApprovalRequest, person: Person) -> None:
    """The requester himself, and active. Raises NotAllowed."""
    if request.requester_id != person.pk or not person.is_active:
        raise NotAllowed("Only the requester can do this.")


def must_be_in(request: ApprovalRequest, states: Sequence[RequestState] | frozenset[RequestState]) -> None:
    """In one of these states. Raises WrongState, saying how it ended."""
    if request.request_state not in states:
        ended = f" {request.ended_why}" if request.ended_why else ""
        stop = "." if ended and not ended.endswith((".", "!", "?")) else ""
        raise WrongState(f"This request is {request.state}.{ended}{stop} Nothing was changed.")


def must_be_in_time(request: ApprovalRequest, now: datetime) -> None:
    """Before the clock of its state runs out. Raises Expired."""
    until = {
        RequestState.DRAFT: request.draft_until,
        RequestState.PENDING: request.pending_until,
        RequestState.APPROVED: request.approved_until,
    }.get(request.request_state)
    if until is not None and until <= now:
        raise Expired("The time for this request has run out. File it again if it is still wanted.")


def must_be_unclaimed(request: ApprovalRequest) -> None:
    """Nobody has begun to carry it out, as far as that is open. Raises WrongState."""
    begun = Execution.objects.filter(revision__request=request).exclude(state__in=["ready", "aborted"])
    if begun.exclude(_of_a_former(request)).exists():
        raise WrongState(_BEGUN)


def _of_a_former(request: ApprovalRequest) -> Q:
    """Of executions: what a former revision was carried out for and has ended. It is nobody's any more."""
    return Q(state__in=SETTLED_EXECUTIONS, revision__number__lt=request.revision_number)


def let_go(now: datetime) -> Q:
    """Of executions: not begun, or AWS said yes to each of its calls, or what left nothing behind; no call is about to be made.

    After a pause, between two steps, until another try, and while a step settles, which takes hours at times. `running` is
    committed with a call, and the next is only made when this request is found approved under its lock: there no lease counts.
    A worker that comes back finds at its next call that nobody wants it any more.
    """
    undecided = Attempt.objects.filter(execution=OuterRef("pk")).exclude(state__in=_SAID_YES)
    undecided = undecided.exclude(Q(may_repeat=True) | Q(rehearsal=True), state=AttemptState.REJECTED)
    waits = Q(state=ExecutionState.RUNNING) | Q(state=ExecutionState.CLAIMED, lease_until__lte=now)
    return Q(state=ExecutionState.READY) | Q(~Exists(undecided), waits)


def must_be_in_nobodys_hands(request: ApprovalRequest, now: datetime | None = None) -> None:
    """None of its calls is open or about to be made, and something is left to be made. Raises WrongState."""
    begun = Execution.objects.filter(revision__request=request).exclude(state=ExecutionState.ABORTED)
    begun = begun.exclude(_of_a_former(request))
    if begun.exclude(let_go(now or timezone.now())).exists() or any(
        nothing_is_left(one, one.attempts.all()) for one in begun.select_related("revision")
    ):
        raise WrongState(_BEGUN)


def is_made(execution: Execution, attempts: Iterable[Attempt]) -> bool:
    """Whether every step of the plan was made and has settled, and only the end was not written. `attempts` are all its own."""
    return _are_all(execution, {one.step for one in attempts if one.state == AttemptState.SUCCEEDED})


def nothing_is_left(execution: Execution, attempts: Iterable[Attempt]) -> bool:
    """Whether AWS said yes to every step of the plan, so that nothing is there to be stopped. `attempts` are all its own."""
    return _are_all(execution, {one.step for one in attempts if one.state in _SAID_YES and not one.rehearsal})


def _are_all(execution: Execution, made: Collection[int]) -> bool:
    try:
        steps = len(execution.revision.plan.steps)
    except BadPlan:
        return False
    return set(made) == set(range(steps))


def must_be_editable(request: ApprovalRequest, person: Person, now: datetime) -> None:
    """The requester enters or edits parameters while it is a draft or pending, in time."""
    must_be_requester(request, person)
    must_be_in(request, (RequestState.DRAFT, RequestState.PENDING))
    must_be_in_time(request, now)


def must_be_endable(request: ApprovalRequest, person: Person, end: RequestState) -> None:
    """The requester withdraws or disowns what is open, or what is left of it; only a denied call can be disowned."""
    must_be_requester(request, person)
    must_be_in_nobodys_hands(request)
    if end is RequestState.DISOWNED and request.source != Source.EVENT:
        raise WrongState("You filed this request yourself; withdraw it instead.")
    if not may_move(request.request_state, end):
        raise WrongState(f"This request is {request.state} already; there is nothing to end.")


def must_be_confirmable(
    request: ApprovalRequest, revision: Revision, person: Person, now: datetime, *, at_once: bool = False
) -> None:
    """The requester, a human, signs a complete draft in time, or what approvers may decide without. Raises what fits.

    `at_once`: its calls would go out now, whatever hold or window there is.
    """
    must_be_requester(request, person)
    if not person.is_human:
        raise NotAllowed("A bot may ask, but only a person can sign.")
    must_be_in(request, (RequestState.DRAFT, RequestState.PENDING) if request.unconfirmed else (RequestState.DRAFT,))
    must_be_in_time(request, now)
    if revision.signatures.filter(verdict=Verdict.CONFIRM).exists():
        raise WrongState("You have confirmed this plan already; it waits for its reviewers.")
    if not revision.digest:
        raise Refused(f"The plan is not complete, so there is nothing to sign yet. {revision.why}")
    rules = guardrails_of(revision).values()
    must_not_be_held(revision, () if at_once else rules, now)
    must_be_protected(request, revision, rules)


def must_not_be_held(revision: Revision, rules: Collection[Rules], now: datetime) -> None:
    """AWS keeps no target against everybody, as the executor read it last; Refused says which lock it is, and nobody is asked."""
    if why := why_held(revision, rules, now):
        raise Refused(f"{why} It is read again from time to time: once that has changed, it can be signed.")


def why_held(revision: Revision, rules: Collection[Rules], now: datetime) -> str:
    """Which lock of AWS's keeps a target against everybody, in a sentence; empty where none does.

    What counts is the earliest moment at which the calls would go out, were they approved now: a lock may end before that.
    """
    steps = revision.plan.steps
    locked = [index for index, step in enumerate(steps) if catalog.get(step.name).facts.held]
    if not locked:
        return ""
    hold = terms.hold_of(rules, irreversible=protection.is_final(steps))
    earliest = terms.opens_at(rules, now + timedelta(seconds=hold)) or now
    seen = revision.observations.filter(moment=Observation.Moment.REVIEW, step__in=locked).order_by("taken_at", "id")
    # What AWS did not tell since, for it was away, takes no lock off.
    readings = ((one.step, Reading(one.text, one.problem)) for one in seen)
    states = {step: reading.state for step, reading in readings if reading.says_something()}
    for index in locked:
        step = steps[index]
        if any(earlier_steps.may_change(earlier, step) for earlier in steps[:index]):
            continue  # which may take the lock off
        if why := held.why(catalog.get(step.name), step.parameters, states.get(index), earliest):
            of_step = f"step {index + 1}" if len(steps) > 1 else "it"
            return f"AWS will refuse {of_step}, so nobody is asked to sign it. {why}"
    return ""


def must_be_reviewable(
    request: ApprovalRequest, revision: Revision, person: Person, now: datetime, concerned: Concerned | None = None
) -> None:
    """An active human with the right, who neither asked nor edited nor reviewed before. Raises the refusal that fits."""
    must_be_returnable(request, revision, person, now, concerned)
    if Review.objects.filter(revision=revision, person=person).exists():
        raise AlreadyReviewed("You have reviewed this revision already.")


def must_be_returnable(
    request: ApprovalRequest, revision: Revision, person: Person, now: datetime, concerned: Concerned | None = None
) -> None:
    """A reviewer with the right, whether he has reviewed it or not; pending, or approved and not claimed; in time.

    `concerned`: what he and the others hold, where that was looked at already.
    """
    if not person.is_active or not person.is_human:
        raise NotAllowed("Only an active person can review.")
    concerned = concerned or concerned_in(revision, person)
    if person.pk in concerned.behind_it:
        raise OwnRequest("You asked for this, or edited it. Somebody else must review it.")
    if request.request_state is RequestState.DRAFT:
        must_be_somebodys(request)
    if not concerned.held.rights[person.pk] & guardrails_of(revision).keys():
        raise NotAllowed("You have no right to review requests under the guardrails that protect this resource.")
    if request.request_state is RequestState.DRAFT:
        raise WrongState(
            f"This is a draft, revision {revision.number}: its requester has not signed it yet, or has edited it since. "
            "There is nothing to decide until it is signed again."
        )
    must_be_in(request, REVIEWABLE_STATES)
    must_be_in_time(request, now)
    must_be_unclaimed(request)


def must_be_adoptable(request: ApprovalRequest, person: Person, now: datetime) -> None:
    """A draft of a bot or of nobody known, in time; the person is an active human with a login here. Raises what fits.

    Whoever may ask may adopt: by adopting, a person asks, and is barred from deciding as any requester is.
    """
    must_be_in(request, (RequestState.DRAFT,))
    if request.requester is not None and request.requester.is_human:
        raise WrongState(f"{request.requester.handle} stands behind this draft already; only a bot's or nobody's is adopted.")
    must_be_in_time(request, now)
    if person.pk not in permissions.active_among([person.pk]):
        raise NotAllowed("Only an active person with a login here can adopt a draft.")


def must_be_stoppable(request: ApprovalRequest, revision: Revision, person: Person) -> None:
    """Who signed this plan, or may review it, stops what is approved, or what is left of it. Raises NotAllowed, WrongState."""
    must_be_in(request, (RequestState.APPROVED,))
    if person.pk not in permissions.active_among([person.pk]):
        raise NotAllowed("Only an active person can stop this.")
    signed = revision.signatures.filter(person=person).exists()
    if not signed and not permissions.reviewable_by(person) & guardrails_of(revision).keys():
        raise NotAllowed("Whoever signed this plan, or may review it, can stop it; you are neither.")
    must_be_in_nobodys_hands(request)


def must_be_in_the_conversation(request: ApprovalRequest, person: Person) -> None:
    """An active human who may read the request. Raises NotAllowed."""
    if person.pk not in permissions.active_among([person.pk]):
        raise NotAllowed("Only an active person can comment.")
    if not permissions.may_read(person, request):
        raise NotAllowed("Whoever may read a request may comment on it; you may not read this one.")


def must_be_breakable(request: ApprovalRequest, revision: Revision, person: Person, now: datetime) -> None:
    """The requester, where every guardrail has a break-glass and he is of a group that it names; nothing irreversible."""
    must_be_confirmable(request, revision, person, now, at_once=True)
    must_be_in(request, (RequestState.DRAFT,))
    rules = guardrails_of(revision)
    closed = sorted(name for name, one in rules.items() if one.break_glass is None)
    if not rules or closed:
        raise NotAllowed(f"Guardrail {', '.join(closed) or '(none)'} has no break-glass: this takes its usual approvals.")
    groups = permissions.groups_of([person.pk])[person.pk]
    outside = [name for name, one in sorted(rules.items()) if one.break_glass and not groups & set(one.break_glass.groups)]
    if outside:
        raise NotAllowed(f"You are in none of the groups that may break the glass of guardrail {', '.join(outside)}.")
    if protection.is_final(revision.plan.steps):
        raise Refused(
            "This cannot be undone, and no step of it backs up what would be lost: the glass is never broken for it. It takes "
            "its usual approvals."
        )


def must_be_protected(request: ApprovalRequest, revision: Revision, rules: Collection[Rules]) -> None:
    """A backup goes before what cannot be undone, wherever a guardrail asks for it and one is known. Raises Refused."""
    for why in unprotected(request, revision, rules).values():
        raise Refused(f"{why} The page of the plan's steps offers it ready made.")


def unprotected(request: ApprovalRequest, revision: Revision, rules: Collection[Rules]) -> dict[int, str]:
    """By step, counted from 0, the backup that a guardrail asks for and the plan lacks; nothing while there is no plan."""
    if not revision.text or not any(one.protective_step for one in rules):
        return {}
    steps = revision.plan.steps
    return policies.unprotected(rules, steps, calls_of(steps, request.account, request.region))


def must_name_its_ticket(reason: str, rules: Collection[Rules]) -> None:
    """The requester's reason names a ticket wherever a guardrail asks for one. Raises Refused."""
    for one in rules:
        if not tickets.named_in(one.ticket, reason):
            raise Refused(f"Guardrail {one.name} asks for a ticket in the reason, such as {one.ticket}. Add it.")


def must_be_current(revision: Revision, digest: str) -> None:
    """The digest is that of the current revision. Raises StaleRevision."""
    if not revision.digest or revision.digest != digest:
        raise StaleRevision(
            "The plan was edited since you opened it, or the executor has read its target meanwhile and written down what must "
            "still hold of it: your signature would be over something else. Read it again."
        )


def must_have_typed(typed: str, request: ApprovalRequest, revision: Revision, guardrails: dict[str, Rules]) -> None:
    """The target's name was typed where a guardrail asks for it. Raises Refused."""
    asked_for = protection.is_final(revision.plan.steps) and any(rules.irreversible.typed_name for rules in guardrails.values())
    if asked_for and typed.strip() != request.target:
        raise Refused(f"This cannot be undone. Type the name of what it acts on, {request.target}, to approve it.")


def asks_for_a_reason(rules: Collection[Rules]) -> bool:
    """Whether a confirmation or an approval under these guardrails needs one; without any, it does."""
    return not rules or any(one.reason for one in rules)


def given_reason(reason: str, *, needed: bool = True) -> str:
    """The reason, stripped. Raises Refused when it is missing, too long or cannot be stored."""
    reason = reason.strip()
    if not reason and needed:
        raise Refused("Give a reason; whoever reads this later will want to know why.")
    if len(reason) > LONGEST_REASON:
        raise Refused(f"The reason has {len(reason)} characters; at most {LONGEST_REASON} are kept. Shorten it.")
    if "\0" in reason:
        raise Refused("The reason holds a NUL character, which cannot be stored. Remove it.")
    return reason
