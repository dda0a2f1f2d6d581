"""`claims_verify`: what lies outside and what the database says are compared, and each difference is named."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from approvals.models import Attempt, AuditEntry
from executor.sandbox.world import DEMO
from tests.executor.stage import Stage
from tests.executor.test_outside import past_every_policy, wipe_out


def verified(stage: Stage, *arguments: str) -> tuple[int, str]:
    """(exit status, what it printed), run as the execution process."""
    out = StringIO()
    with stage.acting("execution"):
        try:
            call_command("claims_verify", *arguments, stdout=out)
        except CommandError as error:
            return error.returncode, out.getvalue() + str(error)
    return 0, out.getvalue()


def test_each_attempt_has_its_claim_and_each_claim_its_attempt(stage: Stage) -> None:
    """After an execution everything fits, and the command says how much that was."""
    stage.cast.approved()
    stage.execute()
    assert verified(stage) == (0, "Outside and inside say the same: 1 claims, 1 attempts.\n")
    assert json.loads(verified(stage, "--json")[1]) == {"holds": True, "attempts": 1, "claims": 1, "unclaimed": 0, "faults": []}


def test_attempts_without_a_claim_are_counted(stage: Stage, settings: Any) -> None:
    """What was carried out while claims were off is said, and is no fault."""
    settings.CLAIMS_BUCKET = ""
    stage.cast.approved()
    stage.execute()
    settings.CLAIMS_BUCKET = DEMO.claims_bucket
    status, said = verified(stage)
    assert (status, "1 attempts were made without a claim" in said) == (0, True)


def test_a_claim_without_an_attempt_is_named(stage: Stage) -> None:
    """Rows that were wiped out after the call, which a restored backup looks like as well."""
    stage.cast.approved()
    stage.execute()
    key = Attempt.objects.get().claimed_as
    wipe_out(stage)
    status, said = verified(stage)
    assert (status, f"{key}: no attempt of this database accounts for it" in said) == (1, True)


def test_a_worker_lost_after_its_claim_is_told_from_a_restore(stage: Stage) -> None:
    """Its claim saw an entry that the trail still has: the words say that this may be all."""
    stage.cast.approved()
    stage.killed_at("claimed-outside")
    stage.sweep(2)
    status, said = verified(stage)
    assert status == 1
    assert "a worker was lost right before its call" in said
    assert "the trail has" not in said


@pytest.mark.parametrize("how", ["cut off", "written anew"])
def test_a_claim_is_a_checkpoint_of_the_trail(stage: Stage, how: str) -> None:
    """The entry that a claim saw is gone, or another stands in its place: the chain alone could not tell."""
    stage.cast.approved()
    stage.execute()
    seen = AuditEntry.objects.get(kind="attempt.sent").sequence - 1
    if how == "cut off":
        stage.forge(("DELETE FROM approvals_auditentry WHERE sequence >= %s", (seen,)))
    else:
        stage.forge(("UPDATE approvals_auditentry SET hash = %s WHERE sequence = %s", ("0" * 64, seen)))
    status, said = verified(stage)
    wanted = "the trail has no such entry" if how == "cut off" else "the trail has another one there"
    assert (status, f"it saw entry #{seen} of the audit trail, and {wanted}" in said) == (1, True)


def test_an_attempt_whose_claim_is_gone_is_named(stage: Stage) -> None:
    """The bucket was exchanged for an empty one."""
    stage.cast.approved()
    stage.execute()
    past_every_policy().get_bucket(DEMO.claims_bucket).keys.clear()
    status, said = verified(stage)
    assert (status, "claims to lie there" in said) == (1, True)


def test_a_deleted_a_replaced_and_a_foreign_claim_are_named(stage: Stage) -> None:
    """Whoever gets past the bucket's policy leaves versions and markers behind."""
    stage.cast.approved()
    stage.execute()
    key = Attempt.objects.get().claimed_as
    past_every_policy().put_object(DEMO.claims_bucket, key, b"{}")
    past_every_policy().delete_object(DEMO.claims_bucket, key)
    past_every_policy().put_object(DEMO.claims_bucket, "claims/x/y/0-1", b"{}")
    status, said = verified(stage)
    assert status == 1
    for words in (
        f"{key}: somebody deleted it",
        f"{key}: there is more than one version",
        "claims/x/y/0-1: what lies there is no",
    ):
        assert words in said


def test_an_attempt_that_was_changed_is_named(stage: Stage) -> None:
    """The row says an older token than the claim that it was made under."""
    stage.cast.approved()
    stage.execute()
    stage.forge(("UPDATE approvals_attempt SET token = 0", ()))
    status, said = verified(stage)
    assert (status, "its attempt in the database is another" in said) == (1, True)


def test_a_wrong_environment_is_told_from_a_finding(stage: Stage, settings: Any) -> None:
    """No bucket configured, one that cannot be read: exit status 2."""
    settings.CLAIMS_BUCKET = DEMO.buckets[0]
    assert verified(stage)[0] == 2
    settings.CLAIMS_BUCKET = ""
    status, said = verified(stage)
    assert (status, "COUNTERSIGN_CLAIMS_BUCKET" in said) == (2, True)
