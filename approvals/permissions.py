"""Object-level rights on guardrails, through django-guardian. A right is necessary to review, never the two-person rule.

Superusers get nothing here: the flag is not read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
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


@dataclass(frozen=True, slots=True)
class Held:
    """What some persons hold at a moment, each of them in every part: active humans with an active login only.

    `rights` are the names of the guardrails reviewable by each, `groups` those of the groups that a login of theirs is in.
    """

    active: frozenset[UUID]
    rights: Mapping[UUID, frozenset[str]]
    groups: Mapping[UUID, frozenset[str]]


def held_by(persons: Collection[UUID], *, at: datetime | None = None, apart_from: Collection[UUID] = ()) -> Held:
    """What the persons hold at the moment (now).

    A delegation holds while whoever delegated is such a person too and holds a right of his own, and never by one of
    `apart_from`: whoever asks for something does not choose by delegation who decides it. Three queries; twice as many with
    delegations.
    """
    moment = at or timezone.now()
    logins = _logins_of(persons)
    own, lent = _grants_of(logins, moment)
    if lent:
        # Whoever delegated may be none of the persons that were asked for.
        lenders, _ = _grants_of(_logins_of({lender for lenders in lent.values() for lender, _ in lenders}), moment)
        for person, grants in lent.items():
            own[person] |= {
                name
                for lender, name in grants
                if lender not in apart_from and lender != person and name in lenders.get(lender, ())
            }
    return Held(
        frozenset(one.person for one in logins),
        {person: frozenset(own.get(person, ())) for person in persons},
        _groups_of(logins, persons),
    )


def rights_of(
    persons: Collection[UUID], *, at: datetime | None = None, apart_from: Collection[UUID] = ()
) -> Mapping[UUID, frozenset[str]]:
    """For each person, the names of the guardrails reviewable at the moment (now), as in `held_by`."""
    return held_by(persons, at=at, apart_from=apart_from).rights


Lent = dict[UUID, set[tuple[UUID, str]]]


class _Login(NamedTuple):
    """An active login of an active human in one of its groups; in none of them once."""

    user: int
    person: UUID
    group: int | None
    group_name: str | None


def _logins_of(persons: Collection[UUID]) -> list[_Login]:
    active = Login.objects.filter(person__in=persons, person__is_active=True, person__is_human=True, user__is_active=True)
    return [_Login(*row) for row in active.values_list("user_id", "person_id", "user__groups", "user__groups__name")]


def _groups_of(logins: Sequence[_Login], persons: Collection[UUID]) -> Mapping[UUID, frozenset[str]]:
    found: dict[UUID, set[str]] = defaultdict(set)
    for one in logins:
        if one.group_name is not None:
            found[one.person].add(one.group_name)
    return {person: frozenset(found.get(person, ())) for person in persons}


def _grants_of(logins: Sequence[_Login], moment: datetime) -> tuple[dict[UUID, set[str]], Lent]:
    """What these hold themselves, and what was delegated to them as (by whom, guardrail).

    By their logins and groups, found before: one query that joins them all takes PostgreSQL longer to plan than both to answer.
    """
    lent: Lent = defaultdict(set)
    persons = {one.user: one.person for one in logins}
    direct = GuardrailUserPermission.objects.filter(holding(moment), permission__codename=REVIEW, user__in=persons)
    own: dict[UUID, set[str]] = defaultdict(set)
    for user, name, lender in direct.values_list("user_id", "content_object__name", "delegated_by_id"):
        if lender is None:
            own[persons[user]].add(name)
        else:
            lent[persons[user]].add((lender, name))
    members: dict[int, set[UUID]] = defaultdict(set)
    for one in logins:
        if one.group is not None:
            members[one.group].add(one.person)
    grouped = GuardrailGroupPermission.objects.filter(holding(moment), permission__codename=REVIEW, group__in=members)
    for group, name in grouped.values_list("group_id", "content_object__name"):
        for person in members[group]:
            own[person].add(name)
    return own, lent


def holding(moment: datetime) -> Q:
    """Grants whose dates include the moment; the end does not count."""
    began = Q(starts_at__isnull=True) | Q(starts_at__lte=moment)
    return began & (Q(ends_at__isnull=True) | Q(ends_at__gt=moment))


def groups_of(persons: Collection[UUID]) -> Mapping[UUID, frozenset[str]]:
    """For each person, the names of the groups that an active login of theirs is in: active humans only. One query."""
    return _groups_of(_logins_of(persons), persons)


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


def may_read(person: Person, request: ApprovalRequest, rights: Collection[str] | None = None) -> bool:
    """Whether the person may read this request, and so take part in its thread: as `requests_seen_by`, or it waits to be adopted.

    `rights` are the names of the guardrails that he reviews under, where they are known.
    """
    if person.is_administrator or person.is_auditor or request.requester_id == person.pk:
        return True
    if person.is_human and _waits_to_be_adopted(request):
        return True
    names = reviewable_by(person) if rights is None else rights
    return RevisionGuardrail.objects.filter(request=request, guardrail__name__in=names).exists()


def _waits_to_be_adopted(request: ApprovalRequest) -> bool:
    return request.state == "draft" and (request.requester is None or not request.requester.is_human)
