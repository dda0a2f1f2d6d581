"""Pure verdicts: does a guardrail match a call, how many approvals does it ask for, and what do the reviews add up to.

Nothing here reads a database: facts go in, a verdict comes out, so one code judges at the decision, the claim and in tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from approvals import canonical
from approvals.errors import BadCanonicalForm, BadGuardrail
from approvals.states import Verdict

SCHEMA: Final = "countersign/guardrail/1"


class Mode(StrEnum):
    """`enforce` demands the quorum; `observe` only records what it would have asked."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


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
class Rules:
    """One guardrail version: what is protected and how it is decided. `operations` and `resources` are patterns with * and ?."""

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

    def text(self) -> str:
        """Canonical text; its SHA-256 is the version's hash, which plans pin."""
        return canonical.dumps(
            {
                "schema": SCHEMA,
                "name": self.name,
                "description": self.description,
                "mode": str(self.mode),
                "accounts": list(self.accounts),
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
            }
        )

    def approvals_needed(self, *, irreversible: bool) -> int:
        """How many distinct persons, besides the requester, must approve."""
        return self.approvals + (self.irreversible.extra_approvals if irreversible else 0)


_FIELDS_OF_ARN: Final = 6
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{1,62}")
_FIELDS: Final = frozenset(
    {
        "schema",
        "name",
        "description",
        "mode",
        "accounts",
        "regions",
        "operations",
        "resources",
        "approvals",
        "clocks",
        "irreversible",
    }
)


@lru_cache(maxsize=4096)
def rules_from_text(text: str) -> Rules:
    """Read a stored version back. Raises BadGuardrail."""
    try:
        return rules_from(canonical.loads(text))
    except BadCanonicalForm as error:
        raise BadGuardrail(f"The guardrail's text cannot be read: {error}") from error


def rules_from(found: Any) -> Rules:
    """Read rules from parsed YAML or JSON. Raises BadGuardrail naming the field that is wrong."""
    if not isinstance(found, dict):
        raise BadGuardrail("A guardrail is an object with a name, operations, resources and approvals.")
    name = found.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadGuardrail(
            f"The guardrail's name {name!r} must be lower-case letters, digits and dashes, beginning with a letter."
        )
    if unknown := found.keys() - _FIELDS:
        raise BadGuardrail(f"Guardrail {name}: unknown field {', '.join(sorted(map(str, unknown)))}.")
    if found.get("schema", SCHEMA) != SCHEMA:
        raise BadGuardrail(f"Guardrail {name}: schema {found['schema']!r} is not {SCHEMA!r}.")
    try:
        mode = Mode(found.get("mode", "enforce"))
    except ValueError:
        raise BadGuardrail(f"Guardrail {name}: mode is 'enforce' or 'observe', not {found['mode']!r}.") from None
    return Rules(
        name=name,
        description=_string(found, "description", name),
        mode=mode,
        accounts=_patterns(found, "accounts", name),
        regions=_patterns(found, "regions", name, default=("*",)),
        operations=_patterns(found, "operations", name),
        resources=_patterns(found, "resources", name, default=("*",)),
        approvals=_number(found, "approvals", name, least=1, most=20),
        clocks=_clocks(found.get("clocks", {}), name),
        irreversible=_irreversible(found.get("irreversible", {}), name),
    )


def _clocks(found: Any, name: str) -> Clocks:
    _known(found, {"draft", "pending", "approval"}, name, "clocks")
    usual = Clocks()
    return Clocks(
        draft=_number(found, "draft", name, least=60, most=366 * 86_400, default=usual.draft),
        pending=_number(found, "pending", name, least=60, most=366 * 86_400, default=usual.pending),
        approval=_number(found, "approval", name, least=60, most=31 * 86_400, default=usual.approval),
    )


def _irreversible(found: Any, name: str) -> Irreversible:
    _known(found, {"extra_approvals", "typed_name", "hold"}, name, "irreversible")
    usual = Irreversible()
    typed = found.get("typed_name", usual.typed_name)
    if not isinstance(typed, bool):
        raise BadGuardrail(f"Guardrail {name}: irreversible.typed_name is true or false.")
    return Irreversible(
        extra_approvals=_number(found, "extra_approvals", name, least=0, most=10, default=usual.extra_approvals),
        typed_name=typed,
        hold=_number(found, "hold", name, least=0, most=7 * 86_400, default=usual.hold),
    )


def _known(found: Any, fields: set[str], name: str, where: str) -> None:
    if not isinstance(found, dict):
        raise BadGuardrail(f"Guardrail {name}: {where} is an object.")
    if unknown := found.keys() - fields:
        raise BadGuardrail(f"Guardrail {name}: unknown field {where}.{', '.join(sorted(map(str, unknown)))}.")


def _string(found: dict[str, Any], key: str, name: str) -> str:
    value = found.get(key, "")
    if not isinstance(value, str):
        raise BadGuardrail(f"Guardrail {name}: {key} is a text.")
    return value


def _number(found: dict[str, Any], key: str, name: str, *, least: int, most: int, default: int | None = None) -> int:
    value = found.get(key, default)
    if type(value) is not int or not least <= value <= most:
        raise BadGuardrail(f"Guardrail {name}: {key} is a whole number from {least} to {most}, not {value!r}.")
    return value


