"""The workers' half of the model: the execution and its attempt as rows, the workers, and the world outside the database.

The moves follow the numbered steps of `executor.run` and the sweep of `executor.reconcile`; a worker may be lost before each. The
tables of moves between states are the product's own. One plan has one step here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from approvals.states import ATTEMPT_MOVES, EXECUTION_MOVES, AttemptState, ExecutionState
from tests.approvals.model.guards import Guards
from tests.approvals.model.request import Scope

READY, CLAIMED, RUNNING = ExecutionState.READY, ExecutionState.CLAIMED, ExecutionState.RUNNING
SUCCEEDED, FAILED, UNKNOWN = ExecutionState.SUCCEEDED, ExecutionState.FAILED, ExecutionState.UNKNOWN
ABORTED = ExecutionState.ABORTED


class Worker(NamedTuple):
    """A process with a claim in its hands. `phase` is what it did last, `name` and `token` are its claim's, `bad` what was wrong.

    judged (holds the locks), claimed, outside (its claim is written outside), sent, then the answer in memory alone: yes, no,
    silence; answered, settled.
    """

    phase: str
    name: int
    token: int
    bad: str = ""

    @property
    def revision(self) -> int:
        """The revision whose plan it holds in memory."""
        return self.name >> 1


class Execution(NamedTuple):
    """An execution's row and attempt, the workers that are busy (sorted: they are alike), and the world.

    `name` stands for its id: twice the revision, and one more when it was made after a restore. `effects` and `outside` by
    revision: how often AWS carried it out, and whether a claim lies outside the database.
    """

    state: str = ""
    name: int = 0
    token: int = 0
    lapsed: bool = False
    attempt: str = ""
    workers: tuple[Worker, ...] = ()
    effects: tuple[int, ...] = ()
    outside: tuple[bool, ...] = ()
    restored: bool = False
    former: int = 0  # the name of one that was made for a revision which was sent back since: its row stays, and its promise

    @property
    def revision(self) -> int:
        """The revision that it permits to carry out; 0 when there is none."""
        return self.name >> 1


class View(NamedTuple):
    """What a worker sees of the request when it judges: the verdict, what is really wrong, and what somebody was told is over."""

    verdict: str
    bad: str
    no: str


class Step(NamedTuple):
    """What a worker or the sweep makes of it. `reopens`: the request goes back to draft. `breach`: the invariant that broke."""

    label: str
    execution: Execution
    reopens: bool = False
    breach: str = ""


# What the rows and the worker become when it has done the phase.
Now = Callable[..., Execution]
WORKERS: Final = 2
# What comes next writes the execution's row, and waits for whoever has locked it.
WRITING: Final = frozenset({"outside", "yes", "no", "silence", "answered", "settled"})
BEGUN: Final = frozenset({CLAIMED, RUNNING, SUCCEEDED, FAILED, UNKNOWN})


def nothing(scope: Scope) -> Execution:
    """No execution yet, and nothing done in the world."""
    return Execution(effects=(0,) * scope.revisions, outside=(False,) * scope.revisions)


def made(execution: Execution, revision: int) -> Execution:
    """What an approval leaves behind: `ready`, for this revision."""
    return execution._replace(state=READY, name=2 * revision + execution.restored, token=0, lapsed=False, attempt="")


def gone(execution: Execution) -> Execution:
    """The request has another revision, which has no execution yet; one that nobody claimed is left behind."""
    former = execution.name if execution.state == READY else execution.former
    return execution._replace(state="", name=0, token=0, lapsed=False, attempt="", former=former)


def restored(then: Execution, now: Execution) -> Execution:
    """The rows as they were in the backup; the world, and workers that were not stopped, as they are."""
    return then._replace(workers=now.workers, effects=now.effects, outside=now.outside, restored=True)


def is_claimed(execution: Execution) -> bool:
    """What `must_be_unclaimed` asks."""
    return execution.state in BEGUN


def is_locked(guards: Guards, execution: Execution) -> bool:
    """Whether a worker is between its judgement and its commit."""
    return guards["the_row_is_locked"]() and any(worker.phase == "judged" for worker in execution.workers)


def steps(scope: Scope, guards: Guards, execution: Execution, view: View) -> Iterator[Step]:
    """Everything that a worker, the sweep or time can do to the execution."""
    for step in _steps(scope, guards, execution, view):
        if _in_the_tables(execution, step.execution):
            yield step._replace(breach=step.breach or _untrue(guards, execution, step.execution))


def _in_the_tables(old: Execution, new: Execution) -> bool:
    """The database's triggers: a move that the product's table lacks is refused."""
    moved = new.state != old.state and old.state and new.state
    if moved and ExecutionState(new.state) not in EXECUTION_MOVES[ExecutionState(old.state)]:
        return False
    changed = new.attempt != old.attempt and old.attempt and new.attempt != AttemptState.SENT
    return not changed or AttemptState(new.attempt) in ATTEMPT_MOVES[AttemptState(old.attempt)]


def _untrue(guards: Guards, old: Execution, new: Execution) -> str:
    """O: what is written as the end is what happened."""
    if new.state == old.state or old.restored:
        return ""
    done = new.effects[new.revision - 1] if new.revision else 0
    return "O" if (new.state == FAILED and done) or (new.state == SUCCEEDED and not done) else ""


def _steps(scope: Scope, guards: Guards, execution: Execution, view: View) -> Iterator[Step]:
    locked = is_locked(guards, execution)
    if len(execution.workers) < WORKERS and execution.token < scope.claims and not locked:
        yield from _taken(guards, execution, view)
    for worker in sorted(set(execution.workers)):
        others = list(execution.workers)
        others.remove(worker)
        yield Step(f"a worker is lost ({worker.phase})", execution._replace(workers=tuple(others)))
        if not (locked and worker.phase in WRITING):
            yield from _worked(scope, guards, execution, worker, tuple(others), view)
    if not locked:
        yield from _swept(scope, guards, execution)
    if execution.state in (CLAIMED, RUNNING) and not execution.lapsed:
        yield Step("the lease runs out", execution._replace(lapsed=True))


# --- take: steps 1 to 3 of `executor.run` ---


def _taken(guards: Guards, execution: Execution, view: View) -> Iterator[Step]:
    if execution.former:
        if "only_the_current_revision_is_claimed" not in guards.out:
            yield Step("a worker finds that a former execution is of another revision", execution._replace(former=0))
        else:
            again = execution._replace(state=READY, name=execution.former, token=0, lapsed=False, attempt="", former=0)
            yield Step("a worker comes to a former execution", again)
    if execution.state == READY:
        under_way = False
    elif execution.state in (CLAIMED, RUNNING, UNKNOWN):
        lapsed = execution.lapsed or execution.state == UNKNOWN
        # Unknown is nobody's to take over, whether a row of a call says so or a claim outside alone.
        attempt = str(AttemptState.UNKNOWN) if execution.state == UNKNOWN else execution.attempt
        if not guards["a_lease_is_waited_for"](lapsed) or not guards["only_settled_calls_are_taken_over"](attempt):
            return
        under_way = execution.state != CLAIMED
    else:
        return
    if execution.attempt == AttemptState.SUCCEEDED and guards["what_is_done_is_not_judged"]():
        yield Step("a worker finds it done", execution._replace(state=SUCCEEDED, lapsed=False))
    elif view.verdict == "clear":
        worker = Worker("judged", execution.name, execution.token + 1, view.bad)
        yield Step("a worker judges it", execution._replace(workers=_sorted(*execution.workers, worker)))
    elif view.verdict != "early":
        end = execution._replace(state=FAILED if under_way else ABORTED, lapsed=False)
        reopens = view.verdict == "lost" and not under_way
        yield Step(f"a worker finds it {view.verdict}", gone(end) if reopens else end, reopens)


# --- carry out: steps 3 to 9 ---


def _worked(
    scope: Scope, guards: Guards, execution: Execution, worker: Worker, others: tuple[Worker, ...], view: View
) -> Iterator[Step]:
    def now(phase: str, **rows: object) -> Execution:
        mine = [worker._replace(phase=phase)] if phase else []
        return execution._replace(workers=_sorted(*others, *mine), **rows)  # type: ignore[arg-type]

    current = (worker.name, worker.token) == (execution.name, execution.token)
    mine = current and execution.state in (CLAIMED, RUNNING)
    if worker.phase == "judged":
        # Under the lock the row is still as it was judged; without it this is the blind write of what was read before.
        state = CLAIMED if execution.state in (READY, CLAIMED) else execution.state
        if worker.name == execution.name:
            yield Step("the worker claims it", now("claimed", state=state, token=worker.token, lapsed=False))
        else:
            yield Step("the worker's row is gone", now(""))
    elif worker.phase == "claimed":
        yield from _claimed_outside(scope, guards, execution, worker, now, current=current)
    elif worker.phase == "outside":
        sends = guards["the_newest_token_sends"](current) and execution.state in (CLAIMED, RUNNING)
        if sends and guards["one_attempt_a_step"](execution.attempt):
            sent = now("sent", state=RUNNING, attempt=AttemptState.SENT, lapsed=False)
            yield Step("the worker says that it sends", sent)
        else:
            yield Step("the worker is refused and stops", now(""))
    elif worker.phase == "sent":
        alive = current and execution.state == RUNNING and not execution.lapsed
        if guards["who_was_given_up_does_not_call"](alive):
            yield from _called(execution, worker, now, view, alive=alive)
        else:
            yield Step("the worker does not call: it was given up", now("no"))
    else:
        yield from _recorded(execution, worker, now, mine=mine or (current and execution.state == UNKNOWN))


def _claimed_outside(
    scope: Scope, guards: Guards, execution: Execution, worker: Worker, now: Now, *, current: bool
) -> Iterator[Step]:
    if not scope.outside or not guards["the_claim_outside_is_asked"]():
        yield Step("the worker assumes the role", now("outside"))
        return
    # No row of an attempt accounts for one yet; one under another revision's digest is a claim of the request as well.
    if any(execution.outside):
        lost = now("", state=UNKNOWN, lapsed=False) if current else now("")
        yield Step("the worker finds another's claim outside: unknown", lost)
    else:
        mine = _with(execution.outside, worker.revision - 1, value=True)
        yield Step("the worker writes its claim outside", now("outside", outside=mine))


def _called(execution: Execution, worker: Worker, now: Now, view: View, *, alive: bool) -> Iterator[Step]:
    """The one wire call, and what AWS makes of it."""
    at = worker.revision - 1
    breach = "" if alive else "R38"
    yield Step("AWS refuses the call", now("no"), breach=breach)
    yield Step("the call is lost on its way", now("silence"), breach=breach)
    done = min(execution.effects[at] + 1, 2)
    if not breach:
        breach = worker.bad or ("I12" if view.no else "")
    if done == 2 and not breach:
        breach = "I10" if execution.restored else "I3"
    effects = _with(execution.effects, at, value=done)
    yield Step("AWS carries it out and says so", now("yes", effects=effects), breach=breach)
    yield Step("AWS carries it out and its answer is lost", now("silence", effects=effects), breach=breach)


def _recorded(execution: Execution, worker: Worker, now: Now, *, mine: bool) -> Iterator[Step]:
    unanswered = execution.attempt in (AttemptState.SENT, AttemptState.UNKNOWN)
    if worker.phase == "yes" and unanswered and mine:
        yield Step("the yes is recorded", now("answered", attempt=AttemptState.ACCEPTED))
    elif worker.phase == "no" and unanswered and mine:
        yield Step("the refusal is recorded", now("", attempt=AttemptState.REJECTED, state=FAILED))
    elif worker.phase == "silence" and execution.attempt == AttemptState.SENT and mine:
        yield Step("the silence is recorded", now("", attempt=AttemptState.UNKNOWN, state=UNKNOWN))
    elif worker.phase == "answered" and execution.attempt == AttemptState.ACCEPTED and mine:
        yield Step("the target settles", now("settled", attempt=AttemptState.SUCCEEDED))
        yield Step("the target does not settle in time", now("", state=UNKNOWN))
    elif worker.phase == "settled" and mine:
        yield Step("the end is recorded", now("", state=SUCCEEDED))
    else:
        yield Step("the worker finds itself superseded", now(""))


# --- the sweep ---


def _swept(scope: Scope, guards: Guards, execution: Execution) -> Iterator[Step]:
    done = execution.revision > 0 and execution.effects[execution.revision - 1] > 0
    if execution.state == RUNNING and execution.lapsed:
        if execution.attempt == AttemptState.SENT:
            lost = execution._replace(attempt=AttemptState.UNKNOWN, state=UNKNOWN, lapsed=False)
            yield Step("the sweep finds the call without an answer", lost)
        elif execution.attempt == AttemptState.ACCEPTED:
            fenced = execution._replace(attempt=AttemptState.SUCCEEDED, token=execution.token + 1, lapsed=True)
            yield Step("the sweep sees the accepted call settled", fenced._replace(state=SUCCEEDED))
    elif execution.state == UNKNOWN and execution.attempt in (AttemptState.UNKNOWN, AttemptState.ACCEPTED):
        if done:
            proven = execution._replace(attempt=AttemptState.SUCCEEDED, state=SUCCEEDED)
            yield Step("CloudTrail's record proves the call", proven)
        if not guards["silence_settles_nothing"]():
            yield Step("the sweep takes silence for a no", execution._replace(attempt=AttemptState.REJECTED, state=FAILED))


def _sorted(*workers: Worker) -> tuple[Worker, ...]:
    return tuple(sorted(workers))


def _with(row: tuple, at: int, *, value: object) -> tuple:
    return (*row[:at], value, *row[at + 1 :])
