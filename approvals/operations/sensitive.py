"""Which members of a call are secrets: they are entered once, sealed for the executor, and never shown.

A member is secret when botocore's model says so (the trait `sensitive`, on it or on anything around it), when it is a blob, when
the operation's row names it (`facts.secret`), or when our own list does (`data/secrets.json`: names that are secret wherever they
stand, and members of single operations). What names the target (a row's `identifies`, an ARN template's slot, a required name or
id) is never secret, whatever a model says: nobody can review or protect what is not named. `shown` of the list are exceptions by
service, where such a name means something else (a file's path).

Not secret: `TemplateBody` and `ParameterValue` of CloudFormation, policies, commands' texts that no model calls sensitive. They
say what would be done, which is what reviewers read; a secret belongs into Secrets Manager and is referred to from there.

A dotted path (`Environment.Variables`) leads through structures; lists and maps add nothing to it, and what is named is secret
with all that it holds. A *place* is exact: members' names, maps' keys and lists' indices.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from approvals import canonical
from approvals.canonical import Sealed
from approvals.operations import catalog, templates
from approvals.operations.catalog import Operation
from approvals.operations.conversion import Conversion
from approvals.operations.resources import Where
from approvals.sealing import Binding, Place
from approvals.states import Completeness

# What stands in the place of a secret in what AWS answered.
HIDDEN: Final = "(hidden)"
# Members' names from the outside in, as far as a dotted path says them.
Names = tuple[str, ...]
LEFT_OUT: Final = object()
_NAMING: Final = re.compile(r"(?:name|id|identifier|arn)s?\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rule:
    """What is secret in one operation's input. `said` are paths that are named secret, `shown` paths that never are."""

    names: frozenset[str]
    said: frozenset[Names]
    shown: frozenset[Names]

    def holds(self, shape: Shape, path: Names, *, around: bool) -> bool:
        """Whether what stands at the path is secret; `around` says that what holds it is."""
        if any(path[:length] in self.shown for length in range(1, len(path) + 1)):
            return False
        if around or shape.metadata.get("sensitive") or shape.type_name == "blob" or path in self.said:
            return True
        return bool(path) and path[-1] in self.names and isinstance(_leaf_of(shape), StringShape)


@lru_cache(maxsize=1)
def _listed() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(
        resources.files("approvals.operations.data").joinpath("secrets.json").read_text("utf-8")
    )
    return found


@lru_cache(maxsize=4096)
def _rule_of(full_name: str, secret: tuple[str, ...], shown: tuple[str, ...], arns: tuple[str, ...]) -> Rule:
    listed = _listed()
    said = (*secret, *listed["members"].get(full_name, ()))
    slots = [slot.path for text in arns for slot in templates.parsed(text).slots]
    return Rule(
        frozenset(listed["names"]) - _shown_in(full_name.partition(":")[0]),
        frozenset(tuple(path.split(".")) for path in said),
        frozenset([*((name,) for name in shown), *slots]),
    )


def is_named_secret(name: str) -> bool:
    """Whether a member of this name holds a secret wherever it stands, in answers too."""
    return name in _listed()["names"]


def is_called_secret(service: str, name: str, shape: Shape) -> bool:
    """Whether a member of this name and shape is a secret in this service, going by its name alone."""
    return is_named_secret(name) and name not in _shown_in(service) and isinstance(_leaf_of(shape), StringShape)


def _shown_in(service: str) -> frozenset[str]:
    return frozenset(_listed()["shown"].get(service, ()))


def rule(operation: Operation) -> Rule:
    """The operation's rule."""
    facts = operation.facts
    naming = (name for name in sorted(operation.required) if _NAMING.search(name) and name not in facts.secret)
    return _rule_of(operation.full_name, facts.secret, (*facts.identifies, *naming), facts.resources)


def _leaf_of(shape: Shape) -> Shape:
    return _leaf_of(shape.member) if isinstance(shape, ListShape) else shape


def _any(rule_: Rule, shape: Shape) -> bool:
    seen: set[tuple[str, bool]] = set()

    def found(inner: Shape, path: Names, *, around: bool) -> bool:
        secret = rule_.holds(inner, path, around=around)
        if isinstance(inner, StructureShape) and not inner.is_document_type:
            if (inner.name, secret) in seen:
                return False
            seen.add((inner.name, secret))
            return any(found(member, (*path, name), around=secret) for name, member in inner.members.items())
        if isinstance(inner, ListShape | MapShape):
            return found(inner.value if isinstance(inner, MapShape) else inner.member, path, around=secret)
        return secret

    return found(shape, (), around=False)


