"""What is found in a set of guardrails, and what is known of the world around them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from approvals.policies.shapes import Path


class Kind(StrEnum):
    """What is wrong, as `--json` names it."""

    UNREACHABLE = "unreachable-quorum"
    LEFT_ALONE = "no-approver-left"
    DUPLICATE = "duplicate"
    SHADOWED = "shadowed"
    OVERLAPPING = "overlapping"
    OPERATION = "unknown-operation"
    ACCOUNT = "unknown-account"
    REGION = "unknown-region"
    RESOURCE = "unknown-resource"
    GROUP = "unknown-group"
    PARAMETER = "unknown-parameter"
    FAMILY = "unknown-family"
    NOTHING = "matches-nothing"
    NEVER_OPEN = "never-open"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with one guardrail: its place in the set (from 0), the field, a sentence that says what to do."""

    kind: Kind
    index: int
    guardrail: str
    path: Path
    said: str


@dataclass(frozen=True, slots=True)
class Place:
    """An account that is known: the regions that it is used in and its tags."""

    regions: tuple[str, ...]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known besides the file; None for what is not.

    `accounts` by number; `groups` are the persons by the group's name; `holders` the persons who may review under a guardrail, by
    its name (one that is not among them has no grants yet, of which nothing is said); `people` are the active humans.
    """

    accounts: Mapping[str, Place] | None = None
    groups: Mapping[str, frozenset[str]] | None = None
    holders: Mapping[str, frozenset[str]] | None = None
    people: frozenset[str] = frozenset()

    def holders_of(self, guardrail: str) -> dict[str, frozenset[str]] | None:
        """The persons who hold the right on the guardrail with their groups; None where nothing is known of them."""
        if self.holders is None or guardrail not in self.holders:
            return None
        groups = self.groups or {}
        return {
            person: frozenset(name for name, members in groups.items() if person in members)
            for person in self.holders[guardrail] & self.people
        }


def nearest(text: str, among: Collection[str]) -> str:
    """` (did you mean …?)` with what is written most like it, or nothing."""
    lower = {one.lower(): one for one in among}
    found = difflib.get_close_matches(text.lower(), lower, n=1, cutoff=0.6)
    return meant(lower[found[0]]) if found else ""


def meant(text: str) -> str:
    """The same with a text that is known to be meant."""
    return f" (did you mean {text}?)"
