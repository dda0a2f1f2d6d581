"""The session of a step: whose it is, what AWS lets it do, what it says of who asked, and what happens when it cannot be had."""

from __future__ import annotations

import gc
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any
from uuid import uuid4, uuid5

import boto3
import pytest
from botocore.exceptions import ClientError

from approvals.authority import KnownAccount
from approvals.models import ApprovalRequest, Attempt, Execution, Proof, TrailRecord
from approvals.operations.facts import rows
from approvals.operations.resources import Where
from approvals.plan import Step
from executor import answers, aws, claim, readying, rights, same_call, target
from executor.errors import PolicyTooLarge, WrongAccount
from executor.sandbox.world import DEMO, DemoWorldFacts
from tests.cast import Cast, seal
from tests.executor.proxy import Wire
from tests.executor.stage import Stage, attempts, fresh
from tests.executor.test_evidence import learn
from tests.executor.test_steps import CHANGE, approved

ACCOUNT = KnownAccount(DEMO.account, DEMO.partition, (DEMO.region,), DEMO.executor_role_arn, DEMO.external_id)
TABLE = "prod-orders"
# What somebody who took the worker over would try with the session of "delete prod-orders": the same elsewhere, something else
# there, looking at it, looking at others, changing what protects, becoming somebody, making keys, reading secrets.
ELSE: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("dynamodb", "DeleteTable", {"TableName": "prod-customers"}),
    ("dynamodb", "DeleteTable", {"TableName": "prod-orders-2"}),
    ("dynamodb", "UpdateTable", {"TableName": TABLE, "DeletionProtectionEnabled": False}),
    ("dynamodb", "DescribeTable", {"TableName": TABLE}),
    ("dynamodb", "ListTables", {}),
    ("dynamodb", "Scan", {"TableName": TABLE}),
    ("dynamodb", "PutItem", {"TableName": TABLE, "Item": {"id": {"S": "1"}}}),
    ("dynamodb", "CreateBackup", {"TableName": TABLE, "BackupName": "last"}),
    ("iam", "CreateUser", {"UserName": "backdoor"}),
    ("iam", "CreateAccessKey", {"UserName": "alice"}),
    ("iam", "UpdateAssumeRolePolicy", {"RoleName": DEMO.executor_role, "PolicyDocument": "{}"}),
    ("sts", "AssumeRole", {"RoleArn": DEMO.executor_role_arn, "RoleSessionName": "another", "ExternalId": DEMO.external_id}),
    ("kms", "ScheduleKeyDeletion", {"KeyId": DEMO.key_id("alias/prod-payments")}),
    ("s3", "ListBuckets", {}),
    ("s3", "DeleteBucket", {"Bucket": "prod-invoices-111122223333"}),
    ("secretsmanager", "GetSecretValue", {"SecretId": "prod/db/password"}),
    ("ec2", "TerminateInstances", {"InstanceIds": [DEMO.instance_id("prod-web")]}),
    ("rds", "DeleteDBInstance", {"DBInstanceIdentifier": "prod-billing", "SkipFinalSnapshot": True}),
    ("sqs", "SendMessage", {"QueueUrl": f"https://sqs.eu-west-1.amazonaws.com/{DEMO.account}/{DEMO.queue}", "MessageBody": "{}"}),
    ("sns", "Publish", {"TopicArn": DEMO.topic_arn, "Message": "x"}),
)


def session_of(stage: Stage, execution: Execution) -> tuple[claim.Cleared, aws.Session]:
    """As the worker that has the session of the first step in its hands. Call within `acting`."""
    cleared = claim.take(execution.pk)
    assert isinstance(cleared, claim.Cleared)
    session = readying.assume(cleared, 0, cleared.plan.steps[0])
    assert isinstance(session, aws.Session)
    return cleared, session


