"""S3 is away for long, and a check does not hold any more: the trail does not grow for ever by it, and it ends afterwards."""

from __future__ import annotations

from approvals.models import AuditEntry, Execution
from executor.outside import bucket
from tests.attacks.test_ends_after_a_restore import NO_LIST, with_s3
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_steps import CHANGE, DELETE, approved

ROUNDS = 40


def test_the_trail_does_not_grow_with_the_outage(stage: Stage) -> None:
    """Forty looks in vain leave a few entries, not forty; then S3 is back, and it ends as it would have."""
    execution = approved(stage, CHANGE, DELETE)
    stage.killed_at("settled")
    stage.sql("UPDATE portal_user SET is_active = false WHERE username = 'bob'")
    before = AuditEntry.objects.count()
    bucket.must_keep.cache_clear()
    with_s3(stage, NO_LIST["down"], lambda: stage.sweep(ROUNDS))
    written = list(AuditEntry.objects.order_by("sequence").values_list("kind", flat=True)[before:])
    token = fresh(execution).token
    bucket.must_keep.cache_clear()
    stage.sweep(2)
    assert (fresh(execution).state, attempts(execution), len(stage.calls())) == ("failed", ["succeeded"], 0)
    assert len(written) < ROUNDS / 2, (len(written), set(written), token)
    assert Execution.objects.count() == 1
