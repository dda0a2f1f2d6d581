import json
from dataclasses import replace
from typing import Any

import pytest
from moto.events.models import EventPattern

from approvals.operations import catalog
from approvals.operations.regions import home_region
from executor.infrastructure import (
    DocumentTooLargeError,
    ProtectedOperations,
    announcing_policy,
    delivery_policy,
    event_patterns,
    execution_policy,
    executor_permissions,
    executor_trust,
    feed_policy,
    guardrail_deny,
    queue_policy,
    session_pattern,
)

ROLE = "arn:aws:iam::111122223333:role/CountersignExecutor"
GUARDRAIL = ProtectedOperations(
    name="dynamodb-production",
    accounts=("111122223333",),
    operations=("dynamodb:UpdateTable", "dynamodb:DeleteTable"),
    resources=("arn:aws:dynamodb:*:111122223333:table/prod-*",),
    executor_roles=(ROLE,),
)


def test_the_deny_spares_the_executor_alone() -> None:
    """Everybody is denied the protected calls on the protected resources, but for sessions of the executor's role."""
    assert guardrail_deny(GUARDRAIL) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "CountersignGuardrail",
                "Effect": "Deny",
                "Action": ["dynamodb:DeleteTable", "dynamodb:UpdateTable"],
                "Resource": ["arn:aws:dynamodb:*:111122223333:table/prod-*"],
                "Condition": {"ArnNotEquals": {"aws:PrincipalArn": ROLE}},
            }
        ],
    }


def test_two_executor_roles_are_both_spared() -> None:
    """With several accounts every executor's role stands in the one condition."""
    other = "arn:aws:iam::444455556666:role/CountersignExecutor"
    statement = guardrail_deny(replace(GUARDRAIL, executor_roles=(ROLE, other)))["Statement"][0]
    assert statement["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": [ROLE, other]}}


def test_the_trust_names_one_user_and_the_external_id() -> None:
    """Only the execution process may assume the role, with its external id; it may name its sessions."""
    assume, name_session = executor_trust("arn:aws:iam::111122223333:user/countersign-execution", "id-1")["Statement"]
    assert assume["Principal"] == name_session["Principal"] == {"AWS": "arn:aws:iam::111122223333:user/countersign-execution"}
    assert assume["Action"] == "sts:AssumeRole"
    assert assume["Condition"] == {"StringEquals": {"sts:ExternalId": "id-1"}, "StringLike": {"sts:SourceIdentity": "?*"}}
    assert name_session["Action"] == ["sts:SetSourceIdentity", "sts:TagSession"]


def granted(*guardrails: ProtectedOperations) -> dict[str, set[str]]:
    """IAM action -> the ARN patterns on which the executor's role has it."""
    found: dict[str, set[str]] = {}
    for document in executor_permissions(guardrails):
        for statement in document["Statement"]:
            resources = statement["Resource"]
            for action in statement["Action"]:
                found.setdefault(action, set()).update([resources] if isinstance(resources, str) else resources)
    return found


def guardrail(*operations: str, resources: tuple[str, ...], name: str = "other-production") -> ProtectedOperations:
    return ProtectedOperations(name, ("111122223333",), operations, resources, (ROLE,))


DATABASES = guardrail("rds:DeleteDBInstance", resources=("arn:aws:rds:eu-west-1:111122223333:db:prod-*",))
INSTANCES = guardrail("ec2:TerminateInstances", resources=("arn:aws:ec2:eu-west-1:111122223333:instance/*",))
BUCKETS = guardrail("s3:DeleteBucket", "s3:PutBucketLifecycleConfiguration", resources=("arn:aws:s3:::prod-*",))


def test_the_executor_may_do_what_is_protected_and_read_its_target() -> None:
    """The role has the protected calls and the reading calls that the table names, on what is protected, and no data."""
    rights = granted(GUARDRAIL)
    for action in ("dynamodb:DeleteTable", "dynamodb:UpdateTable", "dynamodb:DescribeTable"):
        assert rights[action] == set(GUARDRAIL.resources)
    assert not [action for action in rights if "*" in action or action in ("dynamodb:GetItem", "dynamodb:Scan")]


