"""The page of a form that proposes: GET shows what is now, POST `add` adds a row, POST proposes and leads to the change.

What authority said when the form was opened travels in `seen`: if another change was applied meanwhile, the form says so and
shows what was typed, instead of proposing to take the other change back.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse

from approvals import changes
from approvals.errors import BadChange, CountersignError, NotAllowed, StaleChange
from approvals.models import AuthorityLink
from portal import refusals
from portal.change_page import url_of
from portal.proposing.base import Proposal, with_another_row
from portal.viewer import Viewer, viewer_of


def may_propose(viewer: Viewer) -> bool:
    """Whether the forms that show and change the whole are offered to this person."""
    return viewer.person.is_administrator


def propose(
    http: HttpRequest, frame: dict[str, Any], form_type: type[Proposal], thing: Any, *, back: str, for_all: bool = False
) -> HttpResponse:
    """Show the form, or propose what was typed. `for_all`: the caller has said who may see this form."""
    viewer = viewer_of(http)
    if not for_all and not may_propose(viewer):
        raise NotAllowed("Administrators propose changes here. Ask one of them.")
    if http.method not in ("GET", "HEAD", "POST"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD, POST"})
    context = {**frame, "back": back}
    if http.method != "POST":
        return _page(http, context, form_type(thing))
    if row := next((name for name in form_type.rows if http.POST.get("add") == name), None):
        return _page(http, context, form_type(thing, with_another_row(http.POST, row), quiet=True))
    form = form_type(thing, _plain(http.POST))
    error: CountersignError | None = None
    if form.is_valid():
        try:
            _must_be_seen(http.POST.get("seen", ""))
            edits = form.edits()
            if not edits:
                raise BadChange("Nothing would change: everything in this form is as it is now.")
            change = changes.propose(viewer.person, edits, reason=form.cleaned_data["reason"])
        except CountersignError as refusal:
            error = None if form.place(refusal) else refusal
        else:
            messages.success(http, "Proposed. Nothing changes before enough administrators have signed it.")
            return HttpResponseRedirect(url_of(change))
    status = refusals.status_of(error) if error else 400
    return _page(http, context, form, problem=str(error or ""), status=status)


def _plain(posted: QueryDict) -> QueryDict:
    """A browser writes line ends its own way; what is kept has plain ones."""
    data = posted.copy()
    data["reason"] = posted.get("reason", "").replace("\r\n", "\n")
    return data


def _newest() -> str:
    return AuthorityLink.objects.order_by("-number").values_list("hash", flat=True).first() or ""


def _must_be_seen(seen: str) -> None:
    if seen != _newest():
        raise StaleChange(
            "Another change of authority was applied since you opened this form. What you typed is still here; what holds now "
            "may differ from it. Compare, and send it again."
        )


def _page(http: HttpRequest, context: dict[str, Any], form: Proposal, *, problem: str = "", status: int = 200) -> HttpResponse:
    whole = {**context, "title": form.heading(), "form": form, "seen": _newest(), "problem": problem, "wrong": form.wrong()}
    return TemplateResponse(http, "portal/propose.html", whole, status=status)
