"""What a person may do with a request now: the buttons of its page. The verdicts are those of `approvals.decisions`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils import timezone

from approvals import decisions
from approvals.models import Alert, ApprovalRequest, Person
from approvals.states import RequestState


@dataclass(frozen=True, slots=True)
class Offer:
    """A button: its label, where it leads, whether it is the one to press."""

    verb: str
    label: str
    url: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Offers:
    """The buttons that would work, and why the decisive ones would not, for whoever might expect them."""

    buttons: tuple[Offer, ...]
    why_not: str
    may_edit: bool
    may_stop: bool
    may_comment: bool
    may_review_glass: bool


def offers_for(request: ApprovalRequest, person: Person, *, glass: Alert | None = None, now: datetime | None = None) -> Offers:
    """Ask `decisions` for each verb; nothing is judged here. `glass` is the open review of a break-glass, if there is one."""
    now, revision = now or timezone.now(), request.current_revision()
    asked_by_me = request.requester_id == person.pk
    why_not_review = decisions.why_not_review(request, person, revision=revision, now=now)
    why_not_confirm = decisions.why_not_confirm(request, person, revision=revision, now=now)
    buttons = []
    if not why_not_review:
        pending = request.state == RequestState.PENDING
        buttons.append(_offer(request, "decide", "Approve or deny" if pending else "Deny", "main" if pending else ""))
    # Whoever may review may send back; who has reviewed already may still do that.
    if not why_not_review or not decisions.why_not_return(request, person, revision=revision, now=now):
        buttons.append(_offer(request, "return", "Send back with a message"))
    if not decisions.why_not_adopt(request, person, now=now):
        buttons.append(_offer(request, "adopt", "Adopt this draft", "main"))
    if not why_not_confirm:
        buttons.append(_offer(request, "confirm", "Confirm and sign", "main"))
    if not decisions.why_not_break(request, person, revision=revision, now=now):
        buttons.append(_offer(request, "glass", "Break the glass", "danger"))
    may_edit = not decisions.why_not_complete(request, person, now=now)
    if may_edit:
        tone = "" if not why_not_confirm else "main" if request.state == RequestState.DRAFT else ""
        buttons.append(_offer(request, "complete", _edit_label(request, why_not_confirm), tone))
        if revision.text:
            buttons.append(_offer(request, "plan", "Add or move steps"))
    if not decisions.why_not_end(request, person, RequestState.WITHDRAWN):
        buttons.append(_offer(request, "withdraw", "Withdraw"))
    if not decisions.why_not_end(request, person, RequestState.DISOWNED):
        buttons.append(_offer(request, "disown", "This was not me", "danger"))
    why_not = "" if buttons else (why_not_confirm if asked_by_me else why_not_review)
    return Offers(
        tuple(buttons),
        why_not,
        may_edit,
        may_stop=not decisions.why_not_stop(request, person, revision=revision),
        may_comment=not decisions.why_not_comment(request, person),
        may_review_glass=glass is not None and not decisions.why_not_review_glass(glass, request, person),
    )


def _offer(request: ApprovalRequest, verb: str, label: str, tone: str = "") -> Offer:
    return Offer(verb, label, reverse(f"admin:approvals_approvalrequest_{verb}", args=[request.pk]), tone)


def _edit_label(request: ApprovalRequest, why_not_confirm: str) -> str:
    return "Edit the parameters" if not why_not_confirm or request.state != RequestState.DRAFT else "Complete the parameters"
