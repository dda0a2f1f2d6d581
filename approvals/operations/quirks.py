"""How CloudTrail deviates from botocore's models, as data (`data/quirks.json`), and the questions that are asked of it.

The file's sections, whose scopes are `service:Operation`, `service` or `*`:
- `events`: eventName -> operation, where they are called differently;
- `aliases`: key -> members; `items`: what one item of a set is called -> list members;
- `noise`, `markers`: keys that no caller sent; `added`: keys that the service adds to what was sent;
- `lifted`: a key whose content, or single item, belongs one level up; `moved`: key -> path of the member;
- `values`: member -> value as recorded -> value as boto3 takes it;
- `silent`: members that are left out without a sign; `instead`: what a call may have in the place of such a member;
  `marked`: services that write a marker where they hide a value; `emptied`: services that write an empty text there;
  `recorded`: members that are recorded although botocore calls them sensitive;
- `documents`: names of texts that may be recorded as objects; `xml`: services whose requests are XML or a query.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any, Final

_HIDDEN: Final = re.compile(
    r"\*{3,}|\*{2,}\s*[\[(<{]?\s*(?:omitted|redacted|hidden|sensitive|masked)\w*\s*[\])>}]?\s*\**"
    r"|[<\[({]\s*(?:sensitive[ _-]?data[ _-]?removed|removed|redacted|hidden|omitted|masked|value[ _-]hidden)[^<>]{0,40}[>\])}]"
    r"|(?:value[ _])?hidden[ _](?:due[ _]to|for|because[ _]of)[ _]\w{1,30}[ _]reasons\.?|REDACTED|SENSITIVE_DATA_REMOVED|\.{3}"
    r"|[Xx]{8,}",
    re.IGNORECASE,
)
# What publishers of records put in the place of a part: `[ACCOUNT_ID_REDACTED]`, `"<Redacted>"`.
_BRACKETED: Final = re.compile(r"[<\[({*][\w -]{0,40}redacted[\w -]{0,40}[>\])}*]", re.IGNORECASE)
# A document with one of these inside is not what was sent either.
_UNMISTAKABLE: Final = (
    "HIDDEN_DUE_TO_SECURITY_REASONS",
    "HIDDEN_FOR_SECURITY_REASONS",
    "***OMITTED***",
    "<sensitiveDataRemoved>",
    "***(Redacted)",
)


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(resources.files("approvals.operations.data").joinpath("quirks.json").read_text("utf-8"))
    return found


@lru_cache(maxsize=1)
def _xml() -> frozenset[str]:
    return frozenset(_data()["xml"])


def hidden(value: Any) -> bool:
    """Whether CloudTrail, the service, or whoever published the record, wrote this in place of a value, or of a part of it."""
    if not isinstance(value, str) or len(value) < 3:
        return False
    if len(value) <= 80 and _HIDDEN.fullmatch(value.strip()) is not None:
        return True
    if any(marker in value for marker in _UNMISTAKABLE) or ("****" in value and len(value) <= 256):
        return True
    return "redacted" in value.lower() and _BRACKETED.search(value) is not None


def hollow(value: Any) -> bool:
    """Whether nothing but its frame is left of a value: what a service hides, it may empty instead of leaving out."""
    return value in (None, {}, [], "") or (isinstance(value, dict) and all(hollow(item) for item in value.values()))


def without_marks(value: Any) -> Any:
    """The value without what CloudTrail wrote in place of something: nobody may take a mark for the value."""
    if isinstance(value, dict):
        return {name: without_marks(item) for name, item in value.items() if not is_mark(item)}
    if isinstance(value, list):
        return [without_marks(item) for item in value if not is_mark(item)]
    return value


def is_mark(value: Any) -> bool:
    """Whether a text, or the octets of one, stand in place of a value."""
    return hidden(value.decode("utf-8", "replace") if isinstance(value, bytes) else value)


def is_xml(service: str) -> bool:
    """Whether the service's requests are written in XML or as a query: one element and a list of one look the same there."""
    return service in _xml()


def renamed_event(service: str, name: str) -> tuple[str, ...]:
    """Operations that this event is called differently from."""
    found = _data()["events"].get(service, {}).get(name)
    return (found,) if found else ()