def _patterns(found: dict[str, Any], key: str, name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
    value = found.get(key, default)
    if not isinstance(value, list | tuple) or not value or not all(isinstance(item, str) and item for item in value):
        raise BadGuardrail(f"Guardrail {name}: {key} is a list of at least one text.")
    return tuple(value)


@dataclass(frozen=True, slots=True)
class Call:
    """What a guardrail is matched against.

    `resources` are ARNs, or patterns with `*` and `?` where a part of one is not known. None means that nothing is known of them,
    which matches any pattern. `also` are other names of the very same call: a guardrail protects it under any of them.
    """

    account: str
    region: str
    operation: str
    resources: tuple[str, ...]
    also: tuple[str, ...] = ()


def matches(rules: Rules, call: Call) -> bool:
    """Whether the guardrail protects this call. What cannot be decided because a fact is unknown counts as a match."""
    return (
        any(_any(rules.operations, name) for name in (call.operation, *call.also))
        and _any(rules.accounts, call.account)
        and _any(rules.regions, call.region)
        and (not call.resources or any(_touches(rules.resources, arn) for arn in call.resources))
    )


@lru_cache(maxsize=65536)
def _any(patterns: tuple[str, ...], value: str) -> bool:
    return any(pattern == "*" or _wild(pattern).fullmatch(value) is not None for pattern in patterns)


@lru_cache(maxsize=65536)
def _touches(patterns: tuple[str, ...], arn: str) -> bool:
    return any(_may_name(pattern, arn) for pattern in patterns)


def _may_name(pattern: str, arn: str) -> bool:
    """Whether a guardrail's pattern can name what an ARN, or a pattern of one, stands for.

    Where both have the five fields before the resource and those agree, the resources decide: without that, `*:*:db:prod-*` would
    meet `cluster:*` in a cluster that nobody can call `x:db:prod-y`.
    """
    if "*" in arn or "?" in arn:
        ours, theirs = pattern.split(":", 5), arn.split(":", 5)
        if len(ours) == len(theirs) == _FIELDS_OF_ARN and all(overlap(*pair) for pair in zip(ours[:5], theirs[:5], strict=True)):
            return overlap(ours[5], theirs[5])
    return overlap(pattern, arn)


@lru_cache(maxsize=8192)
def _wild(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression whose stars never go back on what they took: no pattern takes more than m * n steps."""
    first, *rest = ("".join("." if c == "?" else re.escape(c) for c in piece) for piece in pattern.split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1] if piece)
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)


def overlap(one: str, other: str) -> bool:
    """Whether two patterns with `*` and `?` can name a common text. Takes at most len(one) * len(other) steps."""
    if "*" not in other and "?" not in other:
        return _wild(one).fullmatch(other) is not None
    if "*" not in one and "?" not in one:
        return _wild(other).fullmatch(one) is not None
    for mine, theirs in zip(one, other, strict=False):
        if mine in "*?" or theirs in "*?":
            break
        if mine != theirs:
            return False
    # reach[j]: the rest of `one` and other[j:] can name a common text; built from the end of `one`.
    reach = [False] * len(other) + [True]
    for j in range(len(other) - 1, -1, -1):
        reach[j] = other[j] == "*" and reach[j + 1]
    for char in reversed(one):
        row = [False] * len(other) + [char == "*" and reach[-1]]
        for j in range(len(other) - 1, -1, -1):
            if char == "*" or other[j] == "*":
                row[j] = reach[j] or row[j + 1]
            else:
                row[j] = (char == "?" or other[j] in ("?", char)) and reach[j + 1]
        reach = row
    return reach[0]


@dataclass(frozen=True, slots=True)
class Vote:
    """One signed review that was verified: who, what, and the guardrails (by name) on which that person holds the right *now*."""

    person: str
    verdict: Verdict
    rights: frozenset[str]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one guardrail's quorum is: the persons who count, and how many it asks for."""

    guardrail: str
    have: tuple[str, ...]
    need: int

    @property
    def met(self) -> bool:
        """Whether enough distinct persons approved."""
        return len(self.have) >= self.need


class Outcome(StrEnum):
    """What the reviews add up to."""

    OPEN = "open"
    APPROVED = "approved"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Resolution:
    """The verdict computed from votes and guardrails, never stored as a count."""

    outcome: Outcome
    progress: tuple[Progress, ...]
    denied_by: str = ""


def resolve(
    votes: Iterable[Vote],
    *,
    guardrails: Mapping[str, Rules],
    confirmed_by: str | None,
    barred: frozenset[str],
    irreversible: bool,
) -> Resolution:
    """Add up votes under every enforcing guardrail that matched.

    `confirmed_by` is the person who signed as the requester (None for an unconfirmed event), `barred` are persons who may never
    count: the requester and whoever edited the plan. A denial by anybody with the right on one of the guardrails ends it. An
    approval needs every guardrail's number of distinct persons and the requester's own signature: two persons at least.
    (Guardrails that let two approvers decide what nobody confirmed come with their own setting; without it silence is
    no confirmation.)
    """
    votes = [vote for vote in votes if vote.person not in barred and vote.person != confirmed_by]
    denials = [vote for vote in votes if vote.verdict is Verdict.DENY and vote.rights & guardrails.keys()]
    progress = tuple(
        _progress(name, rules, votes, rules.approvals_needed(irreversible=irreversible))
        for name, rules in sorted(guardrails.items())
    )
    if denials:
        return Resolution(Outcome.DENIED, progress, denials[0].person)
    if confirmed_by and progress and all(one.met for one in progress):
        return Resolution(Outcome.APPROVED, progress)
    return Resolution(Outcome.OPEN, progress)


def _progress(name: str, rules: Rules, votes: list[Vote], need: int) -> Progress:
    have = {vote.person for vote in votes if vote.verdict is Verdict.APPROVE and name in vote.rights}
    return Progress(rules.name, tuple(sorted(have)), need)
