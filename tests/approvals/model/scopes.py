"""What the suite searches to the end: the first scope alone has more than a million states."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.approvals.model.faults import RESTORED
from tests.approvals.model.request import Rule, Scope

WIDE: Final = (
    Scope("one approver; filed, or a denied call", begins=(("filed", "alice"), ("event", "alice")), claims=3),
    Scope("two approvers and a hold", Rule(approvals=2, hold=True)),
    Scope(
        "a denied call that nobody need confirm, of alice's; a bot's; nobody's",
        Rule(unconfirmed=True),
        begins=(("event", "alice"), ("event", "robo"), ("event", "")),
        losing_rights=("bob",),
        switched_off=("alice", "erin"),
        sending_back=False,
    ),
    Scope("two approvers, one of them an owner", Rule(approvals=2, owners=1), losing_rights=(), leaving_owners=("carol",)),
    Scope("break-glass", Rule(break_glass=True), losing_rights=("bob",), signing=()),
    replace(
        RESTORED,
        name="a backup of any state restored at any later one",
        revisions=2,
        reviewers=("bob", "carol"),
        editing=("alice",),
    ),
)
# What has no claim outside the database repeats itself after a restore. No deployment starts like that; the demo may.
WITHOUT: Final = replace(RESTORED, name="a backup restored, without a claim outside", outside=False)
