"""Requests: the list, the review page, and the addresses of everything that can be done with one.

Addresses (all behind sign-in, below admin/approvals/approvalrequest/; <id> is the request's UUID; names are in the namespace
`admin` and begin with `approvals_approvalrequest_`):

| address | name | GET | POST fields |
|---|---|---|---|
| | changelist | list; `view=mine`, `view=review`, `view=stop`, `view=adopt`, `state__exact`, `q` | none |
| <id>/change/ | change | the review page | none (405) |
| file/ | file | `place` (account/region), `service`, `q` and `operation` choose the form | `place`, `operation`, `p.<path>` |
| <id>/complete/ | complete | the form of `step`, or of the one the request is about | `revision`, `step`, `p.<path>` |
| <id>/add/ | add | `at`, `service`, `q`, `operation` choose it, `ready` fills it | `revision`, `at`, `operation`, `p.<path>` |
| <id>/plan/ | plan | the steps in order | `revision` and one of `up`, `down`, `remove`, `ready` |
| <id>/confirm/ | confirm | plan and reason | see below |
| <id>/decide/ | decide | plan, verdict, reason | see below |
| <id>/glass/ | glass | plan and reason of a break-glass | see below |
| <id>/adopt/ | adopt | asks | none |
| <id>/return/ | return | asks for the message of who sends it back | `reason` |
| <id>/stop/ | stop | asks | `reason` |
| <id>/comment/ | comment | the review page | `text` |
| <id>/reviewed/ | reviewed | the review page | `text`: what was found of a break-glass |
| <id>/close/ | close | what is known of an unknown outcome | `outcome`, `evidence`, `reason`: answers with the ceremony |
| <id>/withdraw/ | withdraw | asks | `reason` |
| <id>/disown/ | disown | asks | none |

`revision` is the number seen; each change of a plan is its next revision. Steps are counted from 1: `step`, `at` (where a step
is put in), `up`, `down` and `remove` hold such a number, `ready` holds `<step>.<offer>`. `q` are words to look for.

Signing takes two POSTs to the same address. First `step=begin` with `digest` (from the form), `reason`, and when deciding
`verdict` (approve or deny) and `typed_name`; the answer is the page with form#ceremony, whose fields repeat these and add
`nonce`. Then `step=sign` with all of them and either `credential_id`, `client_data`, `authenticator_data`, `signature`
(base64url, filled in by sign.js) or, in the demo, `sign_with=software`. Success redirects (302) to the review page; a refusal
answers 400, 403 or 409. Fields of an operation are named as `portal.form_data` says; its buttons are `add`, `remove`,
`unfold` and `close` with a field's name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString

from approvals.errors import CountersignError
from approvals.models import ApprovalRequest
from approvals.operations import words
from portal import asking, conversing, deciding, planning, refusals, returning, statement_signing
from portal.admin.base import ReadOnlyAdmin
from portal.listing import asker_of, newest, sentence_of, url_of
from portal.present import now_of
from portal.scene import Scene
from portal.templatetags.portal import distance, moment, status
from portal.viewer import for_listing, viewer_of

LONGEST_SEARCH = 200
# The filter by operation offers those of this many newest requests.
LATELY = 500


class ViewFilter(admin.SimpleListFilter):
    """Whose requests: mine, those that wait for my review, that I may still stop, that nobody stands behind."""

    title = "view"
    parameter_name = "view"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The views beside all that the person may see."""
        return [
            ("review", "Waiting for my review"),
            ("mine", "Mine"),
            ("stop", "I can still stop"),
            ("adopt", "Nobody stands behind"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to the chosen view."""
        viewer = viewer_of(request)
        if self.value() == "mine":
            return queryset.filter(requester=viewer.person)
        narrowed = {
            "review": viewer.waiting_for_review,
            "stop": viewer.may_stop,
            "adopt": viewer.waiting_to_be_adopted,
        }.get(self.value() or "")
        return queryset.filter(pk__in=narrowed().values("pk")) if narrowed else queryset


class OperationFilter(admin.SimpleListFilter):
    """By operation, of those that were asked for lately."""

    title = "operation"
    parameter_name = "operation"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The operations of the newest requests that the person may read; one query."""
        newest_ones = viewer_of(request).requests().order_by("-created_at", "-id").values_list("operation", flat=True)
        return [(name, name) for name in sorted(set(newest_ones[:LATELY]))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Narrow to one operation."""
        return queryset.filter(operation=self.value()) if self.value() else queryset


class RequestAdmin(ReadOnlyAdmin):
    """The list is scoped to what the person may read; the change view is the review page, and nothing is edited on it."""

    list_display = ("reference_column", "sentence_column", "account_column", "requester_column", "status_column", "since_column")
    list_display_links = ("reference_column",)
    list_filter = (ViewFilter, "state", OperationFilter, "source")
    search_fields = ("target",)
    search_help_text = "Beginning of a reference, of a target's name or of a requester's handle."
    ordering = ("-created_at", "-id")
    sortable_by = ()
    list_lead = "What people want done in AWS, newest first."
    list_empty = "No request here. A denied call becomes a draft within seconds; you can also file one."
    change_list_template = "admin/approvals/approvalrequest/change_list.html"

    # --- the list -----------------------------------------------------------------------------------------------------

    def may_look(self, http: HttpRequest) -> bool:
        """Every person has requests to see; which ones, the queryset says."""
        return viewer_of(http) is not None

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApprovalRequest]:
        """What the person may read, with what a line shows, in a constant number of queries."""
        viewer = viewer_of(request)
        found = viewer.requests()
        # What nobody stands behind is listed where somebody looks for it, so that a flood of it hides nothing else.
        if request.GET.get(ViewFilter.parameter_name) == "adopt":
            found |= viewer.waiting_to_be_adopted()
        return for_listing(found)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        """Prefixes only: an index can answer them, and nobody searches through other people's texts by chance."""
        term = search_term.strip()[:LONGEST_SEARCH].replace("\0", "")
        if not term:
            return queryset, False
        found = Q(target__startswith=term) | Q(requester__handle__istartswith=term)
        if reference := _reference_range(term):
            found |= Q(pk__range=reference)
        return queryset.filter(found), False

    @admin.display(description="Reference")
    def reference_column(self, request: ApprovalRequest) -> str:
        """The short name."""
        return request.reference

    @admin.display(description="Asks to")
    def sentence_column(self, request: ApprovalRequest) -> str:
        """What is asked for, from the plan."""
        return sentence_of(request, newest(request))

    @admin.display(description="Account")
    def account_column(self, request: ApprovalRequest) -> str:
        """Where."""
        return words.visible(request.account.alias)

    @admin.display(description="Requester")
    def requester_column(self, request: ApprovalRequest) -> str:
        """Who asks."""
        return asker_of(request)

    @admin.display(description="Status")
    def status_column(self, request: ApprovalRequest) -> SafeString:
        """Derived from request and execution."""
        return status(request.status())

    @admin.display(description="Since")
    def since_column(self, request: ApprovalRequest) -> SafeString:
        """When it was asked for."""
        return format_html("{} <small>{}</small>", distance(request.created_at), moment(request.created_at))

    # --- the pages of one request -------------------------------------------------------------------------------------

    def more_urls(self) -> list[URLPattern]:
        """One address for each verb."""
        return [
            self._named("file", "file/", self.file_view),
            *(
                self._named(verb, f"<uuid:object_id>/{verb}/", self._verb(handler))
                for verb, handler in (
                    ("complete", planning.complete),
                    ("add", planning.add),
                    ("plan", planning.arrange),
                    ("confirm", deciding.confirm),
                    ("decide", deciding.decide),
                    ("glass", deciding.break_glass),
                    ("adopt", returning.adopt),
                    ("return", returning.send_back),
                    ("stop", returning.stop),
                    ("comment", conversing.comment),
                    ("reviewed", conversing.review_glass),
                    ("close", statement_signing.close),
                    ("withdraw", asking.withdraw),
                    ("disown", asking.disown),
                )
            ),
        ]

    @refusals.shown
    def file_view(self, http: HttpRequest) -> HttpResponse:
        """File a request without any event."""
        return asking.file(http, viewer_of(http), self.admin_site.each_context(http))

    @refusals.shown
    def detail_view(self, http: HttpRequest, object_id: str) -> HttpResponse:
        """The review page."""
        if http.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        try:
            scene = self._scene(http, UUID(object_id))
        except ValueError:
            raise Http404("There is no request with this address.") from None
        return conversing.shown(scene)

    def _verb(self, handler: Callable[[Scene], HttpResponse]) -> Callable[..., HttpResponse]:
        signs = handler in deciding.SIGNING

        @refusals.shown
        def view(self: RequestAdmin, http: HttpRequest, object_id: UUID) -> HttpResponse:
            if http.method not in ("GET", "HEAD", "POST"):
                return HttpResponse(status=405, headers={"Allow": "GET, HEAD, POST"})
            # A posted signature is judged by its verb, which is narrower: who may read the request is asked once it refuses.
            scene = self._scene(http, object_id, seen=signs and deciding.is_signed(http))
            try:
                return handler(scene)
            except CountersignError as error:
                scene.viewer.must_see(scene.request)
                # Whoever may read the request is led to what it has become.
                context = scene.frame | {"now": now_of(scene.request)}
                return refusals.page(http, error, back=url_of(scene.request), context=context)

        return lambda http, object_id: view(self, http, object_id)

    def _scene(self, http: HttpRequest, object_id: UUID, *, seen: bool = False) -> Scene:
        """The request, if there is one and this person may read it (`seen`: that is asked later). Raises Http404, NotAllowed."""
        found = ApprovalRequest.objects.select_related("account", "requester").filter(pk=object_id).first()
        if found is None:
            raise Http404("There is no request with this address.")
        viewer = viewer_of(http)
        if not seen:
            viewer.must_see(found)
        return Scene(http, viewer, found, self.admin_site.each_context)


def _reference_range(term: str) -> tuple[UUID, UUID] | None:
    """The ids that begin with these hexadecimal digits."""
    digits = term.replace("-", "").lower()
    if not digits or len(digits) > 32 or set(digits) - set("0123456789abcdef"):
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
