"""EventBridge: the pattern that hears of every attempt at a protected call, and the queue that only its rule may fill."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from executor.infrastructure.guardrail import ProtectedOperations
from executor.infrastructure.limits import EVENT_PATTERN, QUEUE_POLICY, within

# IAM prefixes whose CloudTrail eventSource is not `<prefix>.amazonaws.com`.
_EVENT_SOURCES = {"cloudwatch": "monitoring.amazonaws.com"}


def event_pattern(guardrails: Sequence[ProtectedOperations]) -> dict[str, Any]:
    """The pattern of one rule for all guardrails of a region; raises DocumentTooLargeError above 4,096 characters.

    It matches denied and successful calls alike: a denied one opens a request, a successful one is a proof or a bypass.
    Resources are not in the pattern, because a denied call carries no parameters to match them on.
    """
    names: dict[str, set[str]] = defaultdict(set)
    for guardrail in guardrails:
        for operation in guardrail.operations:
            service, _, name = operation.partition(":")
            names[_EVENT_SOURCES.get(service, f"{service}.amazonaws.com")].add(name)
    details = [{"eventSource": [source], "eventName": sorted(names[source])} for source in sorted(names)]
    # One source needs no $or; several do, or a name of one service would match in another.
    detail: dict[str, Any] = details[0] if len(details) == 1 else {"$or": details}
    pattern = {"detail-type": ["AWS API Call via CloudTrail"], "detail": detail}
    return within(EVENT_PATTERN, pattern, "the event pattern")


def queue_policy(queue: str, rule: str) -> dict[str, Any]:
    """The policy of the event queue (an ARN): EventBridge may send, on behalf of this rule (an ARN) alone."""
    statement = {
        "Sid": "OnlyTheGuardrailRule",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    return within(QUEUE_POLICY, {"Version": "2012-10-17", "Statement": [statement]}, "the queue policy")
