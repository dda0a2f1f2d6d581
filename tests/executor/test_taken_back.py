"""Whoever owns the database takes the chain of authority back: a right that was taken away is in every table again."""

from __future__ import annotations

import pytest

from approvals import authority
from approvals.authority import tables
from approvals.authority.state import read
from approvals.errors import BadAuthority
from approvals.models import AuthorityLink
from tests.executor.stage import Stage

CAROL = {"edit": "grant", "guardrail": "dynamodb-production", "login": "carol"}


def test_a_process_that_saw_a_link_never_goes_back_behind_it(stage: Stage) -> None:
    """Carol approved while she had the right; it was taken away, and then chain and tables were made those of before."""
    stage.cast.changed(CAROL)
    request = stage.cast.sign_review(stage.cast.pending(), "carol")
    stage.cast.changed({**CAROL, "edit": "revoke"})
    authority.walk(stage.cast.genesis)
    stage.forge(
        ("DELETE FROM approvals_authoritychange WHERE false", ()), ("DELETE FROM approvals_authoritylink WHERE number = 2", ())
    )
    older = read(AuthorityLink.objects.get(number=1).state)
    tables.write(tables.document_of_tables(), older)
    assert tables.state_of_tables() == AuthorityLink.objects.get(number=1).state
    with pytest.raises(BadAuthority, match="back to a former state"):
        authority.walk(stage.cast.genesis)
    stage.execute()
    request.refresh_from_db()
    assert stage.calls() == []
    assert "forgery" in stage.alerts()
