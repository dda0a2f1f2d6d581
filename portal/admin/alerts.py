"""Alerts: what an administrator must look at, and close with what it was."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.safestring import SafeString

from approvals import alerts
from approvals.models import Alert
from approvals.operations import words
from portal import refusals
from portal.admin.base import Cell, Detail, ReadOnlyAdmin, Section
from portal.listing import url_of
from portal.templatetags.portal import moment, status
from portal.viewer import viewer_of


class OpenFilter(admin.SimpleListFilter):
    """Open or closed."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Both."""
        return [("open", "Open"), ("closed", "Closed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to one."""
        return queryset if not self.value() else queryset.filter(closed_at__isnull=self.value() == "open")


class AlertAdmin(ReadOnlyAdmin):
    """One alert a line; administrators close them on the detail page."""

    list_display = ("title_column", "kind", "state_column", "raised_column")
    list_filter = (OpenFilter, "kind")
    search_fields = ("title__istartswith",)
    sortable_by = ()
    list_lead = "Each of these needs a look by an administrator, who closes it by saying what it was."
    list_empty = "No alert. That is how it should be."
    detail_template = "portal/alert.html"

    @admin.display(description="What happened")
    def title_column(self, alert: Alert) -> str:
        """Its title."""
        return words.visible(alert.title)

    @admin.display(description="State")
    def state_column(self, alert: Alert) -> SafeString:
        """Open or closed."""
        return status("closed" if alert.closed_at else "open")

    @admin.display(description="Raised")
    def raised_column(self, alert: Alert) -> SafeString | str:
        """When."""
        return moment(alert.raised_at)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        """With what the detail page shows."""
        return super().get_queryset(request).select_related("request", "record", "closed_by")

    def more_urls(self) -> list[URLPattern]:
        """Closing has an address of its own."""
        return [self._named("close", "<int:object_id>/close/", self.close_view)]

    @refusals.shown
    def close_view(self, http: HttpRequest, object_id: int) -> HttpResponse:
        """POST `reason`: close the alert with what it was."""
        self._must_look(http)
        back = reverse("admin:approvals_alert_change", args=[object_id])
        if http.method != "POST":
            return HttpResponse("Closing takes a POST.", status=405, content_type="text/plain", headers={"Allow": "POST"})
        try:
            alerts.close(object_id, viewer_of(http).person, http.POST.get("reason", "").replace("\0", ""))
        except Alert.DoesNotExist:
            raise Http404("There is no such alert.") from None
        messages.success(http, "Closed, with your words in the audit trail.")
        return HttpResponseRedirect(back)

    def detail(self, http: HttpRequest, found: Alert) -> Detail:
        """What happened, the record behind it, and how it ended."""
        facts = [
            ("State", Cell("closed" if found.closed_at else "open", "status")),
            ("Kind", Cell(found.get_kind_display())),
            ("Raised", Cell(found.raised_at, "time")),
            ("What happened", Cell(found.detail, "lines")),
        ]
        if found.request is not None:
            facts.append(("Request", Cell(str(found.request), "link", url_of(found.request))))
        if found.closed_at is not None:
            facts += [
                ("Closed", Cell(found.closed_at, "time")),
                ("Closed by", Cell(found.closed_by.handle if found.closed_by else "")),
                ("What it was", Cell(found.closed_why, "lines")),
            ]
        sections = [Section("Alert", facts=facts)]
        if found.record is not None:
            sections.append(_record(found))
        return Detail(title=found.title, sections=sections)


def _record(alert: Alert) -> Section:
    record = alert.record
    assert record is not None  # noqa: S101 - asked by the caller
    return Section(
        "CloudTrail record",
        facts=[
            ("Event", Cell(f"{record.event_source} {record.event_name}")),
            ("Event id", Cell(record.event_id, "code")),
            ("Made", Cell(record.event_time, "time")),
            ("By", Cell(record.principal or "(unknown)", "code")),
            ("Access key", Cell(record.access_key_id or "(none)", "code")),
            ("Account and region", Cell(f"{record.account}, {record.region}")),
            ("The record as it came", Cell(record.raw, "code")),
        ],
    )
