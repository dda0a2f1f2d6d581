"""Everything that the review page shows, read from the bytes that are signed.

What will be done comes from `revision.plan`, which is parsed from the text under the digest; only where there is no plan yet does
it come from the draft, and the page says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import jmespath
from django.db.models import F

from approvals import canonical, decisions, permissions
from approvals.decisions import checks
from approvals.errors import Refused
from approvals.models import (
    Account,
    Alert,
    AlertKind,
    ApprovalRequest,
    Comment,
    Person,
    Review,
    Revision,
    Source,
    TrailRecord,
)
from approvals.operations import catalog, partial, protection, reach, risk, words
from approvals.operations.catalog import Operation
from approvals.operations.facts import Danger
from approvals.operations.facts import rows as described_operations
from approvals.operations.reach import Right
from approvals.operations.resources import Where
from approvals.plan import Step
from approvals.policies import Rules
from approvals.states import RequestState, Status
from portal import as_signed, live_state, ready, recorded, undoing
from portal.as_signed import Pinned, Stopped
from portal.held import Held, held_of
from portal.listing import asker_of, clock_of
from portal.live_state import LiveState, Looks
from portal.put_off import PutOff, put_off_of
from portal.quorum import Quorum, quorum_of
from portal.ready import ReadyMade
from portal.recorded import LeftOpen
from portal.shown import Shown, leaves, text_of


@dataclass(frozen=True, slots=True)
class Defaulted:
    """A dangerous member that the call does not set and AWS then chooses: why it is dangerous, and what AWS takes."""

    name: str
    why: str
    default: str


@dataclass(frozen=True, slots=True)
class ShownStep:
    """One AWS call of the plan."""

    number: int
    sentence: str
    operation: str
    resource: str
    destroys: str
    irreversible: bool
    undo: str
    lost: str
    # Whether a row of ours describes the operation, or nothing is known of it but its name and parameters.
    curated: bool
    rows: tuple[Shown, ...]
    defaulted: tuple[Defaulted, ...]
    # Dangerous members that the call does not set although AWS refuses it without them, with the reason.
    wanted: tuple[tuple[str, str], ...]
    # Dangerous members that the call does not set and so leaves as they are.
    left_alone: tuple[str, ...]
    # Whether AWS may carry out a part of it and still say yes.
    in_parts: bool
    # What the executor's session for it may do and on which ARNs, as far as that is known now: first the call itself.
    rights: tuple[Right, ...]
    # Other operations that lead to the same loss.
    same_loss: tuple[str, ...]
    live: LiveState
    after: LiveState
    pinned: Pinned
    refused_now: str
    # The steps whose backups protect from its loss, whether a last snapshot of its own does, and which guardrail asks for one.
    kept_by: tuple[int, ...]
    keeps_itself: bool
    asked_for: str
    ready: tuple[ReadyMade, ...]
    command: str


@dataclass(frozen=True, slots=True)
class ReviewPage:
    """The page from top to bottom. Texts that come from outside go through `words.visible` here or in the template."""

    request: ApprovalRequest
    revision: Revision
    status: Status
    is_done: bool
    when_read: str
    sentence: str
    who: str
    place: str
    role: str
    complete: bool
    genuine: bool
    clock: datetime | None
    steps: tuple[ShownStep, ...]
    quorum: tuple[Quorum, ...]
    denied_by: str
    confirmed_by: str
    reviews: tuple[Review, ...]
    can_still_decide: tuple[Person, ...]
    identities: tuple[str, ...]
    record: TrailRecord | None
    left_open: tuple[LeftOpen, ...]
    irreversible: bool
    typed_name: bool
    # Nobody confirmed it, and approvers may decide it all the same.
    unconfirmed: bool
    # Why nobody can approve it: no person stands behind it.
    nobodys: str
    held: Held | None
    thread: tuple[Comment, ...]
    # The ways back of what was done.
    undo: tuple[undoing.Offer, ...]
    # The review of a break-glass, open or closed.
    glass: Alert | None
    # What stopped the last approval, while it is to be signed anew.
    stopped: Stopped | None
    # The executor comes back later, since AWS refused for now.
    put_off: PutOff | None


def page_of(request: ApprovalRequest) -> ReviewPage:
    """Read the current revision and everything around it. A constant number of queries for a plan of any size."""
    revision = request.current_revision()
    steps, place, role = _source(request, revision)
    rules = decisions.guardrails_of(revision)
    operations = [catalog.get(step.name) for step in steps]
    looks = live_state.newest(revision, operations)
    status = request.status()
    resolution = decisions.resolution_of(revision, rules)
    reviews = tuple(revision.reviews.select_related("person"))
    asked = checks.unprotected(request, revision, rules.values())
    plan = revision.plan if revision.text else None
    account = request.account
    here = Where(account.pk, request.region, account.partition)
    where = Where(plan.account, plan.region, plan.partition) if plan else here
    pins = [as_signed.pinned_of(plan, index, step, seen) for index, (step, seen) in enumerate(zip(steps, looks, strict=True))]
    shown = tuple(_step(steps, index, seen, pins[index], where, place, asked.get(index, "")) for index, seen in enumerate(looks))
    final = protection.is_final(steps)
    confirmed = revision.signatures.filter(verdict__in=["confirm", "breakglass"]).select_related("person").first()
    return ReviewPage(
        request=request,
        revision=revision,
        status=status,
        is_done=status is Status.DONE,
        when_read=_when_read(status),
        sentence=words.sentence_of(steps, place),
        who=asker_of(request),
        place=place,
        role=role,
        complete=bool(revision.text),
        genuine=not revision.text or canonical.digest(revision.text) == revision.digest,
        clock=clock_of(request),
        steps=shown,
        quorum=quorum_of(request, revision, rules, resolution),
        denied_by=_handle(resolution.denied_by, reviews),
        confirmed_by=confirmed.person.handle if confirmed else "",
        reviews=reviews,
        can_still_decide=_can_still_decide(request, rules, reviews),
        identities=_identities(request),
        record=request.records.order_by("received_at", "id").first(),
        left_open=recorded.of(request) if request.source == Source.EVENT else (),
        irreversible=final,
        typed_name=final and any(rule.irreversible.typed_name for rule in rules.values()),
        unconfirmed=request.unconfirmed and confirmed is None,
        nobodys=_nobodys(request),
        held=held_of(request, revision, list(rules.values())),
        undo=undoing.offers(request, revision, steps, looks),
        thread=tuple(request.comments.select_related("person", "revision")),
        glass=glass_of(request),
        stopped=as_signed.stopped_of(request, revision) if status in (Status.DRAFT, Status.WAITING) else None,
        put_off=put_off_of(getattr(revision, "execution", None)),
    )


def glass_of(request: ApprovalRequest) -> Alert | None:
    """The review of a break-glass: one that is open, else the newest. Each time that the glass is broken has its own."""
    found = Alert.objects.filter(request=request, kind=AlertKind.GLASS).select_related("closed_by")
    return found.order_by(F("closed_at").desc(nulls_first=True), "raised_at").first()


def _nobodys(request: ApprovalRequest) -> str:
    if request.request_state is not RequestState.DRAFT:
        return ""
    try:
        checks.must_be_somebodys(request)
    except Refused as refusal:
        return str(refusal)
    return ""


def _source(request: ApprovalRequest, revision: Revision) -> tuple[list[Step], str, str]:
    """The steps, the place in words and the role: from the plan's bytes, or from the draft while there is no plan."""
    if revision.text:
        plan = revision.plan
        account = request.account if plan.account == request.account_id else Account.objects.filter(pk=plan.account).first()
        alias = account.alias if account else plan.account
        return list(plan.steps), f"{alias}, {plan.region}", plan.role
    return revision.steps, request.place, request.account.executor_role_arn


