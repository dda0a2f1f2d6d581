"""Sign-in through allauth, narrowed: nobody signs up, a subject of the identity provider is somebody or nobody.

Sign-in keys on provider and subject alone. Names, mail addresses and groups that the provider claims are read by nothing here, so
no claim can add a right.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.decorators import login_not_required
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.providers.openid_connect import views
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods
from requests import RequestException

from approvals.permissions import person_of
from portal import refusals
from portal.mfa import SESSION_AMR
from portal.refusals import ProviderAway

log = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):
    """Local sign-in: only for whom the signed authority knows."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Persons come from the genesis manifest, or from two persons' decision; never from a form."""
        return False


class KnownSubject(SocialLogin):
    """A sign-in that is looked up by provider and subject, and writes nothing of the row but when somebody came.

    allauth would save the whole row; the web process's database role may not say whose subject it is.
    """

    account: SocialAccount

    def _lookup_by_socialaccount(self) -> bool:
        found = SocialAccount.objects.select_related("user").filter(provider=self.account.provider, uid=self.account.uid).first()
        if found is None:
            return False
        SocialAccount.objects.filter(pk=found.pk).update(last_login=timezone.now())
        # What the provider claims is of this sign-in; nothing of it is kept.
        found.extra_data = self.account.extra_data
        self.account, self.user = found, found.user
        return True

    def _lookup_by_email(self) -> None:
        """A mail address is a claim, not an identity."""


class OnlyKnownSubjects(OpenIDConnectProvider):
    """OpenID Connect, with sign-ins of the narrow kind."""

    def sociallogin_from_response(self, request: HttpRequest, response: dict[str, Any]) -> SocialLogin:
        """The sign-in that an answer of the provider describes."""
        usual = super().sociallogin_from_response(request, response)
        return KnownSubject(user=usual.user, account=usual.account, provider=self)


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    """Single sign-on: a known subject comes in, an unknown one reads what to do."""

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Any:
        """The provider, narrowed."""
        found = super().get_provider(request, provider, client_id=client_id)
        return OnlyKnownSubjects(request, app=found.app) if isinstance(found, OpenIDConnectProvider) else found

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """An unknown subject is nobody."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Refuse whom nobody knows, before a session is made; note what the id token says about factors."""
        if sociallogin.state.get("process") == "connect":
            raise ImmediateHttpResponse(_page(request, "connect", sociallogin))
        if not sociallogin.is_existing or person_of(sociallogin.user) is None:
            raise ImmediateHttpResponse(_page(request, "unknown", sociallogin))
        # From the id token alone: userinfo is answered to whoever holds the access token, and says nothing of this sign-in.
        request.session[SESSION_AMR] = _amr(sociallogin.account.extra_data)

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> Any:
        """There is no way here; if there were one, it would end."""
        raise ImmediateHttpResponse(_page(request, "unknown", sociallogin))


@login_not_required
@require_http_methods(["GET", "POST"])
def begin(http: HttpRequest, provider_id: str) -> HttpResponse:
    """Off to the provider, by POST; GET asks whether to go."""
    return _or_say_why_not(http, views.login, provider_id)


@login_not_required
@require_http_methods(["GET", "POST"])
def back(http: HttpRequest, provider_id: str) -> HttpResponse:
    """Back from the provider, with its answer."""
    return _or_say_why_not(http, views.callback, provider_id)


def _or_say_why_not(http: HttpRequest, view: Callable[..., HttpResponse], provider_id: str) -> HttpResponse:
    """allauth asks the provider for its addresses first; one that does not answer is no error of ours."""
    try:
        return view(http, provider_id)
    except RequestException as error:
        log.warning("the identity provider does not answer: %s", type(error).__name__)
        away = ProviderAway(
            "The identity provider does not answer, so you are not signed in. Try again in a minute; if that changes nothing, "
            "tell whoever runs the provider."
        )
        return refusals.page(http, away)


def _amr(extra_data: Any) -> list[str]:
    token = extra_data.get("id_token") if isinstance(extra_data, dict) else None
    amr = token.get("amr") if isinstance(token, dict) else None
    return [method for method in amr if isinstance(method, str)][:20] if isinstance(amr, list) else []


def _page(request: HttpRequest, why: str, sociallogin: SocialLogin) -> HttpResponse:
    account = sociallogin.account
    context = {"why": why, "provider": account.provider, "subject": account.uid}
    return render(request, "portal/unknown_subject.html", context, status=HTTPStatus.FORBIDDEN)
