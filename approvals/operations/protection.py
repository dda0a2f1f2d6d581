"""Which calls of a plan lose something for good, and which of those are protected by a backup that the plan itself takes.

A plan each of whose losses is protected counts as one that can be undone, because the executor makes no such call before the
backup is usable, and looks at it once more right before. So what counts as protected is drawn narrowly: the same target by the
same plain name, the backup before the loss, nothing between the two that could change what the name means, and one backup for one
loss.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final

import jmespath
from jmespath.exceptions import JMESPathError

from approvals.operations import catalog, counterparts, ready, resources, sources
from approvals.operations.catalog import Operation
from approvals.operations.facts import Protects, rows
from approvals.operations.ready import Offered
from approvals.operations.resources import Where
from approvals.plan import Step

_ANYWHERE: Final = Where("111122223333", "us-east-1", "aws")


def protecting(step: Step) -> Protects | None:
    """What the step makes a backup for, as its own parameters are; None for a step that makes none."""
    found = catalog.get(step.name).facts.protects
    return found if found is not None and _holds(found.when, step.parameters) else None


def is_loss(name: str, parameters: Mapping[str, Any] | None) -> bool:
    """Whether the call cannot be undone: it is of an operation that cannot, and does not itself switch a protection on; or it has
    members by which another operation takes something away for good.

    By any of its names: services that share an API send the very same request, and AWS looks at nothing else.
    """
    return any(_is_loss(one, parameters) for one in sources.all_names(name))


def _is_loss(name: str, parameters: Mapping[str, Any] | None) -> bool:
    facts = catalog.get(name).facts
    if not facts.irreversible:
        return bool(facts.loses) and (parameters is None or _loses(facts.loses, parameters))
    found = facts.protects
    return found is None or found.itself or not found.when or parameters is None or not _holds(found.when, parameters)


def covered(steps: Sequence[Step]) -> dict[int, tuple[int, ...]]:
    """The losses of a plan that are protected, each with the steps whose backups protect it (itself, for a last snapshot).

    Between a backup and the loss stand only other backups, losses that are protected, and steps that are offered ready made in
    front of a later one: another call could give the target's name to something else. A backup protects from one loss: what comes
    after it under the same name is not what was backed up. One that the plan itself takes away again protects from none.
    """
    found: dict[int, tuple[int, ...]] = {}
    held: dict[int, Step] = {}
    for index, step in enumerate(steps):
        mine = protecting(step)
        goes = mine is not None and _goes_again(steps, index, mine)
        if mine is not None and not mine.itself:
            held |= {} if goes else {index: step}
        elif is_loss(step.name, step.parameters):
            by = tuple(at for at, one in held.items() if _protects(one, step) and not _ends_with(one, steps[index + 1 :]))
            found |= {index: (*by, index)} if mine is not None and not goes else {index: by} if by else {}
            held = {at: one for at, one in held.items() if at not in by} if index in found else {}
        elif not _is_offered(step, steps[index + 1 :]):
            held = {}
    return found


def losses(steps: Sequence[Step]) -> tuple[int, ...]:
    """The steps of a plan that lose something for good although everything before them went well, counted from 0."""
    kept = covered(steps)
    return tuple(index for index, step in enumerate(steps) if index not in kept and is_loss(step.name, step.parameters))


def is_final(steps: Sequence[Step]) -> bool:
    """Whether a plan cannot be undone: at least one of its losses is not protected by a backup step."""
    return bool(losses(steps))


def lacking(steps: Sequence[Step]) -> tuple[int, ...]:
    """The losses of a plan that are not protected although the table knows a step that would."""
    return tuple(index for index in losses(steps) if protectors(steps[index].name))


@lru_cache(maxsize=1)
def _protectors() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for name, row in rows().items():
        said = row.get("protects", {})
        for loss in (*said.get("losses", {}), *([name] if said.get("itself") else [])):
            found.setdefault(loss, set()).add(name)
    return {loss: frozenset(names) for loss, names in found.items()}


def protectors(name: str) -> frozenset[str]:
    """The operations that protect from the loss that this one is; itself where its own parameters make a last snapshot.

    By any of its names: what is known for one of them cannot be left out under another.
    """
    return frozenset().union(*(_protectors().get(one, ()) for one in sources.all_names(name)))


def protected() -> frozenset[str]:
    """Every operation whose loss a backup step protects from."""
    return frozenset(_protectors())


def offered(step: Step) -> list[Offered]:
    """The backup steps that are offered ready made in front of a loss."""
    known = protectors(step.name)
    return [one for one in ready.offers(catalog.get(step.name), step.parameters, None) if one.ready.operation in known]


def asked_for(steps: Sequence[Step], index: int) -> str:
    """What to put into a plan so that the step is protected, in words."""
    step = steps[index]
    ways = [f"put {one.ready.operation} in front of it ({_small(one.ready.title)})" for one in offered(step)]
    if step.name in protectors(step.name):
        ways.append("let the call itself make a last snapshot")
    if not ways:  # the backup is known for what another service calls the same request
        names = [one for one in sources.other_names(step.name) if _protectors().get(one)]
        ways.append(f"ask for it as {' or '.join(names)}, of which one is known")
    return f"step {index + 1}, {step.name}, cannot be undone without a backup: {', or '.join(ways)}"


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


def _protects(backup: Step, loss: Step) -> bool:
    """Whether both name the same target, by the same plain text: an alias, another spelling or a pattern is another target."""
    made = protecting(backup)
    target = made.losses.get(loss.name) if made is not None else None
    if not target:
        return False
    named = [(backup.parameters.get(ours), loss.parameters.get(theirs)) for ours, theirs in target.items() if theirs is not None]
    left_out = [ours for ours, theirs in target.items() if theirs is None]
    return all(_is_name(one) and one == other for one, other in named) and not any(name in backup.parameters for name in left_out)


def _goes_again(steps: Sequence[Step], at: int, made: Protects) -> bool:
    """Whether a later step loses this one's backup: a call that acts on the same ARN, whatever service it is a call of.

    Where the ARN of one of the two is not known, by what the backup is called. One whose name AWS gives can be named by no step;
    what lies in its target (recovery to a point in time) goes by the operation that made it alone, or with the target.
    """
    backup, later = steps[at], [step for step in steps[at + 1 :] if is_loss(step.name, step.parameters)]
    asked = {name: counterparts.searched(one, backup.parameters) for name, one in made.backup.parameters.items()}
    names = {one.casefold() for one in asked.values() if isinstance(one, str) and one}
    if len(names) < len(asked):
        return False
    if _lies_in_its_target(made):
        return any(step.name == backup.name and _says(step, names) for step in later)
    arns = _resources(catalog.of_row(made.backup.operation, backup.service), asked)
    others = made.losses.keys() | ({backup.name} if made.itself else set())
    for step in later:
        theirs = _resources(catalog.get(step.name), step.parameters)
        if arns and theirs:
            gone = any(fnmatchcase(one, pattern) for one in arns for pattern in theirs)
        else:
            gone = step.service == backup.service and step.name not in others and _says(step, names)
        if gone or (step.service == "backup" and _says(step, names)):
            return True
    return False


def _lies_in_its_target(made: Protects) -> bool:
    """Whether AWS knows the backup by nothing but its target's name, so that it goes when the target goes."""
    targets = {ours for target in made.losses.values() for ours, theirs in target.items() if theirs is not None}
    return not made.itself and set(made.backup.parameters.values()) <= targets


