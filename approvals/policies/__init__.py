"""Pure verdicts: does a guardrail match a call, how many approvals does it ask for, and what do the reviews add up to.

Nothing here reads a database: facts go in, a verdict comes out, so one code judges at the decision, the claim and in tests.
"""

from approvals.policies.calls import call_of, resources_in, unknown_in
from approvals.policies.index import Index, index_of
from approvals.policies.matching import Call, matches
from approvals.policies.patterns import any_fits, overlap
from approvals.policies.protective import unprotected
from approvals.policies.quorum import (
    GroupProgress,
    Outcome,
    Progress,
    Resolution,
    Vote,
    resolve,
    unconfirmed_may_be_decided,
)
from approvals.policies.reading import rules_from, rules_from_text
from approvals.policies.rules import (
    BreakGlass,
    Clocks,
    Condition,
    Freeze,
    Irreversible,
    Mode,
    Operator,
    Rules,
    Window,
)

__all__ = [
    "BreakGlass",
    "Call",
    "Clocks",
    "Condition",
    "Freeze",
    "GroupProgress",
    "Index",
    "Irreversible",
    "Mode",
    "Operator",
    "Outcome",
    "Progress",
    "Resolution",
    "Rules",
    "Vote",
    "Window",
    "any_fits",
    "call_of",
    "index_of",
    "matches",
    "overlap",
    "resolve",
    "resources_in",
    "rules_from",
    "rules_from_text",
    "unconfirmed_may_be_decided",
    "unknown_in",
    "unprotected",
]
