"""The way to an operation: account and region, then the service, then what it should do. Plain pages; GET alone leads on.

Fields: `place` (account/region), `service` (boto3's name, or words to look for), `q` (words to look for among a service's
operations), `operation` (service:Operation, which ends the way).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from approvals import policies
from approvals.models import Account, GuardrailVersion
from approvals.operations import catalog, risk, services, sources, words
from approvals.operations.catalog import Operation
from approvals.operations.facts import rows
from approvals.policies import Call, Mode, Rules

LONGEST_SEARCH: Final = 100


@dataclass(frozen=True, slots=True)
class Place:
    """An account and one of its regions."""

    account: Account
    region: str

    @property
    def value(self) -> str:
        """As the field `place` carries it."""
        return f"{self.account.pk}/{self.region}"

    @property
    def label(self) -> str:
        """As people read it."""
        return f"{self.account.alias} ({self.account.pk}), {self.region}"


@dataclass(frozen=True, slots=True)
class Way:
    """Where the choosing pages lead: their address, and the fields that go along with every link and form."""

    address: str
    along: Mapping[str, str] = field(default_factory=dict)

    def to(self, **more: str) -> str:
        """A link with further fields."""
        return f"{self.address}?{urlencode({**self.along, **more})}"


@dataclass(frozen=True, slots=True)
class OperationChoice:
    """One operation to choose: where it leads, its name, what it does (for those that we describe), whether that is final."""

    url: str
    name: str
    does: str
    final: bool
    protected: bool


@dataclass(frozen=True, slots=True)
class ServiceChoice:
    """One service to choose, with the operations of it that are shown beside."""

    url: str
    name: str
    full_name: str
    operations: tuple[OperationChoice, ...] = ()


def places() -> list[Place]:
    """Every account and region that there is, in the order of the accounts' names."""
    return [Place(account, region) for account in Account.objects.order_by("alias") for region in account.regions]


def place_of(value: str, among: Iterable[Place]) -> Place | None:
    """The place that a field names; None for none that we know."""
    return next((place for place in among if place.value == value), None)


def page(http: HttpRequest, context: dict[str, Any], way: Way, place: Place, *, errors: Mapping[str, list[str]]) -> HttpResponse:
    """The page on which a service or an operation of it is chosen, as far as the fields of the address have come."""
    guards = _guards()
    asked = http.GET.get("service", "").strip()[:LONGEST_SEARCH].replace("\0", "")
    known = services.full_names()
    context = {**context, "way": way, "place": place, "service": asked, "errors": errors}
    if asked in known:
        words_given = http.GET.get("q", "").strip()[:LONGEST_SEARCH].replace("\0", "")
        found = [one for one in services.writing(asked) if _fits(words_given, one.name, one.facts.does)]
        described = [_choice(one, way, guards, place) for one in found if one.facts.curated]
        others = [_choice(one, way, guards, place) for one in found if not one.facts.curated]
        more = {
            "full_name": known[asked],
            "described": described,
            "others": others,
            "q": words_given,
            "services_url": way.to(),
            "all_url": way.to(service=asked),
        }
        return TemplateResponse(http, "portal/choose_operation.html", {**context, **more}, status=400 if errors else 200)
    listed = [ServiceChoice(way.to(service=name), name, full) for name, full in known.items() if _fits(asked, name, full)]
    context |= {"protected": _protected(guards, place, way, asked), "listed": listed, "known": known}
    return TemplateResponse(http, "portal/choose_service.html", context, status=400 if errors else 200)


def _guards() -> list[Rules]:
    return [version.rules for version in GuardrailVersion.objects.current() if version.rules.mode is Mode.ENFORCE]


def _is_protected(name: str, guards: Sequence[Rules], place: Place) -> bool:
    call = Call(place.account.pk, place.region, name, (), sources.other_names(name), place.account.tags)
    return any(policies.matches(rules, call) for rules in guards)


def _protected(guards: Sequence[Rules], place: Place, way: Way, asked: str) -> list[ServiceChoice]:
    """The services that a guardrail of this place names, each with the operations that we describe and it protects."""
    # A pattern matches itself as a text, so this asks only whether its rules hold in this place.
    named = {one.partition(":")[0] for rules in guards for one in rules.operations if _is_protected(one, [rules], place)}
    by_service: dict[str, list[OperationChoice]] = {name: [] for name in named & services.full_names().keys()}
    for name in sorted(rows()):
        if _is_protected(name, guards, place):
            operation = catalog.get(name)
            by_service.setdefault(operation.service, []).append(_choice(operation, way, guards, place))
    known = services.full_names()
    return [
        ServiceChoice(way.to(service=name), name, known[name], tuple(found))
        for name, found in sorted(by_service.items())
        if _fits(asked, name, known[name])
    ]


def _choice(operation: Operation, way: Way, guards: Sequence[Rules], place: Place) -> OperationChoice:
    facts = operation.facts
    return OperationChoice(
        url=way.to(operation=operation.full_name),
        name=operation.name,
        does=words.kind_of(operation) if facts.curated else "",
        final=risk.of(operation).irreversible,
        protected=_is_protected(operation.full_name, guards, place),
    )


def _fits(asked: str, *texts: str) -> bool:
    """Whether every word that was asked for stands in one of the texts."""
    whole = " ".join(texts).lower()
    return all(word in whole for word in asked.lower().split())
