"""The pages on which something is signed: the requester confirms or breaks the glass, a reviewer approves or denies.

GET shows the form. POST `step=begin` checks what was typed and opens the ceremony (a challenge that is used once); POST
`step=sign` carries the passkey's answer to the verb of `decisions`. Whatever fails, what was typed stays in the form.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from approvals import decisions
from approvals.decisions import checks
from approvals.errors import CountersignError, NotAllowed
from approvals.models import ApprovalRequest, Person, Revision
from approvals.states import Verdict
from portal import ceremony, refusals, software_authenticator
from portal.ceremony import Typed
from portal.listing import url_of
from portal.present import now_of
from portal.review_page import page_of
from portal.scene import Scene

Check = Callable[[ApprovalRequest, Revision, Person, datetime], None]
_CONFIRM: Final = ("portal/confirm.html", "Confirm and sign")
_DECIDE: Final = ("portal/decide.html", "Approve or deny")
_GLASS: Final = ("portal/glass.html", "Break the glass")


def is_signed(http: HttpRequest) -> bool:
    """Whether the visit carries a signature."""
    return http.method == "POST" and http.POST.get("step") == "sign"


def _may(scene: Scene, check: Check) -> None:
    """Raise what the check has against this person's signing the plan as it is now."""
    check(scene.request, scene.request.current_revision(), scene.person, timezone.now())


def _said(
    scene: Scene,
    template: str,
    title: str,
    check: Callable[[ApprovalRequest, Revision, Person, datetime], None],
    *verdict: Verdict,
) -> Typed | HttpResponse:
    """What was typed, or the page to answer with. Raises the refusal of whoever may sign nothing here.

    What comes with a signature is left to its verb, which checks all of it itself; who may read the request is asked when the
    verb refuses, before anything is said of it.
    """
    signs = is_signed(scene.http)
    if not signs:
        _may(scene, check)
    if scene.http.method != "POST":
        return _form(scene, template, title)
    try:
        return ceremony.typed(scene.http, *verdict)
    except CountersignError as error:
        if signs:
            scene.viewer.must_see(scene.request)
            _may(scene, check)
        return _form(scene, template, title, problem=error)


def confirm(scene: Scene) -> HttpResponse:
    """The requester reads the plan again, gives a reason and signs: draft -> pending, or what is pending unconfirmed."""
    said = _said(scene, *_CONFIRM, checks.must_be_confirmable, Verdict.CONFIRM)
    if isinstance(said, HttpResponse):
        return said
    if scene.http.POST.get("step") == "begin":
        return _begin(scene, *_CONFIRM, said)
    try:
        request = decisions.confirm(scene.request.pk, scene.person, **_signed(scene, said))
    except CountersignError as error:
        return _again(scene, *_CONFIRM, checks.must_be_confirmable, said, error)
    if request.state == "approved":
        return scene.done("Confirmed and signed. It was approved already, so it is carried out now.")
    return scene.done("Confirmed and signed. Those who may review it are being told.")


def break_glass(scene: Scene) -> HttpResponse:
    """The requester approves his own plan alone, in an emergency, and signs: draft -> approved."""
    said = _said(scene, *_GLASS, checks.must_be_breakable, Verdict.BREAK_GLASS)
    if isinstance(said, HttpResponse):
        return said
    if scene.http.POST.get("step") == "begin":
        return _begin(scene, *_GLASS, said)
    try:
        decisions.break_glass(scene.request.pk, scene.person, **_signed(scene, said))
    except CountersignError as error:
        return _again(scene, *_GLASS, checks.must_be_breakable, said, error)
    return scene.done("The glass is broken: it is carried out now. Every approver and administrator is being told.")


def decide(scene: Scene) -> HttpResponse:
    """A reviewer approves or denies with a reason, and signs."""
    said = _said(scene, *_DECIDE, checks.must_be_reviewable)
    if isinstance(said, HttpResponse):
        return said
    if scene.http.POST.get("step") == "begin":
        return _begin(scene, *_DECIDE, said)
    try:
        request = decisions.review(
            scene.request.pk, scene.person, verdict=said.verdict, typed_name=said.typed_name, **_signed(scene, said)
        )
    except CountersignError as error:
        return _again(scene, *_DECIDE, checks.must_be_reviewable, said, error)
    return scene.done(_outcome(request, said.verdict))


# What comes to these with a signature is judged by its verb.
SIGNING: Final = (confirm, break_glass, decide)
_SIGN_TITLE: Final = {
    Verdict.CONFIRM: "Sign that you ask for this",
    Verdict.APPROVE: "Sign your approval",
    Verdict.DENY: "Sign your denial",
    Verdict.BREAK_GLASS: "Sign that you break the glass",
}


def _signed(scene: Scene, said: Typed) -> dict[str, Any]:
    """What every signing verb takes. Raises BadSignature, NotAllowed."""
    return {
        "digest": said.digest,
        "nonce": ceremony.nonce_of(scene.http),
        "assertion": ceremony.assertion_of(scene.http, scene.person, said),
        "reason": said.reason,
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
        rules = decisions.guardrails_of(revision)
        needed = said.verdict in (Verdict.DENY, Verdict.BREAK_GLASS) or checks.asks_for_a_reason(rules.values())
        checks.given_reason(said.reason, needed=needed)
        checks.must_be_current(revision, said.digest)
        if said.verdict is Verdict.CONFIRM:
            checks.must_name_its_ticket(said.reason, rules.values())
        if said.verdict is Verdict.APPROVE:
            checks.must_have_typed(said.typed_name, scene.request, revision, rules)
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
    rules = list(decisions.guardrails_of(review.revision).values())
    return scene.page(
        template,
        title,
        status,
        review=review,
        twins=scene.viewer.twins_of(scene.request),
        said=said,
        problem=str(problem or ""),
        may_approve=scene.request.state == "pending",
        needs_reason=checks.asks_for_a_reason(rules),
        tickets=sorted({one.ticket for one in rules if one.ticket}),
        glass_within=min((one.break_glass.review_within for one in rules if one.break_glass), default=0),
    )


def _again(scene: Scene, template: str, title: str, check: Check, said: Typed, error: CountersignError) -> HttpResponse:
    """After a refused signature: the form with everything that was typed.

    Raises the refusal of whoever may not sign any more, which says more to him than what was wrong with this signature.
    """
    scene.viewer.must_see(scene.request)
    scene.request.refresh_from_db()
    if isinstance(error, NotAllowed):
        return refusals.page(scene.http, error, back=url_of(scene.request), context=scene.frame | {"now": now_of(scene.request)})
    _may(scene, check)
    return _form(scene, template, title, said=said, problem=error)
