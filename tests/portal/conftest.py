"""Fixtures of the portal's tests. Nothing of Django's models is imported before pytest-django has set it up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fingerprint import Watch
    from tests.portal.hands import Browser
    from tests.portal.house import House


@pytest.fixture
def browser(cast) -> Callable[..., Browser]:
    """`browser("alice")`: a client signed in as her, with a second factor unless told otherwise."""
    from tests.portal.hands import browser_of

    return partial(browser_of, cast)


@pytest.fixture(scope="module")
def house(tmp_path_factory, django_db_setup, django_db_blocker) -> Iterator[House]:
    """A world with something in each state and a visitor for each role (tests/portal/house.py), for a whole module.

    It lies in one transaction, which is rolled back; whoever changes something does it in `house.undone()`.
    """
    from django.conf import settings
    from django.db import transaction
    from django.test import override_settings

    from tests.portal.house import build

    # Nobody listens at the provider's address.
    server = {"server_url": "http://127.0.0.1:9", "oauth_pkce_enabled": True, "fetch_userinfo": False}
    app = {"provider_id": "oidc", "name": "Single sign-on", "client_id": "x", "secret": "y", "settings": server}
    own = override_settings(SOCIALACCOUNT_PROVIDERS={"openid_connect": {"APPS": [app]}}, GENESIS="")
    logging.disable(logging.CRITICAL)
    with django_db_blocker.unblock(), own, transaction.atomic():
        yield build(tmp_path_factory.mktemp("house"), settings)
        transaction.set_rollback(True)
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def watch(house: House) -> Watch:
    """What tells, after a visit of the house, which tables say something else than at its beginning."""
    from tests.fingerprint import Watch

    return Watch()


@pytest.fixture(scope="module")
def before(watch: Watch) -> dict[str, str]:
    """What the database holds at the beginning of every visit of the house, table by table."""
    return dict(watch.before)


@pytest.fixture(autouse=True)
def _plain_static_files(settings) -> None:
    """No manifest of collected files is needed to render a page."""
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
