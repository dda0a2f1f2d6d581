"""Executions: what was carried out, call by call, with AWS's answer and the proof."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from approvals.models import Attempt, Execution, Notice, Proof
from approvals.operations import words
from portal.admin.base import Cell, Detail, ReadOnlyAdmin, Section
from portal.listing import url_of
from portal.put_off import put_off_of
from portal.templatetags.portal import moment, status


class ExecutionAdmin(ReadOnlyAdmin):
    """One permission to carry out a revision a line."""

    list_display = ("short_id", "what_column", "state_column", "created_column", "ended_column")
    list_filter = ("state",)
    search_fields = ("revision__request__target__startswith",)
    sortable_by = ()
    list_lead = "Each is one permission to carry out one signed plan. Its id is the source identity of the session in AWS."
    list_empty = "Nothing was approved yet."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Execution]:
        """With the request that it carries out."""
        return super().get_queryset(request).select_related("revision__request__account", "notice")

    @admin.display(description="Execution")
    def short_id(self, execution: Execution) -> str:
        """The id's first eight digits."""
        return str(execution.pk)[:8].upper()

    @admin.display(description="Carries out")
    def what_column(self, execution: Execution) -> str:
        """Operation and target."""
        request = execution.revision.request
        return f"{request.operation} on {words.visible(request.target)} in {words.visible(request.place)}"

    @admin.display(description="State")
    def state_column(self, execution: Execution) -> SafeString:
        """Where it stands."""
        return status(execution.state)

    @admin.display(description="Approved")
    def created_column(self, execution: Execution) -> SafeString | str:
        """When the quorum was met."""
        return moment(execution.created_at)

    @admin.display(description="Ended")
    def ended_column(self, execution: Execution) -> SafeString | str:
        """When its outcome was known."""
        return moment(execution.ended_at)

    def detail(self, http: HttpRequest, found: Execution) -> Detail:
        """Clocks, outcome, and every call on the wire."""
        request = found.revision.request
        attempts = found.attempts.select_related("proof__record").order_by("step", "number")
        later = put_off_of(found)
        return Detail(
            title=f"Execution {self.short_id(found)}",
            sections=[
                Section(
                    "Execution",
                    facts=[
                        ("Id, and source identity in AWS", Cell(found.pk, "code")),
                        ("Request", Cell(f"{request.reference} {self.what_column(found)}", "link", url_of(request))),
                        ("State", Cell(found.state, "status")),
                        ("Outcome", Cell(found.outcome or "not known yet", "lines")),
                        ("Digest that was signed", Cell(found.revision.digest, "code")),
                        ("Approved", Cell(found.created_at, "time")),
                        ("Not before", Cell(found.not_before, "time")),
                        ("Notice", Cell(_notice(found), "lines")),
                        ("Good until", Cell(found.valid_until, "time")),
                        ("Claimed", Cell(found.claimed_at, "time")),
                        ("Claimed by", Cell(found.worker or "nobody yet")),
                        ("Fencing token", Cell(found.token)),
                        ("Tried again", Cell(later.until if later else None, "time")),
                        ("Ended", Cell(found.ended_at, "time")),
                    ],
                ),
                *(_attempt(attempt) for attempt in attempts),
                *([] if attempts else [Section("Calls", empty="No call was made yet.")]),
            ],
        )


def _attempt(attempt: Attempt) -> Section:
    proof: Proof | None = getattr(attempt, "proof", None)
    proven = f"event {proof.record.event_id} ({proof.record.event_name})" if proof else "not yet: CloudTrail shows none"
    error = f"{attempt.error_code}: {attempt.error_message}" if attempt.error_code else "none"
    return Section(
        f"Step {attempt.step + 1}, {'rehearsal' if attempt.rehearsal else 'call'} {attempt.number}: {attempt.operation}",
        facts=[
            ("State", Cell(attempt.state, "status")),
            ("Region", Cell(attempt.region)),
            ("Sent", Cell(attempt.sent_at, "time")),
            ("Answered", Cell(attempt.answered_at, "time")),
            ("Settled", Cell(attempt.settled_at, "time")),
            ("Access key of the session", Cell(attempt.access_key_id, "code")),
            ("AWS request id", Cell(attempt.aws_request_id or "none", "code")),
            ("Token that AWS knows a repeat by", Cell(attempt.client_token or "none", "code")),
            ("Error", Cell(error)),
            ("Tried again", Cell("yes, as a new call" if attempt.may_repeat else "no")),
            ("AWS's answer", Cell(attempt.answer or "none yet", "code")),
            ("Proof", Cell(proven)),
        ],
    )


def _notice(execution: Execution) -> str:
    """What the executor told before it acted, and when that went out."""
    notice: Notice | None = getattr(execution, "notice", None)
    if notice is None:
        return "none: no hold was asked for, or it has not been written yet"
    sent = f"sent {notice.delivered_at:%Y-%m-%d %H:%M:%S %Z}" if notice.delivered_at else "not sent yet"
    return f"{sent} to {', '.join(notice.to)}, {notice.hold} seconds of hold\n{notice.text}"
