"""What the page of one statement shows. Verdicts are those of `approvals.statements`; nothing is judged here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.urls import reverse
from django.utils import timezone

from approvals import canonical, statements
from approvals.errors import BadAuthority, BadCanonicalForm
from approvals.models import AuditEntry, AuditKind, OutboxKind, OutboxMessage, Person, Statement, StatementSignature
from approvals.statements import Said
from approvals.states import StatementState
from portal.offers import Offer
from portal.shown import actor_words
from portal.timeline import Happening

_KINDS: Final = (
    AuditKind.STATEMENT_PROPOSED,
    AuditKind.STATEMENT_SIGNED,
    AuditKind.STATEMENT_DENIED,
    AuditKind.STATEMENT_WITHDRAWN,
    AuditKind.STATEMENT_EXPIRED,
    AuditKind.STATEMENT_REFUSED,
    AuditKind.EXECUTIONS_PAUSED,
    AuditKind.EXECUTIONS_RESUMED,
    AuditKind.EXECUTION_CLOSED,
)
ENDED: Final = {
    StatementState.IN_FORCE: "In force",
    StatementState.OVER: "Over",
    StatementState.DENIED: "Denied",
    StatementState.WITHDRAWN: "Withdrawn",
    StatementState.EXPIRED: "Expired",
    StatementState.REFUSED: "Does not verify",
}
_TOLD: Final = frozenset({"statement", "digest", "text", "what"})


@dataclass(frozen=True, slots=True)
class StatementPage:
    """One statement: what it says, how far it is, who signed. `why_not` says to the viewer why he cannot sign it."""

    sentence: str
    status: str
    said: Said | None
    pauses: tuple[Statement, ...]
    request_url: str
    signatures: list[StatementSignature]
    need: int
    have: int
    clock: datetime | None
    why_not: str
    buttons: tuple[Offer, ...]

    @property
    def missing(self) -> int:
        """How many signatures are to come."""
        return max(0, self.need - self.have)


def url_of(statement: Statement, verb: str = "change") -> str:
    """The address of the statement's page, or of one of its verbs."""
    return reverse(f"admin:approvals_statement_{verb}", args=[statement.pk])


def sign_words(statement: Statement) -> str:
    """What the page is called where a person signs it. A pause is not denied."""
    return "Sign" if statement.kind == Statement.Kind.PAUSE else "Sign or deny"


def status_of(statement: Statement, have: int, now: datetime) -> str:
    """The status that people read, as a word of `portal.templatetags`."""
    if statement.state != StatementState.OPEN:
        if statement.state == StatementState.REFUSED and "by evidence" in statement.ended_why:
            return "Overtaken"
        return ENDED[StatementState(statement.state)]
    if statement.open_until <= now:
        return "Expired"
    return "Signed, about to be applied" if have >= statements.signers_needed(statement) else "Waiting for signatures"


def page_of(statement: Statement, person: Person, *, now: datetime | None = None) -> StatementPage:
    """Everything that the page of this statement shows to this person."""
    now = now or timezone.now()
    signatures = list(statement.signatures.select_related("person"))
    is_open = statement.state == StatementState.OPEN
    counted = (
        statements.counted_signers(statement) if is_open else {one.person_id for one in signatures if one.verdict == "approve"}
    )
    why_not = statements.why_not_sign(statement, person, now=now)
    try:
        said = statements.read(statement)
    except BadAuthority:
        said = None
    execution = statement.execution
    return StatementPage(
        sentence=statements.sentence_of(statement),
        status=status_of(statement, len(counted), now),
        said=said,
        pauses=tuple(Statement.objects.filter(pk__in=said.pauses).select_related("proposer")) if said and said.pauses else (),
        request_url=reverse("admin:approvals_approvalrequest_change", args=[execution.revision.request_id]) if execution else "",
        signatures=signatures,
        need=statements.signers_needed(statement),
        have=len(counted),
        clock=statement.open_until if is_open else None,
        why_not=why_not,
        buttons=tuple(_buttons(statement, person, why_not, now)),
    )


def _buttons(statement: Statement, person: Person, why_not: str, now: datetime) -> Iterator[Offer]:
    if not why_not:
        yield Offer("sign", sign_words(statement), url_of(statement, "sign"), "main")
    if not statements.why_not_withdraw(statement, person, now=now):
        yield Offer("withdraw", "Withdraw", url_of(statement, "withdraw"))


def timeline_of(statement: Statement) -> list[Happening]:
    """Every happening, oldest first, as the audit trail tells it; and whether the executor has it still before it."""
    told = [*_audit(statement), *_promises(statement)]
    return sorted(told, key=lambda one: one.at)


def _audit(statement: Statement) -> Iterator[Happening]:
    mine = AuditEntry.objects.filter(kind__in=_KINDS, body__contains=canonical.dumps(str(statement.pk)))
    for entry in mine.order_by("sequence"):
        try:
            detail: dict[str, Any] = canonical.loads(entry.body).get("detail", {})
        except BadCanonicalForm:
            detail = {"body": entry.body}
        facts = tuple((name, _text(value)) for name, value in detail.items() if name not in _TOLD and value not in ("", None))
        yield Happening(
            entry.at, "entry", AuditKind(entry.kind).label, actor=actor_words(entry.actor), facts=facts, number=entry.sequence
        )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical.dumps(value)


def _promises(statement: Statement) -> Iterator[Happening]:
    if statement.state != StatementState.OPEN:
        return
    for message in OutboxMessage.objects.filter(kind=OutboxKind.CLOSE, subject=str(statement.pk), done_at=None):
        facts = (("problem", message.error),) if message.error else ()
        yield Happening(message.created_at, "notice", "Handed to the execution process, not acted on yet", facts=facts)
