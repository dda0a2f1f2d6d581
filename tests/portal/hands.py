"""Browsers of the cast: test clients with a session as the portal would have made it."""

from __future__ import annotations

import time
from html.parser import HTMLParser
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client
from django.urls import reverse

from approvals.models import ApprovalRequest


class Browser(Client):
    """A client that can fill in the portal's forms. `signs_as` is the fixture's cast."""

    handle: str = ""
    cast: Any = None

    def page(self, verb: str, request: ApprovalRequest) -> str:
        return reverse(f"admin:approvals_approvalrequest_{verb}", args=[request.pk])

    def begin(self, verb: str, request: ApprovalRequest, **fields: str) -> Any:
        """The first POST of a signing, with the digest that the page shows."""
        form = {"step": "begin", "digest": request.current_revision().digest, "reason": "because", **fields}
        return self.post(self.page(verb, request), form)

    def fields_of_ceremony(self, response: Any) -> dict[str, str]:
        """The hidden fields of form#ceremony."""
        return fields_of(response.content.decode(), "ceremony")

    def answer(self, response: Any, handle: str | None = None) -> dict[str, str]:
        """What sign.js would put into the form, by this (or another) person's passkey."""
        opened = response.context["ceremony"]
        assertion = self.cast.assertion(handle or self.handle, opened)
        return {
            "credential_id": assertion.credential_id,
            "client_data": assertion.client_data,
            "authenticator_data": assertion.authenticator_data,
            "signature": assertion.signature,
        }

    def sign(self, verb: str, request: ApprovalRequest, **fields: str) -> Any:
        """Both POSTs, as a person with a passkey makes them."""
        response = self.begin(verb, request, **fields)
        assert response.status_code == 200, response.content.decode()
        return self.post(self.page(verb, request), {**self.fields_of_ceremony(response), **self.answer(response)})


class _Fields(HTMLParser):
    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.form_id, self.inside, self.area = form_id, False, ""
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        if tag == "form":
            self.inside = given.get("id") == self.form_id
        if self.inside and tag == "input" and given.get("name"):
            self.found[given["name"]] = given.get("value") or ""
        if self.inside and tag == "textarea":
            self.area = given["name"]
            self.found[self.area] = ""

    def handle_data(self, data: str) -> None:
        if self.area:
            self.found[self.area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self.area = ""
        if tag == "form":
            self.inside = False


def fields_of(html: str, form_id: str) -> dict[str, str]:
    parser = _Fields(form_id)
    parser.feed(html)
    return parser.found


def session_for(user: Any, *, second_factor: bool = True) -> str:
    """The key of a session as allauth leaves it after a sign-in."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "allauth.account.auth_backends.AuthenticationBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    records = [{"method": "password", "at": time.time(), "username": user.get_username()}]
    if second_factor:
        records.append({"method": "mfa", "at": time.time(), "id": 1, "type": "totp"})
    session["account_authentication_methods"] = records
    session["account_authentication_methods_user"] = str(user.pk)
    session.create()
    return str(session.session_key)


def browser_of(cast: Any, handle: str, *, second_factor: bool = True, **options: Any) -> Browser:
    """A client signed in as one of the cast, with a second factor unless told otherwise."""
    client = Browser(**options)
    client.handle, client.cast = handle, cast
    user = get_user_model().objects.get(username=handle)
    client.cookies[settings.SESSION_COOKIE_NAME] = session_for(user, second_factor=second_factor)
    return client
