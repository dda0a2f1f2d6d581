"""Who is told what. Words only: the executor's delivery sends them. No message carries a token; a link only leads to a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from approvals import outbox
from approvals.models import Alert, ApprovalRequest, Comment, Notice, OutboxKind, OutboxMessage, Person, Revision, Signature
from approvals.operations import words
from approvals.permissions import reviewers_of
from approvals.states import RequestState, Verdict

DRAFTED = "request.drafted"
PENDING = "request.pending"
DENIED = "request.denied"
APPROVED = "request.approved"
EXPIRED = "request.expired"
FINISHED = "execution.finished"
ALERT = "alert.raised"
ADOPTED = "request.adopted"
SENT_BACK = "request.sent-back"
STOPPED = "request.stopped"
COMMENTED = "request.commented"
REMINDER = "review.reminder"
ESCALATED = "review.escalated"
RUNS_OUT = "review.runs-out"
NOTICE = "execution.notice"
GLASS_BROKEN = "glass.broken"
GLASS_REVIEWED = "glass.reviewed"
GLASS_OVERDUE = "glass.overdue"

# Of the time that a request may be pending: when its reviewers are reminded (each pause twice the one before), when the
# administrators are told that nobody decides, and when its requester is told that it runs out.
_REMINDED: Final = (1 / 8, 3 / 8, 7 / 8)
_ESCALATED: Final = 1 / 2
_RUNS_OUT: Final = 3 / 4


@dataclass(frozen=True, slots=True)
class Notification:
    """What is published: the persons' handles, a subject of at most 100 ASCII characters (SNS's limit), a body, the topic."""

    topic: str
    to: tuple[str, ...]
    subject: str
    body: str
    request_id: UUID | None


def tell(topic: str, request: ApprovalRequest) -> None:
    """Promise, in the current transaction, to tell whom this topic concerns."""
    outbox.put(OutboxKind.NOTIFY, request.pk, topic=topic)


def tell_about(topic: str, row: int, *, due_at: datetime | None = None) -> None:
    """The same of a row that is no request: a comment, a notice, an alert, a revision that waits for its reviewers."""
    outbox.put(OutboxKind.NOTIFY, row, topic=topic, due_at=due_at)


def remind(request: ApprovalRequest, revision: Revision, now: datetime) -> None:
    """Promise what is said while a request is pending: to reviewers with back-off, to administrators, to the requester.

    Each is dropped without a word when it comes due and the revision is not pending any more.
    """
    if request.pending_until is None:
        return
    whole = request.pending_until - now
    for topic, parts in ((REMINDER, _REMINDED), (ESCALATED, (_ESCALATED,)), (RUNS_OUT, (_RUNS_OUT,))):
        for part in parts:
            tell_about(topic, revision.pk, due_at=now + timedelta(seconds=whole.total_seconds() * part))


def compose(message: OutboxMessage) -> Notification | None:
    """The notification that an outbox message promises, in words that are true now; None when there is nothing left to say."""
    if message.topic == ALERT:
        return _alert(Alert.objects.select_related("request", "record").get(pk=int(message.subject)))
    if message.topic in _ABOUT_ROW:
        return _ABOUT_ROW[message.topic](int(message.subject))
    request = ApprovalRequest.objects.select_related("account", "requester").get(pk=UUID(message.subject))
    return _ABOUT_REQUEST[message.topic](request)


def sentence_of(request: ApprovalRequest) -> str:
    """What the request asks for, for example `delete table prod-orders in Production, eu-west-1`."""
    return words.sentence_of(request.current_revision().steps, request.place)


def who_asks(request: ApprovalRequest) -> str:
    """The requester's handle, or the principal that nobody is mapped to."""
    return request.requester.handle if request.requester else words.visible(request.principal) or "somebody unmapped"


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
    return _notification(DRAFTED, _requester(request), f"Your denied call: {request.operation}", body, request)


def _pending(request: ApprovalRequest) -> Notification:
    body = f"{who_asks(request)} asks to {sentence_of(request)}.\n{_why(request)}"
    return _notification(PENDING, _reviewers(request), f"Review needed: {request.operation}", body, request)


def _adopted(request: ApprovalRequest) -> Notification:
    body = f"You stand behind this draft now: {sentence_of(request)}.\nRead it, then confirm it with a reason and sign."
    return _notification(ADOPTED, _requester(request), f"Adopted: {request.operation}", body, request)


