"""A refusal as a page: which HTTP status a cause has, and what the person reads."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from approvals.errors import (
    AlreadyReviewed,
    AuditUnavailable,
    BadParameters,
    BadSignature,
    CountersignError,
    NotAllowed,
    StaleChange,
    StaleRevision,
    TooMany,
    Unmapped,
    WrongState,
)


class ProviderAway(CountersignError):
    """The identity provider does not answer, so nobody was signed in by it."""


# The first class that fits wins, so the narrow ones come first.
_STATUS: tuple[tuple[type[CountersignError], HTTPStatus], ...] = (
    (NotAllowed, HTTPStatus.FORBIDDEN),  # OwnRequest is one
    (Unmapped, HTTPStatus.FORBIDDEN),
    (WrongState, HTTPStatus.CONFLICT),  # Expired is one
    (StaleRevision, HTTPStatus.CONFLICT),
    (StaleChange, HTTPStatus.CONFLICT),
    (AlreadyReviewed, HTTPStatus.CONFLICT),
    (BadSignature, HTTPStatus.BAD_REQUEST),
    (BadParameters, HTTPStatus.BAD_REQUEST),
    (AuditUnavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (TooMany, HTTPStatus.TOO_MANY_REQUESTS),
    (ProviderAway, HTTPStatus.SERVICE_UNAVAILABLE),
)
_TITLE = {
    HTTPStatus.FORBIDDEN: "You may not do this",
    HTTPStatus.CONFLICT: "This is no longer possible",
    HTTPStatus.TOO_MANY_REQUESTS: "This is too much at once",
    HTTPStatus.NOT_FOUND: "There is nothing here",
    HTTPStatus.SERVICE_UNAVAILABLE: "Nothing was done",
}

View = Callable[..., HttpResponse]


def status_of(error: CountersignError) -> HTTPStatus:
    """The HTTP status that says what kind of refusal it is."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.BAD_REQUEST)


def page(http: HttpRequest, error: CountersignError, *, back: str = "", context: dict[str, Any] | None = None) -> HttpResponse:
    """What happened and what to do next, with the status of its cause."""
    status = status_of(error)
    title = _TITLE.get(status, "This was refused")
    return TemplateResponse(
        http,
        "portal/refused.html",
        {**(context or {}), "title": title, "said": str(error), "back": back, "status": int(status)},
        status=status,
    )


def shown(view: View) -> View:
    """Wrap a method view of an admin class: a refusal that it raises becomes a page."""

    @wraps(view)
    def wrapped(self: Any, http: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(self, http, *args, **kwargs)
        except CountersignError as error:
            return page(http, error, context=self.admin_site.each_context(http))

    return wrapped
