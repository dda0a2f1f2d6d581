"""Tabs of a real Chromium, each of one person of the cast, with a virtual authenticator."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

_PLACES = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
CHROMIUM = next((path for path in _PLACES if Path(path).exists()), "")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
# The browser's own processes talk through pipes and the loopback; playwright leaves its loop's sockets to the collector.
MARKS = [
    pytest.mark.browser,
    pytest.mark.enable_socket,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed (apt-get install chromium); .ci/run installs it"),
]


class Person:
    """A tab of one of the cast, with that person's passkey in a virtual authenticator."""

    def __init__(self, chromium: Any, origin: str, cast: Any, handle: str, key: str, *, width: int = 1280) -> None:
        from django.contrib.auth import get_user_model

        from tests.portal.hands import session_for

        self.origin = origin
        self.context = chromium.new_context(viewport={"width": width, "height": 900})
        session = session_for(get_user_model().objects.get(username=handle))
        self.context.add_cookies([{"name": "session", "value": session, "url": origin}])
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.cdp = self.context.new_cdp_session(self.page)
        self.cdp.send("WebAuthn.enable")
        self.authenticator = ""
        self._authenticator(cast.keys[key])

    def take_another_authenticator(self) -> None:
        """Put the one at hand away, and take a new one with nothing on it."""
        self.cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self.authenticator})
        self._empty_authenticator()

    def _empty_authenticator(self) -> None:
        options = {"protocol": "ctap2", "transport": "internal", "hasUserVerification": True, "isUserVerified": True}
        made = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": {**options, "automaticPresenceSimulation": True}})
        self.authenticator = made["authenticatorId"]

    def _authenticator(self, key: dict[str, str]) -> None:
        self._empty_authenticator()
        private = load_pem_private_key(key["private_key"].encode(), password=None)
        der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        padded = key["credential_id"] + "=" * (-len(key["credential_id"]) % 4)
        credential = {
            "credentialId": base64.b64encode(base64.urlsafe_b64decode(padded)).decode(),
            "isResidentCredential": False,
            "rpId": "localhost",
            "privateKey": base64.b64encode(der).decode(),
            "signCount": 1,
        }
        self.cdp.send("WebAuthn.addCredential", {"authenticatorId": self.authenticator, "credential": credential})

    def open(self, address: str) -> Any:
        self.page.goto(self.origin + address if address.startswith("/") else address)
        return self.page

    @property
    def broken_rules(self) -> list[str]:
        """What the browser said of the policy, and what it asked of others."""
        foreign = [url for url in self.asked if not url.startswith((self.origin, "data:"))]
        return [text for text in self.said if "Content Security Policy" in text or "Refused to" in text] + foreign
