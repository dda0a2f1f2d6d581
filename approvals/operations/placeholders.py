"""Which members of a call fill the placeholders of AWS's ARN formats, found by the models and the IAM action table alone.

Where neither tells it, `data/iam.json` does: `names` for a placeholder, `holds` for the member that has a kind's whole ARN,
`resources` for all templates of an operation.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final

from botocore.model import ListShape, OperationModel, Shape, StringShape

from approvals.operations import iam
from approvals.operations.iam import Kind
from approvals.operations.templates import PLACE, SLOT, parsed

_PLACES: Final = ("Partition", "Region", "Account")
_PLACEHOLDER: Final = re.compile(r"\$\{([^}]+)\}")
_ENDING: Final = re.compile(r"(?:arns?|identifiers?|ids?|names?)$")
_VERB: Final = re.compile(r"^[A-Z][a-z]+")
# What is made has a name that the call gives it, and an id that AWS does.
_MAKES: Final = re.compile(
    r"(?:Allocate|Clone|Copy|Create|Import|Launch|Provision|Purchase|Register|Replicate|Request|Restore|Run|Submit"
    r"|Start(?=\w+Job$))(?=[A-Z])"
)
_CHANGES: Final = ("Modify", "Update")
# What is made of something is of the kind that stands before: `CreateDBInstanceReadReplica`, `RestoreDBInstanceFromS3`.
_MADE_OF: Final = re.compile(r"(?<=.)(?:readreplica|from|topointintime|using|v\d).*")
_BARE: Final = ("Id", "Name", "id", "name", "Identifier", "identifier")


@dataclass(frozen=True, slots=True)
class Derived:
    """What can be said of an operation's resources from the models alone: templates, and the members that name the target."""

    templates: tuple[str, ...]
    identifies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Call:
    """An operation as far as its ARNs are concerned. `made` is what it makes, in small letters; '' where it makes nothing.

    `thing` is the kind of that: `dbcluster`, for `RestoreDBClusterFromSnapshot`.
    """

    prefix: str
    name: str
    members: Mapping[str, Shape]
    needed: tuple[str, ...]
    made: str

    @property
    def thing(self) -> str:
        return _MADE_OF.sub("", self.made)

    @property
    def noun(self) -> str:
        return self.made or _plain(_VERB.sub("", self.name))

    @property
    def saying(self) -> list[str]:
        """The members that must be there and say by an id or a name which thing is meant."""
        return [name for name in self.needed if _is_said(self, name)]


def derived(service: str, model: OperationModel) -> Derived:
    """Templates for the kinds of resource that the operation's action acts on.

    A placeholder that no member fills is a `*`. A kind that AWS requires always gives a template, any other only if members
    fill it whole. The target is named by the members in templates of required kinds, else of all; those that must be there first.
    """
    iam_action = iam.action(service, model)
    call = _call_of(iam_action, model)
    if (said := iam.exceptions()["resources"].get(f"{service}:{model.name}")) is not None:
        return _derived(call, said, said)
    if (base := iam.exceptions()["verbs"].get(service)) is not None and not iam_action.partition(":")[2][1:2].islower():
        path = _path(model, call.members, base)
        return _derived(call, [path], [path])
    required: list[str] = []
    others: list[str] = []
    for kind in iam.kinds(iam_action):
        for text, whole in _of_kind(call, kind):
            if kind.required:
                required.append(_left_to_aws(call, text))
            elif whole:
                others.append(text)
    return _derived(call, [*required, *others], required or others)


def made_by(service: str, model: OperationModel) -> tuple[str, ...]:
    """The members by which a call names what it makes; none where it makes nothing, or AWS gives it an id alone."""
    call = _call_of(iam.action(service, model), model)
    if not call.made:
        return ()
    kinds = {call.made, call.thing}
    ways = {"", *(f"{of}{kind}" for of in ("", "target", "new") for kind in kinds)}
    named = [name for name in call.saying if _stem(name) in ways]
    # `CreateCluster(clusterName)`, where AWS has a name for it besides.
    named = named or [name for name in call.members if _stem(name) in kinds and _is_said(call, name)]
    # `CreateClusterSnapshot(SnapshotIdentifier)`; what is called an id is another thing's.
    return tuple(named or [one for one in call.members if _ends(call.thing, one) and _is_said(call, one)][:1])


