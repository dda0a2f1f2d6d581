"""Fixtures of the portal's tests. Nothing of Django's models is imported before pytest-django has set it up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.portal.hands import Browser


@pytest.fixture
def browser(cast) -> Callable[..., Browser]:
    """`browser("alice")`: a client signed in as her, with a second factor unless told otherwise."""
    from django.conf import settings
    from django.contrib.auth import get_user_model

    from tests.portal.hands import Browser, session_for

    def signed_in(handle: str, *, second_factor: bool = True, **options: Any) -> Browser:
        client = Browser(**options)
        client.handle, client.cast = handle, cast
        user = get_user_model().objects.get(username=handle)
        client.cookies[settings.SESSION_COOKIE_NAME] = session_for(user, second_factor=second_factor)
        return client

    return signed_in


@pytest.fixture(autouse=True)
def _plain_static_files(settings) -> None:
    """No manifest of collected files is needed to render a page."""
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
