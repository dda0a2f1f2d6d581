"""Promises that whoever is the web process writes: none of them may stop the workers."""

from __future__ import annotations

from contextlib import suppress

import psycopg
import pytest

from tests.executor.stage import Stage, fresh

PROMISE = (
    "INSERT INTO approvals_outboxmessage (kind, subject, topic, created_at, due_at, attempts, error) "
    "VALUES (%s, %s, '', {created}, {due}, {attempts}, '')"
)
ROWS = {
    "too often tried": {"created": "now()", "due": "now() - interval '1 day'", "attempts": "2147483647"},
    "due before all time": {"created": "now()", "due": "'-infinity'", "attempts": "0"},
    "due before Christ": {"created": "now()", "due": "'4000-01-01 BC'", "attempts": "0"},
    "made at the end of time": {"created": "'infinity'", "due": "now() - interval '1 day'", "attempts": "0"},
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
@pytest.mark.parametrize("kind", ["execute", "inspect", "close"])
def test_a_promise_that_cannot_be_read_stops_nobody(stage: Stage, row: dict[str, str], kind: str) -> None:
    """The database refuses such a row, or whoever takes it goes on: what was approved is carried out."""
    execution = stage.cast.approved()
    with psycopg.connect(stage.role_url("web"), autocommit=True) as web, suppress(psycopg.errors.CheckViolation):
        web.execute(PROMISE.format(**row), (kind, "x"))
    stage.execute()
    assert fresh(execution).state == "succeeded"


@pytest.mark.django_db
def test_no_table_keeps_a_moment_that_cannot_be_read() -> None:
    """Every moment of every table of ours is one that Python can read, whoever writes it."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c WHERE c.table_schema = 'public' "
            "AND c.table_name LIKE 'approvals\\_%' AND c.data_type LIKE 'timestamp%' AND NOT EXISTS ("
            "SELECT 1 FROM information_schema.constraint_column_usage u WHERE u.table_name = c.table_name "
            "AND u.column_name = c.column_name AND u.constraint_name LIKE 'a\\_moment\\_%')"
        )
        assert cursor.fetchall() == []
