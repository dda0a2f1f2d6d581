"""Changing authority: the portal under its own rule. Propose, sign, deny, withdraw, apply; enrolment links.

The web process proposes and collects signatures, and cannot write a table of authority. The authority process verifies the
signatures from stored bytes against the chain, and writes the tables, the next link and the audit entry in one transaction.
"""

from approvals.changes.applying import ACTOR, apply, expire
from approvals.changes.enrolling import Enrolment, begin_registration, codes_asked, enrol, invitation_of, keys_asked, registered
from approvals.changes.proposing import (
    differences,
    is_genuine,
    propose,
    propose_again,
    sentence_of,
    why_not_propose_again,
    why_not_withdraw,
    withdraw,
)
from approvals.changes.signing import (
    begin,
    counted_signers,
    invites,
    must_be_signable,
    must_have_reason,
    sign,
    signers_needed,
    why_not_sign,
)
from approvals.changes.writing import LONGEST_REASON

__all__ = [
    "ACTOR",
    "LONGEST_REASON",
    "Enrolment",
    "apply",
    "begin",
    "begin_registration",
    "codes_asked",
    "counted_signers",
    "differences",
    "enrol",
    "expire",
    "invitation_of",
    "invites",
    "is_genuine",
    "keys_asked",
    "must_be_signable",
    "must_have_reason",
    "propose",
    "propose_again",
    "registered",
    "sentence_of",
    "sign",
    "signers_needed",
    "why_not_propose_again",
    "why_not_sign",
    "why_not_withdraw",
    "withdraw",
]
