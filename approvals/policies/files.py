"""Guardrails as code: a YAML file to rules, with every error at its file, line and field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from approvals.errors import BadGuardrail, BadGuardrailFile, Problem
from approvals.policies import marked, schema
from approvals.policies.marked import BadYaml, Marked
from approvals.policies.reading import dotted, rules_from
from approvals.policies.rules import Rules
from approvals.policies.shapes import Choice, Field, ListOf, Misfit, Object, Path


@dataclass(frozen=True, slots=True)
class GuardrailFile:
    """A file that was read: the rules in its order, and the line of everything in it."""

    name: str
    rules: tuple[Rules, ...]
    marks: Marked

    def line(self, index: int, path: Path = ()) -> int:
        """The line of a guardrail (counted from 0), or of a field of it."""
        return self.marks.line(("guardrails", index, *path))


# What surrounds the guardrails; each of those is read by itself, so that one error does not hide the others.
_AROUND = Object(
    {
        "schema": Field(Choice((schema.FILE_SCHEMA,)), "the version of this format", needed=True),
        "guardrails": Field(ListOf(Object({}), what="guardrail"), "the guardrails", needed=True),
    }
)


def read(text: str, name: str) -> GuardrailFile:
    """Read a guardrails file; `name` stands in the messages. Raises BadGuardrailFile with every problem that was found."""
    try:
        marks = marked.load(text)
    except BadYaml as error:
        raise BadGuardrailFile([Problem(name, error.line, dotted(error.path), f"this {error}.")]) from error
    problems: list[Problem] = []
    rules: list[Rules] = []
    for index, item in enumerate(_items(marks.value, name, marks, problems)):
        try:
            rules.append(rules_from(item))
        except BadGuardrail as error:
            path = ("guardrails", index, *error.path)
            problems.append(Problem(name, marks.line(path), dotted(path), str(error)))
    first: dict[str, int] = {}
    for index, one in enumerate(rules if not problems else []):
        if one.name in first:
            path = ("guardrails", index, "name")
            said = f"Guardrail {one.name} stands in line {marks.line(('guardrails', first[one.name]))} already."
            problems.append(Problem(name, marks.line(path), dotted(path), said))
        first.setdefault(one.name, index)
    if problems:
        raise BadGuardrailFile(problems)
    return GuardrailFile(name, tuple(rules), marks)


def _items(value: Any, name: str, marks: Marked, problems: list[Problem]) -> list[Any]:
    """The guardrails of the file, whatever each may be."""
    found = value.get("guardrails") if isinstance(value, dict) else None
    around = {**value, "guardrails": [{}] * len(found)} if isinstance(value, dict) and isinstance(found, list) else value
    try:
        _AROUND.check(around, ())
    except Misfit as error:
        field = dotted(error.path)
        said = f"{field or 'the file'} {error}." if str(error) != "unknown field" else f"there is no field {field}."
        problems.append(Problem(name, marks.line(error.path), field, said))
    return found if isinstance(found, list) else []
