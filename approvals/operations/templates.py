"""ARN templates: how the ARNs of what a call touches follow from its parameters.

A template is an ARN with slots. `{partition}`, `{region}` and `{account}` are those of the request; any other slot names a
member, or a path of members through structures and lists (`{Delete.Objects.Key}`), and takes its value; a list gives one ARN for
each item. `{QueueUrl|queue}` takes a part of the value (see `FILTERS`), `{Source|named}` only a name and `{Source|arn}` only an
ARN of a member that may hold either, and `{OptionGroupName|any}` stands for anything where the call leaves it to AWS. `*` and
`?` outside of slots stand for what the request does not tell (`secret:{SecretId}-??????`). A template that is one slot and
nothing else is a member that holds an ARN.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

PLACE: Final = ("partition", "region", "account")
SLOT: Final = re.compile(r"\{([\w.]+)(?:\|(\w+))?\}")
_QUEUE: Final = re.compile(r"https?://[^/]+/(?P<account>\d{12})/(?P<name>[\w-]+(?:\.fifo)?)", re.ASCII)
_VERSION: Final = re.compile(r"\?versionId=[^\s]+$")


def _last(value: str) -> str:
    return value.rsplit("/", 1)[-1]


def _bare(value: str) -> str:
    return value.removeprefix("/")


def _queue(value: str) -> str:
    found = _QUEUE.fullmatch(value)
    return found["name"] if found else value


def _secret(value: str) -> str:
    return value.partition(":secret:")[2]


def _named_only(value: str) -> str | None:
    return None if value.startswith("arn:") else value


def _arn_only(value: str) -> str | None:
    return value if value.startswith("arn:") else None


def _same(value: str) -> str:
    return value


def _scope(value: str) -> str:
    return {"REGIONAL": "regional", "CLOUDFRONT": "global"}.get(value, "")


def _copied(value: str) -> str:
    # botocore encodes it: what is typed is the key itself, with what botocore takes for a version (handlers.VERSION_ID_SUFFIX).
    path = _VERSION.sub("", value).removeprefix("/")
    return "" if path.startswith("arn:") else path


# `last`: what stands after the last slash (`/hostedzone/Z1`). `bare`: without a leading slash. `queue`: an SQS URL's queue.
# `secret`: what names a secret in its ARN, with what AWS added to it; nothing of a name that is no ARN. `scope`: how WAF spells
# it in ARNs. `copied`: the object of an S3 CopySource. None says that the member is given in another form.
FILTERS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "last": _last,
    "bare": _bare,
    "queue": _queue,
    "secret": _secret,
    "named": _named_only,
    "arn": _arn_only,
    "any": _same,
    "scope": _scope,
    "copied": _copied,
}


@dataclass(frozen=True, slots=True)
class Slot:
    """A member's place in a template: the path through the parameters, and the filter its value goes through ('' for none)."""

    path: tuple[str, ...]
    filter: str = ""

    @property
    def member(self) -> str:
        """The operation's member that the path begins with."""
        return self.path[0]

    @property
    def is_left_to_aws(self) -> bool:
        """Whether the call may leave it to AWS which one it is, so that it can be any where it is not given."""
        return self.filter == "any"


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
    for found in SLOT.finditer(text):
        if found.start() > at:
            parts.append(text[at : found.start()])
        path = tuple(found[1].split("."))
        parts.append("{" + found[1] + "}" if found[1] in PLACE else Slot(path, found[2] or ""))
        at = found.end()
    if at < len(text):
        parts.append(text[at:])
    return Template(text, tuple(parts))
