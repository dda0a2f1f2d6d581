"""Operations of every protocol, the whole way: denied, drafted, completed, signed, made once, settled, proven."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import jmespath
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from approvals import decisions
from approvals.models import ApprovalRequest, Execution, Observation, Proof, TrailRecord
from approvals.states import Completeness, Status
from executor import answers, aws, claim, readying, same_call
from executor.same_call import Likeness
from executor.sandbox.world import DEMO, DemoWorldFacts
from tests.cast import Cast, seal
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_evidence import learn

BUCKET = "prod-invoices-111122223333"


# What the demo does not protect, under its first guardrail beside the tables: one operation of each further protocol and kind.
MORE = (
    "s3:DeleteObjects",
    "route53:DeleteHostedZone",
    "iam:DeleteRole",
    "sqs:PurgeQueue",
    "logs:DeleteLogGroup",
    "efs:DeleteFileSystem",
    "backup:DeleteRecoveryPoint",
    "ecr:BatchDeleteImage",
)
FIRST = replace(DEMO.guardrails[0], operations=(*DEMO.guardrails[0].operations, *MORE), resources=("arn:{partition}:*:*:*:*",))
FACTS = replace(DEMO, guardrails=(FIRST, *DEMO.guardrails[1:]))


@pytest.fixture
def facts() -> DemoWorldFacts:
    """The demo's world with more operations protected."""
    return FACTS


@pytest.fixture
def cast(cloned_database: str, tmp_path: Any, settings: Any) -> Cast:
    """The same guardrails, sealed."""
    return seal(tmp_path, settings, whole=True, operations=list(FIRST.operations), resources=["arn:aws:*:*:*:*"])


@contextmanager
def client(stage: Stage, user: str, service: str) -> Iterator[Any]:
    """A client of one of the demo's users."""
    with stage.acting("feed", keys_of=user):
        made = aws.client(service, DEMO.region)
        try:
            yield made
        finally:
            made.close()


@dataclass(frozen=True)
class Case:
    """A denied call and what becomes of it: AWS's code for the denial, how much is known then, what alice adds."""

    operation: str
    asked: dict[str, Any]
    code: str
    known: Completeness
    added: dict[str, Any] = field(default_factory=dict)
    # What CloudTrail could write of this call too, and what it would write of the same call on something else.
    alike: dict[str, Any] = field(default_factory=dict)
    another: dict[str, Any] = field(default_factory=dict)

    @property
    def service(self) -> str:
        return self.operation.partition(":")[0]

    @property
    def name(self) -> str:
        return self.operation.partition(":")[2]


KEY, INSTANCE = DEMO.key_id("alias/prod-payments"), DEMO.instance_id("prod-web")
FIVE = [
    Case(
        "rds:DeleteDBInstance",
        {"DBInstanceIdentifier": "prod-billing", "SkipFinalSnapshot": True},
        "AccessDenied",
        Completeness.INCOMPLETE,
        {"FinalDBSnapshotIdentifier": "prod-billing-last"},
        alike={"dBInstanceIdentifier": DEMO.database_arn("prod-billing")},
        another={"dBInstanceIdentifier": "prod-ledger"},
    ),
    Case(
        "kms:ScheduleKeyDeletion",
        {"KeyId": KEY, "PendingWindowInDays": 7},
        "AccessDeniedException",
        Completeness.INCOMPLETE,
        {"PendingWindowInDays": 30},
        alike={"keyId": DEMO.key_arn("alias/prod-payments")},
        another={"keyId": DEMO.key_arn("alias/prod-orders")},
    ),
    Case(
        "s3:DeleteBucket",
        {"Bucket": BUCKET},
        "AccessDenied",
        Completeness.EXACT,
        alike={"Host": "s3.eu-west-1.amazonaws.com"},
        another={"bucketName": "prod-contracts-111122223333"},
    ),
    Case(
        "ec2:TerminateInstances",
        {"InstanceIds": [INSTANCE]},
        "UnauthorizedOperation",
        Completeness.EXACT,
        another={"instancesSet": {"items": [{"instanceId": INSTANCE}, {"instanceId": "i-0123456789abcdef0"}]}},
    ),
    Case(
        "secretsmanager:DeleteSecret",
        {"SecretId": "prod/db/password"},
        "AccessDeniedException",
        Completeness.INCOMPLETE,
        {"RecoveryWindowInDays": 7},
        another={"secretId": DEMO.secret_arn("staging/db/password")},
    ),
]
BY_NAME = {case.name: case for case in FIVE}