def test_a_worker_made_to_call_anything_else_is_denied(stage: Stage) -> None:
    """With the session in hand: the same call elsewhere, other calls, every read; AWS denies each, and the call itself works."""
    execution = stage.cast.approved(TableName=TABLE)
    with stage.acting("execution"):
        _, session = session_of(stage, execution)
        with session:
            for service, name, parameters in ELSE:
                answer = session.mutate(service, name, parameters)
                assert isinstance(answer, answers.Rejected), f"{service}:{name} was {answer}"
                assert re.search("AccessDenied|UnauthorizedOperation|AuthorizationError", answer.code), (name, answer)
            own = session.mutate("dynamodb", "DeleteTable", {"TableName": TABLE})
    assert isinstance(own, answers.Accepted)


@pytest.mark.parametrize("user", [DEMO.feed_user, DEMO.delivery_user, *DEMO.requesters, *DEMO.approvers, *DEMO.administrators])
def test_only_execution_may_become_the_role(stage: Stage, user: str) -> None:
    """The base credentials of every other process, and of every person, are denied AssumeRole, with the right external id too."""
    sts = boto3.Session(**stage.aws.credentials(user)).client("sts", endpoint_url=stage.aws.endpoint_url)
    with pytest.raises(ClientError) as caught:
        sts.assume_role(
            RoleArn=DEMO.executor_role_arn, RoleSessionName="x-1", ExternalId=DEMO.external_id, SourceIdentity="anything"
        )
    sts.close()
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def test_the_base_credentials_can_do_nothing_themselves(stage: Stage) -> None:
    """Execution's own keys delete nothing: it has to become the role, whose sessions are held down."""
    dynamodb = boto3.Session(**stage.aws.credentials(DEMO.execution_user)).client("dynamodb", endpoint_url=stage.aws.endpoint_url)
    with pytest.raises(ClientError, match="AccessDenied"):
        dynamodb.delete_table(TableName=TABLE)
    dynamodb.close()


def test_a_session_says_who_asked_and_who_approved(stage: Stage) -> None:
    """CloudTrail's record of the AssumeRole carries the request's id, the requester's handle and the approvers'."""
    execution = stage.cast.approved()
    stage.execute()
    (assumed,) = [
        one["requestParameters"]
        for one in stage.aws.records()
        if one["eventName"] == "AssumeRole" and one["requestParameters"]["sourceIdentity"] == str(execution.pk)
    ]
    assert {tag["key"]: tag["value"] for tag in assumed["tags"]} == {
        "countersign:request": str(execution.revision.request_id),
        "countersign:requester": "alice",
        "countersign:approvers": "bob",
    }
    assert assumed["durationSeconds"] == 900


@pytest.mark.parametrize(
    ("handles", "said"),
    [
        (("bob", "carol"), "bob carol"),
        (('b;o"b<>', "cärol"), "b_o_b__ cärol"),
        (("=cmd|x",), "=cmd_x"),
        (tuple(f"person-{number:03}" for number in range(60)), None),
    ],
)
def test_tags_are_in_the_characters_and_length_that_aws_takes(stage: Stage, handles: tuple[str, ...], said: str | None) -> None:
    """Whatever a handle is: allowed characters, 256 at most, whole names, and how many more there are. The same every time."""
    execution = stage.cast.approved()
    with stage.acting("execution"):
        cleared = claim.take(execution.pk)
        assert isinstance(cleared, claim.Cleared)
        tags = readying.session_tags(replace(cleared, approved_by=handles))
        assert tags == readying.session_tags(replace(cleared, approved_by=handles))
        policy = rights.policy(cleared.plan.steps[0], target.where(cleared.plan), acting=True)
        aws.assume(ACCOUNT, "x-1", policy, region=DEMO.region, name="step-1", tags=tags).close()
    value = tags["countersign:approvers"]
    assert len(value) <= 256
    assert said is None or value == said
    if said is None:
        kept = value.split()
        assert kept[-1] == f"+{60 - len(kept) + 1}"


# --- too large ---


