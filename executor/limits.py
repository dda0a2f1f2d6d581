"""How much the executor does at once: in an account, of one service there, and for one requester within an hour.

What is too much waits its turn, is never ended by it, and its use-by runs on. Whose turn it is: of those that wait for a place
in the account, the one whose requester had the fewest begun within the hour; among his, the one that was approved first. So a
hundred approvals of one person do not stand before another's only one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Case, Exists, F, OuterRef, Q, When

from approvals.clearance import Verified
from approvals.errors import NotYet
from approvals.models import Attempt, Execution, OutboxKind, OutboxMessage
from approvals.states import AttemptState, ExecutionState
from approvals.terms import WAITS
from executor import waiting

HOUR: Final = timedelta(hours=1)
# As long as a worker waits for a call to settle.
ATTENDED: Final = timedelta(seconds=waiting.PATIENCE.bound)
# How soon to look for a place again: who stands first, who stands last, and whose requester has to wait for the hour.
SOON: Final = timedelta(seconds=2)
LATER: Final = timedelta(seconds=30)
SELDOM: Final = timedelta(minutes=10)
# Those of the queue that are looked at; who stands behind them waits in any case.
MOST: Final = 500
_UNDER_WAY: Final = (ExecutionState.CLAIMED, ExecutionState.RUNNING)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One that could be claimed, as the queue sees it."""

    execution: UUID
    requester: UUID | None
    service: str
    approved: datetime


@dataclass(frozen=True, slots=True)
class Places:
    """What is taken in one account: under way in all and by service, begun within the hour by requester."""

    under_way: int
    by_service: Counter[str]
    begun: Counter[UUID | None]


def must_have_a_place(execution: Execution, verified: Verified, now: datetime) -> None:
    """Raise NotYet, with until when to wait and why, unless a place in the account is free and it is this execution's turn.

    Called with the request and the execution locked and verified, right before the claim. Whoever asks for the same account waits
    until the transaction ends, so that no two are given one place; so does whoever asks for the same requester elsewhere. Who
    breaks the glass acts at once: he takes a place and waits for none. What gave its place up (`gave_up_its_place`) needs one
    again for its next step, and was begun once already.
    """
    if verified.broken_by is not None:
        return
    request, account = execution.revision.request, verified.plan.account
    me = Waiting(execution.pk, request.requester_id, _service(request.operation), execution.created_at)
    # Everybody takes these two after the rows and before the trail, in this order.
    _one_at_a_time(f"account/{account}")
    _one_at_a_time(f"requester/{me.requester}")
    places, mine = _places(account, me.requester, now, without=execution.pk)
    begun = execution.execution_state is not ExecutionState.READY
    if not begun and (again := _asked_too_often(mine, now)) is not None:
        most = settings.EXECUTIONS_PER_REQUESTER
        why = f"{WAITS}{most} executions of this requester have begun within the last hour, and more may not."
        raise NotYet(why, until=again)
    place = place_of(me, _queue(account, me, now), places)
    if place:
        raise NotYet(f"{WAITS}{_why(me, places, account)}", until=now + min(SOON * place, LATER))


def gave_up_its_place(attempts: Collection[Attempt]) -> bool:
    """Whether the last step that was made took so long to settle that others were given its place."""
    made = [one for one in attempts if one.state == AttemptState.SUCCEEDED]
    last = max(made, key=lambda one: one.step, default=None)
    return last is not None and bool(last.settled_at and last.answered_at and last.settled_at - last.answered_at >= ATTENDED)


def place_of(me: Waiting, others: Sequence[Waiting], places: Places) -> int:
    """0 when one of the free places is mine; else how far back I stand in the queue, counted from 1."""
    free = settings.EXECUTIONS_PER_ACCOUNT - places.under_way
    of_service, begun = places.by_service.copy(), places.begun.copy()
    queue, stand = [me, *others], 0
    while queue:
        one = min(queue, key=lambda each: (begun[each.requester], each.approved, each.execution))
        queue.remove(one)
        stand += 1
        fits = free > 0 and of_service[one.service] < settings.EXECUTIONS_PER_SERVICE
        if one is me:
            return 0 if fits else stand
        if fits and begun[one.requester] < settings.EXECUTIONS_PER_REQUESTER:
            free -= 1
            of_service[one.service] += 1
        # He has had his turn, with a place or without: the next is somebody else's.
        begun[one.requester] += 1
    raise AssertionError("I stand in the queue")


