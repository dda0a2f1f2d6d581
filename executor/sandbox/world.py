"""The demo world as facts: names and ARNs that the sandbox seeds and the demo's genesis manifest repeats.

This module knows neither moto nor Django, so that the writer of the manifest can read it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from executor.infrastructure import ProtectedOperations


@dataclass(frozen=True)
class DemoGuardrail:
    """A guardrail of the demo: operations as boto3 names them, ARN patterns with `{partition}`, `{region}`, `{account}`."""

    name: str
    description: str
    operations: tuple[str, ...]
    resources: tuple[str, ...]


_GUARDRAILS = (
    DemoGuardrail(
        "dynamodb-production",
        "Production tables: changing or deleting one takes a second person.",
        ("dynamodb:DeleteTable", "dynamodb:RestoreTableFromBackup", "dynamodb:UpdateTable"),
        ("arn:{partition}:dynamodb:{region}:{account}:table/prod-*",),
    ),
    DemoGuardrail(
        "rds-production",
        "Production databases: changing or deleting an instance takes a second person.",
        ("rds:DeleteDBInstance", "rds:ModifyDBInstance"),
        ("arn:{partition}:rds:{region}:{account}:db:prod-*",),
    ),
    DemoGuardrail(
        "kms-production",
        "Every key of this account: without it, what it encrypted cannot be read.",
        ("kms:CancelKeyDeletion", "kms:DisableKey", "kms:EnableKey", "kms:ScheduleKeyDeletion"),
        # Keys have ids, not names, so no pattern tells production's from others.
        ("arn:{partition}:kms:{region}:{account}:key/*",),
    ),
    DemoGuardrail(
        "s3-production",
        "Production buckets: deleting one, or letting its objects expire, takes a second person.",
        ("s3:DeleteBucket", "s3:PutBucketLifecycleConfiguration"),
        ("arn:{partition}:s3:::prod-*",),
    ),
    DemoGuardrail(
        "ec2-production",
        "Every instance of this account: terminating one takes a second person.",
        ("ec2:TerminateInstances",),
        # Instances have ids, not names, and a denied call says no tags.
        ("arn:{partition}:ec2:{region}:{account}:instance/*",),
    ),
    DemoGuardrail(
        "secrets-production",
        "Production secrets: deleting one takes a second person.",
        ("secretsmanager:DeleteSecret", "secretsmanager:RestoreSecret"),
        ("arn:{partition}:secretsmanager:{region}:{account}:secret:prod/*",),
    ),
)


@dataclass(frozen=True)
class DemoWorldFacts:
    """One account with people, processes, what production consists of, and Countersign's own plumbing.

    ARNs are derived from the names; so are ids that AWS makes up (of instances and keys, the ends of secrets' ARNs), which are
    therefore the same after every restart. `databases` are RDS instances by name, with whether deletion protection is on.
    `service_control_policies` are documents by name; with any of them the account is a member of an organization.
    """

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
    databases: Mapping[str, bool] = field(
        default_factory=lambda: {"prod-billing": False, "prod-ledger": True, "staging-billing": False}
    )
    key_aliases: tuple[str, ...] = ("alias/prod-payments",)
    buckets: tuple[str, ...] = ("prod-invoices-111122223333", "staging-invoices-111122223333")
    instances: tuple[str, ...] = ("prod-web",)
    secrets: tuple[str, ...] = ("prod/db/password", "staging/db/password")
    queue: str = "countersign-events"
    rule: str = "countersign-guardrails"
    topic: str = "countersign-notifications"
    inbox: str = "countersign-inbox"
    # A rule, a topic and a queue that subscribes to it: every session of the executor's role, announced past Countersign.
    sessions: str = "countersign-executor-sessions"
    mirror_table: str = "ApprovalRequests"
    trail_bucket: str = "countersign-trail-111122223333"
    trail_prefix: str = "AWSLogs/"
    claims_bucket: str = "countersign-claims-111122223333"
    claims_days: int = 400
    executor_role: str = "CountersignExecutor"
    external_id: str = "countersign-demo"
    guardrails: tuple[DemoGuardrail, ...] = _GUARDRAILS
    service_control_policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    management_account: str = "999988887777"
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
    def sessions_topic_arn(self) -> str:
        return self.arn("sns", self.sessions)

    @property
    def topic_arn(self) -> str:
        return self.arn("sns", self.topic)

    @property
    def protected(self) -> tuple[ProtectedOperations, ...]:
        """The demo's guardrails as the generators of `executor.infrastructure` take them."""
        return tuple(
            ProtectedOperations(
                name=guardrail.name,
                accounts=(self.account,),
                operations=guardrail.operations,
                resources=self.protected_resources(guardrail),
                executor_roles=(self.executor_role_arn,),
            )
            for guardrail in self.guardrails
        )

    def protected_resources(self, guardrail: DemoGuardrail) -> tuple[str, ...]:
        """The guardrail's ARN patterns in this account."""
        place = {"partition": self.partition, "region": self.region, "account": self.account}
        return tuple(resource.format(**place) for resource in guardrail.resources)

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a regional resource of the account."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    def iam_arn(self, resource: str) -> str:
        """The ARN of an IAM resource, such as `user/alice`."""
        return f"arn:{self.partition}:iam::{self.account}:{resource}"

    def table_arn(self, table: str) -> str:
        return self.arn("dynamodb", f"table/{table}")

    def database_arn(self, database: str) -> str:
        return self.arn("rds", f"db:{database}")

    def key_id(self, alias: str) -> str:
        """The id of the key with this alias."""
        digits = self._made_up(alias, 32)
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def key_arn(self, alias: str) -> str:
        return self.arn("kms", f"key/{self.key_id(alias)}")

    def bucket_arn(self, bucket: str) -> str:
        return f"arn:{self.partition}:s3:::{bucket}"

    def instance_id(self, name: str) -> str:
        """The id of the instance with this Name tag."""
        return f"i-0{self._made_up(name, 16)}"

    def instance_arn(self, name: str) -> str:
        return self.arn("ec2", f"instance/{self.instance_id(name)}")

    def secret_arn(self, name: str) -> str:
        """A secret's ARN with the six characters that AWS adds to the name."""
        return self.arn("secretsmanager", f"secret:{name}-{self._made_up(name, 6)}")

    def _made_up(self, name: str, digits: int) -> str:
        return sha256(f"{self.account}/{name}".encode()).hexdigest()[:digits]

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
    facts = {name: _frozen(value) for name, value in content.items()}
    if "guardrails" in facts:
        try:
            facts["guardrails"] = tuple(DemoGuardrail(**{k: _frozen(v) for k, v in one.items()}) for one in facts["guardrails"])
        except (AttributeError, TypeError):
            raise ValueError(f"{path}: a guardrail has the fields {', '.join(DemoGuardrail.__dataclass_fields__)}") from None
    return DemoWorldFacts(**facts)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
