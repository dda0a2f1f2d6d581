"""What botocore's models do not say about an operation: rows of our own, as typed values.

The rows are data (`data/rows/<service>.json`, one object a file, by `service:Operation`), each checked against botocore and the
IAM action table by tests, so that a wrong name fails there. An operation without a row gets facts derived from the models alone
(`approvals.operations.derived`); `curated` tells the two apart. Expressions are JMESPath.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from importlib import resources
from typing import Any, Final

# What guardrails may ask for as `risk`. A call may be of several classes.
RISK_CLASSES: Final = (
    "irreversible",  # nothing undoes it
    "destructive",  # it takes something away that was there
    "availability",  # something stops, restarts or fails over
    "exposure",  # something is shown to others
    "escalation",  # somebody can do more than before
    "weakening",  # a protection goes
    "silence",  # what tells of trouble falls silent
    "undescribed",  # the table has no row of it, and it does more than read
)


@dataclass(frozen=True, slots=True)
class Danger:
    """Why a member is dangerous, and what AWS takes when it is left out (`default` counts only when `has_default`).

    `wanted` is an expression over the call's parameters: where it is truthy, AWS refuses the call without the member.
    """

    why: str
    default: Any = None
    has_default: bool = False
    wanted: str = ""


@dataclass(frozen=True, slots=True)
class Describe:
    """How the target is read.

    `operation` is a reading operation (`DescribeTable`; another service's as `service:Operation`). `parameters` maps its members
    to expressions over the call's parameters (`TableName`, `[InstanceId]` for a list of one). `result` is the expression that
    takes the target's state out of the answer, `identity` the expressions over that state that tell this target from a later
    one of the same name (an id, a creation date); `{call.Ids}` in one is what the call says, `{key.Name}` a name that it
    says (`counterparts.about`). `status` is an expression over the state, and `transient` are its values (or a
    value among several) while AWS is still changing the target.
    """

    operation: str
    parameters: Mapping[str, str]
    result: str
    identity: tuple[str, ...]
    status: str = ""
    transient: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Settled:
    """When the call's effect is complete; the first rule that is set decides.

    `waiter`: a waiter of botocore's, with `parameters` as in Describe. `gone`: reading the target is refused with one of these
    codes. `expression`: this expression over the state equals `value`. `at_once`: AWS's answer is the end of it.
    """

    waiter: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    expression: str = ""
    value: Any = None
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Untouched:
    """What shows that the call had no effect: `expression` over the state equals `value`, and where `unless` (member ->
    expression) names what the call sets, at least one of those is not as the call wanted it. `same` are expressions of what would
    be another if the call had been made and undone since."""

    expression: str
    value: Any
    unless: Mapping[str, str] = field(default_factory=dict)
    same: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlsoNeeds:
    """Another IAM action that the call needs, on these ARN templates (as `resource`); `why` in words.

    `when` is an expression over the call's parameters: the action is needed when it is empty or truthy. `given` is one that
    leaves of them what counts for the action (the entries of a list that name a version). `made` says that the
    call makes these resources, so that none of those which are there already is touched. `told` is as in Facts, for these
    templates. `only` are condition keys of IAM's with the values one of which a use of the action must have: in `{partition}`,
    `{region}`, `{account}`, `{call.Member}` and `{suffix}` (of AWS's addresses), or `{target}` for the ARNs of the call itself.
    """

    action: str
    resources: tuple[str, ...]
    why: str
    when: str = ""
    given: str = ""
    made: bool = False
    told: Mapping[str, str] = field(default_factory=dict)
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ready:
    """A call that is offered ready made beside this one: before it (`switch protection off`, `take a snapshot`).

    `parameters` are its keyword arguments; a string that is exactly `{Member}` takes that member of the call, and `{Member}`
    inside a longer string its text. `when` is an expression over the target's state: the offer is made when it is truthy or the
    state is not known; AWS refuses the call without it when `needed`.
    """

    title: str
    operation: str
    parameters: Mapping[str, Any]
    why: str
    when: str = ""
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """A lock of AWS's under which it refuses the call: `when` over the target's state is truthy, and `given` over the call.

    `until` and `since` are expressions over the state for the moment at which it ends, or from which on it holds.
    """

    why: str
    when: str
    given: str = ""
    until: str = ""
    since: str = ""


@dataclass(frozen=True, slots=True)
class Backup:
    """How it is known that a backup is usable, and what AWS calls it.

    `operation`, `parameters` and `result` are as in Describe, with AWS's answer beside the call's parameters as `answer`. The
    backup is usable when `usable` over its state equals `value`, and never will be once it is one of `failed`. `made` gives its
    ARN: an expression over the state, or a template over its members that begins with `arn:`. `same` maps expressions over its
    state to those over the state of what it protects: where both are known they are equal.
    """

    operation: str
    parameters: Mapping[str, str]
    result: str
    usable: str
    value: Any
    made: str
    failed: tuple[Any, ...] = ()
    same: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Protects:
    """What a call keeps from being lost for good, as long as the backup that it makes is usable.

    `losses` maps the operations that it protects from to what names the same target: this call's members, each with the member
    of theirs that has the same value, or None where this call must not have it. `itself` says that the call destroys, and that
    its own parameters make AWS take a last snapshot before. All of it holds while `when`, an expression over the call's
    parameters, is empty or truthy.
    """

    backup: Backup
    losses: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    when: str = ""
    itself: bool = False


@dataclass(frozen=True, slots=True)
class Reverse:
    """A request that takes a call back as far as it can be, offered once the call was made.

    `steps` are its calls: each an operation with expressions for its members. They and `when` are over `call` (the parameters
    of the call), `answer` (what AWS answered), `made` (the ARN of the backup that protected it, where there is one) and `before`
    (the target's state as it was read before the call, where it was). What an expression finds nothing for a person enters,
    and so the members `enters` of the first step, which nothing here knows. `lost` is what it does not bring back, and so is
    what the call sets besides, where `of` names the members that are taken back.
    """

    title: str
    steps: tuple[tuple[str, Mapping[str, str]], ...]
    lost: str
    when: str = ""
    enters: tuple[str, ...] = ()
    of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """One operation's facts.

    `does` is the sentence's predicate with members in braces; `family` joins equivalent ways to the same loss; `destroys`,
    `undo` and `lost` (what no undo brings back) are for people. `irreversible` says that no call of the operation can be undone,
    `loses` (an expression over the call's parameters) when one of another operation cannot be all the same. `resources` are ARN
    templates over {partition}, {region}, {account} and members. `told` says what the call acts on where it does not name it
    whole: ARN templates with `{}` for what an expression over the target's state gives (`{}` alone for ARNs). `identifies` are
    the members that name the target, `patterns` what AWS accepts in them. `partial` is an expression over AWS's answer that is
    truthy when only a part was done; `refused_in_part` maps codes under which AWS refuses what it has done in part to expressions
    over the call that are truthy where that can be.
    `secret` are members that are secrets although botocore does not say so; `demands` members that AWS takes as optional and we
    do not, with the reason. `changes` says that a call with nothing but its target changes nothing. `protects` is what the call
    keeps from being lost, `reverse` the requests that take it back. `held` are locks under which AWS refuses it, whoever asks.
    """

    does: str
    family: str
    destroys: str
    irreversible: bool
    loses: str
    undo: str
    lost: str
    iam_action: str
    resources: tuple[str, ...]
    told: Mapping[str, str]
    identifies: tuple[str, ...]
    dangerous: Mapping[str, Danger]
    describe: Describe | None
    settled: Settled
    untouched: Untouched | None
    partial: str
    refused_in_part: Mapping[str, str]
    also_needs: tuple[AlsoNeeds, ...]
    before: tuple[Ready, ...]
    held: tuple[Held, ...]
    repeatable: bool
    patterns: Mapping[str, str]
    secret: tuple[str, ...]
    demands: Mapping[str, str]
    changes: bool
    protects: Protects | None
    reverse: tuple[Reverse, ...]
    curated: bool


Row = Mapping[str, Any]


@lru_cache(maxsize=1)
def rows() -> dict[str, Row]:
    """Every curated row by `service:Operation`. Raises ValueError when two files hold the same one."""
    found: dict[str, Row] = {}
    for file in sorted(resources.files("approvals.operations.data").joinpath("rows").iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".json"):
            continue
        here = json.loads(file.read_text("utf-8"))
        if twice := here.keys() & found.keys():
            raise ValueError(f"{file.name}: {', '.join(sorted(twice))} stands in another file too.")
        found |= here
    return found


def with_row(derived: Facts, row: Row) -> Facts:
    """The derived facts with what the row says in their place. Raises ValueError for a key that no fact has."""
    if unknown := row.keys() - _KEYS:
        raise ValueError(f"A row has no {', '.join(sorted(unknown))}.")
    # What its members alone would make of it counts where nobody described it.
    said: dict[str, Any] = {"loses": ""}
    for key, value in row.items():
        read = _READERS.get(key)
        said[key] = read(value) if read else value
    return replace(derived, **said, curated=True)


def _texts(value: list[str]) -> tuple[str, ...]:
    return tuple(value)


def _dangers(value: dict[str, dict[str, Any]]) -> dict[str, Danger]:
    return {
        name: Danger(said["why"], said.get("default"), "default" in said, said.get("wanted", "")) for name, said in value.items()
    }


def _describe(value: dict[str, Any] | None) -> Describe | None:
    if value is None:
        return None
    return Describe(**{**value, "identity": tuple(value["identity"]), "transient": tuple(value.get("transient", ()))})


def _settled(value: dict[str, Any]) -> Settled:
    return Settled(**{**value, "gone": tuple(value.get("gone", ()))})


def _untouched(value: dict[str, Any] | None) -> Untouched | None:
    return Untouched(**{**value, "same": tuple(value.get("same", ()))}) if value is not None else None


def also_needs(value: list[dict[str, Any]]) -> tuple[AlsoNeeds, ...]:
    return tuple(
        AlsoNeeds(
            **{
                **said,
                "resources": tuple(said["resources"]),
                "only": {key: tuple(values) for key, values in said.get("only", {}).items()},
            }
        )
        for said in value
    )


def _before(value: list[dict[str, Any]]) -> tuple[Ready, ...]:
    return tuple(Ready(**said) for said in value)


def _held(value: list[dict[str, Any]]) -> tuple[Held, ...]:
    return tuple(Held(**said) for said in value)


def _protects(value: dict[str, Any]) -> Protects:
    backup = {**value["backup"], "failed": tuple(value["backup"].get("failed", ()))}
    return Protects(**{**value, "backup": Backup(**backup)})


def _reverse(value: list[dict[str, Any]]) -> tuple[Reverse, ...]:
    return tuple(
        Reverse(
            title=said["title"],
            steps=tuple((step["operation"], step["parameters"]) for step in said["steps"]),
            lost=said["lost"],
            when=said.get("when", ""),
            enters=tuple(said.get("enters", ())),
            of=tuple(said.get("of", ())),
        )
        for said in value
    )


_READERS: Final[Mapping[str, Any]] = {
    "resources": _texts,
    "identifies": _texts,
    "secret": _texts,
    "dangerous": _dangers,
    "describe": _describe,
    "settled": _settled,
    "untouched": _untouched,
    "also_needs": also_needs,
    "before": _before,
    "held": _held,
    "protects": _protects,
    "reverse": _reverse,
}
_KEYS: Final = frozenset(one.name for one in fields(Facts)) - {"curated"}