def _when_read(status: Status) -> str:
    """The heading over what was read for the review: it is the present only until a call is made, or never will be."""
    if status in (Status.DRAFT, Status.WAITING, Status.APPROVED):
        return "Is now"
    if status in (Status.RUNNING, Status.DONE, Status.FAILED, Status.UNKNOWN):
        return "Before the call"
    return "When it was read"


def _step(steps: list[Step], index: int, looks: Looks, pinned: Pinned, where: Where, place: str, asked: str) -> ShownStep:
    step = steps[index]
    operation = catalog.get(step.name)
    facts, worst = operation.facts, risk.worst(operation)
    identifying = facts.identifies
    live, after = looks.before, looks.after
    kept = protection.covered(steps).get(index, ())
    rows = tuple(
        Shown(
            path,
            text_of(value),
            danger,
            note="" if number else danger,
            now="" if name in identifying else live_state.beside(operation, live.state, path),
            why_not_now=live_state.without_value(live, operation, path),
            after="" if name in identifying else live_state.beside(operation, after.state, path),
            why_not_after=live_state.without_value(after, operation, path),
            identifies=name in identifying,
        )
        for name, whole, danger in risk.ordered(operation, step.parameters)
        for number, (path, value) in enumerate(leaves(words.visible(name), whole))
    )
    return ShownStep(
        number=index + 1,
        sentence=words.sentence(step, place),
        operation=step.name,
        resource=", ".join(words.named(step.parameters, name) for name in identifying),
        destroys=worst.destroys,
        irreversible=protection.is_loss(step.name, step.parameters),
        undo=worst.undo,
        lost=worst.lost,
        curated=facts.curated,
        rows=rows,
        defaulted=tuple(
            Defaulted(name, danger.why, text_of(danger.default))
            for name, danger in sorted(facts.dangerous.items())
            if name not in step.parameters and _is_chosen(danger)
        ),
        wanted=tuple((name, danger.why) for name, danger in sorted(facts.dangerous.items()) if _is_wanted(name, danger, step)),
        left_alone=tuple(
            sorted(
                name
                for name, danger in facts.dangerous.items()
                if name not in step.parameters and not _is_chosen(danger) and not _is_wanted(name, danger, step)
            )
        ),
        in_parts=partial.can_be(operation),
        rights=reach.rights(operation, step.parameters, where, live.reading.state),
        same_loss=_same_loss(operation),
        live=live,
        after=after,
        pinned=pinned,
        refused_now=ready.in_the_way(steps, index, live),
        kept_by=tuple(at + 1 for at in kept if at != index),
        keeps_itself=index in kept,
        asked_for=asked,
        ready=ready.made_for(steps, index, live, asked=bool(asked)),
        command=words.cli(step, where.region),
    )


