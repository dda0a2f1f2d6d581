"""The notice before what cannot be undone: the execution process says what it read from the signed bytes, and waits.

Whoever took over the web process can show one plan and let people sign another; here the sentence comes from the bytes under the
signatures, through another process, to everybody who signed them or may review them, with the time to stop it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from approvals import notifications
from approvals.audit import Trail
from approvals.authority import Authority
from approvals.clearance import Forged, Verified
from approvals.errors import Refused
from approvals.models import AuditKind, Execution, Notice
from approvals.operations import words
from approvals.plan import Plan
from executor.endings import ACTOR

# How soon to look whether a notice went out.
LOOK_AGAIN: Final = timedelta(seconds=5)
# A target's name is shorter; what is longer is meant to hide what follows.
LONGEST_SENTENCE: Final = 2000


def waiting_for(
    trail: Trail, execution: Execution, verified: Verified, authority: Authority, now: datetime
) -> tuple[datetime, str] | None:
    """Until when to wait, and why; None when no hold is asked for, or everybody was told and it is over.

    Writes the notice when there is none yet. The row and the request are locked. Raises Forged when the notice that people got is
    not of the bytes that would be sent.
    """
    if not verified.hold:
        return None
    notice = Notice.objects.filter(execution=execution).first()
    if notice is None:
        notice = _write(trail, execution, verified, authority, now)
    _must_be_ours(notice, verified)
    if notice.delivered_at is None:
        return now + LOOK_AGAIN, "The notice to those who signed it and those who may stop it has not gone out yet."
    over = notice.delivered_at + timedelta(seconds=max(notice.hold, verified.hold))
    return (over, "The hold has not ended yet: anybody concerned can still stop it.") if over > now else None


def must_have_gone_out(execution: Execution, verified: Verified) -> None:
    """Of what is claimed and of which no call was sent: everybody was told before, of these bytes. Raises Refused, or Forged.

    A row that says that it was claimed is no reason to tell nobody; whoever asks for it again has the whole hold again.
    """
    if not verified.hold:
        return
    notice = Notice.objects.filter(execution=execution).exclude(delivered_at=None).first()
    if notice is None:
        raise Refused("It was claimed although nobody had been told of it. Nothing was sent; it has to be signed again.")
    _must_be_ours(notice, verified)


def text_of(plan: Plan, digest: str, hold: int) -> str:
    """What would be done, in words from the plan alone: every step, and how to stop it, before anything that could be endless."""
    place = f"account {plan.account}, {plan.region}"
    steps = [
        f"{number}. {_short(words.visible(words.sentence(step, place)))}\n   {step.name}"
        for number, step in enumerate(plan.steps, 1)
    ]
    return "\n".join(
        (
            "This cannot be undone. The executor read it from the bytes that were signed, not from a page:",
            "",
            *steps,
            "",
            f"Digest of what was signed: {digest}",
            f"It runs {_in_words(hold)} after this message was sent. If it is not what you read when you signed, or should not",
            "happen, stop it on the page of the request: the button Stop ends it for good, with a reason and without a key.",
        )
    )


def commands_of(plan: Plan) -> str:
    """The same as commands, with every parameter. They come last: a message may be cut, and no step may hide behind another."""
    said = [f"{number}. {words.visible(words.cli(step, plan.region))}" for number, step in enumerate(plan.steps, 1)]
    return "\n\nAs commands:\n\n" + "\n".join(said)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_SENTENCE else f"{text[:LONGEST_SENTENCE]}... ({len(text)} characters)"


def _write(trail: Trail, execution: Execution, verified: Verified, authority: Authority, now: datetime) -> Notice:
    notice = Notice.objects.create(
        execution=execution,
        digest=verified.digest,
        to=_concerned(verified, authority, now),
        text=text_of(verified.plan, verified.digest, verified.hold)
        + _signed_by(verified, authority)
        + commands_of(verified.plan),
        hold=verified.hold,
        created_at=now,
    )
    trail.add(
        AuditKind.EXECUTION_NOTICED,
        actor=ACTOR,
        request=execution.revision.request.pk,
        execution=str(execution.pk),
        digest=verified.digest,
        hold=verified.hold,
        to=notice.to,
    )
    notifications.tell_about(notifications.NOTICE, notice.pk)
    return notice


def _must_be_ours(notice: Notice, verified: Verified) -> None:
    """What people were told is what would be sent; otherwise somebody changed the row between."""
    begins, ends = text_of(verified.plan, verified.digest, notice.hold), commands_of(verified.plan)
    if notice.digest != verified.digest or not (notice.text.startswith(begins) and notice.text.endswith(ends)):
        raise Forged("The notice that was sent is not of the bytes that were signed: the row was changed.")


def _concerned(verified: Verified, authority: Authority, now: datetime) -> list[str]:
    """Handles of every signer and of everybody who may review under the guardrails, as the signed authority has them."""
    names = {rules.name for rules in verified.rules}
    apart_from = frozenset({verified.confirmed_by} if verified.confirmed_by else ())
    reviewers = [
        person
        for person in authority.persons
        if authority.is_voter(person) and authority.rights_at(person, now, apart_from=apart_from) & names
    ]
    return _handles([*verified.moments, *reviewers], authority)


def _signed_by(verified: Verified, authority: Authority) -> str:
    asked = _handles([verified.confirmed_by] if verified.confirmed_by else [], authority)
    approved = _handles(sorted(verified.approved_by), authority)
    return f"\n\nAsked for by {', '.join(asked) or 'nobody (an unconfirmed event)'}; approved by {', '.join(approved)}."


def _handles(persons: Iterable[str], authority: Authority) -> list[str]:
    known = (str(authority.persons[person]["handle"]) for person in persons if person in authority.persons)
    return sorted(dict.fromkeys(known))


def _in_words(seconds: int) -> str:
    return f"{seconds // 60} minutes" if seconds % 60 == 0 and seconds >= 120 else f"{seconds} seconds"