def policy_of(length: int) -> str:
    bare = len(aws.session_policy([aws.Allowed(["dynamodb:DeleteTable"], [""])]))
    return aws.session_policy([aws.Allowed(["dynamodb:DeleteTable"], ["a" * (length - bare)])])


def test_tags_go_first_when_the_session_is_too_large(stage: Stage) -> None:
    """A policy that fits and a policy with tags that does not: AWS refuses once, and the session comes without tags."""
    with stage.acting("execution"):
        aws.assume(ACCOUNT, "x-1", policy_of(2000), region=DEMO.region, name="step-1", tags={"countersign:request": "r" * 60})
    asked = [one for one in stage.aws.records() if one["eventName"] == "AssumeRole"]
    assert [one.get("errorCode") for one in asked] == ["PackedPolicyTooLargeException", None]
    assert ["tags" in one["requestParameters"] for one in asked] == [True, False]


def test_a_policy_that_aws_never_takes_is_not_sent(stage: Stage) -> None:
    """Beyond 2,048 characters nothing is asked of AWS, and the reason says what to do."""
    with stage.acting("execution"), pytest.raises(PolicyTooLarge, match="Split the plan"):
        aws.assume(ACCOUNT, "x-1", policy_of(2049), region=DEMO.region, name="step-1")
    assert stage.aws.records() == []


class TestTooLarge:
    """With instances in the world, of which one call can name many."""

    @pytest.fixture
    def cast(self, cloned_database: str, tmp_path: Any, settings: Any) -> Cast:
        return seal(tmp_path, settings, whole=True)

    def test_a_plan_whose_session_is_too_large_goes_back_with_the_reason(self, stage: Stage) -> None:
        """Sixty instances in one call: nothing is sent, and the request is a draft again that says how it can be done."""
        instances = [f"i-0{number:016x}" for number in range(60)]
        execution = stage.cast.approved(operation="ec2:TerminateInstances", InstanceIds=instances)
        stage.execute()
        found = fresh(execution)
        assert (found.state, attempts(execution)) == ("aborted", [])
        assert "Split the plan" in found.outcome
        request = ApprovalRequest.objects.get(pk=execution.revision.request_id)
        assert request.state == "draft"
        assert request.current_revision().number > execution.revision.number

    def test_a_later_step_that_is_too_large_stops_the_first(self, stage: Stage) -> None:
        """The plan could not be ended, so it is not begun."""
        many = Step("ec2", "TerminateInstances", {"InstanceIds": [f"i-0{number:016x}" for number in range(60)]})
        execution = approved(stage, CHANGE, many)
        stage.execute()
        assert (fresh(execution).state, attempts(execution), stage.calls("UpdateTable")) == ("aborted", [], [])


# --- another account, region or partition ---


@pytest.mark.parametrize("fault", ["stranger before", "namesake before"])
def test_a_session_that_aws_calls_another_is_not_used(stage: Stage, fault: str) -> None:
    """GetCallerIdentity names a session of another account, or another one of ours: nothing is sent, and somebody is told."""
    execution = stage.cast.approved()
    with Wire(stage.aws.endpoint_url, "GetCallerIdentity", fault) as wire:
        stage.endpoint = wire.url
        stage.execute()
        stage.endpoint = ""
        assert wire.received == 1
    found = fresh(execution)
    assert (found.state, attempts(execution), stage.calls()) == ("failed", [], [])
    assert "Nothing was sent" in found.outcome
    assert stage.alerts() == ["failed"]


class Elsewhere(Wire):
    """STS names another session than the one that it was asked for, in its answers to one operation."""

    says = (b"", b"")
    where = b"AssumeRole"

    def _forward(self, handler: BaseHTTPRequestHandler, body: bytes) -> Any:
        status, headers, answer = super()._forward(handler, body)
        return status, headers, answer.replace(*self.says) if b"<%sResult>" % self.where in answer else answer


