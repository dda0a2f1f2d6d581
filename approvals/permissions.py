"""Object-level rights on guardrails, through django-guardian. A right is necessary to review, never the two-person rule.

Superusers get nothing here: the flag is not read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet

from approvals.models import Guardrail, GuardrailGroupPermission, GuardrailUserPermission, Login, Person

REVIEW = "review_guardrail"


def person_of(user: object) -> Person | None:
    """The active person behind a portal user, or None: unmapped, anonymous, inactive."""
    if not isinstance(user, get_user_model()) or not user.is_active:
        return None
    login = Login.objects.select_related("person").filter(user=user).first()
    return login.person if login is not None and login.person.is_active else None


def rights_of(persons: Collection[UUID]) -> Mapping[UUID, frozenset[str]]:
    """For each person, the names of the guardrails reviewable now: active humans with an active login only. Two queries."""
    found: dict[UUID, set[str]] = defaultdict(set)
    active = {
        "user__login__person__in": persons,
        "user__is_active": True,
        "user__login__person__is_active": True,
        "user__login__person__is_human": True,
    }
    direct = GuardrailUserPermission.objects.filter(permission__codename=REVIEW, **active)
    for person, name in direct.values_list("user__login__person_id", "content_object__name"):
        found[person].add(name)
    grouped = GuardrailGroupPermission.objects.filter(
        permission__codename=REVIEW, **{f"group__{key}": value for key, value in active.items()}
    )
    for person, name in grouped.values_list("group__user__login__person_id", "content_object__name"):
        found[person].add(name)
    return {person: frozenset(found.get(person, ())) for person in persons}


def active_among(persons: Collection[UUID]) -> frozenset[UUID]:
    """Those of the persons who are active humans with an active login."""
    found = Person.objects.filter(pk__in=persons, is_active=True, is_human=True, logins__user__is_active=True)
    return frozenset(found.values_list("pk", flat=True))


def reviewable_by(person: Person) -> frozenset[str]:
    """The names of the guardrails whose requests this person may review."""
    return rights_of([person.pk])[person.pk]


def reviewers_of(guardrails: Collection[str]) -> QuerySet[Person]:
    """Every active human who may review under at least one of the named guardrails."""
    named = Guardrail.objects.filter(name__in=guardrails)
    users = GuardrailUserPermission.objects.filter(permission__codename=REVIEW, content_object__in=named).values("user")
    groups = GuardrailGroupPermission.objects.filter(permission__codename=REVIEW, content_object__in=named).values("group")
    through = Q(logins__user__in=users) | Q(logins__user__groups__in=groups)
    return Person.objects.filter(through, logins__user__is_active=True, is_active=True, is_human=True).distinct()
