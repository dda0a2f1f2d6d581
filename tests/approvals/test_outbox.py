"""The outbox: a promise is made with what made it true, kept once, and found again when a worker died."""

from __future__ import annotations

import threading
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from approvals import alerts, audit, notifications, outbox
from approvals.errors import NotAllowed, Refused, WrongState
from approvals.models import Alert, AlertKind, OutboxKind, OutboxMessage
from tests.cast import envelope, trail_record


def test_a_promise_outside_a_transaction_is_refused(cloned_database):
    """Without the transaction that makes it true a promise could stand alone."""
    with pytest.raises(RuntimeError, match="transaction"):
        outbox.put(OutboxKind.NOTIFY, 1)


def test_a_rolled_back_transaction_promises_nothing(cloned_database, settings):
    """Neither the row nor the nudge survives what was rolled back."""
    settings.OUTBOX_NUDGE = "tests.approvals.test_outbox.never"
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        outbox.put(OutboxKind.NOTIFY, 1)
        raise ZeroDivisionError
    assert not OutboxMessage.objects.exists()


def never(*kinds: str) -> None:
    raise AssertionError(f"nudged for {kinds}")


nudges: list[tuple[str, ...]] = []


def noted(*kinds: str) -> None:
    nudges.append(kinds)


def test_a_transaction_nudges_once_for_all_that_it_promises(cloned_database, settings):
    """Each kind once, in the order of the promises; what a savepoint took back wakes nobody by itself."""
    settings.OUTBOX_NUDGE = "tests.approvals.test_outbox.noted"
    nudges.clear()
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            outbox.put(OutboxKind.CLOSE, 1)
            raise ZeroDivisionError
        for kind in (OutboxKind.EXECUTE, OutboxKind.NOTIFY, OutboxKind.NOTIFY, OutboxKind.MIRROR):
            with transaction.atomic():
                outbox.put(kind, 1)
    with transaction.atomic():
        outbox.put(OutboxKind.MIRROR, 2)
    assert nudges == [("execute", "notify", "mirror"), ("mirror",)]


def test_a_nudge_that_fails_loses_nothing(cloned_database, settings):
    """The row is the promise; the nudge only makes it quick."""
    settings.OUTBOX_NUDGE = "tests.approvals.test_outbox.never"
    with transaction.atomic():
        outbox.put(OutboxKind.NOTIFY, 1)
    assert len(outbox.take([OutboxKind.NOTIFY])) == 1


def test_two_workers_never_take_the_same_message(cloned_database):
    """Eight threads drain a hundred messages: each is taken once."""
    with transaction.atomic():
        for number in range(100):
            outbox.put(OutboxKind.NOTIFY, number)
    taken: list[str] = []

    def drain():
        while messages := outbox.take([OutboxKind.NOTIFY], most=7):
            taken.extend(message.subject for message in messages)
        connection.close()

    threads = [threading.Thread(target=drain) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken, key=int) == [str(number) for number in range(100)]


def test_what_has_been_due_longest_is_taken_first(db):
    """The oldest come first, whatever the order they were written in; what is not due, of another kind or kept is left alone."""
    now = timezone.now()
    for subject, minutes in ((3, 1), (1, 9), (7, -5), (2, 4)):
        outbox.put(OutboxKind.NOTIFY, subject, due_at=now - timedelta(minutes=minutes))
    outbox.put(OutboxKind.MIRROR, 8, due_at=now - timedelta(hours=1))
    outbox.put(OutboxKind.NOTIFY, 9, due_at=now - timedelta(hours=1))
    OutboxMessage.objects.filter(subject="9").update(done_at=now)
    assert [message.subject for message in outbox.take([OutboxKind.NOTIFY, OutboxKind.EXECUTE], most=2)] == ["1", "2"]
    (last,) = outbox.take([OutboxKind.NOTIFY])
    assert (last.subject, last.attempts, last.due_at > now) == ("3", 1, True)
    assert OutboxMessage.objects.get(subject="3").due_at == last.due_at


def test_a_message_with_an_absurd_number_of_attempts_is_taken_all_the_same(db):
    """Whoever wrote the largest number that fits into the column cannot make a promise that nobody can take."""
    outbox.put(OutboxKind.NOTIFY, 1)
    OutboxMessage.objects.update(attempts=2**31 - 1)
    (message,) = outbox.take([OutboxKind.NOTIFY])
    assert message.attempts == outbox.MOST_ATTEMPTS


def test_a_message_of_a_dead_worker_is_due_again_after_its_lease(db):
    """Taken and neither kept nor put off: the lease runs out and somebody else takes it."""
    outbox.put(OutboxKind.NOTIFY, 1)
    assert outbox.take([OutboxKind.NOTIFY])
    assert not outbox.take([OutboxKind.NOTIFY])
    OutboxMessage.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    (again,) = outbox.take([OutboxKind.NOTIFY])
    assert again.attempts == 2


