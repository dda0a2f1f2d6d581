"""The demo world as facts: names and ARNs that the sandbox seeds and the demo's genesis manifest repeats.

This module knows neither moto nor Django, so that the writer of the manifest can read it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from executor.infrastructure import ProtectedOperations


@dataclass(frozen=True)
class DemoWorldFacts:
    """One account with people, processes, tables and Countersign's own plumbing. ARNs are derived from the names."""

    account: str = "111122223333"
    alias: str = "Production"
    partition: str = "aws"
    region: str = "eu-west-1"
    requesters: tuple[str, ...] = ("alice",)
    approvers: tuple[str, ...] = ("bob", "carol")
    administrators: tuple[str, ...] = ("mallory",)
    feed_user: str = "countersign-feed"
    delivery_user: str = "countersign-delivery"
    execution_user: str = "countersign-execution"
    inbox_user: str = "demo-inbox"
    tables: tuple[str, ...] = ("prod-orders", "prod-customers", "staging-orders")
    queue: str = "countersign-events"
    rule: str = "countersign-guardrails"
    topic: str = "countersign-notifications"
    inbox: str = "countersign-inbox"
    mirror_table: str = "ApprovalRequests"
    executor_role: str = "CountersignExecutor"
    external_id: str = "countersign-demo"
    guardrail: str = "dynamodb-production"
    operations: tuple[str, ...] = ("dynamodb:DeleteTable", "dynamodb:UpdateTable")
    protected_tables: tuple[str, ...] = ("prod-*",)
    groups: Mapping[str, str] = field(
        default_factory=lambda: {"requesters": "Requesters", "approvers": "Approvers", "administrators": "Administrators"}
    )

    @property
    def members(self) -> dict[str, tuple[str, ...]]:
        """IAM group name -> names of its users."""
        return {
            self.groups["requesters"]: self.requesters,
            self.groups["approvers"]: self.approvers,
            self.groups["administrators"]: self.administrators,
        }

    @property
    def users(self) -> tuple[str, ...]:
        """Every IAM user: people first, then Countersign's own processes and the reader of the inbox."""
        people = (*self.requesters, *self.approvers, *self.administrators)
        return (*people, self.feed_user, self.delivery_user, self.execution_user, self.inbox_user)

    @property
    def executor_role_arn(self) -> str:
        return self.iam_arn(f"role/{self.executor_role}")

    @property
    def queue_arn(self) -> str:
        return self.arn("sqs", self.queue)

    @property
    def inbox_arn(self) -> str:
        return self.arn("sqs", self.inbox)

    @property
    def topic_arn(self) -> str:
        return self.arn("sns", self.topic)

    @property
    def rule_arn(self) -> str:
        return self.arn("events", f"rule/{self.rule}")

    @property
    def protected(self) -> ProtectedOperations:
        """The demo's guardrail as the generators of `executor.infrastructure` take it."""
        return ProtectedOperations(
            name=self.guardrail,
            accounts=(self.account,),
            operations=self.operations,
            resources=tuple(
                f"arn:{self.partition}:dynamodb:{self.region}:{self.account}:table/{table}" for table in self.protected_tables
            ),
            executor_roles=(self.executor_role_arn,),
        )

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a regional resource of the account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def iam_arn(self, resource: str) -> str:
        """The ARN of an IAM resource, such as `user/alice`."""
        return f"arn:{self.partition}:iam::{self.account}:{resource}"

    def table_arn(self, table: str) -> str:
        return self.arn("dynamodb", f"table/{table}")

    def queue_url(self, endpoint: str, queue: str | None = None) -> str:
        """The URL of a queue (the event queue unless another is named) at a local AWS."""
        return f"{endpoint.rstrip('/')}/{self.account}/{queue or self.queue}"

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2)


DEMO = DemoWorldFacts()


def read_facts(path: Path) -> DemoWorldFacts:
    """Facts from a JSON file with the fields above, each of them optional. Raises ValueError saying what is wrong."""
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: no JSON ({error})") from None
    known = DemoWorldFacts.__dataclass_fields__
    if not isinstance(content, dict) or not content.keys() <= known.keys():
        raise ValueError(f"{path}: an object with the fields {', '.join(known)} is expected")
    return DemoWorldFacts(**{name: _frozen(value) for name, value in content.items()})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