def _why(me: Waiting, places: Places, account: str) -> str:
    if places.by_service[me.service] >= settings.EXECUTIONS_PER_SERVICE:
        return f"{places.by_service[me.service]} executions of {me.service} are under way in account {account}, and more may not."
    if places.under_way >= settings.EXECUTIONS_PER_ACCOUNT:
        return f"{places.under_way} executions are under way in account {account}, and more may not."
    return f"the places that are free in account {account} go to others that wait for them."


def _one_at_a_time(what: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"countersign/executions/{what}"])


def _asked_too_often(begun: Sequence[datetime], now: datetime) -> datetime | None:
    """When the next of this requester may begin, None when one may now. `begun` are his own of the hour, newest first."""
    oldest = next(iter(begun[settings.EXECUTIONS_PER_REQUESTER - 1 :]), None)
    return None if oldest is None else max(min(oldest + HOUR, now + SELDOM), now + SOON)


def _places(account: str, requester: UUID | None, now: datetime, *, without: UUID) -> tuple[Places, list[datetime]]:
    """What others have taken, and when this requester's own of the hour were begun, newest first."""
    hour, under_way = Q(claimed_at__gt=now - HOUR), Q(state__in=_UNDER_WAY)
    # A database goes for hours after AWS has said yes: nothing is done by us meanwhile, and no other has to wait for it.
    calls = Attempt.objects.filter(execution=OuterRef("pk"))
    settles = Exists(calls.filter(state=AttemptState.ACCEPTED, answered_at__lte=now - ATTENDED))
    # Nor for one that has settled since and needs a place again, as long as nobody has it.
    settled = Exists(calls.filter(state=AttemptState.SUCCEEDED, settled_at__gte=F("answered_at") + ATTENDED))
    told = (
        Execution.objects.filter(hour | under_way)
        .order_by("-claimed_at")
        .values_list(
            "pk",
            "revision__request__requester",
            "claimed_at",
            "revision__request__account",
            "revision__request__operation",
            "state",
        )
        .annotate(alone=Case(When(settles | (settled & Q(lease_until__lte=now)), then=True), default=False))
    )
    begun, mine, by_service = Counter[UUID | None](), list[datetime](), Counter[str]()
    for pk, who, at, where, operation, state, alone in told:
        if at is not None and at > now - HOUR:
            begun[who] += 1
            mine += [at] if who == requester else []
        if where == account and state in _UNDER_WAY and not alone and pk != without:
            by_service[_service(operation)] += 1
    return Places(by_service.total(), by_service, begun), mine


def _queue(account: str, me: Waiting, now: datetime) -> list[Waiting]:
    """The others that were told to wait their turn here, are good still and will look again soon.

    Their rows are not verified here: what is forged among them ends at its own next look, which nobody can put off, and until
    then costs a little time.
    """
    promised = OutboxMessage.objects.filter(
        kind=OutboxKind.EXECUTE, done_at=None, error__startswith=WAITS, due_at__lte=now + LATER
    )
    subjects = list(_ids(promised.order_by("id").values_list("subject", flat=True)[:MOST]))
    rows = Execution.objects.filter(
        pk__in=subjects, revision__request__account=account, state=ExecutionState.READY, not_before__lte=now, valid_until__gt=now
    ).exclude(pk=me.execution)
    found = rows.values_list("pk", "revision__request__requester", "revision__request__operation", "created_at")
    return [Waiting(pk, requester, _service(operation), approved) for pk, requester, operation, approved in found]


def _ids(subjects: Iterable[str]) -> Iterator[UUID]:
    # Whoever can write the outbox can write anything into it; what is no id names no execution.
    for subject in subjects:
        try:
            yield UUID(subject)
        except ValueError:
            continue


def _service(operation: str) -> str:
    return operation.partition(":")[0]
