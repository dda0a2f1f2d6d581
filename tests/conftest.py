"""The ground every test stands on: settings, databases, broker.

Tests are connected as the owner of the tables. `db` (or `@pytest.mark.django_db`) wraps a test in a transaction.
`cloned_database` gives a test with threads or processes a fresh database of its own; nothing is ever flushed, because
the audit refuses TRUNCATE. `role_url` gives the URL of a process's own role on the database of the test.
"""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests import databases

# Production settings with an environment of the tests' own, whatever the shell has. Set before Django is.
for _name in list(os.environ):
    if _name.startswith(("COUNTERSIGN_", "OIDC_", "AWS_")) or _name == "DATABASE_OWNER_URL":
        del os.environ[_name]
os.environ.update(
    DJANGO_SETTINGS_MODULE="config.settings",
    COUNTERSIGN_PROCESS="web",
    COUNTERSIGN_ORIGIN="https://localhost",
    COUNTERSIGN_HOSTS="testserver",
    COUNTERSIGN_SECRET_KEY="a key of the tests, long enough for the check of its length",
    COUNTERSIGN_LOG_LEVEL="WARNING",
    # Nobody listens there: a test that wants a database or a broker asks for one by a fixture.
    DATABASE_URL="postgresql://nobody:nothing@127.0.0.1:9/unset",
    REDIS_URL="redis://127.0.0.1:9/0",
    # No credential of the machine may be found, and none be looked for on a network.
    AWS_EC2_METADATA_DISABLED="true",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
)

import hypothesis  # noqa: E402
from django.conf import settings as django_settings  # noqa: E402
from django.core.management import call_command, get_commands  # noqa: E402
from django.db import connections  # noqa: E402

# A machine that is busy is no finding: speed is proved by benchmarks, never by a test that is timed.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

# The test client speaks http, hashing need not be slow here, and nobody collects static files before a test.
django_settings.SECURE_SSL_REDIRECT = False
django_settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
django_settings.WHITENOISE_AUTOREFRESH = True
django_settings.WHITENOISE_USE_FINDERS = True
django_settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}

# Models of hundreds of services stay in memory for a whole run: looking through them again and again costs minutes.
gc.set_threshold(50_000, 50, 50)

_running = ExitStack()
_cluster = pytest.StashKey[databases.Cluster]()


def _run_cluster(config: pytest.Config) -> databases.Cluster:
    """The server of this run, started at first use (by xdist's controller, where there is one)."""
    if _cluster not in config.stash:
        handed = getattr(config, "workerinput", {}).get("countersign")
        config.stash[_cluster] = databases.Cluster(**handed) if handed else _running.enter_context(databases.cluster())
    return config.stash[_cluster]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    """xdist: hand the controller's server to each worker; one that a worker started would die with it."""
    node.workerinput["countersign"] = _run_cluster(node.config).as_plain()
    node.workerinput["given"] = databases.GIVEN


def pytest_unconfigure() -> None:
    databases.hang_up()
    _running.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # What takes long or waits for a clock begins first, so that nobody waits for it alone at the end.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        marker = item.get_closest_marker("django_db")
        if marker and (marker.args or {"transaction", "reset_sequences", "serialized_rollback"} & marker.kwargs.keys()):
            raise pytest.UsageError(
                f"{item.nodeid}: a transactional test would flush, and the audit refuses TRUNCATE. "
                "Take the fixture cloned_database instead of the marker."
            )


def _connect_to(url: str) -> None:
    """Point Django's default connection (of every thread) at another database."""
    from config.environment import _database

    place = _database(url)
    connections["default"].close()
    connections["default"].settings_dict.update(
        HOST=place.host, PORT=place.port, NAME=place.name, USER=place.user, PASSWORD=place.password
    )


@pytest.fixture(scope="session")
def database_cluster(request: pytest.FixtureRequest, django_db_blocker) -> databases.Cluster:
    """The run's server with a template that is migrated and has the roles' grants."""
    cluster = _run_cluster(request.config)
    with cluster.one_worker_at_a_time() as done, django_db_blocker.unblock():
        if not done:
            try:
                _connect_to(cluster.create_template())
                call_command("migrate", verbosity=0, interactive=False)
                if "database_roles" in get_commands():
                    call_command("database_roles", verbosity=0)
            except BaseException:
                connections.close_all()
                cluster.drop(cluster.template)
                raise
            connections.close_all()
    return cluster


@pytest.fixture(scope="session")
def django_db_setup(database_cluster: databases.Cluster, worker_id: str, django_db_blocker) -> Iterator[None]:
    """pytest-django's own set-up, replaced: this worker's clone of the template, as the owner."""
    name = f"countersign_{database_cluster.run}_{worker_id}"
    _connect_to(database_cluster.clone(name))
    yield
    with django_db_blocker.unblock():
        connections.close_all()
    database_cluster.drop(name)


_numbers = itertools.count()


@pytest.fixture
def cloned_database(
    request: pytest.FixtureRequest, database_cluster: databases.Cluster, django_db_setup: None, worker_id: str, django_db_blocker
) -> Iterator[str]:
    """A fresh database of the test's own, with Django connected to it from every thread. Yields the owner's URL."""
    if request.node.get_closest_marker("django_db") or "db" in request.fixturenames:
        pytest.fail("A test takes either db (one transaction) or cloned_database (threads, processes), not both.")
    before = _current_name()
    name = f"countersign_{database_cluster.run}_{worker_id}_{next(_numbers)}"
    url = database_cluster.clone(name)
    with django_db_blocker.unblock():
        _connect_to(url)
        try:
            yield url
        finally:
            connections.close_all()
            connections["default"].settings_dict["NAME"] = before
            database_cluster.drop(name)


def _current_name() -> str:
    return str(connections["default"].settings_dict["NAME"])


@pytest.fixture
def transactional_db(cloned_database: str) -> None:
    """pytest-django's (and its live server's) transactional database, replaced by a clone: nothing is flushed."""


@pytest.fixture
def role_url(database_cluster: databases.Cluster, django_db_setup: None) -> Callable[[str], str]:
    """`role_url("web")`: the URL of that process's role (web, feed, delivery, execution, authority) on the test's database."""

    def url(process: str) -> str:
        return database_cluster.role_url(process, _current_name())

    return url


@pytest.fixture(scope="session")
def valkey_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A broker of this worker's own (REDIS_URL where the environment gives one)."""
    # An xdist worker inherits what this file put into the environment; only the controller saw what was given.
    given = getattr(request.config, "workerinput", {}).get("given", databases.GIVEN)
    with databases.broker(given["REDIS_URL"]) as url:
        yield url


@pytest.fixture
def cast(request: pytest.FixtureRequest, tmp_path, settings):
    """The demo's world, sealed in the test's database (`tests.cast.Cast`), with its genesis pinned in the settings."""
    from tests.cast import seal

    if "cloned_database" in request.fixturenames:
        request.getfixturevalue("cloned_database")
    else:
        request.getfixturevalue("db")
    return seal(tmp_path, settings)
