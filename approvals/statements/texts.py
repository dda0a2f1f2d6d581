"""What a statement says, as canonical JSON: these bytes are signed, and everything that acts on them is parsed from them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from approvals import canonical
from approvals.errors import BadAuthority, BadCanonicalForm
from approvals.models import Statement

SCHEMA: Final = "countersign/statement/1"


class Outcome(StrEnum):
    """How a call went, as two persons say it."""

    SUCCEEDED = "succeeded"
    NO_EFFECT = "had no effect"


@dataclass(frozen=True, slots=True)
class Said:
    """A statement's text, parsed. `attempt` is (step, number), counted from 0 and from 1; number 0: no call is recorded."""

    id: UUID
    kind: str
    reason: str
    pauses: tuple[UUID, ...] = ()
    execution: UUID | None = None
    digest: str = ""
    attempt: tuple[int, int] = (0, 0)
    outcome: Outcome = Outcome.NO_EFFECT
    evidence: str = ""


def text_of(statement_id: UUID, kind: str, reason: str, **said: Any) -> str:
    """The canonical text of a statement; `said` are the members that its kind has besides."""
    return canonical.dumps({"schema": SCHEMA, "id": str(statement_id), "kind": str(kind), "reason": reason, **said})


def read(statement: Statement) -> Said:
    """What the stored text says. Raises BadAuthority unless it has the row's digest, id, kind and evidence, and every member."""
    if canonical.digest(statement.text) != statement.digest:
        raise BadAuthority(f"The text of statement {statement.reference} does not have its digest: the row was changed.")
    try:
        found = canonical.loads(statement.text)
        if canonical.dumps(found) != statement.text or found["schema"] != SCHEMA:
            raise BadAuthority(f"The text of statement {statement.reference} is none of ours.")
        said = _parsed(found)
    except (BadCanonicalForm, LookupError, TypeError, ValueError, AttributeError) as error:
        raise BadAuthority(f"The text of statement {statement.reference} cannot be read: {error!r}") from error
    if (said.id, said.kind, said.execution) != (statement.pk, statement.kind, statement.execution_id):
        raise BadAuthority(f"Statement {statement.reference} says in its text that it is another one.")
    if said.kind == Statement.Kind.CLOSING and canonical.digest(statement.evidence) != said.evidence:
        raise BadAuthority(f"The evidence beside statement {statement.reference} is not what was signed.")
    return said


def _parsed(found: dict[str, Any]) -> Said:
    kind, reason = str(Statement.Kind(found["kind"])), found["reason"]
    if not isinstance(reason, str):
        raise TypeError("a reason is a text")
    if kind == Statement.Kind.RESUME:
        return Said(UUID(found["id"]), kind, reason, pauses=tuple(UUID(one) for one in found["pauses"]))
    if kind == Statement.Kind.PAUSE:
        return Said(UUID(found["id"]), kind, reason)
    attempt = found["attempt"]
    if not all(isinstance(part, int) for part in (attempt["step"], attempt["number"])):
        raise TypeError("an attempt is numbered")
    return Said(
        UUID(found["id"]),
        kind,
        reason,
        execution=UUID(found["execution"]),
        digest=found["digest"],
        attempt=(attempt["step"], attempt["number"]),
        outcome=Outcome(found["outcome"]),
        evidence=found["evidence"],
    )


def sentence_of(statement: Statement) -> str:
    """What it says, as the end of "somebody states ...": for titles and messages."""
    try:
        said = read(statement)
    except BadAuthority:
        return "something that does not belong together"
    if said.kind == Statement.Kind.PAUSE:
        return "that no execution makes a call from now on"
    if said.kind == Statement.Kind.RESUME:
        return "that executions go on"
    return f"that step {said.attempt[0] + 1} of execution {str(said.execution)[:8].upper()} {said.outcome}"
