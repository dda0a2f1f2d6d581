"""Which test proves which row of the security design: a row without one fails here.

A test proves a row by its name (`test_row_NN_...`) or by the marker `security_row(NN)`; its docstring states the rule.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).resolve().parent

# Attack by attack, in the words of the design.
ROWS: Final = {
    1: "requester approves through a second login or a bot",
    2: "requester holds two IAM identities",
    3: "requester calls a side door",
    4: "requester edits after a vote",
    5: "smuggled parameters",
    8: "request flood",
    9: "target swapped between approval and execution",
    10: "approval used twice",
    11: "approver votes twice or races",
    12: "approver grants or delegates to a friend",
    13: "approver keeps approving after removal",
    14: "stolen session",
    15: "factor replayed",
    16: "CSRF, clickjacking",
    17: "phishing link, forged notification",
    18: "identity provider adds somebody to a group",
    19: "identity provider reuses a mutable name",
    20: "superuser",
    21: "database administrator, or the web's database role, writes authority",
    23: "operator restores a backup, then approves again",
    24: "somebody writes to the broker",
    25: "pickle through broker or cache",
    26: "somebody can send to the queue",
    28: "web process taken over: notice and hold",
    29: "worker taken over",
    31: "confused deputy across accounts",
    34: "ARN of another account in a name field",
    35: "forged SSO session name",
    36: "identity provider's admin signs in as an approver without a passkey yet",
    38: "stalled worker wakes after its claim was taken over",
}


@cache
def _tests() -> list[tuple[int, str, str, bool]]:
    """(row, where, docstring, whether it is skipped or expected to fail) of every test that proves a row. Read once."""
    found = []
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                decorators = [ast.unparse(one) for one in node.decorator_list]
                idle = any(word in one for one in decorators for word in ("skip", "xfail"))
                where = f"{path.relative_to(TESTS)}::{node.name}"
                found += [(row, where, ast.get_docstring(node) or "", idle) for row in _rows_of(node.name, decorators)]
    return found


def _rows_of(name: str, decorators: list[str]) -> Iterator[int]:
    if name.startswith("test_row_"):
        yield int(name.split("_")[2])
    for decorator in decorators:
        if decorator.startswith("pytest.mark.security_row("):
            yield from ast.literal_eval(f"({decorator[len('pytest.mark.security_row(') : -1]},)")


@pytest.mark.parametrize("row", ROWS)
def test_each_row_has_a_test_that_runs_and_states_its_rule(row):
    """Somebody who asks whether an attack was tried finds the test by its row's number."""
    proven = defaultdict(list)
    for number, where, said, idle in _tests():
        proven[number].append((where, said, idle))
    assert proven[row], f"No test proves row {row} ({ROWS[row]}). Name one test_row_{row:02}_..., or mark it security_row({row})."
    for where, said, idle in proven[row]:
        assert said.strip().endswith("."), f"{where} does not state its rule in a sentence."
        assert not idle, f"{where} is the proof of row {row} and does not run."


def test_no_test_proves_a_row_that_is_not_in_the_list():
    """A number that was mistyped would prove nothing."""
    assert {row for row, *_ in _tests()} <= ROWS.keys()
