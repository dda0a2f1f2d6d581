"""What trail_explain says of a record: keys, fates, fragments, and no exception whatever it is given."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from approvals import explanation, watch
from approvals.explanation import ASSUMED, EVERYTHING, SCHEMA, Becomes, Setting
from approvals.operations import inputs
from executor.sandbox.world import DEMO
from tests.cast import table_arn, trail_record

ROLE = DEMO.executor_role_arn


def explained(record: Any, setting: Setting = ASSUMED) -> dict[str, Any]:
    return explanation.explain(record, setting).as_json()


def by_role(arn: str) -> dict[str, Any]:
    issuer = {"type": "Role", "arn": arn, "accountId": DEMO.account, "userName": "x"}
    session = {"sessionContext": {"sessionIssuer": issuer, "sourceIdentity": "e-1"}}
    return {"type": "AssumedRole", "arn": f"{arn}/s", "accountId": DEMO.account, **session}


def test_a_denied_deletion_is_told_whole():
    """The keys are those that are documented, and each says what the record says."""
    found = explained(trail_record())
    assert tuple(found) == SCHEMA
    assert (found["service"], found["operation"], found["outcome"]) == ("dynamodb", "DeleteTable", "denied")
    assert found["iam_action"] == "dynamodb:DeleteTable"
    assert found["resources"] == [table_arn("prod-orders")]
    assert found["caller"]["type"] == "IAMUser"
    assert found["caller"]["human"] == "alice"
    assert (found["completeness"], found["parameters"]) == ("rebuilt", {"TableName": "prod-orders"})
    assert found["becomes"] == "request"


FATES = [
    (trail_record(), Becomes.REQUEST),
    (trail_record(denied=False), Becomes.ALERT),
    (trail_record(denied=False, userIdentity=by_role(ROLE)), Becomes.PROOF),
    (trail_record("DescribeTable"), Becomes.IGNORED),
    (trail_record(errorCode="ResourceNotFoundException", errorMessage="no such table"), Becomes.IGNORED),
    (trail_record(errorCode="InternalFailure", errorMessage=""), Becomes.ALERT),
    (trail_record(userIdentity={"type": "Root", "accountId": DEMO.account, "arn": "arn:aws:iam::1:root"}), Becomes.ALERT),
    (trail_record(userIdentity={"type": "AWSService", "invokedBy": "autoscaling.amazonaws.com"}), Becomes.IGNORED),
    (trail_record(errorCode="AuthorizationError"), Becomes.REQUEST),
    (trail_record(errorCode="InvalidParameterValueException"), Becomes.REQUEST),
    (trail_record(errorCode="InternalFailure"), Becomes.ALERT),
    (trail_record("SwitchRole", eventSource="signin.amazonaws.com"), Becomes.IGNORED),
]


@pytest.mark.parametrize(("record", "becomes"), FATES, ids=[f"{number}" for number in range(len(FATES))])
def test_what_becomes_of_a_record(record, becomes):
    """Denied writes become requests, the executor's calls proofs, other successes alerts; the rest is ignored."""
    assert explained(record, Setting(ASSUMED.watch, {DEMO.account: ROLE}))["becomes"] == becomes


def test_a_guardrail_hears_of_a_call_under_each_name_that_the_record_may_mean():
    """Without parameters both generations of load balancers are meant; a guardrail on either makes it a request."""
    event = trail_record("DeleteLoadBalancer", eventSource="elasticloadbalancing.amazonaws.com", requestParameters=None)
    for name in ("elb:DeleteLoadBalancer", "elbv2:DeleteLoadBalancer"):
        found = explained(event, Setting(watch.over((replace(EVERYTHING, operations=(name,)),))))
        assert found["becomes"] == "request"
        assert f"{found['service']}:{found['operation']}" == name


def test_a_name_that_cannot_be_one_is_no_way_past_a_guardrail():
    """What does not fit its member may be taken for anything, so a guardrail on another name protects it too."""
    event = trail_record(
        "DeleteFunction20150331", eventSource="lambda.amazonaws.com", requestParameters={"functionName": "prod%20"}
    )
    rules = replace(EVERYTHING, resources=("arn:aws:lambda:*:*:function:prod",))
    assert explained(event, Setting(watch.over((rules,))))["becomes"] == "request"


