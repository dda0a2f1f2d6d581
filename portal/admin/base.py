"""What every page of the admin shares: read-only, no actions, no history of Django's own, and a detail page made of sections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ClassVar

from django.contrib.admin import ModelAdmin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_safe

from approvals.errors import NotAllowed
from portal import refusals
from portal.proposing.base import Proposal
from portal.proposing.page import may_propose, propose
from portal.site import PortalSite
from portal.viewer import viewer_of


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a section: shown as text unless `kind` says otherwise (`code`, `time`, `status`, `link`, `lines`)."""

    value: Any
    kind: str = "text"
    url: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a detail page: facts as (label, cell), or rows under `columns`; `empty` is said when there is neither."""

    title: str
    facts: Sequence[tuple[str, Cell]] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Cell]] = ()
    empty: str = ""
    lead: str = ""


@dataclass(slots=True)
class Detail:
    """A detail page: its title, a sentence that says what this is, its sections, and where changes are proposed (label, url)."""

    title: str
    lead: str = ""
    sections: list[Section] = field(default_factory=list)
    proposals: Sequence[tuple[str, str]] = ()


class PlainChangeList(ChangeList):
    """A list with the page's own heading."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = getattr(self.model_admin, "list_title", "") or str(self.opts.verbose_name_plural).capitalize()


class ReadOnlyAdmin(ModelAdmin):
    """Lists and shows; changes nothing. Subclasses say who may look in `may_look` and what is shown in `detail`."""

    actions = None
    list_per_page = 50
    # A count of a whole table grows with it; the page shows what it has and goes on.
    show_full_result_count = False
    view_on_site = False
    list_title: ClassVar[str] = ""
    list_lead: ClassVar[str] = ""
    # Where another one is proposed: the label, the name of the address after `admin:`.
    list_proposal: ClassVar[tuple[str, str] | None] = None
    list_empty: ClassVar[str] = "There is nothing here yet."
    detail_template = "portal/detail.html"
    admin_site: PortalSite

    # --- who may look -------------------------------------------------------------------------------------------------

    def may_look(self, http: HttpRequest) -> bool:
        """Administrators and auditors, unless a subclass says otherwise."""
        return viewer_of(http).sees_everything

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whether the person may look at this kind of thing at all."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """The same for one thing; `get_queryset` narrows which ones exist for the person."""
        return self.admin_site.has_permission(request) and self.may_look(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds a row here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody changes a row here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes a row here."""
        return False

    # --- addresses ----------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """The list and the detail page; Django's add, change, delete and history pages do not exist."""
        listed = self._named("changelist", "", require_safe(self.changelist_view))
        shown = self._named("change", "<path:object_id>/change/", self.detail_view)
        return [listed, *self.more_urls(), shown]

    def more_urls(self) -> list[URLPattern]:
        """Addresses of a subclass, found before the detail page's."""
        return []

    def proposing(self, name: str, route: str, form_type: type[Proposal]) -> URLPattern:
        """An address of a form that proposes: a new one, or with `<object_id>` in the route a change of one."""

        @refusals.shown
        def view(self: ReadOnlyAdmin, http: HttpRequest, object_id: str = "") -> HttpResponse:
            self._must_look(http)
            found = self._found(http, object_id) if object_id else None
            back = self.url_of("change", found.pk) if found is not None else self.url_of("changelist")
            return propose(http, self.admin_site.each_context(http), form_type, found, back=back)

        return self._named(name, route, lambda http, **found: view(self, http, **found))

    def offered(self, http: HttpRequest, *proposals: tuple[str, str]) -> tuple[tuple[str, str], ...]:
        """The forms (label, address) for whoever may use them, else none."""
        return proposals if may_propose(viewer_of(http)) else ()

    def url_of(self, name: str, *args: Any) -> str:
        """The address of a page about this kind of thing."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}", args=args)

    def _found(self, http: HttpRequest, object_id: str) -> Any:
        """The thing with this id, if it exists for the person. Raises Http404."""
        found = self.get_object(http, object_id)
        if found is None:
            raise Http404
        return found

    def _named(self, name: str, route: str, view: Callable[..., HttpResponse]) -> URLPattern:
        @wraps(view)
        def wrapped(*args: Any, **kwargs: Any) -> HttpResponse:
            return self.admin_site.admin_view(view)(*args, **kwargs)

        return path(route, wrapped, name=f"{self.opts.app_label}_{self.opts.model_name}_{name}")

    # --- list and detail ----------------------------------------------------------------------------------------------

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """A list with our heading."""
        return PlainChangeList

    @refusals.shown
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, with the sentence that says what it holds."""
        self._must_look(request)
        context = {"list_lead": self.list_lead, "list_empty": self.list_empty, **(extra_context or {})}
        if self.list_proposal and may_propose(viewer_of(request)):
            label, name = self.list_proposal
            context["list_proposal"] = (label, reverse(f"admin:{name}"))
        return super().changelist_view(request, context)

    @refusals.shown
    def detail_view(self, http: HttpRequest, object_id: str) -> HttpResponse:
        """One thing, whole."""
        if http.method not in ("GET", "HEAD"):
            raise NotAllowed("This page only shows; nothing is changed by posting to it.")
        self._must_look(http)
        found = self._found(http, object_id)
        context = {**self.admin_site.each_context(http), "opts": self.opts, "object": found}
        detail = self.detail(http, found)
        return TemplateResponse(http, self.detail_template, {**context, "title": detail.title, "detail": detail})

    def detail(self, http: HttpRequest, found: Any) -> Detail:
        """What the detail page shows."""
        raise NotImplementedError

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """The filters that the page offers, each by its exact value: no expression of a visitor's own reaches the database."""
        fields = {f"{name}__exact" for name in self.list_filter if isinstance(name, str)}
        own = {getattr(filter_, "parameter_name", None) for filter_ in self.list_filter}
        return lookup in fields | own

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """What exists for the person."""
        return super().get_queryset(request)

    def _must_look(self, http: HttpRequest) -> None:
        if not self.has_view_permission(http):
            raise NotAllowed("Administrators and auditors see this page. Who is one changes when two administrators sign it.")