def _is_chosen(danger: Danger) -> bool:
    """Whether AWS takes a value of its own when the member is left out."""
    return danger.has_default and danger.default is not None


def _is_wanted(name: str, danger: Danger, step: Step) -> bool:
    """Whether AWS refuses the call because the member is not there."""
    return name not in step.parameters and bool(danger.wanted) and _holds(danger.wanted, step)


def _holds(when: str, step: Step) -> bool:
    return not when or bool(jmespath.search(when, step.parameters))


def _same_loss(operation: Operation) -> tuple[str, ...]:
    family = operation.facts.family
    same = (name for name, row in described_operations().items() if family and row.get("family") == family)
    return tuple(sorted(name for name in same if name != operation.full_name))


def _handle(person: str, reviews: tuple[Review, ...]) -> str:
    return next((review.person.handle for review in reviews if str(review.person_id) == person), "")


def _can_still_decide(request: ApprovalRequest, rules: dict[str, Rules], reviews: tuple[Review, ...]) -> tuple[Person, ...]:
    out = decisions.editors_of(request) | {review.person_id for review in reviews}
    return tuple(person for person in permissions.reviewers_of(list(rules)).order_by("handle") if person.pk not in out)


def _identities(request: ApprovalRequest) -> tuple[str, ...]:
    if request.requester is None:
        return ()
    principals = request.requester.principals.order_by("kind", "value")
    return tuple(f"{principal.get_kind_display()} {words.visible(principal.value)}" for principal in principals)
