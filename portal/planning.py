"""The pages on which a plan is changed before it is signed: a step's form, another step, their order, ready-made steps.

Each change is a revision of its own, made by `decisions.complete` over the revision that the person saw. Steps are counted from
1 in addresses and fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from approvals import decisions
from approvals.decisions import checks
from approvals.decisions.steps import MOST_STEPS, Asked
from approvals.errors import BadParameters, CountersignError, NothingMatches, Refused, UnknownOperation
from approvals.models import Revision
from approvals.operations import catalog, words
from approvals.operations.catalog import Operation
from approvals.plan import Step
from approvals.states import RequestState
from portal import choosing, form_data, live_state, operation_page, ready, recorded, refusals
from portal.choosing import Place, Way
from portal.scene import Scene
from portal.sealer import Sealer

Change = Callable[[Asked], list[Asked]]


def complete(scene: Scene) -> HttpResponse:
    """Enter or edit the parameters of one step (the field `step`; without it the one that the request is about)."""
    checks.must_be_editable(scene.request, scene.person, timezone.now())
    revision = scene.request.current_revision()
    about = decisions.subject(scene.request, revision.steps) or 0
    index = _index(scene.field("step"), revision.steps, about)
    step = revision.steps[index]
    operation = catalog.get(step.name)
    several = len(revision.steps) > 1
    title = f"Edit step {index + 1}" if several else "Complete the parameters"
    context = _context(scene, revision, title) | {"save": "Save as the next revision", "fixed": {"step": index + 1}}
    if index == about:
        context["told"] = recorded.of(scene.request)
    if revision.text:
        context["step"] = {"ready": ready.made_for(revision.steps, index, _lives(revision)[index])}
    if scene.http.method != "POST":
        data = form_data.written(operation.model.input_shape, step.parameters)
        return operation_page.page(scene.http, context, operation, data)
    return _save(scene, context, operation, index, lambda asked: _replaced(_asked(revision.steps), index, asked))


def add(scene: Scene) -> HttpResponse:
    """Another step: choose service and operation, fill in its form. `at` is its place; `ready` prefills it from an offer."""
    checks.must_be_editable(scene.request, scene.person, timezone.now())
    revision = _whole(scene)
    steps = revision.steps
    at = _place_in(scene.field("at"), len(steps) + 1)
    place = Place(scene.request.account, scene.request.region)
    way = Way(reverse("admin:approvals_approvalrequest_add", args=[scene.request.pk]), {"at": str(at)})
    context = _context(scene, revision, f"Add a step, as step {at}") | {"lead": f"It becomes step {at} of the plan."}
    offered = ready.chosen(steps, _lives(revision), scene.field("ready"))
    wanted = scene.field("operation") or (offered[1].ready.operation if offered else "")
    if not wanted:
        return choosing.page(scene.http, context, way, place, errors={})
    try:
        operation = catalog.get(wanted)
    except UnknownOperation as error:
        return choosing.page(scene.http, context, way, place, errors={"operation": [str(error)]})
    fixed = {"at": at, "operation": operation.full_name}
    context |= {"save": "Add this step", "fixed": fixed, "choose_url": way.to(service=operation.service)}
    if scene.http.method != "POST":
        told = offered[1].steps[0].parameters if offered and offered[1].ready.operation == operation.full_name else {}
        data = form_data.written(operation.model.input_shape, told)
        return operation_page.page(scene.http, context, operation, data)
    return _save(scene, context, operation, at - 1, lambda asked: _inserted(_asked(steps), at - 1, [asked]))


def arrange(scene: Scene) -> HttpResponse:
    """The plan's steps with their buttons. POST `up`, `down` or `remove` a step, or put a `ready` made one in front of it."""
    checks.must_be_editable(scene.request, scene.person, timezone.now())
    revision = _whole(scene)
    if scene.http.method != "POST":
        return _plan_page(scene, revision)
    steps, post = revision.steps, scene.http.POST
    if value := post.get("ready"):
        return _put_in(scene, revision, value)
    for verb, change in (("up", _earlier), ("down", _later), ("remove", _without)):
        if verb in post:
            index = _index(post[verb], steps, -1)
            if index < 0:
                raise Refused("The plan has no such step. Open it again.")
            try:
                made = _complete(scene, change(_asked(steps), index))
            except (BadParameters, NothingMatches) as error:
                return _plan_page(scene, revision, problem=str(error), status=int(refusals.status_of(error)))
            messages.success(scene.http, f"Revision {made.number} is the plan now.")
            return HttpResponseRedirect(reverse("admin:approvals_approvalrequest_plan", args=[scene.request.pk]))
    raise Refused("Nothing was asked for. Press one of the page's buttons.")


