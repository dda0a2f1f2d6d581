"""What a call names in a structure, or by a longer name, of what it acts on: the tables of a batch, a source and a target.

No template of ours knows these places. They are looked for by the models: members whose name ends with the placeholder of the
action's ARN format (`SourceTableName` of `table/${TableName}`), keys of maps (`RequestItems`), and ARNs wherever they stand. It
narrows the session of a call; what a guardrail protects stays as wide as the templates say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from approvals.operations import iam
from approvals.operations.catalog import Operation
from approvals.operations.resources import Where, is_one_arn

_PLACEHOLDER: Final = re.compile(r"\$\{(\w+)\}")
_PLACE: Final = ("Partition", "Region", "Account")
_NAME: Final = re.compile(r"[!-)+.0-9;->@-~-]+")  # no `*`, `?`, `/`, `:` and `,`
_ENDING: Final = re.compile(r"(?:arn|id|identifier|name)$")
# What is made has no name that the call could say, and what it is made of has one like it: `SourceSnapshotId`.
_MAKES: Final = re.compile(
    r"(?:Allocate|Clone|Copy|Create|Import|Launch|Provision|Purchase|Put|Register|Replicate|Request|Run|Split|Start)[A-Z]"
)
# Placeholders that say nothing of whose name or id they are; a key may be meant by its alias, or left out.
_OF_ANYTHING: Final = frozenset({"id", "keyid", "name", "resourceid"})


def named(operation: Operation, parameters: dict[str, Any], where: Where, patterns: Sequence[str]) -> tuple[str, ...]:
    """The patterns, each that stands for everything of a kind replaced by the ARNs that the call names of it, if it names any."""
    if makes(operation) or not any(pattern.endswith("*") for pattern in patterns):
        return tuple(patterns)
    kinds, said = [*_kinds(operation.facts.iam_action, where)], [*_said(operation.model.input_shape, parameters, "")]
    found: dict[str, None] = {}
    for pattern in patterns:
        arns = [arn for text, slot in kinds if text == pattern for arn in _arns(text, slot, said)]
        found |= dict.fromkeys(arns or [pattern])
    return tuple(found)


def makes(operation: Operation) -> bool:
    """Whether the call makes something, so that what it names may be what that is made of."""
    return _MAKES.match(operation.name) is not None


def texts(operation: Operation, parameters: dict[str, Any], member: re.Pattern[str]) -> Iterator[str]:
    """What the call says in members of such a name, wherever they stand."""
    for name, value, _ in _said(operation.model.input_shape, parameters, "", of_maps=True):
        if member.search(name):
            yield value


def _kinds(iam_action: str, where: Where) -> Iterator[tuple[str, str]]:
    """The ARN formats of the action with one placeholder at their end, as patterns, and the placeholder's name."""
    place = dict(zip(_PLACE, (where.partition, where.region, where.account), strict=True))
    for kind in iam.kinds(iam_action):
        for one in kind.formats:
            slots = [name for name in _PLACEHOLDER.findall(one) if name not in place]
            if len(slots) != 1 or _plain(slots[0]) in _OF_ANYTHING:
                continue
            if one.endswith(f"${{{slots[0]}}}"):
                yield _PLACEHOLDER.sub(lambda found: place.get(found[1], "*"), one), slots[0]


def _arns(pattern: str, slot: str, said: Sequence[tuple[str, str, bool]]) -> Iterator[str]:
    stem = pattern.removesuffix("*")
    for name, value, is_key in said:
        if value.startswith("arn:"):
            if value.startswith(stem) and is_one_arn(value):
                yield value
        elif _NAME.fullmatch(value) and (_ends(name, slot) or (is_key and _kind(name) == _kind(slot))):
            yield f"{stem}{value}"


def _said(shape: Shape | None, value: Any, name: str, *, of_maps: bool = False) -> Iterator[tuple[str, str, bool]]:
    """Every text of the parameters: the member's name, the text, whether it is a map's key (whose name is that of its shape).

    A map's values are of no member's name; with `of_maps` of that of the map (`Roles`).
    """
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        for member, inner in value.items():
            yield from _said(shape.members.get(member), inner, member, of_maps=of_maps)
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for one in value:
            yield from _said(shape.member, one, name, of_maps=of_maps)
    elif isinstance(shape, MapShape) and isinstance(value, dict):
        for key, inner in value.items():
            yield shape.key.name, str(key), True
            yield from _said(shape.value, inner, name if of_maps else "", of_maps=of_maps)
    elif isinstance(shape, StringShape) and isinstance(value, str):
        yield name, value, False


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower()).replace("identifier", "id")


def _ends(name: str, slot: str) -> bool:
    return bool(name) and (_plain(name).endswith(_plain(slot)) or _plain(name).removesuffix("s").endswith(_plain(slot)))


def _kind(name: str) -> str:
    return _ENDING.sub("", _plain(name))
