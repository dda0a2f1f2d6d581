"""AWS resources generated from guardrails: pure functions from a guardrail to policy documents and event patterns.

One guardrail says what is protected. The IAM deny, the EventBridge rule, the executor's role and the queue that hears of
every attempt all follow from it here, so that none of them can fall behind the others.
"""

from executor.infrastructure.claims import claims_bucket, claims_bucket_policy
from executor.infrastructure.events import event_patterns, queue_policy
from executor.infrastructure.from_rules import beyond_aws, protected_by
from executor.infrastructure.guardrail import ProtectedOperations
from executor.infrastructure.limits import DocumentTooLargeError
from executor.infrastructure.policies import (
    delivery_policy,
    execution_policy,
    executor_permissions,
    executor_trust,
    feed_policy,
    guardrail_deny,
)

__all__ = [
    "DocumentTooLargeError",
    "ProtectedOperations",
    "beyond_aws",
    "claims_bucket",
    "claims_bucket_policy",
    "delivery_policy",
    "event_patterns",
    "execution_policy",
    "executor_permissions",
    "executor_trust",
    "feed_policy",
    "guardrail_deny",
    "protected_by",
    "queue_policy",
]
