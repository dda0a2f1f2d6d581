"""Scenarios as rows of steps: whatever the order, silence, expiry and denial beat approve, and nothing settled moves again.

A step is `<who> <verb>`; each row says what the request comes to, and whether the executor would carry it out.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from approvals import authority, clearance, decisions
from approvals.errors import CountersignError, Refused
from approvals.models import ApprovalRequest, Execution
from approvals.states import Verdict
from tests.cast import seal, with_carol


class Stage:
    """One request under two reviewers, and the steps that a row is made of."""

    def __init__(self, cast):
        self.cast, self.request = cast, cast.filed()
        self.walked = authority.walk(cast.genesis)
        self.later = timedelta(0)
        self.refused = []

    def do(self, step):
        who, _, verb = step.partition(" ")
        try:
            getattr(self, f"_{verb.replace(' ', '_')}")(who)
        except CountersignError as refusal:
            self.refused.append((step, type(refusal).__name__))

    def would_run(self):
        execution = Execution.objects.filter(revision__number=ApprovalRequest.objects.get().revision_number).first()
        if execution is None:
            return False
        try:
            clearance.clear(execution, self.walked, decisions.relying_party(), now=timezone.now() + self.later)
        except CountersignError:
            return False
        return True

    def _confirms(self, who):
        self.cast.sign_confirm(self.request, who)

    def _approves(self, who):
        self._review(who, Verdict.APPROVE)

    def _denies(self, who):
        self._review(who, Verdict.DENY)

    def _review(self, who, verdict):
        person, now = self.cast.person(who), timezone.now() + self.later
        ceremony = decisions.begin(self.request.pk, person, verdict, now=now)
        assertion = self.cast.assertion(who, ceremony)
        parts = {"digest": ceremony.digest, "nonce": ceremony.nonce, "assertion": assertion, "reason": "x"}
        decisions.review(self.request.pk, person, verdict=verdict, now=now, **parts)

    def _edits(self, who):
        number = ApprovalRequest.objects.get().revision_number
        decisions.complete(self.request.pk, self.cast.person(who), parameters={"TableName": "prod-customers"}, number=number)

    def _withdraws(self, who):
        decisions.withdraw(self.request.pk, self.cast.person(who))

    def _stops(self, who):
        decisions.stop(self.request.pk, self.cast.person(who), reason="x")

    def _sends_back(self, who):
        decisions.send_back(self.request.pk, self.cast.person(who), message="x", now=timezone.now() + self.later)

    def _comments(self, who):
        decisions.comment(self.request.pk, self.cast.person(who), text="x")

    def _is_switched_off(self, who):
        user = self.cast.person(who).logins.get().user
        user.is_active = False
        user.save()

    def _passes(self, who):
        """`2h passes`, `2d passes`: no beat has swept."""
        self.later += timedelta(**{{"h": "hours", "d": "days"}[who[-1]]: int(who[:-1])})

    def _sweeps(self, who):
        decisions.expire(now=timezone.now() + self.later)

    def _claims(self, who):
        Execution.objects.update(state="claimed", token=1)


@pytest.fixture
def stage(db, tmp_path, settings):
    return Stage(seal(tmp_path, settings, change=with_carol))


ROWS = [
    # the way that it should go
    (["alice confirms", "bob approves"], "approved", True, []),
    # a denial is final in every order of arrival, until the claim
    (["alice confirms", "bob denies", "carol approves"], "denied", False, ["WrongState"]),
    (["alice confirms", "bob approves", "carol denies"], "denied", False, []),
    (["alice confirms", "bob approves", "carol denies", "alice confirms", "alice edits"], "denied", False, ["WrongState"] * 2),
    (["alice confirms", "bob approves", "beat claims", "carol denies"], "approved", True, ["WrongState"]),
    # a stop is a denial; it comes before the claim or not at all
    (["alice confirms", "bob approves", "carol stops"], "denied", False, []),
    (["alice confirms", "bob approves", "alice stops", "bob approves"], "denied", False, ["WrongState"]),
    (["alice confirms", "bob stops"], "pending", False, ["WrongState"]),
    (["alice confirms", "bob approves", "beat claims", "bob stops"], "approved", True, ["WrongState"]),
    # late reviews change nothing that is settled
    (["alice confirms", "alice withdraws", "bob approves", "carol denies"], "withdrawn", False, ["WrongState"] * 2),
    (["alice confirms", "bob approves", "alice withdraws", "carol denies"], "withdrawn", False, ["WrongState"]),
    (["alice confirms", "bob approves", "carol approves"], "approved", True, ["WrongState"]),
    # expiry holds at every read, whether or not a beat has swept
    (["alice confirms", "2d passes", "bob approves"], "pending", False, ["Expired"]),
    (["alice confirms", "2d passes", "beat sweeps", "bob approves"], "expired", False, ["WrongState"]),
    (["alice confirms", "2d passes", "bob sends back"], "pending", False, ["Expired"]),
    (["alice confirms", "bob approves", "2h passes"], "approved", False, []),
    (["alice confirms", "bob approves", "2h passes", "beat sweeps", "carol denies"], "expired", False, ["WrongState"]),
    (["alice confirms", "bob approves", "2h passes", "carol sends back"], "approved", False, ["Expired"]),
    # an edit, or a return, voids what was signed
    (["alice confirms", "alice edits", "bob approves"], "draft", False, ["WrongState"]),
    (["alice confirms", "bob approves", "alice edits"], "approved", True, ["WrongState"]),
    (["alice confirms", "bob sends back", "bob approves"], "draft", False, ["WrongState"]),
    (["alice confirms", "bob approves", "carol sends back"], "draft", False, []),
    (["alice confirms", "bob approves", "carol sends back", "alice confirms", "bob approves"], "approved", True, []),
    (["alice confirms", "bob approves", "carol sends back", "alice confirms", "bob denies"], "denied", False, []),
    # whoever was switched off stands behind nothing, at the decision and at the claim
    (["alice confirms", "alice is switched off", "bob approves"], "pending", False, ["Refused"]),
    (["alice confirms", "bob approves", "alice is switched off"], "approved", False, []),
    (["alice confirms", "bob approves", "bob is switched off"], "approved", False, []),
    (["alice confirms", "bob is switched off", "bob approves", "carol approves"], "approved", True, ["NotAllowed"]),
    (["alice confirms", "bob approves", "carol is switched off", "carol stops"], "approved", True, ["NotAllowed"]),
    # talk moves nothing
    (["alice confirms", "carol comments", "bob approves", "carol comments"], "approved", True, []),
    (["alice confirms", "bob denies", "alice comments"], "denied", False, []),
]


@pytest.mark.parametrize(("steps", "state", "runs", "refused"), ROWS, ids=[", ".join(row[0]) for row in ROWS])
def test_whatever_the_order(stage, steps, state, runs, refused):
    """What it comes to, whether it would be carried out, and which steps were refused."""
    for step in steps:
        stage.do(step)
    assert ApprovalRequest.objects.get().state == state
    assert [kind for _, kind in stage.refused] == refused
    assert stage.would_run() is runs


def test_an_approved_request_of_a_switched_off_requester_says_why_it_is_not_run(stage):
    """The claim's refusal is about the approvals, so the request goes back to draft and waits for a person."""
    for step in ("alice confirms", "bob approves", "alice is switched off"):
        stage.do(step)
    with pytest.raises(Refused, match="does not stand behind it"):
        clearance.clear(Execution.objects.get(), stage.walked, decisions.relying_party(), now=timezone.now())
