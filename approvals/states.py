"""The states and the one table of the moves between them. A trigger in the database holds the same table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class RequestState(StrEnum):
    """Where an ApprovalRequest stands. Written by `approvals.decisions` alone."""

    DRAFT = "draft"
    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    DISOWNED = "disowned"


class ExecutionState(StrEnum):
    """Where an Execution stands. Written by `executor.run` and `executor.reconcile` alone."""

    READY = "ready"
    CLAIMED = "claimed"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"
    UNKNOWN = "unknown"


class AttemptState(StrEnum):
    """Where one call on the wire stands."""

    SENT = "sent"
    ACCEPTED = "accepted"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    PARTIAL = "partial"
    UNKNOWN = "unknown"


class Verdict(StrEnum):
    """What a person signs: the requester confirms, or breaks the glass; a reviewer approves or denies."""

    CONFIRM = "confirm"
    APPROVE = "approve"
    DENY = "deny"
    BREAK_GLASS = "breakglass"


class ChangeState(StrEnum):
    """Where a change of authority stands. `stale`: another was applied first; `refused`: it did not verify."""

    OPEN = "open"
    APPLIED = "applied"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    STALE = "stale"
    REFUSED = "refused"


class StatementState(StrEnum):
    """Where a statement stands. `in force`: it was acted on; `over`: a pause that was resumed; `refused`: it did not verify."""

    OPEN = "open"
    IN_FORCE = "in force"
    OVER = "over"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    REFUSED = "refused"


class Completeness(StrEnum):
    """How far a recorded call can be repeated."""

    EXACT = "exact"
    REBUILT = "rebuilt"
    REDACTED = "redacted"
    INCOMPLETE = "incomplete"
    UNKNOWN = "unknown"


_R, _E, _A = RequestState, ExecutionState, AttemptState

REQUEST_MOVES: Final[Mapping[RequestState, frozenset[RequestState]]] = {
    # From draft to approved there is one way, breaking the glass.
    _R.DRAFT: frozenset({_R.PENDING, _R.APPROVED, _R.EXPIRED, _R.WITHDRAWN, _R.DISOWNED}),
    _R.PENDING: frozenset({_R.APPROVED, _R.DENIED, _R.EXPIRED, _R.WITHDRAWN, _R.DISOWNED, _R.DRAFT}),
    # Until the claim a denial, an expiry or a withdrawal also ends what is approved; an aborted claim sends it back to draft.
    _R.APPROVED: frozenset({_R.DENIED, _R.EXPIRED, _R.WITHDRAWN, _R.DISOWNED, _R.DRAFT}),
    _R.DENIED: frozenset(),
    _R.EXPIRED: frozenset(),
    _R.WITHDRAWN: frozenset(),
    _R.DISOWNED: frozenset(),
}

EXECUTION_MOVES: Final[Mapping[ExecutionState, frozenset[ExecutionState]]] = {
    _E.READY: frozenset({_E.CLAIMED, _E.ABORTED}),
    _E.CLAIMED: frozenset({_E.RUNNING, _E.ABORTED, _E.FAILED, _E.UNKNOWN}),
    _E.RUNNING: frozenset({_E.SUCCEEDED, _E.FAILED, _E.UNKNOWN}),
    _E.UNKNOWN: frozenset({_E.SUCCEEDED, _E.FAILED}),
    _E.SUCCEEDED: frozenset(),
    _E.FAILED: frozenset(),
    _E.ABORTED: frozenset(),
}

ATTEMPT_MOVES: Final[Mapping[AttemptState, frozenset[AttemptState]]] = {
    _A.SENT: frozenset({_A.ACCEPTED, _A.SUCCEEDED, _A.REJECTED, _A.PARTIAL, _A.UNKNOWN}),
    _A.ACCEPTED: frozenset({_A.SUCCEEDED, _A.PARTIAL, _A.UNKNOWN}),
    _A.UNKNOWN: frozenset({_A.ACCEPTED, _A.SUCCEEDED, _A.REJECTED, _A.PARTIAL}),
    _A.SUCCEEDED: frozenset(),
    _A.REJECTED: frozenset(),
    _A.PARTIAL: frozenset(),
}

OPEN_STATES: Final = frozenset({_R.DRAFT, _R.PENDING, _R.APPROVED})
REVIEWABLE_STATES: Final = frozenset({_R.PENDING, _R.APPROVED})
SETTLED_EXECUTIONS: Final = frozenset({_E.SUCCEEDED, _E.FAILED, _E.ABORTED})


def may_move(old: RequestState, new: RequestState) -> bool:
    """Whether the table has this move of a request."""
    return new in REQUEST_MOVES[old]


class Status(StrEnum):
    """What people read as a request's status: derived from the request and its newest execution, never stored."""

    DRAFT = "Draft"
    WAITING = "Waiting for review"
    APPROVED = "Approved, about to run"
    RUNNING = "Running"
    DONE = "Done"
    FAILED = "Failed"
    UNKNOWN = "Outcome unknown"
    ABORTED = "Stopped before the call"
    DENIED = "Denied"
    EXPIRED = "Expired"
    WITHDRAWN = "Withdrawn"
    DISOWNED = "Disowned"


_BY_EXECUTION: Final[Mapping[ExecutionState, Status]] = {
    _E.READY: Status.APPROVED,
    _E.CLAIMED: Status.RUNNING,
    _E.RUNNING: Status.RUNNING,
    _E.SUCCEEDED: Status.DONE,
    _E.FAILED: Status.FAILED,
    _E.UNKNOWN: Status.UNKNOWN,
    _E.ABORTED: Status.ABORTED,
}

_BY_REQUEST: Final[Mapping[RequestState, Status]] = {
    _R.DRAFT: Status.DRAFT,
    _R.PENDING: Status.WAITING,
    _R.APPROVED: Status.APPROVED,
    _R.DENIED: Status.DENIED,
    _R.EXPIRED: Status.EXPIRED,
    _R.WITHDRAWN: Status.WITHDRAWN,
    _R.DISOWNED: Status.DISOWNED,
}

_ENDED: Final = frozenset({_R.DENIED, _R.EXPIRED, _R.WITHDRAWN, _R.DISOWNED})
_BEGUN: Final = frozenset({_E.CLAIMED, _E.RUNNING, _E.SUCCEEDED, _E.FAILED, _E.UNKNOWN})


def status_of(request: RequestState, execution: ExecutionState | None) -> Status:
    """The status that people read. What ended otherwise shows how it ended, unless it was begun all the same, and what is not
    known is said whatever became of the request.

    Nobody claims what has ended. But in a database that was restored from a backup it may have run out, or have been withdrawn,
    before the claims outside told that its call was made once.
    """
    told = request is RequestState.APPROVED or execution is ExecutionState.UNKNOWN
    if execution is not None and (told or (request in _ENDED and execution in _BEGUN)):
        return _BY_EXECUTION[execution]
    return _BY_REQUEST[request]
