"""A process that remembers what the tables of authority look like, and an owner of the tables who wants to use that."""

from __future__ import annotations

import psycopg
import pytest
from django.conf import settings
from django.db import DatabaseError

from approvals import authority
from approvals.authority import chain, tables
from approvals.errors import BadAuthority
from tests.executor.stage import Stage, fresh

FORGE = "UPDATE approvals_person SET is_administrator = true WHERE handle = 'bob'"
HEAL = "UPDATE approvals_person SET is_administrator = false WHERE handle = 'bob'"
# One of each kind of table.
FORGERIES = {
    "approvals_passkey": "UPDATE approvals_passkey SET public_key = (SELECT min(public_key) FROM approvals_passkey)",
    "approvals_person": FORGE,
    "approvals_guardrailversion": "UPDATE approvals_guardrailversion SET text = replace(text, 'enforce', 'observe')",
    "approvals_guardrailuserpermission": "DELETE FROM approvals_guardrailuserpermission",
}


def remembered(stage: Stage) -> None:
    """The execution process has walked the chain, and knows the tables by their digest."""
    with stage.acting("execution"):
        chain.forget()
        authority.walk(settings.GENESIS)
        assert chain._equal


def refused(stage: Stage) -> None:
    with stage.acting("execution"), pytest.raises(BadAuthority):
        authority.walk(settings.GENESIS)


@pytest.mark.parametrize("table", FORGERIES)
def test_a_forged_row_is_seen_by_who_remembers(stage: Stage, table: str) -> None:
    """Whatever was the same once: a row that differs now is noticed, in a table with a column named as the query names it too."""
    stage.sql(f"ALTER TABLE {table} ADD COLUMN t approvals_chainhead")
    remembered(stage)
    stage.forge((FORGERIES[table], ()))
    refused(stage)


def test_nothing_is_carried_out_on_it(stage: Stage) -> None:
    """With such a column in a table, forged after it was remembered: aborted, an alert, no call."""
    execution = stage.cast.approved()
    stage.sql("ALTER TABLE approvals_person ADD COLUMN t approvals_chainhead")
    remembered(stage)
    stage.forge((FORGE, ()))
    stage.execute()
    assert (fresh(execution).state, stage.calls(), stage.alerts()) == ("aborted", [], ["forgery"])


def test_what_is_right_only_while_it_is_read_is_not_remembered(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Healed before each reading row by row and forged after it: the forged look is not what is remembered as equal."""
    with psycopg.connect(stage.owner_url, autocommit=True) as owner:
        owner.execute("ALTER TABLE approvals_person DISABLE TRIGGER USER")
        owner.execute(FORGE)
        read = tables.state_of_tables

        def raced() -> str:
            owner.execute(HEAL)
            found = read()
            owner.execute(FORGE)
            return found

        with stage.acting("execution"), monkeypatch.context() as patch:
            chain.forget()
            patch.setattr(chain, "state_of_tables", raced)
            authority.walk(settings.GENESIS)
    refused(stage)


def test_rows_that_a_policy_hides_are_an_error(stage: Stage) -> None:
    """A policy that shows one query what another does not see: neither gets an answer."""
    remembered(stage)
    stage.sql("ALTER TABLE approvals_guardrailuserpermission ENABLE ROW LEVEL SECURITY")
    stage.sql("CREATE POLICY p ON approvals_guardrailuserpermission USING (current_query() LIKE '%%row_to_json%%')")
    with stage.acting("execution"), pytest.raises(DatabaseError, match="row-level security"):
        authority.walk(settings.GENESIS)
