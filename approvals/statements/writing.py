"""What every verb on a statement shares: a new row, the locked row, how it ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from approvals import canonical, notifications
from approvals.audit import Trail
from approvals.errors import Expired, Refused, WrongState
from approvals.models import AuditKind, Execution, Person, Statement
from approvals.statements.texts import text_of
from approvals.states import StatementState

LONGEST_REASON: Final = 2000

_KIND: Final = {
    StatementState.DENIED: AuditKind.STATEMENT_DENIED,
    StatementState.WITHDRAWN: AuditKind.STATEMENT_WITHDRAWN,
    StatementState.EXPIRED: AuditKind.STATEMENT_EXPIRED,
    StatementState.REFUSED: AuditKind.STATEMENT_REFUSED,
}


def new(
    trail: Trail,
    kind: Statement.Kind,
    person: Person,
    reason: str,
    now: datetime,
    *,
    lasts: timedelta,
    about: Execution | None = None,
    attached: str = "",
    **said: Any,
) -> Statement:
    """A statement that nobody has signed, in the caller's transaction."""
    statement_id = uuid4()
    text = text_of(statement_id, kind, reason, **said)
    statement = Statement.objects.create(
        id=statement_id,
        kind=kind,
        execution=about,
        text=text,
        digest=canonical.digest(text),
        evidence=attached,
        proposer=person,
        created_at=now,
        open_until=now + lasts,
    )
    trail.add(
        AuditKind.STATEMENT_PROPOSED,
        actor=f"person:{person.handle}",
        request=request_of(statement),
        statement=str(statement.pk),
        what=str(kind),
        digest=statement.digest,
        text=text,
    )
    return statement


def request_of(statement: Statement) -> UUID | None:
    """The request whose execution it is about."""
    return statement.execution.revision.request_id if statement.execution is not None else None


def locked(statement_id: UUID) -> Statement:
    """The statement, locked. Raises Refused when there is none."""
    rows = Statement.objects.select_for_update(of=("self",), no_key=True)
    found = rows.select_related("proposer", "execution__revision__request").filter(pk=statement_id).first()
    if found is None:
        raise Refused("There is no such statement.")
    return found


def must_be_open(statement: Statement, now: datetime) -> None:
    """Raise WrongState or Expired unless it can still be signed."""
    if statement.state != StatementState.OPEN:
        raise WrongState(f"This statement is {statement.state}. {statement.ended_why}".strip())
    if statement.open_until <= now:
        raise Expired("The time for this statement has run out. Make it again if it is still wanted.")


def end(
    trail: Trail,
    statement: Statement,
    state: StatementState,
    why: str,
    actor: str,
    now: datetime,
    *,
    was: StatementState = StatementState.OPEN,
) -> None:
    """End a statement that is open (or `was` otherwise), which nobody acts on. Raises WrongState when it ended meanwhile."""
    ended = Statement.objects.filter(pk=statement.pk, state=was).update(state=state, ended_at=now, ended_why=why)
    if not ended:
        raise WrongState("Somebody else ended this statement a moment ago. Open it again.")
    statement.state, statement.ended_at, statement.ended_why = state, now, why
    trail.add(
        _KIND[state],
        actor=actor,
        request=request_of(statement),
        statement=str(statement.pk),
        what=statement.kind,
        digest=statement.digest,
        why=why,
    )
    notifications.tell_of_statement(notifications.STATEMENT_ENDED, statement)


def given_reason(reason: str, *, needed: bool = True) -> str:
    """The reason, stripped. Raises Refused when it is needed and missing, too long or cannot be stored."""
    reason = reason.strip()
    if needed and not reason:
        raise Refused("Give a reason; whoever reads this later will want to know why.")
    if len(reason) > LONGEST_REASON or "\0" in reason:
        raise Refused(f"A reason is a text of at most {LONGEST_REASON} characters without NUL. Shorten it.")
    return reason
