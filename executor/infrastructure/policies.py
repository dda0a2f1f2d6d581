"""IAM policy documents: the guardrail's deny, the executor's role, and the least that our own processes need."""

from collections.abc import Sequence
from typing import Any

from executor.infrastructure.guardrail import ProtectedOperations
from executor.infrastructure.limits import MANAGED_POLICY, TRUST_POLICY, within

Document = dict[str, Any]

# What the executor reads of a target before and after a call. Named by prefix because every service has its own describe
# operations; Get* is left out since it reads the data itself in DynamoDB, S3 and Secrets Manager.
_OBSERVING = ("Describe*", "List*")


def guardrail_deny(guardrail: ProtectedOperations) -> Document:
    """The managed policy that takes the protected calls from everybody but the executor's roles.

    A deny, not a missing allow: it holds whatever else a group or user is given. `aws:PrincipalArn` of a role session is
    the ARN of the role, so one value covers every session.
    """
    statement = {
        "Sid": "CountersignGuardrail",
        "Effect": "Deny",
        "Action": sorted(guardrail.operations),
        "Resource": sorted(guardrail.resources),
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": _one_or_many(guardrail.executor_roles)}},
    }
    return within(MANAGED_POLICY, _document(statement), f"the deny policy of guardrail {guardrail.name}")


def executor_trust(execution_user: str, external_id: str) -> Document:
    """The trust policy of the executor's role: only the execution process, only with the external id, only with
    a source identity.

    SourceIdentity and session tags need permissions of their own in a trust policy. The external id is a condition key of
    sts:AssumeRole, so it stands in that statement; the second one is of no use without the first.
    """
    principal = {"AWS": execution_user}
    assume = {
        "Sid": "ExecutionProcess",
        "Effect": "Allow",
        "Principal": principal,
        "Action": "sts:AssumeRole",
        # A session without the execution's id as its source identity could never be matched to an attempt.
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}, "StringLike": {"sts:SourceIdentity": "?*"}},
    }
    name_session = {
        "Sid": "NameTheSession",
        "Effect": "Allow",
        "Principal": principal,
        "Action": ["sts:SetSourceIdentity", "sts:TagSession"],
    }
    return within(TRUST_POLICY, _document(assume, name_session), "the executor's trust policy")


def executor_permissions(guardrails: Sequence[ProtectedOperations]) -> Document:
    """What the executor's role may do: the protected calls on the protected resources, and reading their state."""
    statements: list[Document] = []
    for guardrail in guardrails:
        observing = [f"{service}:{verb}" for service in guardrail.services for verb in _OBSERVING]
        statements.append(
            {
                "Effect": "Allow",
                "Action": sorted(guardrail.operations) + observing,
                "Resource": sorted(guardrail.resources),
            }
        )
    return within(MANAGED_POLICY, _document(*statements), "the executor's permission policy")


def feed_policy(queue: str) -> Document:
    """What the feed process may do: read and delete messages of the event queue (an ARN), nothing else."""
    return _document(_allow(("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"), queue))


def delivery_policy(topic: str, mirror_table: str) -> Document:
    """What the delivery process may do: publish on the topic and write the mirror table (both ARNs)."""
    return _document(_allow(("sns:Publish",), topic), _allow(("dynamodb:PutItem", "dynamodb:UpdateItem"), mirror_table))


def execution_policy(executor_roles: Sequence[str]) -> Document:
    """What the execution process may do: become the executor's role, with SourceIdentity and session tags."""
    actions = ("sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession")
    return within(MANAGED_POLICY, _document(_allow(actions, *executor_roles)), "the execution process's policy")


def _allow(actions: Sequence[str], *resources: str) -> Document:
    return {"Effect": "Allow", "Action": _one_or_many(actions), "Resource": _one_or_many(resources)}


def _document(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _one_or_many(values: Sequence[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else sorted(values)
