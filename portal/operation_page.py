"""The page of one operation's form, and what its POST says. Shared by filing, editing a step and adding one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from approvals.errors import BadParameters, NothingMatches
from approvals.operations.catalog import Operation
from portal import form_data, operation_form
from portal.form_data import ROOT, Reading
from portal.sealer import Sealer

Problems = dict[str, list[str]]


@dataclass(slots=True)
class Posted:
    """What the fields of an operation's form said. `again` is the form after one of its own buttons was pressed."""

    operation: Operation
    data: dict[str, str]
    reading: Reading
    problems: Problems
    again: dict[str, str] | None

    def about_target(self, error: NothingMatches) -> Problems:
        """That nothing protects the call is most often a slip in the target's name, so it is said beside it."""
        return {f"{ROOT}.{name}": [str(error)] for name in self.operation.facts.identifies[:1]} or {ROOT: [str(error)]}

    def laid(self, error: BadParameters) -> Problems:
        """The error's messages by the names of form fields; `account`, `region` and `operation` keep theirs."""
        laid: Problems = {}
        for path, messages in error.fields.items():
            own = {"account": "place", "region": "place", "operation": "operation"}.get(path)
            place = own if own and path not in self.reading.places else self.reading.place_of(path)
            laid.setdefault(place, []).extend(messages)
        return laid


def posted(http: HttpRequest, operation: Operation, sealer: Sealer | None) -> Posted:
    """Read the operation's fields of a POST. What is secret among them is sealed here, and `data` holds nothing of it."""
    data, twice = _fields(http)
    reading = form_data.read(operation.model.input_shape, data, sealer)
    again = _rows_changed(http, reading.data)
    return Posted(operation, reading.data, reading, _merged(twice, reading.problems), again)


def page(
    http: HttpRequest,
    context: dict[str, Any],
    operation: Operation,
    data: dict[str, str],
    *,
    problems: Problems | None = None,
    said: str = "",
    status: int = 200,
) -> HttpResponse:
    """The form with what `data` says, each problem beside its field."""
    problems = problems or {}
    fields = operation_form.fields_of(operation, data, problems)
    general = [*problems.get(ROOT, []), *([said] if said else [])]
    # The place of an error is named by the path that the field shows as its label, and leads there.
    wrong = [(name[len(ROOT) + 1 :], operation_form.id_of(name)) for name in problems if name.startswith(f"{ROOT}.")]
    about = {"operation": operation, "fields": fields, "general": general, "errors": problems, "wrong": wrong}
    about["about"] = operation_form.plain(operation.model.documentation)
    return TemplateResponse(http, "portal/operation.html", {**context, **about}, status=status)


def _fields(http: HttpRequest) -> tuple[dict[str, str], Problems]:
    """The operation's fields of a POST. A name that came twice is refused: which one was shown could not be said."""
    data: dict[str, str] = {}
    problems: Problems = {}
    for name in http.POST:
        if name.startswith(f"{ROOT}."):
            values = http.POST.getlist(name)
            data[name] = values[-1].replace("\r\n", "\n")
            if len(values) > 1:
                problems.setdefault(name.partition(":")[0], []).append("This field came twice. Reload the page and begin again.")
    return data, problems


def _rows_changed(http: HttpRequest, data: dict[str, str]) -> dict[str, str] | None:
    """The form after a press of one of its own buttons (add, remove, unfold, close); None when it was sent to be saved."""
    if name := http.POST.get("add"):
        return form_data.with_row(data, name)
    if name := http.POST.get("remove"):
        return form_data.without_row(data, name)
    if name := http.POST.get("unfold"):
        return form_data.unfolded(data, name)
    if name := http.POST.get("close"):
        return form_data.closed(data, name)
    return None


def _merged(one: Problems, other: Problems) -> Problems:
    return {name: [*one.get(name, []), *other.get(name, [])] for name in {*one, *other}}
