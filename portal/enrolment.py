"""Registering passkeys by an enrolment link: `/enrol/<id>/` for the invited person, signed in with a second factor.

GET shows how far it is and changes nothing. POST `step=begin` asks for a challenge, `step=register` brings what the authenticator
made, `step=restart` forgets what was made so far, `step=enrol` brings the codes. Between the steps the session holds what was
made, which is public; the codes are read from the last form and kept nowhere.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from fido2 import cbor
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject

from approvals import canonical, changes
from approvals.errors import BadCanonicalForm, BadSignature, CountersignError, Refused
from approvals.models import AuthorityChange, Invitation, Person
from approvals.signatures import LARGEST, LARGEST_ATTESTATION, Registration
from approvals.states import ChangeState
from portal import refusals
from portal.site import site
from portal.viewer import viewer_of

_SESSION: Final = "countersign_enrolment"
MOST_PASSKEYS: Final = 2
LONGEST_LABEL: Final = 60
# COSE algorithms that `approvals.signatures` verifies: ES256, EdDSA, RS256.
_ALGORITHMS: Final = (-7, -8, -257)


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def enrol(http: HttpRequest, invitation_id: UUID) -> HttpResponse:
    """The page of one enrolment link."""
    if not site.has_permission(http):
        messages.info(
            http,
            "Sign in first. Then open your enrolment link once more, so that its code fills itself in; or type the code by hand.",
        )
        return HttpResponseRedirect(f"{reverse('admin:login')}?{urlencode({'next': http.path})}")
    person = viewer_of(http).person
    frame = site.each_context(http)
    made = _made_of(invitation_id, person) if http.method != "POST" else None
    if made is not None and made.state in (ChangeState.OPEN, ChangeState.APPLIED):
        return _told(http, frame, made)
    try:
        invitation = changes.invitation_of(invitation_id, person)
        if http.method != "POST":
            return _page(http, frame, invitation, former=made)
        return _step(http, frame, invitation, person)
    except CountersignError as error:
        return refusals.page(http, error, context=frame)


def _step(http: HttpRequest, frame: dict[str, Any], invitation: Invitation, person: Person) -> HttpResponse:
    """One POST. What is refused leaves everything that was made so far."""
    try:
        match http.POST.get("step"):
            case "begin":
                return _page(http, frame, invitation, options=_options(http, invitation, person))
            case "register":
                _register(http, invitation, person)
                messages.success(http, "The passkey was made. It counts once you have finished below.")
            case "restart":
                http.session.pop(_SESSION, None)
            case "enrol":
                changes.enrol(invitation.pk, person, given=_codes(http), registrations=_registrations(http, invitation))
                http.session.pop(_SESSION, None)
            case _:
                raise Refused("This form does not say what it is for. Open the enrolment link again.")
    except CountersignError as error:
        changes.invitation_of(invitation.pk, person)
        return _page(http, frame, invitation, problem=error)
    return HttpResponseRedirect(http.path)


# --- what the authenticator is asked, and what it made ----------------------------------------------------------------------


def _options(http: HttpRequest, invitation: Invitation, person: Person) -> dict[str, Any]:
    """What enrol.js hands to navigator.credentials.create, bytes as base64url; with the nonce for the form."""
    made = _registrations(http, invitation)
    if len(made) >= MOST_PASSKEYS:
        raise Refused(f"You have made {MOST_PASSKEYS} passkeys. Finish below, or begin again.")
    asked = changes.begin_registration(invitation.pk, person)
    known = [*asked.known, *(one.credential_id for one in made)]
    options = {
        "challenge": asked.challenge,
        "rp": {"id": asked.relying_party.id, "name": "Countersign"},
        "user": {
            "id": websafe_encode(UUID(asked.person_id).bytes),
            "name": asked.handle,
            "displayName": person.name,
        },
        "pubKeyCredParams": [{"type": "public-key", "alg": one} for one in _ALGORITHMS],
        "authenticatorSelection": {"userVerification": "required", "residentKey": "discouraged"},
        "excludeCredentials": [{"type": "public-key", "id": one} for one in known],
        "attestation": "none",
        "timeout": 240_000,
    }
    return {"nonce": asked.nonce, "json": json.dumps(options)}


def _register(http: HttpRequest, invitation: Invitation, person: Person) -> None:
    """Check what the authenticator made and keep it, public as it is, for the last step."""
    made = _registrations(http, invitation)
    new = _answered(http)
    if any(one.credential_id == new.credential_id for one in made):
        raise BadSignature("This passkey was made a moment ago already. Use another authenticator for the second one.")
    if len(made) >= MOST_PASSKEYS:
        raise Refused(f"You have made {MOST_PASSKEYS} passkeys. Finish below, or begin again.")
    changes.registered(new, invitation.pk, person)
    http.session[_SESSION] = {"invitation": str(invitation.pk), "made": [asdict(one) for one in (*made, new)]}


def _answered(http: HttpRequest) -> Registration:
    """The registration in the form. Raises BadSignature when nothing was made or it cannot be read."""
    client_data, attestation = http.POST.get("client_data", ""), http.POST.get("attestation", "")
    if not client_data or not attestation:
        raise BadSignature("No passkey was made: the authenticator's answer is missing. Try again.")
    if len(client_data) > LARGEST or len(attestation) > LARGEST_ATTESTATION:
        raise BadSignature("The authenticator's answer is too large to be a registration.")
    try:
        credential: Any = AttestationObject(websafe_decode(attestation)).auth_data.credential_data
        key = (websafe_encode(credential.credential_id), websafe_encode(cbor.encode(credential.public_key)))
    except Exception as error:  # fido2 raises several kinds for malformed bytes; none of them has an effect
        raise BadSignature("The authenticator's answer cannot be read. Try again, or with another authenticator.") from error
    label = "".join(char for char in http.POST.get("label", "") if char.isalnum() or char in " -_")[:LONGEST_LABEL].strip()
    return Registration(*key, label or "passkey", http.POST.get("nonce", ""), client_data, attestation)


def _registrations(http: HttpRequest, invitation: Invitation) -> list[Registration]:
    """What was made so far under this invitation, from the session."""
    kept = http.session.get(_SESSION)
    if not isinstance(kept, dict) or kept.get("invitation") != str(invitation.pk):
        return []
    return [Registration(**one) for one in kept["made"]]


def _codes(http: HttpRequest) -> list[str]:
    return [code for code in http.POST.getlist("code") if code.strip()]


# --- what is shown ----------------------------------------------------------------------------------------------------------


def _page(
    http: HttpRequest,
    frame: dict[str, Any],
    invitation: Invitation,
    *,
    options: dict[str, Any] | None = None,
    problem: CountersignError | None = None,
    former: AuthorityChange | None = None,
) -> HttpResponse:
    made = _registrations(http, invitation)
    context = {
        **frame,
        "title": "Register your passkeys",
        "invitation": invitation,
        "made": made,
        "may_make_more": len(made) < MOST_PASSKEYS,
        "enough": len(made) >= changes.keys_asked(invitation.person),
        "codes": range(1, changes.codes_asked(invitation) + 1),
        "options": options,
        "problem": str(problem or ""),
        "former": former,
    }
    status = refusals.status_of(problem) if problem else HTTPStatus.OK
    return TemplateResponse(http, "portal/enrol.html", context, status=status)


def _told(http: HttpRequest, frame: dict[str, Any], change: AuthorityChange) -> HttpResponse:
    """The registration was sent: it is being applied, or it is done."""
    keys = [row["label"] for row in canonical.loads(change.registration)["registrations"]]
    context = {**frame, "title": "Your passkeys", "change": change, "keys": keys}
    return TemplateResponse(http, "portal/enrolled.html", context)


def _made_of(invitation_id: UUID, person: Person) -> AuthorityChange | None:
    """The person's newest registration under this link."""
    mine = AuthorityChange.objects.filter(kind=AuthorityChange.Kind.ENROLMENT, proposer=person).order_by("-created_at")
    for change in mine:
        try:
            shown = canonical.loads(change.registration)
        except BadCanonicalForm:
            continue
        if shown.get("invitation") == str(invitation_id):
            return change
    return None
