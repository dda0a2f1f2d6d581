"""Ways past a guardrail: calls, and names of things, that AWS takes for something else than they look like."""

from __future__ import annotations

import contextlib
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from approvals import authority, clearance, decisions, ingest, policies
from approvals.errors import BadParameters, Refused
from approvals.models import Alert, Execution, TrailRecord
from approvals.operations import catalog, inputs, patterns, resources, sources
from approvals.operations.resources import Where
from approvals.policies import Call, Mode, Rules
from tests.cast import ACCOUNT, REGION, envelope, seal, trail_record

HERE = Where(ACCOUNT, REGION)
TABLE = ("dynamodb:DeleteTable", {"TableName": "prod-orders"})


def taken(**record: Any) -> TrailRecord | None:
    """What became of one record."""
    made = trail_record(denied=False) | {"eventID": str(uuid4())} | record
    ingest.ingest([ingest.Message(str(uuid4()), envelope(made))])
    return TrailRecord.objects.filter(event_id=made["eventID"]).first()


@pytest.fixture
def whole(db, tmp_path, settings):
    """All of the demo's guardrails."""
    return seal(tmp_path, settings, whole=True)


class TestOtherNames:
    @pytest.mark.parametrize("name", ["docdb:DeleteDBInstance", "neptune:DeleteDBInstance"])
    def test_a_step_is_protected_under_every_name_of_its_call(self, whole, name):
        """boto3 has the same request by several names; a plan is pinned to the guardrail whichever of them it uses."""
        steps = [TABLE, (name, {"DBInstanceIdentifier": "prod-billing"})]
        request = decisions.file(whole.person("alice"), account_id=ACCOUNT, region=REGION, steps=steps)
        pinned = {pin.name for pin in request.current_revision().plan.guardrails}
        assert pinned == {"dynamodb-production", "rds-production"}

    def test_what_was_signed_without_a_guardrail_is_not_cleared(self, whole, monkeypatch):
        """The executor judges a step under every name too, whatever the portal pinned."""
        steps = [TABLE, ("neptune:DeleteDBInstance", {"DBInstanceIdentifier": "prod-billing"})]
        with monkeypatch.context() as blind:
            blind.setattr(sources, "other_names", lambda _: ())
            request = decisions.file(whole.person("alice"), account_id=ACCOUNT, region=REGION, steps=steps)
            whole.sign_review(whole.sign_confirm(request))
        execution = Execution.objects.get(revision__request=request)
        with pytest.raises(Refused, match="rds-production"):
            clearance.clear(execution, authority.walk(whole.genesis), decisions.relying_party(), now=timezone.now())

    def test_a_bypass_is_seen_under_every_name(self, db, tmp_path, settings):
        """A guardrail that says neptune hears of a call with a parameter that only rds has: it is the same database."""
        arn = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:prod-*"
        seal(tmp_path, settings, operations=["neptune:DeleteDBInstance"], resources=[arn])
        parameters = {"dBInstanceIdentifier": "prod-graph", "skipFinalSnapshot": True, "deleteAutomatedBackups": True}
        record = taken(eventSource="rds.amazonaws.com", eventName="DeleteDBInstance", requestParameters=parameters)
        assert record is not None
        assert record.fate == TrailRecord.Fate.ALERT
        assert Alert.objects.get().kind == "bypass"

    def test_a_guardrail_by_a_call_s_former_name_is_heard(self, db, tmp_path, settings):
        """S3 has two names for one request; a guardrail by the former one protects it."""
        seal(tmp_path, settings, operations=["s3:PutBucketLifecycle"], resources=["arn:aws:s3:::prod-*"])
        record = taken(
            eventSource="s3.amazonaws.com", eventName="PutBucketLifecycle", requestParameters={"bucketName": "prod-invoices"}
        )
        assert record is not None
        assert record.fate == TrailRecord.Fate.ALERT