def drafted(stage: Stage, case: Case) -> ApprovalRequest:
    """alice's call is denied in the service's format; CloudTrail's record becomes her draft."""
    with client(stage, "alice", case.service) as denied, pytest.raises(ClientError) as caught:
        getattr(denied, xform_name(case.name))(**case.asked)
    assert caught.value.response["Error"]["Code"] == case.code
    stage.poll()
    return ApprovalRequest.objects.get(operation=case.operation)


def spelled(record: TrailRecord, parameters: dict[str, Any]) -> TrailRecord:
    """The same record with some of its requestParameters replaced."""
    raw = json.loads(record.raw)
    raw["requestParameters"] |= parameters
    record.raw = json.dumps(raw)
    return record


@pytest.mark.parametrize("case", FIVE, ids=BY_NAME)
def test_a_denied_call_goes_the_whole_way(stage: Stage, case: Case) -> None:
    """Denied, drafted as far as CloudTrail tells, completed, signed, made once, seen to settle, and proven by its record.

    A record that spells the same call otherwise would prove it too; one of the same call on something else would not.
    """
    request = drafted(stage, case)
    revision = request.current_revision()
    assert (revision.completeness, request.requester) == (case.known, stage.cast.person("alice"))
    stage.execute()
    seen = Observation.objects.get(revision=revision)
    assert seen.problem == ""
    if case.known is Completeness.INCOMPLETE:
        known = revision.draft_steps[0]["parameters"]
        decisions.complete(request.pk, stage.cast.person("alice"), number=1, parameters={**known, **case.added})
        request.refresh_from_db()
    stage.cast.sign_confirm(request)
    stage.cast.sign_review(request)
    stage.execute()
    execution = Execution.objects.get(revision__request=request)
    # EC2 is asked first whether it would: an attempt, and a record, of its own.
    rehearsed = ["rejected"] if case.service == "ec2" else []
    assert (execution.state, attempts(execution)) == ("succeeded", [*rehearsed, "succeeded"])
    *_, call = calls = stage.calls(case.name)
    assert len(calls) == 1 + len(rehearsed)
    assert call["userIdentity"]["sessionContext"]["sourceIdentity"] == str(execution.pk)
    learn(stage)
    assert Proof.objects.count() == len(calls)
    proof = Proof.objects.get(attempt__rehearsal=False)
    assert proof.attempt.execution == execution
    assert same_call.compare(spelled(proof.record, case.alike), proof.attempt) == same_call.SAME
    likeness, words = same_call.compare(spelled(proof.record, case.another), proof.attempt)
    assert (likeness, "was signed" in words) == (Likeness.OTHER, True)
    assert stage.alerts() == []
    request.refresh_from_db()
    assert request.status() is Status.DONE


@dataclass(frozen=True)
class Filed:
    """A call on something that is made first: an administrator makes the calls in `made`."""

    operation: str
    parameters: dict[str, Any]
    made: tuple[tuple[str, dict[str, Any]], ...]
    target: str = ""


TRUST = '{"Version": "2012-10-17", "Statement": []}'
OTHERS = [
    Filed(
        "route53:DeleteHostedZone",
        {"Id": "{target}"},
        (("create_hosted_zone", {"Name": "example.com", "CallerReference": "1"}),),
        "HostedZone.Id",
    ),
    Filed("iam:DeleteRole", {"RoleName": "old"}, (("create_role", {"RoleName": "old", "AssumeRolePolicyDocument": TRUST}),)),
    Filed("sqs:PurgeQueue", {"QueueUrl": "{target}"}, (("create_queue", {"QueueName": "orders"}),), "QueueUrl"),
    Filed("logs:DeleteLogGroup", {"logGroupName": "/app/old"}, (("create_log_group", {"logGroupName": "/app/old"}),)),
    Filed(
        "efs:DeleteFileSystem", {"FileSystemId": "{target}"}, (("create_file_system", {"CreationToken": "1"}),), "FileSystemId"
    ),
]