@pytest.mark.parametrize(
    "says",
    [
        (f"/{DEMO.executor_role}/".encode(), b"/Administrator/"),
        (b"/step-1</Arn>", b"/step-2</Arn>"),
        (b"arn:aws:", b"arn:aws-cn:"),
    ],
    ids=["role", "session's name", "partition"],
)
def test_a_session_that_was_not_asked_for_is_not_used(stage: Stage, says: tuple[bytes, bytes]) -> None:
    """The account is the right one, the session of another role, another step or another partition: nothing is done with it."""
    with Elsewhere(stage.aws.endpoint_url, "nothing", "") as wire, stage.acting("execution"):
        aws.assume(ACCOUNT, "x-1", policy_of(200), region=DEMO.region, name="step-1").close()
        wire.says = says
        os.environ["AWS_ENDPOINT_URL"] = wire.url
        aws.forget()
        with pytest.raises(WrongAccount, match="Nothing was done with it"):
            aws.assume(ACCOUNT, "x-1", policy_of(200), region=DEMO.region, name="step-1")
        aws.forget()


def test_a_session_that_is_not_used_keeps_no_connection(stage: Stage) -> None:
    """However often AWS calls a session another, a worker that goes on holds no more connections than before."""
    stage.cast.approved()
    with Elsewhere(stage.aws.endpoint_url, "nothing", "") as wire, without_garbage():
        wire.where, wire.says = b"GetCallerIdentity", (f"/{DEMO.executor_role}/".encode(), b"/Administrator/")
        stage.endpoint = wire.url
        stage.execute()
        before = connections_to(wire)
        for _ in range(2):
            stage.cast.approved()
            stage.execute()
        assert (Execution.objects.filter(state="failed").count(), connections_to(wire)) == (3, before)
        stage.endpoint = ""


@contextmanager
def without_garbage() -> Iterator[None]:
    """What nobody closes stays open: a session's clients are a ring that only the collector would find."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def connections_to(wire: Wire) -> int:
    """How many are open, as the wire sees it once it had the time to see their ends."""
    deadline = time.monotonic() + 2
    while (found := wire.open) and time.monotonic() < deadline:
        time.sleep(0.1)
        if wire.open == found:
            break
    return found


@pytest.mark.parametrize(
    ("region", "partition"),
    [("cn-north-1", "aws"), ("us-gov-west-1", "aws"), ("eu-west-1", "aws-cn"), ("eu-west-1", "aws-us-gov")],
)
def test_a_region_of_another_partition_is_refused(stage: Stage, region: str, partition: str) -> None:
    """The partition that was signed and the region's own differ: not even a session is asked for."""
    account = replace(ACCOUNT, partition=partition)
    with stage.acting("execution"), pytest.raises(WrongAccount, match="Nothing was sent"):
        aws.assume(account, "x-1", policy_of(200), region=region, name="step-1")
    assert stage.aws.records() == []


