"""The demo's one-click sign-in: its people with their parts. The address exists only under the demo setting."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from approvals.models import Login, Person
from approvals.permissions import reviewable_by

_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@dataclass(frozen=True, slots=True)
class Stand:
    """Somebody to sign in as. `part` says in words what he may do, read from the authority and not from a script."""

    handle: str
    name: str
    part: str


def people() -> list[Stand]:
    """Whom the sign-in page offers; nobody outside the demo."""
    if not settings.DEMO:
        return []
    persons = Person.objects.filter(is_active=True, is_human=True, logins__user__is_active=True).order_by("handle").distinct()
    return [Stand(person.handle, person.name, _part(person)) for person in persons]


def _part(person: Person) -> str:
    if person.is_administrator:
        return "administrator: closes alerts and sees everything"
    if person.is_auditor:
        return "auditor: sees everything and changes nothing"
    reviews = reviewable_by(person)
    if reviews:
        return f"approver: reviews under {', '.join(sorted(reviews))}"
    groups = sorted(set(person.logins.values_list("user__groups__name", flat=True)) - {None})
    named = f" (group {', '.join(groups)})" if groups else ""
    if "Approvers" in groups:
        return f"approver without a right on this guardrail{named}"
    return f"asks for things{named}"


def sign_in(http: HttpRequest) -> HttpResponse:
    """Sign in as the person `handle` names. POST with a CSRF token, and only in the demo."""
    if not settings.DEMO:
        raise Http404
    if http.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    found = Login.objects.select_related("user").filter(
        person__handle=http.POST.get("handle", ""), person__is_active=True, person__is_human=True, user__is_active=True
    )
    mine = found.first()
    if mine is None:
        return HttpResponse("The demo knows nobody of that name.", status=HTTPStatus.NOT_FOUND, content_type="text/plain")
    login(http, get_user_model().objects.get(pk=mine.user_id), backend=_BACKEND)
    forward = http.POST.get("next", "")
    here = url_has_allowed_host_and_scheme(forward, allowed_hosts={http.get_host()}, require_https=http.is_secure())
    return HttpResponseRedirect(forward if here and forward else reverse("admin:index"))
