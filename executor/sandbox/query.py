"""Parameters of the AWS Query and EC2 protocols: a flat form read back into the structure of an operation's input shape.

Sources: Smithy, "AWS Query protocol", "Query key resolution", and "AWS EC2 query protocol". In Query, lists are
`Name.member.N` or flattened `Name.N`, maps `Name.entry.N.key` and `.value`; in EC2 every list is `Name.N` and names have a
capital first letter or a `queryName` of their own. SQS left its traits behind when it changed protocol, so the names that
its older clients write are read too: the singular (`Attribute.N.Name`, `Tag.N.Key`) or the name of the element.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from executor.sandbox.values import Unreadable, from_text

Form = Mapping[str, str]


@dataclass
class Branch:
    """A form as a tree, `A.1.B=x` being a branch of a branch of a branch with the text `x`."""

    text: str | None = None
    inside: dict[str, "Branch"] = field(default_factory=dict)


def grown(form: Form) -> Branch:
    """The tree of a form."""
    root = Branch()
    for name, text in form.items():
        branch = root
        for part in name.split("."):
            branch = branch.inside.setdefault(part, Branch())
        branch.text = text
    return root


def read_query(shape: StructureShape, form: Form) -> dict[str, Any]:
    """The members that a form of the Query protocol has, by their names in boto3; other names are left out."""
    return _structure(shape, grown(form), _query_names)


def read_ec2(shape: StructureShape, form: Form) -> dict[str, Any]:
    """The members that a form of the EC2 protocol has. Raises Unreadable for a blob or date that is none."""
    return _structure(shape, grown(form), _ec2_names)


def _query_names(name: str, member: Shape) -> list[str]:
    """The names under which a member may stand in a form, most likely first."""
    names = [member.serialization.get("name", name), name]
    if isinstance(member, ListShape):
        names += [member.member.serialization.get("name", name), member.member.name]
    if isinstance(member, ListShape | MapShape):
        names.append(name.removesuffix("s"))
    return list(dict.fromkeys(names))


def _ec2_names(name: str, member: Shape) -> list[str]:
    if "queryName" in member.serialization:
        return [member.serialization["queryName"]]
    wire = member.serialization.get("name")
    return [wire[:1].upper() + wire[1:] if wire else name]


def _structure(shape: StructureShape, branch: Branch, names: Any) -> dict[str, Any]:
    read: dict[str, Any] = {}
    taken: set[str] = set()
    # A member may stand under another's name only where that other has not taken it.
    for own in (True, False):
        for name, member in shape.members.items():
            for wire in names(name, member)[: 1 if own else None]:
                found = branch.inside.get(wire)
                if found is not None and name not in read and wire not in taken and _fits(member, found):
                    read[name] = _value(member, found, names)
                    taken.add(wire)
    return read


def _fits(shape: Shape, branch: Branch) -> bool:
    """A list or structure has something below its name, or an empty text; a scalar has a text."""
    if isinstance(shape, StructureShape | ListShape | MapShape):
        return bool(branch.inside) or branch.text == ""
    return branch.text is not None


def _value(shape: Shape, branch: Branch, names: Any) -> Any:
    if isinstance(shape, StructureShape):
        return _structure(shape, branch, names)
    if isinstance(shape, ListShape):
        return [_value(shape.member, element, names) for element in _elements(branch, shape.member)]
    if isinstance(shape, MapShape):
        return _map(shape, branch, names)
    return from_text(shape, branch.text or "")


def _map(shape: MapShape, branch: Branch, names: Any) -> dict[str, Any]:
    key_names = (shape.key.serialization.get("name", "key"), "key", "Name", "Key")
    value_names = (shape.value.serialization.get("name", "value"), "value", "Value")
    read = {}
    for entry in _elements(branch, None):
        key = next((entry.inside[name].text for name in key_names if name in entry.inside), None) or ""
        value = next((entry.inside[name] for name in value_names if name in entry.inside), Branch(""))
        if key in read:
            raise Unreadable(f"the key {key[:40]} of a map is there twice")
        read[key] = _value(shape.value, value, names)
    return read


def _elements(branch: Branch, member: Shape | None) -> list[Branch]:
    """The numbered elements of a list or map in their order, directly under its name or under a word between."""
    words = {"entry"} if member is None else {"member", member.serialization.get("name", "member"), member.name}
    numbered = [branch, *(branch.inside[word] for word in sorted(words & branch.inside.keys()))]
    found = [[(int(name), inner) for name, inner in one.inside.items() if name.isascii() and name.isdigit()] for one in numbered]
    given = [elements for elements in found if elements]
    if len(given) > 1 or any(len(dict(elements)) != len(elements) for elements in given):
        raise Unreadable("the elements of a list are there twice")
    return [element for _, element in sorted(given[0], key=lambda one: one[0])] if given else []
