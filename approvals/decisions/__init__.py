"""Every verb that moves a request: submit, file, complete, confirm, review, withdraw, disown, expire, reopen.

The only writer of a request's state. Each verb is one transaction: lock the request, check, write, promise what follows in the
outbox, append to the audit trail last. Constraints and triggers in the database stand behind each check.
"""

from approvals.authority import relying_party
from approvals.decisions.asking import complete, file, reopen, submit
from approvals.decisions.ending import disown, expire, withdraw
from approvals.decisions.quorum import editors_of, guardrails_of, resolution_of
from approvals.decisions.reviewing import confirm, review, why_not_complete, why_not_confirm, why_not_end, why_not_review
from approvals.decisions.signing import Ceremony, begin
from approvals.decisions.steps import subject

__all__ = [
    "Ceremony",
    "begin",
    "complete",
    "confirm",
    "disown",
    "editors_of",
    "expire",
    "file",
    "guardrails_of",
    "relying_party",
    "reopen",
    "resolution_of",
    "review",
    "subject",
    "submit",
    "why_not_complete",
    "why_not_confirm",
    "why_not_end",
    "why_not_review",
    "withdraw",
]