def test_the_executor_may_read_and_await_by_the_rows_operations() -> None:
    """The describe operation and the waiter's are there; one that knows no resources is there on everything."""
    assert granted(DATABASES)["rds:DescribeDBInstances"] == set(DATABASES.resources)
    assert granted(INSTANCES)["ec2:DescribeInstances"] == {"*"}
    assert granted(BUCKETS)["s3:ListBucket"] == set(BUCKETS.resources)


def test_the_executor_may_do_what_is_offered_ready_made_before() -> None:
    """A plan that switches protection off and then deletes needs both calls, each on what is protected."""
    assert granted(DATABASES)["rds:ModifyDBInstance"] >= set(DATABASES.resources)
    assert granted(INSTANCES)["ec2:ModifyInstanceAttribute"] >= set(INSTANCES.resources)


def test_the_executor_has_the_other_actions_that_a_call_needs() -> None:
    """A final snapshot is a resource of its own; the database in the same need is still a protected one."""
    needed = granted(DATABASES)["rds:CreateDBSnapshot"]
    assert {"arn:aws:rds:*:111122223333:snapshot:*", *DATABASES.resources} <= needed
    assert not [arn for arn in needed if ":db:" in arn and arn not in DATABASES.resources]


def test_the_executor_never_deletes_beyond_what_is_protected() -> None:
    """No need that a call may have widens a protected action to names that the guardrail does not protect."""
    for one in (GUARDRAIL, DATABASES, BUCKETS, INSTANCES):
        protected = {resource.rpartition(":")[2] for resource in one.resources}
        for operation in one.known:
            assert {arn.rpartition(":")[2] for arn in granted(one)[operation.facts.iam_action]} <= protected


def test_the_executor_may_pass_no_role() -> None:
    """iam:PassRole, which would make the executor whatever it passes, is never part of what is generated."""
    changing = replace(DATABASES, operations=("rds:ModifyDBInstance",))
    assert any(also.action == "iam:PassRole" for also in changing.known[0].facts.also_needs)
    assert "iam:PassRole" not in granted(changing)


def test_permissions_that_outgrow_a_policy_are_split() -> None:
    """Each document is within AWS's limit and none is lost; a statement that is too long by itself is refused."""
    many = [
        replace(GUARDRAIL, name=f"team-{n}", resources=(f"arn:aws:dynamodb:*:111122223333:table/{'x' * 200}-{n}-*",))
        for n in range(40)
    ]
    documents = executor_permissions(many)
    assert 1 < len(documents) <= 10
    assert all(len(json.dumps(document, separators=(",", ":"))) <= 6144 for document in documents)
    assert {resource for one in many for resource in one.resources} <= granted(*many)["dynamodb:DeleteTable"]
    with pytest.raises(DocumentTooLargeError, match="a statement of the executor's permission policy"):
        executor_permissions([replace(GUARDRAIL, resources=tuple(f"{GUARDRAIL.resources[0]}{'x' * 100}{n}" for n in range(60)))])
    with pytest.raises(DocumentTooLargeError, match="the executor's permission policies"):
        executor_permissions([replace(one, resources=(f"{one.resources[0]}{n}",)) for n in range(12) for one in many])


