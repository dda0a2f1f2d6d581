"""Guardrails and accounts: what is protected and how it is decided, in words."""

from __future__ import annotations

import json
from collections.abc import Iterable

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from approvals.errors import NotAllowed
from approvals.models import Account, Guardrail, GuardrailVersion
from approvals.operations import words
from approvals.permissions import reviewers_of
from approvals.policies import Condition, Mode, Operator, Rules
from portal import refusals
from portal.admin.base import Cell, Detail, ReadOnlyAdmin, Section
from portal.proposing.accounts import AccountProposal, NewAccountProposal
from portal.proposing.guardrails import GuardrailProposal, NewGuardrailProposal
from portal.proposing.page import propose
from portal.proposing.rights import DelegationProposal, RightsProposal, delegations_under
from portal.viewer import viewer_of

HOW_IT_CHANGES = (
    "Guardrails are authority: a change is a new version, which is proposed here and signed by two administrators or more. "
    "What is under way is judged by the version that was signed and by the one that holds."
)


class GuardrailAdmin(ReadOnlyAdmin):
    """Everybody who reviews sees his own guardrails; administrators and auditors see all."""

    list_display = ("name", "protects_column", "approvals_column", "version_column")
    search_fields = ("name__startswith",)
    sortable_by = ()
    list_lead = HOW_IT_CHANGES
    list_empty = "You review under no guardrail."
    list_proposal = ("Propose a new guardrail", "approvals_guardrail_propose_new")

    def more_urls(self) -> list[URLPattern]:
        """The forms that propose; delegating is for everybody who reviews under the guardrail."""
        return [
            self.proposing("propose_new", "propose/", NewGuardrailProposal),
            self.proposing("propose", "<int:object_id>/propose/", GuardrailProposal),
            self.proposing("rights", "<int:object_id>/rights/", RightsProposal),
            self._named("delegate", "<int:object_id>/delegate/", self.delegate_view),
        ]

    @refusals.shown
    def delegate_view(self, http: HttpRequest, object_id: int) -> HttpResponse:
        """Delegate one's own right."""
        self._must_look(http)
        found, viewer = self._found(http, str(object_id)), viewer_of(http)
        if found.name not in viewer.guardrails:
            raise NotAllowed("You hold no right to review under this guardrail, so there is none that you could delegate.")
        back, frame = self.url_of("change", found.pk), self.admin_site.each_context(http)
        return propose(http, frame, DelegationProposal, (found, viewer.person), back=back, for_all=True)

    def may_look(self, http: HttpRequest) -> bool:
        """Whoever reviews under one, and those who see everything."""
        viewer = viewer_of(http)
        return viewer.sees_everything or bool(viewer.guardrails)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Guardrail]:
        """The person's own, or all; versions come along in one query."""
        viewer = viewer_of(request)
        found = super().get_queryset(request).prefetch_related("versions")
        return found if viewer.sees_everything else found.filter(name__in=viewer.guardrails)

    @admin.display(description="Protects")
    def protects_column(self, guardrail: Guardrail) -> str:
        """Operations on resources."""
        rules = _newest(guardrail).rules
        return words.visible(f"{', '.join(rules.operations)} on {', '.join(rules.resources)}")

    @admin.display(description="Approvals")
    def approvals_column(self, guardrail: Guardrail) -> str:
        """How many, with what comes on top."""
        return approvals_in_words(_newest(guardrail).rules)

    @admin.display(description="Version")
    def version_column(self, guardrail: Guardrail) -> int:
        """The newest."""
        return _newest(guardrail).number

    def detail(self, http: HttpRequest, found: Guardrail) -> Detail:
        """Rules in words, who may review, and every version with its hash."""
        newest = _newest(found)
        rules = newest.rules
        versions = sorted(found.versions.all(), key=lambda version: -version.number)
        reviewers = reviewers_of([found.name]).order_by("handle")
        viewer = viewer_of(http)
        proposals = self.offered(
            http,
            ("Propose the next version", self.url_of("propose", found.pk)),
            ("Propose who may review", self.url_of("rights", found.pk)),
        )
        if found.name in viewer.guardrails:
            proposals += (("Delegate my right", self.url_of("delegate", found.pk)),)
        return Detail(
            title=f"Guardrail {found.name}",
            lead=HOW_IT_CHANGES,
            proposals=proposals,
            sections=[
                Section("What it asks for", facts=_in_words(rules)),
                Section(
                    "Who may review",
                    columns=("Person", "Name"),
                    rows=[(Cell(person.handle), Cell(person.name)) for person in reviewers],
                    empty="Nobody: no request under it can be approved.",
                    lead="Never for a request that they asked for or edited themselves.",
                ),
                Section(
                    "Delegations",
                    columns=("Who reviews", "In place of", "From", "Until"),
                    rows=[
                        (
                            Cell(one.login),
                            Cell(one.lender),
                            Cell(one.starts, "time") if one.starts else Cell("at once"),
                            Cell(one.ends, "time"),
                        )
                        for one in delegations_under(found)
                    ],
                    empty="Nobody delegated a right under this guardrail.",
                ),
                Section(
                    "Versions",
                    columns=("Number", "Since", "SHA-256 of its text"),
                    rows=[(Cell(v.number), Cell(v.created_at, "time"), Cell(v.hash, "code")) for v in versions],
                    lead="A version never changes. A plan names the versions that it was frozen under.",
                ),
                Section("Text of the newest version", facts=[("Canonical JSON", Cell(newest.text, "code"))]),
            ],
        )


