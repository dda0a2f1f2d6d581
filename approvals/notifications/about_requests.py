"""What is told of a request as it stands now: each function writes one topic's notification."""

from __future__ import annotations

from collections.abc import Callable

from approvals.models import ApprovalRequest, Comment, Signature
from approvals.notifications.topics import (
    ADOPTED,
    APPROVED,
    DENIED,
    DRAFTED,
    EXPIRED,
    FINISHED,
    GLASS_BROKEN,
    PENDING,
    SENT_BACK,
    STOPPED,
)
from approvals.notifications.wording import (
    Notification,
    administrators,
    notification,
    once,
    quoted,
    requester,
    reviewers,
    sentence_of,
    who_asks,
    why,
)


def _drafted(request: ApprovalRequest) -> Notification:
    if request.requester is not None and not request.requester.is_human:
        next_step = "Countersign has made a draft of it. A bot signs nothing: a person adopts the draft, and is its requester."
    elif request.unconfirmed:
        next_step = (
            "Its guardrails let approvers decide it as it was recorded. Confirm it with a reason, or say that it was not you: "
            "that ends it at once."
        )
    else:
        next_step = "Countersign has made a draft of it. Confirm it with a reason, or say that it was not you."
    body = f"AWS denied a call of yours: {sentence_of(request)}.\n{next_step}"
    return notification(DRAFTED, requester(request), f"Your denied call: {request.operation}", body, request)


def _pending(request: ApprovalRequest) -> Notification:
    body = f"{who_asks(request)} asks to {sentence_of(request)}.\n{why(request)}"
    return notification(PENDING, reviewers(request), f"Review needed: {request.operation}", body, request)


def _adopted(request: ApprovalRequest) -> Notification:
    body = f"You stand behind this draft now: {sentence_of(request)}.\nRead it, then confirm it with a reason and sign."
    return notification(ADOPTED, requester(request), f"Adopted: {request.operation}", body, request)


def _sent_back(request: ApprovalRequest) -> Notification:
    said = request.comments.filter(kind=Comment.Kind.RETURNED).select_related("person").last()
    body = f"Sent back: {sentence_of(request)}.\nIt is a draft again, with the same calls; nothing that was signed counts."
    if said is not None:
        body += f"\n{said.person.handle} says:\n{quoted(said.text)}"
    return notification(SENT_BACK, requester(request), f"Sent back: {request.operation}", body, request)


def _stopped(request: ApprovalRequest) -> Notification:
    signed = Signature.objects.filter(revision__request=request, revision__number=request.revision_number)
    to = once([*requester(request), *signed.values_list("person__handle", flat=True)])
    body = f"Stopped: {sentence_of(request)}.\n{request.ended_why}"
    return notification(STOPPED, to, f"Stopped: {request.operation}", body, request)


def _glass_broken(request: ApprovalRequest) -> Notification:
    body = (
        f"{who_asks(request)} broke the glass to {sentence_of(request)}: approved by one signature and carried out at once.\n"
        f"{why(request)}\nAnother approver reviews it, on its page."
    )
    to = once([*reviewers(request), *administrators()])
    return notification(GLASS_BROKEN, to, f"GLASS BROKEN: {request.operation}", body, request)


def _denied(request: ApprovalRequest) -> Notification:
    body = f"Denied: {sentence_of(request)}.\n{request.ended_why}"
    return notification(DENIED, requester(request), f"Denied: {request.operation}", body, request)


def _approved(request: ApprovalRequest) -> Notification:
    body = f"Approved, about to run: {sentence_of(request)}."
    return notification(APPROVED, requester(request), f"Approved: {request.operation}", body, request)


def _expired(request: ApprovalRequest) -> Notification:
    body = f"Expired: {sentence_of(request)}.\n{request.ended_why}\nFile it again if it is still wanted."
    return notification(EXPIRED, requester(request), f"Expired: {request.operation}", body, request)


def _finished(request: ApprovalRequest) -> Notification:
    revision = request.current_revision()
    execution = getattr(revision, "execution", None)
    # An aborted claim may have made the next revision, which says why.
    said = execution.outcome if execution else revision.why
    body = f"{request.status()}: {sentence_of(request)}.\n{said}"
    return notification(FINISHED, requester(request), f"{request.status()}: {request.operation}", body, request)


ABOUT_REQUEST: dict[str, Callable[[ApprovalRequest], Notification]] = {
    DRAFTED: _drafted,
    PENDING: _pending,
    DENIED: _denied,
    APPROVED: _approved,
    EXPIRED: _expired,
    FINISHED: _finished,
    ADOPTED: _adopted,
    SENT_BACK: _sent_back,
    STOPPED: _stopped,
    GLASS_BROKEN: _glass_broken,
}
