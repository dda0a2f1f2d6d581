"""The pages on which something is asked for or taken back: file, complete, withdraw, disown."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone

from approvals import decisions
from approvals.decisions import checks
from approvals.errors import BadParameters, CountersignError, NothingMatches, UnknownOperation
from approvals.models import Account
from approvals.operations import catalog
from approvals.operations.catalog import Operation
from approvals.states import RequestState
from portal import form_data, operation_form, refusals
from portal.form_data import ROOT, Reading
from portal.listing import url_of
from portal.scene import Scene
from portal.viewer import Viewer


def file(http: HttpRequest, viewer: Viewer, frame: dict[str, Any]) -> HttpResponse:
    """Choose account, region and operation; then fill in the operation's own form. GET chooses, POST files."""
    given = http.POST if http.method == "POST" else http.GET
    chosen = {"place": given.get("place", ""), "operation": given.get("operation", "")}
    context = {**frame, "title": "File a request", "places": _places(), "operations": catalog.curated(), "chosen": chosen}
    if not chosen["operation"]:
        return TemplateResponse(http, "portal/choose.html", context)
    try:
        operation = catalog.get(chosen["operation"])
    except UnknownOperation as error:
        return TemplateResponse(http, "portal/choose.html", {**context, "errors": {"operation": [str(error)]}}, status=400)
    if http.method != "POST":
        return _operation_page(http, context, operation, {})
    data, problems = _posted(http)
    changed = _rows_changed(http, data)
    if changed is not None:
        return _operation_page(http, context, operation, changed)
    reading = form_data.read(operation.model.input_shape, data)
    problems = _merged(problems, reading.problems)
    account_id, _, region = chosen["place"].partition("/")
    if not problems:
        try:
            request = decisions.file(
                viewer.person, account_id=account_id, region=region, operation=operation.full_name, parameters=reading.parameters
            )
        except BadParameters as error:
            problems = _laid(error, reading)
        except NothingMatches as error:
            return _operation_page(http, context, operation, data, problems=_about_target(operation, error), status=409)
        else:
            messages.success(http, "The draft is filed. Read it once more, then confirm and sign it.")
            return HttpResponseRedirect(url_of(request))
    return _operation_page(http, context, operation, data, problems=problems, status=400)


def complete(scene: Scene) -> HttpResponse:
    """Enter or edit the parameters: the next revision."""
    checks.must_be_editable(scene.request, scene.person, timezone.now())
    revision = scene.request.current_revision()
    operation = catalog.get(scene.request.operation)
    shape = operation.model.input_shape
    context = {**scene.frame, "title": "Complete the parameters", "asked": scene.request, "back": url_of(scene.request)}
    context |= {"revision": revision, "voids": scene.request.state == RequestState.PENDING}
    if scene.http.method != "POST":
        return _operation_page(scene.http, context, operation, form_data.written(shape, revision.draft_steps[0]["parameters"]))
    data, problems = _posted(scene.http)
    number = scene.http.POST.get("revision", "")
    context["seen"] = number
    changed = _rows_changed(scene.http, data)
    if changed is not None:
        return _operation_page(scene.http, context, operation, changed)
    reading = form_data.read(shape, data)
    problems = _merged(problems, reading.problems)
    if problems:
        return _operation_page(scene.http, context, operation, data, problems=problems, status=400)
    try:
        seen = int(number) if number.isdecimal() and len(number) < 10 else 0
        made = decisions.complete(scene.request.pk, scene.person, parameters=reading.parameters, number=seen)
    except BadParameters as error:
        return _operation_page(scene.http, context, operation, data, problems=_laid(error, reading), status=400)
    except NothingMatches as error:
        return _operation_page(scene.http, context, operation, data, problems=_about_target(operation, error), status=409)
    except CountersignError as error:
        status = int(refusals.status_of(error))
        return _operation_page(scene.http, context, operation, data, said=str(error), status=status)
    return scene.done(f"Revision {made.number} is the plan now. Read it once more, then confirm and sign it.")


def withdraw(scene: Scene) -> HttpResponse:
    """The requester no longer wants it. GET asks, POST does."""
    checks.must_be_endable(scene.request, scene.person, RequestState.WITHDRAWN)
    if scene.http.method != "POST":
        return scene.page("portal/end.html", "Withdraw this request", verb="withdraw")
    decisions.withdraw(scene.request.pk, scene.person, reason=scene.http.POST.get("reason", "").replace("\0", ""))
    return scene.done("Withdrawn. Nothing will be done.")


def disown(scene: Scene) -> HttpResponse:
    """The call was not the requester's. GET asks, POST closes the request and raises an alert."""
    checks.must_be_endable(scene.request, scene.person, RequestState.DISOWNED)
    if scene.http.method != "POST":
        return scene.page("portal/end.html", "This was not me", verb="disown")
    decisions.disown(scene.request.pk, scene.person)
    return scene.done("The request is closed and the administrators are alerted: somebody may hold your key.")


def _places() -> list[tuple[str, str]]:
    return [
        (f"{account.pk}/{region}", f"{account.alias} ({account.pk}), {region}")
        for account in Account.objects.order_by("alias")
        for region in account.regions
    ]


def _posted(http: HttpRequest) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The operation's fields of a POST. A name that came twice is refused: which one was shown could not be said."""
    data: dict[str, str] = {}
    problems: dict[str, list[str]] = {}
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


def _laid(error: BadParameters, reading: Reading) -> dict[str, list[str]]:
    """The error's messages by the names of form fields; `account`, `region` and `operation` keep theirs."""
    laid: dict[str, list[str]] = {}
    for path, messages_ in error.fields.items():
        own = {"account": "place", "region": "place", "operation": "operation"}.get(path)
        place = own if own and path not in reading.places else reading.place_of(path)
        laid.setdefault(place, []).extend(messages_)
    return laid


def _about_target(operation: Operation, error: NothingMatches) -> dict[str, list[str]]:
    """That nothing protects the call is most often a slip in the target's name, so it is said beside it."""
    return {f"{ROOT}.{name}": [str(error)] for name in operation.facts.identifies[:1]} or {ROOT: [str(error)]}


def _merged(one: dict[str, list[str]], other: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: [*one.get(name, []), *other.get(name, [])] for name in {*one, *other}}


def _operation_page(
    http: HttpRequest,
    context: dict[str, Any],
    operation: Operation,
    data: dict[str, str],
    *,
    problems: dict[str, list[str]] | None = None,
    said: str = "",
    status: int = 200,
) -> HttpResponse:
    problems = problems or {}
    fields = operation_form.fields_of(operation, data, problems)
    general = [*problems.get(ROOT, []), *([said] if said else [])]
    # The place of an error is named by the path that the field shows as its label, and leads there.
    wrong = [(name[len(ROOT) + 1 :], operation_form.id_of(name)) for name in problems if name.startswith(f"{ROOT}.")]
    about = {"operation": operation, "fields": fields, "general": general, "errors": problems, "wrong": wrong}
    about["about"] = operation_form.plain(operation.model.documentation)
    return TemplateResponse(http, "portal/operation.html", {**context, **about}, status=status)
