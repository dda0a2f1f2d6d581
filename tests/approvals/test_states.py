"""The table of moves, and the same table in the database."""

from __future__ import annotations

import itertools

import pytest
from django.db import connection

from approvals.states import ATTEMPT_MOVES, EXECUTION_MOVES, REQUEST_MOVES, ExecutionState, RequestState, Status, status_of


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("function", "moves"),
    [
        ("approvals_request_moves", REQUEST_MOVES),
        ("approvals_execution_moves", EXECUTION_MOVES),
        ("approvals_attempt_moves", ATTEMPT_MOVES),
    ],
)
def test_the_triggers_hold_the_same_table(function, moves):
    """Every pair of states is in the trigger exactly when it is in states.py."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = %s", [function])
        source = cursor.fetchone()[0]
    for old, new in itertools.product(moves, repeat=2):
        assert (f"'{old}>{new}'" in source) == (new in moves[old]), (old, new)


@pytest.mark.parametrize("state", RequestState)
@pytest.mark.parametrize("execution", [None, *ExecutionState])
def test_every_pair_of_states_has_a_status(state, execution):
    """What people read is derived, for every combination."""
    assert status_of(state, execution) in Status


def test_a_final_state_has_no_way_out():
    """Denied, expired, withdrawn and disowned are final, and so is an execution that ended."""
    assert not any(
        REQUEST_MOVES[state]
        for state in (RequestState.DENIED, RequestState.EXPIRED, RequestState.WITHDRAWN, RequestState.DISOWNED)
    )
    assert not any(EXECUTION_MOVES[state] for state in (ExecutionState.SUCCEEDED, ExecutionState.FAILED, ExecutionState.ABORTED))
