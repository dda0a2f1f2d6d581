"""Celery's tasks: the names that config routes and sweeps, and the ones that no other module tests."""

from __future__ import annotations

from approvals.models import ApprovalRequest, OutboxMessage
from config.celery import ROUTES, SWEEPS, app
from executor import tasks
from tests.executor.stage import Stage


def test_every_sweep_has_its_task() -> None:
    """What beat sends and config routes is what the workers know, and nothing else of ours."""
    app.loader.import_default_modules()
    ours = {name for name in app.tasks if name.startswith("executor.")}
    assert ours == set(SWEEPS) == set(ROUTES)
    assert tasks.poll_queue.name in ours


def test_what_ran_out_of_its_clock_expires_as_the_delivery_role(stage: Stage) -> None:
    """The delivery worker's role may end what nobody decided, tell the requester, and write the trail."""
    request = stage.cast.pending()
    stage.sql("UPDATE approvals_approvalrequest SET pending_until = now() - interval '1 second'")
    with stage.acting("delivery"):
        tasks.expire()
    assert ApprovalRequest.objects.get(pk=request.pk).state == "expired"
    assert OutboxMessage.objects.filter(topic="request.expired").count() == 1
    assert "request.expired" in stage.audit()


def test_an_approval_that_ran_out_at_the_claim_expires(stage: Stage) -> None:
    """The worker found it too late and stopped: the request does not stay approved for ever."""
    execution = stage.cast.approved()
    stage.forge(
        ("UPDATE approvals_execution SET valid_until = now() WHERE id = %s", (execution.pk,)),
        ("UPDATE approvals_approvalrequest SET approved_until = now()", ()),
    )
    stage.execute()
    with stage.acting("delivery"):
        tasks.expire()
    assert ApprovalRequest.objects.get().state == "expired"
