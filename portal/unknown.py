"""What the request's page shows of an outcome that is not known: what is, where it was looked, who has said how it went."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from approvals import statements
from approvals.models import ApprovalRequest, Attempt, Execution, Look, Person, Statement
from approvals.states import ExecutionState


@dataclass(frozen=True, slots=True)
class Unknown:
    """An execution whose outcome is not known, or was closed by statement. `attempt` is the call without an end, if one is."""

    execution: Execution
    is_open: bool
    attempt: Attempt | None
    looks: tuple[Look, ...]
    closings: tuple[Statement, ...]
    close_url: str
    why_not_close: str


def execution_of(request: ApprovalRequest) -> Execution | None:
    """What can be closed: the execution whose outcome is not known, of whatever revision, else the current revision's."""
    open_ones = Execution.objects.filter(revision__request=request, state=ExecutionState.UNKNOWN)
    found = open_ones.select_related("revision").order_by("-revision__number").first()
    return found or getattr(request.current_revision(), "execution", None)


def unknown_of(execution: Execution | None, person: Person) -> Unknown | None:
    """None where the outcome is known by evidence alone, or nothing was carried out yet."""
    if execution is None:
        return None
    is_open = execution.execution_state is ExecutionState.UNKNOWN
    closings = tuple(execution.statements.select_related("proposer")) if is_open or execution.ended_at else ()
    if not is_open and not closings:
        return None
    attempts = list(execution.attempts.order_by("-step", "-number"))
    open_one = next((one for one in attempts if one.state in ("sent", "accepted", "unknown")), None)
    why_not = statements.why_not_close(execution, person)
    url = reverse("admin:approvals_approvalrequest_close", args=[execution.revision.request_id])
    return Unknown(
        execution=execution,
        is_open=is_open,
        attempt=open_one or (attempts[0] if attempts else None),
        looks=tuple(execution.looks.all()),
        closings=closings,
        close_url="" if why_not or any(one.state == "open" for one in closings) else url,
        why_not_close=why_not,
    )
