"""Statements: the list, one statement, the addresses of what can be done with it, and the kill switch.

Addresses (below admin/approvals/statement/; <id> is the statement's UUID; names begin with `approvals_statement_`):

| address | name | GET | POST fields |
|---|---|---|---|
| | changelist | list; `kind__exact`, `state__exact` | none |
| switch/ | switch | whether executions are paused | `verb` (pause, resume), `reason`: answers with the ceremony |
| <id>/change/ | change | what it says, evidence, who signed, timeline | none (405) |
| <id>/sign/ | sign | verdict, reason | as for a decision: `step=begin`, then `step=sign` |
| <id>/withdraw/ | withdraw | asks | none |

The closing of an outcome is made on its request's page (`close`, fields `outcome`, `evidence`, `reason`). Administrators and
auditors see every statement; everybody else the closings of requests that he may read.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from approvals import statements
from approvals.errors import CountersignError, NotAllowed
from approvals.models import Statement
from portal import refusals, statement_signing
from portal.admin.base import ReadOnlyAdmin
from portal.statement_page import status_of, timeline_of, url_of
from portal.statement_signing import StatementScene
from portal.templatetags.portal import distance, moment, status
from portal.viewer import viewer_of


class StatementAdmin(ReadOnlyAdmin):
    """What persons sign beside plans and changes of authority."""

    list_display = ("reference_column", "kind", "proposer_column", "status_column", "since_column")
    list_display_links = ("reference_column",)
    list_filter = ("kind", "state")
    sortable_by = ()
    ordering = ("-created_at", "-id")
    list_title = "Statements"
    list_lead = (
        "What persons sign beside plans and changes: that all executions pause, that they go on, how an unknown call went."
    )
    list_empty = "Nobody has made a statement yet."
    list_proposal = ("Kill switch", "approvals_statement_switch")

    def may_look(self, http: HttpRequest) -> bool:
        """Everybody: which ones, the queryset says."""
        return viewer_of(http) is not None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Statement]:
        """What the person may read, with what a line shows, in a constant number of queries."""
        return viewer_of(request).statements().select_related("proposer").prefetch_related("signatures")

    @admin.display(description="Reference")
    def reference_column(self, statement: Statement) -> str:
        """The short name."""
        return statement.reference

    @admin.display(description="By")
    def proposer_column(self, statement: Statement) -> str:
        """Who made it."""
        return statement.proposer.handle

    @admin.display(description="Status")
    def status_column(self, statement: Statement) -> SafeString:
        """By word and shape."""
        have = sum(one.verdict == "approve" for one in statement.signatures.all())
        return status(status_of(statement, have, timezone.now()))

    @admin.display(description="Since")
    def since_column(self, statement: Statement) -> SafeString:
        """When it was made."""
        return format_html("{} <small>{}</small>", distance(statement.created_at), moment(statement.created_at))

    def more_urls(self) -> list[URLPattern]:
        """The switch, and one address for each verb."""
        verbs = (("sign", statement_signing.sign), ("withdraw", statement_signing.withdraw))
        return [
            self._named("switch", "switch/", self.switch_view),
            *(self._named(verb, f"<uuid:object_id>/{verb}/", self._verb(handler)) for verb, handler in verbs),
        ]

    @refusals.shown
    def switch_view(self, http: HttpRequest) -> HttpResponse:
        """The kill switch. Everybody sees how it stands; administrators use it."""
        if http.method not in ("GET", "HEAD", "POST"):
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD, POST"})
        return statement_signing.switch(http, viewer_of(http), self.admin_site.each_context(http))

    @refusals.shown
    def detail_view(self, http: HttpRequest, object_id: str) -> HttpResponse:
        """One statement, whole."""
        if http.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        try:
            scene = self._scene(http, UUID(object_id))
        except ValueError:
            raise Http404("There is no statement with this address.") from None
        title = f"{scene.statement.proposer.handle} states {statements.sentence_of(scene.statement)}"
        return scene.page("portal/statement.html", title, timeline=timeline_of(scene.statement))

    def _verb(self, handler: Callable[[StatementScene], HttpResponse]) -> Callable[..., HttpResponse]:
        @refusals.shown
        def view(self: StatementAdmin, http: HttpRequest, object_id: UUID) -> HttpResponse:
            if http.method not in ("GET", "HEAD", "POST"):
                return HttpResponse(status=405, headers={"Allow": "GET, HEAD, POST"})
            scene = self._scene(http, object_id)
            try:
                return handler(scene)
            except CountersignError as error:
                return refusals.page(http, error, back=url_of(scene.statement), context=scene.frame)

        return lambda http, object_id: view(self, http, object_id)

    def _scene(self, http: HttpRequest, object_id: UUID) -> StatementScene:
        """The statement, if there is one and this person may read it. Raises Http404, NotAllowed."""
        rows = Statement.objects.select_related("proposer", "execution__revision__request__account")
        found = rows.filter(pk=object_id).first()
        if found is None:
            raise Http404("There is no statement with this address.")
        viewer = viewer_of(http)
        if not viewer.statements().filter(pk=found.pk).exists():
            raise NotAllowed("This statement is about nothing that you may read. Administrators and auditors see all of them.")
        return StatementScene(http, viewer, found, self.admin_site.each_context(http))
