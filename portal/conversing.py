"""The review page, and what is posted to it without a page of its own: a comment, and the review of a break-glass."""

from __future__ import annotations

from django.http import HttpResponse

from approvals import decisions
from approvals.errors import CountersignError, NotAllowed, Refused, WrongState
from portal import refusals
from portal.offers import offers_for
from portal.review_page import glass_of, page_of
from portal.scene import Scene
from portal.timeline import timeline_of
from portal.unknown import execution_of, unknown_of


def shown(scene: Scene, *, wrong: str = "", problem: CountersignError | None = None) -> HttpResponse:
    """The review page; after a refused post with the reason beside the field `wrong`, and what was typed still in it."""
    review = page_of(scene.request)
    return scene.page(
        "portal/review.html",
        f"{review.who} asks to {review.sentence}",
        int(refusals.status_of(problem)) if problem else 200,
        review=review,
        offers=offers_for(scene.request, scene.person, glass=review.glass),
        twins=scene.viewer.twins_of(scene.request),
        unknown=unknown_of(execution_of(scene.request), scene.person),
        timeline=timeline_of(scene.request),
        wrong=wrong,
        problem=str(problem or ""),
        typed=scene.field("text") if problem else "",
    )


def comment(scene: Scene) -> HttpResponse:
    """POST `text`: add to the thread."""
    if scene.http.method != "POST":
        return shown(scene)
    text = scene.field("text").replace("\r\n", "\n")
    try:
        decisions.comment(scene.request.pk, scene.person, text=text)
    except (NotAllowed, WrongState):
        raise
    except CountersignError as error:
        return shown(scene, wrong="comment", problem=error)
    return scene.done("Your comment stands in the thread. The requester and whoever took part are being told.")


def review_glass(scene: Scene) -> HttpResponse:
    """POST `text`: another approver says what he found, and the review of the break-glass is closed."""
    if scene.http.method != "POST":
        return shown(scene)
    alert = glass_of(scene.request)
    if alert is None:
        raise Refused("Nobody broke the glass for this request, so there is nothing to review.")
    text = scene.field("text").replace("\r\n", "\n")
    try:
        decisions.review_glass(alert.pk, scene.person, reason=text)
    except (NotAllowed, WrongState):
        raise
    except CountersignError as error:
        return shown(scene, wrong="glass", problem=error)
    return scene.done("Reviewed. What you found is in the trail, and the administrators are being told.")
