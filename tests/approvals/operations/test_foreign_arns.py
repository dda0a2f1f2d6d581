"""Row 34 of the security design: an ARN of another account where a name belongs would slip past every guardrail on this one's.

Which members take an ARN although they are named for a name is found in botocore's models: what identifies the target, is not
called an ARN, and says in its documentation or its pattern that an ARN is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import pytest

from approvals.errors import BadParameters
from approvals.operations import catalog, facts, resources
from approvals.operations.catalog import Operation
from approvals.operations.resources import Where

HERE: Final = Where("111122223333", "eu-west-1")
TAKES: Final = re.compile(r"\bARNs?\b|Amazon Resource Name|arn:")
DESTROYS: Final = re.compile(
    r"(Delete|Remove|Terminate|Deregister|Disable|Stop|Cancel|Schedule|Purge|Release|Revoke|Detach)[A-Z]"
)
# How many the design counted; AWS adds some each year.
COUNTED: Final = 38


@cache
def members() -> list[tuple[str, str]]:
    """(operation, member) of every call of the services in our table that has a row, or destroys by its name."""
    services = sorted({name.partition(":")[0] for name in facts.rows()})
    names = {
        f"{service}:{name}"
        for service in services
        for name in catalog.service_model(service).operation_names
        if DESTROYS.match(name) or f"{service}:{name}" in facts.rows()
    }
    return [(name, member) for name in sorted(names) for member in _taking(catalog.get(name))]


def _taking(operation: Operation) -> Iterator[str]:
    for member in operation.facts.identifies:
        shape: Any = operation.members[member]
        leaf = getattr(shape, "member", shape) if shape.type_name == "list" else shape
        said = f"{shape.documentation} {leaf.documentation} {leaf.metadata.get('pattern', '')}"
        if leaf.type_name == "string" and TAKES.search(said) and not member.lower().endswith(("arn", "arns")):
            yield member


def given(operation: Operation, member: str, value: str) -> dict[str, Any]:
    """What identifies the target, with this value in one member."""
    plain = {name: value if name == member else "x1234567" for name in operation.facts.identifies}
    return {name: [one] if operation.members[name].type_name == "list" else one for name, one in plain.items()}


def elsewhere(operation: Operation, member: str) -> list[str]:
    """ARNs of the same kinds of thing in another account, region or partition."""
    own = [one for one in resources.arns(operation, given(operation, member, "x1234567"), HERE) if "*" not in one]
    own += [f"arn:aws:{operation.service}:{HERE.region}:{HERE.account}:{kind}x1234567" for kind in ("", "thing/", "thing:")]
    changes = ((HERE.account, "999999999999"), (HERE.region, "us-west-2"), ("arn:aws:", "arn:aws-cn:"))
    return [arn for one in own for ours, theirs in changes if (arn := one.replace(ours, theirs)) != one]


def is_refused(operation: Operation, parameters: dict[str, Any]) -> bool:
    """Whether no step is made of it: the ARN is refused, or what it names cannot be told, which a step must."""
    try:
        clean = resources.normalised(operation, parameters, HERE)
    except BadParameters:
        return True
    return bool(operation.facts.resources) and not resources.arns(operation, clean, HERE)


def test_the_models_know_at_least_the_members_that_the_design_counted():
    """38 destructive operations take an ARN in a name field: the search finds them, and what AWS has added since."""
    assert len({name for name, _ in members()}) >= COUNTED


def test_row_34_an_arn_from_elsewhere_in_a_name_field_is_refused_for_every_operation_that_takes_one():
    """Another account, region or partition in a member that is named for a name: no step is made of it, whatever AWS would do."""
    taken = [
        f"{name} {member}={arn}"
        for name, member in members()
        for operation in [catalog.get(name)]
        for arn in elsewhere(operation, member)
        if not is_refused(operation, given(operation, member, arn))
    ]
    assert taken == []


@pytest.mark.parametrize("name", ["dynamodb:DeleteTable", "lambda:DeleteFunction", "kms:DisableKey", "cloudtrail:DeleteTrail"])
def test_the_same_of_this_account_is_its_name(name):
    """What is refused is refused for where it is: an ARN of here is read as the name that it means."""
    operation = catalog.get(name)
    (member,) = operation.facts.identifies
    arn = resources.arns(operation, given(operation, member, "x1234567"), HERE)[0]
    assert resources.normalised(operation, given(operation, member, arn), HERE) == given(operation, member, "x1234567")
