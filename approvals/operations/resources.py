"""Which resources a call touches: ARNs from parameters, parameters from ARNs, and whether CloudTrail's own list agrees."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import jmespath
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from approvals.errors import BadParameters
from approvals.operations import catalog, iam, templates
from approvals.operations.catalog import Operation
from approvals.operations.facts import AlsoNeeds
from approvals.operations.templates import FILTERS, PLACE, Slot, Template

ARN: Final = re.compile(r"arn:(?P<partition>[^:]+):(?P<service>[^:]+):(?P<region>[^:]*):(?P<account>[^:]*):(?P<resource>.+)")
# What Secrets Manager adds to a name, which no request tells.
_LONGER: Final = "-??????"
# An ARN that stands for one thing: no masks, no white space, nothing that an eye cannot see.
_ONE_ARN: Final = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(?:\d{12}|aws)?:[!-)+->@-~]+")
_QUEUE: Final = re.compile(r"https?://(?P<host>[^/]+)/(?P<account>\d{12})/[^/]+")
# `sqs.eu-west-1.amazonaws.com`, and as it was before `eu-west-1.queue.amazonaws.com`.
_QUEUE_REGION: Final = re.compile(
    r"(?:sqs\.(?P<new>[a-z0-9-]+)|(?P<old>[a-z0-9-]+)\.queue)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)"
)
# More combinations of list items than this are told as a pattern.
_MOST: Final = 1000
# Characters of a name or an ARN; AWS has none that are longer (ARNs 2048, keys of S3 1024 bytes).
_LONGEST: Final = 2048
# What AWS reserves the ends of S3 buckets' names for: aliases of access points, which stand for another bucket, and directory
# buckets, whose ARNs are of another service. Source: the S3 user guide's bucket naming rules.
_NO_BUCKET: Final = ("-s3alias", "--ol-s3", "--op-s3", "--x-s3", ".mrap")


@dataclass(frozen=True, slots=True)
class Where:
    """The account (12 digits), region and partition that a call is made in."""

    account: str
    region: str
    partition: str = "aws"


@dataclass(frozen=True, slots=True)
class Touched:
    """What a call touches, as ARN patterns with `*` and `?` that together cover all of it.

    `exact` says that each pattern is the ARN of one thing. No patterns means that it can be anything: AWS knows no resource for
    the action, a member cannot be read, or we have no template for it.
    """

    patterns: tuple[str, ...]
    exact: bool


_ANYTHING: Final = Touched((), exact=False)


def arns(operation: Operation, parameters: dict[str, Any], where: Where) -> tuple[str, ...]:
    """The ARNs that the call touches; empty when a member that identifies the target is not there or is no plain name.

    Empty means "not known", which matches every guardrail: an ARN or a masked value in a name field must never slip past one.
    An ARN may be a pattern where AWS adds what no request tells (`secret:prod/db-??????`).
    """
    if not _is_named(operation, parameters):
        return ()
    found = touched(operation, parameters, where).patterns
    if not found:
        return ()
    also = (*named_whole(operation, parameters, where), *_also_acted_on(operation, parameters, where))
    return tuple(dict.fromkeys((*found, *also, *_taken_for(operation, (*found, *also), where))))


def said_once(found: Sequence[str]) -> tuple[str, ...]:
    """Without what AWS might also take a whole ARN of a secret for: a name that it makes longer (`arns` has both)."""
    return tuple(arn for arn in found if not (arn.endswith(_LONGER) and arn.removesuffix(_LONGER) in found))


def _is_named(operation: Operation, parameters: dict[str, Any]) -> bool:
    """Whether the members are there that name the target; where AWS requires none of them, any that a template knows will do."""
    missing = [name for name in operation.facts.identifies if not parameters.get(name)]
    if not missing:
        return True
    if operation.facts.curated or any(name in operation.required for name in missing):
        return False
    slots = [slot for text in operation.facts.resources for slot in templates.parsed(text).slots]
    return any(parameters.get(slot.member) for slot in slots)


def named_whole(operation: Operation, parameters: dict[str, Any], where: Where) -> Iterator[str]:
    """ARNs of the action's kinds of resource that stand in members of which no template knows (Kinesis's `StreamARN`)."""
    for value in parameters.values():
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, str) and one.startswith("arn:") and is_one_arn(one):
                yield from (one,) if is_of_kind(operation.facts.iam_action, one, where) else ()


def _also_acted_on(operation: Operation, parameters: dict[str, Any], where: Where) -> Iterator[str]:
    """What AWS asks for the same right on besides the target: an alias's key, the instance that a volume is detached from.

    The call often does not name it; then it can be any of that kind, and a guardrail on one of them protects the call.
    """
    for one in operation.facts.also_needs:
        if one.action == operation.facts.iam_action and not one.made and (not one.when or jmespath.search(one.when, parameters)):
            for template, fillings in _filled(operation.full_name, one.action, one.resources):
                values = [filling.values(parameters) or () for filling in fillings]
                yield from _composed(template, values, where)[0]


def needed(operation: Operation, also: AlsoNeeds, parameters: dict[str, Any], where: Where) -> tuple[str, ...]:
    """The ARNs on which the call needs another action of its caller; none of a template that it has not all members of.

    An action on what the call does not name is not needed, and a value that is no plain name would open more than was signed.
    """
    return filled(operation, also.action, also.resources, parameters, where)


def filled(
    operation: Operation, action: str, texts: tuple[str, ...], parameters: dict[str, Any], where: Where
) -> tuple[str, ...]:
    """The templates' ARNs for an action; none of a template that the call has not all members of."""
    found: list[str] = []
    for template, fillings in _filled(operation.full_name, action, texts):
        values = [filling.values(parameters) or () for filling in fillings]
        if all(values):
            found += _composed(template, values, where)[0]
    return tuple(dict.fromkeys(found))


