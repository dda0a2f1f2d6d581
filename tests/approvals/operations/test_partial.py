"""Whether AWS's yes hides that it did only a part: the table's expressions, and what members of answers are called."""

from __future__ import annotations

import re

import pytest

from approvals.operations import catalog, partial
from approvals.operations.facts import rows
from approvals.plan import Step


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("s3:DeleteObjects", {"Deleted": [{"Key": "a"}], "Errors": [{"Key": "b", "Code": "AccessDenied"}]}),
        ("ecr:BatchDeleteImage", {"imageIds": [], "failures": [{"failureCode": "ImageNotFound"}]}),
        ("sqs:DeleteMessageBatch", {"Successful": [], "Failed": [{"Id": "1"}]}),
        ("guardduty:DeleteMembers", {"UnprocessedAccounts": [{"AccountId": "1"}]}),
        ("kinesis:PutRecords", {"FailedRecordCount": 1, "Records": []}),
        ("dynamodb:BatchWriteItem", {"UnprocessedItems": {"t": [{}]}}),
        ("autoscaling:BatchDeleteScheduledAction", {"FailedScheduledActions": [{"ScheduledActionName": "n"}]}),
        ("memorydb:BatchUpdateCluster", {"ProcessedClusters": [], "UnprocessedClusters": [{"ClusterName": "c"}]}),
        ("glue:BatchDeleteTable", {"Errors": [{"TableName": "t"}]}),
        ("ssm:DeleteParameters", {"DeletedParameters": ["a"], "InvalidParameters": ["b"]}),
        ("codebuild:BatchDeleteBuilds", {"buildsDeleted": [], "buildsNotDeleted": [{"id": "b"}]}),
        ("appflow:CancelFlowExecutions", {"invalidExecutions": ["e"]}),
        ("chime:BatchSuspendUser", {"UserErrors": [{"UserId": "u"}]}),
        ("ec2:RevokeSecurityGroupIngress", {"Return": True, "UnknownIpPermissions": [{"FromPort": 1}]}),
        ("ec2:ReleaseHosts", {"Successful": [], "Unsuccessful": [{"ResourceId": "h"}]}),
    ],
)
def test_what_the_answer_names_as_not_done_makes_it_partial(name, answer):
    """With a row or without one; and the same answer with nothing in those members is whole."""
    operation = catalog.get(name)
    assert partial.can_be(operation)
    assert partial.not_done(operation, answer)
    whole = {member: type(value)() for member, value in answer.items()}
    assert partial.not_done(operation, whole) is None
    assert partial.not_done(operation, {}) is None


def test_the_errors_of_a_thing_are_not_those_of_the_call():
    """A zero-ETL integration is described with the errors that it has had; a reason in words is no list of what was left."""
    assert partial.not_done(catalog.get("rds:DeleteIntegration"), {"Errors": [{"ErrorCode": "x"}]}) is None
    assert partial.not_done(catalog.get("rds:CancelExportTask"), {"FailureCause": "cancelled"}) is None


def test_every_listed_service_s_answers_are_covered():
    """Of the services that have rows, no writing operation lists what it did not do in a member that is not looked at."""
    told = re.compile(r"(?i)^(un(processed|success)|fail|error)")
    services = {name.partition(":")[0] for name in rows()}
    left_out = []
    for service in sorted(services):
        model = catalog.service_model(service)
        for name in model.operation_names:
            shape = model.operation_model(name).output_shape
            operation = catalog.get(f"{service}:{name}")
            lists = [
                one
                for one, inner in getattr(shape, "members", {}).items()
                if told.match(one) and inner.type_name in ("list", "map")
            ]
            if lists and not partial.can_be(operation) and not name.endswith("Integration"):
                left_out.append(operation.full_name)
    assert left_out == []


@pytest.mark.parametrize(
    ("step", "code", "may"),
    [
        (Step("ec2", "TerminateInstances", {"InstanceIds": ["i-1", "i-2"]}), "OperationNotPermitted", True),
        (Step("ec2", "TerminateInstances", {"InstanceIds": ["i-1"]}), "OperationNotPermitted", False),
        (Step("ec2", "TerminateInstances", {"InstanceIds": ["i-1", "i-2"]}), "InvalidInstanceID.NotFound", False),
        (Step("cloudwatch", "DeleteAlarms", {"AlarmNames": ["a", "b"]}), "ResourceNotFound", True),
        (Step("cloudwatch", "DeleteAlarms", {"AlarmNames": ["a"]}), "ResourceNotFound", False),
        (Step("timestream-write", "WriteRecords", {"Records": [{}, {}]}), "RejectedRecordsException", True),
        (Step("timestream-write", "WriteRecords", {"Records": [{}]}), "RejectedRecordsException", False),
        (Step("timestream-write", "WriteRecords", {"Records": [{}, {}]}), "ValidationException", False),
    ],
)
def test_a_refusal_of_several_may_come_after_a_part_was_done(step, code, may):
    """Where AWS's documentation says so of the code, with a row or without one; of a single target nothing was done."""
    assert partial.may_be_done(step, code) is may