@lru_cache(maxsize=4096)
def event_names(service: str, operation: str) -> tuple[str, ...]:
    """What else than its own name the operation's events are called."""
    return tuple(name for name, meant in _data()["events"].get(service, {}).items() if meant == operation)


@lru_cache(maxsize=4096)
def _aliases(service: str, operation: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for scope in ("*", service, f"{service}:{operation}"):
        for key, names in _data()["aliases"].get(scope, {}).items():
            found[key.lower()] = (*([names] if isinstance(names, str) else names), *found.get(key.lower(), ()))
    return found


def aliases(service: str, operation: str, key: str) -> tuple[str, ...]:
    """Members that this key may mean."""
    return _aliases(service, operation).get(key.lower(), ())


@lru_cache(maxsize=4096)
def _keys(section: str, service: str, operation: str) -> frozenset[str]:
    scopes = ("*", service, f"{service}:{operation}")
    return frozenset(key.lower() for scope in scopes for key in _data()[section].get(scope, ()))


def noise(service: str, operation: str, key: str, value: Any) -> bool:
    """Whether the key is none of the call's: transport, or an empty marker of a sub-resource."""
    low = key.lower()
    if low in _keys("noise", service, operation):
        return True
    # Older records of S3 list even what is nothing.
    return value in ("", [""]) and low in _keys("markers", service, operation)


def added(service: str, operation: str, key: str) -> bool:
    """Whether the service is known to add this key to what was sent. Asked only of a key that no member has."""
    return key.lower() in _keys("added", service, operation)


def item_members(service: str, key: str) -> tuple[str, ...]:
    """List members that a set whose items have this one key may be."""
    return tuple(_data()["items"].get(service, {}).get(key.lower(), ()))


def lifted(service: str, operation: str, key: str) -> bool:
    """Whether what the key holds belongs one level up."""
    return key.lower() in _keys("lifted", service, operation)


def moved(service: str, operation: str) -> Mapping[str, str]:
    """Recorded key -> dotted path of the member that it is."""
    found: dict[str, str] = _data()["moved"].get(f"{service}:{operation}", {})
    return found


def value(service: str, operation: str, path: str, recorded: Any) -> Any:
    """The value as boto3 takes it, where a service records another spelling of it."""
    known = _data()["values"].get(f"{service}:{operation}", {}).get(path)
    return known.get(recorded, recorded) if known and isinstance(recorded, str) else recorded


@lru_cache(maxsize=4096)
def silent(service: str, operation: str) -> tuple[str, ...]:
    """Members (dotted paths) that CloudTrail is known to leave out without a sign."""
    found: list[str] = _data()["silent"].get(f"{service}:{operation}", [])
    return tuple(found)


def instead(service: str, operation: str, path: str) -> tuple[str, ...]:
    """Members that a call has in the place of this one, so that it had none where one of them is recorded."""
    found: list[str] = _data()["instead"].get(f"{service}:{operation}", {}).get(path, [])
    return tuple(found)


def marked(service: str) -> bool:
    """Whether the service is known to write a marker where it hides a value, so that no marker means no value."""
    return service in _data()["marked"]


@lru_cache(maxsize=1024)
def empties(service: str) -> bool:
    """Whether the service is known to write an empty text where it hides one."""
    return service in _data()["emptied"]


def is_document(name: str) -> bool:
    """Whether a text member of this name holds JSON that CloudTrail may record as an object."""
    return re.search(_data()["documents"], name, re.IGNORECASE) is not None


def unwrapped(service: str, operation: str, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """The top-level keys with those inside `CreateLaunchTemplateRequest` or `createRestApiInput` beside them."""
    found: dict[str, Any] = {}
    for key, item in recorded.items():
        if is_wrapper(operation, key, item):
            found |= item or {}
        else:
            found[key] = item
    return found


def is_wrapper(operation: str, key: str, value: Any) -> bool:
    """Whether this key wraps the whole request."""
    low = key.lower()
    return low in (f"{operation.lower()}request", f"{operation.lower()}input") and (value == "" or isinstance(value, dict))


def recorded(service: str, operation: str, name: str) -> bool:
    """Whether a member that botocore calls sensitive, or a blob, is known to be recorded as it was sent."""
    return name.lower() in _keys("recorded", service, operation)