def _sent_back(request: ApprovalRequest) -> Notification:
    said = request.comments.filter(kind=Comment.Kind.RETURNED).select_related("person").last()
    body = f"Sent back: {sentence_of(request)}.\nIt is a draft again, with the same calls; nothing that was signed counts."
    if said is not None:
        body += f"\n{said.person.handle} says:\n{_quoted(said.text)}"
    return _notification(SENT_BACK, _requester(request), f"Sent back: {request.operation}", body, request)


def _stopped(request: ApprovalRequest) -> Notification:
    signed = Signature.objects.filter(revision__request=request, revision__number=request.revision_number)
    to = _once([*_requester(request), *signed.values_list("person__handle", flat=True)])
    body = f"Stopped before it ran: {sentence_of(request)}.\n{request.ended_why}"
    return _notification(STOPPED, to, f"Stopped: {request.operation}", body, request)


def _glass_broken(request: ApprovalRequest) -> Notification:
    body = (
        f"{who_asks(request)} broke the glass to {sentence_of(request)}: approved by one signature and carried out at once.\n"
        f"{_why(request)}\nAnother approver reviews it, on its page."
    )
    to = _once([*_reviewers(request), *_administrators()])
    return _notification(GLASS_BROKEN, to, f"GLASS BROKEN: {request.operation}", body, request)


def _denied(request: ApprovalRequest) -> Notification:
    body = f"Denied: {sentence_of(request)}.\n{request.ended_why}"
    return _notification(DENIED, _requester(request), f"Denied: {request.operation}", body, request)


def _approved(request: ApprovalRequest) -> Notification:
    body = f"Approved, about to run: {sentence_of(request)}."
    return _notification(APPROVED, _requester(request), f"Approved: {request.operation}", body, request)


def _expired(request: ApprovalRequest) -> Notification:
    body = f"Expired: {sentence_of(request)}.\n{request.ended_why}\nFile it again if it is still wanted."
    return _notification(EXPIRED, _requester(request), f"Expired: {request.operation}", body, request)


def _finished(request: ApprovalRequest) -> Notification:
    revision = request.current_revision()
    execution = getattr(revision, "execution", None)
    # An aborted claim may have made the next revision, which says why.
    said = execution.outcome if execution else revision.why
    body = f"{request.status()}: {sentence_of(request)}.\n{said}"
    return _notification(FINISHED, _requester(request), f"{request.status()}: {request.operation}", body, request)


