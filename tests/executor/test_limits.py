"""How much the executor does at once: places in an account and of a service, turns, what a requester may begin in an hour."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from approvals import authority, clearance, decisions, terms
from approvals.models import Attempt, Execution, Observation, OutboxMessage
from approvals.states import ExecutionState
from executor import claim, limits, tasks
from executor.claim import Cleared, Later, Stopped
from executor.limits import Places, Waiting
from executor.sandbox.world import DEMO
from tests.cast import Cast, seal
from tests.executor.stage import Stage, fresh
from tests.executor.test_steps import CHANGE, DELETE, approved

NOW = timezone.now()
ALICE, BOB = UUID(int=1), UUID(int=2)


@pytest.fixture
def cast(cloned_database: str, tmp_path: Any, settings: Any) -> Cast:
    return seal(tmp_path, settings, whole=True)


def several(stage: Stage, count: int, by: str = "alice") -> list[Execution]:
    """Approved deletions of different tables, the oldest first."""
    found = []
    for number in range(count):
        filed = stage.cast.filed(by=by, TableName=f"prod-{by}-{number}")
        request = stage.cast.sign_review(stage.cast.sign_confirm(filed, by))
        found.append(Execution.objects.get(revision__request=request))
    return found


def taken(stage: Stage, execution: Execution) -> Cleared | Stopped | Later | None:
    with stage.acting("execution"):
        found = claim.take(execution.pk)
        if isinstance(found, Later):
            # As run.keep does.
            OutboxMessage.objects.filter(kind="execute", subject=str(execution.pk)).update(due_at=found.until, error=found.why)
        return found


def ended(stage: Stage) -> None:
    """Whatever is under way comes to its end."""
    for before, after in (("claimed", "running"), ("running", "succeeded")):
        stage.sql("UPDATE approvals_execution SET state = %s WHERE state = %s", after, before)


def test_workers_at_once_never_pass_the_limit(stage: Stage, settings: Any) -> None:
    """Twelve workers claim twelve executions of one account in the same moment: as many as there are places get one."""
    settings.EXECUTIONS_PER_ACCOUNT = settings.EXECUTIONS_PER_SERVICE = 3
    executions = several(stage, 12)
    together, came_to = threading.Barrier(len(executions)), []

    def work(execution: Execution) -> None:
        together.wait()
        try:
            came_to.append(type(claim.take(execution.pk)).__name__)
        except Exception as error:  # noqa: BLE001 - seen below
            came_to.append(repr(error))
        finally:
            connection.close()

    with stage.acting("execution"):
        threads = [threading.Thread(target=work, args=(one,)) for one in executions]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert Counter(came_to) == {"Cleared": 3, "Later": 9}
    assert Execution.objects.filter(state="claimed").count() == 3


def test_what_is_too_much_waits_and_says_so(stage: Stage, settings: Any) -> None:
    """It stays ready with its use-by as it was; the reason names the service and the account; it is not ended."""
    settings.EXECUTIONS_PER_SERVICE = 1
    first, second = several(stage, 2)
    good_until = second.valid_until
    assert isinstance(taken(stage, first), Cleared)
    later = taken(stage, second)
    assert isinstance(later, Later)
    assert later.why == f"{terms.WAITS}1 executions of dynamodb are under way in account 111122223333, and more may not."
    assert timezone.now() < later.until <= timezone.now() + timedelta(seconds=10)
    assert (fresh(second).state, fresh(second).valid_until) == ("ready", good_until)
    stage.sql("UPDATE approvals_execution SET state = 'running' WHERE id = %s", first.pk)
    assert isinstance(taken(stage, second), Later)
    ended(stage)
    assert isinstance(taken(stage, second), Cleared)


def test_another_service_has_places_of_its_own(stage: Stage, settings: Any) -> None:
    """A service whose places are taken does not keep another out, the account's places do."""
    settings.EXECUTIONS_PER_SERVICE, settings.EXECUTIONS_PER_ACCOUNT = 1, 2
    table, other = several(stage, 2)
    cast = stage.cast
    secret = cast.approved(operation="secretsmanager:DeleteSecret", SecretId="prod/db/password", RecoveryWindowInDays=7)
    instance = cast.approved(operation="rds:DeleteDBInstance", DBInstanceIdentifier="prod-billing", SkipFinalSnapshot=True)
    assert isinstance(taken(stage, table), Cleared)
    assert isinstance(taken(stage, other), Later)
    assert isinstance(taken(stage, secret), Cleared)
    later = taken(stage, instance)
    assert isinstance(later, Later)
    assert "2 executions are under way in account 111122223333" in later.why


