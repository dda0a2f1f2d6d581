"""Somebody at the portal, without a browser: signs in with one click, reads pages, posts the forms that are on them.

A form is sent as a browser sends it, with every hidden field and the CSRF token that the page carries; only what a person would
type is given by the caller. What is not on the page can be sent too, to see it refused (`post_by_hand`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from executor.demo.errors import DemoError

TIMEOUT = 20
# What a request's page says while the executor has not read the target, or has not written it into the plan.
_TO_COME = ("Not read yet. The executor looks at the target shortly", "Written into the plan once the executor has read")


class PageMissing(DemoError):
    """A page does not have what the story needs: a form, a field, a status."""


@dataclass
class Button:
    """A form's button: what it sends, and what is written on it."""

    name: str
    value: str
    label: str = ""


@dataclass
class Form:
    """One form of a page: where it leads, its fields with the values that the page gave them, its buttons."""

    action: str
    method: str
    name: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[Button] = field(default_factory=list)


class _Forms(HTMLParser):
    """Forms, and the text that a reader sees."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.words: list[str] = []
        self._open: Form | None = None
        self._select = self._area = ""
        self._button: Button | None = None
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        has = {name for name, _ in attrs}
        if tag in {"script", "style"}:
            self._silent += 1
        elif tag == "form":
            self._open = Form(given.get("action", ""), given.get("method", "get").lower(), given.get("id", ""))
            self.forms.append(self._open)
        elif self._open is not None:
            self._field(self._open, tag, given, has)

    def _field(self, form: Form, tag: str, given: dict[str, str], has: set[str]) -> None:
        name = given.get("name", "")
        if tag == "input" and name:
            kind = given.get("type", "text")
            if kind in {"checkbox", "radio"}:
                if "checked" in has:
                    form.fields[name] = given.get("value", "on")
            elif kind not in {"submit", "button"}:
                form.fields[name] = given.get("value", "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in has or self._select not in form.fields):
            form.fields[self._select] = given.get("value", "")
        elif tag == "textarea" and name:
            self._area = name
            form.fields[name] = ""
        elif tag == "button":
            self._button = Button(name, given.get("value", ""))
            form.buttons.append(self._button)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self._silent -= 1
        elif tag == "form":
            self._open = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""
        elif tag == "button":
            self._button = None

    def handle_data(self, data: str) -> None:
        if self._button is not None:
            self._button.label += data
        if self._area and self._open is not None:
            self._open.fields[self._area] += data
        elif not self._silent and data.strip():
            self.words.append(data.strip())


@dataclass(frozen=True)
class Page:
    """An answer of the portal: its status, address, forms, the links' addresses as HTML, and what a reader sees."""

    status: int
    url: str
    html: str
    forms: tuple[Form, ...]
    text: str

    def form(self, *, having: str) -> Form:
        """The form that is sent to the page's own address and has this field. Raises PageMissing."""
        for one in self.forms:
            if having in one.fields and urlsplit(urljoin(self.url, one.action)).path == urlsplit(self.url).path:
                return one
        raise PageMissing(f"{self.url} ({self.status}) has no form with the field {having!r}: {self.text[:300]}")


class Visitor:
    """One person's browser. `session` keeps the cookies."""

    def __init__(self, web_url: str, handle: str) -> None:
        self._web, self.handle = web_url, handle
        self.session = requests.Session()
        # The environment's proxies are for the network; the demo is on this machine.
        self.session.trust_env = False

    def sign_in(self) -> Page:
        """One click on the sign-in page of the demo."""
        page = self.get("/accounts/login/")
        mine = [form for form in page.forms if form.fields.get("handle") == self.handle]
        if not mine:
            raise PageMissing(f"The sign-in page does not offer {self.handle}.")
        return self.post(mine[0], page)

    def get(self, path: str) -> Page:
        """Open an address of the portal."""
        return _page(self.session.get(urljoin(self._web, path), timeout=TIMEOUT))

    def post(self, form: Form, page: Page, **typed: str) -> Page:
        """Send a form of a page with what a person types into it."""
        return _page(
            self.session.post(
                urljoin(page.url, form.action or page.url),
                data=form.fields | typed,
                headers={"Referer": page.url},
                timeout=TIMEOUT,
            )
        )

    def press(self, page: Page, label: str) -> Page:
        """Press a page's button with this on it. Raises PageMissing."""
        for form in page.forms:
            for button in form.buttons:
                if button.label.strip() == label:
                    return self.post(form, page, **({button.name: button.value} if button.name else {}))
        raise PageMissing(f"{page.url} ({page.status}) has no button {label!r}: {page.text[:300]}")

    def post_by_hand(self, path: str, fields: Mapping[str, Any]) -> Page:
        """Send what no page offers, with a CSRF token that is genuine."""
        token = self.get("/accounts/login/").forms or self.get("/admin/").forms
        csrf = next((form.fields["csrfmiddlewaretoken"] for form in token if "csrfmiddlewaretoken" in form.fields), "")
        url = urljoin(self._web, path)
        data = {"csrfmiddlewaretoken": csrf, **fields}
        return _page(self.session.post(url, data=data, headers={"Referer": url}, timeout=TIMEOUT))

    # --- what people do with a request ---

    def address(self, request_id: str, verb: str = "change") -> str:
        """The address of a request's page."""
        return f"/admin/approvals/approvalrequest/{request_id}/{verb}/"

    def confirm(self, request_id: str, reason: str) -> Page:
        """Read the plan once the executor has read its target, give the reason, sign with the software authenticator."""
        self.await_reading(request_id)
        return self.sign(self.address(request_id, "confirm"), reason=reason)

    def await_reading(self, request_id: str) -> None:
        """Look at the page until it shows what the executor read: what is signed before is signed again. Raises PageMissing."""
        end = time.monotonic() + TIMEOUT
        while any(word in self.get(self.address(request_id)).text for word in _TO_COME):
            if time.monotonic() > end:
                raise PageMissing(f"The executor has not read the target of {request_id} within {TIMEOUT} seconds.")
            time.sleep(0.2)

    def decide(self, request_id: str, verdict: str, reason: str) -> Page:
        """Approve or deny, and sign."""
        self.await_reading(request_id)
        return self.sign(self.address(request_id, "decide"), verdict=verdict, reason=reason)

    def sign(self, path: str, **typed: str) -> Page:
        """The two forms of a signing: what is typed, then the software authenticator's answer."""
        page = self.get(path)
        asked = self.post(page.form(having="digest"), page, **typed)
        signed = self.post(asked.form(having="nonce"), asked, sign_with="software")
        if signed.status != 200 or "/change/" not in signed.url:
            raise PageMissing(f"Signing at {path} answered {signed.status} at {signed.url}: {signed.text[:300]}")
        return signed


def _page(response: requests.Response) -> Page:
    reader = _Forms()
    reader.feed(response.text)
    return Page(response.status_code, response.url, response.text, tuple(reader.forms), " ".join(reader.words))
