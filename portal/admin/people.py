"""Persons and groups: who somebody is, as whom he acts in AWS, with which keys he signs. Read-only, because they give rights."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest

from approvals.models import GuardrailGroupPermission, GuardrailUserPermission, Person
from approvals.permissions import REVIEW, reviewable_by
from portal.admin.base import Cell, Detail, ReadOnlyAdmin, Section

HOW_IT_CHANGES = (
    "Persons, logins, principals, passkeys and groups are authority: whoever could change them could sign as somebody else. "
    "They come from the genesis manifest; a later change needs two persons' signatures, and the web process cannot write them."
)


class PersonAdmin(ReadOnlyAdmin):
    """One human or bot a line."""

    list_display = ("handle", "name", "part_column", "is_active")
    list_filter = ("is_administrator", "is_auditor", "is_human", "is_active")
    search_fields = ("handle__istartswith", "name__istartswith")
    sortable_by = ()
    list_lead = HOW_IT_CHANGES

    @admin.display(description="Part")
    def part_column(self, person: Person) -> str:
        """What the flags say; rights on guardrails stand on the person's page."""
        parts = [
            word
            for word, has in (
                ("administrator", person.is_administrator),
                ("auditor", person.is_auditor),
                ("bot", not person.is_human),
            )
            if has
        ]
        return ", ".join(parts) or "person"

    def detail(self, http: HttpRequest, found: Person) -> Detail:
        """Everything that belongs to the person."""
        logins = found.logins.select_related("user").prefetch_related("user__groups").order_by("user__username")
        keys = found.passkeys.order_by("id")
        principals = found.principals.order_by("kind", "value")
        return Detail(
            title=f"{found.name} ({found.handle})",
            lead=HOW_IT_CHANGES,
            sections=[
                Section(
                    "Person",
                    facts=[
                        ("Id", Cell(found.pk, "code")),
                        ("Part", Cell(self.part_column(found))),
                        ("Active", Cell("yes" if found.is_active else "no: may do nothing")),
                        ("Mail", Cell(found.email or "(none)")),
                        ("May review under", Cell(", ".join(sorted(reviewable_by(found))) or "no guardrail")),
                    ],
                ),
                Section(
                    "Logins",
                    columns=("User name", "Groups", "Last came", "Active"),
                    rows=[
                        (
                            Cell(login.user.username),
                            Cell(", ".join(sorted(group.name for group in login.user.groups.all())) or "none"),
                            Cell(login.user.last_login, "time"),
                            Cell("yes" if login.user.is_active else "no"),
                        )
                        for login in logins
                    ],
                    empty="None: this person cannot sign in.",
                    lead="However many there are, they are one voter.",
                ),
                Section(
                    "AWS principals",
                    columns=("Kind", "Value"),
                    rows=[(Cell(p.get_kind_display()), Cell(p.value, "code")) for p in principals],
                    empty="None: no denied call becomes a draft of this person.",
                ),
                Section(
                    "Passkeys for decisions",
                    columns=("Label", "Credential id"),
                    rows=[(Cell(key.label), Cell(key.credential_id, "code")) for key in keys],
                    empty="None: this person cannot sign a decision.",
                ),
            ],
        )


class GroupAdmin(ReadOnlyAdmin):
    """Groups of logins; some of them give the right to review."""

    list_display = ("name", "members_column")
    search_fields = ("name__istartswith",)
    sortable_by = ()
    list_lead = HOW_IT_CHANGES

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        """With their members."""
        return super().get_queryset(request).prefetch_related("user_set")

    @admin.display(description="Members")
    def members_column(self, group: Group) -> str:
        """User names."""
        return ", ".join(sorted(user.get_username() for user in group.user_set.all())) or "nobody"

    def detail(self, http: HttpRequest, found: Group) -> Detail:
        """Members and the guardrails that they may review under through this group."""
        grants = GuardrailGroupPermission.objects.filter(group=found, permission__codename=REVIEW)
        names = sorted(grants.values_list("content_object__name", flat=True))
        direct = GuardrailUserPermission.objects.filter(user__groups=found, permission__codename=REVIEW).select_related(
            "user", "content_object"
        )
        return Detail(
            title=f"Group {found.name}",
            lead=HOW_IT_CHANGES,
            sections=[
                Section(
                    "Members",
                    columns=("User name",),
                    rows=[(Cell(user.get_username()),) for user in found.user_set.order_by("username")],
                    empty="Nobody.",
                ),
                Section(
                    "Guardrails",
                    columns=("Who", "May review under"),
                    rows=[
                        *((Cell("every member"), Cell(name)) for name in names),
                        *((Cell(grant.user.get_username()), Cell(grant.content_object.name)) for grant in direct),
                    ],
                    empty="This group gives no right to review.",
                ),
            ],
        )
