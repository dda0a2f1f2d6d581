"""A call in words: sentences for whatever is called, and commands that a shell reads back as the same call."""

from __future__ import annotations

import base64
import json
import shlex
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore import xform_name
from hypothesis import given
from hypothesis import strategies as st

from approvals.canonical import Sealed
from approvals.operations import catalog, services, words
from approvals.plan import Step

PLACE = "Production, eu-west-1"


def step(full_name: str, /, **parameters: Any) -> Step:
    service, _, operation = full_name.partition(":")
    return Step(service, operation, parameters)


def command(name: str, /, **parameters: Any) -> list[str]:
    """The words that a shell would hand to the CLI, without `aws` and the region."""
    said = shlex.split(words.cli(step(name, **parameters), "eu-west-1"))
    assert (said[0], said[3:5]) == ("aws", ["--region", "eu-west-1"])
    return [*said[1:3], *said[5:]]


class TestSentences:
    @pytest.mark.parametrize(
        ("asked", "said"),
        [
            (step("ec2:TerminateInstances", InstanceIds=["i-1", "i-2"]), "terminate instances i-1, i-2"),
            (step("ec2:TerminateInstances", InstanceIds=list("abcdefg")), "terminate instances a, b, c, d, e and 2 more"),
            (step("ec2:TerminateInstances"), "terminate instances (not named)"),
            (step("codepipeline:DeletePipeline", name="deploy"), "delete pipeline deploy"),
            (step("dynamodb:DeleteTable", TableName="a\u202eb"), "delete table a\\u202eb"),
        ],
    )
    def test_a_call_is_said_with_what_it_acts_on(self, asked, said):
        """Described or not, one target or several: a sentence names them, and everything invisible in a name shows."""
        assert words.sentence(asked, PLACE) == f"{said} in Production, eu-west-1"

    def test_a_plan_is_one_sentence(self):
        """Several steps are joined by "then", and the place is said once."""
        plan = [step("dynamodb:UpdateTable", TableName="a"), step("dynamodb:DeleteTable", TableName="a")]
        assert words.sentence_of(plan, PLACE) == "change table a, then delete table a in Production, eu-west-1"

    def test_every_described_operation_is_said_without_a_brace(self):
        """What a row says an operation does names members that the operation has."""
        for operation in catalog.curated():
            said = words.sentence(step(operation.full_name), PLACE)
            assert not {"{", "}"} & set(said + words.kind_of(operation)), operation.full_name


