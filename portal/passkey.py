"""Make a passkey for the genesis manifest: the ceremony of registration, and the lines to copy.

It stores nothing and grants nothing: a passkey counts once it stands in the sealed manifest. So it is open to everybody until the
genesis is sealed (before that nobody can sign in), and to those who are signed in afterwards.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.crypto import get_random_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from fido2 import cbor
from fido2.server import Fido2Server
from fido2.utils import websafe_encode
from fido2.webauthn import (
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from approvals.models import AuthorityLink
from portal.site import site

_STATE = "countersign_passkey_state"
LARGEST = 64 * 1024


@never_cache
@require_http_methods(["GET", "POST"])
def make(http: HttpRequest) -> HttpResponse:
    """GET explains; POST `step=begin` opens the ceremony; POST `step=finish` with `credential` (JSON) shows the lines."""
    signed_in = site.has_permission(http)
    if not signed_in and AuthorityLink.objects.exists():
        return HttpResponseRedirect(f"{reverse('admin:login')}?next={http.path}")
    context: dict[str, Any] = site.each_context(http) if signed_in else {"site_header": site.site_header}
    context["title"] = "Make a passkey for the genesis manifest"
    if http.method == "POST" and http.POST.get("step") == "begin":
        context["options"] = _begin(http)
    elif http.method == "POST":
        try:
            context["snippet"] = _finish(http)
        except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError) as error:
            context["problem"] = (
                f"The authenticator's answer was not accepted ({str(error) or type(error).__name__}). "
                "Nothing was kept; begin again."
            )
    status = HTTPStatus.BAD_REQUEST if "problem" in context else HTTPStatus.OK
    return TemplateResponse(http, "portal/passkey.html", context, status=status)


def _server() -> Fido2Server:
    party = PublicKeyCredentialRpEntity(name="Countersign", id=settings.RP_ID)
    return Fido2Server(party, verify_origin=lambda origin: origin == settings.ORIGIN)


def _begin(http: HttpRequest) -> str:
    """The options of navigator.credentials.create as JSON, bytes as base64url."""
    name = http.user.get_username() if http.user.is_authenticated else "new person"
    user = PublicKeyCredentialUserEntity(name=name, id=get_random_string(32).encode(), display_name=name)
    options, state = _server().register_begin(
        user,
        resident_key_requirement=ResidentKeyRequirement.DISCOURAGED,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    http.session[_STATE] = state
    return json.dumps(dict(options.public_key), default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return websafe_encode(value)
    return dict(value)


def _finish(http: HttpRequest) -> str:
    state = http.session.pop(_STATE, None)
    text = http.POST.get("credential", "")
    if state is None or not text or len(text) > LARGEST:
        raise ValueError("the ceremony was not begun here, or was finished before")
    data = _server().register_complete(state, json.loads(text)).credential_data
    if data is None:
        raise ValueError("the answer holds no credential")
    key = websafe_encode(cbor.encode(data.public_key))
    label = "".join(char for char in http.POST.get("label", "") if char.isalnum() or char in " -_")[:60].strip() or "passkey"
    return (
        "passkeys:\n"
        f"  - credential_id: {json.dumps(websafe_encode(data.credential_id))}\n"
        f"    public_key: {json.dumps(key)}\n"
        f"    label: {json.dumps(label)}\n"
    )
