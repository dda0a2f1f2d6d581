"""Changing authority: the portal under its own rule. Propose, sign, deny, withdraw, apply; enrolment links.

The web process proposes and collects signatures, and cannot write a table of authority. The authority process verifies the
signatures from stored bytes against the chain, and writes the tables, the next link and the audit entry in one transaction.
"""

from approvals.changes.applying import ACTOR, apply, expire
from approvals.changes.enrolling import Enrolment, begin_registration, codes_asked, enrol, invitation_of, registered
from approvals.changes.proposing import differences, propose, propose_again, withdraw
from approvals.changes.signing import Opened, begin, counted_signers, sign, signers_needed, why_not_sign

__all__ = [
    "ACTOR",
    "Enrolment",
    "Opened",
    "apply",
    "begin",
    "begin_registration",
    "codes_asked",
    "counted_signers",
    "differences",
    "enrol",
    "expire",
    "invitation_of",
    "propose",
    "propose_again",
    "registered",
    "sign",
    "signers_needed",
    "why_not_sign",
    "withdraw",
]
