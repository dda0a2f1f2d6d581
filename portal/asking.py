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
from approvals.states import RequestState
from portal import choosing, operation_page
from portal.choosing import Way
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
    if http.method != "POST":
        return operation_page.page(http, context, operation, {})
    # Without a place there is nothing that a secret could be sealed to; the place is asked for again.
    sealer = Sealer(viewer.person, operation, place.account, place.region) if place is not None else None
    posted = operation_page.posted(http, operation, sealer)
    if posted.again is not None:
        return operation_page.page(http, context, operation, posted.again)
    problems = posted.problems
    account_id, _, region = chosen["place"].partition("/")
    if not problems:
        asked = [(operation.full_name, posted.reading.parameters)]
        try:
            request = decisions.file(viewer.person, account_id=account_id, region=region, steps=asked)
        except BadParameters as error:
            problems = posted.laid(error)
        except NothingMatches as error:
            return operation_page.page(http, context, operation, posted.data, problems=posted.about_target(error), status=409)
        else:
            messages.success(http, "The draft is filed. Add steps if it needs more; then read it once more, confirm and sign it.")
            return HttpResponseRedirect(url_of(request))
    return operation_page.page(http, context, operation, posted.data, problems=problems, status=400)


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
