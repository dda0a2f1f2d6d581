"""What every answer of the site carries, and the probe."""

import logging

import pytest
from django.db import connection


@pytest.mark.django_db
def test_the_probe_says_ok_when_the_database_answers(client):
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.usefixtures("django_db_setup")
def test_the_probe_fails_when_the_database_does_not_answer(client, django_db_blocker):
    """A load balancer must take the process out, and a stranger learns no reason."""
    with django_db_blocker.unblock():
        connection.close()
        port = connection.settings_dict["PORT"]
        connection.settings_dict["PORT"] = 9
        try:
            answer = client.get("/healthz")
        finally:
            connection.settings_dict["PORT"] = port
    assert (answer.status_code, answer.json()) == (503, {"status": "database unreachable"})


@pytest.mark.django_db
def test_every_answer_has_an_id_and_a_policy(client):
    first, second = client.get("/healthz"), client.get("/healthz")
    assert len(first["X-Request-ID"]) == 32
    assert first["X-Request-ID"] != second["X-Request-ID"]
    assert "script-src 'self'" in first["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in first["Content-Security-Policy"]
    assert "unsafe" not in first["Content-Security-Policy"]
    assert first["X-Frame-Options"] == "DENY"


@pytest.mark.django_db
def test_a_strangers_request_id_is_not_taken_over(client, settings):
    """Only a proxy that is trusted may name a request, and only with plain characters."""
    assert client.get("/healthz", headers={"X-Request-ID": "chosen-by-me"})["X-Request-ID"] != "chosen-by-me"
    settings.BEHIND_PROXY = True
    assert client.get("/healthz", headers={"X-Request-ID": "chosen-by-me"})["X-Request-ID"] == "chosen-by-me"
    assert client.get("/healthz", headers={"X-Request-ID": 'x"},{"forged":"'})["X-Request-ID"] != 'x"},{"forged":"'


@pytest.mark.django_db
def test_the_query_string_is_not_logged(client, caplog):
    with caplog.at_level(logging.DEBUG, logger="config.requests"):
        client.get("/healthz?code=one-time-secret")
    assert "/healthz" in caplog.text
    assert "one-time-secret" not in caplog.text
