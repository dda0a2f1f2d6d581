"""The pages on which a statement is made, signed, denied or withdrawn: the kill switch, and the closing of unknown outcomes.

Making one and signing it is one go: the POST that makes it answers with the page of the ceremony, whose form is sent to the
statement's own `sign` address. There GET shows the form, `step=begin` opens the ceremony and `step=sign` carries the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from approvals import signatures, statements
from approvals.errors import CountersignError, NotAllowed, Refused, StaleRevision
from approvals.models import Person, Statement
from approvals.statements import Outcome
from approvals.states import StatementState, Verdict
from portal import ceremony, refusals, software_authenticator
from portal.ceremony import Typed
from portal.scene import Scene
from portal.statement_page import page_of, sign_words, url_of
from portal.unknown import execution_of, unknown_of
from portal.viewer import Viewer


@dataclass(frozen=True, slots=True)
class StatementScene:
    """One visit of one page about one statement that the viewer may read."""

    http: HttpRequest
    viewer: Viewer
    statement: Statement
    frame: dict[str, Any]

    @property
    def person(self) -> Person:
        """Who looks."""
        return self.viewer.person

    def page(self, template: str, title: str, status: int = 200, **context: Any) -> HttpResponse:
        """Render a page of this scene."""
        shown = page_of(self.statement, self.person)
        whole = {**self.frame, "title": title, "statement": self.statement, "shown": shown, "back": url_of(self.statement)}
        return TemplateResponse(self.http, template, {**whole, **context}, status=status)

    def done(self, message: str) -> HttpResponse:
        """Say what was done, and go to the statement's page."""
        messages.success(self.http, message)
        return HttpResponseRedirect(url_of(self.statement))

    def begin(self, said: Typed) -> HttpResponse:
        """Open the ceremony, once everything that can be said before a touch of the key has been said."""
        if said.digest != self.statement.digest:
            raise StaleRevision("This form is about another statement than the one that is stored. Read it again.")
        if said.verdict is Verdict.DENY and not said.reason.strip():
            raise Refused("Give a reason; whoever made this statement wants to know why.")
        opened = statements.begin(self.statement.pk, self.person, said.verdict)
        return self.page(
            "portal/statement_ceremony.html",
            _TITLES[Statement.Kind(self.statement.kind)] if said.verdict is Verdict.APPROVE else "Sign your denial",
            said=said,
            ceremony=opened,
            action=url_of(self.statement, "sign"),
            software=software_authenticator.available_for(self.person.handle),
        )


_TITLES: Final = {
    Statement.Kind.PAUSE: "Sign: pause all executions",
    Statement.Kind.RESUME: "Sign: executions go on",
    Statement.Kind.CLOSING: "Sign how the call went",
}


def sign(scene: StatementScene) -> HttpResponse:
    """A person signs or denies."""
    statements.must_be_signable(scene.statement, scene.person)
    if scene.http.method != "POST":
        return _form(scene)
    try:
        said = ceremony.typed(scene.http)
        if scene.http.POST.get("step") == "begin":
            return scene.begin(said)
        statement = statements.sign(
            scene.statement.pk,
            scene.person,
            digest=said.digest,
            verdict=said.verdict,
            nonce=ceremony.nonce_of(scene.http),
            assertion=ceremony.assertion_of(scene.http, scene.person, said, domain=signatures.STATEMENT),
            reason=said.reason,
        )
    except CountersignError as error:
        return _again(scene, error)
    return scene.done(_outcome(statement, said.verdict))


def withdraw(scene: StatementScene) -> HttpResponse:
    """Who made it takes it back. GET asks, POST does."""
    if scene.http.method != "POST":
        if why_not := statements.why_not_withdraw(scene.statement, scene.person):
            raise NotAllowed(why_not)
        return scene.page("portal/statement_end.html", "Withdraw this statement")
    statements.withdraw(scene.statement.pk, scene.person)
    return scene.done("Withdrawn. Nothing follows from it.")


