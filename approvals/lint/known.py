"""Patterns that match nothing known: operations, accounts, regions, ARNs, groups, families."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from approvals.lint.findings import Finding, Kind, Surroundings, meant, nearest
from approvals.operations import catalog, facts, protection, regions, sources
from approvals.policies import Rules, patterns
from approvals.policies.naming import operations_named
from approvals.policies.shapes import Path

_SLOT: Final = re.compile(r"\{[^{}]*\}")
_ANY_ARN: Final = "arn:?*:?*:*:*:?*"
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
# What the account of an ARN may be besides a number: nothing, AWS itself, and CloudFront's identities.
_OTHER_ACCOUNTS: Final = ("", "aws", "cloudfront")

Said = Iterator[tuple[Kind, Path, str]]


def findings(index: int, rules: Rules, around: Surroundings) -> Iterator[Finding]:
    """What in the guardrail can never match anything."""
    for said in (
        _operations(rules),
        _accounts(rules, around),
        _regions(rules, around),
        _resources(rules),
        _groups(rules, around),
    ):
        for kind, path, text in said:
            yield Finding(kind, index, rules.name, path, text)
    for kind, path, text in (*_families(rules), *_protective_step(rules)):
        yield Finding(kind, index, rules.name, path, text)


def _operations(rules: Rules) -> Said:
    for number, pattern in enumerate(rules.operations):
        if pattern != "*" and not operations_named(pattern):
            yield Kind.OPERATION, ("operations", number), f"{pattern} is no operation that boto3 knows{_near(pattern)}."


def _near(pattern: str) -> str:
    service, colon, name = pattern.partition(":")
    if not colon:
        return ": one is written service:Operation, like dynamodb:DeleteTable"
    known = sources.names()
    if service in known:
        return nearest(pattern, [f"{service}:{one}" for one in known[service]])
    spoken = [one for one in sources.services_called(service) if any(patterns.overlap(name, other) for other in known[one])]
    if spoken:
        return meant(" or ".join(f"{one}:{name}" for one in spoken))
    return nearest(service, known)


def _accounts(rules: Rules, around: Surroundings) -> Said:
    for number, pattern in enumerate(rules.accounts):
        path: Path = ("accounts", number)
        if not patterns.is_wild(pattern) and not _ACCOUNT.fullmatch(pattern):
            yield Kind.ACCOUNT, path, f"{pattern} is no account: its number has twelve digits, and it is written in quotes."
        elif around.accounts is not None and not any(patterns.overlap(pattern, account) for account in around.accounts):
            yield Kind.ACCOUNT, path, f"{pattern} is no account that Countersign acts in{nearest(pattern, around.accounts)}."
    if rules.account_tags and around.accounts is not None:
        wanted = dict(rules.account_tags)
        if not any(
            all(key in place.tags and patterns.any_fits(values, place.tags[key]) for key, values in wanted.items())
            for place in around.accounts.values()
        ):
            yield Kind.ACCOUNT, ("account_tags",), f"No account has every one of the tags {', '.join(wanted)} with such values."


def _regions(rules: Rules, around: Surroundings) -> Said:
    known = regions.known()
    for number, pattern in enumerate(rules.regions):
        path: Path = ("regions", number)
        if not any(patterns.overlap(pattern, region) for region in known):
            yield Kind.REGION, path, f"{pattern} is no region that AWS has{nearest(pattern, known)}."
        elif around.accounts is not None:
            used = {region for place in around.accounts.values() for region in place.regions} | _GLOBAL
            if not any(patterns.overlap(pattern, region) for region in used):
                yield Kind.REGION, path, f"{pattern} is a region that no account of Countersign is used in."


# Where the calls of global services (IAM, Route 53) are recorded, whatever region an account is used in.
_GLOBAL: Final = {"us-east-1", "cn-north-1", "us-gov-west-1"}


def _resources(rules: Rules) -> Said:
    touched = _templates(rules)
    for number, pattern in enumerate(rules.resources):
        path: Path = ("resources", number)
        if wrong := _malformed(pattern):
            yield Kind.RESOURCE, path, f"{pattern} can be no ARN: {wrong}."
        elif touched and not any(alike(pattern, template) for template in touched):
            example = min(touched)
            said = f"{pattern} names nothing that the guardrail's operations act on; their resources look like {example}."
            yield Kind.RESOURCE, path, said


def alike(pattern: str, template: str) -> bool:
    """Whether a pattern can name what another one, or an ARN template, stands for; field by field where both have all of them."""
    ours, theirs = pattern.split(":", 5), template.split(":", 5)
    if len(ours) == len(theirs):
        return all(patterns.overlap(*pair) for pair in zip(ours, theirs, strict=True))
    return patterns.overlap(pattern, template)


def _malformed(pattern: str) -> str:
    if not patterns.overlap(pattern, _ANY_ARN):
        return "it is written arn:partition:service:region:account:resource"
    fields = pattern.split(":", 5)
    if len(fields) < 6 or "*" in "".join(fields[:1]):
        return ""  # a star stands for several fields, so they cannot be told apart
    _, partition, _, region, account, _ = fields
    if not any(patterns.overlap(partition, one) for one in regions.partitions()):
        return f"there is no partition {partition}{nearest(partition, regions.partitions())}"
    if region and not any(patterns.overlap(region, one) for one in regions.known()):
        return f"there is no region {region}{nearest(region, regions.known())}"
    digits = patterns.is_wild(account) or _ACCOUNT.fullmatch(account) or account in _OTHER_ACCOUNTS
    return "" if digits else f"the account {account} has not twelve digits"


def _templates(rules: Rules) -> frozenset[str]:
    """ARN patterns of all that the operations act on; empty where one of them is not told or could be anything."""
    found: set[str] = set()
    for pattern in rules.operations:
        names = operations_named(pattern)
        if len(names) != 1:
            return frozenset()
        for name in sources.all_names(names[0]):
            templates = catalog.get(name).facts.resources
            if not templates or any(not one.startswith("arn:") for one in templates):
                return frozenset()
            found.update(f"{_SLOT.sub('*', one)}*" for one in templates)
    return frozenset(found)


def _groups(rules: Rules, around: Surroundings) -> Said:
    if around.groups is None:
        return
    asked = [(("groups", name), name) for name, _ in rules.groups]
    if rules.break_glass is not None:
        asked += [(("break_glass", "groups"), name) for name in rules.break_glass.groups]
    for path, name in asked:
        if name not in around.groups:
            yield Kind.GROUP, path, f"There is no group {name}{nearest(name, around.groups)}."


def _families(rules: Rules) -> Said:
    families: dict[str, set[str]] = {}
    for name, row in facts.rows().items():
        families.setdefault(row.get("family", ""), set()).add(name)
    for number, family in enumerate(rules.families):
        if family not in families:
            yield Kind.FAMILY, ("families", number), f"{family} is no family of the operations table{nearest(family, families)}."
        elif not any(patterns.any_fits(rules.operations, name) for name in families[family]):
            some = ", ".join(sorted(families[family])[:3])
            yield Kind.NOTHING, ("families", number), f"The guardrail names no operation of the family {family} (such as {some})."


def _protective_step(rules: Rules) -> Said:
    if rules.protective_step and not any(patterns.any_fits(rules.operations, name) for name in protection.protected()):
        said = "No backup is known of what the guardrail's operations take away, so no plan is ever asked for one."
        yield Kind.NOTHING, ("protective_step",), said