def templates_of_made(service: str, model: OperationModel, kinds: Collection[Kind]) -> tuple[str, ...]:
    """Templates for what a call makes and names, of these kinds of resource; for those that AWS asks for no right to make."""
    call, named = _call_of(iam.action(service, model), model), made_by(service, model)
    texts = [text for kind in kinds if _plain(kind.name) == call.thing for text in kind.formats]
    texts = texts or [text for kind in kinds for text in kind.formats if _stem(_own_name(text)) == call.thing]
    if len(named) != 1:
        return ()
    # What AWS gives an id of its own is not named by the call.
    texts = [text for text in texts if _own_name(text) and not (_is_id(_own_name(text)) and _is_name(named[0]))]
    return tuple(_PLACEHOLDER.sub(partial(_put, named[0]), text) for text in texts)


def _own_name(text: str) -> str:
    """The one placeholder of an ARN format besides its place; empty where there are more."""
    names = [name for name in _PLACEHOLDER.findall(text) if name not in _PLACES]
    return names[0] if len(names) == 1 else ""


def _put(member: str, found: re.Match[str]) -> str:
    return "{" + (found[1].lower() if found[1] in _PLACES else member) + "}"


def _is_said(call: _Call, name: str) -> bool:
    return (_is_id(name) or _is_name(name)) and _named(call.members[name])


def _ends(thing: str, name: str) -> bool:
    return bool(_stem(name)) and thing.endswith(_stem(name)) and not name.endswith(("Id", "Ids", "ID"))


def _call_of(iam_action: str, model: OperationModel) -> _Call:
    shape = model.input_shape
    made = _MAKES.match(model.name)
    return _Call(
        iam_action.partition(":")[0],
        model.name,
        shape.members if shape is not None else {},
        tuple(name for name in shape.members if name in shape.required_members) if shape is not None else (),
        _plain(model.name[made.end() :]) if made else "",
    )


def _derived(call: _Call, templates: list[str], naming: list[str]) -> Derived:
    names = _names(naming)
    found = [name for name in names if name in call.needed] or [name for name in _names(templates) if name in call.needed]
    if not found:
        found = [name for name in names if not call.made or _is_there(call, name)][:1]
    if not found:
        # AWS's ARN of it has an id that the call does not know, or that there is not yet.
        found = [name for name in call.saying if _stem(name) in ("", call.noun)][:1] or call.saying[:1]
    return Derived(tuple(dict.fromkeys(templates)), tuple(found))


def _names(texts: list[str]) -> list[str]:
    """The members in templates; WAF's scope is a part of an ARN and names nothing."""
    used = [slot for text in texts for slot in parsed(text).slots if len(slot.path) == 1 and slot.filter != "scope"]
    return list(dict.fromkeys(slot.member for slot in used))


def _is_there(call: _Call, member: str) -> bool:
    """Whether a member names what is there before something of it is made: `CreateLaunchTemplateVersion(LaunchTemplateId)`."""
    stem = _stem(member)
    return bool(stem) and call.made != stem and call.made.startswith(stem)


def _left_to_aws(call: _Call, text: str) -> str:
    """A template of a kind without which nothing is made, marked where the call may leave it to AWS (default groups)."""
    template = parsed(text)
    left = [
        len(slot.path) == 1
        and not slot.filter
        and slot.member not in call.needed
        and not _is_there(call, slot.member)  # else it has to be named
        for slot in template.slots
    ]
    if not call.made or not left or not all(left) or template.is_arn:
        return text
    return SLOT.sub(lambda found: found[0] if found[1] in PLACE else f"{{{found[1]}|any}}", text)


def _of_kind(call: _Call, kind: Kind) -> Iterator[tuple[str, bool]]:
    """The templates of a kind, each with whether members fill it whole."""
    arn = _arn_member(call, kind)
    for one in kind.formats:
        text, missing = _filled(call, kind, one)
        names = [slot.member for slot in parsed(text).slots]
        if arn is not None and (missing or not names or _is_renamed(call, arn, names)):
            yield "{" + arn + "}", True
        else:
            yield text, bool(names) and not missing


def _filled(call: _Call, kind: Kind, text: str) -> tuple[str, list[str]]:
    """An ARN format as a template, and the placeholders that no member fills."""
    missing: list[str] = []
    last = max((found.end() for found in _PLACEHOLDER.finditer(text)), default=0)
    free = dict(call.members)  # a member fills one placeholder: `stack/${StackName}/${Id}` is not `stack/x/x`

    def put(found: re.Match[str]) -> str:
        name = found[1]
        if name in _PLACES:
            return "{" + name.lower() + "}"
        # Only the last name is that of the kind itself: the one before it is whose it is.
        slot = _slot(call, kind.name, name, free, is_own=found.end() == last)
        if slot is None:
            missing.append(name)
            return "*"
        free.pop(re.split(r"[.|]", slot)[0])
        return "{" + slot + "}"

    return _PLACEHOLDER.sub(put, text), missing


