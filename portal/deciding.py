"""The pages on which something is signed: the requester confirms, a reviewer approves or denies.

GET shows the form. POST `step=begin` checks what was typed and opens the ceremony (a challenge that is used once); POST
`step=sign` carries the passkey's answer to the verb of `decisions`. Whatever fails, what was typed stays in the form.
"""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse
from django.utils import timezone

from approvals import decisions
from approvals.decisions import checks
from approvals.errors import CountersignError, NotAllowed
from approvals.models import ApprovalRequest
from approvals.states import Verdict
from portal import ceremony, refusals, software_authenticator
from portal.ceremony import Typed
from portal.listing import url_of
from portal.review_page import page_of
from portal.scene import Scene


def confirm(scene: Scene) -> HttpResponse:
    """The requester reads the plan again, gives a reason and signs: draft -> pending."""
    revision = scene.request.current_revision()
    checks.must_be_confirmable(scene.request, revision, scene.person, timezone.now())
    if scene.http.method != "POST":
        return _form(scene, "portal/confirm.html", "Confirm and sign")
    try:
        said = ceremony.typed(scene.http, Verdict.CONFIRM)
    except CountersignError as error:
        return _form(scene, "portal/confirm.html", "Confirm and sign", problem=error)
    if scene.http.POST.get("step") == "begin":
        return _begin(scene, "portal/confirm.html", "Confirm and sign", said)
    try:
        decisions.confirm(
            scene.request.pk,
            scene.person,
            digest=said.digest,
            nonce=ceremony.nonce_of(scene.http),
            assertion=ceremony.assertion_of(scene.http, scene.person, said),
            reason=said.reason,
        )
    except CountersignError as error:
        return _again(scene, "portal/confirm.html", "Confirm and sign", said, error)
    return scene.done("Confirmed and signed. Those who may review it are being told.")


def decide(scene: Scene) -> HttpResponse:
    """A reviewer approves or denies with a reason, and signs."""
    revision = scene.request.current_revision()
    checks.must_be_reviewable(scene.request, revision, scene.person, timezone.now())
    title = "Approve or deny"
    if scene.http.method != "POST":
        return _form(scene, "portal/decide.html", title)
    try:
        said = ceremony.typed(scene.http)
    except CountersignError as error:
        return _form(scene, "portal/decide.html", title, problem=error)
    if scene.http.POST.get("step") == "begin":
        return _begin(scene, "portal/decide.html", title, said)
    try:
        request = decisions.review(
            scene.request.pk,
            scene.person,
            digest=said.digest,
            verdict=said.verdict,
            nonce=ceremony.nonce_of(scene.http),
            assertion=ceremony.assertion_of(scene.http, scene.person, said),
            reason=said.reason,
            typed_name=said.typed_name,
        )
    except CountersignError as error:
        return _again(scene, "portal/decide.html", title, said, error)
    return scene.done(_outcome(request, said.verdict))


_SIGN_TITLE: Final = {
    Verdict.CONFIRM: "Sign that you ask for this",
    Verdict.APPROVE: "Sign your approval",
    Verdict.DENY: "Sign your denial",
}


def _outcome(request: ApprovalRequest, verdict: Verdict) -> str:
    if verdict is Verdict.DENY:
        return "Denied and signed. The request is closed and its requester is being told."
    if request.state == "approved":
        return "Approved and signed. The quorum is met; the executor carries it out and this page shows how it went."
    return "Approved and signed. Further approvals are needed before anything happens."


def _begin(scene: Scene, template: str, title: str, said: Typed) -> HttpResponse:
    """Open the ceremony, once everything that can be said before a touch of the key has been said."""
    revision = scene.request.current_revision()
    try:
        checks.given_reason(said.reason)
        checks.must_be_current(revision, said.digest)
        if said.verdict is Verdict.APPROVE:
            checks.must_have_typed(said.typed_name, scene.request, revision, decisions.guardrails_of(revision))
        opened = decisions.begin(scene.request.pk, scene.person, said.verdict)
        checks.must_be_current(revision, opened.digest)
    except CountersignError as error:
        return _form(scene, template, title, said=said, problem=error)
    return scene.page(
        "portal/sign.html",
        _SIGN_TITLE[said.verdict],
        review=page_of(scene.request),
        said=said,
        ceremony=opened,
        software=software_authenticator.available_for(scene.person.handle),
    )


def _form(
    scene: Scene, template: str, title: str, *, said: Typed | None = None, problem: CountersignError | None = None
) -> HttpResponse:
    review = page_of(scene.request)
    status = refusals.status_of(problem) if problem else 200
    return scene.page(
        template,
        title,
        status,
        review=review,
        twins=scene.viewer.twins_of(scene.request),
        said=said,
        problem=str(problem or ""),
        may_approve=scene.request.state == "pending",
    )


def _again(scene: Scene, template: str, title: str, said: Typed, error: CountersignError) -> HttpResponse:
    """After a refused signature: the form with everything that was typed, unless the person may not decide at all any more."""
    scene.request.refresh_from_db()
    gone = decisions.why_not_confirm if said.verdict is Verdict.CONFIRM else decisions.why_not_review
    if isinstance(error, NotAllowed) or gone(scene.request, scene.person):
        return refusals.page(scene.http, error, back=url_of(scene.request), context=scene.frame)
    return _form(scene, template, title, said=said, problem=error)