_ABOUT_REQUEST: dict[str, Callable[[ApprovalRequest], Notification]] = {
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


def _still_pending(revision_id: int) -> ApprovalRequest | None:
    """The request of a revision, if that revision still waits for its reviewers."""
    revision = Revision.objects.select_related("request__account", "request__requester").get(pk=revision_id)
    request = revision.request
    waits = request.request_state is RequestState.PENDING and revision.number == request.revision_number
    return request if waits else None


def _reminder(revision_id: int) -> Notification | None:
    request = _still_pending(revision_id)
    if request is None:
        return None
    body = f"Still waiting for review: {who_asks(request)} asks to {sentence_of(request)}.\n{_until(request)}\n{_why(request)}"
    decided = set(Revision.objects.get(pk=revision_id).reviews.values_list("person__handle", flat=True))
    to = tuple(handle for handle in _reviewers(request) if handle not in decided)
    return _notification(REMINDER, to, f"Reminder, review needed: {request.operation}", body, request)


def _escalated(revision_id: int) -> Notification | None:
    request = _still_pending(revision_id)
    if request is None:
        return None
    body = (
        f"Half of its time has passed and nobody has decided it: {who_asks(request)} asks to {sentence_of(request)}.\n"
        f"{_until(request)}\nThose who may review it: {', '.join(_reviewers(request)) or 'nobody'}."
    )
    return _notification(ESCALATED, _administrators(), f"Nobody decides: {request.operation}", body, request)


def _runs_out(revision_id: int) -> Notification | None:
    request = _still_pending(revision_id)
    if request is None:
        return None
    body = f"Not decided yet: {sentence_of(request)}.\n{_until(request)} Ask one of {', '.join(_reviewers(request)) or 'nobody'}."
    return _notification(RUNS_OUT, _requester(request), f"Runs out soon: {request.operation}", body, request)


def _commented(comment_id: int) -> Notification:
    comment = Comment.objects.select_related("person", "request__account", "request__requester").get(pk=comment_id)
    request = comment.request
    reviewed = Revision.objects.filter(request=request, reviews__isnull=False).values_list("reviews__person__handle", flat=True)
    earlier = request.comments.filter(pk__lt=comment.pk).values_list("person__handle", flat=True)
    to = [handle for handle in _once([*_requester(request), *reviewed, *earlier]) if handle != comment.person.handle]
    body = f"{comment.person.handle} writes about: {sentence_of(request)}.\n{_quoted(comment.text)}"
    return _notification(COMMENTED, tuple(to), f"Comment: {request.operation}", body, request)


def _notice(notice_id: int) -> Notification | None:
    """What the execution process wrote, word by word; nothing of it is read again from what the web process could change."""
    notice = Notice.objects.select_related("execution__revision__request").get(pk=notice_id)
    request = notice.execution.revision.request
    if request.request_state is not RequestState.APPROVED:
        return None
    return _notification(NOTICE, tuple(notice.to), "About to run, and cannot be undone: read this", notice.text, request)


def _glass_overdue(alert_id: int) -> Notification | None:
    alert = Alert.objects.select_related("request__account", "request__requester").get(pk=alert_id)
    if alert.closed_at is not None or alert.request is None:
        return None
    request = alert.request
    to = _once([*_administrators(), *_reviewers(request)])
    body = (
        f"{alert.title}.\nIts review was due at {alert.due_at:%Y-%m-%d %H:%M %Z} and is still open. Another approver closes it."
    )
    return _notification(GLASS_OVERDUE, to, f"OVERDUE: review of a break-glass, {request.operation}", body, request)


def _glass_reviewed(alert_id: int) -> Notification | None:
    alert = Alert.objects.select_related("request__account", "request__requester", "closed_by").get(pk=alert_id)
    if alert.request is None:
        return None
    to = _once([*_requester(alert.request), *_administrators()])
    body = f"{alert.title}.\nReviewed by {alert.closed_by}:\n{_quoted(alert.closed_why)}"
    return _notification(GLASS_REVIEWED, to, f"Reviewed: break-glass, {alert.request.operation}", body, alert.request)


_ABOUT_ROW: dict[str, Callable[[int], Notification | None]] = {
    REMINDER: _reminder,
    ESCALATED: _escalated,
    RUNS_OUT: _runs_out,
    COMMENTED: _commented,
    NOTICE: _notice,
    GLASS_OVERDUE: _glass_overdue,
    GLASS_REVIEWED: _glass_reviewed,
}


def _alert(alert: Alert) -> Notification:
    to = _administrators()
    link = settings.ORIGIN + reverse("admin:approvals_alert_change", args=[alert.pk])
    request_id = alert.request.pk if alert.request else None
    return Notification(
        ALERT, to, _subject(f"ALERT: {alert.get_kind_display()}"), f"{alert.title}\n{alert.detail}\n{link}", request_id
    )


def _administrators() -> tuple[str, ...]:
    return tuple(Person.objects.filter(is_administrator=True, is_active=True).values_list("handle", flat=True))


def _reviewers(request: ApprovalRequest) -> tuple[str, ...]:
    """Whoever may review under the guardrails of the current revision, but its requester."""
    names = [match.guardrail.name for match in request.current_revision().guardrails.select_related("guardrail")]
    return tuple(person.handle for person in reviewers_of(names) if person != request.requester)


def _once(handles: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(handles))


def _why(request: ApprovalRequest) -> str:
    if request.unconfirmed and not request.current_revision().signatures.filter(verdict=Verdict.CONFIRM).exists():
        return (
            f"Nobody has confirmed it: it is the call that AWS denied to {words.visible(request.principal)}. "
            "At least two approvers decide it."
        )
    return f"Reason:\n{_quoted(request.reason)}"


def _until(request: ApprovalRequest) -> str:
    return f"It expires at {request.pending_until:%Y-%m-%d %H:%M %Z}."


def _requester(request: ApprovalRequest) -> tuple[str, ...]:
    return (request.requester.handle,) if request.requester else ()


def _notification(topic: str, to: tuple[str, ...], subject: str, body: str, request: ApprovalRequest) -> Notification:
    link = settings.ORIGIN + reverse("admin:approvals_approvalrequest_change", args=[request.pk])
    return Notification(topic, to, _subject(subject), f"{body}\n{link}", request.pk)


def _quoted(text: str) -> str:
    """A person's text line by line, marked as somebody's words and with nothing invisible in it."""
    return "\n".join(f"> {words.visible(line)}" for line in text.splitlines())


def _subject(text: str) -> str:
    plain = words.visible(text).encode("ascii", "replace").decode("ascii")
    return plain if len(plain) <= 100 else plain[:97] + "..."