def _is_renamed(call: _Call, arn: str, names: list[str]) -> bool:
    """Whether the call gives these names to what it must name by its ARN: `UpdateResourceShare(resourceShareArn, name)`."""
    return arn in call.needed and call.name.startswith(_CHANGES) and any(_is_name(name) for name in names)


def _slot(call: _Call, kind: str, name: str, free: Mapping[str, Shape], *, is_own: bool) -> str | None:
    """The member that fills a placeholder of a kind's ARN format, of those that fill no other yet."""
    table: Mapping[str, list[str]] = iam.exceptions()["names"].get(call.prefix, {})
    for path in table.get(f"{kind}/{name}", table.get(name, ())):
        if path == "-":
            return None
        if re.split(r"[.|]", path)[0] in free:
            return path
    for member, shape in free.items():
        if _named(shape) and _plain(member) == _plain(name):
            return member
    return _alike(call, kind, name, [one for one in free if _named(free[one]) and _could_be(call, one, name)], is_own=is_own)


def _alike(call: _Call, kind: str, name: str, members: list[str], *, is_own: bool) -> str | None:
    meant = {_stem(name), _stem(kind)} if is_own else {_stem(name)}
    plain = [member for member in members if not _plain(member).endswith(("arn", "arns"))]
    for member in plain:
        if _stem(member) in meant:
            return member
    ending = [one for one in members if one in call.needed and _stem(one) and _stem(name).endswith(_stem(one))]
    if len(ending) == 1 and ending[0] in plain:
        return ending[0]
    # `DeleteFileSystem(Id)`, `DeleteCrawler(Name)`: the operation's own name says whose id it is.
    if _plain(call.name).endswith(tuple(meant)):
        return next((member for member in _BARE if member in members), None)
    return None


def _could_be(call: _Call, member: str, placeholder: str) -> bool:
    """Whether a member may fill a placeholder. What AWS gives an id of its own a name does not find where the call gives it to
    what it makes or changes."""
    if not _is_id(placeholder) or not _is_name(member):
        return True
    if member not in call.needed:
        return False
    return not call.made or _is_there(call, member)


def _arn_member(call: _Call, kind: Kind) -> str | None:
    """The member (or a path to it) that holds the ARN of such a resource whole; none of what the call makes."""
    said: str | None = iam.exceptions()["holds"].get(call.prefix, {}).get(kind.name)
    if said is not None and said.split(".")[0] in call.members:
        return said
    if call.made and call.made == _plain(kind.name):
        return None
    last = [name for one in kind.formats for name in _PLACEHOLDER.findall(one)[-1:]]
    stems = {_stem(kind.name), *(_stem(name) for name in last), "resource", ""}
    stems |= {_stem(part) for one in kind.formats for part in re.split(r"[:/]", one.split(":", 5)[-1])[:1] if "$" not in part}
    holding = [name for name, shape in call.members.items() if _plain(name).endswith(("arn", "arns")) and _named(shape)]
    whole = [name for name in holding if _stem(name) in stems]
    alike = [name for name in holding if any(stem.endswith(_stem(name)) for stem in stems)]
    return next(iter(whole or alike), None)


def _path(model: OperationModel, members: Mapping[str, Shape], base: str) -> str:
    """API Gateway: the path of the request, with the members in their places."""
    at = {shape.serialization.get("name", name): name for name, shape in members.items()}
    path = model.http["requestUri"].split("?")[0].removeprefix(base)
    filled = re.sub(r"\{(\w+)\+?\}", lambda found: "{" + at[found[1]] + "}" if found[1] in at else "*", path)
    return "arn:{partition}:apigateway:{region}::" + filled


def _is_id(name: str) -> bool:
    return _plain(name).endswith(("id", "ids"))


def _is_name(name: str) -> bool:
    return _plain(name).endswith(("name", "names"))


def _named(shape: Shape) -> bool:
    return isinstance(shape, StringShape) or (isinstance(shape, ListShape) and isinstance(shape.member, StringShape))


@lru_cache(maxsize=16384)
def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower()).replace("identifier", "id")


@lru_cache(maxsize=16384)
def _stem(name: str) -> str:
    return _ENDING.sub("", re.sub(r"[^a-z0-9]", "", name.lower()))
