"""Object-level rights on guardrails, through django-guardian. A right is necessary to review, never the two-person rule.

Superusers get nothing here: the flag is not read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from approvals.models import (
    ApprovalRequest,
    Guardrail,
    GuardrailGroupPermission,
    GuardrailUserPermission,
    Login,
    Person,
    RevisionGuardrail,
)

REVIEW = "review_guardrail"


def person_of(user: object) -> Person | None:
    """The active person behind a portal user, or None: unmapped, anonymous, inactive."""
    if not isinstance(user, get_user_model()) or not user.is_active:
        return None
    login = Login.objects.select_related("person").filter(user=user).first()
    return login.person if login is not None and login.person.is_active else None


def rights_of(
    persons: Collection[UUID], *, at: datetime | None = None, apart_from: Collection[UUID] = ()
) -> Mapping[UUID, frozenset[str]]:
    """For each person, the names of the guardrails reviewable at the moment (now): active humans with an active login only.

    A delegation holds while whoever delegated is such a person too and holds a right of his own, and never by one of
    `apart_from`: whoever asks for something does not choose by delegation who decides it. Three queries at most.
    """
    moment = at or timezone.now()
    own, lent = _grants_of(persons, moment)
    if lent:
        # Whoever delegated may be none of the persons that were asked for.
        lenders, _ = _grants_of({lender for lenders in lent.values() for lender, _ in lenders}, moment)
        for person, grants in lent.items():
            own[person] |= {
                name
                for lender, name in grants
                if lender not in apart_from and lender != person and name in lenders.get(lender, ())
            }
    return {person: frozenset(own.get(person, ())) for person in persons}


Lent = dict[UUID, set[tuple[UUID, str]]]


def _grants_of(persons: Collection[UUID], moment: datetime) -> tuple[dict[UUID, set[str]], Lent]:
    """What the persons hold themselves, and what was delegated to them as (by whom, guardrail)."""
    own: dict[UUID, set[str]] = defaultdict(set)
    lent: Lent = defaultdict(set)
    active = {
        "user__login__person__in": persons,
        "user__is_active": True,
        "user__login__person__is_active": True,
        "user__login__person__is_human": True,
    }
    direct = GuardrailUserPermission.objects.filter(holding(moment), permission__codename=REVIEW, **active)
    for person, name, lender in direct.values_list("user__login__person_id", "content_object__name", "delegated_by_id"):
        if lender is None:
            own[person].add(name)
        else:
            lent[person].add((lender, name))
    grouped = GuardrailGroupPermission.objects.filter(
        holding(moment), permission__codename=REVIEW, **{f"group__{key}": value for key, value in active.items()}
    )
    for person, name in grouped.values_list("group__user__login__person_id", "content_object__name"):
        own[person].add(name)
    return own, lent


def holding(moment: datetime) -> Q:
    """Grants whose dates include the moment; the end does not count."""
    began = Q(starts_at__isnull=True) | Q(starts_at__lte=moment)
    return began & (Q(ends_at__isnull=True) | Q(ends_at__gt=moment))


def groups_of(persons: Collection[UUID]) -> Mapping[UUID, frozenset[str]]:
    """For each person, the names of the groups that an active login of theirs is in: active humans only. One query."""
    found: dict[UUID, set[str]] = defaultdict(set)
    logins = Login.objects.filter(
        person__in=persons, person__is_active=True, person__is_human=True, user__is_active=True, user__groups__isnull=False
    )
    for person, name in logins.values_list("person_id", "user__groups__name"):
        found[person].add(name)
    return {person: frozenset(found.get(person, ())) for person in persons}


def active_among(persons: Collection[UUID]) -> frozenset[UUID]:
    """Those of the persons who are active humans with an active login."""
    found = Person.objects.filter(pk__in=persons, is_active=True, is_human=True, logins__user__is_active=True)
    return frozenset(found.values_list("pk", flat=True))


def reviewable_by(person: Person, *, apart_from: Collection[UUID] = ()) -> frozenset[str]:
    """The names of the guardrails whose requests this person may review now; `apart_from` as in `rights_of`."""
    return rights_of([person.pk], apart_from=apart_from)[person.pk]


def reviewers_of(guardrails: Collection[str]) -> QuerySet[Person]:
    """Every active human who may review now under at least one of the named guardrails."""
    named = Guardrail.objects.filter(name__in=guardrails)
    now = holding(timezone.now())
    users = GuardrailUserPermission.objects.filter(now, permission__codename=REVIEW, content_object__in=named)
    groups = GuardrailGroupPermission.objects.filter(now, permission__codename=REVIEW, content_object__in=named).values("group")
    through = Q(logins__user__in=users.values("user")) | Q(logins__user__groups__in=groups)
    found = Person.objects.filter(through, logins__user__is_active=True, is_active=True, is_human=True).distinct()
    if not users.filter(delegated_by__isnull=False).exists():
        return found
    rights = rights_of([person.pk for person in found])
    return Person.objects.filter(pk__in=[person for person, names in rights.items() if names & set(guardrails)])


def requests_seen_by(person: Person, guardrails: Collection[int]) -> QuerySet[ApprovalRequest]:
    """The requests that a person may read, given the ids of the guardrails that he reviews under (see `reviewable_by`).

    His own, and what touches those guardrails; everything for administrators and auditors. Reading gives no right to decide.
    """
    every = ApprovalRequest.objects.all()
    if person.is_administrator or person.is_auditor:
        return every
    mine = every.filter(requester=person)
    if not guardrails:
        return mine
    return mine | every.filter(Exists(RevisionGuardrail.objects.filter(request=OuterRef("pk"), guardrail__in=guardrails)))


def waiting_to_be_adopted() -> QuerySet[ApprovalRequest]:
    """Drafts that no person stands behind: of a bot, or of an AWS identity of nobody's. Whoever may ask may adopt one."""
    return ApprovalRequest.objects.filter(Q(requester=None) | Q(requester__is_human=False), state="draft")


def may_read(person: Person, request: ApprovalRequest) -> bool:
    """Whether the person may read this request, and so take part in its thread."""
    guardrails = list(Guardrail.objects.filter(name__in=reviewable_by(person)).values_list("pk", flat=True))
    return (requests_seen_by(person, guardrails) | waiting_to_be_adopted()).filter(pk=request.pk).exists()
