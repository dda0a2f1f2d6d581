"""What is told of a row that is no request: reminders of a revision, comments, notices, alerts, changes of authority."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.urls import reverse

from approvals.authority import words as authority_words
from approvals.models import Alert, ApprovalRequest, AuthorityChange, Comment, Notice, Revision
from approvals.notifications.topics import (
    ALERT,
    CHANGE_PROPOSED,
    COMMENTED,
    ESCALATED,
    GLASS_OVERDUE,
    GLASS_REVIEWED,
    NOTICE,
    REMINDER,
    RUNS_OUT,
)
from approvals.notifications.wording import (
    Notification,
    administrators,
    notification,
    once,
    plain_subject,
    quoted,
    requester,
    reviewers,
    sentence_of,
    until,
    who_asks,
    why,
)
from approvals.operations import words
from approvals.states import RequestState


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
    body = f"Still waiting for review: {who_asks(request)} asks to {sentence_of(request)}.\n{until(request)}\n{why(request)}"
    decided = set(Revision.objects.get(pk=revision_id).reviews.values_list("person__handle", flat=True))
    to = tuple(handle for handle in reviewers(request) if handle not in decided)
    return notification(REMINDER, to, f"Reminder, review needed: {request.operation}", body, request)


def _escalated(revision_id: int) -> Notification | None:
    request = _still_pending(revision_id)
    if request is None:
        return None
    body = (
        f"Half of its time has passed and nobody has decided it: {who_asks(request)} asks to {sentence_of(request)}.\n"
        f"{until(request)}\nThose who may review it: {', '.join(reviewers(request)) or 'nobody'}."
    )
    return notification(ESCALATED, administrators(), f"Nobody decides: {request.operation}", body, request)


def _runs_out(revision_id: int) -> Notification | None:
    request = _still_pending(revision_id)
    if request is None:
        return None
    body = f"Not decided yet: {sentence_of(request)}.\n{until(request)} Ask one of {', '.join(reviewers(request)) or 'nobody'}."
    return notification(RUNS_OUT, requester(request), f"Runs out soon: {request.operation}", body, request)


def _commented(comment_id: int) -> Notification:
    comment = Comment.objects.select_related("person", "request__account", "request__requester").get(pk=comment_id)
    request = comment.request
    reviewed = Revision.objects.filter(request=request, reviews__isnull=False).values_list("reviews__person__handle", flat=True)
    earlier = request.comments.filter(pk__lt=comment.pk).values_list("person__handle", flat=True)
    to = [handle for handle in once([*requester(request), *reviewed, *earlier]) if handle != comment.person.handle]
    body = f"{comment.person.handle} writes about: {sentence_of(request)}.\n{quoted(comment.text)}"
    return notification(COMMENTED, tuple(to), f"Comment: {request.operation}", body, request)


def _notice(notice_id: int) -> Notification | None:
    """What the execution process wrote, word by word; nothing of it is read again from what the web process could change."""
    notice = Notice.objects.select_related("execution__revision__request").get(pk=notice_id)
    request = notice.execution.revision.request
    if request.request_state is not RequestState.APPROVED:
        return None
    return notification(NOTICE, tuple(notice.to), "About to run, and cannot be undone: read this", notice.text, request)


def _glass_overdue(alert_id: int) -> Notification | None:
    alert = Alert.objects.select_related("request__account", "request__requester").get(pk=alert_id)
    if alert.closed_at is not None or alert.request is None:
        return None
    request = alert.request
    to = once([*administrators(), *reviewers(request)])
    body = (
        f"{alert.title}.\nIts review was due at {alert.due_at:%Y-%m-%d %H:%M %Z} and is still open. Another approver closes it."
    )
    return notification(GLASS_OVERDUE, to, f"OVERDUE: review of a break-glass, {request.operation}", body, request)


def _glass_reviewed(alert_id: int) -> Notification | None:
    alert = Alert.objects.select_related("request__account", "request__requester", "closed_by").get(pk=alert_id)
    if alert.request is None:
        return None
    to = once([*requester(alert.request), *administrators()])
    body = f"{alert.title}.\nReviewed by {alert.closed_by}:\n{quoted(alert.closed_why)}"
    return notification(GLASS_REVIEWED, to, f"Reviewed: break-glass, {alert.request.operation}", body, alert.request)


ABOUT_ROW: dict[str, Callable[[int], Notification | None]] = {
    REMINDER: _reminder,
    ESCALATED: _escalated,
    RUNS_OUT: _runs_out,
    COMMENTED: _commented,
    NOTICE: _notice,
    GLASS_OVERDUE: _glass_overdue,
    GLASS_REVIEWED: _glass_reviewed,
}


def alert_raised(alert: Alert) -> Notification:
    to = administrators()
    link = settings.ORIGIN + reverse("admin:approvals_alert_change", args=[alert.pk])
    request_id = alert.request.pk if alert.request else None
    return Notification(
        ALERT, to, plain_subject(f"ALERT: {alert.get_kind_display()}"), f"{alert.title}\n{alert.detail}\n{link}", request_id
    )


def change_of_authority(topic: str, change: AuthorityChange) -> Notification:
    """Administrators are told what is proposed; they and the proposer how it ended. Only the digest is told, never a code."""
    to = set(administrators())
    link = settings.ORIGIN + reverse("admin:approvals_authoritychange_change", args=[change.pk])
    asked = authority_words.ENROLMENT if change.kind == "enrolment" else words.visible(authority_words.sentence_in(change.edits))
    if topic == CHANGE_PROPOSED:
        subject = "A change of authority waits for signatures"
        body = f"{change.proposer.handle} proposes to {asked}.\nReason:\n{quoted(change.reason)}"
    else:
        subject = f"Change of authority {change.get_state_display().lower()}"
        why = "" if change.state == "applied" else f" {words.visible(change.ended_why)}"
        body = f"{change.proposer.handle} proposed to {asked}: {change.state}.{why}"
        to.add(change.proposer.handle)
    return Notification(topic, tuple(sorted(to)), plain_subject(subject), f"{body}\nDigest: {change.digest}\n{link}", None)