def test_a_claim_that_is_taken_over_keeps_its_place(stage: Stage, settings: Any) -> None:
    """A lost worker's execution is under way already: it needs no second place, and gives none away."""
    settings.EXECUTIONS_PER_ACCOUNT = 1
    first, second = several(stage, 2)
    assert isinstance(taken(stage, first), Cleared)
    stage.lapse()
    assert isinstance(taken(stage, second), Later)
    again = taken(stage, first)
    assert isinstance(again, Cleared)
    assert again.claim.token == 2


def test_what_goes_on_for_hours_keeps_no_other_from_its_place(stage: Stage, settings: Any) -> None:
    """AWS said yes and is not done with it: as long as a worker waits it has its place, and then nothing is done by us."""
    settings.EXECUTIONS_PER_ACCOUNT = settings.EXECUTIONS_PER_SERVICE = 1
    first, second = stage.cast.approved(), stage.cast.approved(TableName="prod-customers")
    stage.aws.settle_in(3600)
    stage.killed_at("answered")
    assert [fresh(one).state for one in (first, second)] == ["running", "ready"]
    Attempt.objects.update(answered_at=timezone.now() - limits.ATTENDED + timedelta(seconds=30))
    assert isinstance(taken(stage, second), Later)
    Attempt.objects.update(answered_at=timezone.now() - limits.ATTENDED)
    assert isinstance(taken(stage, second), Cleared)


def test_what_gave_its_place_up_takes_one_for_its_next_step(stage: Stage, settings: Any) -> None:
    """Two backups took their time and have settled while another is under way: their losses wait, each for a place, and for none
    of the two; however many their requester has begun within the hour."""
    settings.EXECUTIONS_PER_ACCOUNT = settings.EXECUTIONS_PER_SERVICE = 1
    first, second = (
        approved(stage, replace(CHANGE, parameters={**CHANGE.parameters, "TableName": name}), DELETE) for name in TABLES
    )
    other = stage.cast.approved(TableName="prod-customers")
    settings.EXECUTIONS_PER_REQUESTER = 3
    for one in (first, second):
        assert isinstance(taken(stage, one), Cleared)
        long = timezone.now() - 2 * limits.ATTENDED
        Execution.objects.filter(pk=one.pk).update(state="running")
        made = running_call(one, long)
        Attempt.objects.filter(pk=made.pk).update(state="accepted", answered_at=long)
    assert isinstance(taken(stage, other), Cleared)
    Attempt.objects.update(state="succeeded", settled_at=timezone.now())
    stage.lapse()
    Execution.objects.filter(pk=other.pk).update(lease_until=timezone.now() + timedelta(minutes=2))
    for one in (first, second):
        later = taken(stage, one)
        assert isinstance(later, Later)
        assert "under way" in later.why
    ended_alone(stage, other)
    assert isinstance(taken(stage, first), Cleared)
    assert isinstance(taken(stage, second), Later)
    ended_alone(stage, first)
    assert isinstance(taken(stage, second), Cleared)


TABLES = ("prod-orders", "prod-customers")


def running_call(execution: Execution, at: datetime) -> Attempt:
    """The call of the first step, as the worker announced it."""
    return Attempt.objects.create(
        execution=execution,
        step=0,
        number=1,
        token=1,
        operation=CHANGE.name,
        region=DEMO.region,
        access_key_id="ASIA",
        sent_at=at,
    )


def ended_alone(stage: Stage, execution: Execution) -> None:
    for before, after in (("claimed", "running"), ("running", "succeeded")):
        stage.sql("UPDATE approvals_execution SET state = %s WHERE state = %s AND id = %s", after, before, execution.pk)


