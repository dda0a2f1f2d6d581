"""What a view of one request works with: the HTTP request, who looks, the ApprovalRequest, the frame of the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from approvals.models import ApprovalRequest, Person
from portal.listing import url_of
from portal.viewer import Viewer


@dataclass(frozen=True, slots=True)
class Scene:
    """One visit of one page about one request that the viewer may read."""

    http: HttpRequest
    viewer: Viewer
    request: ApprovalRequest
    framed: Callable[[HttpRequest], dict[str, Any]]

    @property
    def frame(self) -> dict[str, Any]:
        """The frame of the page, asked for where there is one: what only leads elsewhere shows none."""
        return self.framed(self.http)

    @property
    def person(self) -> Person:
        """Who looks."""
        return self.viewer.person

    @property
    def back(self) -> str:
        """The address of the review page."""
        return url_of(self.request)

    def field(self, name: str) -> str:
        """A field of the form, or of the address where nothing was posted; empty when it is not there."""
        return (self.http.POST if self.http.method == "POST" else self.http.GET).get(name, "")

    def page(self, template: str, title: str, status: int = 200, **context: Any) -> HttpResponse:
        """Render a page of this scene."""
        whole = {**self.frame, "title": title, "asked": self.request, "back": self.back, **context}
        return TemplateResponse(self.http, template, whole, status=status)

    def done(self, message: str) -> HttpResponse:
        """Say what was done, and go back to the review page."""
        messages.success(self.http, message)
        return HttpResponseRedirect(self.back)
