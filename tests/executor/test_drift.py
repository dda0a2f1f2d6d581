"""Between approval and execution the target changes: what was signed is carried out on what was seen, or not at all."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from approvals import audit, canonical, decisions, plan
from approvals.decisions import NotFrozen
from approvals.errors import AuditUnavailable, BadSignature, StaleRevision
from approvals.models import (
    ApprovalRequest,
    AuditEntry,
    AuditKind,
    Execution,
    Observation,
    OutboxKind,
    OutboxMessage,
    Revision,
)
from approvals.plan import Step
from approvals.states import Verdict
from executor import drift, inspect, run, tasks
from executor.sandbox.world import DEMO
from tests.executor.stage import Stage, attempts, connect_to, fresh
from tests.executor.test_steps import approved

SCHEMA = [{"AttributeName": "id", "KeyType": "HASH"}]
ATTRIBUTES = [{"AttributeName": "id", "AttributeType": "S"}]
CLASS = {"operation": "dynamodb:UpdateTable", "TableName": "prod-orders", "TableClass": "STANDARD_INFREQUENT_ACCESS"}
UNPROTECT = {"operation": "dynamodb:UpdateTable", "TableName": "prod-orders", "DeletionProtectionEnabled": True}


def tables() -> dict[str, Any]:
    """The tables of the local AWS, to be changed behind everybody's back."""
    from moto.dynamodb.models import dynamodb_backends

    found: dict[str, Any] = dynamodb_backends[DEMO.account][DEMO.region].tables
    return found


def swapped(name: str = "prod-orders") -> None:
    """The table is deleted and made anew under its name."""
    from moto.dynamodb.models import dynamodb_backends

    tables().pop(name, None)
    backend = dynamodb_backends[DEMO.account][DEMO.region]
    backend.create_table(
        name,
        SCHEMA,
        None,
        ATTRIBUTES,
        None,
        None,
        None,
        "PAY_PER_REQUEST",
        None,
        [],
        deletion_protection_enabled=None,
        warm_throughput=None,
    )


def is_updating(monkeypatch: pytest.MonkeyPatch, status: str = "UPDATING") -> None:
    """AWS says that it is still changing every table."""
    from moto.dynamodb.models.table import Table

    plain = Table.describe

    def describe(self: Table, base_key: str = "TableDescription") -> dict[str, Any]:
        found = plain(self, base_key)
        found[base_key]["TableStatus"] = status
        return found

    monkeypatch.setattr(Table, "describe", describe)


def stopped(stage: Stage, execution: Execution) -> str:
    """Nothing was called, and the request is a draft again; the outcome in words."""
    found = fresh(execution)
    assert (found.state, attempts(execution), stage.calls(), stage.calls("UpdateTable")) == ("aborted", [], [], [])
    assert ApprovalRequest.objects.get(pk=execution.revision.request_id).state == "draft"
    return found.outcome


def promise(execution: Execution) -> OutboxMessage:
    return OutboxMessage.objects.get(kind=OutboxKind.EXECUTE, subject=str(execution.pk))


# --- at the claim ---


def test_row_09_a_target_that_was_swapped_between_approval_and_execution_is_not_touched(stage: Stage) -> None:
    """Deleted and made anew under the same name: aborted with what is different, nothing sent, and it takes a new review."""
    execution = stage.cast.approved()
    swapped()
    stage.execute()
    said = stopped(stage, execution)
    assert "TableId was" in said
    entry = AuditEntry.objects.get(kind=AuditKind.TARGET_DRIFTED)
    assert entry.request_id == execution.revision.request_id
    assert "prod-orders" in tables()
    # The draft was read again and frozen anew, with the table that is there now: once it is signed, it is carried out.
    request = ApprovalRequest.objects.get()
    now = request.current_revision().plan.preconditions[0]["identity"]
    assert now["TableId"] != execution.revision.plan.preconditions[0]["identity"]["TableId"]
    stage.cast.sign_review(stage.cast.sign_confirm(request))
    stage.execute()
    assert Execution.objects.filter(state="succeeded").count() == len(stage.calls()) == 1