def _put_in(scene: Scene, revision: Revision, value: str) -> HttpResponse:
    """Put the ready-made steps in front of theirs; where a person has to say something first, open their form."""
    found = ready.chosen(revision.steps, _lives(revision), value)
    if found is None:
        raise Refused("This ready-made step is not offered any more: the plan or the target has changed. Open the request again.")
    index, offered = found
    way = reverse("admin:approvals_approvalrequest_add", args=[scene.request.pk])
    if offered.missing:
        return HttpResponseRedirect(Way(way, {"at": str(index + 1), "ready": value}).to())
    try:
        made = _complete(scene, _inserted(_asked(revision.steps), index, _asked(offered.steps)))
    except BadParameters as error:
        operation = catalog.get(offered.ready.operation)
        context = _context(scene, revision, f"Add a step, as step {index + 1}") | {"save": "Add this step"}
        context["fixed"] = {"at": index + 1, "operation": operation.full_name}
        context["form_url"] = way
        data = form_data.written(operation.model.input_shape, offered.steps[0].parameters)
        problems = operation_page.Posted(operation, data, form_data.read(operation.model.input_shape, data), {}, None).laid(error)
        return operation_page.page(scene.http, context, operation, data, problems=problems, status=400)
    return scene.done(
        f"Revision {made.number} is the plan now: {offered.ready.title}. Read it once more, then confirm and sign it."
    )


def _save(scene: Scene, context: dict[str, Any], operation: Operation, index: int, change: Change) -> HttpResponse:
    """What a POST of a step's form does: its own buttons, or the next revision."""
    http = scene.http
    sealer = Sealer(scene.person, operation, scene.request.account, scene.request.region)
    posted = operation_page.posted(http, operation, sealer)
    context["seen"] = http.POST.get("revision", "")
    if posted.again is not None:
        return operation_page.page(http, context, operation, posted.again)
    if posted.problems:
        return operation_page.page(http, context, operation, posted.data, problems=posted.problems, status=400)
    try:
        made = _complete(scene, change((operation.full_name, posted.reading.parameters)))
    except BadParameters as error:
        if error.step == index or not any(error.fields):
            return operation_page.page(http, context, operation, posted.data, problems=posted.laid(error), status=400)
        said = f"Step {error.step + 1} does not fit: {error}"
        return operation_page.page(http, context, operation, posted.data, said=said, status=400)
    except NothingMatches as error:
        return operation_page.page(http, context, operation, posted.data, problems=posted.about_target(error), status=409)
    except CountersignError as error:
        status = int(refusals.status_of(error))
        return operation_page.page(http, context, operation, posted.data, said=str(error), status=status)
    return scene.done(f"Revision {made.number} is the plan now. Read it once more, then confirm and sign it.")


def _complete(scene: Scene, asked: Sequence[Asked]) -> Revision:
    """The next revision over the one that the person saw. Raises what `decisions.complete` raises."""
    number = scene.http.POST.get("revision", "")
    seen = int(number) if number.isdecimal() and len(number) < 10 else 0
    return decisions.complete(scene.request.pk, scene.person, steps=asked, number=seen)


def _plan_page(scene: Scene, revision: Revision, *, problem: str = "", status: int = 200) -> HttpResponse:
    steps, lives = revision.steps, _lives(revision)
    about = decisions.subject(scene.request, steps)
    rows = [
        {
            "number": index + 1,
            "sentence": words.sentence(step, scene.request.place),
            "name": step.name,
            "about": index == about,
            "ready": ready.made_for(steps, index, lives[index]),
        }
        for index, step in enumerate(steps)
    ]
    context = _context(scene, revision, "The plan's steps")
    return scene.page("portal/plan.html", context.pop("title"), status, **context, rows=rows, problem=problem, most=MOST_STEPS)


def _context(scene: Scene, revision: Revision, title: str) -> dict[str, Any]:
    voids = scene.request.state == RequestState.PENDING
    return {**scene.frame, "title": title, "asked": scene.request, "back": scene.back, "revision": revision, "voids": voids}


def _whole(scene: Scene) -> Revision:
    """The current revision, which has a plan. Raises Refused while parameters are missing: they come first."""
    revision = scene.request.current_revision()
    if not revision.text:
        raise Refused("Some parameters are still missing. Complete them first; then steps can be added.")
    return revision


def _lives(revision: Revision) -> list[live_state.LiveState]:
    operations = [catalog.get(step.name) for step in revision.steps]
    return [looks.before for looks in live_state.newest(revision, operations)]


def _asked(steps: Sequence[Step]) -> list[Asked]:
    return [(step.name, step.parameters) for step in steps]


def _replaced(asked: list[Asked], index: int, by: Asked) -> list[Asked]:
    return [*asked[:index], by, *asked[index + 1 :]]


def _inserted(asked: list[Asked], index: int, more: Sequence[Asked]) -> list[Asked]:
    return [*asked[:index], *more, *asked[index:]]


def _earlier(asked: list[Asked], index: int) -> list[Asked]:
    return _inserted(_without(asked, index), max(index - 1, 0), [asked[index]])


def _later(asked: list[Asked], index: int) -> list[Asked]:
    return _inserted(_without(asked, index), index + 1, [asked[index]])


def _without(asked: list[Asked], index: int) -> list[Asked]:
    return [*asked[:index], *asked[index + 1 :]]


def _index(number: str, steps: Sequence[Step], usual: int) -> int:
    """The step that a field names, counted from 0; the usual one when it names none."""
    return int(number) - 1 if number.isdecimal() and len(number) < 10 and 0 < int(number) <= len(steps) else usual


def _place_in(number: str, last: int) -> int:
    return int(number) if number.isdecimal() and len(number) < 10 and 0 < int(number) <= last else last
