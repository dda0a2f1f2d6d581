"""What a person holds: one query over logins, groups, grants and delegations, held against the rows read one by one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from approvals import permissions
from approvals.models import Guardrail, GuardrailGroupPermission, GuardrailUserPermission, Login, Person
from portal.models import User

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MOMENTS = [None, NOW - timedelta(hours=1), NOW - timedelta(microseconds=1), NOW, NOW + timedelta(microseconds=1)]
# A delegation has an end.
LATER = NOW + timedelta(days=1)
PERSONS, LOGINS, GROUPS, GUARDRAILS = 3, 4, 2, 2

# Mostly what holds, so that what does not is the one thing that decides.
flags = st.sampled_from([(True, True)] * 4 + [(False, True), (True, False)])
dates = st.sampled_from([(None, None)] * 4) | st.tuples(st.sampled_from(MOMENTS), st.sampled_from(MOMENTS))


@dataclass(frozen=True)
class Tables:
    """Rows to write: persons (active, human); logins (whose, active, in which groups); grants (which, dates, another right)."""

    persons: tuple[tuple[bool, bool], ...]
    logins: tuple[tuple[int, bool, frozenset[int]], ...]
    # Login, guardrail, dates, by whom it was delegated, whether it is the right to review.
    to_users: tuple[tuple[int, int, tuple[Any, Any], int | None, bool], ...]
    to_groups: tuple[tuple[int, int, tuple[Any, Any], bool], ...]


tables = st.builds(
    Tables,
    persons=st.tuples(*[flags] * PERSONS),
    logins=st.tuples(
        *[st.tuples(st.integers(0, PERSONS - 1), st.sampled_from([True, True, False]), st.frozensets(st.integers(0, GROUPS - 1)))]
        * LOGINS
    ),
    to_users=st.lists(
        st.tuples(
            st.integers(0, LOGINS - 1),
            st.integers(0, GUARDRAILS - 1),
            dates,
            st.integers(-2, PERSONS - 1).map(lambda by: by if by >= 0 else None),
            st.sampled_from([True, True, True, False]),
        ),
        min_size=3,
        max_size=8,
        unique_by=lambda row: (row[0], row[1], row[3], row[4]),
    ).map(tuple),
    to_groups=st.lists(
        st.tuples(st.integers(0, GROUPS - 1), st.integers(0, GUARDRAILS - 1), dates, st.sampled_from([True, True, False])),
        max_size=4,
        unique_by=lambda row: (row[0], row[1], row[3]),
    ).map(tuple),
)


def written(said: Tables) -> list[UUID]:
    """The persons' ids."""
    review = Permission.objects.get(codename="review_guardrail")
    other = Permission.objects.get(codename="view_guardrail")
    persons = [
        Person.objects.create(handle=f"p{n}", name=f"p{n}", is_active=active, is_human=human)
        for n, (active, human) in enumerate(said.persons)
    ]
    groups = [Group.objects.create(name=f"g{n}") for n in range(GROUPS)]
    guardrails = [Guardrail.objects.create(name=f"r{n}") for n in range(GUARDRAILS)]
    users = []
    for number, (whose, active, within) in enumerate(said.logins):
        user = User.objects.create(username=f"l{number}", is_active=active)
        user.groups.set([groups[one] for one in within])
        Login.objects.create(user=user, person=persons[whose])
        users.append(user)
    for login, which, (starts, ends), by, reviews in said.to_users:
        GuardrailUserPermission.objects.create(
            user=users[login],
            permission=review if reviews else other,
            content_object=guardrails[which],
            starts_at=starts,
            ends_at=ends or (None if by is None else LATER),
            delegated_by=None if by is None else persons[by],
        )
    for group, which, (starts, ends), reviews in said.to_groups:
        GuardrailGroupPermission.objects.create(
            group=groups[group],
            permission=review if reviews else other,
            content_object=guardrails[which],
            starts_at=starts,
            ends_at=ends,
        )
    return [person.pk for person in persons]


class ByHand:
    """The same, row by row."""

    def __init__(self, said: Tables) -> None:
        self.said = said

    def is_active(self, person: int) -> bool:
        return all(self.said.persons[person]) and any(whose == person and active for whose, active, _ in self.said.logins)

    def _logins(self, person: int) -> list[int]:
        return [n for n, (whose, active, _) in enumerate(self.said.logins) if whose == person and active] * all(
            self.said.persons[person]
        )

    def groups(self, person: int) -> frozenset[str]:
        return frozenset(f"g{one}" for login in self._logins(person) for one in self.said.logins[login][2])

    def own(self, person: int) -> set[str]:
        mine = {
            f"r{which}"
            for login, which, (starts, ends), by, reviews in self.said.to_users
            if login in self._logins(person) and by is None and reviews and _holds(starts, ends)
        }
        return mine | {
            f"r{which}"
            for within, which, (starts, ends), reviews in self.said.to_groups
            if f"g{within}" in self.groups(person) and reviews and _holds(starts, ends)
        }

    def rights(self, person: int, apart_from: Collection[int]) -> frozenset[str]:
        lent = {
            f"r{which}"
            for login, which, (starts, ends), by, reviews in self.said.to_users
            if by is not None
            and by not in {person, *apart_from}
            and login in self._logins(person)
            and reviews
            and _holds(starts, ends or LATER)
            and f"r{which}" in self.own(by)
        }
        return frozenset(self.own(person) | lent)


def _holds(starts: datetime | None, ends: datetime | None) -> bool:
    return (starts is None or starts <= NOW) and (ends is None or ends > NOW)


ALWAYS = (None, None)
# The first lends his right to the second, who lends it on to the third.
CHAIN = Tables(
    persons=((True, True),) * PERSONS,
    logins=tuple((person % PERSONS, True, frozenset()) for person in range(LOGINS)),
    to_users=((0, 0, ALWAYS, None, True), (1, 0, ALWAYS, 0, True), (2, 0, ALWAYS, 1, True)),
    to_groups=(),
)


@example(said=CHAIN, asked={0, 1, 2}, apart_from=set())
@example(said=CHAIN, asked={1, 2}, apart_from={0})
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=tables, asked=st.sets(st.integers(0, PERSONS - 1), min_size=1), apart_from=st.sets(st.integers(0, PERSONS - 1)))
def test_what_persons_hold_is_what_the_rows_say(db: None, said: Tables, asked: set[int], apart_from: set[int]) -> None:
    """Active logins of active humans alone; dates to the microsecond; nobody lends what was lent to him, nor who is barred."""
    with transaction.atomic():
        persons, hand = written(said), ByHand(said)
        held = permissions.held_by([persons[n] for n in asked], at=NOW, apart_from=[persons[n] for n in apart_from])
        assert held.active == {persons[n] for n in asked if hand.is_active(n)}
        assert held.groups == {persons[n]: hand.groups(n) for n in asked}
        assert held.rights == {persons[n]: hand.rights(n, apart_from) for n in asked}
        assert permissions.groups_of([persons[n] for n in asked]) == held.groups
        assert permissions.active_among([persons[n] for n in asked]) == held.active
        transaction.set_rollback(True)