def test_one_requester_begins_so_many_within_an_hour(stage: Stage, settings: Any) -> None:
    """The next waits until the oldest is an hour old, although there are places; nobody else waits for it."""
    settings.EXECUTIONS_PER_REQUESTER = 2
    first, second, third = several(stage, 3)
    (others,) = several(stage, 1, by="carol")
    for one in (first, second):
        assert isinstance(taken(stage, one), Cleared)
    later = taken(stage, third)
    assert isinstance(later, Later)
    assert later.why == f"{terms.WAITS}2 executions of this requester have begun within the last hour, and more may not."
    assert later.until <= timezone.now() + limits.SELDOM
    assert isinstance(taken(stage, others), Cleared)
    stage.sql("UPDATE approvals_execution SET claimed_at = now() - interval '59 minutes 58 seconds' WHERE id = %s", first.pk)
    later = taken(stage, third)
    assert isinstance(later, Later)
    assert later.until < timezone.now() + timedelta(seconds=3)
    stage.sql("UPDATE approvals_execution SET claimed_at = now() - interval '61 minutes' WHERE id = %s", first.pk)
    assert isinstance(taken(stage, third), Cleared)


def test_two_accounts_at_once_are_no_way_past_what_a_requester_may(
    cast: Cast, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He may begin one in an hour, and two of his are claimed in the same moment in two accounts: one begins, the other waits."""
    settings.EXECUTIONS_PER_REQUESTER = 1
    executions = [cast.approved(TableName=name) for name in ("prod-orders", "prod-customers")]
    known, moment, together, came_to = authority.walk(settings.GENESIS), timezone.now(), threading.Barrier(2), []
    really = limits._places

    def slowly(*asked: Any, **more: Any) -> Any:
        found = really(*asked, **more)
        time.sleep(0.5)
        return found

    monkeypatch.setattr(limits, "_places", slowly)

    def work(execution: Execution, account: str) -> None:
        try:
            with transaction.atomic():
                verified = clearance.verify(execution, known, decisions.relying_party(), now=moment)
                together.wait()
                limits.must_have_a_place(execution, replace(verified, plan=replace(verified.plan, account=account)), moment)
                Execution.objects.filter(pk=execution.pk).update(state="claimed", token=1, claimed_at=moment)
            came_to.append("begun")
        except Exception as error:  # noqa: BLE001 - seen below
            came_to.append(type(error).__name__)
        finally:
            connection.close()

    accounts = ("111122223333", "222233334444")
    threads = [threading.Thread(target=work, args=each) for each in zip(executions, accounts, strict=True)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(came_to) == ["NotYet", "begun"]


def test_who_waits_longest_goes_first_and_nobody_starves(stage: Stage, settings: Any) -> None:
    """Four of alice's were approved before carol's only one: after alice's first comes carol's, then alice's in their order."""
    settings.EXECUTIONS_PER_ACCOUNT = 1
    hers = several(stage, 4)
    (carols,) = several(stage, 1, by="carol")
    order = []
    for _ in range(5):
        # Whoever asks, and in whatever order: only the one whose turn it is gets the place.
        for _ in range(2):
            for one in (*reversed(hers), carols):
                if one not in order and isinstance(taken(stage, one), Cleared):
                    order.append(one)
        ended(stage)
    # The first got its place when nobody waited yet; from then on turns are kept.
    assert order == [hers[3], carols, *hers[:3]]


def test_what_cannot_go_keeps_nobody_out(stage: Stage, settings: Any) -> None:
    """One that waited and whose approval ran out, or whose promise is long put off, has no place kept for it."""
    settings.EXECUTIONS_PER_ACCOUNT = 1
    first, second, third = several(stage, 3)
    assert isinstance(taken(stage, first), Cleared)
    assert isinstance(taken(stage, second), Later)
    ended(stage)
    assert isinstance(taken(stage, third), Later)
    stage.sql("UPDATE approvals_outboxmessage SET due_at = now() + interval '1 hour' WHERE subject = %s", str(second.pk))
    assert isinstance(taken(stage, third), Cleared)


def test_all_are_carried_out_in_the_end(stage: Stage, settings: Any) -> None:
    """With one place, the worker's own rounds carry out everything that waits."""
    settings.EXECUTIONS_PER_ACCOUNT = 1
    executions = [stage.cast.approved(TableName=name) for name in ("prod-orders", "prod-customers")]
    assert isinstance(taken(stage, executions[0]), Cleared)
    stage.execute()
    assert [fresh(one).state for one in executions] == ["claimed", "ready"]
    assert len(stage.calls()) == 0
    for _ in range(2):
        stage.lapse()
        with stage.acting("execution"):
            tasks.reconcile_open()
            tasks.execute_due()
    assert [fresh(one).state for one in executions] == ["succeeded", "succeeded"]
    assert len(stage.calls()) == 2


# --- whose turn it is ---


def waiting(requester: UUID, minutes: int, service: str = "dynamodb") -> Waiting:
    return Waiting(uuid4(), requester, service, NOW - timedelta(minutes=minutes))


def free(under_way: int = 0, **begun: int) -> Places:
    return Places(under_way, Counter(dynamodb=under_way), Counter({ALICE: begun.get("alice", 0), BOB: begun.get("bob", 0)}))


def test_the_oldest_of_those_alike_goes_first(settings: Any) -> None:
    """One place, one requester, whatever the order of asking."""
    settings.EXECUTIONS_PER_ACCOUNT = 1
    queue = [waiting(ALICE, minutes) for minutes in (30, 20, 10)]
    for order in permutations(queue):
        me, *others = order
        assert limits.place_of(me, others, free()) == (0 if me is queue[0] else queue.index(me) + 1)


@given(
    st.lists(
        st.tuples(st.sampled_from([ALICE, BOB]), st.integers(0, 50), st.sampled_from(["dynamodb", "rds", "s3"])), min_size=1
    ),
    st.integers(0, 10),
    st.dictionaries(st.sampled_from([ALICE, BOB]), st.integers(0, 60)),
)
def test_as_many_get_a_place_as_are_free(found: Any, under_way: int, begun: dict[UUID | None, int]) -> None:
    """Whatever waits, in whatever order: the places taken never pass a limit, and none stays free that one could have."""
    left, taken = [waiting(*one) for one in found], Counter(dynamodb=under_way)
    had: Counter[UUID | None] = Counter(begun)
    while True:
        places = Places(taken.total(), taken.copy(), had.copy())
        asking = (me for me in left if had[me.requester] < 60)
        one = next((me for me in asking if not limits.place_of(me, [each for each in left if each is not me], places)), None)
        if one is None:
            break
        left.remove(one)
        taken[one.service] += 1
        had[one.requester] += 1
    assert taken.total() <= max(10, under_way)
    assert all(count <= max(5, under_way) for count in taken.values())
    assert all(count <= max(60, begun.get(requester, 0)) for requester, count in had.items())
    if any(taken[one.service] < 5 and had[one.requester] < 60 for one in left):
        assert taken.total() >= 10


def test_the_states_that_take_a_place(settings: Any) -> None:
    """What is claimed or running takes one; what is ready, ended or of unknown outcome does not."""
    assert set(limits._UNDER_WAY) == {ExecutionState.CLAIMED, ExecutionState.RUNNING}


def test_who_waits_its_turn_leaves_no_trail(stage: Stage, settings: Any) -> None:
    """It may look for a place every two seconds, for hours: what it reads of its target is kept with the claim, once."""
    settings.EXECUTIONS_PER_ACCOUNT = 0
    execution = stage.cast.approved(TableName="prod-orders")
    seen = Observation.objects.filter(revision=execution.revision, moment=Observation.Moment.CLAIM)
    for _ in range(3):
        stage.lapse()
        stage.execute()
    assert (fresh(execution).state, seen.count()) == ("ready", 0)
    settings.EXECUTIONS_PER_ACCOUNT = 1
    stage.lapse()
    stage.execute()
    assert (fresh(execution).state, seen.count()) == ("succeeded", 1)