def _taken_for(operation: Operation, found: Sequence[str], where: Where) -> Iterator[str]:
    """What AWS may also take ARNs for that were given whole.

    The ARN of `db-master` without the characters that AWS added looks like one of `db` with them, and AWS takes both. Where names
    are kept in lower case, or found whatever their case is, what is spelt in upper case may be the same in lower case.
    """
    adding = [one for one in map(templates.parsed, operation.facts.resources) if one.adds and isinstance(one.parts[-1], str)]
    prefix = operation.facts.iam_action.partition(":")[0]
    lower = prefix in iam.exceptions()["lower"] or prefix in iam.exceptions()["caseless"]
    for arn in found:
        if "*" not in arn and "?" not in arn:
            yield from (f"{arn}{one.parts[-1]}" for one in adding if _reader(operation, one, where).fullmatch(arn))
        if lower and arn.lower() != arn:
            yield arn.lower()


def is_one_arn(text: str) -> bool:
    """Whether a text is the ARN of one thing, and no pattern."""
    return len(text) <= _LONGEST and _ONE_ARN.fullmatch(text) is not None


def placed(text: str, where: Where) -> str:
    """A template without members, or a part of one, as it is in the request's place."""
    for name in PLACE:
        text = text.replace("{" + name + "}", getattr(where, name))
    return text


