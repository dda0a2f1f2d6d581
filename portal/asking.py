"""The pages on which something is asked for or taken back: file, withdraw, disown."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from approvals import decisions
from approvals.decisions import checks
from approvals.errors import BadParameters, NothingMatches, UnknownOperation
from approvals.operations import catalog
from approvals.operations.catalog import Operation
from approvals.states import RequestState
from portal import choosing, form_data, operation_page, undoing
from portal.choosing import Place, Way
from portal.listing import url_of
from portal.scene import Scene
from portal.sealer import Sealer
from portal.viewer import Viewer


def file(http: HttpRequest, viewer: Viewer, frame: dict[str, Any]) -> HttpResponse:
    """Choose account and region, service, operation; then fill in the operation's own form. GET chooses, POST files."""
    given = http.POST if http.method == "POST" else http.GET
    chosen = {"place": given.get("place", ""), "operation": given.get("operation", "")}
    places = choosing.places()
    here = reverse("admin:approvals_approvalrequest_file")
    context = {**frame, "title": "File a request", "places": places, "chosen": chosen, "change_place": here}
    place = choosing.place_of(chosen["place"], places)
    way = Way(here, {"place": chosen["place"]})
    if place is None and (http.method != "POST" or not chosen["operation"]):
        errors = {"place": ["Choose one of these."]} if chosen["place"] or chosen["operation"] else {}
        return TemplateResponse(http, "portal/choose_place.html", {**context, "errors": errors}, status=400 if errors else 200)
    if not chosen["operation"] and place is not None:
        return choosing.page(http, context, way, place, errors={})
    try:
        operation = catalog.get(chosen["operation"])
    except UnknownOperation as error:
        if place is None:
            raise
        return choosing.page(http, context, way, place, errors={"operation": [str(error)]})
    context |= {"save": "File this request", "choose_url": way.to(service=operation.service)}
    back = undoing.chosen(viewer.person, given.get("reverse", ""), operation)
    if back is not None:
        context |= {"reverse": back, "fixed": {"reverse": back.key}}
    if http.method != "POST":
        told = back.way.steps[0].parameters if back is not None else {}
        return operation_page.page(http, context, operation, form_data.written(operation.model.input_shape, told))
    return _filed(http, viewer, context, operation, back, place)


def _filed(
    http: HttpRequest,
    viewer: Viewer,
    context: dict[str, Any],
    operation: Operation,
    back: undoing.Reversed | None,
    place: Place | None,
) -> HttpResponse:
    """What a POST of the form does: its own buttons, or a draft. A reverse brings the steps behind its first along."""
    # Without a place there is nothing that a secret could be sealed to; the place is asked for again.
    sealer = Sealer(viewer.person, operation, place.account, place.region) if place is not None else None
    posted = operation_page.posted(http, operation, sealer)
    if posted.again is not None:
        return operation_page.page(http, context, operation, posted.again)
    problems, said = posted.problems, ""
    account_id, _, region = context["chosen"]["place"].partition("/")
    if not problems:
        asked = [(operation.full_name, posted.reading.parameters), *(back.more if back is not None else [])]
        reason = back.reason if back is not None else ""
        try:
            request = decisions.file(viewer.person, account_id=account_id, region=region, steps=asked, reason=reason)
        except BadParameters as error:
            problems = {} if error.step else posted.laid(error)
            said = f"Step {error.step + 1} does not fit: {error}" if error.step else ""
        except NothingMatches as error:
            return operation_page.page(http, context, operation, posted.data, problems=posted.about_target(error), status=409)
        else:
            messages.success(http, "The draft is filed. Add steps if it needs more; then read it once more, confirm and sign it.")
            return HttpResponseRedirect(url_of(request))
    return operation_page.page(http, context, operation, posted.data, problems=problems, said=said, status=400)


def withdraw(scene: Scene) -> HttpResponse:
    """The requester no longer wants it. GET asks, POST does."""
    checks.must_be_endable(scene.request, scene.person, RequestState.WITHDRAWN)
    if scene.http.method != "POST":
        return scene.page("portal/end.html", "Withdraw this request", verb="withdraw")
    decisions.withdraw(scene.request.pk, scene.person, reason=scene.http.POST.get("reason", "").replace("\0", ""))
    return scene.done("Withdrawn. Nothing more will be done.")


def disown(scene: Scene) -> HttpResponse:
    """The call was not the requester's. GET asks, POST closes the request and raises an alert."""
    checks.must_be_endable(scene.request, scene.person, RequestState.DISOWNED)
    if scene.http.method != "POST":
        return scene.page("portal/end.html", "This was not me", verb="disown")
    decisions.disown(scene.request.pk, scene.person)
    return scene.done("The request is closed and the administrators are alerted: somebody may hold your key.")
