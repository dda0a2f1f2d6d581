"""What earlier steps of a plan may have done to what a later one acts on, told by the names that they share.

AWS says under which name a thing is read, and a call under which it acts; nobody says that two names are of one thing. So texts
are compared, each with what its member names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from approvals import canonical
from approvals.operations import catalog, counterparts, protection, renaming
from approvals.plan import Step

# Calls that may put another thing under a name that was there; tags are none.
_MAKES: Final = re.compile(r"(?:Create(?!Tags)|Restore|Copy|Import|Upload|Complete|Register|Run)|PutObject$")
# The words of a member's name: those that say that it names something, and of the others those that fit things of any kind.
_WORD: Final = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_NAMING: Final = frozenset({"name", "id", "identifier", "arn", "list", "key"})
_ANY_KIND: Final = frozenset({"", "resource", "target", "source", "entity"})


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the steps that were carried out may have done to a later one's target.

    They shared a name with it (`touched`), named it whole (`naming`), changed it under names that are not theirs, made it or took
    it away (`rewritten`); some make things (`made`), or put it there anew (`remade`); it may be a backup that they made (`kept`).
    """

    touched: tuple[Step, ...]
    naming: tuple[Step, ...]
    rewritten: bool
    kept: bool
    made: bool
    remade: bool

    @classmethod
    def of(cls, done: Sequence[Step], step: Step) -> Earlier:
        same = [one for one in done if _asked(one) is not None and _asked(one) == _asked(step)]
        touched = tuple(one for one in done if one in same or touches(one, step))
        naming = [one for one in touched if one in same or _names_all(one, step)]
        # A backup changes nothing of what it is of.
        altering = [one for one in naming if protection.protecting(one) is None]
        makers = [one for one in altering if _MAKES.match(one.operation) or _gives_its_name(one, step)]
        deleted = any(catalog.get(one.name).facts.settled.gone for one in same)
        away = [index for index, one in enumerate(altering) if _takes_away(one, step)]
        anew = bool(away) and any(one in makers for one in altering[away[0] + 1 :])
        # What another question reads is changed by the members of a call alone: no setting of a bucket changes its policy.
        rewritten = any(one in makers or _is_of_one_kind(one, step) for one in altering)
        kept = any(one not in same for one in naming if one not in altering)
        return cls(touched, tuple(naming), rewritten or deleted, kept, bool(makers), deleted or anew)


def touches(one: Step, step: Step) -> bool:
    """Whether a call names, by whatever member, what another one acts on: what it makes, changes or takes away may be that."""
    return one.service == step.service and any(_is_named(*pair, one) for pair in _named_by(_identifying_members(step)))


def may_change(one: Step, step: Step) -> bool:
    """Whether an earlier call may change what keeps the other one from being made: another operation on the very same thing."""
    return one.service == step.service and one.operation != step.operation and _names_all(one, step)


def _names_all(one: Step, step: Step) -> bool:
    """Whether it names all that the question after the other one's target does: one bucket has many objects."""
    named = _asked_for(step)
    return bool(named) and all(_is_named(*pair, one) for pair in named)


def _is_named(member: str, text: str, one: Step) -> bool:
    """Whether a call has the text of that member, or the name at its end: what is made by a name may have an ARN afterwards.

    No role is the user who is called the same: what people call something by counts where the members may be of one kind.
    An ARN says that itself (`saml-provider/okta`).
    """
    if text.startswith("https://sqs"):
        text, member = text.rpartition("/")[2], ""  # the URL of a queue ends with its name
    if not text.startswith("arn:"):
        return any(text == other and _may_be_one(member, by) for by, other in _named_by(one.parameters))
    texts = _texts(one.parameters.values())
    *kind, name = re.split(r"[:/]", text.split(":", 5)[-1])
    return text in texts or (name in texts and (not kind or kind[0].replace("-", "").lower() == _thing(one.operation).lower()))


