"""YAML of a strict kind whose every value knows its line, so that an error can name the place.

Scalars are texts, decimal whole numbers, decimal fractions, true and false, and null. Whatever YAML 1.1 would guess beyond that
(`22:00` as a number of minutes, `012` as ten, `no` as false, a date as a date) stays the text that was written. A key that occurs
twice, a tag, and an alias that unfolds to too much are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import yaml

from approvals.policies.shapes import Path

DEEPEST: Final = 32
# A file of ten thousand guardrails has fewer; an alias of aliases has more.
MOST_VALUES: Final = 1_000_000
# Python refuses to read longer numbers; nothing here has one.
_DIGITS: Final = 400
_TEXT: Final = "tag:yaml.org,2002:str"
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FRACTION: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)")


class BadYaml(ValueError):
    """What is no YAML of this kind: `line` counts from 1, the text is a sentence's end, `path` leads to the value in question."""

    def __init__(self, said: str, line: int, path: Path = ()) -> None:
        super().__init__(said)
        self.line = line
        self.path = path


@dataclass(frozen=True, slots=True)
class Marked:
    """A value and the line (from 1) of everything in it, by path."""

    value: Any
    lines: dict[Path, int]

    def line(self, path: Path) -> int:
        """The line of a value, or of the nearest one around it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class _Loader(yaml.SafeLoader):
    """Composes nodes without guessing: every plain scalar is a text until `_scalar` reads it."""


_Loader.yaml_implicit_resolvers = {}


def load(text: str) -> Marked:
    """Read one YAML document. Raises BadYaml."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(part for part in (error.context, error.problem) if part)
        raise BadYaml(f"is no YAML: {said}", mark.line + 1 if mark else 1) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise BadYaml(f"is no YAML: the character {error.character!r} may not stand in it", line) from error
    except yaml.YAMLError as error:
        raise BadYaml(f"is no YAML: {error}", 1) from error
    except RecursionError as error:
        raise BadYaml("is nested too deeply", 1) from error
    lines: dict[Path, int] = {}
    return Marked(_value(node, (), lines) if node is not None else None, lines)


def _value(node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    if len(path) > DEEPEST or len(lines) > MOST_VALUES:
        raise BadYaml("is nested too deeply, or unfolds to too much", line, path)
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        return [_value(item, (*path, index), lines) for index, item in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
        return _mapping(node, path, lines)
    if isinstance(node, yaml.ScalarNode) and node.tag == _TEXT:
        return _scalar(node)
    raise BadYaml(f"has the tag {node.tag}, which is not read here", line, path)


def _mapping(node: yaml.MappingNode, path: Path, lines: dict[Path, int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, item in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag != _TEXT:
            raise BadYaml("has a key that is no text", line, path)
        name = str(key.value)
        if name in found:
            raise BadYaml(f"has the key {name!r} twice", line, path)
        lines[(*path, name)] = line
        found[name] = _value(item, (*path, name), lines)
    return found


def _scalar(node: yaml.ScalarNode) -> Any:
    text = node.value
    if node.style is not None:  # in quotes, or a block of text
        return text
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text) if len(text) <= _DIGITS else text
    return float(text) if _FRACTION.fullmatch(text) else text
