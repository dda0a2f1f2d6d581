"""ARN templates: how the ARNs of what a call touches follow from its parameters.

A template is an ARN with slots. `{partition}`, `{region}` and `{account}` are those of the request; any other slot names a
member, or a path of members through structures and lists (`{Delete.Objects.Key}`), and takes its value; a list gives one ARN for
each item. `{QueueUrl|queue}` takes a part of the value (see `FILTERS`). `*` and `?` outside of slots stand for what the request
does not tell (`secret:{SecretId}-??????`). A template that is one slot and nothing else is a member that holds an ARN.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from botocore.model import ListShape, OperationModel, Shape, StringShape

from approvals.operations import iam
from approvals.operations.iam import Kind

PLACE: Final = ("partition", "region", "account")
_PLACEHOLDER: Final = re.compile(r"\$\{([^}]+)\}")
_SLOT: Final = re.compile(r"\{([\w.]+)(?:\|(\w+))?\}")
_ENDING: Final = re.compile(r"(?:arns?|identifiers?|ids?|names?)$")
_QUEUE: Final = re.compile(r"https?://[^/]+/(?P<account>\d{12})/(?P<name>[\w-]+(?:\.fifo)?)", re.ASCII)


def _last(value: str) -> str:
    return value.rsplit("/", 1)[-1]


def _bare(value: str) -> str:
    return value.removeprefix("/")


def _queue(value: str) -> str:
    found = _QUEUE.fullmatch(value)
    return found["name"] if found else value


def _secret(value: str) -> str:
    return value.partition(":secret:")[2]


# `last`: what stands after the last slash (`/hostedzone/Z1`). `bare`: without a leading slash. `queue`: an SQS URL's queue.
# `secret`: what names a secret in its ARN, with what AWS added to it; nothing of a name that is no ARN.
FILTERS: Final[Mapping[str, Callable[[str], str]]] = {"last": _last, "bare": _bare, "queue": _queue, "secret": _secret}


@dataclass(frozen=True, slots=True)
class Slot:
    """A member's place in a template: the path through the parameters, and the filter its value goes through ('' for none)."""

    path: tuple[str, ...]
    filter: str = ""

    @property
    def member(self) -> str:
        """The operation's member that the path begins with."""
        return self.path[0]


@dataclass(frozen=True, slots=True)
class Template:
    """A template taken apart: literals, the request's place (by its name in PLACE) and slots, in order."""

    text: str
    parts: tuple[str | Slot, ...]

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The slots that members fill."""
        return tuple(part for part in self.parts if isinstance(part, Slot))

    @property
    def is_arn(self) -> bool:
        """Whether the member holds the whole ARN."""
        return len(self.parts) == 1 and isinstance(self.parts[0], Slot)

    @property
    def adds(self) -> bool:
        """Whether AWS adds characters of its own to the name (`secret:{SecretId}-??????`).

        A name can end just like what AWS adds, so such an ARN is not taken apart: it stands for itself.
        """
        return any(isinstance(part, str) and "?" in part for part in self.parts)


@lru_cache(maxsize=65536)
def parsed(text: str) -> Template:
    """Take a template apart; place names stay as `{partition}` and so on among the literals."""
    parts: list[str | Slot] = []
    at = 0
    for found in _SLOT.finditer(text):
        if found.start() > at:
            parts.append(text[at : found.start()])
        path = tuple(found[1].split("."))
        parts.append("{" + found[1] + "}" if found[1] in PLACE else Slot(path, found[2] or ""))
        at = found.end()
    if at < len(text):
        parts.append(text[at:])
    return Template(text, tuple(parts))


@dataclass(frozen=True, slots=True)
class Derived:
    """What can be said of an operation's resources from the models alone: templates, and the members that name the target."""

    templates: tuple[str, ...]
    identifies: tuple[str, ...]


def derived(service: str, model: OperationModel) -> Derived:
    """Templates for the kinds of resource that the operation's action acts on.

    A placeholder that no member fills is a `*`. A kind that AWS requires always gives a template, any other only if members
    fill it whole. The target is named by the members in templates of required kinds, else of all; those that must be there first.
    """
    shape = model.input_shape
    members: Mapping[str, Shape] = shape.members if shape is not None else {}
    needed = set(shape.required_members) if shape is not None else set()
    iam_action = iam.action(service, model)
    prefix = iam_action.partition(":")[0]
    if (base := iam.exceptions()["verbs"].get(service)) is not None and not iam_action.partition(":")[2][1:2].islower():
        made = [_path(model, members, base)]
        return _result(made, made, needed)
    required: list[str] = []
    others: list[str] = []
    for kind in iam.kinds(iam_action):
        for text, whole in _of_kind(prefix, kind, model, members):
            if kind.required:
                required.append(text)
            elif whole:
                others.append(text)
    return _result([*required, *others], required or others, needed)


