"""AWS limits that generated documents must keep, checked before anything is sent to AWS.

Sources: "IAM and AWS STS quotas" (managed policy 6,144 characters, inline user policies 2,048 in total, role trust policy
2,048, none of them counting whitespace; ten managed policies on a role), "Amazon EventBridge quotas" (event pattern 4,096
characters after an increase), "Amazon SQS message quotas" (queue policy 8,192 bytes),
"Bucket policies for Amazon S3" (20 KB).
"""

import json
from typing import Any

MANAGED_POLICY = 6144
POLICIES_OF_A_ROLE = 10
TRUST_POLICY = 2048
EVENT_PATTERN = 4096
QUEUE_POLICY = 8192
BUCKET_POLICY = 20_480


class DocumentTooLargeError(ValueError):
    """A generated document is longer than AWS accepts."""

    def __init__(self, what: str, size: int, limit: int) -> None:
        self.what, self.size, self.limit = what, size, limit
        super().__init__(
            f"{what} would have {size} characters, AWS accepts {limit}: split the guardrail into smaller ones "
            "or use fewer and wider resource patterns"
        )


def compact(document: dict[str, Any]) -> str:
    """The document as JSON without whitespace, which is how AWS counts it."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=True)


def within(limit: int, document: dict[str, Any], what: str) -> dict[str, Any]:
    """The document itself, or DocumentTooLargeError when its compact form is longer than `limit` characters."""
    if not fits(limit, document):
        raise DocumentTooLargeError(what, len(compact(document)), limit)
    return document


def fits(limit: int, document: dict[str, Any]) -> bool:
    """Whether the document's compact form has no more than `limit` characters."""
    return len(compact(document)) <= limit
