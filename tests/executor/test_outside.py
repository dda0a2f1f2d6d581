"""The claim outside the database: one conditional, locked write before each call, and nothing is sent without it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.config import Config
from moto.dynamodb.models import dynamodb_backends

from approvals import audit
from approvals.models import Alert, Attempt, AuditEntry, Execution, OutboxMessage
from executor import aws, reconcile
from executor.outside import body, bucket
from executor.outside.body import PREFIX, Body
from executor.outside.bucket import Bucket
from executor.sandbox.world import DEMO
from tests.executor import broken_s3
from tests.executor.broken_s3 import BrokenS3, Fault
from tests.executor.stage import QUICK, Stage, attempts, fresh

CLAIMS = Bucket(DEMO.claims_bucket, DEMO.region)


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    """Each test is a process that has not asked its bucket yet."""
    bucket.must_keep.cache_clear()
    yield
    bucket.must_keep.cache_clear()


def claims(stage: Stage) -> list[Body | None]:
    """What lies in the bucket, oldest key first."""
    with stage.acting("execution"):
        found = [CLAIMS.get(one.key, one.id) for one in CLAIMS.walk(PREFIX)]
    return [body.read(one[1]) if one else None for one in found]


def test_each_attempt_has_its_claim_before_it_is_sent(stage: Stage) -> None:
    """The key says request, digest, step and number; the body who, and the head of the audit trail as it stood right before."""
    execution = stage.cast.approved()
    stage.execute()
    attempt, (said,) = Attempt.objects.get(), claims(stage)
    assert said is not None
    revision = execution.revision
    assert attempt.claimed_as == said.key == f"claims/{revision.request_id}/{revision.digest}/0-1"
    assert (said.execution, said.request, said.step, said.number) == (str(execution.pk), str(revision.request_id), 0, 1)
    assert (said.token, said.genesis, said.worker) == (1, stage.cast.genesis, fresh(execution).worker)
    # The link before `attempt.sent` is the head that the claim saw: a checkpoint of the trail.
    seen = AuditEntry.objects.get(sequence=said.sequence)
    assert (seen.hash, seen.kind) == (said.head, "execution.claimed")
    assert AuditEntry.objects.get(kind="attempt.sent").sequence == said.sequence + 1
    assert datetime.fromisoformat(said.at) < attempt.sent_at


def test_a_claim_is_locked_for_longer_than_any_backup_is_kept(stage: Stage) -> None:
    """S3 keeps the version in compliance mode for as many days as the setting says."""
    stage.cast.approved()
    stage.execute()
    with stage.acting("execution"):
        found = aws.own("s3", DEMO.region).get_object(Bucket=DEMO.claims_bucket, Key=Attempt.objects.get().claimed_as)
    assert found["ObjectLockMode"] == "COMPLIANCE"
    left = found["ObjectLockRetainUntilDate"] - datetime.now(UTC)
    assert timedelta(days=DEMO.claims_days - 1) < left <= timedelta(days=DEMO.claims_days)


def test_a_worker_lost_between_the_claim_and_sent_leaves_unknown(stage: Stage) -> None:
    """kill -9 right after the claim: nobody can tell whether it called, so nobody calls again, and people are told."""
    execution = stage.cast.approved()
    stage.killed_at("claimed-outside")
    assert (fresh(execution).state, len(claims(stage))) == ("claimed", 1)
    stage.sweep(2)
    found = fresh(execution)
    assert (found.state, attempts(execution), stage.calls(), stage.alerts()) == ("unknown", [], [], ["claimed", "unknown"])
    for said in (found.outcome, Alert.objects.get(kind="claimed").detail):
        assert "Attempt 1 of step 1 was claimed at 20" in said
        assert f"for execution {execution.pk} (token 1)" in said
    stage.sweep(2)
    assert (fresh(execution).state, len(claims(stage)), stage.calls()) == ("unknown", 1, [])
    assert audit.verify().holds


def test_a_pause_before_the_claim_leaves_none(stage: Stage) -> None:
    """It stood still right before its claim, and everything was paused: nothing is written outside, and later it goes on."""
    execution = stage.cast.approved()
    with stage.frozen_at("opened") as thaw:
        stage.cast.paused()
        thaw()
    assert (attempts(execution), claims(stage), stage.calls()) == ([], [], [])
    stage.cast.resuming("dana", "erin")
    for _ in range(2):
        stage.lapse()
        stage.execute()
    stage.sweep()
    assert (fresh(execution).state, len(claims(stage)), len(stage.calls())) == ("succeeded", 1, 1)


def test_a_worker_that_thaws_after_a_take_over_leaves_no_claim(stage: Stage) -> None:
    """It stood still before its claim, another carried the plan out: it finds its token gone and writes nothing outside."""
    execution = stage.cast.approved()
    with stage.frozen_at("claimed") as thaw:
        stage.sweep(2)
        thaw()
    assert (fresh(execution).state, len(claims(stage)), len(stage.calls())) == ("succeeded", 1, 1)


def test_without_a_bucket_nothing_is_claimed_outside(stage: Stage, settings: Any) -> None:
    """A deployment that keeps no claims (the demo may) makes its calls all the same, and its attempts name none."""
    settings.CLAIMS_BUCKET = ""
    execution = stage.cast.approved()
    stage.execute()
    assert (fresh(execution).state, Attempt.objects.get().claimed_as, claims(stage)) == ("succeeded", "", [])


@pytest.mark.parametrize("fault", [broken_s3.ANSWER_LOST, broken_s3.BROKEN_AFTER, broken_s3.AT_ONCE], ids=str)
def test_the_same_write_may_come_twice(stage: Stage, fault: Fault) -> None:
    """S3 took the claim and its answer was lost, or several wrote at once: the worker finds its own nonce there and goes on."""
    execution = stage.cast.approved()
    with BrokenS3(stage.aws.endpoint_url, {"PUT": fault}, times=1) as wire:
        stage.endpoint = wire.url
        stage.execute()
    stage.endpoint = ""
    assert (fresh(execution).state, len(claims(stage)), len(stage.calls())) == ("succeeded", 1, 1)


# The broken request, the fault, and how it ends once S3 is well again: `unknown` where our own claim may lie there already.
FAULTS = [
    pytest.param({"PUT": broken_s3.GONE, "LIST": broken_s3.GONE, "ASK": broken_s3.GONE}, "succeeded", id="S3 is down"),
    pytest.param({"PUT": broken_s3.GONE}, "succeeded", id="the connection closes"),
    pytest.param({"PUT": broken_s3.HANGS}, "succeeded", id="it hangs"),
    pytest.param({"PUT": broken_s3.BROKEN}, "succeeded", id="500"),
    pytest.param({"PUT": broken_s3.SLOW_DOWN}, "succeeded", id="throttled"),
    pytest.param({"PUT": broken_s3.DENIED}, "succeeded", id="denied"),
    pytest.param({"PUT": broken_s3.LIES_THERE}, "succeeded", id="412 and nothing lies there"),
    pytest.param({"PUT": broken_s3.AT_ONCE}, "succeeded", id="409 for ever"),
    pytest.param({"PUT": broken_s3.LIES_DONE}, "succeeded", id="200 and nothing was stored"),
    pytest.param({"ASK": broken_s3.BROKEN}, "succeeded", id="the bucket does not say what it is"),
    pytest.param({"ASK": broken_s3.DENIED}, "succeeded", id="the bucket may not be asked"),
    pytest.param({"LIST": broken_s3.DENIED}, "succeeded", id="the versions may not be listed"),
    pytest.param({"PUT": broken_s3.ANSWER_LOST, "GET": broken_s3.GONE}, "unknown", id="stored, the answer is lost, then silence"),
    pytest.param({"PUT": broken_s3.NO_VERSION}, "unknown", id="stored, and no version is named"),
    pytest.param({"LIST": broken_s3.MALFORMED}, "succeeded", id="the list cannot be read"),
    pytest.param({"LIST": broken_s3.EMPTY}, "succeeded", id="the list says of nothing what it is"),
]


@pytest.mark.parametrize(("faults", "state"), FAULTS)
def test_nothing_is_sent_without_a_claim(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, faults: dict[str, Fault], state: str
) -> None:
    """Whatever S3 does or says, no call is made while no claim is known to lie there; afterwards at most one."""
    quick = Config(connect_timeout=1, read_timeout=0.5, retries={"total_max_attempts": 2, "mode": "standard"})
    monkeypatch.setattr("executor.aws.own", lambda service, region: aws.client(service, region, config=quick))
    monkeypatch.setattr("executor.outside.claiming.PAUSE", 0.001)
    execution = stage.cast.approved()
    with BrokenS3(stage.aws.endpoint_url, faults) as wire:
        stage.endpoint = wire.url
        stage.sweep(2)
        assert (stage.calls(), attempts(execution)) == ([], [])
        assert fresh(execution).state in {"claimed", "unknown"}
    stage.endpoint = ""
    stage.sweep(2)
    assert (fresh(execution).state, len(stage.calls())) == (state, int(state == "succeeded"))
    assert len(claims(stage)) == 1


@pytest.mark.parametrize("wrong", ["no versions", "no lock", "another bucket"])
def test_a_bucket_that_keeps_nothing_is_noticed_before_anything_is_written(stage: Stage, settings: Any, wrong: str) -> None:
    """Versioning and Object Lock are asked for at the first claim of a process: without them no call, and one alert."""
    if wrong == "another bucket":
        settings.CLAIMS_BUCKET = DEMO.buckets[0]
    elif wrong == "no versions":
        past_every_policy().put_bucket_versioning(DEMO.claims_bucket, "Suspended")
    else:
        past_every_policy().get_bucket(DEMO.claims_bucket).object_lock_enabled = False
    execution = stage.cast.approved()
    for _ in range(2):
        stage.execute()
        stage.lapse()
    assert (fresh(execution).state, attempts(execution), stage.alerts()) == ("claimed", [], ["stuck"])
    assert DEMO.claims_bucket in Alert.objects.get().detail or wrong == "another bucket"
    settings.CLAIMS_BUCKET = DEMO.claims_bucket
    assert claims(stage) == []


def past_every_policy() -> Any:
    """What S3 has, straight in the local AWS: as the account's root user, who may take the bucket's policy away."""
    from moto.s3.models import s3_backends

    return s3_backends[DEMO.account][DEMO.partition]


def key_of(execution: Execution) -> str:
    """Of the first attempt of the first step."""
    return f"claims/{execution.revision.request_id}/{execution.revision.digest}/0-1"


def test_rubbish_under_the_key_is_somebodys_claim(stage: Stage) -> None:
    """Whoever writes there first, and whatever he writes: what we did not write means unknown."""
    execution = stage.cast.approved()
    past_every_policy().put_object(DEMO.claims_bucket, key_of(execution), b'{"schema": "countersign/claim/1", "step": 1e99}')
    stage.execute()
    assert (fresh(execution).state, stage.calls(), stage.alerts()) == ("unknown", [], ["claimed", "unknown"])
    assert "no claim of ours" in fresh(execution).outcome


def test_a_claim_that_was_deleted_is_still_found(stage: Stage) -> None:
    """Over a delete marker S3's condition holds again; the versions show the marker and the claim below it: unknown."""
    execution = stage.cast.approved()
    stage.execute()
    wipe_out(stage)
    past_every_policy().delete_object(DEMO.claims_bucket, key_of(execution))
    stage.sweep(2)
    assert (fresh(execution).state, len(stage.calls())) == ("unknown", 1)