@pytest.mark.parametrize(
    ("operation", "source", "parameters"),
    [
        ("DeleteTable", "dynamodb", '{"tableName": 1e400}'),
        (
            "StartChangeSet",
            "aws-marketplace",
            '{"catalog": "c", "changeSet": [{"detailsDocument": {"a": 1e400}}]}',
        ),
    ],
)
def test_every_line_is_json(operation, source, parameters):
    """A number without end, which JSON has no word for, is left open: what reads our lines must not stop at one."""
    event = trail_record(operation, eventSource=f"{source}.amazonaws.com", requestParameters=json.loads(parameters))
    found = explained(event)
    assert json.dumps(found, allow_nan=False)
    assert found["completeness"] == "incomplete"


def denied(operation: str, source: str, resource: str) -> dict[str, Any]:
    """A denied call without parameters whose message names the resource."""
    message = (
        f"User: arn:aws:iam::{DEMO.account}:user/alice is not authorized to perform: {source}:{operation} on resource: {resource}"
    )
    return trail_record(operation, eventSource=f"{source}.amazonaws.com", requestParameters=None, errorMessage=message)


def test_a_call_is_not_rebuilt_under_a_name_that_hides_what_it_may_have_had():
    """docdb's DeleteDBInstance takes a name alone, but the record may be of rds, with SkipFinalSnapshot: nobody can tell."""
    event = denied("DeleteDBInstance", "rds", f"arn:aws:rds:eu-west-1:{DEMO.account}:db:prod")
    found = explained(event, Setting(watch.over((replace(EVERYTHING, operations=("docdb:DeleteDBInstance",)),))))
    assert (found["service"], found["completeness"]) == ("docdb", "incomplete")
    assert "SkipFinalSnapshot" in found["missing"]


@pytest.mark.parametrize(
    ("resource", "call"),
    [
        ("loadbalancer/app/prod/50dc6c495c0c9188", "elbv2"),
        ("loadbalancer/net/prod/50dc6c495c0c9188", "elbv2"),
        ("loadbalancer/prod", "elb"),
    ],
)
def test_the_message_tells_which_of_two_calls_of_one_name_was_meant(resource, call):
    """Both generations of load balancers have a DeleteLoadBalancer; the ARN in the denial is of one of them."""
    arn = f"arn:aws:elasticloadbalancing:eu-west-1:{DEMO.account}:{resource}"
    found = explained(denied("DeleteLoadBalancer", "elasticloadbalancing", arn))
    assert (found["service"], found["completeness"]) == (call, "rebuilt")


def test_two_calls_that_one_message_fits_are_both_in_doubt():
    """API Gateway's two services have VPC links under one ARN: which of them was called is not told."""
    found = explained(denied("DeleteVpcLink", "apigateway", "arn:aws:apigateway:eu-west-1::/vpclinks/abc"))
    assert found["completeness"] == "incomplete"


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("eu-west-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eusc-de-east-1", "aws-eusc"),
    ],
)
def test_arns_are_of_the_partition_that_the_region_lies_in(region, partition):
    """botocore knows every partition, the newest too: an ARN of a wrong one would match no guardrail."""
    found = explained(trail_record(denied=False, awsRegion=region))
    assert found["resources"] == [f"arn:{partition}:dynamodb:{region}:{DEMO.account}:table/prod-orders"]


def test_a_fragment_is_explained_as_far_as_it_goes():
    """A record without an id, a time or a caller, as documentation prints them, is still told by what it has."""
    record = trail_record("DeleteTable", denied=False)
    fragment = {name: record[name] for name in ("eventSource", "eventName", "requestParameters")}
    found = explanation.explain(fragment, ASSUMED)
    told = found.as_json()
    assert told["parameters"] == {"TableName": "prod-orders"}
    assert (told["event_id"], told["account"], told["region"]) == (None, None, None)
    assert "eventID" in found.fragment


