"""Object-level rights on guardrails, through django-guardian. A right is necessary to review, never the two-person rule.

Superusers get nothing here: the flag is not read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import connection
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
    `apart_from`: whoever asks for something does not choose by delegation who decides it. One query; two with delegations.
    """
    moment = at or timezone.now()
    found = _rows_of(persons, moment)
    own, lent = found.own, found.lent
    if lent:
        # Whoever delegated may be none of the persons that were asked for.
        lenders = _rows_of({lender for grants in lent.values() for lender, _ in grants}, moment).own
        for person, grants in lent.items():
            own[person] |= {
                name
                for lender, name in grants
                if lender not in apart_from and lender != person and name in lenders.get(lender, ())
            }
    return Held(
        frozenset(found.active),
        {person: frozenset(own.get(person, ())) for person in persons},
        {person: frozenset(found.groups.get(person, ())) for person in persons},
    )


def rights_of(
    persons: Collection[UUID], *, at: datetime | None = None, apart_from: Collection[UUID] = ()
) -> Mapping[UUID, frozenset[str]]:
    """For each person, the names of the guardrails reviewable at the moment (now), as in `held_by`."""
    return held_by(persons, at=at, apart_from=apart_from).rights


@dataclass(slots=True)
class _Rows:
    """What the tables say of some persons: `lent` is (by whom, guardrail), whether it holds or not."""

    active: set[UUID] = field(default_factory=set)
    own: dict[UUID, set[str]] = field(default_factory=lambda: defaultdict(set))
    lent: dict[UUID, set[tuple[UUID, str]]] = field(default_factory=lambda: defaultdict(set))
    groups: dict[UUID, set[str]] = field(default_factory=lambda: defaultdict(set))


def _rows_of(persons: Collection[UUID], moment: datetime) -> _Rows:
    found = _Rows()
    with connection.cursor() as cursor:
        cursor.execute(_held_sql(), {"persons": list(persons), "moment": moment, "review": REVIEW})
        for person, what, name, lender in cursor.fetchall():
            if what == "active":
                found.active.add(person)
            elif what == "group":
                found.groups[person].add(name)
            elif lender is None:
                found.own[person].add(name)
            else:
                found.lent[person].add((lender, name))
    return found


@cache
def _held_sql() -> str:
    """In SQL, because every decision and every claim asks it: what the ORM needs to write it takes longer than its answer."""
    users = get_user_model()
    members = users.groups.through
    names: dict[str, Any] = {
        "users": users,
        "members": members,
        "groups": Group,
        "logins": Login,
        "persons": Person,
        "guardrails": Guardrail,
        "permissions": Permission,
        "to_users": GuardrailUserPermission,
        "to_groups": GuardrailGroupPermission,
    }
    # Of names that Django quoted, and of nothing else.
    quoted = {name: connection.ops.quote_name(model._meta.db_table) for name, model in names.items()}
    return _HELD.format(**quoted, holding=_HOLDING)


# As `holding` says it.
_HOLDING: Final = """c.codename = %(review)s
        AND (d.starts_at IS NULL OR d.starts_at <= %(moment)s) AND (d.ends_at IS NULL OR d.ends_at > %(moment)s)"""
_HELD: Final = """
WITH login AS (
    SELECT l.person_id, l.user_id FROM {logins} l JOIN {persons} p ON p.id = l.person_id JOIN {users} u ON u.id = l.user_id
    WHERE l.person_id = ANY(%(persons)s) AND p.is_active AND p.is_human AND u.is_active
), member AS (
    SELECT login.person_id, g.id, g.name
    FROM login JOIN {members} m ON m.user_id = login.user_id JOIN {groups} g ON g.id = m.group_id
)
SELECT person_id, 'active', '', NULL::uuid FROM login
UNION ALL SELECT person_id, 'group', name, NULL FROM member
UNION ALL SELECT login.person_id, 'right', r.name, d.delegated_by_id
    FROM login JOIN {to_users} d ON d.user_id = login.user_id
    JOIN {permissions} c ON c.id = d.permission_id JOIN {guardrails} r ON r.id = d.content_object_id
    WHERE {holding}
UNION ALL SELECT member.person_id, 'right', r.name, NULL
    FROM member JOIN {to_groups} d ON d.group_id = member.id
    JOIN {permissions} c ON c.id = d.permission_id JOIN {guardrails} r ON r.id = d.content_object_id
    WHERE {holding}
"""


def holding(moment: datetime) -> Q:
    """Grants whose dates include the moment; the end does not count."""
    began = Q(starts_at__isnull=True) | Q(starts_at__lte=moment)
    return began & (Q(ends_at__isnull=True) | Q(ends_at__gt=moment))


def groups_of(persons: Collection[UUID]) -> Mapping[UUID, frozenset[str]]:
    """For each person, the names of the groups that an active login of theirs is in: active humans only. One query."""
    found = _rows_of(persons, timezone.now()).groups
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