def touched(operation: Operation, parameters: dict[str, Any], where: Where, *, whole: bool = True) -> Touched:
    """What the call touches. `whole` says that the parameters are all of them: a member that is not there was not given.

    A part that is not known becomes `*` within the request's account and region. A value that is no plain name makes all of it
    unknown, because what AWS would take it for is not known either.
    """
    found: list[str] = []
    idle: list[Template] = []
    exact = True
    for template, fillings in _filled(operation.full_name, operation.facts.iam_action, operation.facts.resources):
        if template.adds and (own := _given_as_arns(operation, template, parameters, where)):
            found.extend(own)
            continue
        values: list[tuple[str, ...]] = []
        for filling in fillings:
            value = filling.values(parameters)
            if value is None:
                return _ANYTHING
            values.append(value)
        if fillings and not any(values):
            if not all(slot.filter in ("named", "arn") and parameters.get(slot.member) for slot in template.slots):
                idle.append(template)  # else it is given in the other form, which another template knows
            continue
        made, sharp = _composed(template, values, where)
        found.extend(made)
        exact = exact and sharp
    for template in idle:
        needed = any(
            slot.member in operation.required
            or slot.is_left_to_aws
            or (not operation.facts.curated and slot.member in operation.facts.identifies and _requires_one(operation))
            or (len(slot.path) > 1 and parameters.get(slot.member) and slot.filter == "")
            for slot in template.slots
        )
        if not whole or needed or not found:
            if template.is_arn:
                return _ANYTHING
            found.extend(_composed(template, [() for _ in template.slots], where)[0])
            exact = False
    return Touched(tuple(dict.fromkeys(found)), exact and bool(found))


def _requires_one(operation: Operation) -> bool:
    return any(kind.required for kind in iam.kinds(operation.facts.iam_action))


def identified_by(operation: Operation, arn: str, where: Where) -> dict[str, str] | None:
    """The members that an ARN carries, or None when it is no ARN of this operation's kinds of resource there."""
    for text in operation.facts.resources:
        template = templates.parsed(text)
        found = _reader(operation, template, where).fullmatch(arn)
        if found and found.groupdict() and not (template.is_arn and not is_of_kind(operation.facts.iam_action, arn, where)):
            return {name: arn if template.adds else value for name, value in found.groupdict().items()}
    return None


def normalised(operation: Operation, parameters: dict[str, Any], where: Where) -> dict[str, Any]:
    """The parameters with an ARN in an identifying member replaced by the name that it means.

    Raises BadParameters when that ARN is of another account, region or partition, or, where a row of ours says how the target is
    named, of another kind: a name field that reaches elsewhere would slip past a guardrail on this account's ARNs.
    """
    clean = _by_names(operation, parameters, where)
    for name in operation.facts.identifies:
        value = clean.get(name)
        if isinstance(value, str):
            clean[name] = _name(operation, name, value, parameters, where)
        elif isinstance(value, list):
            clean[name] = [_name(operation, name, item, parameters, where) if isinstance(item, str) else item for item in value]
    return clean