def has_secrets(operation: Operation) -> bool:
    """Whether the operation takes any secret at all."""
    shape = operation.model.input_shape
    return shape is not None and _any_of(operation.full_name, rule(operation))


@lru_cache(maxsize=4096)
def _any_of(full_name: str, rule_: Rule) -> bool:
    # By its name: a shape that is remembered holds its whole service's model.
    shape = catalog.get(full_name).model.input_shape
    return shape is not None and _any(rule_, shape)


def replaced(operation: Operation, parameters: dict[str, Any], become: Callable[[Place, Any], Any]) -> dict[str, Any]:
    """The parameters with every secret value replaced by what `become(place, value)` says; left out where it says LEFT_OUT."""
    shape = operation.model.input_shape
    if shape is None:
        return parameters
    found: dict[str, Any] = _replaced(rule(operation), shape, parameters, (), (), become, around=False)
    return found


def _replaced(
    rule_: Rule, shape: Shape, value: Any, path: Names, place: Place, become: Callable[[Place, Any], Any], *, around: bool
) -> Any:
    secret = rule_.holds(shape, path, around=around)

    def inner(member: Shape, item: Any, name: Names, step: str | int) -> Any:
        return _replaced(rule_, member, item, (*path, *name), (*place, step), become, around=secret)

    if isinstance(shape, StructureShape) and isinstance(value, Mapping) and not shape.is_document_type:
        known = shape.members
        made = {name: inner(known[name], item, (name,), name) if name in known else item for name, item in value.items()}
        return {name: item for name, item in made.items() if item is not LEFT_OUT}
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        made = {key: inner(shape.value, item, (), key) for key, item in value.items()}
        return {key: item for key, item in made.items() if item is not LEFT_OUT}
    if isinstance(shape, ListShape) and isinstance(value, list | tuple):
        rows = [inner(shape.member, item, (), index) for index, item in enumerate(value)]
        return [item for item in rows if item is not LEFT_OUT]
    # A container that is none stays what it is, for `inputs.check` to refuse: only single values are sealed. A document is one.
    return become(place, value) if secret and not _holds_members(shape) else value


def _holds_members(shape: Shape) -> bool:
    return isinstance(shape, ListShape | MapShape) or (isinstance(shape, StructureShape) and not shape.is_document_type)


def secrets_in(operation: Operation, parameters: dict[str, Any]) -> Iterator[tuple[Place, Any]]:
    """Every secret value among the parameters, with its place: Sealed, or in clear."""
    found: list[tuple[Place, Any]] = []
    replaced(operation, parameters, lambda place, value: found.append((place, value)))
    yield from found


def in_clear(operation: Operation, parameters: dict[str, Any]) -> list[str]:
    """The places of secrets that are not sealed, dotted."""
    return [dotted(place) for place, value in secrets_in(operation, parameters) if not isinstance(value, Sealed)]


def dotted(place: Place) -> str:
    """A place as people and forms write it: `Users.0.Password`."""
    return ".".join(str(part) for part in place)


def without_secrets(operation: Operation, told: Conversion) -> Conversion:
    """What a record tells, without the secrets that it carries in clear: a draft that would hold them holds none.

    What was taken out counts as hidden by the record, so that a person has to enter it.
    """
    out: list[str] = []

    def hide(place: Place, value: Any) -> Any:
        if isinstance(value, Sealed):
            return value
        out.append(dotted(place))
        return LEFT_OUT

    parameters = replaced(operation, told.parameters, hide)
    if not out:
        return told
    why = f"{', '.join(out[:8])} is secret and is not taken from a record; you must enter it."
    completeness = told.completeness
    if completeness in (Completeness.EXACT, Completeness.REBUILT):
        completeness = Completeness.REDACTED
    else:
        why = f"{told.why} {why}"
    redacted = tuple(dict.fromkeys((*told.redacted, *out)))
    return replace(told, parameters=parameters, completeness=completeness, why=why, redacted=redacted)


def binding(operation: Operation, parameters: dict[str, Any], where: Where, place: Place) -> Binding:
    """What a secret at this place of this call is sealed to: account, region, operation, target and place."""
    named = {name: parameters[name] for name in operation.facts.identifies if name in parameters}
    return Binding(where.account, where.region, operation.full_name, canonical.dumps(canonical.encode(named)), place)
