"""Changing authority: the portal under its own rule. Propose, sign, deny, withdraw, apply; enrolment links.

The web process proposes and collects signatures, and cannot write a table of authority. The authority process verifies the
signatures from stored bytes against the chain, and writes the tables, the next link and the audit entry in one transaction.
"""

from approvals.changes.applying import apply, expire
from approvals.changes.enrolling import Enrolment, begin_registration, enrol, invitation_of
from approvals.changes.proposing import propose, propose_again, withdraw
from approvals.changes.signing import Opened, begin, counted_signers, sign, signers_needed, why_not_sign

__all__ = [
    "Enrolment",
    "Opened",
    "apply",
    "begin",
    "begin_registration",
    "counted_signers",
    "enrol",
    "expire",
    "invitation_of",
    "propose",
    "propose_again",
    "sign",
    "signers_needed",
    "why_not_sign",
    "withdraw",
]