def test_a_message_put_off_waits_longer_each_time(db):
    """Delays double up to a bound, and the reason stays on the row."""
    outbox.put(OutboxKind.NOTIFY, 1)
    waits = []
    for _ in range(12):
        OutboxMessage.objects.update(due_at=timezone.now())
        (message,) = outbox.take([OutboxKind.NOTIFY])
        outbox.put_off(message, "SNS is down")
        message.refresh_from_db()
        waits.append(round((message.due_at - timezone.now()).total_seconds()))
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(600, abs=5)
    assert message.error == "SNS is down"


def test_to_have_waited_until_a_time_is_no_failure(db):
    """However often a promise was put off until a time, what fails afterwards is tried again as soon as what failed once."""
    outbox.put(OutboxKind.EXECUTE, 1)
    for _ in range(12):
        (message,) = outbox.take([OutboxKind.EXECUTE])
        outbox.put_off(message, "it waits its turn", until=timezone.now())
    (message,) = outbox.take([OutboxKind.EXECUTE])
    outbox.put_off(message, "the database was away")
    message.refresh_from_db()
    assert (message.due_at - timezone.now()).total_seconds() == pytest.approx(2, abs=1)


def test_a_kept_promise_stays_as_a_row_and_is_never_due(db):
    """The row tells later what was done."""
    outbox.put(OutboxKind.NOTIFY, 1)
    (message,) = outbox.take([OutboxKind.NOTIFY])
    outbox.done(message)
    outbox.put_off(message, "too late")
    OutboxMessage.objects.update(due_at=timezone.now())
    assert not outbox.take([OutboxKind.NOTIFY])
    assert OutboxMessage.objects.get().done_at


class TestNotifications:
    def composed(self, topic):
        return [notifications.compose(message) for message in OutboxMessage.objects.filter(topic=topic)]

    def test_the_requester_is_told_of_the_draft(self, cast):
        """alice learns what was denied and where to go; the link carries no token."""
        cast.denied_event()
        (told,) = self.composed(notifications.DRAFTED)
        assert told.to == ("alice",)
        assert "delete table prod-orders in Production, eu-west-1" in told.body
        assert "?" not in told.body.splitlines()[-1]

    def test_only_who_may_decide_is_asked(self, cast):
        """bob holds the right; carol, the requester and administrators are left in peace."""
        cast.pending()
        (told,) = self.composed(notifications.PENDING)
        assert told.to == ("bob",)

    def test_hostile_text_stays_inside_its_line(self, cast):
        """A subject is one line of ASCII within SNS's limit, whatever the event says."""
        record = trail_record(user="mallory", denied=False, sourceIPAddress="x\r\nBcc: everybody \u202e")
        from approvals import ingest

        ingest.ingest([ingest.Message("1", envelope(record))])
        (told,) = self.composed(notifications.ALERT)
        assert told.to == ("dana", "erin", "frank")
        assert told.subject.isascii()
        assert len(told.subject) <= 100
        assert "\n" not in told.subject


class TestAlerts:
    @pytest.fixture
    def alert(self, cast):
        with audit.recorded() as trail:
            return alerts.raise_alert(trail, AlertKind.BYPASS, title="t", detail="d", actor="process:test")

    def test_an_administrator_closes_it_with_a_reason(self, cast, alert):
        """Closing says who and why, once."""
        alerts.close(alert.pk, cast.person("dana"), "a drill")
        assert Alert.objects.get().closed_by.handle == "dana"
        with pytest.raises(WrongState):
            alerts.close(alert.pk, cast.person("erin"), "again")

    def test_nobody_else_closes_it(self, cast, alert):
        """Neither a requester nor a reviewer makes an alert go away."""
        with pytest.raises(NotAllowed):
            alerts.close(alert.pk, cast.person("bob"), "nothing to see")

    def test_a_reason_is_demanded(self, cast, alert):
        """An alert without a reason stays open."""
        with pytest.raises(Refused):
            alerts.close(alert.pk, cast.person("dana"), " ")


def test_a_worker_takes_on_after_a_column_was_added(cloned_database):
    """The statement is prepared by then, and says the same columns as before the migration."""
    for number in range(7):
        with transaction.atomic():
            outbox.put(OutboxKind.NOTIFY, number)
        if number == 6:
            with psycopg.connect(cloned_database, autocommit=True) as owner:
                owner.execute("ALTER TABLE approvals_outboxmessage ADD COLUMN added integer")
        assert len(outbox.take([OutboxKind.NOTIFY])) == 1
