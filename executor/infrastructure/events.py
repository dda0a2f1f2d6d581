"""EventBridge: the patterns that hear of every attempt at a protected call, and the queue that only their rules may fill."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from approvals.operations import quirks
from approvals.operations.catalog import Operation
from approvals.operations.regions import home_region
from executor.infrastructure.guardrail import ProtectedOperations
from executor.infrastructure.limits import EVENT_PATTERN, QUEUE_POLICY, fits, within

Document = dict[str, Any]

# Lambda and CloudFront put the version of their API behind the names of events (DeleteFunction20150331), but not behind all.
# Which services do is not written down anywhere; those that could are the ones that have the version in their paths.
_VERSIONED_PATH = re.compile(r"/\d{4}-\d{2}-\d{2}/")
_VERSION_BEGINS = ("20", "_20")


def event_patterns(guardrails: Sequence[ProtectedOperations], regions: Sequence[str]) -> dict[str, list[Document]]:
    """Region -> the patterns of the rules that it needs, each for a rule of its own; a region that hears of nothing is left out.

    `regions` are those that people work in. Calls of global services (IAM, Route 53, CloudFront, Organizations) are recorded in
    one region of the partition, whatever region the caller named, so that region is among the answer's where they are protected.

    A pattern matches denied and successful calls alike: a denied one opens a request, a successful one is a proof or a bypass.
    Resources are not in it, because a denied call carries no parameters to match them on. Raises DocumentTooLargeError when the
    operations of one event source alone are more than a pattern may have.
    """
    heard: dict[str, dict[str, list[Operation]]] = defaultdict(lambda: defaultdict(list))
    for guardrail in guardrails:
        for operation in guardrail.known:
            home = home_region(operation, guardrail.partition)
            for region in (home,) if home else regions:
                heard[region][operation.event_source].append(operation)
    return {region: list(_packed(sources)) for region, sources in sorted(heard.items())}


def queue_policy(queue: str, rules: Sequence[str]) -> Document:
    """The policy of the event queue (an ARN): EventBridge may send, on behalf of these rules (ARNs) alone."""
    statement = {
        "Sid": "OnlyTheGuardrailRule" if len(rules) == 1 else "OnlyTheGuardrailRules",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": rules[0] if len(rules) == 1 else sorted(rules)}},
    }
    return within(QUEUE_POLICY, {"Version": "2012-10-17", "Statement": [statement]}, "the queue policy")


def session_pattern(executor_roles: Sequence[str]) -> Document:
    """The pattern of the rule that announces every session of the executor's roles (ARNs), whoever opened it and for whatever.

    For a topic of its own that people watch: it asks nothing of Countersign's processes, so it speaks when they were taken over.
    AWS records a session in the region that it was asked for in, so every region needs the rule. Raises DocumentTooLargeError.
    """
    opened = {
        "eventSource": ["sts.amazonaws.com"],
        "eventName": ["AssumeRole"],
        "requestParameters": {"roleArn": sorted(executor_roles)},
    }
    return within(EVENT_PATTERN, _pattern([opened]), "the event pattern for sessions of the executor")


def announcing_policy(topic: str) -> Document:
    """The policy of the topic (an ARN) that the sessions are announced on: EventBridge may publish, nobody else.

    Without a condition on the rule: EventBridge's documentation has said that such conditions keep its messages from topics, and
    one message too many is better than silence.
    """
    statement = {
        "Sid": "OnlyEventBridge",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _packed(sources: Mapping[str, Sequence[Operation]]) -> Iterator[Document]:
    """Patterns of as many event sources each as fit."""
    details: list[Document] = []
    for source, operations in sorted(sources.items()):
        one = {"eventSource": [source], "eventName": _names(operations)}
        within(EVENT_PATTERN, _pattern([one]), f"the event pattern for {source}")
        if details and not fits(EVENT_PATTERN, _pattern([*details, one])):
            yield _pattern(details)
            details = []
        details.append(one)
    yield _pattern(details)


def _pattern(details: Sequence[Document]) -> Document:
    # One source needs no $or; several do, or a name of one service would match in another.
    detail = details[0] if len(details) == 1 else {"$or": list(details)}
    return {"detail-type": ["AWS API Call via CloudTrail"], "detail": detail}


def _names(operations: Sequence[Operation]) -> list[str | dict[str, str]]:
    """What an eventName may be, as EventBridge's filters: every name, and its beginning where a version may follow."""
    others = (name for operation in operations for name in quirks.event_names(operation.service, operation.name))
    names = sorted({*others, *(operation.name for operation in operations)})
    versioned = sorted({operation.name for operation in operations if _VERSIONED_PATH.match(operation.model.http["requestUri"])})
    return [*names, *({"prefix": f"{name}{begins}"} for name in versioned for begins in _VERSION_BEGINS)]
