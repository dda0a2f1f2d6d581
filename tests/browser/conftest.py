"""Fixtures of the browser's tests: a Chromium, the portal behind a socket, tabs of people."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.server import serving
from tests.browser.tabs import CHROMIUM, FLAGS, Person


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (requirements-dev.txt)")
    # Playwright keeps a loop running in this thread, and Django would take each query for one inside a coroutine.
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def origin(cloned_database, cast, settings) -> Iterator[str]:
    """The portal on http://localhost, on this test's own database."""
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
    settings.SESSION_COOKIE_NAME, settings.SESSION_COOKIE_SECURE = "session", False
    settings.CSRF_COOKIE_NAME, settings.CSRF_COOKIE_SECURE = "csrf", False
    settings.ALLOWED_HOSTS = ["localhost"]
    with serving() as address:
        settings.ORIGIN, settings.RP_ID = address, "localhost"
        settings.CSRF_TRUSTED_ORIGINS = [address]
        yield address


@pytest.fixture
def person(chromium, origin, cast) -> Iterator[Callable[..., Person]]:
    tabs: list[Person] = []

    def tab(handle: str, *, key: str | None = None, width: int = 1280) -> Person:
        tabs.append(Person(chromium, origin, cast, handle, key or handle, width=width))
        return tabs[-1]

    yield tab
    for one in tabs:
        one.context.close()