def approvals_in_words(rules: Rules) -> str:
    """How many persons must approve."""
    said = f"{rules.approvals} besides the requester"
    extra = rules.irreversible.extra_approvals
    return f"{said}, {extra} more for what cannot be undone" if extra else said


def _newest(guardrail: Guardrail) -> GuardrailVersion:
    return max(guardrail.versions.all(), key=lambda version: version.number)


def _in_words(rules: Rules) -> list[tuple[str, Cell]]:
    hold = rules.irreversible.hold
    enforced = rules.mode is Mode.ENFORCE
    return [
        ("For", Cell(rules.description or "(no description)")),
        ("Mode", Cell("enforced: nothing runs without the quorum" if enforced else "observed: only records what it would ask")),
        ("Accounts", Cell(", ".join(rules.accounts) or "(by tags)", "code")),
        ("Regions", Cell(", ".join(rules.regions), "code")),
        ("Operations", Cell(", ".join(rules.operations), "code")),
        ("Resources", Cell(", ".join(rules.resources), "code")),
        ("Approvals", Cell(approvals_in_words(rules))),
        ("A draft lives", Cell(duration(rules.clocks.draft))),
        ("A pending request lives", Cell(duration(rules.clocks.pending))),
        ("An approval is good for", Cell(duration(rules.clocks.approval))),
        ("What cannot be undone waits", Cell(duration(hold) if hold else "not at all")),
        ("A backup goes before it", Cell("yes, where one is known" if rules.protective_step else "no")),
        ("Its name must be typed", Cell("yes" if rules.irreversible.typed_name else "no")),
        ("A reason must be given", Cell("yes" if rules.reason else "no")),
        ("A grant may be delegated", Cell("yes" if rules.delegation else "no")),
        *((label, cell) for label, cell in _where_it_says_more(rules) if cell.value),
    ]


def _where_it_says_more(rules: Rules) -> list[tuple[str, Cell]]:
    """What most guardrails leave out; an empty value is not shown."""
    glass = rules.break_glass
    return [
        ("Or accounts with every tag", _lines(f"{key}: {', '.join(patterns)}" for key, patterns in rules.account_tags)),
        ("Only risks", Cell(", ".join(rules.risk))),
        ("Only families", Cell(", ".join(rules.families), "code")),
        ("Only when", _lines(_condition(one) for one in rules.conditions)),
        ("Among the approvals", _lines(f"{least} from {group}" for group, least in rules.groups)),
        ("The reason must name", Cell(rules.ticket, "code")),
        ("What nobody confirmed", Cell("may be decided, by two approvers at least" if rules.unconfirmed else "")),
        (
            "Carried out only",
            _lines(f"{', '.join(one.days)} from {one.begins} to {one.ends} ({one.zone})" for one in rules.windows),
        ),
        ("Frozen", _lines(f"{one.begins} until {one.ends} ({one.zone}): {one.why}" for one in rules.freezes)),
        (
            "In an emergency, at once",
            Cell(f"{', '.join(glass.groups)}, reviewed within {duration(glass.review_within)}" if glass else ""),
        ),
    ]


def _lines(texts: Iterable[str]) -> Cell:
    return Cell("\n".join(texts), "lines")


def _condition(condition: Condition) -> str:
    said = str(condition.operator).replace("_", " ")
    if condition.value is True and condition.operator in (Operator.PRESENT, Operator.ABSENT):
        return f"{condition.parameter} is {said}"
    values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
    return f"{condition.parameter} {said} {', '.join(json.dumps(one, ensure_ascii=False) for one in values)}"


def duration(seconds: int) -> str:
    """Seconds in the largest unit that divides them."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0 and seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{seconds} seconds"


class AccountAdmin(ReadOnlyAdmin):
    """The AWS accounts that Countersign acts in."""

    list_display = ("alias", "id", "partition", "regions_column", "environment")
    search_fields = ("id__startswith", "alias__istartswith")
    sortable_by = ()
    list_lead = "Accounts are authority: a change is proposed here, and two administrators or more sign it."
    list_proposal = ("Propose a new account", "approvals_account_propose_new")

    def more_urls(self) -> list[URLPattern]:
        """The forms that propose."""
        return [
            self.proposing("propose_new", "propose/", NewAccountProposal),
            self.proposing("propose", "<slug:object_id>/propose/", AccountProposal),
        ]

    @admin.display(description="Regions")
    def regions_column(self, account: Account) -> str:
        """Where requests may be made."""
        return ", ".join(account.regions)

    def detail(self, http: HttpRequest, found: Account) -> Detail:
        """Who acts there."""
        facts = [
            ("Account", Cell(found.pk, "code")),
            ("Partition", Cell(found.partition)),
            ("Regions", Cell(", ".join(found.regions))),
            ("Environment", Cell(found.environment or "(not said)")),
            ("The executor's role", Cell(found.executor_role_arn, "code")),
            ("External id", Cell(found.external_id, "code")),
            ("Tags", Cell("\n".join(f"{key} = {value}" for key, value in sorted(found.tags.items())) or "(none)", "lines")),
        ]
        return Detail(
            title=f"Account {found.alias}",
            lead=self.list_lead,
            sections=[Section("Account", facts=facts)],
            proposals=self.offered(http, ("Propose a change", self.url_of("propose", found.pk))),
        )