class TestCommands:
    @pytest.mark.parametrize(
        ("name", "parameters", "said"),
        [
            ("s3:DeleteBucket", {"Bucket": "b"}, ["s3api", "delete-bucket", "--bucket", "b"]),
            ("config:StopConfigurationRecorder", {"ConfigurationRecorderName": "r"},
             ["configservice", "stop-configuration-recorder", "--configuration-recorder-name", "r"]),
            ("codedeploy:DeleteApplication", {"applicationName": "a"},
             ["deploy", "delete-application", "--application-name", "a"]),
            ("logs:DeleteLogGroup", {"logGroupName": "g"}, ["logs", "delete-log-group", "--log-group-name", "g"]),
            ("eks:UpdateClusterVersion", {"name": "c", "version": "1.33"},
             ["eks", "update-cluster-version", "--name", "c", "--kubernetes-version", "1.33"]),
            ("rds:DeleteDBInstance", {"DBInstanceIdentifier": "d", "SkipFinalSnapshot": True, "DeleteAutomatedBackups": False},
             ["rds", "delete-db-instance", "--db-instance-identifier", "d", "--no-delete-automated-backups",
              "--skip-final-snapshot"]),
            ("ec2:DeleteNetworkAclEntry", {"Egress": False, "NetworkAclId": "acl-1", "RuleNumber": 7},
             ["ec2", "delete-network-acl-entry", "--ingress", "--network-acl-id", "acl-1", "--rule-number", "7"]),
            ("ec2:TerminateInstances", {"InstanceIds": ["i-1", "i-2"]},
             ["ec2", "terminate-instances", "--instance-ids", "i-1", "i-2"]),
            ("iam:DeleteUser", {"UserName": "-x"}, ["iam", "delete-user", "--user-name=-x"]),
        ],
    )  # fmt: skip
    def test_the_cli_spells_it_so(self, name, parameters, said):
        """Services, operations and arguments as the CLI has them, where they differ from botocore's names too."""
        found = command(name, **parameters)
        assert (found[:2], sorted(found[2:])) == (said[:2], sorted(said[2:]))

    def test_a_value_that_the_cli_would_read_from_a_file_is_given_as_json(self):
        """`file:///etc/passwd` as a name is that name, not the file's content."""
        said = command("dynamodb:DeleteTable", TableName="file:///etc/passwd")
        assert said[:3] == ["dynamodb", "delete-table", "--cli-input-json"]
        assert json.loads(said[3]) == {"TableName": "file:///etc/passwd"}

    def test_bytes_moments_and_sealed_values(self):
        """Bytes come from a file that the command writes, a moment is ISO 8601, a sealed value stays sealed."""
        said = words.cli(step("kms:Encrypt", KeyId="k", Plaintext=b"\0\1"), "eu-west-1").splitlines()
        assert said[0] == f"echo {base64.b64encode(bytes([0, 1])).decode()} | base64 -d > Plaintext.bin"
        assert said[1].endswith("--plaintext fileb://Plaintext.bin")
        moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
        assert "2026-01-31T12:00:00+00:00" in command("dms:StartReplicationTask", CdcStartTime=moment)
        secret = Sealed(f"1.{'0' * 32}.{base64.urlsafe_b64encode(bytes(range(120))).decode().rstrip('=')}")
        assert command("rds:ModifyDBInstance", MasterUserPassword=secret)[2:] == ["--master-user-password", "(sealed)"]

    def test_what_the_cli_cannot_call_is_said(self):
        """No command is made up for an operation that the CLI leaves out."""
        said = words.cli(step("emr:TerminateJobFlows", JobFlowIds=["j-1"]), "eu-west-1")
        assert said.startswith("# The AWS CLI has no command")
        assert "terminate_job_flows" in said

    @given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
    def test_any_name_survives_the_shell(self, name):
        """Quotes, dollars and newlines in a value change nothing of what is called."""
        said = command("dynamodb:DeleteTable", TableName=name)
        value = json.loads(said[3])["TableName"] if said[2] == "--cli-input-json" else said[-1].removeprefix("--table-name=")
        assert value == name

    def test_the_exceptions_name_what_botocore_has(self):
        """Each row of data/cli.json is of an operation and member that there are; a wrong one would be silent."""
        known = words._spellings()
        members = [*known["arguments"], *known["negations"], *known["only_in_json"]]
        for full in members:
            name, _, member = full.rpartition(".")
            assert member in catalog.get(name).members, full
        for name in [*known["operations"], *known["without_command"]]:
            assert catalog.get(name).full_name == name
        assert set(known["services"]) <= set(catalog.services())
        for full, argument in known["arguments"].items():
            assert argument != xform_name(full.rpartition(".")[2], "-"), full


class TestServices:
    def test_every_service_has_aws_s_name(self):
        """Read from the head of each model, they are the names that the whole models have."""
        found = services.full_names()
        assert set(found) == set(catalog.services())
        for service in ("rds", "ec2", "kms", "iam"):
            assert found[service] == catalog.service_model(service).metadata["serviceFullName"]
        assert sum(name != service for service, name in found.items()) > 400

    def test_what_only_reads_is_not_offered(self):
        """The described ones come first, then every other that changes something."""
        found = services.writing("rds")
        names = [operation.name for operation in found]
        assert "DescribeDBInstances" not in names
        assert {"DeleteDBInstance", "CreateDBInstance"} <= set(names)
        assert [operation.facts.curated for operation in found] == sorted((o.facts.curated for o in found), reverse=True)
