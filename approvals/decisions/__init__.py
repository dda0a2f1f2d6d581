"""Every verb that moves a request or stands beside it.

submit, file, adopt, complete, confirm, review, send back, comment, break glass, stop, withdraw, disown, expire, reopen, and
freeze. The only writer of a request's state. Each verb is one transaction: lock the request, check, write, promise what follows
in the outbox, append to the audit trail last. Constraints and triggers in the database stand behind each check.
"""

from approvals.authority import relying_party
from approvals.decisions.asking import adopt, complete, file, reopen, submit
from approvals.decisions.ending import disown, expire, stop, withdraw
from approvals.decisions.freezing import NotFrozen, freeze
from approvals.decisions.glass import break_glass, review_glass, why_not_review_glass
from approvals.decisions.offering import (
    why_held,
    why_not_adopt,
    why_not_break,
    why_not_comment,
    why_not_complete,
    why_not_confirm,
    why_not_end,
    why_not_return,
    why_not_review,
    why_not_stop,
)
from approvals.decisions.quorum import editors_of, guardrails_of, resolution_of
from approvals.decisions.reviewing import confirm, review, send_back
from approvals.decisions.signing import begin
from approvals.decisions.steps import subject
from approvals.decisions.talking import comment

__all__ = [
    "NotFrozen",
    "adopt",
    "begin",
    "break_glass",
    "comment",
    "complete",
    "confirm",
    "disown",
    "editors_of",
    "expire",
    "file",
    "freeze",
    "guardrails_of",
    "relying_party",
    "reopen",
    "resolution_of",
    "review",
    "review_glass",
    "send_back",
    "stop",
    "subject",
    "submit",
    "why_held",
    "why_not_adopt",
    "why_not_break",
    "why_not_comment",
    "why_not_complete",
    "why_not_confirm",
    "why_not_end",
    "why_not_return",
    "why_not_review",
    "why_not_review_glass",
    "why_not_stop",
    "withdraw",
]