def said_in_full(operation: Operation, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters with what AWS takes for a part of the target's name that is left out: signed as if it had been given."""
    usual = _of_prefix(operation, "defaults")
    left_out = {name: usual[name] for name in operation.facts.identifies if name in usual and parameters.get(name) is None}
    return {**parameters, **left_out}


def _by_names(operation: Operation, parameters: dict[str, Any], where: Where) -> dict[str, Any]:
    """The parameters with the target's name instead of its ARN, where a call takes both in members of their own, and with that of
    what the target is in (a cluster, a bus)."""
    clean = dict(parameters)
    for holder, name in _of_prefix(operation, "either").items():
        value = clean.get(holder)
        text = next((one for one in operation.facts.resources if f"{{{name}}}" in one), None)
        if isinstance(value, str) and text is not None and holder in operation.members:
            found = _reader(operation, templates.parsed(text), where).fullmatch(value)
            if found is None:
                raise BadParameters({holder: [_elsewhere(value, where)]})
            if clean.get(name, found[name]) != found[name]:
                raise BadParameters(
                    {holder: [f"This ARN is of {found[name]!r}, the call says {clean[name]!r}. Give one of them."]}
                )
            del clean[holder]
            clean[name] = found[name]
    for name, kind in _of_prefix(operation, "inside").items():
        value = clean.get(name)
        parts = ARN.fullmatch(value) if isinstance(value, str) and name in operation.members else None
        if parts is not None and parts["resource"].startswith(kind):
            if not _is_here(parts, where):
                raise BadParameters({name: [_elsewhere(parts[0], where)]})
            clean[name] = parts["resource"].removeprefix(kind)
    return clean


def _of_prefix(operation: Operation, table: str) -> Mapping[str, str]:
    found: Mapping[str, str] = iam.exceptions()[table].get(operation.facts.iam_action.partition(":")[0], {})
    return found


@dataclass(frozen=True, slots=True)
class _Filling:
    """How one slot takes its value: where it stands, what it may be, what AWS takes where it is not there ('' for nothing)."""

    path: tuple[str, ...]
    filter: Callable[[str], str | None] | None
    plain: re.Pattern[str]
    usual: str
    lower: bool
    number: bool

    def values(self, parameters: Mapping[str, Any]) -> tuple[str, ...] | None:
        """The slot's values, () when the member is not there, None when one of them is nothing that could stand in an ARN."""
        level: list[Any] = [parameters]
        for step in self.path:
            inner = [item[step] for item in level if isinstance(item, Mapping) and item.get(step) is not None]
            level = [one for item in inner for one in (item if isinstance(item, list) else (item,))]
        if not level:
            return (self.usual,) if self.usual else ()
        values: list[str] = []
        for one in level:
            item = str(one) if self.number and type(one) is int else one
            if not isinstance(item, str):
                return None
            value = self.filter(item) if self.filter and len(item) <= _LONGEST else item
            if value is None:
                continue
            # `.` and `..` would be steps in the path of a request.
            if len(value) > _LONGEST or value in (".", "..") or not self.plain.fullmatch(value):
                return None
            values.append(value.lower() if self.lower else value)
        return tuple(values)


@lru_cache(maxsize=16384)
def _filled(full_name: str, iam_action: str, texts: tuple[str, ...]) -> tuple[tuple[Template, tuple[_Filling, ...]], ...]:
    prefix = iam_action.partition(":")[0]
    usual: Mapping[str, str] = iam.exceptions()["defaults"].get(prefix, {})
    # AWS keeps names in lower case there: `Prod-DB` is `prod-db`, and a guardrail on `prod-*` must see it.
    lower = prefix in iam.exceptions()["lower"]
    return tuple(
        (
            template,
            tuple(
                _Filling(
                    slot.path,
                    FILTERS[slot.filter] if slot.filter else None,
                    _ONE_ARN if template.is_arn else _plain_pattern(full_name, iam_action, slot),
                    usual.get(slot.member, "") if len(slot.path) == 1 else "",
                    lower=lower and not template.is_arn,
                    number=_is_number(full_name, slot),
                )
                for slot in template.slots
            ),
        )
        for template in map(templates.parsed, texts)
    )


def _given_as_arns(operation: Operation, template: Template, parameters: Mapping[str, Any], where: Where) -> tuple[str, ...]:
    """The values of the template's first member, when all of them are ARNs of this kind here."""
    given = parameters.get(template.slots[0].member)
    values = given if isinstance(given, list) else [given]
    reader = _reader(operation, template, where)
    own = tuple(one for one in values if isinstance(one, str) and len(one) <= _LONGEST and reader.fullmatch(one))
    return own if len(own) == len(values) else ()


def _composed(template: Template, values: Sequence[tuple[str, ...]], where: Where) -> tuple[list[str], bool]:
    choices = [list(one) or ["*"] for one in values]
    count = 1
    for choice in choices:
        if count * len(choice) > _MOST:
            choice[:] = ["*"]
        count *= len(choice)
    place = {"{" + name + "}": getattr(where, name) for name in PLACE}
    made = []
    for chosen in itertools.product(*choices):
        taken = iter(chosen)
        made.append("".join(next(taken) if isinstance(part, Slot) else _placed(part, place) for part in template.parts))
    return made, not any("*" in arn or "?" in arn for arn in made)


def _placed(part: str, place: Mapping[str, str]) -> str:
    return place.get(part, part)


@lru_cache(maxsize=16384)
def _plain_pattern(full_name: str, iam_action: str, slot: Slot) -> re.Pattern[str]:
    """What a name may be. `*`, `?` and white space are never part of one; `/` and `:` only where AWS names such things so."""
    prefix = iam_action.partition(":")[0]
    table: Mapping[str, str] = iam.exceptions()["allows"].get(prefix, {})
    extra = table.get(".".join(slot.path), "")
    if _slashed(_shape(catalog.get(full_name).model.input_shape, slot.path)):
        extra += "/"
    # Who calls without boto3 may encode any character of a path, and some services record the path as it came.
    never = "*?/:%" if _in_path(full_name, slot) and prefix != "s3" else "*?/:"
    usual = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in never)
    ends = "".join(f"(?<!{re.escape(end)})" for end in _NO_BUCKET) if (prefix, slot.path) == ("s3", ("Bucket",)) else ""
    return re.compile("[" + re.escape(usual + extra) + "]+" + ends)