def test_a_field_that_the_call_changes_must_be_as_it_was_signed(stage: Stage) -> None:
    """Somebody switched the protection on meanwhile: the call would change something else than what was seen."""
    execution = stage.cast.approved(**UNPROTECT)
    tables()["prod-orders"].deletion_protection_enabled = True
    stage.execute()
    assert "DeletionProtectionEnabled was false and is true" in stopped(stage, execution)


def test_another_difference_is_kept_and_hinders_nothing(stage: Stage) -> None:
    """An item count lags by hours and changes all the time: it is stored with the claim, for the page, and the call is made."""
    execution = stage.cast.approved()
    tables()["prod-orders"].put_item({"OrderId": {"S": "new"}})
    stage.execute()
    assert fresh(execution).state == "succeeded"
    first, claim = execution.revision.observations.first(), execution.revision.observations.get(moment="claim")
    assert first is not None
    assert json.loads(claim.text)["ItemCount"] == json.loads(first.text)["ItemCount"] + 1


def test_a_target_that_aws_is_still_changing_waits(stage: Stage) -> None:
    """UPDATING: not now, and said so; once it is active again it is carried out. Nothing has to be signed again."""
    execution = stage.cast.approved()
    with pytest.MonkeyPatch.context() as patch:
        is_updating(patch)
        stage.execute()
    assert (fresh(execution).state, stage.calls()) == ("ready", [])
    assert 'TableStatus "UPDATING"' in promise(execution).error
    assert promise(execution).due_at > timezone.now()
    assert not execution.revision.observations.filter(moment="claim").exists()
    stage.lapse()
    stage.execute()
    assert fresh(execution).state == "succeeded"


def test_what_still_changes_when_the_approval_runs_out_is_never_carried_out(stage: Stage) -> None:
    """Waiting has an end: the use-by clock of what was signed."""
    execution = stage.cast.approved()
    stage.forge(("UPDATE approvals_execution SET valid_until = now() WHERE id = %s", (execution.pk,)))
    with pytest.MonkeyPatch.context() as patch:
        is_updating(patch)
        stage.execute()
    assert (fresh(execution).state, stage.calls()) == ("aborted", [])


def test_a_target_that_may_no_longer_be_read_stops_it(stage: Stage) -> None:
    """It was read for the review and AWS refuses to tell now: nobody knows whether it is still the same."""
    from moto.iam.models import iam_backends

    execution = stage.cast.approved()
    role = next(one for one in iam_backends[DEMO.account]["global"].roles.values() if one.arn == DEMO.executor_role_arn)
    deny = {"Effect": "Deny", "Action": "dynamodb:DescribeTable", "Resource": "*"}
    role.policies = role.policies | {"deny": json.dumps({"Version": "2012-10-17", "Statement": [deny]})}
    stage.execute()
    assert "cannot be read now (AWS says AccessDenied" in stopped(stage, execution)


def test_a_target_that_does_not_exist_is_signed_as_such(stage: Stage) -> None:
    """AWS says that there is none: the plan says so, and one that has come by the time of the call stops it."""
    request = stage.cast.filed(operation="dynamodb:DeleteTable", TableName="prod-nothing")
    stage.execute()
    request.refresh_from_db()
    assert request.current_revision().plan.preconditions == ({"step": 0, "absent": True},)
    stage.cast.sign_review(stage.cast.sign_confirm(request))
    swapped("prod-nothing")
    stage.execute()
    assert "the target was not there and is there" in stopped(stage, Execution.objects.get())


def test_what_was_approved_before_the_executor_had_read_it_is_reviewed_again(stage: Stage) -> None:
    """The executor was away while people signed: what it reads first is no proof of what they meant."""
    stage.cast.before_signing = lambda request: None
    execution = stage.cast.approved()
    stage.execute()
    assert "before the executor had read the target" in stopped(stage, execution)