@pytest.mark.parametrize("value", [None, 1, "text", [], {}, {"eventName": 1}, {"eventSource": "x", "eventName": []}])
def test_what_is_no_record_is_said_to_be_none(value):
    """Anything that parses as JSON gives a verdict with all keys."""
    found = explained(value)
    assert tuple(found) == SCHEMA
    assert (found["becomes"], found["completeness"], found["parameters"]) == ("ignored", "unknown", None)
    assert found["why"]


def test_parameters_fit_the_call():
    """What is called exact is what inputs.check lets pass."""
    found = explanation.explain(trail_record("DeleteTable", denied=False), ASSUMED)
    assert found.operation is not None
    inputs.check(found.operation, found.conversion.parameters)
    assert found.clean


def test_a_list_of_resources_that_speaks_against_the_parameters_makes_it_incomplete():
    """What CloudTrail lists in `resources` and what follows from the parameters must be the same thing; else a person decides."""
    agreeing = [{"ARN": table_arn("prod-orders"), "accountId": DEMO.account, "type": "AWS::DynamoDB::Table"}]
    other = [{"ARN": table_arn("prod-customers"), "accountId": DEMO.account, "type": "AWS::DynamoDB::Table"}]
    assert explained(trail_record(denied=False, resources=agreeing))["completeness"] == "exact"
    found = explained(trail_record(denied=False, resources=other))
    assert (found["completeness"], found["missing"]) == ("incomplete", ["TableName"])


