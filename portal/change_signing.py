"""The pages on which a change of authority is signed or denied, withdrawn, or proposed again.

As for decisions: GET shows the form. POST `step=begin` opens the ceremony (a challenge that is used once) and shows it; POST
`step=sign` carries the passkey's answer to the verb of `changes`. A signer's own code of an enrolment link is on the page of the
ceremony and nowhere else: no form carries it on, and nothing keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from approvals import changes, signatures
from approvals.errors import CountersignError, NotAllowed, StaleRevision
from approvals.models import AuthorityChange, Person
from approvals.states import ChangeState, Verdict
from portal import ceremony, refusals, software_authenticator
from portal.ceremony import Typed
from portal.change_page import page_of, url_of
from portal.viewer import Viewer


@dataclass(frozen=True, slots=True)
class ChangeScene:
    """One visit of one page about one change of authority that the viewer may read."""

    http: HttpRequest
    viewer: Viewer
    change: AuthorityChange
    frame: dict[str, Any]

    @property
    def person(self) -> Person:
        """Who looks."""
        return self.viewer.person

    def page(self, template: str, title: str, status: int = 200, **context: Any) -> HttpResponse:
        """Render a page of this scene."""
        shown = page_of(self.change, self.person)
        whole = {**self.frame, "title": title, "change": self.change, "shown": shown, "back": url_of(self.change), **context}
        return TemplateResponse(self.http, template, whole, status=status)

    def done(self, message: str, change: AuthorityChange | None = None) -> HttpResponse:
        """Say what was done, and go to the change's page."""
        messages.success(self.http, message)
        return HttpResponseRedirect(url_of(change or self.change))


def sign(scene: ChangeScene) -> HttpResponse:
    """An administrator signs or denies."""
    changes.must_be_signable(scene.change, scene.person)
    if scene.http.method != "POST":
        return _form(scene)
    try:
        said = ceremony.typed(scene.http)
        if scene.http.POST.get("step") == "begin":
            return _begin(scene, said)
        change = changes.sign(
            scene.change.pk,
            scene.person,
            digest=said.digest,
            verdict=said.verdict,
            nonce=ceremony.nonce_of(scene.http),
            assertion=ceremony.assertion_of(scene.http, scene.person, said, domain=signatures.AUTHORITY),
            reason=said.reason,
        )
    except CountersignError as error:
        return _again(scene, error)
    return scene.done(_outcome(change, said.verdict))


def withdraw(scene: ChangeScene) -> HttpResponse:
    """The proposer takes it back. GET asks, POST does."""
    if scene.http.method != "POST":
        if why_not := changes.why_not_withdraw(scene.change, scene.person):
            raise NotAllowed(why_not)
        return scene.page("portal/change_end.html", "Withdraw this change", verb="withdraw")
    changes.withdraw(scene.change.pk, scene.person)
    return scene.done("Withdrawn. Nothing was changed.")


def again(scene: ChangeScene) -> HttpResponse:
    """The same edits over what holds now. GET asks, POST proposes."""
    if scene.http.method != "POST":
        if why_not := changes.why_not_propose_again(scene.change, scene.person):
            raise NotAllowed(why_not)
        return scene.page("portal/change_end.html", "Propose this again", verb="again")
    change = changes.propose_again(scene.change.pk, scene.person)
    return scene.done("Proposed again. Read what it would change now: it has to be signed anew.", change)


def _begin(scene: ChangeScene, said: Typed) -> HttpResponse:
    """Open the ceremony, once everything that can be said before a touch of the key has been said."""
    if said.digest != scene.change.digest:
        raise StaleRevision("This form is about another change than the one that is stored. Read it again.")
    changes.must_have_reason(said.verdict, said.reason)
    opened = changes.begin(scene.change.pk, scene.person, said.verdict)
    title = "Sign this change" if said.verdict is Verdict.APPROVE else "Sign your denial"
    return scene.page(
        "portal/change_ceremony.html",
        title,
        said=said,
        ceremony=opened,
        software=software_authenticator.available_for(scene.person.handle),
    )


def _form(scene: ChangeScene, *, problem: CountersignError | None = None) -> HttpResponse:
    post = scene.http.POST
    return scene.page(
        "portal/change_sign.html",
        "Sign or deny",
        refusals.status_of(problem) if problem else 200,
        problem=str(problem or ""),
        typed_reason=post.get("reason", ""),
        typed_verdict=post.get("verdict", ""),
    )


def _again(scene: ChangeScene, error: CountersignError) -> HttpResponse:
    """After a refused signature: the form with everything that was typed, unless it cannot be signed by him any more."""
    scene.change.refresh_from_db()
    if isinstance(error, NotAllowed) or changes.why_not_sign(scene.change, scene.person):
        return refusals.page(scene.http, error, back=url_of(scene.change), context=scene.frame)
    return _form(scene, problem=error)


def _outcome(change: AuthorityChange, verdict: Verdict) -> str:
    if verdict is Verdict.DENY:
        return "Denied and signed. The proposal is over, and who proposed it is being told."
    if change.state == ChangeState.OPEN and len(changes.counted_signers(change)) >= changes.signers_needed():
        return "Signed, and enough have signed. The authority process verifies every signature and applies it within seconds."
    return "Signed. Nothing changes before enough administrators have signed it."
