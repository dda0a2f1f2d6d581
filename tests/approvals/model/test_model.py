"""I1, I3, I10, I11, I12 over every interleaving of a model of one request, and what breaks when a guard is taken out."""

from __future__ import annotations

import pytest

from tests.approvals.model import faults, scopes, table
from tests.approvals.model.faults import FAULTS, Fault
from tests.approvals.model.guards import TABLE
from tests.approvals.model.request import Scope
from tests.approvals.model.search import Search

SMALL = (
    faults.DENIED,
    faults.EDITED,
    faults.SENT_BACK,
    faults.TWO,
    faults.TWO_EDITED,
    faults.HELD,
    faults.NOBODYS,
    faults.SILENT,
    faults.OWNED,
    faults.GLASS,
)


def _named(value: object) -> str | None:
    return value.name if isinstance(value, Scope) else value.what if isinstance(value, Fault) else None


@pytest.mark.slow
@pytest.mark.parametrize("scope", scopes.WIDE, ids=_named)
def test_no_interleaving_breaks_an_invariant(scope: Scope, capsys: pytest.CaptureFixture[str]) -> None:
    """Every state that persons, clocks, workers, crashes and restores can reach is safe; the first scope has over a million."""
    found = Search(scope).run()
    with capsys.disabled():
        print(f"\n{scope.name}: {found}")
    assert not found.breach, Search(scope).run(trace=True)
    if scope is scopes.WIDE[0]:
        assert found.states >= 1_000_000


@pytest.mark.parametrize("fault", FAULTS, ids=_named)
def test_a_fault_is_found(fault: Fault) -> None:
    """With every line of a rule out the search finds the shortest way to an effect that must not be; with one left in, none."""
    found = Search(fault.scope, frozenset(fault.guards)).run(trace=True)
    print(f"{fault.what}: {found}")
    assert found.breach == fault.breaks
    assert found.trace
    if len(fault.guards) > 1:
        for kept in fault.guards:
            behind = Search(fault.scope, frozenset(fault.guards) - {kept}).run()
            assert not behind.breach, f"{kept} alone does not hold: {behind}"


@pytest.mark.parametrize("guard", table.spare())
def test_what_stands_behind_a_spare_guard_holds(guard: str) -> None:
    """A guard that is in no fault may be taken out by itself: the lines behind it hold in every small scope."""
    for scope in SMALL:
        found = Search(scope, frozenset({guard})).run(trace=True)
        assert not found.breach, f"{scope.name}: {found}"


def test_every_guard_says_its_rule() -> None:
    """The table is what people read: each guard has a sentence of its own."""
    rules = [guard.rule for guard in TABLE.values()]
    assert all(rule.endswith(".") for rule in rules)
    assert len(set(rules)) == len(rules)


def test_without_a_claim_outside_a_restored_backup_acts_again() -> None:
    """What the claim is for: without it the one thing that breaks after a restore is a second effect."""
    found = Search(scopes.WITHOUT).run(trace=True)
    assert found.breach == "I10"
    assert "the backup is restored" in "\n".join(found.trace)


def test_the_page_has_the_faults_as_they_are_found() -> None:
    """docs/model.md lists each guard, the invariant that breaks without it, and the length of the shortest trace."""
    assert table.on_the_page() == table.text(), "run: python -m tests.approvals.model"
