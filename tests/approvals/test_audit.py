"""The audit trail proves itself: whatever is done to it is found and named."""

from __future__ import annotations

import io
import json
import threading

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from approvals import audit
from approvals.errors import AuditUnavailable
from approvals.models import AuditEntry, AuditKind, ChainHead, Signature
from approvals.states import Verdict

ENTRIES = 5


@pytest.fixture
def trail(db):
    """A trail of five entries."""
    for number in range(ENTRIES):
        audit.append(AuditKind.EXPORTED, actor="process:test", number=number)


def as_the_owner(statement, *parameters):
    """What somebody who owns the tables can do: switch the triggers off, write, switch them on."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE approvals_auditentry DISABLE TRIGGER USER")
        cursor.execute(statement, parameters)
        cursor.execute("ALTER TABLE approvals_auditentry ENABLE TRIGGER USER")


def rewritten(body: str) -> str:
    return body.replace("process:test", "process:evil")


def test_a_trail_that_nobody_touched_holds(trail):
    """Every link follows the one before, and the head is the last."""
    found = audit.verify()
    assert found.holds
    assert found.links == ENTRIES
    assert found.head == ChainHead.objects.get().hash


@pytest.mark.parametrize("sequence", range(1, ENTRIES + 1))
class TestTampering:
    """Every row, each kind of attack."""

    def test_an_edited_body_is_named(self, trail, sequence):
        """Changing what an entry says does not fit its hash."""
        as_the_owner("UPDATE approvals_auditentry SET body = replace(body, 'test', 'evil') WHERE sequence = %s", sequence)
        assert [fault.sequence for fault in audit.verify().faults] == [sequence]

    @pytest.mark.parametrize("column", ["kind", "actor", "at", "request_id", "role"])
    def test_an_edited_column_is_named(self, trail, sequence, column):
        """The columns repeat the body; where they differ somebody changed them."""
        value = {
            "kind": "'genesis'",
            "actor": "'x'",
            "at": "now() - interval '1 day'",
            "request_id": "gen_random_uuid()",
            "role": "'x'",
        }[column]
        as_the_owner(f"UPDATE approvals_auditentry SET {column} = {value} WHERE sequence = %s", sequence)
        assert [fault.sequence for fault in audit.verify().faults] == [sequence]

    def test_an_edit_with_its_hash_made_anew_is_found_at_the_next_link(self, trail, sequence):
        """A consistent row no longer carries the link that its follower, or the head, points to."""
        entry = AuditEntry.objects.get(pk=sequence)
        body = rewritten(entry.body)
        as_the_owner(
            "UPDATE approvals_auditentry SET body = %s, actor = 'process:evil', hash = %s WHERE sequence = %s",
            body, audit.link_hash(entry.previous, sequence, entry.role, body), sequence,
        )  # fmt: skip
        assert not audit.verify().holds

    def test_a_deleted_entry_is_found(self, trail, sequence):
        """A gap in the numbers, or a head beyond the end."""
        as_the_owner("DELETE FROM approvals_auditentry WHERE sequence = %s", sequence)
        assert not audit.verify().holds

    def test_an_inserted_entry_is_found(self, trail, sequence):
        """An entry put in between, with the others moved up, breaks the links after it."""
        as_the_owner("UPDATE approvals_auditentry SET sequence = sequence + 1000 WHERE sequence >= %s", sequence)
        as_the_owner("UPDATE approvals_auditentry SET sequence = sequence - 999 WHERE sequence >= 1000")
        entry = AuditEntry.objects.get(pk=sequence + 1)
        as_the_owner(
            "INSERT INTO approvals_auditentry SELECT %s, at, kind, actor, request_id, role, body, previous, %s "
            "FROM approvals_auditentry WHERE sequence = %s",
            sequence, audit.link_hash(entry.previous, sequence, entry.role, entry.body), sequence + 1,
        )  # fmt: skip
        assert not audit.verify().holds

    def test_exchanged_entries_are_found(self, trail, sequence):
        """Two entries that change places do not follow any more."""
        other = sequence % ENTRIES + 1
        as_the_owner("UPDATE approvals_auditentry SET sequence = 1000 WHERE sequence = %s", sequence)
        as_the_owner("UPDATE approvals_auditentry SET sequence = %s WHERE sequence = %s", sequence, other)
        as_the_owner("UPDATE approvals_auditentry SET sequence = %s WHERE sequence = 1000", other)
        assert not audit.verify().holds

    def test_a_trail_cut_off_is_found(self, trail, sequence):
        """Entries taken from the end leave the head behind."""
        as_the_owner("DELETE FROM approvals_auditentry WHERE sequence >= %s", sequence)
        assert not audit.verify().holds

    def test_a_trail_cut_off_with_its_head_is_found_by_a_kept_head(self, trail, sequence):
        """Where the head is set back too, only a head that was kept elsewhere shows it."""
        kept = audit.verify().head
        as_the_owner("DELETE FROM approvals_auditentry WHERE sequence >= %s", sequence)
        last = AuditEntry.objects.order_by("-sequence").first()
        ChainHead.objects.update(sequence=last.sequence if last else 0, hash=last.hash if last else audit.FIRST)
        assert audit.verify().holds
        assert not audit.verify(kept_head=kept).holds


@pytest.mark.parametrize(
    "statement",
    ["UPDATE approvals_auditentry SET kind = 'x'", "DELETE FROM approvals_auditentry", "TRUNCATE approvals_auditentry"],
)
def test_the_trail_is_append_only_even_for_its_owner(trail, statement):
    """A trigger refuses every change; its owner must first disable it on purpose."""
    with pytest.raises(DatabaseError, match="never"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_an_unregistered_kind_is_refused(db):
    """Kinds are enumerated; another one is no entry."""
    with pytest.raises(ValueError, match="not a valid"):
        audit.append("anything", actor="process:test")  # type: ignore[arg-type]


def test_without_the_trail_nothing_happens(cast):
    """I8: a decision whose entry cannot be written is rolled back whole."""
    request = cast.pending()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE approvals_chainhead RENAME TO elsewhere")
    with pytest.raises(AuditUnavailable), transaction.atomic():
        cast.sign_review(request, "bob", Verdict.APPROVE)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE elsewhere RENAME TO approvals_chainhead")
    request.refresh_from_db()
    assert request.state == "pending"
    assert not Signature.objects.filter(verdict="approve").exists()


def test_audit_verify_names_the_row_and_exits_with_1(trail):
    """The command is what an auditor runs."""
    out = io.StringIO()
    call_command("audit_verify", stdout=out)
    assert f"{ENTRIES} entries" in out.getvalue()
    as_the_owner("UPDATE approvals_auditentry SET body = replace(body, 'test', 'evil') WHERE sequence = 3")
    out = io.StringIO()
    with pytest.raises(CommandError) as failure:
        call_command("audit_verify", "--json", stdout=out)
    assert failure.value.returncode == 1
    assert [fault["sequence"] for fault in json.loads(out.getvalue())["faults"]] == [3]


def test_concurrent_appends_make_one_chain(cloned_database):
    """Eight threads append at once: the links form one chain without a gap."""

    def append():
        for number in range(20):
            audit.append(AuditKind.EXPORTED, actor="process:test", number=number)
        connection.close()

    threads = [threading.Thread(target=append) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = audit.verify()
    assert found.holds, found.faults
    assert found.links == 160


def test_a_head_that_is_no_hash_is_a_usage_error(db):
    """A slip of the auditor is not called a rewritten trail."""
    with pytest.raises(CommandError, match="is no hash"):
        call_command("audit_verify", "--head", "zzz")
