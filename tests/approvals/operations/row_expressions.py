"""What a JMESPath expression gives when it is applied to a botocore shape: a field that the shape lacks is found without AWS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jmespath
from botocore.model import ListShape, MapShape, StringShape, StructureShape
from jmespath.exceptions import JMESPathError

BOOLEAN: Final = object()
NUMBER: Final = object()
# What comes out: a Shape, Many, Made, Literal, BOOLEAN, NUMBER, or None where nothing can be told.
Found = Any
Node = Mapping[str, Any]


# Values that AWS answers with although botocore's enum has others, by the shape's name.
ANSWERED_OTHERWISE: Final[Mapping[str, frozenset[str]]] = {
    "State": frozenset({"available", "deleted"}),  # EC2's VPC endpoints: the model has capitals, the wire has none
    "AttachmentStatus": frozenset({"available"}),  # EC2's internet gateways, by the API reference
}


class Bad(Exception):
    """The expression does not fit the shape, in words."""


@dataclass(frozen=True)
class Many:
    """A list of these."""

    of: Found


@dataclass(frozen=True)
class Made:
    """An object that the expression itself puts together."""

    members: Mapping[str, Found]


@dataclass(frozen=True)
class Literal:
    """A value that stands in the expression."""

    value: Any


def resolved(expression: str, shape: Found) -> Found:
    """What the expression gives over this shape. Raises Bad when it does not parse or names what is not there."""
    try:
        tree = jmespath.compile(expression).parsed
    except JMESPathError as error:
        raise Bad(f"{expression!r} is no JMESPath: {error}") from error
    return _node(tree, shape)


def allowed(shape: StringShape) -> frozenset[str]:
    """The values that AWS gives a string with an enum."""
    return frozenset(shape.enum) | ANSWERED_OTHERWISE.get(shape.name, frozenset())


def _node(node: Node, shape: Found) -> Found:
    return _NODES[node["type"]](node, shape)


def _field(node: Node, shape: Found) -> Found:
    name = node["value"]
    if shape is None:
        return None
    if isinstance(shape, MapShape):
        return shape.value
    if isinstance(shape, StructureShape | Made) and name in shape.members:
        return shape.members[name]
    raise Bad(f"no field {name} in {getattr(shape, 'name', shape)}")


def _chain(node: Node, shape: Found) -> Found:
    for child in node["children"]:
        shape = _node(child, shape)
    return shape


def _element(shape: Found) -> Found:
    if shape is None:
        return None
    if isinstance(shape, ListShape):
        return shape.member
    if isinstance(shape, Many):
        return shape.of
    raise Bad(f"{getattr(shape, 'name', shape)} is no list")


def _projection(node: Node, shape: Found) -> Found:
    left, right, *condition = node["children"]
    element = _element(_node(left, shape))
    for one in condition:
        _node(one, element)
    return Many(_node(right, element))


def _values(node: Node, shape: Found) -> Found:
    left, right = node["children"]
    found = _node(left, shape)
    return Many(_node(right, found.value if isinstance(found, MapShape) else None))


def _flatten(node: Node, shape: Found) -> Found:
    element = _element(_node(node["children"][0], shape))
    return Many(_element(element) if isinstance(element, ListShape | Many) else element)


def _either(node: Node, shape: Found) -> Found:
    first, second = (_node(child, shape) for child in node["children"])
    return second if first is None or isinstance(first, Literal) else first


def _not(node: Node, shape: Found) -> Found:
    _node(node["children"][0], shape)
    return BOOLEAN


def _comparison(node: Node, shape: Found) -> Found:
    left, right = (_node(child, shape) for child in node["children"])
    _one_of(left, right)
    _one_of(right, left)
    return BOOLEAN


def _one_of(shape: Found, literal: Found) -> None:
    if isinstance(shape, StringShape) and shape.enum and isinstance(literal, Literal):
        wanted = literal.value if isinstance(literal.value, list) else [literal.value]
        if strange := [value for value in wanted if value is not None and value not in allowed(shape)]:
            raise Bad(f"{shape.name} is never {', '.join(map(repr, strange))}")


def _list(node: Node, shape: Found) -> Found:
    found = [_node(child, shape) for child in node["children"]]
    if all(isinstance(one, Literal) for one in found):
        return Literal([one.value for one in found])
    return Many(found[0])


def _dict(node: Node, shape: Found) -> Found:
    return Made({child["value"]: _node(child["children"][0], shape) for child in node["children"]})


def _function(node: Node, shape: Found) -> Found:
    plain = [child for child in node["children"] if child["type"] != "expref"]
    arguments = [_node(child, shape) for child in plain]
    for child in node["children"]:
        if child["type"] == "expref":
            _node(child["children"][0], _element(arguments[0]))
    name = node["value"]
    if name == "contains":
        _one_of(arguments[1], arguments[0])
        _one_of(_element(arguments[0]) if isinstance(arguments[0], ListShape | Many) else None, arguments[1])
        return BOOLEAN
    if name in ("sort_by", "sort", "reverse"):
        return arguments[0]
    return {"length": NUMBER, "starts_with": BOOLEAN, "ends_with": BOOLEAN}.get(name)


_NODES: Final[Mapping[str, Callable[[Node, Found], Found]]] = {
    "field": _field,
    "subexpression": _chain,
    "pipe": _chain,
    "index_expression": _chain,
    "index": lambda _, shape: _element(shape),
    "slice": lambda _, shape: Many(_element(shape)),
    "projection": _projection,
    "filter_projection": _projection,
    "value_projection": _values,
    "flatten": _flatten,
    "comparator": _comparison,
    "or_expression": _either,
    "and_expression": lambda node, shape: [_node(child, shape) for child in node["children"]][-1],
    "not_expression": _not,
    "literal": lambda node, _: Literal(node["value"]),
    "current": lambda _, shape: shape,
    "identity": lambda _, shape: shape,
    "multi_select_list": _list,
    "multi_select_dict": _dict,
    "function_expression": _function,
}