def prepared(stage: Stage, case: Filed) -> dict[str, Any]:
    """The world with the target in it, and the call's parameters with its name."""
    service, target = case.operation.partition(":")[0], ""
    with client(stage, "mallory", service) as made:
        for name, parameters in case.made:
            answer = getattr(made, name)(**parameters)
            target = target or str(jmespath.search(case.target or "''", answer))
    # Route 53 answers with its path before the id, which is longer than what it takes.
    return {name: value.format(target=target.removeprefix("/hostedzone/")) for name, value in case.parameters.items()}


@pytest.mark.parametrize("case", OTHERS, ids=lambda case: case.operation)
def test_every_protocol_is_carried_out_and_proven(stage: Stage, case: Filed) -> None:
    """Filed, signed, made once under a session for that call alone, seen to settle, proven by the record that was delivered."""
    execution = stage.cast.approved(operation=case.operation, **prepared(stage, case))
    stage.execute()
    found = fresh(execution)
    assert (found.state, attempts(execution)) == ("succeeded", ["succeeded"]), found.outcome
    assert len(stage.calls(case.operation.partition(":")[2])) == 1
    learn(stage)
    assert [proof.attempt.execution_id for proof in Proof.objects.all()] == [execution.pk]
    assert [kind for kind in stage.alerts() if kind != "bypass"] == []


# What the executor's role itself may act on, so that it is the session's own policy that says no.
ELSEWHERE: dict[str, dict[str, Any]] = {
    "rds:DeleteDBInstance": {"DBInstanceIdentifier": "prod-ledger", "SkipFinalSnapshot": True},
    "kms:ScheduleKeyDeletion": {"KeyId": "0d990263-028d-4d8c-9d0b-0123456789ab"},
    "s3:DeleteBucket": {"Bucket": "prod-contracts-111122223333"},
    "ec2:TerminateInstances": {"InstanceIds": ["i-0123456789abcdef0"]},
    "secretsmanager:DeleteSecret": {"SecretId": "prod/mail/password"},
}
OTHERWISE: dict[str, dict[str, Any]] = {
    "rds:ModifyDBInstance": {"DBInstanceIdentifier": "prod-billing", "DeletionProtection": True},
    "kms:DisableKey": {"KeyId": KEY},
    "s3:PutBucketVersioning": {"Bucket": BUCKET, "VersioningConfiguration": {"Status": "Suspended"}},
    "ec2:StopInstances": {"InstanceIds": [INSTANCE]},
    "secretsmanager:PutSecretValue": {"SecretId": "prod/db/password", "SecretString": "x"},
}


def test_a_session_of_any_service_can_do_nothing_else(stage: Stage) -> None:
    """The session of a step may make its call on its target; AWS denies the same call elsewhere and another call there."""
    for case, elsewhere, (otherwise, given) in zip(FIVE, ELSEWHERE.values(), OTHERWISE.items(), strict=True):
        asked = {**case.asked, **({"SecretId": DEMO.secret_arn("prod/db/password")} if "SecretId" in case.asked else {})}
        execution = stage.cast.approved(operation=case.operation, **asked)
        with stage.acting("execution"):
            cleared = claim.take(execution.pk)
            assert isinstance(cleared, claim.Cleared)
            session = readying.assume(cleared, 0, cleared.plan.steps[0])
            assert isinstance(session, aws.Session)
            with session:
                there = session.mutate(case.service, case.name, elsewhere)
                other = session.mutate(case.service, otherwise.partition(":")[2], given)
        assert isinstance(there, answers.Rejected), case.operation
        assert isinstance(other, answers.Rejected), otherwise
        assert (there.code, other.code) == (case.code, case.code)
        assert "no session policy allows" in there.message


def test_a_part_that_was_not_done_ends_it_as_partial(stage: Stage) -> None:
    """AWS answers yes and names an image that it did not delete: the attempt is partial, the execution failed and says so."""
    with client(stage, "mallory", "ecr") as ecr:
        ecr.create_repository(repositoryName="shop")
        ecr.put_image(repositoryName="shop", imageManifest="{}", imageManifestMediaType="application/json", imageTag="old")
    images = [{"imageTag": "old"}, {"imageTag": "never"}]
    execution = stage.cast.approved(operation="ecr:BatchDeleteImage", repositoryName="shop", imageIds=images)
    stage.execute()
    found = fresh(execution)
    assert (found.state, attempts(execution)) == ("failed", ["partial"])
    assert "only a part" in found.outcome
    learn(stage)
    assert Proof.objects.get().attempt.execution == execution
    assert stage.alerts() == ["partial"]
