"""What can be wrong with the facts of a row that say what a call protects and what takes it back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from botocore.model import OperationModel, Shape, StringShape

from approvals.operations import catalog, derived
from approvals.operations.facts import Facts, Protects, Row, rows, with_row
from tests.approvals.operations.row_checks import PLACEHOLDER, READING, full_name, model_of, over, state_of, unfit
from tests.approvals.operations.row_expressions import Bad, Literal, Made, Many, resolved


def problems(name: str, row: Row | None = None) -> list[str]:
    """Everything wrong with what the row of this full name (or another in its place) protects, and its ways back, in words."""
    operation = catalog.get(name)
    facts = with_row(derived.facts(operation.service, operation.model), row) if row is not None else operation.facts
    protects = _protects(name, facts.protects, facts, operation.model) if facts.protects is not None else ()
    return [*protects, *_reverses(facts, operation.model)]


def _protects(name: str, found: Protects, facts: Facts, model: OperationModel) -> Iterator[str]:
    if found.itself == bool(found.losses):
        yield "protects: either itself or from the losses of others"
    if found.itself and not (found.when and facts.irreversible):
        yield "protects: itself, and nothing says when, or nothing is lost"
    if found.when:
        yield from over("protects: when", found.when, model.input_shape)
    for loss, target in found.losses.items():
        yield from _loss(name, loss, target, model)
    yield from _backup(name, found, model)


def _backup(name: str, found: Protects, model: OperationModel) -> Iterator[str]:
    backup = found.backup
    reader = model_of(*full_name(name.partition(":")[0], backup.operation))
    if reader is None or not READING.match(reader.name):
        yield f"protects: {backup.operation} is no reading operation"
        return
    given = Made({**_input(model), **({"answer": model.output_shape} if model.output_shape is not None else {})})
    yield from _parameters(f"protects: {backup.operation}", backup.parameters, reader, given)
    try:
        state = resolved(backup.result, reader.output_shape)
    except Bad as error:
        yield f"protects: result: {error}"
        return
    for value in (backup.value, *backup.failed):
        yield from over("protects: usable", backup.usable, state, value, judged=True)
    told = set(PLACEHOLDER.findall(backup.made)) - {"partition", "region", "account"} if backup.made.startswith("arn:") else ()
    for expression in told or ([backup.made] if backup.made else []):
        yield from over("protects: made", expression, state)
    for ours, theirs in backup.same.items():
        yield from over("protects: same", ours, state)
        for loss in found.losses.keys() & rows().keys():
            lost = catalog.get(loss)
            yield from over(f"protects: same of {loss}", theirs, state_of(lost.model, lost.facts))


def _loss(name: str, loss: str, target: Mapping[str, str | None], model: OperationModel) -> Iterator[str]:
    row = rows().get(loss)
    if row is None or not row["irreversible"]:
        yield f"protects: {loss} has no row, or can be undone"
        return
    lost = catalog.get(loss)
    if not any(theirs is not None for theirs in target.values()):
        yield f"protects: nothing names the target of {loss}"
    named = {theirs for theirs in target.values() if theirs is not None}
    if not named <= set(lost.facts.identifies) & lost.required:
        yield f"protects: {loss} is told by {', '.join(lost.facts.identifies)}, and by what it cannot leave out"
    for ours, theirs in target.items():
        if not isinstance(_input(model).get(ours), StringShape):
            yield f"protects: no member {ours} that is a string"
        if theirs is not None and not isinstance(lost.members.get(theirs), StringShape):
            yield f"protects: {loss} has no member {theirs} that is a string"
    if not any(name == ready.operation for ready in lost.facts.before):
        yield f"protects: {name} is not offered ready made in front of {loss}"


def _reverses(facts: Facts, model: OperationModel) -> Iterator[str]:
    for reverse in facts.reverse:
        given = Made(
            {
                "call": Made(_input(model)),
                "answer": model.output_shape,
                "made": None,
                "backup": None,
                "before": state_of(model, facts),
            }
        )
        if not re.fullmatch(r"[^a-z\s].*\.", reverse.lost, re.DOTALL):
            yield f"reverse: lost is no sentence: {reverse.lost!r}"
        if not re.fullmatch(r"[A-Z].*[^.\s]", reverse.title):
            yield f"reverse: title is to be words without a full stop: {reverse.title!r}"
        if reverse.when:
            yield from over("reverse: when", reverse.when, given)
        if not reverse.steps:
            yield "reverse: no step"
        for name in sorted(set(reverse.of) - _input(model).keys()):
            yield f"reverse: of: no member {name}"
        for index, (operation, parameters) in enumerate(reverse.steps):
            made = model_of(*full_name("", operation))
            if made is None:
                yield f"reverse: there is no operation {operation}"
            else:
                yield from _parameters(f"reverse: {operation}", parameters, made, given, whole=False)
                entered = set(reverse.enters) if index == 0 else set()
                for name in sorted(entered & parameters.keys() | entered - _input(made).keys()):
                    yield f"reverse: {name} is entered, and is filled already or no member"


def _input(model: OperationModel) -> Mapping[str, Shape]:
    return model.input_shape.members if model.input_shape is not None else {}


def _parameters(where: str, given: Mapping[str, str], asked: OperationModel, over: Made, *, whole: bool = True) -> Iterator[str]:
    """Problems of expressions that make an operation's parameters; `whole`: nothing that it needs may be left out."""
    members, shape = _input(asked), asked.input_shape
    for name in sorted(set(shape.required_members if shape is not None and whole else ()) - given.keys()):
        yield f"{where}: it needs {name}"
    for name, expression in given.items():
        if name not in members:
            yield f"{where}: it has no member {name}"
            continue
        try:
            found = resolved(expression, over)
        except Bad as error:
            yield f"{where}: {name}: {error}"
            continue
        kind = {Many: "list", Made: "structure"}.get(type(found)) or getattr(found, "type_name", None)
        if kind is not None and kind != members[name].type_name:
            yield f"{where}: {name} is a {members[name].type_name}, and {expression} gives a {kind}"
        elif isinstance(found, Literal) and found.value is not None and (wrong := unfit(members[name], found.value)):
            yield f"{where}: {name}: {wrong}"
