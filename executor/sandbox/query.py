"""Parameters of the AWS Query protocol: a flat form read back into the nested structure of an operation's input shape.

Source: Smithy, "AWS Query protocol", "Query key resolution". Lists are `Name.member.N` or flattened `Name.N`, maps
`Name.entry.N.key` and `.value`. SQS left its traits behind when it changed protocol, so the names that its older clients
write are read too: the singular (`Attribute.N.Name`, `Tag.N.Key`) or the name of the element.
"""

import re
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

Form = dict[str, str]

_NUMBERED = re.compile(r"(?:[A-Za-z]+\.)?(\d+)(?:\.|$)")


def read_structure(shape: StructureShape, form: Form) -> dict[str, Any]:
    """The members of a structure that the form has, by their names in boto3. Names without a member are left out."""
    members: dict[str, Any] = {}
    for name, member in shape.members.items():
        for key in _keys(name, member):
            inside = _below(key, form)
            if inside:
                members[name] = _value(member, inside)
                break
    return members


def _keys(name: str, member: Shape) -> list[str]:
    """The names under which a member may stand in a form, most likely first."""
    keys = [member.serialization.get("name", name), name]
    if isinstance(member, ListShape):
        keys += [member.member.serialization.get("name", name), member.member.name]
    if isinstance(member, ListShape | MapShape):
        keys.append(name.removesuffix("s"))
    return list(dict.fromkeys(keys))


def _below(key: str, form: Form) -> Form:
    """What the form says of `key`: its value under the empty name, and everything under `key.`."""
    inside = {name[len(key) + 1 :]: value for name, value in form.items() if name.startswith(f"{key}.")}
    return inside | {"": form[key]} if key in form else inside


def _value(shape: Shape, inside: Form) -> Any:
    if isinstance(shape, StructureShape):
        return read_structure(shape, inside)
    if isinstance(shape, ListShape):
        return [_value(shape.member, element) for element in _elements(inside)]
    if isinstance(shape, MapShape):
        return _map(shape, inside)
    return _scalar(shape, inside.get("", ""))


def _map(shape: MapShape, inside: Form) -> dict[str, Any]:
    key_names = (shape.key.serialization.get("name", "key"), "key", "Name", "Key")
    value_names = (shape.value.serialization.get("name", "value"), "value", "Value")
    read = {}
    for entry in _elements(inside):
        key = next((entry[name] for name in key_names if name in entry), "")
        value = next((found for name in value_names if (found := _below(name, entry))), {})
        read[key] = _value(shape.value, value)
    return read


def _elements(inside: Form) -> list[Form]:
    """The numbered elements of a list or map, in their order, whatever word stands before the number."""
    numbered: dict[int, Form] = {}
    for name, value in inside.items():
        match = _NUMBERED.match(name)
        if match:
            numbered.setdefault(int(match.group(1)), {})[name[match.end() :]] = value
    return [numbered[number] for number in sorted(numbered)]


def _scalar(shape: Shape, text: str) -> Any:
    """Text as the shape's type; what does not convert stays text, moto or the service will complain of it."""
    try:
        if shape.type_name in ("integer", "long"):
            return int(text)
        if shape.type_name in ("float", "double"):
            return float(text)
    except ValueError:
        return text
    return text == "true" if shape.type_name == "boolean" else text
