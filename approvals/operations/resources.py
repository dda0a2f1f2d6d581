"""Which resource a call touches: ARNs from parameters and parameters from ARNs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from approvals.errors import BadParameters
from approvals.operations.catalog import Operation

_ARN: Final = re.compile(r"arn:(?P<partition>[^:]+):(?P<service>[^:]+):(?P<region>[^:]*):(?P<account>[^:]*):(?P<resource>.+)")


# What a name may be: `*`, `/` and `:` are never part of one, they belong to masks, paths and ARNs.
_PLAIN: Final = re.compile(r"[^*/:\s]+")


@dataclass(frozen=True, slots=True)
class Where:
    """The account (12 digits), region and partition that a call is made in."""

    account: str
    region: str
    partition: str = "aws"


def arns(operation: Operation, parameters: dict[str, Any], where: Where) -> tuple[str, ...]:
    """The ARNs that the call touches; empty when a member that identifies the target is not there or is no plain name.

    Empty means "not known", which matches every guardrail: an ARN or a masked value in a name field must never slip past one.
    """
    names = operation.facts.identifies
    if any(not isinstance(parameters.get(name), str) or not _PLAIN.fullmatch(parameters[name]) for name in names):
        return ()
    values = {name: parameters[name] for name in names}
    return tuple(
        template.format(partition=where.partition, region=where.region, account=where.account, **values)
        for template in operation.facts.resources
    )


def identified_by(operation: Operation, arn: str, where: Where) -> dict[str, str] | None:
    """The identifying members that an ARN carries, or None when it is no ARN of this operation's kind of resource there."""
    names = operation.facts.identifies
    pattern = re.escape(operation.facts.resources[0])
    for key, value in (("partition", where.partition), ("region", where.region), ("account", where.account)):
        pattern = pattern.replace(re.escape("{" + key + "}"), re.escape(value))
    for name in names:
        # `*` and `/` never stand in an identifier: a denial on a wildcard names no resource.
        pattern = pattern.replace(re.escape("{" + name + "}"), rf"(?P<{name}>[^*/:\s]+)")
    found = re.fullmatch(pattern, arn)
    return found.groupdict() if found else None


def normalised(operation: Operation, parameters: dict[str, Any], where: Where) -> dict[str, Any]:
    """The parameters with an ARN in an identifying member replaced by the name that it means.

    Raises BadParameters when that ARN is of another account, region, partition or kind: a name field that reaches elsewhere would
    slip past a guardrail on this account's ARNs.
    """
    clean = dict(parameters)
    for name in operation.facts.identifies:
        value = clean.get(name)
        if not isinstance(value, str) or not value.startswith("arn:"):
            continue
        found = identified_by(operation, value, where)
        if found is None:
            raise BadParameters({name: [_elsewhere(value, where)]})
        clean[name] = found[name]
    return clean


def _elsewhere(arn: str, where: Where) -> str:
    parts = _ARN.fullmatch(arn)
    if parts and (parts["account"] != where.account or parts["region"] != where.region or parts["partition"] != where.partition):
        return (
            f"This ARN is of account {parts['account'] or '(none)'} in {parts['region'] or '(no region)'}; the request is for "
            f"account {where.account} in {where.region}. File the request there, or give the name."
        )
    return "This ARN names another kind of resource. Give the name, or the ARN of such a resource."
