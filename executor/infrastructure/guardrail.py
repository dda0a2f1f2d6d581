"""What the generators need to know of a guardrail: which calls on which resources of which accounts are protected."""

import re
from dataclasses import dataclass

_OPERATION = re.compile(r"[a-z0-9-]+:[A-Za-z0-9]+")
_ACCOUNT = re.compile(r"\d{12}")


@dataclass(frozen=True)
class ProtectedOperations:
    """The part of a guardrail that AWS is told about.

    `operations` are IAM actions such as `dynamodb:DeleteTable`, never with wildcards: a rule that matches on event names
    cannot follow a wildcard. `resources` are ARN patterns as IAM reads them. `executor_roles` are the ARNs of the roles
    that stay allowed. Raises ValueError naming the field that is wrong.
    """

    name: str
    accounts: tuple[str, ...]
    operations: tuple[str, ...]
    resources: tuple[str, ...]
    executor_roles: tuple[str, ...]

    def __post_init__(self) -> None:
        for operation in self.operations:
            if not _OPERATION.fullmatch(operation):
                raise ValueError(f"guardrail {self.name}: operation {operation!r} must look like dynamodb:DeleteTable")
        for account in self.accounts:
            if not _ACCOUNT.fullmatch(account):
                raise ValueError(f"guardrail {self.name}: account {account!r} must have twelve digits")
        for arn in (*self.resources, *self.executor_roles):
            if not arn.startswith("arn:") or arn.count(":") < 5:
                raise ValueError(f"guardrail {self.name}: {arn!r} is no ARN")
        for field in ("accounts", "operations", "resources", "executor_roles"):
            if not getattr(self, field):
                raise ValueError(f"guardrail {self.name}: {field} is empty, it would protect nothing or lock out everybody")

    @property
    def services(self) -> tuple[str, ...]:
        """IAM service prefixes of the operations, sorted, each once."""
        return tuple(sorted({operation.partition(":")[0] for operation in self.operations}))