def _is_number(full_name: str, slot: Slot) -> bool:
    """Whether a number is a part of the ARN, such as that of a layer's version."""
    shape = _shape(catalog.get(full_name).model.input_shape, slot.path)
    return shape is not None and shape.type_name in ("integer", "long")


def _in_path(full_name: str, slot: Slot) -> bool:
    member = catalog.get(full_name).members.get(slot.member)
    return member is not None and member.serialization.get("location") == "uri"


def _shape(shape: Shape | None, path: tuple[str, ...]) -> Shape | None:
    for step in path:
        while isinstance(shape, ListShape):
            shape = shape.member
        if not isinstance(shape, StructureShape) or step not in shape.members:
            return None
        shape = shape.members[step]
    while isinstance(shape, ListShape):
        shape = shape.member
    return None if isinstance(shape, MapShape) else shape


def _slashed(shape: Shape | None) -> bool:
    """Whether AWS's own pattern for the member takes a slash inside a name and is not one that takes everything."""
    pattern = shape.metadata.get("pattern") if isinstance(shape, StringShape) else None
    if not pattern:
        return False
    try:
        read = re.compile(pattern)
    except re.error:
        return False
    return read.fullmatch("aaaa/bbbb") is not None and read.fullmatch("aaaa bbbb*") is None


def _reader(operation: Operation, template: Template, where: Where) -> re.Pattern[str]:
    return _reader_of(operation.full_name, operation.facts.iam_action, template, where)


@lru_cache(maxsize=16384)
def _reader_of(full_name: str, iam_action: str, template: Template, where: Where) -> re.Pattern[str]:
    """A pattern that reads a template's slots back from an ARN; a member that is deeper than the first level is not read."""
    place = {"{" + name + "}": getattr(where, name) for name in PLACE}
    names: set[str] = set()
    text = ""
    for part in template.parts:
        if isinstance(part, Slot):
            inner = _ONE_ARN.pattern if template.is_arn else _plain_pattern(full_name, iam_action, part).pattern
            named = len(part.path) == 1 and part.filter in ("", "last", "named", "any") and part.member not in names
            names.add(part.member)
            text += f"(?P<{part.member}>{inner})" if named else f"(?:{inner})"
        elif part in place:
            text += re.escape(place[part])
        else:
            text += "".join(r"[^\s*]*" if c == "*" else r"[^\s*?]" if c == "?" else re.escape(c) for c in part)
    return re.compile(text)


def is_of_kind(iam_action: str, arn: str, where: Where) -> bool:
    """Whether an ARN is one of the kinds that the action acts on, in this account and region."""
    formats = [one for kind in iam.kinds(iam_action) for one in kind.formats]
    return any(_format(one, where).fullmatch(arn) for one in formats)