def switch(http: HttpRequest, viewer: Viewer, frame: dict[str, Any]) -> HttpResponse:
    """The kill switch: how it stands; a POST of `verb` (pause, resume) with a `reason` begins to sign one."""
    if http.method == "POST":
        made = {"pause": statements.pause, "resume": statements.propose_resuming}.get(http.POST.get("verb", ""))
        try:
            if made is None:
                raise Refused("Say whether to pause or to resume.")
            statement = made(viewer.person, reason=http.POST.get("reason", "").replace("\r\n", "\n"))
            return StatementScene(http, viewer, statement, frame).begin(Typed("", statement.digest, Verdict.APPROVE))
        except NotAllowed:
            raise
        except CountersignError as error:
            return _switch_page(http, viewer, frame, problem=error)
    return _switch_page(http, viewer, frame)


def _switch_page(
    http: HttpRequest, viewer: Viewer, frame: dict[str, Any], *, problem: CountersignError | None = None
) -> HttpResponse:
    holding = statements.in_force()
    context = {
        "title": "Kill switch",
        "pauses": [(one, statements.words_of(one)) for one in holding],
        "resuming": [(one, len(statements.counted_signers(one))) for one in statements.waiting_to_resume()],
        "why_not": statements.why_not_switch(viewer.person),
        "typed_reason": http.POST.get("reason", ""),
        "problem": str(problem or ""),
    }
    status = refusals.status_of(problem) if problem else 200
    return TemplateResponse(http, "portal/switch.html", {**frame, **context}, status=status)


def close(scene: Scene) -> HttpResponse:
    """A person says, with evidence, how a call went whose outcome nothing else settles; the next page signs it."""
    execution = execution_of(scene.request)
    if why := statements.why_not_close(execution, scene.person):
        raise NotAllowed(why)
    problem: CountersignError | None = None
    if scene.http.method == "POST" and execution is not None:
        try:
            statement = statements.propose_closing(
                execution.pk,
                scene.person,
                outcome=_chosen(scene.field("outcome")),
                evidence=scene.field("evidence"),
                reason=scene.field("reason").replace("\r\n", "\n"),
            )
            made = StatementScene(scene.http, scene.viewer, statement, scene.frame)
            return made.begin(Typed("", statement.digest, Verdict.APPROVE))
        except NotAllowed:
            raise
        except CountersignError as error:
            problem = error
    return scene.page(
        "portal/close.html",
        "Say how it went",
        int(refusals.status_of(problem)) if problem else 200,
        unknown=unknown_of(execution, scene.person),
        problem=str(problem or ""),
        typed={name: scene.field(name) for name in ("outcome", "evidence", "reason")},
        largest=statements.LONGEST_EVIDENCE,
    )


def _chosen(said: str) -> Outcome:
    if said not in tuple(Outcome):
        raise Refused("Choose whether it took effect or had none.")
    return Outcome(said)


def _form(scene: StatementScene, *, problem: CountersignError | None = None) -> HttpResponse:
    post = scene.http.POST
    return scene.page(
        "portal/statement_sign.html",
        sign_words(scene.statement),
        refusals.status_of(problem) if problem else 200,
        problem=str(problem or ""),
        typed_reason=post.get("reason", ""),
        typed_verdict=post.get("verdict", ""),
    )


def _again(scene: StatementScene, error: CountersignError) -> HttpResponse:
    """After a refused signature: the form with everything that was typed, unless it cannot be signed by him any more."""
    scene.statement.refresh_from_db()
    if isinstance(error, NotAllowed) or statements.why_not_sign(scene.statement, scene.person):
        return refusals.page(scene.http, error, back=url_of(scene.statement), context=scene.frame)
    return _form(scene, problem=error)


def _outcome(statement: Statement, verdict: Verdict) -> str:
    if verdict is Verdict.DENY:
        return "Denied and signed. The statement is over, and who made it is being told."
    if statement.kind == Statement.Kind.PAUSE:
        return "All executions are paused from this moment on. Two administrators resume them."
    if statement.state == StatementState.OPEN and len(statements.counted_signers(statement)) < statements.signers_needed(
        statement
    ):
        return "Signed. A second person reads and signs the same statement; until then nothing follows from it."
    return "Signed, and enough have signed. The execution process verifies every signature and acts on it within seconds."