SECRETS = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
REPLICATE = "rds:StartDBInstanceAutomatedBackupsReplication"
RDS = f"arn:aws:rds:{REGION}:{ACCOUNT}:"


def protected(pattern: str, name: str, /, **parameters: Any) -> bool:
    """Whether a guardrail on this ARN pattern protects the call."""
    touched = resources.arns(catalog.get(name), parameters, HERE)
    rules = Rules("g", "", Mode.ENFORCE, ("*",), ("*",), ("*",), (pattern,), 1)
    return policies.matches(rules, Call(ACCOUNT, REGION, name, touched))


class TestNames:
    @pytest.mark.parametrize(
        ("pattern", "call", "parameters"),
        [
            # An ARN without the characters that AWS adds, of a name that ends as if it had them.
            (f"{SECRETS}prod/db-master-??????", "secretsmanager:DeleteSecret", {"SecretId": f"{SECRETS}prod/db-master"}),
            # An access point's alias stands for a bucket of another name.
            ("arn:aws:s3:::prod-*", "s3:DeleteObject", {"Bucket": "ap-hrzrlukc5m36ft7okagglf3-s3alias", "Key": "a"}),
            (
                "arn:aws:s3:::prod-*",
                "s3:DeleteObject",
                {"Bucket": "mine-o01ac5d28a6a232904--op-s3", "Key": "a"},
            ),
            (
                f"{RDS}snapshot:prod-*",
                "backup:DeleteRecoveryPoint",
                {"BackupVaultName": "v", "RecoveryPointArn": "arn:aws:rds:*"},
            ),
            (f"arn:aws:sqs:{REGION}:{ACCOUNT}:prod-*", "sqs:PurgeQueue", {"QueueUrl": f"https://sqs/{ACCOUNT}/prod%2Dorders"}),
            (
                f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/prod",
                "eks:DeleteNodegroup",
                {"clusterName": "prod", "nodegroupName": ".."},
            ),
            (f"arn:aws:iam::{ACCOUNT}:user/prod", "iam:DeleteUser", {"UserName": "x" * 2049}),
            (
                f"{RDS}db:prod-*",
                "rds:StartDBInstanceAutomatedBackupsReplication",
                {"SourceDBInstanceArn": f"{RDS}db:PROD-billing"},
            ),
            # A member beside the one that names the target holds the ARN of another target.
            (
                f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/prod",
                "kinesis:DeleteStream",
                {"StreamName": "mine", "StreamARN": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/prod"},
            ),
            # Kept in lower case, or found whatever the case.
            (f"arn:aws:dax:{REGION}:{ACCOUNT}:cache/prod", "dax:DeleteCluster", {"ClusterName": "PROD"}),
            (f"arn:aws:glue:{REGION}:{ACCOUNT}:database/prod", "glue:DeleteDatabase", {"Name": "Prod"}),
            # What stands in a path may be encoded.
            (f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/prod", "eks:DeleteCluster", {"name": "pro%64"}),
            # The second thing that AWS asks for the same right on.
            (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234", "kms:DeleteAlias", {"AliasName": "alias/mine"}),
            (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234", "kms:UpdateAlias", {"AliasName": "alias/x", "TargetKeyId": "5678"}),
            (f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1", "ec2:DetachVolume", {"VolumeId": "vol-1"}),
            (f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1", "ec2:DetachVolume", {"VolumeId": "vol-1", "InstanceId": "i-1"}),
        ],
    )
    def test_a_name_that_aws_may_take_for_another_thing_is_protected(self, pattern, call, parameters):
        """What a value stands for is AWS's to say: where that may be the protected thing, the guardrail holds."""
        assert protected(pattern, call, **parameters)

    def test_a_plain_name_is_still_only_itself(self):
        """The care for strange names does not make a guardrail match what it plainly does not protect."""
        assert not protected(f"{SECRETS}prod/*", "secretsmanager:DeleteSecret", SecretId="staging/db-master")
        assert not protected(f"{SECRETS}prod/*", "secretsmanager:DeleteSecret", SecretId=f"{SECRETS}staging/db-AbCdEf")
        assert not protected("arn:aws:s3:::prod-*", "s3:DeleteBucket", Bucket="staging-s3aliases")
        assert not protected(f"arn:aws:sqs:{REGION}:{ACCOUNT}:prod-*", "sqs:PurgeQueue", QueueUrl=f"https://sqs/{ACCOUNT}/x.fifo")

    def test_a_second_thing_that_is_named_is_only_itself(self):
        """Where the call names what else it acts on, a guardrail on another of that kind does not match."""
        instances = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/"
        assert not protected(f"{instances}i-1", "ec2:DetachVolume", VolumeId="vol-1", InstanceId="i-2")
        assert not protected(f"arn:aws:ec2:{REGION}:{ACCOUNT}:volume/vol-2", "ec2:DetachVolume", VolumeId="vol-1")

    def test_what_a_call_makes_is_none_of_what_is_there(self):
        """AWS asks for the right on the snapshot that is to be; a guardrail on those that are hinders no new one."""
        assert not protected(f"arn:aws:ec2:{REGION}::snapshot/snap-1", "ec2:CreateSnapshot", VolumeId="vol-1")
        assert not protected(f"arn:aws:ec2:{REGION}::image/ami-1", "ec2:CreateImage", InstanceId="i-1", Name="x")

    def test_a_statement_is_never_taken_for_a_call_that_only_reads(self, db, tmp_path, settings):
        """PartiQL deletes by the operation that it selects by, and the record hides which of them it was."""
        seal(tmp_path, settings, operations=["dynamodb:*"], resources=[f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/prod-*"])
        record = taken(eventName="ExecuteStatement", requestParameters={"statement": "HIDDEN_DUE_TO_SECURITY_REASONS"})
        assert record is not None
        assert record.fate == TrailRecord.Fate.ALERT

    def test_a_huge_name_is_judged_at_once(self):
        """A megabyte of name costs no megabyte of pattern matching: whoever makes a denied call could stop the feed."""
        name = "prod/" + "a" * 1_000_000
        assert resources.arns(catalog.get("secretsmanager:DeleteSecret"), {"SecretId": name}, HERE) == ()


class TestPatterns:
    @pytest.mark.parametrize(
        ("name", "parameters"),
        [
            ("rds:CreateBlueGreenDeployment", {"BlueGreenDeploymentName": "a" * 59 + "!", "Source": f"{RDS}db:x"}),
            ("lex-models:GetIntent", {"name": "a_" * 50 + "!", "version": "1"}),
            ("rds:CreateBlueGreenDeployment", {"BlueGreenDeploymentName": "a" * 100_000 + "!", "Source": f"{RDS}db:x"}),
        ],
    )
    def test_no_value_keeps_a_pattern_of_aws_busy(self, name, parameters):
        """A name that a caller chose costs milliseconds, whatever it is: without a bound this test does not end."""
        with contextlib.suppress(BadParameters):
            inputs.check(catalog.get(name), parameters)

    @pytest.mark.parametrize(
        ("pattern", "fits", "does_not"),
        [
            ("[a-z][a-z0-9-]{0,62}", "prod-orders", "Prod"),
            ("arn:aws:[a-z]+:[a-z0-9-]+:\\d{12}:.+", f"{RDS}db:x", "arn:aws:rds"),
            ("[a-zA-Z](?:-?[a-zA-Z0-9]+)*", "prod-1", "prod--1"),
        ],
    )
    def test_what_can_be_judged_in_time_is_judged(self, pattern, fits, does_not):
        """Patterns that cannot run away, and short values under those that can, are checked as before."""
        assert patterns.fits(pattern, fits)
        assert not patterns.fits(pattern, does_not)
