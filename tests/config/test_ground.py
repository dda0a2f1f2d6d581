"""The test machinery itself: clones, roles, broker."""

import threading

import psycopg
import pytest
import redis
from django.contrib.contenttypes.models import ContentType
from django.db import connection


@pytest.mark.django_db
def test_a_test_is_connected_as_the_owner_and_not_as_a_superuser():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == ("countersign_owner", False)


def _leave_a_mark():
    ContentType.objects.create(app_label="mark", model="left")


@pytest.mark.parametrize("_", range(3))
def test_a_clone_is_fresh_and_shared_by_threads(cloned_database, _):
    """What a thread commits is seen by the test, and never by the next one."""
    assert not ContentType.objects.filter(app_label="mark").exists()

    def work():
        _leave_a_mark()
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ContentType.objects.filter(app_label="mark").exists()
    with psycopg.connect(cloned_database) as other:
        assert other.execute("SELECT count(*) FROM django_content_type WHERE app_label = 'mark'").fetchone() == (1,)


@pytest.mark.django_db
def test_the_worker_database_is_back_after_a_clone():
    assert not ContentType.objects.filter(app_label="mark").exists()
    assert ContentType.objects.exists()


@pytest.mark.parametrize("process", ["web", "feed", "delivery", "execution", "authority"])
def test_each_process_has_a_role_of_its_own(cloned_database, role_url, process):
    with psycopg.connect(role_url(process)) as other:
        assert other.execute("SELECT current_user").fetchone() == (f"countersign_{process}",)


def test_the_broker_asks_for_a_password(valkey_url):
    with redis.Redis.from_url(valkey_url) as client:
        assert client.ping()
    with redis.Redis.from_url("redis://" + valkey_url.rpartition("@")[2]) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
