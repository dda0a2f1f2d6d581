"""The pages of verbs that take a few words and no key: adopt, send back, stop. GET asks, POST does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from django.http import HttpResponse
from django.utils import timezone

from approvals import decisions
from approvals.decisions import checks
from approvals.errors import CountersignError, NotAllowed, WrongState
from portal import refusals
from portal.scene import Scene


@dataclass(frozen=True, slots=True)
class Words:
    """What a page asks for: its title, the label of the field (none where empty), the button, and its tone."""

    title: str
    label: str
    button: str
    tone: str = "main"


_ADOPT: Final = Words("Adopt this draft", "", "Adopt: I ask for this")
_RETURN: Final = Words("Send back with a message", "What should its requester change or say?", "Send back")
_STOP: Final = Words("Stop it", "Why?", "Stop", "danger")


def adopt(scene: Scene) -> HttpResponse:
    """Somebody stands behind the draft of a bot, or of an identity that belongs to nobody."""
    checks.must_be_adoptable(scene.request, scene.person, timezone.now())

    def act(_: str) -> str:
        decisions.adopt(scene.request.pk, scene.person)
        return "You stand behind this draft now. Read it, then confirm and sign it."

    return _page(scene, "adopt", _ADOPT, act)


def send_back(scene: Scene) -> HttpResponse:
    """A reviewer returns it to its requester as a draft."""
    checks.must_be_returnable(scene.request, scene.request.current_revision(), scene.person, timezone.now())

    def act(said: str) -> str:
        decisions.send_back(scene.request.pk, scene.person, message=said)
        return "Sent back. It is a draft again, and its requester is being told what you wrote."

    return _page(scene, "return", _RETURN, act)


def stop(scene: Scene) -> HttpResponse:
    """Anybody concerned ends what is approved, or what is left of it."""
    checks.must_be_stoppable(scene.request, scene.request.current_revision(), scene.person)

    def act(said: str) -> str:
        decisions.stop(scene.request.pk, scene.person, reason=said)
        return "Stopped. Nothing more will be done, and those who signed it are being told."

    return _page(scene, "stop", _STOP, act)


def _page(scene: Scene, verb: str, words: Words, act: Callable[[str], str]) -> HttpResponse:
    """The form; after a refusal that another try can mend the form again, with what was typed and the reason beside the field."""
    if scene.http.method != "POST":
        return scene.page("portal/few_words.html", words.title, verb=verb, words=words)
    said = scene.field("reason").replace("\r\n", "\n")
    try:
        return scene.done(act(said))
    except (NotAllowed, WrongState):
        raise
    except CountersignError as error:
        again = {"verb": verb, "words": words, "said": said, "problem": str(error)}
        return scene.page("portal/few_words.html", words.title, int(refusals.status_of(error)), **again)
