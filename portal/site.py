"""The admin site: who comes in, where everything is, and the home page. What each page shows stands in `portal.admin`."""

from __future__ import annotations

from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from approvals import statements
from approvals.errors import CountersignError, NotAllowed
from portal import mfa, refusals
from portal.navigation import navigation
from portal.viewer import viewer_of

# Pages of Django's admin that would be a second way to something, or would need rights that the web role does not have.
_CLOSED = frozenset({"password_change", "password_change_done", "autocomplete", "view_on_site", "app_list"})


class PortalSite(AdminSite):
    """Countersign's own admin site."""

    site_title = "Countersign"
    site_header = "Countersign"
    index_title = "Home"
    index_template = "portal/home.html"
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        """An active user of an active person, who may use the portal, with a second factor in this session."""
        return _is_known(request) and mfa.second_factor_shown(request)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """What the frame of every page shows: who is signed in, where he can go, whether executions are paused."""
        context = super().each_context(request)
        viewer = viewer_of(request) if context["has_permission"] else None
        paused = [statements.words_of(one) for one in statements.in_force()] if viewer else []
        return {**context, "viewer": viewer, "navigation": navigation(request, viewer) if viewer else [], "paused": paused}

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """Django's addresses without those that are closed here."""
        return [url for url in super().get_urls() if getattr(url, "name", None) not in _CLOSED]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """The navigation of the frame takes its place."""
        return []

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Home: what waits for me, what runs, what went wrong."""
        from portal.home import home_of

        context = {**self.each_context(request), "title": self.index_title, "home": home_of(viewer_of(request))}
        request.current_app = self.name
        return TemplateResponse(request, self.index_template, {**context, **(extra_context or {})})

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Nobody signs in here: whoever lacks something is sent where he gets it, and told why."""
        forward = _next(request)
        if not request.user.is_authenticated:
            return _to("account_login", forward)
        if self.has_permission(request):
            return HttpResponseRedirect(forward)
        if not _is_known(request):
            return refusals.page(request, _unknown(request))
        if mfa.came_by_single_sign_on(request):
            return refusals.page(request, _PROVIDER_SILENT)
        if is_mfa_enabled(request.user):
            messages.info(request, "Your second factor is set up. Show it once to open the portal.")
            return _to("mfa_reauthenticate", forward)
        messages.warning(
            request,
            "Countersign decides about production, so a password alone does not open it. Set up a second factor now; "
            "you will be asked for it at each sign-in.",
        )
        return _to("mfa_activate_totp", forward)


_PROVIDER_SILENT = NotAllowed(
    "Your identity provider signed you in, but did not say that you used a second factor, and Countersign asks for one. "
    "Sign out, sign in again with your second factor; if that changes nothing, ask whoever runs the provider to send the "
    "`amr` claim for this application."
)


def _is_known(request: HttpRequest) -> bool:
    user = request.user
    if not (user.is_authenticated and user.is_active and user.is_staff):
        return False
    try:
        viewer_of(request)
    except CountersignError:
        return False
    return True


def _unknown(request: HttpRequest) -> CountersignError:
    try:
        viewer_of(request)
    except CountersignError as error:
        return error
    return NotAllowed("This login is not one for the portal. Ask the administrators if it should be.")


def _next(request: HttpRequest) -> str:
    wish = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(wish, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    # The login page itself as a target would be a loop.
    if safe and not wish.startswith(reverse("admin:login")):
        return wish
    return resolve_url("admin:index")


def _to(name: str, forward: str) -> HttpResponseRedirect:
    return HttpResponseRedirect(f"{reverse(name)}?{urlencode({'next': forward})}")


site = PortalSite(name="admin")
