"""How far a call reaches: the ARNs that a session for it is held down to.

Some calls act on what they do not name: a blue/green deployment's members, an alias's key, a namespace that is asked for by its
name and that IAM knows by an id. Rows say where the target's described state tells it (`told`), and such a pattern gives way to
what was told of it. What was told never widens one: an ARN that no pattern of the row covers counts for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from approvals.operations import counterparts, iam, inside, placeholders, regions, resources, templates
from approvals.operations.catalog import Operation
from approvals.operations.facts import AlsoNeeds
from approvals.operations.resources import Where


@dataclass(frozen=True, slots=True)
class Right:
    """One statement of a session for a call: an IAM action on these ARNs, under a condition (IAM's element), and why.

    Of the call itself no ARNs mean that none can be named; of any other action that nothing is needed of it, or nobody told.
    """

    action: str
    arns: tuple[str, ...]
    why: str = ""
    condition: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)


# What a part of an ARN may be that AWS tells: nothing that a policy would read as a pattern, no further part of the ARN.
_PART: Final = re.compile(r"[A-Za-z0-9_.,=@+-]+")
# Whoever may pass a role to a service can act as that role.
PASSING: Final = "iam:PassRole"
_ROLE: Final = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:role/[\w+=,.@/-]+")
_ROLE_MEMBER: Final = re.compile(r"role", re.IGNORECASE)
# Under which IAM keeps what has more than a name.
_PATH: Final = re.compile(r"/[A-Za-z0-9/_.,=@+-]+/")
# Who acts on roles gives none away; rows say it for who does.
_ROLES_THEMSELVES: Final = frozenset({"iam", "sts"})
_TAGS: Final = re.compile(r"(?:Resource)?Tags?(?:List|Specifications?)?", re.IGNORECASE)
_TAKING: Final = ("Delete", "Deregister", "Disassociate", "Remove")
# The ARNs of the call itself, in a condition.
_TARGET: Final = "{target}"


# What these tell nothing of without rights of their own: versions and their locks. Source: S3 API Reference, HeadObject.
READS_BESIDES: Final[Mapping[str, tuple[str, ...]]] = {
    "s3:HeadObject": ("s3:GetObjectVersion", "s3:GetObjectRetention", "s3:GetObjectLegalHold"),
}


def asked_first(operation: Operation) -> tuple[str, ...]:
    """The action by which botocore has to ask for the endpoint before such a call can be sent; none where it knows it."""
    said: Any = operation.model.endpoint_discovery  # typed as a model, and is a part of one
    if not said or not said.get("required"):
        return ()
    return (f"{operation.facts.iam_action.partition(':')[0]}:DescribeEndpoints",)


def also_needed(operation: Operation, parameters: Mapping[str, Any]) -> Iterator[AlsoNeeds]:
    """The other actions that this very call needs of its caller."""
    for one in operation.facts.also_needs:
        if not one.when or counterparts.searched(one.when, parameters):
            yield one


def _given(also: AlsoNeeds, parameters: dict[str, Any]) -> dict[str, Any]:
    """What of the parameters counts for this action; nothing where the row's expression finds nothing."""
    found = counterparts.searched(also.given, parameters) if also.given else parameters
    return dict(found) if isinstance(found, Mapping) else {}


def expressions(operation: Operation, parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Where the target's state tells what this call acts on besides what it names: what was told must stay as it is."""
    found = [*operation.facts.told.values()]
    for one in also_needed(operation, parameters):
        found.extend(one.told.values())
    return tuple(dict.fromkeys(found))


def rights(operation: Operation, parameters: dict[str, Any], where: Where, state: Any) -> tuple[Right, ...]:
    """What a session for this call needs and gets, first the call itself. What a service does in the caller's name is allowed
    through that service alone. `state` is the target's as it was described, None where it is not known."""
    itself = Right(asked_for(operation, parameters), acts_on(operation, parameters, where, state))
    others = (
        Right(
            one.action,
            needed(operation, one, parameters, where, state),
            one.why,
            condition(one, itself.arns, where, parameters),
        )
        for one in also_needed(operation, parameters)
        if one.action != itself.action or one.made  # else it is what the call itself acts on
    )
    return (
        itself,
        *others,
        *_passed(operation, parameters),
        *_asked_first(operation),
        *tagging(operation, parameters, where),
    )


def asked_for(operation: Operation, parameters: Mapping[str, Any]) -> str:
    """The IAM action that AWS asks for this very call: of S3 objects it is another one where a version is named."""
    of_version = iam.of_a_version(operation.facts.iam_action) if parameters.get("VersionId") else None
    return of_version or operation.facts.iam_action


def tagging(operation: Operation, parameters: dict[str, Any], where: Where) -> Iterator[Right]:
    """The right to give tags, where the call gives them to what it makes: to that alone. Rows say it for theirs.

    EC2 knows what tags are given by (`ec2:CreateAction`); elsewhere a name says it, and what AWS gives its own id gets no tags.
    """
    if not any(_TAGS.fullmatch(name) and value for name, value in parameters.items()):
        return
    why = "the call gives tags to what it makes"
    said = {one.action for one in also_needed(operation, parameters)}
    for action in (one for one in gives_tags(operation) if one not in said):
        if action == "ec2:CreateTags":
            place = f"arn:{where.partition}:ec2:{where.region}:"
            only = {"StringEquals": {"ec2:CreateAction": (operation.name,)}}
            yield Right(action, (f"{place}{where.account}:*/*", f"{place}:*/*"), why, only)
        elif made := tuple(arn for arn in _made(operation, action, parameters, where) if _is_tagged(action, arn, where)):
            yield Right(action, made, why)


def _made(operation: Operation, action: str, parameters: dict[str, Any], where: Where) -> tuple[str, ...]:
    """What the call makes, where the call names it: nothing that it is made of. Where AWS asks for no right to it itself, as a
    thing that may be given tags by `action`."""
    members = placeholders.made_by(operation.service, operation.model)
    own = [text for text in operation.facts.resources if _last_member(text) in members]
    texts = own or placeholders.templates_of_made(operation.service, operation.model, iam.kinds(action))
    arns = resources.filled(operation, operation.facts.iam_action, tuple(texts), parameters, where)
    path = parameters.get("Path")
    if operation.service == "iam" and isinstance(path, str) and _PATH.fullmatch(path):
        arns = tuple(arn.replace("/*/", path) for arn in arns if "/*/" in arn)
    return tuple(arn for arn in arns if not set(arn) & {"*", "?"})


def _last_member(text: str) -> str:
    slots = templates.parsed(text).slots
    return slots[-1].member if slots else ""


def gives_tags(operation: Operation) -> tuple[str, ...]:
    """The actions that AWS asks for besides when such a call gives tags; none where it takes none, or does nothing else."""
    action = operation.facts.iam_action
    if iam.level(action) is iam.Level.TAGGING or not any(_TAGS.fullmatch(name) for name in operation.members):
        return ()
    return iam.tagging(action)


def _is_tagged(action: str, arn: str, where: Where) -> bool:
    """Whether a thing can be given tags by this action: it is of one of its kinds, where the table knows any."""
    return not iam.kinds(action) or resources.is_of_kind(action, arn, where)


def _passed(operation: Operation, parameters: dict[str, Any]) -> Iterator[Right]:
    """Roles that the call gives to a service, which asks whether its caller may pass them; rows say it for theirs."""
    if any(one.action == PASSING for one in operation.facts.also_needs) or operation.service in _ROLES_THEMSELVES:
        return
    if operation.name.startswith(_TAKING):
        return  # a role that is taken away is given to nobody
    for arn in dict.fromkeys(inside.texts(operation, parameters, _ROLE_MEMBER)):
        if _ROLE.fullmatch(arn):
            yield Right(PASSING, (arn,), "the call gives this role to a service")


def _asked_first(operation: Operation) -> Iterator[Right]:
    named = {one.action for one in operation.facts.also_needs}
    for action in asked_first(operation):
        if action not in named:
            yield Right(action, ("*",), "the call's endpoint is asked for first")


def acts_on(operation: Operation, parameters: dict[str, Any], where: Where, state: Any) -> tuple[str, ...]:
    """The ARNs that the call itself acts on: as it names them, and as the target's state tells them.

    Where nothing was told a pattern stays of which the call names a part; of what it does not name at all nothing stays then.
    """
    same = [one for one in also_needed(operation, parameters) if one.action == operation.facts.iam_action and not one.made]
    told = [operation.facts.told, *(one.told for one in same)]
    texts = [*operation.facts.resources, *(text for one in same if one.told for text in one.resources)]
    unnamed = _unnamed(texts, where) if any(told) else frozenset()
    whole = tuple(resources.named_whole(operation, parameters, where))
    said = resources.arns(operation, parameters, where) or whole
    if not inside.makes(operation):
        # What the call names whole is all that it names of that kind.
        said = tuple(one for one in said if one in whole or not ("*" in one and any(covers(one, arn) for arn in whole)))
    found = inside.named(operation, parameters, where, said)
    elsewhere = _of_another_place(operation, parameters, where)
    return _sharpened(
        [one for one in found if one not in elsewhere], unnamed, [arn for one in told for arn in _told(one, state, where)]
    )


def covers(pattern: str, arn: str) -> bool:
    """Whether an ARN is one that a pattern of a session's policy (`*`, `?`) allows."""
    return _pattern(pattern).fullmatch(arn) is not None


def _of_another_place(operation: Operation, parameters: dict[str, Any], where: Where) -> frozenset[str]:
    """What the call does not act on, of two templates that differ by one more name: `rule/{Name}` is on the default bus, and
    `rule/{EventBusName}/{Name}` on the one that is named. Source: EventBridge User Guide, resources and ARNs."""
    others: set[str] = set()
    texts = operation.facts.resources
    for short in texts:
        for long in texts:
            between = _one_more(short, long)
            if between is not None and (given := parameters.get(between)) is not None:
                text = long if given == "default" else short
                others |= set(resources.filled(operation, operation.facts.iam_action, (text,), parameters, where))
    return frozenset(others)


def _one_more(short: str, long: str) -> str | None:
    """The member that stands in the one template before the other's last name, where that is all they differ by."""
    head, _, tail = short.rpartition("/")
    found = re.fullmatch(rf"{re.escape(head)}/\{{(\w+)\}}/{re.escape(tail)}", long)
    return found[1] if found is not None and tail.startswith("{") else None


def needed(operation: Operation, also: AlsoNeeds, parameters: dict[str, Any], where: Where, state: Any = None) -> tuple[str, ...]:
    """The ARNs on which the call needs another action of its caller; none where neither it nor the state tells any."""
    found = resources.needed(operation, also, _given(also, parameters), where)
    if not also.told:
        return found
    return _sharpened(found, _unnamed(also.resources, where), list(_told(also.told, state, where)))


def condition(
    also: AlsoNeeds, targets: Sequence[str], where: Where, parameters: Mapping[str, Any]
) -> dict[str, dict[str, list[str]]]:
    """What must hold of a request beside the call's own, as IAM's Condition element; empty where nothing must."""
    place = {"partition": where.partition, "region": where.region, "account": where.account}
    suffix = regions.suffix_of(where.partition)
    found: dict[str, dict[str, list[str]]] = {}
    for key, said in also.only.items():
        values: list[str] = []
        for one in said:
            values += targets if one == _TARGET else [counterparts.given(one, parameters).format(**place, suffix=suffix)]
        found.setdefault("Bool" if values == ["true"] else "StringLike", {})[key] = values
    return found


def _told(told: Mapping[str, str], state: Any, where: Where) -> Iterator[str]:
    for template, expression in told.items():
        for value in _texts(counterparts.searched(expression, state) if state is not None else None):
            if template == "{}":
                if resources.is_one_arn(value):
                    yield value
            elif _PART.fullmatch(value):
                yield resources.placed(template, where).replace("{}", value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _unnamed(texts: Sequence[str], where: Where) -> frozenset[str]:
    """The patterns of templates in which the call names nothing."""
    return frozenset(resources.placed(text, where) for text in texts if not templates.parsed(text).slots)


def _sharpened(patterns: Sequence[str], unnamed: frozenset[str], told: Sequence[str]) -> tuple[str, ...]:
    fits = {pattern: [arn for arn in told if covers(pattern, arn)] for pattern in patterns}
    silent = not any(fits.values())
    found: list[str] = []
    for pattern in patterns:
        whole = "*" not in pattern and "?" not in pattern
        found += [pattern] if whole or (silent and pattern not in unnamed) else fits[pattern]
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile("".join(".*" if one == "*" else "." if one == "?" else re.escape(one) for one in text))