def test_a_client_of_another_region_is_not_used(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a configuration file says of endpoints: the client that would make the call is of the region that was signed."""
    made = aws.client
    monkeypatch.setattr(aws, "client", lambda service, region, **more: made(service, "eu-central-1", **more))
    with stage.acting("execution"):
        session = aws.Session(aws.Keys("ASIAX", "s", "t"), DEMO.region, "arn:aws:sts::111122223333:assumed-role/x/y")
        with session, pytest.raises(WrongAccount, match="eu-central-1"):
            session.ready_for("dynamodb")


@pytest.mark.parametrize("service", sorted({one.partition(":")[0] for one in rows()}))
def test_clients_of_every_service_are_of_the_signed_region(service: str) -> None:
    """No service that we know is refused for its endpoint's region: global ones are asked where their partition has them."""
    session = aws.Session(aws.Keys("ASIAX", "s", "t"), "eu-west-1", "arn:aws:sts::111122223333:assumed-role/x/y")
    with session:
        session.ready_for(service)


BUCKET = "prod-invoices-111122223333"
OBJECTS = {"Objects": [{"Key": "a", "VersionId": "v1"}, {"Key": "b/c", "VersionId": "v2"}]}
REPLICA = Step("dynamodb", "UpdateTable", {"TableName": TABLE, "ReplicaUpdates": [{"Delete": {"RegionName": "us-east-1"}}]})
REGIONS = ["us-east-1", "us-west-2"]
NO_REPLICA = Step("secretsmanager", "RemoveRegionsFromReplication", {"SecretId": "prod/db", "RemoveReplicaRegions": REGIONS})


class TestDependentActions:
    """Of calls that AWS asks more than one right for: the others are held down to what the call names, too."""

    @pytest.fixture
    def facts(self) -> DemoWorldFacts:
        more = ("secretsmanager:RemoveRegionsFromReplication", "secretsmanager:UpdateSecret", "s3:DeleteObjects")
        first = replace(
            DEMO.guardrails[0],
            operations=(*DEMO.guardrails[0].operations, "dynamodb:UpdateTable", *more),
            resources=("arn:{partition}:*:*:*:*",),
        )
        return replace(DEMO, guardrails=(first, *DEMO.guardrails[1:]))

    @pytest.fixture
    def cast(self, facts: DemoWorldFacts, cloned_database: str, tmp_path: Any, settings: Any) -> Cast:
        operations = list(facts.guardrails[0].operations)
        return seal(tmp_path, settings, whole=True, operations=operations, resources=["arn:aws:*:*:*:*"])

    @pytest.mark.parametrize(
        ("step", "others"),
        [
            (REPLICA, [("dynamodb", "DeleteTable", {"TableName": TABLE})]),
            (
                Step(
                    "secretsmanager",
                    "RemoveRegionsFromReplication",
                    {"SecretId": "prod/db/password", "RemoveReplicaRegions": ["us-east-1"]},
                ),
                [("secretsmanager", "DeleteSecret", {"SecretId": "prod/db/password", "ForceDeleteWithoutRecovery": True})],
            ),
            (
                Step("s3", "DeleteObjects", {"Bucket": BUCKET, "Delete": OBJECTS}),
                [
                    ("s3", "DeleteObject", {"Bucket": BUCKET, "Key": "b", "VersionId": "v2"}),
                    ("s3", "DeleteObject", {"Bucket": BUCKET, "Key": "d"}),
                ],
            ),
            (
                Step("secretsmanager", "UpdateSecret", {"SecretId": "prod/db/password", "Description": "x"}),
                [("kms", "Decrypt", {"KeyId": DEMO.key_id("alias/prod-payments"), "CiphertextBlob": b"x"})],
            ),
            (
                Step("secretsmanager", "UpdateSecret", {"SecretId": "prod/db/password", "KmsKeyId": "alias/prod-payments"}),
                [("kms", "Decrypt", {"KeyId": DEMO.key_id("alias/prod-payments"), "CiphertextBlob": b"x"})],
            ),
        ],
        ids=["a replica and the table", "a replica and the secret", "other objects", "any key", "the secret's key by oneself"],
    )
    def test_the_session_in_hand_does_no_more_than_the_call(
        self, stage: Stage, step: Step, others: list[tuple[str, str, dict[str, Any]]]
    ) -> None:
        """What AWS asks for besides is allowed where the call names it, or through the service that acts: nowhere else."""
        execution = approved(stage, step)
        with stage.acting("execution"):
            _, session = session_of(stage, execution)
            with session:
                for service, name, parameters in others:
                    answer = session.mutate(service, name, parameters)
                    assert isinstance(answer, answers.Rejected), f"{service}:{name} was {answer}"
                    assert "AccessDenied" in answer.code

    @pytest.mark.parametrize(
        ("step", "action", "arns"),
        [
            (REPLICA, "dynamodb:DeleteTableReplica", [DEMO.table_arn(TABLE).replace(DEMO.region, "us-east-1")]),
            (
                NO_REPLICA,
                "secretsmanager:DeleteSecret",
                [f"arn:aws:secretsmanager:{one}:{DEMO.account}:secret:prod/db-??????" for one in REGIONS],
            ),
            (
                replace(
                    NO_REPLICA,
                    parameters=NO_REPLICA.parameters
                    | {"SecretId": f"arn:aws:secretsmanager:{DEMO.region}:{DEMO.account}:secret:prod/db-AbCdEf"},
                ),
                "secretsmanager:DeleteSecret",
                [f"arn:aws:secretsmanager:{one}:{DEMO.account}:secret:prod/db-AbCdEf" for one in REGIONS],
            ),
            (
                Step("s3", "DeleteObjects", {"Bucket": BUCKET, "Delete": OBJECTS}),
                "s3:DeleteObjectVersion",
                [f"arn:aws:s3:::{BUCKET}/{key}" for key in ("a", "b/c")],
            ),
            (
                Step("s3", "DeleteObjects", {"Bucket": BUCKET, "Delete": {"Objects": [{"Key": "a"}, *OBJECTS["Objects"][1:]]}}),
                "s3:DeleteObjectVersion",
                [f"arn:aws:s3:::{BUCKET}/b/c"],
            ),
        ],
        ids=["a replica", "two replicas of a secret", "named by its ARN", "versions", "a version of one alone"],
    )
    def test_the_other_actions_are_on_exactly_what_the_call_names(self, step: Step, action: str, arns: list[str]) -> None:
        """As the session policy says it; each region, and each key, that the call names and no other."""
        place = Where(DEMO.account, DEMO.region, DEMO.partition)
        said = json.loads(rights.policy(step, place, acting=True))["Statement"]
        assert [one["Resource"] for one in said if action in one["Action"]] == [arns]


class TestTokens:
    """With an operation that takes a token under protection."""

    @pytest.fixture
    def facts(self) -> DemoWorldFacts:
        first = replace(DEMO.guardrails[0], operations=("secretsmanager:UpdateSecret",), resources=("arn:{partition}:*:*:*:*",))
        return replace(DEMO, guardrails=(first, *DEMO.guardrails[1:]))

    @pytest.fixture
    def cast(self, cloned_database: str, tmp_path: Any, settings: Any) -> Cast:
        return seal(tmp_path, settings, whole=True, operations=["secretsmanager:UpdateSecret"], resources=["arn:aws:*:*:*:*"])

    def updated(self, stage: Stage, **more: Any) -> Execution:
        secret = DEMO.secret_arn("prod/db/password")
        return stage.cast.approved(operation="secretsmanager:UpdateSecret", SecretId=secret, Description="new", **more)

    def test_a_token_is_derived_sent_stored_and_proven(self, stage: Stage, settings: Any) -> None:
        """What went out is what the row says; a record with it proves the attempt, one with another token is another call."""
        execution = self.updated(stage)
        stage.execute()
        assert fresh(execution).state == "succeeded", fresh(execution).outcome
        row, (call,) = Attempt.objects.get(), stage.calls("UpdateSecret")
        assert row.client_token == str(uuid5(execution.pk, "0")) == call["requestParameters"]["clientRequestToken"]
        learn(stage)
        record = Proof.objects.get().record
        assert record.fate == TrailRecord.Fate.EXECUTOR
        raw = json.loads(record.raw)
        raw["requestParameters"]["clientRequestToken"] = str(uuid4())
        record.raw = json.dumps(raw)
        likeness, words = same_call.compare(record, row)
        assert (likeness, "ClientRequestToken" in words) == (same_call.Likeness.OTHER, True)

    def test_a_token_that_was_signed_is_sent_as_it_was_signed(self, stage: Stage) -> None:
        """The plan's own token goes out, and no row says another."""
        signed = "0f6b1c9e-0000-4000-8000-0123456789ab"
        self.updated(stage, ClientRequestToken=signed)
        stage.execute()
        (call,) = stage.calls("UpdateSecret")
        assert (call["requestParameters"]["clientRequestToken"], Attempt.objects.get().client_token) == (signed, "")
        learn(stage)
        assert Proof.objects.count() == 1