@pytest.mark.parametrize(
    ("document", "actions"),
    [
        (feed_policy("arn:aws:sqs:eu-west-1:1:q"), {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"}),
        (
            delivery_policy("arn:aws:sns:eu-west-1:1:t", "arn:aws:dynamodb:eu-west-1:1:table/m"),
            {"sns:Publish", "dynamodb:PutItem", "dynamodb:UpdateItem"},
        ),
        (execution_policy([ROLE]), {"sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"}),
    ],
)
def test_each_process_has_only_what_it_needs(document: dict[str, Any], actions: set[str]) -> None:
    """The three processes have disjoint rights, each on named resources."""
    allowed = set()
    for statement in document["Statement"]:
        assert "*" not in statement["Resource"]
        action = statement["Action"]
        allowed |= {action} if isinstance(action, str) else set(action)
    assert allowed == actions


def pattern(*guardrails: ProtectedOperations) -> dict[str, Any]:
    """The one pattern of the one region that these guardrails need."""
    ((document,),) = event_patterns(guardrails, ["eu-west-1"]).values()
    return document


def test_the_pattern_hears_denied_and_successful_calls() -> None:
    """The rule matches on source and name alone, since a denied call has no parameters and a success matters as much."""
    assert pattern(GUARDRAIL) == {
        "detail-type": ["AWS API Call via CloudTrail"],
        "detail": {"eventSource": ["dynamodb.amazonaws.com"], "eventName": ["DeleteTable", "UpdateTable"]},
    }


def test_the_pattern_keeps_services_apart() -> None:
    """With two services a name of one must not match in the other."""
    assert pattern(GUARDRAIL, guardrail("kms:DisableKey", resources=("arn:aws:kms:*:111122223333:key/*",)))["detail"] == {
        "$or": [
            {"eventSource": ["dynamodb.amazonaws.com"], "eventName": ["DeleteTable", "UpdateTable"]},
            {"eventSource": ["kms.amazonaws.com"], "eventName": ["DisableKey"]},
        ]
    }


@pytest.mark.parametrize(
    ("operation", "action", "source"),
    [
        ("rds:DeleteDBCluster", "rds:DeleteDBCluster", "rds"),
        ("docdb:DeleteDBCluster", "rds:DeleteDBCluster", "rds"),
        ("neptune:DeleteDBCluster", "rds:DeleteDBCluster", "rds"),
        ("cloudwatch:DeleteAlarms", "cloudwatch:DeleteAlarms", "monitoring"),
        ("efs:DeleteFileSystem", "elasticfilesystem:DeleteFileSystem", "elasticfilesystem"),
        ("stepfunctions:DeleteStateMachine", "states:DeleteStateMachine", "states"),
        ("opensearch:DeleteDomain", "es:DeleteDomain", "es"),
        ("elbv2:DeleteLoadBalancer", "elasticloadbalancing:DeleteLoadBalancer", "elasticloadbalancing"),
        ("s3:DeleteObjects", "s3:DeleteObject", "s3"),
        ("s3:PutBucketLifecycleConfiguration", "s3:PutLifecycleConfiguration", "s3"),
    ],
)
def test_boto3_iam_and_cloudtrail_each_have_their_own_name(operation: str, action: str, source: str) -> None:
    """A guardrail names the call as boto3 does; the deny says IAM's action, the pattern CloudTrail's event source."""
    one = guardrail(operation, resources=("arn:aws:any:eu-west-1:111122223333:*",))
    of_versions = ["s3:DeleteObjectVersion"] if action == "s3:DeleteObject" else []
    assert guardrail_deny(one)["Statement"][0]["Action"] == [action, *of_versions]
    assert pattern(one)["detail"]["eventSource"] == [f"{source}.amazonaws.com"]
    assert operation.partition(":")[2] in pattern(one)["detail"]["eventName"]


@pytest.mark.parametrize(
    ("operation", "others"),
    [
        ("s3:DeleteObject", ["s3:DeleteObjectVersion"]),
        ("s3:DeleteObjects", ["s3:DeleteObjectVersion"]),
        ("s3:PutObjectAcl", ["s3:PutObjectVersionAcl"]),
        ("s3:DeleteObjectAnnotation", ["s3:DeleteObjectVersionAnnotation"]),
        ("dynamodb:ExecuteStatement", ["dynamodb:PartiQLDelete", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate"]),
        ("dynamodb:TransactWriteItems", ["dynamodb:DeleteItem", "dynamodb:UpdateItem"]),
        ("kms:ReEncrypt", ["kms:ReEncryptTo"]),
        ("rds:DeleteDBInstance", []),
    ],
)
def test_every_action_that_aws_may_ask_for_a_call_is_denied(operation: str, others: list[str]) -> None:
    """Who names a version, or deletes in a statement, makes the protected call by another action: that is denied too."""
    one = guardrail(operation, resources=("arn:aws:any:eu-west-1:111122223333:*",))
    (statement,) = guardrail_deny(one)["Statement"]
    assert statement["Action"] == sorted([catalog.get(operation).facts.iam_action, *others])


@pytest.mark.parametrize(
    ("service", "operation", "event", "heard"),
    [
        ("lambda", "DeleteFunction", "DeleteFunction20150331", True),
        ("lambda", "UpdateFunctionCode", "UpdateFunctionCode20150331v2", True),
        ("lambda", "DeleteFunction", "DeleteFunction", True),
        ("lambda", "DeleteFunction", "DeleteFunctionConcurrency20171031", False),
        ("cloudfront", "DeleteDistribution", "DeleteDistribution2020_05_31", True),
        ("dynamodb", "DeleteTable", "DeleteTableReplica", False),
        ("s3", "PutBucketLifecycleConfiguration", "PutBucketLifecycle", True),
        ("s3", "DeletePublicAccessBlock", "DeleteBucketPublicAccessBlock", True),
    ],
)
def test_events_with_another_name_or_a_version_behind_it_are_heard(service: str, operation: str, event: str, heard: bool) -> None:
    """CloudTrail puts a version behind some names and calls some events otherwise; the pattern hears those and no others."""
    one = guardrail(f"{service}:{operation}", resources=("arn:aws:any:eu-west-1:111122223333:*",))
    ((document,),) = event_patterns([one], ["eu-west-1"]).values()
    record = {"detail-type": "AWS API Call via CloudTrail"}
    detail = {"eventSource": f"{service}.amazonaws.com", "eventName": event}
    parsed = EventPattern(None, document)
    assert parsed.matches_event(record | {"detail": detail}) is heard  # type: ignore[arg-type]


def test_a_global_service_is_heard_where_it_is_recorded() -> None:
    """IAM's, Route 53's and Organizations' calls are recorded in one region of the partition, others where people work."""
    zones = guardrail("route53:DeleteHostedZone", "iam:DeleteRole", resources=("arn:aws:any::111122223333:*",))
    heard = event_patterns([GUARDRAIL, zones], ["eu-west-1", "eu-central-1"])
    assert {region: len(patterns) for region, patterns in heard.items()} == {"eu-central-1": 1, "eu-west-1": 1, "us-east-1": 1}
    sources = [one["eventSource"] for one in heard["us-east-1"][0]["detail"]["$or"]]
    assert sources == [["iam.amazonaws.com"], ["route53.amazonaws.com"]]
    assert event_patterns([zones], ["eu-west-1"]).keys() == {"us-east-1"}


@pytest.mark.parametrize(
    ("partition", "region"), [("aws", "us-east-1"), ("aws-us-gov", "us-gov-west-1"), ("aws-cn", "cn-north-1")]
)
def test_each_partition_has_a_home_for_its_global_services(partition: str, region: str) -> None:
    """The region follows from botocore's endpoints of the partition; a regional service has none."""
    assert home_region(catalog.get("iam:DeleteRole"), partition) == region
    assert home_region(catalog.get("dynamodb:DeleteTable"), partition) == ""


def test_an_action_that_knows_no_resources_is_denied_on_all() -> None:
    """A deny on ARNs would never apply to an action that IAM lets nobody restrict to resources."""
    one = guardrail("ec2:DisableEbsEncryptionByDefault", "ec2:TerminateInstances", resources=INSTANCES.resources)
    narrow, wide = guardrail_deny(one)["Statement"]
    assert (narrow["Action"], narrow["Resource"]) == (["ec2:TerminateInstances"], list(INSTANCES.resources))
    assert (wide["Action"], wide["Resource"]) == (["ec2:DisableEbsEncryptionByDefault"], ["*"])
    assert narrow["Condition"] == wide["Condition"]


def test_only_the_rules_may_fill_the_queue() -> None:
    """The queue policy lets EventBridge send for these rules and nobody else."""
    rules = ["arn:aws:events:eu-west-1:1:rule/r", "arn:aws:events:eu-west-1:1:rule/r-2"]
    (statement,) = queue_policy("arn:aws:sqs:eu-west-1:1:q", rules[:1])["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": rules[0]}}
    (statement,) = queue_policy("arn:aws:sqs:eu-west-1:1:q", rules)["Statement"]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": rules}}


def test_every_session_of_the_executor_is_announced_past_it() -> None:
    """AssumeRole of these roles and nothing else; the topic takes it from EventBridge and from nobody else."""
    roles = ["arn:aws:iam::1:role/B", "arn:aws:iam::1:role/A"]
    detail = session_pattern(roles)["detail"]
    assert (detail["eventSource"], detail["eventName"]) == (["sts.amazonaws.com"], ["AssumeRole"])
    assert detail["requestParameters"] == {"roleArn": sorted(roles)}
    (statement,) = announcing_policy("arn:aws:sns:eu-west-1:1:t")["Statement"]
    assert (statement["Principal"], statement["Action"]) == ({"Service": "events.amazonaws.com"}, "sns:Publish")
    with pytest.raises(DocumentTooLargeError, match="sessions of the executor"):
        session_pattern([f"arn:aws:iam::{number:012}:role/CountersignExecutor" for number in range(100)])


def test_a_document_at_the_limit_passes_and_one_above_is_refused() -> None:
    """A managed policy may have 6,144 characters without whitespace; one more is refused with sizes and a way out."""
    room = 6144 - len(json.dumps(guardrail_deny(GUARDRAIL), separators=(",", ":")))
    longer = GUARDRAIL.resources[0].replace("prod-*", "p" * (room + len("prod-*")))
    assert guardrail_deny(replace(GUARDRAIL, resources=(longer,)))
    with pytest.raises(DocumentTooLargeError, match=r"deny policy of guardrail dynamodb-production .* 6145 .* 6144.*split"):
        guardrail_deny(replace(GUARDRAIL, resources=(f"{longer}p",)))


def test_operations_that_outgrow_a_pattern_are_split_by_event_source() -> None:
    """An event pattern may have 4,096 characters: what does not fit together gets more rules, one source alone is refused."""

    def of(service: str, number: int) -> ProtectedOperations:
        names = catalog.service_model(service).operation_names[:number]
        return guardrail(*(f"{service}:{name}" for name in names), resources=("arn:aws:any:eu-west-1:111122223333:*",))

    patterns = event_patterns([of(service, 60) for service in ("ec2", "rds", "redshift", "sagemaker")], ["eu-west-1"])[
        "eu-west-1"
    ]
    assert len(patterns) > 1
    assert all(len(json.dumps(one, separators=(",", ":"))) <= 4096 for one in patterns)
    heard = [
        source for one in patterns for detail in one["detail"].get("$or", [one["detail"]]) for source in detail["eventSource"]
    ]
    assert sorted(heard) == [f"{service}.amazonaws.com" for service in ("ec2", "rds", "redshift", "sagemaker")]
    with pytest.raises(DocumentTooLargeError, match=r"the event pattern for ec2.amazonaws.com would have"):
        event_patterns([of("ec2", 300)], ["eu-west-1"])


@pytest.mark.parametrize(
    "change",
    [
        {"operations": ("dynamodb:*",)},
        {"operations": ("DeleteTable",)},
        {"operations": ("dynamodb:DeleteTabel",)},
        {"operations": ("monitoring:DeleteAlarms",)},
        {"operations": ()},
        {"accounts": ("1234",)},
        {"resources": ("prod-*",)},
        {"resources": ()},
        {"executor_roles": ()},
        {"executor_roles": ("CountersignExecutor",)},
    ],
)
def test_a_guardrail_that_protects_nothing_or_too_much_is_refused(change: dict[str, Any]) -> None:
    """Wildcards in operations, malformed accounts and ARNs, and empty lists are errors, named in words."""
    with pytest.raises(ValueError, match="guardrail dynamodb-production: "):
        replace(GUARDRAIL, **change)
