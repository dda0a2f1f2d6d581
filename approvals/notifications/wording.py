"""Who is meant, and the words that all notifications share. No message carries a token; a link only leads to a page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from approvals.models import ApprovalRequest, Person
from approvals.operations import words
from approvals.permissions import reviewers_of
from approvals.states import Verdict


@dataclass(frozen=True, slots=True)
class Notification:
    """What is published: the persons' handles, a subject of at most 100 ASCII characters (SNS's limit), a body, the topic."""

    topic: str
    to: tuple[str, ...]
    subject: str
    body: str
    request_id: UUID | None


def sentence_of(request: ApprovalRequest) -> str:
    """What the request asks for, for example `delete table prod-orders in Production, eu-west-1`."""
    return words.sentence_of(request.current_revision().steps, request.place)


def who_asks(request: ApprovalRequest) -> str:
    """The requester's handle, or the principal that nobody is mapped to."""
    return request.requester.handle if request.requester else words.visible(request.principal) or "somebody unmapped"


def administrators() -> tuple[str, ...]:
    """The handles of every active administrator."""
    return tuple(Person.objects.filter(is_administrator=True, is_active=True).values_list("handle", flat=True))


def reviewers(request: ApprovalRequest) -> tuple[str, ...]:
    """Whoever may review under the guardrails of the current revision, but its requester."""
    names = [match.guardrail.name for match in request.current_revision().guardrails.select_related("guardrail")]
    return tuple(person.handle for person in reviewers_of(names) if person != request.requester)


def once(handles: Iterable[str]) -> tuple[str, ...]:
    """Each handle once, in the order in which they come first."""
    return tuple(dict.fromkeys(handles))


def why(request: ApprovalRequest) -> str:
    """The reason that was given, or that nobody has confirmed it."""
    if request.unconfirmed and not request.current_revision().signatures.filter(verdict=Verdict.CONFIRM).exists():
        return (
            f"Nobody has confirmed it: it is the call that AWS denied to {words.visible(request.principal)}. "
            "At least two approvers decide it."
        )
    return f"Reason:\n{quoted(request.reason)}"


def until(request: ApprovalRequest) -> str:
    """When a pending request runs out."""
    return f"It expires at {request.pending_until:%Y-%m-%d %H:%M %Z}."


def requester(request: ApprovalRequest) -> tuple[str, ...]:
    """The requester's handle, where there is a requester."""
    return (request.requester.handle,) if request.requester else ()


def notification(topic: str, to: tuple[str, ...], subject: str, body: str, request: ApprovalRequest) -> Notification:
    """A notification about a request, with the link to its page."""
    link = settings.ORIGIN + reverse("admin:approvals_approvalrequest_change", args=[request.pk])
    return Notification(topic, to, plain_subject(subject), f"{body}\n{link}", request.pk)


def quoted(text: str) -> str:
    """A person's text line by line, marked as somebody's words and with nothing invisible in it."""
    return "\n".join(f"> {words.visible(line)}" for line in text.splitlines())


def plain_subject(text: str) -> str:
    """A subject that SNS takes: printable ASCII, at most 100 characters."""
    plain = words.visible(text).encode("ascii", "replace").decode("ascii")
    return plain if len(plain) <= 100 else plain[:97] + "..."
