"""Persons and groups: who somebody is, as whom he acts in AWS, with which keys he signs."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import URLPattern

from approvals.models import GuardrailGroupPermission, GuardrailUserPermission, Person
from approvals.permissions import REVIEW, reviewable_by
from portal.admin.base import Cell, Detail, ReadOnlyAdmin, Section
from portal.proposing.groups import GroupProposal, NewGroupProposal
from portal.proposing.persons import NewPersonProposal, PersonProposal
from portal.proposing.rights import dates_in_words

HOW_IT_CHANGES = (
    "Persons, logins, principals, passkeys and groups are authority: whoever could change them could sign as somebody else. "
    "A change is proposed here, two administrators or more sign it, and a process of its own applies it."
)


class PersonAdmin(ReadOnlyAdmin):
    """One human or bot a line."""

    list_display = ("handle", "name", "part_column", "is_active")
    list_filter = ("is_administrator", "is_auditor", "is_human", "is_active")
    search_fields = ("handle__istartswith", "name__istartswith")
    sortable_by = ()
    list_lead = HOW_IT_CHANGES
    list_proposal = ("Propose a new person", "approvals_person_propose_new")

    def more_urls(self) -> list[URLPattern]:
        """The forms that propose."""
        return [
            self.proposing("propose_new", "propose/", NewPersonProposal),
            self.proposing("propose", "<uuid:object_id>/propose/", PersonProposal),
        ]

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
            proposals=self.offered(http, ("Propose a change", self.url_of("propose", found.pk))),
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
                    columns=("Kind", "Value or pattern", "Precedence"),
                    rows=[(Cell(p.get_kind_display()), Cell(p.value, "code"), Cell(p.precedence)) for p in principals],
                    empty="None: no denied call becomes a draft of this person.",
                ),
                _sign_on(found),
                Section(
                    "Passkeys for decisions",
                    columns=("Label", "Credential id"),
                    rows=[(Cell(key.label), Cell(key.credential_id, "code")) for key in keys],
                    empty="None: this person cannot sign a decision.",
                ),
                Section(
                    "Enrolment link",
                    columns=("Good until", "Opened by"),
                    rows=[
                        (
                            Cell(one.until, "time"),
                            Cell("the code that bootstrap printed" if one.codes else "codes of who signed it"),
                        )
                        for one in found.invitations.all()
                    ],
                    empty="None is open.",
                ),
                _rights(found),
            ],
        )


def _sign_on(person: Person) -> Section:
    columns = ("user__username", "user__socialaccount__provider", "user__socialaccount__uid")
    found = person.logins.filter(user__socialaccount__isnull=False).order_by("user__username").values_list(*columns)
    return Section(
        "Single sign-on",
        columns=("Opens the login", "Provider", "Subject"),
        rows=[(Cell(login), Cell(provider), Cell(subject, "code")) for login, provider, subject in found],
        empty="None: this person signs in with a password and a second factor.",
    )


def _rights(person: Person) -> Section:
    """His own, those of his groups, and those delegated to him or by him, with their dates."""
    direct = GuardrailUserPermission.objects.filter(
        Q(user__login__person=person) | Q(delegated_by=person), permission__codename=REVIEW
    ).select_related("user__login__person", "content_object", "delegated_by")
    grouped = GuardrailGroupPermission.objects.filter(
        group__user__login__person=person, permission__codename=REVIEW
    ).select_related("group", "content_object")
    rows = [(one.content_object.name, _through(one, person), one.starts_at, one.ends_at) for one in direct]
    rows += [(one.content_object.name, f"group {one.group.name}", one.starts_at, one.ends_at) for one in grouped.distinct()]
    return Section(
        "Rights to review",
        columns=("Guardrail", "Through", "From", "Until"),
        rows=[
            (
                Cell(name),
                Cell(through),
                Cell(starts, "time") if starts else Cell("always"),
                Cell(ends, "time") if ends else Cell("it is taken away"),
            )
            for name, through, starts, ends in sorted(rows, key=lambda row: row[:2])
        ],
        empty="None: this person reviews nothing.",
    )


def _through(grant: GuardrailUserPermission, person: Person) -> str:
    if grant.delegated_by is None:
        return f"login {grant.user.get_username()}"
    if grant.delegated_by == person:
        return f"delegated to {grant.user.get_username()}"
    return f"delegated by {grant.delegated_by.handle}"


class GroupAdmin(ReadOnlyAdmin):
    """Groups of logins; some of them give the right to review."""

    list_display = ("name", "members_column")
    search_fields = ("name__istartswith",)
    sortable_by = ()
    list_lead = HOW_IT_CHANGES
    list_proposal = ("Propose a new group", "auth_group_propose_new")

    def more_urls(self) -> list[URLPattern]:
        """The forms that propose."""
        return [
            self.proposing("propose_new", "propose/", NewGroupProposal),
            self.proposing("propose", "<int:object_id>/propose/", GroupProposal),
        ]

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
        dated = sorted(grants.values_list("content_object__name", "starts_at", "ends_at"))
        direct = GuardrailUserPermission.objects.filter(user__groups=found, permission__codename=REVIEW).select_related(
            "user", "content_object"
        )
        return Detail(
            title=f"Group {found.name}",
            lead=HOW_IT_CHANGES,
            proposals=self.offered(http, ("Propose other members", self.url_of("propose", found.pk))),
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
                        *((Cell("every member"), Cell(name + dates_in_words(*dates))) for name, *dates in dated),
                        *(
                            (
                                Cell(grant.user.get_username()),
                                Cell(grant.content_object.name + dates_in_words(grant.starts_at, grant.ends_at)),
                            )
                            for grant in direct
                        ),
                    ],
                    empty="This group gives no right to review.",
                ),
            ],
        )
