"""Changes of authority: the list, one change with its difference, and the addresses of what can be done with it.

Addresses (below admin/approvals/authoritychange/; <id> is the change's UUID; names begin with `approvals_authoritychange_`):

| address | name | GET | POST fields |
|---|---|---|---|
| | changelist | list, open ones first; `state`, `kind__exact` | none |
| <id>/change/ | change | what it changes, who signed, timeline | none (405) |
| <id>/sign/ | sign | difference, verdict, reason | as for a decision: `step=begin`, then `step=sign` |
| <id>/withdraw/ | withdraw | asks | none |
| <id>/again/ | again | asks | none |
| settings/ | settings | the form of the portal's own settings | `portal.proposing` |

Administrators and auditors see all of them; everybody else those that he proposed himself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Case, Count, Q, QuerySet, Value, When
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString

from approvals import changes
from approvals.errors import CountersignError, NotAllowed
from approvals.models import AuthorityChange
from approvals.operations import words
from approvals.states import ChangeState, Verdict
from portal import change_signing, refusals
from portal.admin.base import ReadOnlyAdmin
from portal.change_page import ENDED, status_of, timeline_of, url_of
from portal.change_signing import ChangeScene
from portal.proposing.house import SettingsProposal
from portal.templatetags.portal import distance, moment, status
from portal.viewer import viewer_of

_OPEN_FIRST = Case(When(state=ChangeState.OPEN, then=Value(0)), default=Value(1))


class StateFilter(admin.SimpleListFilter):
    """By state, in the words of the list."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Open, and every way to end."""
        return [(str(ChangeState.OPEN), "Open"), *((str(state), word) for state, word in ENDED.items())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to one state."""
        return queryset.filter(state=self.value()) if self.value() else queryset


class ChangeAdmin(ReadOnlyAdmin):
    """The portal under its own rule: nothing of authority changes without the signatures of administrators."""

    list_display = (
        "reference_column",
        "sentence_column",
        "proposer_column",
        "status_column",
        "signatures_column",
        "since_column",
    )
    list_display_links = ("reference_column",)
    list_filter = (StateFilter, "kind")
    sortable_by = ()
    list_title = "Changes of authority"
    list_lead = (
        "Persons, keys, rights, guardrails, accounts and settings change by proposals that administrators sign. Propose one from "
        "the page of what is to be changed."
    )
    list_empty = "No change was proposed yet. Propose one from the page of a person, a group, a guardrail or an account."
    list_proposal = ("Propose other settings", "approvals_authoritychange_settings")

    # --- the list -----------------------------------------------------------------------------------------------------

    def may_look(self, http: HttpRequest) -> bool:
        """Everybody: which ones, the queryset says."""
        return viewer_of(http) is not None

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuthorityChange]:
        """What the person may read, with what a line shows, in a constant number of queries."""
        approved = Count("signatures", filter=Q(signatures__verdict=Verdict.APPROVE))
        need = Value(changes.signers_needed())
        return viewer_of(request).changes().select_related("proposer").annotate(approvals=approved, need=need)

    def get_ordering(self, request: HttpRequest) -> Any:
        """Open ones first, then the newest."""
        return (_OPEN_FIRST, "-created_at", "-id")

    @admin.display(description="Reference")
    def reference_column(self, change: AuthorityChange) -> str:
        """The short name."""
        return change.reference

    @admin.display(description="Proposes to")
    def sentence_column(self, change: AuthorityChange) -> str:
        """What the edits ask for."""
        return words.visible(changes.sentence_of(change))

    @admin.display(description="Proposer")
    def proposer_column(self, change: AuthorityChange) -> str:
        """Who."""
        return change.proposer.handle

    @admin.display(description="Status")
    def status_column(self, change: Any) -> SafeString:
        """By word and shape."""
        return status(status_of(change, change.approvals, change.need))

    @admin.display(description="Signatures")
    def signatures_column(self, change: Any) -> str:
        """How many of how many."""
        return "codes of the link" if change.kind == AuthorityChange.Kind.ENROLMENT else f"{change.approvals} of {change.need}"

    @admin.display(description="Since")
    def since_column(self, change: AuthorityChange) -> SafeString:
        """When it was proposed."""
        return format_html("{} <small>{}</small>", distance(change.created_at), moment(change.created_at))

    # --- the pages of one change --------------------------------------------------------------------------------------

    def more_urls(self) -> list[URLPattern]:
        """One address for each verb, and the settings' form."""
        verbs = (("sign", change_signing.sign), ("withdraw", change_signing.withdraw), ("again", change_signing.again))
        return [
            self.proposing("settings", "settings/", SettingsProposal),
            *(self._named(verb, f"<uuid:object_id>/{verb}/", self._verb(handler)) for verb, handler in verbs),
        ]

    @refusals.shown
    def detail_view(self, http: HttpRequest, object_id: str) -> HttpResponse:
        """One change, whole."""
        if http.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        try:
            scene = self._scene(http, UUID(object_id))
        except ValueError:
            raise Http404("There is no change with this address.") from None
        title = f"{scene.change.proposer.handle} proposes to {changes.sentence_of(scene.change)}"
        return scene.page("portal/change.html", title, timeline=timeline_of(scene.change))

    def _verb(self, handler: Callable[[ChangeScene], HttpResponse]) -> Callable[..., HttpResponse]:
        @refusals.shown
        def view(self: ChangeAdmin, http: HttpRequest, object_id: UUID) -> HttpResponse:
            if http.method not in ("GET", "HEAD", "POST"):
                return HttpResponse(status=405, headers={"Allow": "GET, HEAD, POST"})
            scene = self._scene(http, object_id)
            try:
                return handler(scene)
            except CountersignError as error:
                return refusals.page(http, error, back=url_of(scene.change), context=scene.frame)

        return lambda http, object_id: view(self, http, object_id)

    def _scene(self, http: HttpRequest, object_id: UUID) -> ChangeScene:
        """The change, if there is one and this person may read it. Raises Http404, NotAllowed."""
        found = AuthorityChange.objects.select_related("proposer").filter(pk=object_id).first()
        if found is None:
            raise Http404("There is no change with this address.")
        viewer = viewer_of(http)
        if not viewer.changes().filter(pk=found.pk).exists():
            raise NotAllowed("This change is not one that you proposed. Administrators and auditors see all of them.")
        return ChangeScene(http, viewer, found, self.admin_site.each_context(http))
