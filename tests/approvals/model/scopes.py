"""What the suite searches to the end: together more than two million states."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.approvals.model.faults import RESTORED
from tests.approvals.model.request import Rule, Scope

WIDE: Final = (
    Scope("one approver; filed, or a denied call", begins=(("filed", "alice"), ("event", "alice"))),
    Scope("two approvers and a hold", Rule(approvals=2, hold=True)),
    Scope(
        "nobody confirmed; a bot, or nobody known",
        Rule(unconfirmed=True),
        begins=(("event", ""), ("event", "robo")),
        losing_rights=("bob",),
        switched_off=("bob", "erin"),
        sending_back=False,
    ),
    replace(
        RESTORED,
        name="a backup of any state restored at any later one, with the claim outside",
        revisions=2,
        reviewers=("bob", "carol"),
        editing=("alice",),
    ),
)
# What has no claim outside the database repeats itself after a restore, and nothing else is allowed to.
TODAY: Final = replace(RESTORED, name="a backup restored, without a claim outside", outside=False)
