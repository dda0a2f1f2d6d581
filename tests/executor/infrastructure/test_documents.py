import json
from dataclasses import replace
from typing import Any

import pytest

from executor.infrastructure import (
    DocumentTooLargeError,
    ProtectedOperations,
    delivery_policy,
    event_pattern,
    execution_policy,
    executor_permissions,
    executor_trust,
    feed_policy,
    guardrail_deny,
    queue_policy,
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


def test_the_executor_may_act_and_observe_but_not_read_data() -> None:
    """The role has the protected calls and Describe and List on the protected resources, and no Get."""
    (statement,) = executor_permissions([GUARDRAIL])["Statement"]
    assert statement["Action"] == ["dynamodb:DeleteTable", "dynamodb:UpdateTable", "dynamodb:Describe*", "dynamodb:List*"]
    assert statement["Resource"] == list(GUARDRAIL.resources)


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


def test_the_pattern_hears_denied_and_successful_calls() -> None:
    """The rule matches on source and name alone, since a denied call has no parameters and a success matters as much."""
    assert event_pattern([GUARDRAIL]) == {
        "detail-type": ["AWS API Call via CloudTrail"],
        "detail": {"eventSource": ["dynamodb.amazonaws.com"], "eventName": ["DeleteTable", "UpdateTable"]},
    }


def test_the_pattern_keeps_services_apart() -> None:
    """With two services a name of one must not match in the other."""
    other = replace(GUARDRAIL, operations=("kms:DisableKey",), resources=("arn:aws:kms:*:111122223333:key/*",))
    assert event_pattern([GUARDRAIL, other])["detail"] == {
        "$or": [
            {"eventSource": ["dynamodb.amazonaws.com"], "eventName": ["DeleteTable", "UpdateTable"]},
            {"eventSource": ["kms.amazonaws.com"], "eventName": ["DisableKey"]},
        ]
    }


def test_only_the_rule_may_fill_the_queue() -> None:
    """The queue policy lets EventBridge send for this rule and nobody else."""
    (statement,) = queue_policy("arn:aws:sqs:eu-west-1:1:q", "arn:aws:events:eu-west-1:1:rule/r")["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": "arn:aws:events:eu-west-1:1:rule/r"}}


def test_a_document_at_the_limit_passes_and_one_above_is_refused() -> None:
    """A managed policy may have 6,144 characters without whitespace; one more is refused with sizes and a way out."""
    room = 6144 - len(json.dumps(guardrail_deny(GUARDRAIL), separators=(",", ":")))
    longer = GUARDRAIL.resources[0].replace("prod-*", "p" * (room + len("prod-*")))
    assert guardrail_deny(replace(GUARDRAIL, resources=(longer,)))
    with pytest.raises(DocumentTooLargeError, match=r"deny policy of guardrail dynamodb-production .* 6145 .* 6144.*split"):
        guardrail_deny(replace(GUARDRAIL, resources=(f"{longer}p",)))


def test_too_many_operations_for_one_rule_are_refused() -> None:
    """An event pattern may have 4,096 characters."""
    many = tuple(f"dynamodb:DeleteSomethingLong{number}" for number in range(200))
    with pytest.raises(DocumentTooLargeError, match="the event pattern would have"):
        event_pattern([replace(GUARDRAIL, operations=many)])


@pytest.mark.parametrize(
    "change",
    [
        {"operations": ("dynamodb:*",)},
        {"operations": ("DeleteTable",)},
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
