"""Fixtures of the portal's tests. Nothing of Django's models is imported before pytest-django has set it up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.portal.hands import Browser


@pytest.fixture
def browser(cast) -> Callable[..., Browser]:
    """`browser("alice")`: a client signed in as her, with a second factor unless told otherwise."""
    from tests.portal.hands import browser_of

    return partial(browser_of, cast)


@pytest.fixture(autouse=True)
def _plain_static_files(settings) -> None:
    """No manifest of collected files is needed to render a page."""
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