def test_what_was_signed_before_it_was_frozen_is_held_against_what_the_executor_saw(stage: Stage) -> None:
    """Signed at once, read after the confirmation and before the approval: no precondition was signed, and a swap is noticed."""
    stage.cast.before_signing = lambda request: None
    request = stage.cast.pending()
    stage.execute()
    assert request.current_revision().plan.preconditions == ()
    stage.cast.sign_review(request)
    execution = Execution.objects.get()
    swapped()
    stage.execute()
    assert "TableId was" in stopped(stage, execution)


def test_a_forged_observation_does_not_hide_a_swap(stage: Stage) -> None:
    """Whoever owns the database writes the new table's id into what the executor saw: people signed the old one."""
    execution = stage.cast.approved()
    swapped()
    forged = json.dumps(tables()["prod-orders"].describe("Table")["Table"], default=lambda moment: moment.isoformat())
    stage.forge(("UPDATE approvals_observation SET text = %s", (forged,)))
    stage.execute()
    assert "TableId was" in stopped(stage, execution)


def test_what_the_executor_saw_counts_beside_a_precondition_that_was_made_up(stage: Stage) -> None:
    """A web process taken over puts the table that stands there now into the plan; the executor had seen another before."""
    request, before = stage.cast.filed(), stage.cast.before_signing
    before(request)
    swapped()
    other = stage.cast.filed(TableName="prod-orders", operation="dynamodb:DeleteTable")
    before(other)
    now = ApprovalRequest.objects.get(pk=other.pk).current_revision().plan.preconditions
    stage.cast.before_signing = lambda request: None
    revision = ApprovalRequest.objects.get(pk=request.pk).current_revision()
    assert now[0]["identity"] != revision.plan.preconditions[0]["identity"]
    text = replace(revision.plan, preconditions=now).text()
    stage.forge(
        ("UPDATE approvals_revision SET text = %s, digest = %s WHERE id = %s", (text, canonical.digest(text), revision.pk)),
    )
    stage.cast.sign_review(stage.cast.sign_confirm(ApprovalRequest.objects.get(pk=request.pk)))
    execution = Execution.objects.get()
    stage.execute()
    assert "TableId was" in stopped(stage, execution)


def test_a_precondition_that_the_executor_did_not_make_proves_nothing(stage: Stage) -> None:
    """A web process taken over can write a revision with any precondition; it cannot write what the executor saw."""
    stage.cast.before_signing = lambda request: None
    request = stage.cast.filed()
    revision = request.current_revision()
    found = plan.parse(revision.text)
    text = plan.Plan(
        **{name: getattr(found, name) for name in found.__dataclass_fields__} | {"preconditions": ({"step": 0, "unread": "x"},)}
    ).text()
    stage.forge(
        ("UPDATE approvals_revision SET text = %s, digest = %s WHERE id = %s", (text, canonical.digest(text), revision.pk)),
    )
    stage.cast.sign_review(stage.cast.sign_confirm(request))
    execution = Execution.objects.get()
    stage.execute()
    assert "before the executor had read the target" in stopped(stage, execution)


def test_what_an_earlier_step_changed_is_no_drift_for_whoever_takes_over(stage: Stage) -> None:
    """Unprotect, then delete the same table; the worker dies between: the second step finds what the first one did."""
    tables()["prod-orders"].deletion_protection_enabled = True
    execution = approved(
        stage,
        Step("dynamodb", "UpdateTable", {"TableName": "prod-orders", "DeletionProtectionEnabled": False}),
        Step("dynamodb", "DeleteTable", {"TableName": "prod-orders"}),
    )
    stage.killed_at("settled")
    stage.sweep(4)
    assert (fresh(execution).state, attempts(execution)) == ("succeeded", ["succeeded", "succeeded"])