def _ends_with(backup: Step, later: Sequence[Step]) -> bool:
    """Whether the backup lies in its target, and a later step takes that away."""
    made = protecting(backup)
    return made is not None and _lies_in_its_target(made) and any(_protects(backup, step) for step in later)


def _resources(operation: Operation, parameters: Mapping[str, Any]) -> frozenset[str]:
    """What the call acts on: the service and the last part of each ARN. A plan is of one place, and RDS keeps small letters."""
    parts = (arn.casefold().split(":", 5) for arn in resources.arns(operation, dict(parameters), _ANYWHERE))
    return frozenset(f"{part[2]}:{part[-1]}" for part in parts if len(part) > 3)


def _says(step: Step, names: Collection[str]) -> bool:
    said = [text.casefold() for text in counterparts.texts(step.parameters)]
    return any(text == name or text.endswith((f":{name}", f"/{name}")) for text in said for name in names)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != "" and not set(value) & {"*", "?"}


def _is_offered(step: Step, later: Sequence[Step]) -> bool:
    return any(
        step in one.steps
        for other in later
        if is_loss(other.name, other.parameters)
        for one in ready.offers(catalog.get(other.name), other.parameters, None)
    )


def _loses(expression: str, parameters: Mapping[str, Any]) -> bool:
    try:
        return bool(jmespath.search(expression, parameters))
    except (JMESPathError, TypeError):
        return True  # what cannot be judged could be anything


def _holds(when: str, parameters: Mapping[str, Any]) -> bool:
    # A value of another type than the expression is for says nothing that could be relied on.
    return not when or bool(counterparts.searched(when, parameters))
