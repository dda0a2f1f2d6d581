"""What the page of one change of authority shows. Verdicts are those of `approvals.changes`; nothing is judged here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from approvals import canonical, changes
from approvals.authority.difference import Difference
from approvals.errors import BadCanonicalForm, CountersignError
from approvals.models import AuditEntry, AuditKind, AuthorityChange, ChangeSignature, OutboxKind, OutboxMessage, Person
from approvals.states import ChangeState, Verdict
from portal.offers import Offer
from portal.shown import actor_words
from portal.timeline import Happening

_KINDS: Final = (
    AuditKind.CHANGE_PROPOSED,
    AuditKind.CHANGE_SIGNED,
    AuditKind.CHANGE_DENIED,
    AuditKind.CHANGE_WITHDRAWN,
    AuditKind.CHANGE_EXPIRED,
    AuditKind.CHANGE_STALE,
    AuditKind.CHANGE_APPLIED,
    AuditKind.CHANGE_REFUSED,
    AuditKind.PASSKEY_REGISTERED,
)
_TOPICS: Final = {"change.proposed": "the proposal", "change.ended": "how it ended"}
ENDED: Final = {
    ChangeState.APPLIED: "Applied",
    ChangeState.DENIED: "Denied",
    ChangeState.WITHDRAWN: "Withdrawn",
    ChangeState.EXPIRED: "Expired",
    ChangeState.STALE: "Overtaken",
    ChangeState.REFUSED: "Does not verify",
}
# What of an entry's detail stands elsewhere on the page.
_TOLD: Final = frozenset({"change", "digest", "edits", "hash", "previous"})


@dataclass(frozen=True, slots=True)
class ChangePage:
    """One change: what it is about, how far it is, who signed. `why_not` says to the viewer why he cannot sign it."""

    sentence: str
    status: str
    differences: tuple[Difference, ...]
    genuine: bool
    registration: bool
    signatures: list[ChangeSignature]
    counted: frozenset[Any]
    need: int
    invites: bool
    clock: datetime | None
    why_not: str
    buttons: tuple[Offer, ...]

    @property
    def have(self) -> int:
        """How many signatures count so far."""
        return len(self.counted)

    @property
    def missing(self) -> int:
        """How many are to come."""
        return max(0, self.need - self.have)


def url_of(change: AuthorityChange, verb: str = "change") -> str:
    """The address of the change's page, or of one of its verbs."""
    return reverse(f"admin:approvals_authoritychange_{verb}", args=[change.pk])


def status_of(change: AuthorityChange, approvals: int, need: int) -> str:
    """The status that people read, as a word of `portal.templatetags`."""
    if change.state != ChangeState.OPEN:
        return ENDED[ChangeState(change.state)]
    if change.kind == AuthorityChange.Kind.ENROLMENT or approvals >= need:
        return "Signed, about to be applied"
    return "Waiting for signatures"


def page_of(change: AuthorityChange, person: Person, *, now: datetime | None = None) -> ChangePage:
    """Everything that the page of this change shows to this person."""
    now = now or timezone.now()
    is_open = change.state == ChangeState.OPEN
    signatures = list(change.signatures.select_related("person"))
    need = changes.signers_needed()
    counted = _counted(change, signatures) if is_open else _approvers(signatures)
    why_not = changes.why_not_sign(change, person, now=now)
    try:
        differences, genuine = changes.differences(change), changes.is_genuine(change)
    except (CountersignError, LookupError, TypeError):
        differences, genuine = (), False
    return ChangePage(
        sentence=changes.sentence_of(change),
        status=status_of(change, len(counted), need),
        differences=differences,
        genuine=genuine,
        registration=change.kind == AuthorityChange.Kind.ENROLMENT,
        signatures=signatures,
        counted=counted,
        need=need,
        invites=is_open and genuine and changes.invites(change),
        clock=change.open_until if is_open else None,
        why_not=why_not,
        buttons=tuple(_buttons(change, person, why_not, now)),
    )


def _counted(change: AuthorityChange, signatures: Collection[ChangeSignature]) -> frozenset[Any]:
    count = changes.counted_signers(change)
    return frozenset(one.person_id for one in signatures if str(one.person_id) in count)


def _approvers(signatures: Collection[ChangeSignature]) -> frozenset[Any]:
    return frozenset(one.person_id for one in signatures if one.verdict == Verdict.APPROVE)


def _buttons(change: AuthorityChange, person: Person, why_not: str, now: datetime) -> Iterator[Offer]:
    if not why_not:
        yield Offer("sign", "Sign or deny", url_of(change, "sign"), "main")
    if not changes.why_not_withdraw(change, person, now=now):
        yield Offer("withdraw", "Withdraw", url_of(change, "withdraw"))
    if not changes.why_not_propose_again(change, person):
        yield Offer("again", "Propose again", url_of(change, "again"), "main")


# --- timeline -------------------------------------------------------------------------------------------------------------


def timeline_of(change: AuthorityChange) -> list[Happening]:
    """Every happening, oldest first, as the audit trail tells it; and what was promised of notifications and application."""
    told = [*_audit(change), *_promises(change)]
    return sorted(told, key=lambda one: one.at)


def _audit(change: AuthorityChange) -> Iterator[Happening]:
    mine = AuditEntry.objects.filter(kind__in=_KINDS, body__contains=canonical.dumps(str(change.pk)))
    for entry in mine.order_by("sequence"):
        try:
            detail = canonical.loads(entry.body).get("detail", {})
        except BadCanonicalForm:
            detail = {"body": entry.body}
        facts = tuple((name, _text(value)) for name, value in detail.items() if name not in _TOLD and value not in ("", None))
        yield Happening(
            entry.at, "entry", AuditKind(entry.kind).label, actor=actor_words(entry.actor), facts=facts, number=entry.sequence
        )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical.dumps(value)


def _promises(change: AuthorityChange) -> Iterator[Happening]:
    kinds = Q(kind=OutboxKind.NOTIFY) | Q(kind=OutboxKind.APPLY, done_at=None)
    for message in OutboxMessage.objects.filter(kinds, subject=str(change.pk)).order_by("id"):
        facts = tuple((name, str(value)) for name, value in (("attempts", message.attempts), ("problem", message.error)) if value)
        if message.kind == OutboxKind.APPLY and change.state != ChangeState.OPEN:
            continue
        if message.kind == OutboxKind.APPLY:
            yield Happening(message.created_at, "notice", "Handed to the authority process, not applied yet", facts=facts)
            continue
        what = _TOPICS.get(message.topic, message.topic)
        if message.done_at:
            yield Happening(message.done_at, "notice", f"Notification of {what} sent")
        else:
            yield Happening(message.created_at, "notice", f"Notification of {what} not sent yet", facts=facts)
