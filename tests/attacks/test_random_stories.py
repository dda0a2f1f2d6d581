"""Random stories of a worker that stands still or is lost, with everything that people, S3 and AWS may do meanwhile.

What must hold is the same at the end of each: one call for a signed step at the most, nothing said of it that is not so, nothing
stuck. `make soak` plays some hundred; a story that fails says its seed and what happened in it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from approvals import audit, decisions, statements
from approvals.errors import CountersignError
from approvals.models import ApprovalRequest, Execution, Statement
from approvals.statements import Outcome
from approvals.states import Verdict
from executor import delivery
from executor.outside import bucket
from tests import cast as standing
from tests.attacks.test_ends_after_a_restore import NO_LIST, with_s3
from tests.executor import broken_s3
from tests.executor.proxy import Wire
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_steps import CHANGE, DELETE, approved

STORIES = int(os.environ.get("SOAK_STORIES", "4"))
BEFORE = ["claimed", "prepared", "step", "assumed", "identified", "opened", "claiming", "claimed-outside"]
IN_THE_CALL = ["claimed-outside", "sent", "fenced", "fenced", "called", "called", "answered", "looking", "seen", "settled"]
POINTS = BEFORE + IN_THE_CALL
Event = Callable[["Story"], object]
UNWRITTEN = (broken_s3.GONE, broken_s3.ANSWER_LOST, broken_s3.BROKEN_AFTER)


@pytest.fixture
def cast(cloned_database: str, tmp_path: Any, settings: Any) -> standing.Cast:
    """Bob and carol may both review, so that two can say how a call went."""
    return standing.seal(tmp_path, settings, change=standing.with_carol)


@dataclass(repr=False)
class Story:
    """One plan of one or two steps, and what happened around it."""

    stage: Stage
    chance: random.Random
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.two = self.chance.random() < 0.4
        self.execution: Execution = approved(self.stage, CHANGE, DELETE) if self.two else self.stage.cast.approved()

    def calls(self) -> int:
        return len(self.stage.calls("UpdateTable")) + len(self.stage.calls("DeleteTable"))

    def held_up(self, among: list[str], first: int, events: dict[str, Event], *, sweep: bool = False) -> None:
        """A worker stands still at one of the points while so much happens, and goes on or dies; or it does not get there."""
        point = self.chance.choice(among) + (":2" if self.two and self.chance.random() < 0.5 else "")
        self.told.append(point)
        try:
            with self.stage.frozen_at(point) as thaw:
                if sweep:
                    self.stage.sweep(1)
                for _ in range(self.chance.randint(first, first + 4)):
                    self.happens(events)
                if self.chance.random() < 0.6:
                    self.told.append("thaw")
                    thaw()
        except AssertionError as error:
            if "did not get to" not in str(error):
                raise

    def happens(self, events: dict[str, Event]) -> None:
        """One of these; who may not, or not any more, is told so."""
        name = self.chance.choice(list(events))
        self.told.append(name)
        try:
            events[name](self)
        except CountersignError as error:
            self.told.append(f"({type(error).__name__})")

    def __repr__(self) -> str:
        found = fresh(self.execution)
        rows = attempts(self.execution)
        return f"{self.told} -> {found.state} {rows}, {self.calls()} calls. {found.outcome} {self.stage.alerts()}"


# --- what may happen ---


def _sweep_without_the_list(story: Story) -> None:
    bucket.must_keep.cache_clear()
    with_s3(story.stage, NO_LIST[story.chance.choice(list(NO_LIST))], lambda: story.stage.sweep(1))
    bucket.must_keep.cache_clear()


def _sweep_without_claims(story: Story) -> None:
    with_s3(story.stage, {"PUT": story.chance.choice(UNWRITTEN)}, lambda: story.stage.sweep(1))


def _sweep_throttled(story: Story) -> None:
    with Wire(story.stage.aws.endpoint_url, "DeleteTable", "throttle before", times=1) as wire:
        story.stage.endpoint = wire.url
        story.stage.sweep(1)
    story.stage.endpoint = ""


def _login(active: str) -> Event:
    return lambda story: story.stage.sql(f"UPDATE portal_user SET is_active = {active} WHERE username = 'bob'")


def _person(story: Story, handle: str) -> Any:
    return story.stage.cast.person(handle)


ENDS: dict[str, Event] = {
    "sweep": lambda story: story.stage.sweep(1),
    "sweep again": lambda story: story.stage.sweep(1),
    "sweep without the list": _sweep_without_the_list,
    "sweep without claims": _sweep_without_claims,
    "sweep throttled": _sweep_throttled,
    "lapse": lambda story: story.stage.lapse(),
    "execute": lambda story: story.stage.execute(),
    "stop": lambda story: decisions.stop(story.execution.revision.request_id, _person(story, "bob"), reason="no"),
    "withdraw": lambda story: decisions.withdraw(story.execution.revision.request_id, _person(story, "alice")),
    "send back": lambda story: decisions.send_back(story.execution.revision.request_id, _person(story, "bob"), message="say why"),
    "pause": lambda story: story.stage.cast.paused(),
    "resume": lambda story: story.stage.resume(),
    "a login off": _login("false"),
    "a login on": _login("true"),
}


def _evidence(story: Story) -> None:
    story.stage.poll()
    with story.stage.acting("delivery"):
        delivery.drain()


def _time_goes_by(story: Story) -> None:
    story.stage.forge(("UPDATE approvals_attempt SET sent_at = sent_at - interval '16 minutes'", ()))


def _propose(outcome: Outcome) -> Event:
    def propose(story: Story) -> None:
        who = _person(story, story.chance.choice(["bob", "carol"]))
        statements.propose_closing(story.execution.pk, who, outcome=outcome, evidence="the console", reason="I looked")

    return propose


def _sign(handle: str, verdict: Verdict) -> Event:
    def sign(story: Story) -> None:
        if (one := Statement.objects.filter(kind="closing", state="open").first()) is not None:
            story.stage.cast.sign_statement(one, handle, verdict)

    return sign


def _due(story: Story) -> None:
    story.stage.lapse()
    story.stage.execute()


CLOSINGS: dict[str, Event] = {
    "sweep": lambda story: story.stage.sweep(1),
    "due": _due,
    "evidence": _evidence,
    "time goes by": _time_goes_by,
    "propose that it took effect": _propose(Outcome.SUCCEEDED),
    "propose that it had none": _propose(Outcome.NO_EFFECT),
    "bob signs": _sign("bob", Verdict.APPROVE),
    "carol signs": _sign("carol", Verdict.APPROVE),
    "bob signs then": _sign("bob", Verdict.APPROVE),
    "carol signs then": _sign("carol", Verdict.APPROVE),
    "carol denies": _sign("carol", Verdict.DENY),
    "pause": lambda story: story.stage.cast.paused(),
    "resume": lambda story: story.stage.resume(),
}


# --- the stories ---


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(STORIES))
def test_whatever_happens_around_a_call_it_is_made_once_and_told_as_it_was(stage: Stage, seed: int) -> None:
    """A worker stands still or dies; people stop, pause and send back, S3 and AWS fail: one effect, and the truth about it."""
    story = Story(stage, random.Random(seed))  # noqa: S311 - a seed, to be played again
    story.held_up(POINTS, 1, ENDS)
    for _ in range(story.chance.randint(0, 3)):
        story.happens(ENDS)
    _login("true")(story)
    with suppress(CountersignError):
        stage.resume()
    bucket.must_keep.cache_clear()
    stage.sweep(4)
    found, rows, request = fresh(story.execution), attempts(story.execution), ApprovalRequest.objects.get()
    assert audit.verify().holds, story
    assert len(stage.calls("UpdateTable")) <= 1, story
    # What was throttled was denied by AWS, and seen to be called all the same.
    assert len(stage.calls("DeleteTable")) <= 1 + story.told.count("sweep throttled"), story
    assert found.state not in {"ready", "claimed", "running"}, story
    assert found.state != "aborted" or (story.calls() == 0 and request.state != "approved"), story
    assert found.state != "failed" or story.two or "succeeded" not in rows, story
    assert found.state != "unknown" or {"sent", "unknown", "accepted"} & set(rows) or "claimed" in stage.alerts(), story


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(STORIES))
def test_whatever_is_said_about_a_call_that_is_not_known_it_ends_as_it_was(stage: Stage, seed: int) -> None:
    """Late answers, CloudTrail's records and two persons' statements come in any order: each end is true, and nobody a forger."""
    story = Story(stage, random.Random(seed))  # noqa: S311 - a seed, to be played again
    story.held_up(IN_THE_CALL, 2, CLOSINGS, sweep=True)
    for _ in range(story.chance.randint(0, 3)):
        story.happens(CLOSINGS)
    with suppress(CountersignError):
        stage.resume()
    stage.sweep(2)
    _evidence(story)
    _time_goes_by(story)
    stage.sweep(3)
    found, rows, made = fresh(story.execution), attempts(story.execution), story.calls()
    assert audit.verify().holds, story
    assert max(len(stage.calls("UpdateTable")), len(stage.calls("DeleteTable"))) <= 1, story
    assert found.state in {"succeeded", "failed", "unknown"}, story
    assert "forgery" not in stage.alerts(), story
    assert found.state != "unknown" or {"sent", "unknown", "accepted"} & set(rows) or "claimed" in stage.alerts(), story
    closed = Statement.objects.filter(kind="closing", state="in force").first()
    if closed is None:
        assert found.state != "succeeded" or made == (2 if story.two else 1), story
        assert found.state != "failed" or story.two or made == 0, story
    elif (said := statements.read(closed)).attempt[1] and "contrary" not in stage.alerts():
        step = "UpdateTable" if story.two and said.attempt[0] == 0 else "DeleteTable"
        # Two persons may be wrong. What they call done and CloudTrail never shows is said later (`unproven`); the other way round
        # its record is an alert at once.
        assert said.outcome is Outcome.SUCCEEDED or stage.calls(step) == [], story