def _result(templates: list[str], naming: list[str], needed: set[str]) -> Derived:
    used = [slot for text in naming for slot in parsed(text).slots if len(slot.path) == 1]
    names = list(dict.fromkeys(slot.member for slot in used))
    return Derived(tuple(dict.fromkeys(templates)), tuple([name for name in names if name in needed] or names[:1]))


def _of_kind(prefix: str, kind: Kind, model: OperationModel, members: Mapping[str, Shape]) -> Iterator[tuple[str, bool]]:
    arn = _arn_member(prefix, kind, members)
    for one in kind.formats:
        missing: list[str] = []
        free = dict(members)  # a member fills one placeholder: `stack/${StackName}/${Id}` is not `stack/x/x`

        def put(found: re.Match[str], missing: list[str] = missing, free: dict[str, Shape] = free) -> str:
            name = found[1]
            if name in ("Partition", "Region", "Account"):
                return "{" + name.lower() + "}"
            slot = _slot(prefix, kind.name, name, model, free)
            if slot is None:
                missing.append(name)
                return "*"
            free.pop(re.split(r"[.|]", slot)[0])
            return "{" + slot + "}"

        text = _PLACEHOLDER.sub(put, one)
        if arn is not None and (missing or not parsed(text).slots):
            yield "{" + arn + "}", True
        else:
            yield text, not missing and bool(parsed(text).slots)


def _slot(prefix: str, kind: str, name: str, model: OperationModel, members: Mapping[str, Shape]) -> str | None:
    table: Mapping[str, list[str]] = iam.exceptions()["names"].get(prefix, {})
    for path in table.get(f"{kind}/{name}", table.get(name, ())):
        if path == "-":
            return None
        if re.split(r"[.|]", path)[0] in members:
            return path
    for member, shape in members.items():
        if _named(shape) and _plain(member) == _plain(name):
            return member
    for member, shape in members.items():
        if _named(shape) and not _plain(member).endswith(("arn", "arns")) and _stem(member) in (_stem(name), _stem(kind)):
            return member
    needed = model.input_shape.required_members if model.input_shape is not None else []
    alike = [one for one in needed if one in members and _stem(one) and _stem(name).endswith(_stem(one)) and _named(members[one])]
    if len(alike) == 1 and not _plain(alike[0]).endswith(("arn", "arns")):
        return alike[0]
    # `DeleteFileSystem(Id)`, `DeleteCrawler(Name)`: the operation's own name says whose id it is.
    if _plain(model.name).endswith((_stem(name), _stem(kind))):
        for member in ("Id", "Name", "id", "name", "Identifier", "identifier"):
            if member in members and _named(members[member]):
                return member
    return None


def _arn_member(prefix: str, kind: Kind, members: Mapping[str, Shape]) -> str | None:
    """The member that holds the ARN of such a resource whole."""
    said: str | None = iam.exceptions()["holds"].get(prefix, {}).get(kind.name)
    if said in members:
        return said
    last = [name for one in kind.formats for name in _PLACEHOLDER.findall(one)[-1:]]
    stems = {_stem(kind.name), *(_stem(name) for name in last), "resource", ""}
    stems |= {_stem(part) for one in kind.formats for part in re.split(r"[:/]", one.split(":", 5)[-1])[:1] if "$" not in part}
    holding = [name for name, shape in members.items() if _plain(name).endswith(("arn", "arns")) and _named(shape)]
    whole = [name for name in holding if _stem(name) in stems]
    alike = [name for name in holding if any(stem.endswith(_stem(name)) for stem in stems)]
    return next(iter(whole or alike), None)


def _path(model: OperationModel, members: Mapping[str, Shape], base: str) -> str:
    """API Gateway: the path of the request, with the members in their places."""
    at = {shape.serialization.get("name", name): name for name, shape in members.items()}
    path = model.http["requestUri"].split("?")[0].removeprefix(base)
    filled = re.sub(r"\{(\w+)\+?\}", lambda found: "{" + at[found[1]] + "}" if found[1] in at else "*", path)
    return "arn:{partition}:apigateway:{region}::" + filled


def _named(shape: Shape) -> bool:
    return isinstance(shape, StringShape) or (isinstance(shape, ListShape) and isinstance(shape.member, StringShape))


@lru_cache(maxsize=16384)
def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower()).replace("identifier", "id")


@lru_cache(maxsize=16384)
def _stem(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return _ENDING.sub("", plain)