@lru_cache(maxsize=4096)
def _format(text: str, where: Where) -> re.Pattern[str]:
    place = {"Partition": where.partition, "Region": where.region, "Account": where.account}
    # Literals and placeholders take turns.
    parts = re.split(r"\$\{([^}]+)\}|(\*)", text)
    found = ""
    for literal, name, mask in zip(parts[::3], [*parts[1::3], None], [*parts[2::3], None], strict=True):
        found += re.escape(literal)
        if name in place:
            found += re.escape(place[name])
        elif name or mask:
            found += r"[^\s*?]*" if mask else r"[^\s*?]+"
    return re.compile(found)


def _name(operation: Operation, name: str, value: str, given: Mapping[str, Any], where: Where) -> str:
    """The plain name that a value of an identifying member means; `given` are all members of the call."""
    if (queue := _QUEUE.fullmatch(value)) and _takes_queue(operation, name):
        _queue_is_here(name, queue, where)
    if not value.startswith("arn:"):
        return value
    own = [one for one in map(templates.parsed, operation.facts.resources) if any(slot.member == name for slot in one.slots)]
    named_an_arn = name.lower().endswith("arn")
    if not named_an_arn and (found_at := ARN.fullmatch(value)) and not _is_here(found_at, where):
        # A member that is named for a name: whatever else is known of it, it does not reach elsewhere.
        raise BadParameters({name: [_elsewhere(value, where)]})
    if operation.facts.curated and not own:
        return value  # what acts on the target, such as a policy: no ARN that a guardrail sees is made of it
    if any(one.is_arn for one in own) or (not own and named_an_arn):
        return value  # the member is meant to hold an ARN: guardrails see that ARN itself, or the target is another member
    for template in own:
        found = _reader(operation, template, where).fullmatch(value)
        if found and found.groupdict().get(name):
            _agrees(found.groupdict(), name, given)
            return value if template.adds or named_an_arn else found[name]
    parts = ARN.fullmatch(value)
    if parts and not operation.facts.curated and _is_here(parts, where):
        return value
    raise BadParameters({name: [_elsewhere(value, where)]})


def _agrees(told: Mapping[str, str], name: str, given: Mapping[str, Any]) -> None:
    """Raise BadParameters when an ARN that becomes a name tells of another part than its own member does.

    A service's ARN holds its cluster: as a mere name it would be that of the cluster which the call names.
    """
    for other, part in told.items():
        said = given.get(other)
        if other == name or (isinstance(said, str) and said.rsplit("/", 1)[-1] == part):
            continue
        what = f"the call says {said!r}" if isinstance(said, str) else "the call does not say so"
        raise BadParameters({name: [f"This ARN tells of the {other} {part!r}, {what}. Give both as the ARN has them."]})


def _is_here(parts: re.Match[str], where: Where) -> bool:
    return (
        parts["partition"] == where.partition
        and parts["account"] in ("", where.account)
        and parts["region"] in ("", where.region)
    )


def _queue_is_here(name: str, queue: re.Match[str], where: Where) -> None:
    host = _QUEUE_REGION.fullmatch(queue["host"])
    region = (host["new"] or host["old"]) if host else where.region
    account = queue["account"]
    if (account, region) != (where.account, where.region):
        here = f"account {where.account} in {where.region}"
        raise BadParameters({name: [f"This queue is of account {account} in {region}; the request is for {here}."]})


def _takes_queue(operation: Operation, name: str) -> bool:
    found = [slot for text in operation.facts.resources for slot in templates.parsed(text).slots]
    return any(slot.member == name and slot.filter == "queue" for slot in found)


def _elsewhere(arn: str, where: Where) -> str:
    parts = ARN.fullmatch(arn)
    if parts and (parts["account"] != where.account or parts["region"] != where.region or parts["partition"] != where.partition):
        return (
            f"This ARN is of account {parts['account'] or '(none)'} in {parts['region'] or '(no region)'}; the request is for "
            f"account {where.account} in {where.region}. File the request there, or give the name."
        )
    return "This ARN names another kind of resource. Give the name, or the ARN of such a resource."
