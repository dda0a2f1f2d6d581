"""Who is told what. Words only: the executor's delivery sends them. No message carries a token; a link only leads to a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from approvals import outbox
from approvals.models import Alert, ApprovalRequest, AuthorityChange, OutboxKind, OutboxMessage, Person
from approvals.operations import words
from approvals.permissions import reviewers_of

DRAFTED = "request.drafted"
PENDING = "request.pending"
DENIED = "request.denied"
APPROVED = "request.approved"
EXPIRED = "request.expired"
FINISHED = "execution.finished"
ALERT = "alert.raised"
CHANGE_PROPOSED = "change.proposed"
CHANGE_ENDED = "change.ended"


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


def compose(message: OutboxMessage) -> Notification:
    """The notification that an outbox message promises, in words that are true now."""
    if message.topic == ALERT:
        return _alert(Alert.objects.select_related("request", "record").get(pk=int(message.subject)))
    if message.topic in (CHANGE_PROPOSED, CHANGE_ENDED):
        return _change(message.topic, AuthorityChange.objects.select_related("proposer").get(pk=UUID(message.subject)))
    request = ApprovalRequest.objects.select_related("account", "requester").get(pk=UUID(message.subject))
    return _ABOUT_REQUEST[message.topic](request)


def sentence_of(request: ApprovalRequest) -> str:
    """What the request asks for, for example `delete table prod-orders in Production, eu-west-1`."""
    return words.sentence_of(request.current_revision().steps, request.place)


def who_asks(request: ApprovalRequest) -> str:
    """The requester's handle, or the principal that nobody is mapped to."""
    return request.requester.handle if request.requester else words.visible(request.principal) or "somebody unmapped"


def _drafted(request: ApprovalRequest) -> Notification:
    body = (
        f"AWS denied a call of yours: {sentence_of(request)}.\n"
        "Countersign has made a draft of it. Confirm it with a reason, or say that it was not you."
    )
    return _notification(DRAFTED, _requester(request), f"Your denied call: {request.operation}", body, request)


def _pending(request: ApprovalRequest) -> Notification:
    names = [match.guardrail.name for match in request.current_revision().guardrails.select_related("guardrail")]
    to = tuple(person.handle for person in reviewers_of(names) if person != request.requester)
    body = f"{who_asks(request)} asks to {sentence_of(request)}.\nReason:\n{_quoted(request.reason)}"
    return _notification(PENDING, to, f"Review needed: {request.operation}", body, request)


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
}


def _alert(alert: Alert) -> Notification:
    to = tuple(Person.objects.filter(is_administrator=True, is_active=True).values_list("handle", flat=True))
    link = settings.ORIGIN + reverse("admin:approvals_alert_change", args=[alert.pk])
    request_id = alert.request.pk if alert.request else None
    return Notification(
        ALERT, to, _subject(f"ALERT: {alert.get_kind_display()}"), f"{alert.title}\n{alert.detail}\n{link}", request_id
    )


def _change(topic: str, change: AuthorityChange) -> Notification:
    """Administrators are told what is proposed; they and the proposer how it ended. Only the digest is told, never a code."""
    to = set(Person.objects.filter(is_administrator=True, is_active=True).values_list("handle", flat=True))
    link = settings.ORIGIN + reverse("admin:approvals_authoritychange_change", args=[change.pk])
    if topic == CHANGE_PROPOSED:
        subject = "A change of authority waits for signatures"
        body = f"{change.proposer.handle} proposes a change of authority.\nReason:\n{_quoted(change.reason)}"
    else:
        subject = f"Change of authority {change.get_state_display().lower()}"
        body = f"The change of authority that {change.proposer.handle} proposed: {change.state}. {change.ended_why}"
        to.add(change.proposer.handle)
    return Notification(topic, tuple(sorted(to)), _subject(subject), f"{body}\nDigest: {change.digest}\n{link}", None)


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