def wipe_out(stage: Stage) -> None:
    """The owner of the tables takes away what shows that a call was made, and hands the execution to the workers anew."""
    stage.forge(
        ("DELETE FROM approvals_attempt", ()),
        ("UPDATE approvals_execution SET state = 'ready', token = 0, lease_until = NULL, ended_at = NULL, outcome = ''", ()),
        ("UPDATE approvals_outboxmessage SET done_at = NULL, due_at = now() WHERE kind = 'execute'", ()),
    )


def test_rows_that_were_wiped_out_do_not_bring_a_second_call(stage: Stage) -> None:
    """Attempts deleted, state and token set back by the owner of the tables after the effect: the claim outside says no."""
    execution = stage.cast.approved()
    stage.execute()
    wipe_out(stage)
    stage.sweep(2)
    assert (fresh(execution).state, attempts(execution), len(stage.calls())) == ("unknown", [], 1)
    assert "claimed" in stage.alerts()


@pytest.mark.parametrize("what", ["ASK", "LIST"])
def test_before_it_is_said_that_nothing_was_sent_the_claims_outside_are_read(stage: Stage, what: str) -> None:
    """The target drifted and S3 does not answer: whether the call was made before cannot be told, so nothing is ended yet."""
    execution = stage.cast.approved()
    del dynamodb_backends[DEMO.account][DEMO.region].tables["prod-orders"]
    with BrokenS3(stage.aws.endpoint_url, {what: broken_s3.DENIED}) as wire:
        stage.endpoint = wire.url
        stage.execute()
    assert (fresh(execution).state, stage.calls(), attempts(execution)) == ("ready", [], [])
    assert "what was claimed outside the database could not be read" in OutboxMessage.objects.get(kind="execute").error
    stage.endpoint = ""
    stage.sweep(2)
    assert (fresh(execution).state, stage.calls(), attempts(execution)) == ("aborted", [], [])
    assert "the target was there and is gone" in fresh(execution).outcome


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"[]", b"{", b'{"schema":"countersign/claim/1"}', b'{"schema":"countersign/claim/2"}', b"[" * 10_000],
    ids=str,
)
def test_what_is_no_claim_is_not_read_as_one(content: bytes) -> None:
    """Only our own schema, with exactly its members and their types, is a claim."""
    assert body.read(content) is None


def test_a_claim_reads_back_as_it_was_written() -> None:
    """Text and object are the same; one member more, less or of another type is no claim."""
    said = Body("d" * 64, 1, 2, "e", "r", 3, "w", "n", 4, "h", "2026-01-01T00:00:00+00:00", "g")
    assert body.read(said.text().encode()) == said
    found = json.loads(said.text())
    for broken in (
        found | {"more": 1},
        found | {"step": "1"},
        found | {"step": True},
        {k: v for k, v in found.items() if k != "at"},
    ):
        assert body.read(json.dumps(broken, sort_keys=True, separators=(",", ":")).encode()) is None


def test_an_execution_without_an_attempt_is_left_alone_by_the_sweep(stage: Stage) -> None:
    """Unknown by a claim that nobody accounts for: no evidence can settle it here, so it waits for people."""
    execution = stage.cast.approved()
    stage.killed_at("claimed-outside")
    stage.sweep(2)
    assert Execution.objects.get().state == "unknown"
    with stage.acting("execution"):
        reconcile.sweep(patience=QUICK)
    assert fresh(execution).state == "unknown"
