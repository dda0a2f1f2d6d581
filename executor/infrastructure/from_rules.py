"""From a guardrail's rules to what AWS is told of it, and what of the rules AWS cannot be told.

IAM knows actions, ARNs and principals. It knows no parameters of a call, so a deny covers an action whole; what the rules narrow
beyond that is still judged here, by the same `matches` as everything else.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from approvals.operations import catalog, iam
from approvals.operations.catalog import Operation
from approvals.policies import Mode, Rules, call_of, matching, patterns
from approvals.policies.naming import operations_named
from executor.infrastructure.guardrail import ProtectedOperations


class GovernedAccount(Protocol):
    """An account as the authority knows it."""

    @property
    def id(self) -> str: ...
    @property
    def executor_role_arn(self) -> str: ...
    @property
    def tags(self) -> Mapping[str, str]: ...


def protected_by(rules: Rules, accounts: Iterable[GovernedAccount]) -> ProtectedOperations:
    """What AWS is told of the guardrail in those of the accounts that it means.

    Patterns of operations become the operations that change something (a rule on event names follows no pattern), narrowed by
    risk and family; a resource pattern `*` becomes all ARNs of their services. Conditions and regions are left out: `beyond_aws`.
    Raises ValueError, saying what to write instead, for a guardrail that only observes (nothing is denied for its sake), that
    names every service, or whose resource pattern is no ARN of six fields.
    """
    if rules.mode is Mode.OBSERVE:
        raise ValueError(f"guardrail {rules.name} only observes: nothing is denied for its sake. Set mode: enforce")
    meant = [account for account in accounts if matching.in_account(rules, account.id, account.tags)]
    operations = list(_operations(rules))
    partitions = sorted({account.executor_role_arn.split(":")[1] for account in meant})
    return ProtectedOperations(
        name=rules.name,
        accounts=tuple(account.id for account in meant),
        operations=tuple(operation.full_name for operation in operations),
        resources=tuple(dict.fromkeys(_resources(rules, operations, partitions))),
        executor_roles=tuple(dict.fromkeys(account.executor_role_arn for account in meant)),
    )


def beyond_aws(rules: Rules) -> tuple[str, ...]:
    """What of the rules neither IAM nor EventBridge can be told, as sentences; each makes the deny wider than the guardrail."""
    said = []
    if rules.conditions:
        members = ", ".join(dict.fromkeys(condition.parameter for condition in rules.conditions))
        said.append(
            f"IAM does not see {members}: the deny covers every such call, also those that the conditions leave out, and these "
            "cannot be asked for here either."
        )
    if rules.regions != ("*",):
        said.append(f"The deny holds in every region, not only in {', '.join(rules.regions)}.")
    if rules.account_tags:
        said.append("Accounts are chosen by their tags when the documents are made: make them again when a tag changes.")
    return tuple(said)


def _operations(rules: Rules) -> Iterator[Operation]:
    names: dict[str, bool] = {}
    for pattern in rules.operations:
        service, colon, _ = pattern.partition(":")
        if not colon or patterns.is_wild(service):
            raise ValueError(f"guardrail {rules.name}: {pattern!r} names every service of AWS; write each as service:Operation*")
        for name in operations_named(pattern):
            names[name] = names.get(name, False) or not patterns.is_wild(pattern)
    for name, to_the_letter in names.items():
        operation = catalog.get(name)
        if not to_the_letter and not operation.facts.curated and iam.only_reads(operation):
            continue  # a read is nobody's concern unless it is named
        call = call_of(operation, account="", region="", resources=(), tags=None)
        if matching.meets_the_rest(rules, call):
            yield operation


def _resources(rules: Rules, operations: Iterable[Operation], partitions: Iterable[str]) -> Iterator[str]:
    for pattern in rules.resources:
        if pattern == "*":
            services = dict.fromkeys(operation.facts.iam_action.partition(":")[0] for operation in operations)
            yield from (f"arn:{partition}:{service}:*:*:*" for partition in partitions for service in services)
        elif len(pattern.split(":", 5)) == 6 and pattern.startswith("arn:"):
            yield pattern
        else:
            said = f"IAM cannot read the resource {pattern!r}; write arn:partition:service:region:account:name"
            raise ValueError(f"guardrail {rules.name}: {said}")
