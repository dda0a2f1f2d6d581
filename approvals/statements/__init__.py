"""Statements: what persons sign beside plans and changes of authority.

One administrator pauses all executions, two resume them; two persons close an outcome that nothing else settles. The web process
collects signatures. What they lead to is judged by the execution process, from stored bytes and the walked authority.
"""

from approvals.statements.closing import LONGEST_EVIDENCE, open_attempt, propose_closing, waiting_for, why_not_close
from approvals.statements.signing import (
    begin,
    counted_signers,
    expire,
    must_be_signable,
    sign,
    signers_needed,
    why_not_sign,
    why_not_withdraw,
    withdraw,
)
from approvals.statements.standing import Pauses, pauses
from approvals.statements.switch import (
    PAUSED,
    held_still,
    in_force,
    must_go_on,
    must_name_pauses,
    must_still_run,
    pause,
    paused_since,
    propose_resuming,
    take_back,
    waiting_to_resume,
    why_not_switch,
    words_of,
)
from approvals.statements.texts import Outcome, Said, read, sentence_of
from approvals.statements.verifying import administrators_among, approvers
from approvals.statements.writing import LONGEST_REASON, end

__all__ = [
    "LONGEST_EVIDENCE",
    "LONGEST_REASON",
    "PAUSED",
    "Outcome",
    "Pauses",
    "Said",
    "administrators_among",
    "approvers",
    "begin",
    "counted_signers",
    "end",
    "expire",
    "held_still",
    "in_force",
    "must_be_signable",
    "must_go_on",
    "must_name_pauses",
    "must_still_run",
    "open_attempt",
    "pause",
    "paused_since",
    "pauses",
    "propose_closing",
    "propose_resuming",
    "read",
    "sentence_of",
    "sign",
    "signers_needed",
    "take_back",
    "waiting_for",
    "waiting_to_resume",
    "why_not_close",
    "why_not_sign",
    "why_not_switch",
    "why_not_withdraw",
    "withdraw",
    "words_of",
]
