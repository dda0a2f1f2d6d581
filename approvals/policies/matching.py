"""Whether a guardrail protects a call. What cannot be decided because a fact is unknown counts as a match."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from approvals.policies import conditions, patterns
from approvals.policies.rules import Rules


@dataclass(frozen=True, slots=True)
class Call:
    """What a guardrail is matched against.

    `resources` are ARNs, or patterns with `*` and `?` where a part of one is not known. None means that nothing is known of them,
    which matches any pattern. `also` are other names of the very same call: a guardrail protects it under any of them.

    `tags` are the account's. `parameters` are boto3's keyword arguments as far as they are known, `unknown` the top-level members
    of which that is not so, `members` all that the operation takes, `defaults` what AWS takes for members that are left out (by
    dotted path). `risk` and `families` are what the operations table says. None stands for not known, which matches.
    """

    account: str
    region: str
    operation: str
    resources: tuple[str, ...]
    also: tuple[str, ...] = ()
    tags: Mapping[str, str] | None = None
    parameters: Mapping[str, Any] | None = None
    unknown: frozenset[str] = frozenset()
    members: frozenset[str] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    risk: frozenset[str] | None = None
    families: frozenset[str] | None = None


def matches(rules: Rules, call: Call) -> bool:
    """Whether the guardrail protects this call. What cannot be decided because a fact is unknown counts as a match."""
    return names_the_operation(rules, call) and in_place(rules, call) and meets_the_rest(rules, call)


def names_the_operation(rules: Rules, call: Call) -> bool:
    """Whether the guardrail's operations name the call, by any of its names."""
    return any(patterns.any_fits(rules.operations, name) for name in (call.operation, *call.also))


def in_place(rules: Rules, call: Call) -> bool:
    """Whether the call's account and region are ones that the guardrail protects."""
    return patterns.any_fits(rules.regions, call.region) and in_account(rules, call.account, call.tags)


def in_account(rules: Rules, account: str, tags: Mapping[str, str] | None) -> bool:
    """Whether the guardrail means the account, by its number or by all of its tags; tags that are not known may be those."""
    return patterns.any_fits(rules.accounts, account) or (bool(rules.account_tags) and _tagged(rules, tags))


def meets_the_rest(rules: Rules, call: Call) -> bool:
    """Whether resources, risk, families and conditions fit."""
    return (
        (not call.resources or any(patterns.any_may_name(rules.resources, arn) for arn in call.resources))
        and (not rules.risk or call.risk is None or not call.risk.isdisjoint(rules.risk))
        and (not rules.families or call.families is None or not call.families.isdisjoint(rules.families))
        and all(conditions.holds(condition, call) for condition in rules.conditions)
    )


def _tagged(rules: Rules, tags: Mapping[str, str] | None) -> bool:
    return tags is None or all(key in tags and patterns.any_fits(wanted, tags[key]) for key, wanted in rules.account_tags)