def _may_be_one(member: str, other: str) -> bool:
    """Whether two members may name things of one kind: `TargetTableName` and `TableName`, and one that says no kind."""
    kinds = {_kind(member), _kind(other)}
    return len(kinds) == 1 or bool(kinds & _ANY_KIND)


def _kind(member: str) -> str:
    """The last word of a member's name that tells what it names: `Snapshot` of `FinalDBSnapshotIdentifiers`."""
    words = [word.lower().removesuffix("s") for word in _WORD.findall(member)]
    return next((word for word in reversed(words) if word not in _NAMING), "")


def _takes_away(one: Step, step: Step) -> bool:
    """Whether what the other one names is not there under that name any more: it was deleted, or has another name now."""
    if names_of(one) != names_of(step):
        return False
    return one.operation.startswith("Delete") or bool(catalog.get(one.name).facts.settled.gone) or bool(_new_names(one))


def _gives_its_name(one: Step, step: Step) -> bool:
    """Whether a rename puts something under the name of what the other one acts on."""
    return bool(_new_names(one) & identifying(step))


def _new_names(one: Step) -> frozenset[str]:
    return frozenset(renaming.new_names(catalog.get(one.name), one.parameters).values())


def _is_of_one_kind(one: Step, step: Step) -> bool:
    """Whether what a call does shows where the other one's target is read: nobody knows, the same question, or the same thing.

    `PutRolePolicy`, whose role is read, makes what `GetRolePolicy` reads.
    """
    question, other = _question(one), _question(step)
    things = {_thing(step.operation), _thing(other[1])} if other is not None else {_thing(step.operation)}
    return question in (None, other) or _thing(one.operation) in things


def _thing(operation: str) -> str:
    """An operation's name without its verb."""
    return re.sub(r"^[A-Z][a-z]+", "", operation)


def _identifying_members(step: Step) -> dict[str, Any]:
    """The members that tell which target a call acts on; of one without a row all of them."""
    identifies = catalog.get(step.name).facts.identifies or tuple(step.parameters)
    return {name: step.parameters.get(name) for name in identifies}


def identifying(step: Step) -> frozenset[str]:
    """The texts of these members."""
    return _texts(_identifying_members(step).values())


def _named_by(members: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each member with each text that it has."""
    return ((name, text) for name, value in members.items() for text in _texts([value]))


def _texts(values: Iterable[Any]) -> frozenset[str]:
    several = (value if isinstance(value, list) else [value] for value in values)
    return frozenset(one for some in several for one in some if isinstance(one, str))


def _question(step: Step) -> tuple[str, str] | None:
    """By which operation the target is read, of whatever name."""
    operation = catalog.get(step.name)
    describe = operation.facts.describe
    return (operation.service, describe.operation) if describe is not None else None


def _asked(step: Step) -> str | None:
    """Which question reads the target: steps with the same one act on the same thing."""
    operation = catalog.get(step.name)
    describe = operation.facts.describe
    if describe is None:
        return None
    asked = {name: counterparts.searched(one, step.parameters) for name, one in describe.parameters.items()}
    return canonical.dumps([operation.service, describe.operation, canonical.encode(asked)])


def names_of(step: Step) -> str:
    """What a call names as its target, whole: the service, and each identifying member with its value."""
    named = {name: step.parameters.get(name) for name in catalog.get(step.name).facts.identifies}
    return canonical.dumps([step.service, canonical.encode(named)])


def _asked_for(step: Step) -> frozenset[tuple[str, str]]:
    """What the question after a call's target has of the call's texts, by member; what identifies it where nobody asks."""
    describe = catalog.get(step.name).facts.describe
    asked = {} if describe is None else describe.parameters
    said = _texts(step.parameters.values())
    # By the call's own member, where the question has another: `logGroupNamePrefix`.
    members = {
        one if one in step.parameters else name: counterparts.searched(one, step.parameters) for name, one in asked.items()
    }
    found = frozenset(pair for pair in _named_by(members) if pair[1] in said)
    return found or frozenset(_named_by(_identifying_members(step)))
