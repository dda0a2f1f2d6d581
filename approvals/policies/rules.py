"""One guardrail version as a value: what is protected, how it is decided, and when it may be carried out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from approvals import canonical

SCHEMA: Final = "countersign/guardrail/1"
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Mode(StrEnum):
    """`enforce` demands the quorum; `observe` only records what it would have asked."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


class Operator(StrEnum):
    """How a condition compares what a call says with its own value."""

    IS = "is"
    IS_NOT = "is_not"
    IN = "in"
    MATCHES = "matches"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    PRESENT = "present"
    ABSENT = "absent"


Scalar = str | int | bool


@dataclass(frozen=True, slots=True)
class Condition:
    """What a parameter must be for the guardrail to match.

    `parameter` is boto3's member, with dots into structures; lists on the way mean any of their items. `value` is a text, a whole
    number or a truth; a tuple of those for `in`, a pattern for `matches`, True for `present` and `absent`.
    """

    parameter: str
    operator: Operator
    value: Scalar | tuple[Scalar, ...]

    @property
    def member(self) -> str:
        """The top-level member that the path begins with."""
        return self.parameter.partition(".")[0]

    def as_json(self) -> dict[str, Any]:
        """As guardrails write it: `{"parameter": "Force", "is": true}`."""
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        return {"parameter": self.parameter, str(self.operator): value}


@dataclass(frozen=True, slots=True)
class Clocks:
    """Seconds: how long a draft, a pending request and an approval live."""

    draft: int = 7 * 86_400
    pending: int = 86_400
    approval: int = 3_600


@dataclass(frozen=True, slots=True)
class Irreversible:
    """What a plan that cannot be undone needs on top: approvals, the target's name typed, seconds of hold before the claim."""

    extra_approvals: int = 1
    typed_name: bool = True
    hold: int = 300


@dataclass(frozen=True, slots=True)
class Window:
    """When an approved plan may be carried out: on these days, while the clock on the wall of `zone` shows a time in it.

    `begins` and `ends` are `HH:MM` (`24:00` ends a day). An end at or before the beginning is one of the day after.
    """

    days: tuple[str, ...]
    begins: str
    ends: str
    zone: str

    def as_json(self) -> dict[str, Any]:
        """As guardrails write it."""
        return {"days": list(self.days), "from": self.begins, "to": self.ends, "zone": self.zone}


@dataclass(frozen=True, slots=True)
class Freeze:
    """When nothing is carried out, and why: from `begins` until `ends`, local times of `zone` as `YYYY-MM-DDTHH:MM`."""

    begins: str
    ends: str
    zone: str
    why: str

    def as_json(self) -> dict[str, Any]:
        """As guardrails write it."""
        return {"from": self.begins, "until": self.ends, "zone": self.zone, "why": self.why}


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """Who may act at once in an emergency (members of these groups), and within how many seconds it must be reviewed."""

    groups: tuple[str, ...]
    review_within: int


@dataclass(frozen=True, slots=True)
class Rules:
    """One guardrail version: what is protected and how it is decided. `operations` and `resources` are patterns with * and ?.

    `account_tags` are (key, patterns): an account is meant when its number fits `accounts`, or when it has every tag. `risk` and
    `families` narrow to classes and families of the operations table; empty means any. Every one of `conditions` must hold.
    `groups` are (name, k): at least k of the approvers are of that group. `ticket` is a pattern (see `tickets`) that the reason
    must name. `unconfirmed`: an event that nobody confirmed may be decided, by two approvers at least. `windows` and `freezes`
    only delay. `break_glass` is off when absent; `delegation`: whether a grant under it may be delegated. `protective_step`: what
    cannot be undone runs only behind a backup of its target, wherever the table knows how one is made.
    """

    name: str
    description: str
    mode: Mode
    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    operations: tuple[str, ...]
    resources: tuple[str, ...]
    approvals: int
    clocks: Clocks = Clocks()
    irreversible: Irreversible = Irreversible()
    account_tags: tuple[tuple[str, tuple[str, ...]], ...] = ()
    risk: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()
    groups: tuple[tuple[str, int], ...] = ()
    reason: bool = True
    ticket: str = ""
    unconfirmed: bool = False
    windows: tuple[Window, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    break_glass: BreakGlass | None = None
    delegation: bool = True
    protective_step: bool = False

    def text(self) -> str:
        """Canonical text; its SHA-256 is the version's hash, which plans pin.

        A field that came later stands in it only where it is not at its default, so that versions written before keep their hash.
        """
        return canonical.dumps(
            {
                "schema": SCHEMA,
                "name": self.name,
                "description": self.description,
                "mode": str(self.mode),
                **({"accounts": list(self.accounts)} if self.accounts else {}),
                "regions": list(self.regions),
                "operations": list(self.operations),
                "resources": list(self.resources),
                "approvals": self.approvals,
                "clocks": {"draft": self.clocks.draft, "pending": self.clocks.pending, "approval": self.clocks.approval},
                "irreversible": {
                    "extra_approvals": self.irreversible.extra_approvals,
                    "typed_name": self.irreversible.typed_name,
                    "hold": self.irreversible.hold,
                },
                **self._later(),
            }
        )

    def _later(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "account_tags": {key: list(patterns) for key, patterns in self.account_tags},
            "risk": list(self.risk),
            "families": list(self.families),
            "conditions": [one.as_json() for one in self.conditions],
            "groups": dict(self.groups),
            "ticket": self.ticket,
            "windows": [one.as_json() for one in self.windows],
            "freezes": [one.as_json() for one in self.freezes],
        }
        found = {name: value for name, value in found.items() if value}
        if not self.reason:
            found["reason"] = False
        if self.unconfirmed:
            found["unconfirmed"] = True
        if not self.delegation:
            found["delegation"] = False
        if self.protective_step:
            found["protective_step"] = True
        if self.break_glass is not None:
            found["break_glass"] = {
                "groups": list(self.break_glass.groups),
                "review_within": self.break_glass.review_within,
            }
        return found

    def approvals_needed(self, *, irreversible: bool, confirmed: bool = True) -> int:
        """How many distinct persons, besides the requester, must approve; two at least where nobody confirmed."""
        need = self.approvals + (self.irreversible.extra_approvals if irreversible else 0)
        return need if confirmed else max(need, 2)
