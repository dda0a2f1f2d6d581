"""What the generators need to know of a guardrail: which calls on which resources of which accounts are protected."""

import re
from dataclasses import dataclass

from approvals.errors import UnknownOperation
from approvals.operations import catalog
from approvals.operations.catalog import Operation

_ACCOUNT = re.compile(r"\d{12}")


@dataclass(frozen=True)
class ProtectedOperations:
    """The part of a guardrail that AWS is told about.

    `operations` are spelled as in guardrails, boto3's service and AWS's operation (`docdb:DeleteDBCluster`), never with
    wildcards: a rule that matches on event names cannot follow a wildcard. What IAM and CloudTrail call them follows.
    `resources` are ARN patterns as IAM reads them. `executor_roles` are the ARNs of the roles that stay allowed, all in one
    partition. Raises ValueError naming the field that is wrong.
    """

    name: str
    accounts: tuple[str, ...]
    operations: tuple[str, ...]
    resources: tuple[str, ...]
    executor_roles: tuple[str, ...]

    def __post_init__(self) -> None:
        for field in ("accounts", "operations", "resources", "executor_roles"):
            if not getattr(self, field):
                raise ValueError(f"guardrail {self.name}: {field} is empty, it would protect nothing or lock out everybody")
        for operation in self.operations:
            try:
                catalog.get(operation)
            except UnknownOperation as error:
                raise ValueError(f"guardrail {self.name}: operation {operation!r}: {error}") from None
        for account in self.accounts:
            if not _ACCOUNT.fullmatch(account):
                raise ValueError(f"guardrail {self.name}: account {account!r} must have twelve digits")
        for arn in (*self.resources, *self.executor_roles):
            if not arn.startswith("arn:") or arn.count(":") < 5:
                raise ValueError(f"guardrail {self.name}: {arn!r} is no ARN")

    @property
    def known(self) -> tuple[Operation, ...]:
        """The operations as the catalog knows them, by name, each once."""
        return tuple(catalog.get(name) for name in sorted(set(self.operations)))

    @property
    def partition(self) -> str:
        return self.executor_roles[0].split(":")[1]