class TestCommand:
    """`manage.py trail_explain`."""

    @pytest.fixture
    def files(self, tmp_path: Path) -> list[str]:
        denied, done = trail_record(), trail_record(denied=False)
        (tmp_path / "lines.jsonl").write_text(json.dumps(denied) + "\n" + json.dumps({"record": done}) + "\n")
        (tmp_path / "log.json.gz").write_bytes(gzip.compress(json.dumps({"Records": [denied, done]}).encode()))
        return [str(tmp_path / "lines.jsonl"), str(tmp_path / "log.json.gz")]

    def run(self, *arguments: str) -> str:
        out = io.StringIO()
        call_command("trail_explain", *arguments, stdout=out)
        return out.getvalue()

    def test_one_object_a_line(self, files):
        """With --json each record of each file is one line."""
        told = [json.loads(line) for line in self.run("--json", *files).splitlines()]
        assert [one["becomes"] for one in told] == ["request", "alert"] * 2

    def test_words_for_a_person(self, files):
        """Without --json a person reads the call as a sentence and what becomes of it."""
        text = self.run(files[0])
        assert "delete table prod-orders" in text
        assert "->  request" in text

    def test_the_summary_counts_each_record_once(self, files):
        """The counts of each heading add up to the records."""
        told = json.loads(self.run("--json", "--summary", *files))
        assert told["records"] == 4
        assert all(sum(told[name].values()) == 4 for name in ("outcomes", "becomes", "completeness", "kinds"))
        assert told["clean_share"] == 1
        assert "4 records" in self.run("--summary", *files)

    def test_a_manifest_decides_what_is_protected(self, files, tmp_path):
        """With --manifest the guardrails and executor roles of that file decide."""
        from types import SimpleNamespace

        from executor.demo import people
        from tests.cast import _KEYS

        manifest = people.write_manifest(SimpleNamespace(path=tmp_path), _KEYS)  # type: ignore[arg-type]
        staging = tmp_path / "staging.json"
        staging.write_text(json.dumps(trail_record(table="staging-orders")))
        told = [json.loads(line) for line in self.run("--json", "--manifest", str(manifest), files[0], str(staging)).splitlines()]
        assert [one["becomes"] for one in told] == ["request", "alert", "ignored"]
        assert "No guardrail protects it" in told[2]["why"]

    def test_a_bad_line_is_said_and_the_rest_is_read(self, tmp_path):
        """What is no record gives exit status 1, its place, and an object of its own."""
        path = tmp_path / "mixed.jsonl"
        path.write_text(json.dumps(trail_record()) + "\nnonsense\n" + json.dumps(trail_record()) + "\n")
        out = io.StringIO()
        with pytest.raises(CommandError) as refused:
            call_command("trail_explain", "--json", str(path), stdout=out)
        assert refused.value.returncode == 1
        assert "line 2" in str(refused.value)
        assert [json.loads(line)["becomes"] for line in out.getvalue().splitlines()] == ["request", "ignored", "request"]

    def test_a_missing_file_is_a_usage_error(self, tmp_path):
        """A path that is not there gives exit status 2 and its name."""
        with pytest.raises(CommandError) as refused:
            self.run(str(tmp_path / "nowhere.json"))
        assert refused.value.returncode == 2
        assert "nowhere.json" in str(refused.value)

    def test_standard_input_and_no_database(self):
        """It reads a pipe, packed too, and wants no environment at all."""
        project = Path(__file__).resolve().parents[2]
        done = subprocess.run(
            [sys.executable, "manage.py", "trail_explain", "--json"],
            input=gzip.compress(json.dumps(trail_record()).encode()),
            capture_output=True,
            cwd=project,
            env={"PATH": "/usr/bin:/bin"},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["becomes"] == "request"


class TestFragments:
    """Records that somebody cut or exported: what they say of the call is explained, what is around it may be broken."""

    @pytest.mark.parametrize(
        "broken",
        [
            {"eventTime": 1717000000000},
            {"eventTime": "Jun 1, 2024"},
            {"userIdentity": "arn:aws:iam::123456789012:user/ann"},
            {"userIdentity": {"type": "IAMUser", "arn": 7}},
            {"eventID": 12},
            {"requestParameters": json.dumps({"tableName": "prod-orders"})},
        ],
    )
    def test_what_is_around_the_call_may_be_broken(self, broken):
        """A fragment whose time, caller or id cannot be read is still explained as the call that it names."""
        found = explanation.explain(trail_record(denied=False) | broken, ASSUMED)
        assert found.fragment
        assert found.as_json()["parameters"] == {"TableName": "prod-orders"}

    def test_no_key_is_not_no_parameters(self):
        """A fragment with an empty object for its parameters was recorded with none, which is not the same as not recorded."""
        found = explanation.explain(trail_record(denied=False) | {"requestParameters": {}, "eventTime": 0}, ASSUMED)
        assert found.event is not None
        assert found.event.request_parameters == {}

    def test_no_parameters_as_text(self):
        """Exports to tables write `null` as text: that is a record without parameters."""
        found = explanation.explain(trail_record() | {"requestParameters": "null"}, ASSUMED)
        assert found.event is not None
        assert found.event.request_parameters is None

    @pytest.mark.parametrize("broken", [{"requestParameters": "tableName=prod-orders"}, {"errorCode": 403}])
    def test_what_is_of_the_call_may_not(self, broken):
        """Parameters or an outcome that cannot be read make no call of it: without them it would be another."""
        found = explained(trail_record(denied=False) | broken | {"eventTime": 0})
        assert (found["operation"], found["parameters"]) == (None, None)

    def test_a_call_that_lacks_only_what_no_record_shows_is_told(self):
        """What botocore's validator misses is told from what the converter did not understand."""
        found = explanation.explain(
            trail_record(denied=False)
            | {"eventSource": "iam.amazonaws.com", "eventName": "CreateLoginProfile", "requestParameters": {"userName": "ann"}},
            ASSUMED,
        )
        assert (found.clean, found.told) == (True, True)
        found = explanation.explain(
            trail_record(denied=False)
            | {
                "eventSource": "kms.amazonaws.com",
                "eventName": "Sign",
                "requestParameters": {"keyId": "k", "signingAlgorithm": "x"},
            },
            ASSUMED,
        )
        assert (found.clean, found.told) == (False, True)
        found = explanation.explain(
            trail_record(denied=False)
            | {"eventSource": "iam.amazonaws.com", "eventName": "DeleteUser", "requestParameters": {"userName": ""}},
            ASSUMED,
        )
        assert (found.clean, found.told) == (False, False)