@pytest.mark.parametrize("dies", [True, False], ids=["the worker dies", "the worker goes on"])
def test_a_table_swapped_between_two_steps_stops_the_second(stage: Stage, *, dies: bool) -> None:
    """While the first step settled the table was swapped: what was begun has failed, and nothing else is sent."""
    execution = approved(
        stage,
        Step("dynamodb", "UpdateTable", {"TableName": "prod-orders", "TableClass": "STANDARD_INFREQUENT_ACCESS"}),
        Step("dynamodb", "DeleteTable", {"TableName": "prod-orders"}),
    )
    if dies:
        stage.killed_at("settled")
    else:
        with stage.acting("execution"):
            run.carry_out(execution.pk)
    swapped()
    stage.sweep(4)
    assert (fresh(execution).state, attempts(execution), stage.calls()) == ("failed", ["succeeded"], [])
    assert "TableId was" in fresh(execution).outcome


def test_what_was_read_long_ago_is_read_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock may be waited for: a reading from before that is not what the claim goes by."""
    execution = stage.cast.approved()
    monkeypatch.setattr(drift, "FRESH", drift.FRESH - drift.FRESH)
    stage.execute()
    assert (fresh(execution).state, stage.calls()) == ("ready", [])
    assert "read again" in promise(execution).error


# --- freezing ---


def test_a_draft_is_frozen_once_with_what_was_read(stage: Stage) -> None:
    """The next revision has the same calls and author, and says what must hold; reading it again changes nothing."""
    request = stage.cast.filed()
    first = request.current_revision()
    stage.execute()
    request.refresh_from_db()
    frozen = request.current_revision()
    assert (frozen.number, frozen.steps, frozen.author, frozen.why) == (2, first.steps, first.author, first.why)
    (fact,) = frozen.plan.preconditions
    assert (fact["step"], sorted(fact["identity"])) == (0, ["CreationDateTime", "TableId"])
    assert frozen.observations.get().text == first.observations.get().text
    for _ in range(3):
        with stage.acting("execution"):
            assert inspect.freeze(frozen, inspect.observe(frozen)) == ""
    request.refresh_from_db()
    assert request.revision_number == 2
    assert not OutboxMessage.objects.filter(kind=OutboxKind.INSPECT, done_at=None).exists()
    assert stage.audit().count("target.frozen") == 1


def test_a_draft_whose_target_changed_since_is_frozen_anew_when_it_is_read_again(stage: Stage) -> None:
    """What must hold is what was read last, as long as nobody has signed it."""
    request = stage.cast.filed()
    stage.execute()
    swapped()
    request.refresh_from_db()
    stage.read(request)
    frozen = request.current_revision()
    with stage.acting("execution"):
        inspect.freeze(frozen, inspect.observe(frozen))
    request.refresh_from_db()
    assert request.revision_number == 3


def test_what_is_pending_is_never_frozen(stage: Stage) -> None:
    """Nothing that was signed is changed."""
    stage.cast.before_signing = lambda request: None
    request = stage.cast.pending()
    revision = request.current_revision()
    with stage.acting("execution"):
        inspect.freeze(revision, inspect.observe(revision))
    request.refresh_from_db()
    assert (request.revision_number, request.state) == (1, "pending")


def test_a_draft_that_somebody_is_about_to_sign_is_left_alone_until_he_has(stage: Stage) -> None:
    """A key is in hand: the plan under it stays, and is frozen once the ceremony has lapsed."""
    request = stage.cast.filed()
    revision = request.current_revision()
    ceremony = decisions.begin(request.pk, stage.cast.person("alice"), Verdict.CONFIRM)
    with stage.acting("execution"):
        assert inspect.freeze(revision, inspect.observe(revision)) == str(NotFrozen.BEING_SIGNED)
    stage.execute()
    assert "about to sign" in OutboxMessage.objects.get(kind=OutboxKind.INSPECT).error
    stage.forge(("UPDATE approvals_signaturechallenge SET expires_at = now() WHERE nonce = %s", (ceremony.nonce,)))
    stage.lapse()
    stage.execute()
    request.refresh_from_db()
    assert request.revision_number == 2


def test_who_signs_the_revision_before_it_was_frozen_is_told_to_read_again(stage: Stage) -> None:
    """The page showed the plan without what must hold of the target: its signature would be over something else."""
    request = stage.cast.filed()
    shown = request.current_revision().digest
    stage.read(request)
    alice = stage.cast.person("alice")
    ceremony = decisions.begin(request.pk, alice, Verdict.CONFIRM)
    with pytest.raises(StaleRevision, match="the executor has read its target"):
        decisions.confirm(
            request.pk,
            alice,
            digest=shown,
            nonce=ceremony.nonce,
            assertion=stage.cast.assertion("alice", ceremony),
            reason="the table is empty",
        )


def test_who_edits_a_plan_that_was_frozen_meanwhile_has_edited_the_same_calls(stage: Stage) -> None:
    """A form was opened before the executor had read the target: freezing has changed none of its fields."""
    request = stage.cast.filed(**CLASS)
    seen = request.revision_number
    stage.read(request)
    alice = stage.cast.person("alice")
    decisions.complete(request.pk, alice, number=seen, parameters={"TableName": "prod-orders", "TableClass": "STANDARD"})
    with pytest.raises(StaleRevision):
        decisions.complete(request.pk, alice, number=seen, parameters={"TableName": "prod-orders", "TableClass": "STANDARD"})


def test_a_target_that_is_still_changing_is_frozen_when_it_is_at_rest(stage: Stage) -> None:
    """What AWS is still changing would have changed by the time of the call."""
    request = stage.cast.filed()
    with pytest.MonkeyPatch.context() as patch:
        is_updating(patch)
        stage.execute()
    assert Revision.objects.filter(request=request).count() == 1
    stage.lapse()
    stage.execute()
    assert Revision.objects.filter(request=request).count() == 2


def test_a_read_that_failed_is_tried_again_and_not_for_ever(stage: Stage) -> None:
    """AWS cannot be reached: the page says so, it is read again a few times, and then it is left."""
    request = stage.cast.filed()
    stage.endpoint = "http://127.0.0.1:9"
    for _ in range(10):
        stage.execute()
        stage.lapse()
    assert Observation.objects.count() == 7
    assert OutboxMessage.objects.get(kind=OutboxKind.INSPECT).done_at
    assert Revision.objects.filter(request=request).count() == 1


def test_confirming_and_freezing_at_once_never_loses_a_signature(stage: Stage) -> None:
    """Six rounds of two threads: either the signature is over the revision that stands, or it was refused as stale."""
    for _ in range(6):
        _race(stage)


def _race(stage: Stage) -> None:
    stage.cast.before_signing = lambda request: None
    request = stage.cast.filed()
    revision = request.current_revision()
    start, troubles = threading.Barrier(2), []

    def signing() -> None:
        try:
            start.wait()
            stage.cast.sign_confirm(request)
        except (StaleRevision, BadSignature) as error:
            troubles.append(error)
        finally:
            connections.close_all()

    def freezing() -> None:
        try:
            start.wait()
            with audit.recorded() as trail:
                decisions.freeze(trail, revision, [{"step": 0, "absent": True}], now=timezone.now())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=one) for one in (signing, freezing)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    request.refresh_from_db()
    signed = list(request.current_revision().signatures.values_list("verdict", flat=True))
    assert (request.state, signed, bool(troubles)) in [("pending", ["confirm"], False), ("draft", [], True)]
    decisions.withdraw(request.pk, stage.cast.person("alice"))


def test_the_executor_alone_freezes(stage: Stage) -> None:
    """The web process may not say in the trail that a plan was frozen, and without its entry nothing is written."""
    revision = stage.cast.filed().current_revision()
    connect_to(stage.role_url("web"))
    try:
        with pytest.raises(AuditUnavailable), audit.recorded() as trail:
            decisions.freeze(trail, revision, [{"step": 0, "absent": True}], now=timezone.now())
    finally:
        connect_to(stage.owner_url)
    assert Revision.objects.count() == 1


def test_a_promise_for_a_revision_that_was_replaced_reads_nothing(stage: Stage) -> None:
    """Nobody looks at what was edited since: its target is not read again."""
    request = stage.cast.filed()
    stage.read(request)
    with stage.acting("execution"):
        tasks.execute_due()
    assert Observation.objects.filter(revision__number=1).count() == 1
