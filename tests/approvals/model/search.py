"""Breadth-first search over every interleaving. A state is one integer: the numbers of its halves and of the backup made.

The halves are values (`Request`, `Execution`); each distinct one gets a number, and its moves are worked out once. What one half
does may depend on a little of the other (claimed? locked? the verdict), which is part of the key under which they are remembered.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple, cast

from approvals.policies import Outcome
from approvals.states import RequestState
from tests.approvals.model import execution as workers
from tests.approvals.model import invariants, verdicts
from tests.approvals.model import request as requests
from tests.approvals.model.execution import Execution, View
from tests.approvals.model.guards import Guards
from tests.approvals.model.request import Request, Scope

BITS: Final = 22
MASK: Final = (1 << BITS) - 1
RESTORED: Final = MASK  # in the place of the backup's number: it was restored, and no other is made


@dataclass(frozen=True)
class Found:
    """What a search found: how many distinct states and moves, in how many seconds of processor time, and the first breach."""

    states: int
    moves: int
    depth: int
    seconds: float
    breach: str = ""
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = f"{self.states:,} states, {self.moves:,} moves, depth {self.depth}, {self.seconds:.1f} s"
        return told + (f"; {self.breach} broken:\n" + "\n".join(f"  {line}" for line in self.trace) if self.breach else "")


class _Moves(NamedTuple):
    """What a half can do: by bits that replace its own in the state, and moves that also change the other half."""

    alone: tuple[int, ...]
    both: tuple[tuple[int, str], ...]
    breach: str = ""


@dataclass
class _Numbers:
    """Values by number and numbers by value."""

    of: dict[object, int] = field(default_factory=dict)
    values: list[object] = field(default_factory=list)

    def __call__(self, value: object) -> int:
        number = self.of.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
            assert number < MASK, "the model outgrew its numbers"
        return number


class Search:
    """One search of a scope with some guards taken out."""

    def __init__(self, scope: Scope, out: frozenset[str] = frozenset()) -> None:
        self.scope, self.guards = scope, Guards(out)
        self.requests, self.executions, self.backups = _Numbers(), _Numbers(), _Numbers()
        self.backups((0, 0))  # number 0: none was made
        self.views: dict[tuple[int, int], View] = {}
        self.view_numbers = _Numbers()
        self.facts: dict[int, tuple[int, int]] = {}  # of an execution: claimed and locked, its revision
        self.request_moves: dict[int, _Moves] = {}
        self.execution_moves: dict[int, _Moves] = {}

    def begin(self) -> list[int]:
        """The states that it starts from."""
        idle = self.executions(workers.nothing(self.scope))
        return [self.requests(first) << BITS | idle for first in requests.beginnings(self.scope)]

    def run(self, *, most: int = 3_000_000, trace: bool = False) -> Found:
        """Search until everything is seen or an invariant breaks. With `trace` it is remembered how each state was reached."""
        began = time.process_time()
        frontier = self.begin()
        seen = set(frontier)
        came: dict[int, int] = dict.fromkeys(frontier, -1)
        made, depth = 0, 0
        while frontier:
            fresh: list[int] = []
            for state in frontier:
                reached, breach = self.after(state)
                made += len(reached)
                if breach:
                    story = self._story(state, came, breach) if trace else ()
                    return Found(len(seen), made, depth + 1, time.process_time() - began, breach, story)
                for new in reached:
                    if new not in seen:
                        seen.add(new)
                        fresh.append(new)
                        if trace:
                            came[new] = state
            frontier, depth = fresh, depth + bool(fresh)
            assert len(seen) <= most, f"more than {most:,} states: narrow the scope"
        return Found(len(seen), made, depth, time.process_time() - began)

    def after(self, state: int) -> tuple[list[int], str]:
        """The states that follow, and the invariant that the move to one of them breaks."""
        e, r, backup = state & MASK, state >> BITS & MASK, state >> 2 * BITS
        held, high = state ^ e, backup << 2 * BITS
        facts = self.facts.get(e) or self._facts(e)
        of_request = self.request_moves.get(r << 2 | facts[0]) or self._request_moves(r, facts[0])
        view = self.view(r, facts[1])
        of_workers = self.execution_moves.get(e << BITS | view) or self._execution_moves(e, view)
        low = high | e
        reached = [bits | low for bits in of_request.alone]
        reached += [held | bits for bits in of_workers.alone]
        for bits, what in of_request.both:
            if what != "ready" or self._may_be_made(facts[1], bits >> BITS):
                reached.append(high | bits | self._execution_after(e, what, bits >> BITS))
        for bits, _ in of_workers.both:
            reached.append(high | self._reopened(r) << BITS | bits)
        if self.scope.restores and backup != RESTORED:
            reached.append(self._restored(e, r, backup))
        return reached, of_workers.breach

    # --- worked out once ---

    def _facts(self, e: int) -> tuple[int, int]:
        value = self.execution(e)
        bits = workers.is_claimed(value) | workers.is_locked(self.guards, value) << 1
        return self.facts.setdefault(e, (bits, value.revision))

    def request(self, number: int) -> Request:
        return self.requests.values[number]  # type: ignore[return-value]

    def execution(self, number: int) -> Execution:
        return self.executions.values[number]  # type: ignore[return-value]

    def moves_of_request(self, r: int, facts: int) -> Iterator[requests.Move]:
        """What persons, clocks and the sweep do; while a worker holds the lock only what needs none."""
        for move in requests.moves(self.scope, self.guards, self.request(r), claimed=bool(facts & 1)):
            if not (move.locks and facts & 2):
                yield move

    def _request_moves(self, r: int, facts: int) -> _Moves:
        alone, both = [], []
        for move in self.moves_of_request(r, facts):
            bits = self.requests(move.request) << BITS
            if move.execution:
                both.append((bits, move.execution))
            else:
                alone.append(bits)
        return self.request_moves.setdefault(r << 2 | facts, _Moves(tuple(alone), tuple(both)))

    def steps_of_workers(self, e: int, view: int) -> Iterator[workers.Step]:
        return workers.steps(self.scope, self.guards, self.execution(e), self.view_numbers.values[view])  # type: ignore[arg-type]

    def _execution_moves(self, e: int, view: int) -> _Moves:
        alone, both, breach = [], [], ""
        for step in self.steps_of_workers(e, view):
            bits = self.executions(step.execution)
            breach = breach or step.breach
            if step.reopens:
                both.append((bits, "reopened"))
            else:
                alone.append(bits)
        return self.execution_moves.setdefault(e << BITS | view, _Moves(tuple(alone), tuple(both), breach))

    def view(self, r: int, revision: int) -> int:
        """The number of what a worker that judges now would see."""
        key = (r, revision)
        found = self.views.get(key)
        if found is None:
            found = self.views[key] = self.view_numbers(self._judged(self.request(r), revision))  # type: ignore[assignment]
        return found  # type: ignore[return-value]

    def _judged(self, seen: Request, revision: int) -> View:
        if not revision:
            return View("ended", "", seen.no)
        return View(
            judged(self.scope, self.guards, seen, revision), invariants.wrong_with_a_claim(self.scope, seen, revision), seen.no
        )

    def _may_be_made(self, existing: int, r: int) -> bool:
        return bool(self.guards["one_execution_a_revision"](existing, self.request(r).revision))

    def _execution_after(self, e: int, what: str, r: int) -> int:
        value = self.execution(e)
        return self.executions(workers.made(value, self.request(r & MASK).revision) if what == "ready" else workers.gone(value))

    def _reopened(self, r: int) -> int:
        value = self.request(r)
        if value.revision >= self.scope.revisions:
            # The search goes no further than so many revisions: here it ends.
            return self.requests(value._replace(state=RequestState.EXPIRED, no="expired"))
        return self.requests(requests.next_revision(value, self.guards))

    def _restored(self, e: int, r: int, backup: int) -> int:
        if not backup:
            return self.backups((r, e)) << 2 * BITS | r << BITS | e
        then_r, then_e = cast("tuple[int, int]", self.backups.values[backup])
        now = workers.restored(self.execution(then_e), self.execution(e))
        return RESTORED << 2 * BITS | then_r << BITS | self.executions(now)

    # --- the way there ---

    def _story(self, state: int, came: dict[int, int], breach: str) -> tuple[str, ...]:
        way = [state]
        while came[way[-1]] >= 0:
            way.append(came[way[-1]])
        way.reverse()
        lines = [next(self._labels(old, new)) for old, new in pairwise(way)]
        e, r = state & MASK, state >> BITS & MASK
        last = next(
            step.label for step in self.steps_of_workers(e, self.view(r, self.execution(e).revision)) if step.breach == breach
        )
        return tuple(f"{number}. {line}" for number, line in enumerate([*lines, last], 1))

    def _labels(self, old: int, new: int) -> Iterator[str]:
        e, r = old & MASK, old >> BITS & MASK
        facts, revision = self._facts(e)
        for move in self.moves_of_request(r, facts):
            into = self._execution_after(e, move.execution, self.requests(move.request)) if move.execution else e
            if (self.requests(move.request) << BITS | into) == new & (1 << 2 * BITS) - 1 and old >> 2 * BITS == new >> 2 * BITS:
                yield move.label
        for step in self.steps_of_workers(e, self.view(r, revision)):
            into = self._reopened(r) if step.reopens else r
            if (into << BITS | self.executions(step.execution)) == new & (
                1 << 2 * BITS
            ) - 1 and old >> 2 * BITS == new >> 2 * BITS:
                yield step.label
        yield "a backup of the database is made" if not old >> 2 * BITS else "the backup is restored"


def judged(scope: Scope, guards: Guards, seen: Request, revision: int) -> str:
    """What the claim says: `clear`, `early`, `ended` (aborted), `lost` (aborted and back to draft); as `approvals.clearance`."""
    if guards.refused("only_approved_is_claimed", seen, revision):
        return "ended"
    if guards.refused("only_the_current_revision_is_claimed", seen, revision):
        return "lost"
    if guards.refused("the_hold_is_over_at_the_claim", seen, revision):
        return "early"
    if guards.refused("the_claim_is_in_time signatures_are_over_this_digest", seen, revision):
        return "ended"
    if seen.glass:
        return "lost" if guards.refused("glass_at_the_claim", seen, scope.rule) else "clear"
    if guards["the_quorum_is_computed_again"]():
        found = verdicts.outcome(guards, seen, scope.rule, *guards["rights_are_read_at_the_claim"](seen))
        if found is not Outcome.APPROVED:
            return "ended" if found is Outcome.DENIED else "lost"
    return "ended" if guards.refused("two_sign", seen, guards.signers(seen)) else "clear"
