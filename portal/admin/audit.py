"""The audit trail, to read. Whether it holds is told by `manage.py audit_verify`, not by a page of the web process."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.safestring import SafeString

from approvals.models import AuditEntry, AuditKind, ChainHead
from approvals.operations import words
from portal.admin.base import Cell, Detail, ReadOnlyAdmin, Section
from portal.shown import actor_words
from portal.templatetags.portal import moment

# Pages beyond this are for `audit_export`: counting millions of rows for a page number would be waste.
MOST_COUNTED = 10_000


class BoundedPaginator(Paginator):
    """Counts no further than a reader turns pages."""

    @cached_property
    def count(self) -> int:
        """At most MOST_COUNTED."""
        found = cast("QuerySet[AuditEntry]", self.object_list)
        return found.order_by()[:MOST_COUNTED].count()


class KindFilter(admin.SimpleListFilter):
    """By kind, of those that exist; no query over the table."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        """Every kind of entry."""
        return [(str(value), str(label)) for value, label in AuditKind.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        """Narrow to one kind, which an index answers."""
        return queryset.filter(kind=self.value()) if self.value() else queryset


class AuditEntryAdmin(ReadOnlyAdmin):
    """One link of the chain a line."""

    list_display = ("sequence", "at_column", "kind_column", "actor_column", "request_column")
    list_filter = (KindFilter,)
    search_fields = ("sequence",)
    search_help_text = "A sequence number, a kind such as request.denied, or a request's whole id."
    ordering = ("-sequence",)
    sortable_by = ()
    paginator = BoundedPaginator
    show_full_result_count = False
    list_lead = "Each link carries the hash of the one before. The command manage.py audit_verify proves that none was altered."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """By number, kind or request: what an index answers."""
        term = search_term.strip()[:200].replace("\0", "")
        if not term:
            return queryset, False
        if term.lstrip("#").isdecimal() and len(term) < 19:
            return queryset.filter(sequence=int(term.lstrip("#"))), False
        try:
            return queryset.filter(request_id=UUID(term)), False
        except ValueError:
            return queryset.filter(kind=term), False

    @admin.display(description="At")
    def at_column(self, entry: AuditEntry) -> SafeString | str:
        """When."""
        return moment(entry.at)

    @admin.display(description="What")
    def kind_column(self, entry: AuditEntry) -> str:
        """The kind in words."""
        return str(dict(AuditKind.choices).get(entry.kind, entry.kind))

    @admin.display(description="Actor")
    def actor_column(self, entry: AuditEntry) -> str:
        """Who."""
        return words.visible(actor_words(entry.actor))

    @admin.display(description="Request")
    def request_column(self, entry: AuditEntry) -> str:
        """Which request it is about."""
        return str(entry.request_id)[:8].upper() if entry.request_id else ""

    def detail(self, http: HttpRequest, found: AuditEntry) -> Detail:
        """One link with its hashes."""
        facts = [
            ("At", Cell(found.at, "time")),
            ("What", Cell(f"{found.kind}: {self.kind_column(found)}")),
            ("Actor", Cell(found.actor)),
        ]
        if found.request_id:
            url = reverse("admin:approvals_approvalrequest_change", args=[found.request_id])
            facts.append(("Request", Cell(str(found.request_id), "link", url)))
        facts += [
            ("Body, which the hash covers", Cell(found.body, "code")),
            ("Hash of the link before", Cell(found.previous, "code")),
            ("Hash", Cell(found.hash, "code")),
        ]
        head = ChainHead.objects.filter(pk=1).first()
        lead = f"The chain ends at #{head.sequence}." if head else ""
        return Detail(title=f"Audit entry #{found.sequence}", lead=lead, sections=[Section("Link", facts=facts)])
