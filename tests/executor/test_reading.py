"""Reading sessions: shared, kept until shortly before they run out, never able to change anything."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from botocore.config import Config

from approvals.authority import KnownAccount
from approvals.operations.resources import Where
from approvals.plan import Step
from executor import aws, rights, target
from executor.errors import AwsError, AwsRefused
from executor.sandbox.world import DEMO
from tests.executor.own_guardrails import BUCKET
from tests.executor.proxy import FAULTS, Wire
from tests.executor.stage import Stage
from tests.executor.test_evidence import learn

ACCOUNT = KnownAccount(DEMO.account, DEMO.partition, (DEMO.region,), DEMO.executor_role_arn, DEMO.external_id)
STEP = Step("dynamodb", "DeleteTable", {"TableName": "prod-orders"})
POLICY = rights.policy(STEP, Where(DEMO.account, DEMO.region), acting=False)


def assumed(stage: Stage) -> list[dict[str, Any]]:
    return [record for record in stage.aws.records() if record["eventName"] == "AssumeRole"]


def look(name: str = "prod-orders") -> Any:
    step = replace(STEP, parameters={"TableName": name})
    return target.read(
        aws.reading(ACCOUNT, rights.policy(step, Where(DEMO.account, DEMO.region), acting=False), region=DEMO.region), step
    )


def test_looks_share_one_session(stage: Stage) -> None:
    """Threads that look at the same target assume the role once between them; another target has a session of its own."""
    with stage.acting("execution"):
        threads = [threading.Thread(target=look) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        look("prod-customers")
    keys = {record["userIdentity"]["accessKeyId"] for record in stage.calls("DescribeTable")}
    assert (len(assumed(stage)), len(keys), len(stage.calls("DescribeTable"))) == (2, 2, 9)


@pytest.mark.parametrize(
    "other",
    [
        replace(ACCOUNT, id="999988887777"),
        replace(ACCOUNT, partition="aws-cn"),
        replace(ACCOUNT, executor_role_arn=f"{DEMO.executor_role_arn}-other"),
        replace(ACCOUNT, external_id="another"),
    ],
    ids=["account", "partition", "role", "external id"],
)
def test_a_session_is_shared_within_one_account_alone(stage: Stage, other: KnownAccount) -> None:
    """Whoever reads elsewhere under the same policy never gets the session that is there: AWS is asked for one of its own."""
    with stage.acting("execution"):
        look()
        with pytest.raises(AwsError):
            target.read(aws.reading(other, POLICY, region=DEMO.region), STEP)
        with pytest.raises(AwsError):
            target.read(aws.reading(ACCOUNT, POLICY, region="us-west-2"), STEP)


def test_a_session_is_renewed_before_it_runs_out(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute before its expiry it is used no more: the next look assumes the role anew, and no sooner."""
    with stage.acting("execution"):
        look()
        now = aws._readings._clock()
        monkeypatch.setattr(aws._readings, "_clock", lambda: now + aws.SESSION_SECONDS - aws.READING_MARGIN - 10)
        look()
        assert len(assumed(stage)) == 1
        monkeypatch.setattr(aws._readings, "_clock", lambda: now + aws.SESSION_SECONDS - aws.READING_MARGIN + 1)
        look()
    assert len(assumed(stage)) == 2


def test_credentials_that_were_taken_back_are_not_kept(stage: Stage) -> None:
    """AWS takes the session no more: the look is taken again by a fresh one, once."""
    with stage.acting("execution"):
        look()
        (place,) = aws._readings._places.values()
        assert place.made is not None
        place.made.keys = replace(place.made.keys, access_key_id="ASIAEXAMPLEEXAMPLE00")
        place.made.close()
        look()
    assert len(assumed(stage)) == 2


def test_a_reading_session_changes_nothing(stage: Stage) -> None:
    """AWS itself denies it every call but the reading one, on this target alone."""
    with stage.acting("execution"):
        session = aws.reading(ACCOUNT, POLICY, region=DEMO.region)._session()
        answer = session.mutate("dynamodb", "DeleteTable", {"TableName": "prod-orders"})
        with pytest.raises(AwsRefused, match="no session policy allows"):
            session.read("dynamodb", "DescribeTable", {"TableName": "prod-customers"})
    assert getattr(answer, "code", "") == "AccessDeniedException"
    assert len(stage.calls()) == 1


def test_forgetting_closes_every_reading_session(stage: Stage) -> None:
    """A process that forgets its credentials keeps nobody else's either."""
    with stage.acting("execution"):
        look()
        assert len(aws._readings) == 1
        aws.forget()
        assert len(aws._readings) == 0


def test_looks_are_no_proof_and_no_alarm(stage: Stage, settings: Any) -> None:
    """What looks says in its SourceIdentity that it is no execution; its records prove nothing and alert nobody."""
    stage.cast.approved()
    stage.execute()
    settings.PROOF_GRACE = 0
    learn(stage)
    sources = {record["userIdentity"]["sessionContext"]["sourceIdentity"] for record in stage.calls("DescribeTable")}
    assert sources
    assert all(source.startswith("read-") for source in sources)
    assert stage.alerts() == []


@pytest.mark.parametrize(
    ("step", "question"),
    [
        (STEP, "DescribeTable"),
        (Step("rds", "DeleteDBInstance", {"DBInstanceIdentifier": "prod"}), "DescribeDBInstances"),
        (Step("s3", "DeletePublicAccessBlock", {"Bucket": BUCKET}), f"GET /{BUCKET}"),
    ],
    ids=["JSON", "XML", "S3"],
)
def test_whatever_breaks_while_a_target_is_read_is_an_error_of_ours(stage: Stage, step: Step, question: str) -> None:
    """AWS refused, or gave no answer that can be used: whoever looks waits or says so, and stumbles over no other error."""
    where = Where(DEMO.account, DEMO.region)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aws, "_AGAIN", aws._AGAIN.merge(Config(retries={"total_max_attempts": 1, "mode": "standard"})))
        for fault in (one for one in FAULTS if not one.startswith("hang")):
            with Wire(stage.aws.endpoint_url, question, fault) as wire:
                stage.endpoint = wire.url
                with stage.acting("execution"), pytest.raises(AwsError):
                    target.read_text(aws.reading(ACCOUNT, rights.policy(step, where, acting=False), region=DEMO.region), step)
                assert wire.received, fault
                stage.endpoint = ""
