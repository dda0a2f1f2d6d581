"""Exports: complete, agreeing with themselves, and harmless to a spreadsheet."""

from __future__ import annotations

import csv
import io
import json

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from approvals import audit, export
from approvals.export import Format
from approvals.models import AuditEntry


def exported(command, *arguments):
    out = io.StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=3, max_size=3))
def test_no_cell_begins_like_a_formula_and_none_is_lost(cells):
    """Whatever a person wrote, a CSV reader gets it back, at most with an apostrophe in front; the first sign is no formula's."""
    out: list[str] = []
    export.write([dict(zip("abc", cells, strict=True))], "abc", Format.CSV, out.append)
    (_, row) = csv.reader(io.StringIO("".join(out), newline=""))
    for cell, read in zip(cells, row, strict=True):
        assert read in (cell, "'" + cell)
        assert not read.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"))


def test_the_exported_trail_verifies_without_the_database(cast):
    """JSON Lines carries every entry as it was hashed: the chain can be walked from the file alone."""
    cast.approved()
    lines = [json.loads(line) for line in exported("audit_export", "--format", "jsonl").splitlines()]
    head = audit.FIRST
    for number, line in enumerate(lines, 1):
        assert (line["sequence"], line["previous"]) == (number, head)
        head = audit.link_hash(head, number, line["role"], line["body"])
        assert line["hash"] == head
    assert len(lines) == AuditEntry.objects.count()


def test_a_request_is_one_row_that_says_who_and_what_came_of_it(cast):
    """Requester, approvers, status and digest stand in one row, in both formats."""
    execution = cast.approved()
    (row,) = csv.DictReader(io.StringIO(exported("requests_export")))
    (line,) = (json.loads(line) for line in exported("requests_export", "--format", "jsonl").splitlines())
    assert (row["requester"], row["approvers"], row["status"]) == ("alice", "bob", "Approved, about to run")
    assert {key: value or "" for key, value in line.items()} == row
    assert row["digest"] == execution.revision.digest


def test_a_hostile_reason_is_neutralised(cast):
    """A reason that is a formula does not run in a spreadsheet."""
    cast.sign_confirm(cast.filed(), reason="=HYPERLINK(1)")
    (row,) = csv.DictReader(io.StringIO(exported("requests_export")))
    assert row["reason"] == "'=HYPERLINK(1)"


def test_a_time_span_bounds_the_rows(cast):
    """--since and --until cut, and a text that is no time is a usage error."""
    cast.filed()
    assert len(exported("requests_export", "--since", "2999-01-01").splitlines()) == 1
    assert len(exported("requests_export", "--until", "2999-01-01", "--since", "2020-01-01").splitlines()) == 2
    with pytest.raises(CommandError, match="is no time"):
        exported("requests_export", "--since", "yesterday")


def test_a_file_is_never_overwritten_and_nobody_else_reads_it(cast, tmp_path):
    """The export's file is new and private."""
    path = tmp_path / "trail.csv"
    exported("audit_export", "--output", str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(CommandError, match="exists already"):
        exported("audit_export", "--output", str(path))


def test_a_thousand_requests_cost_no_query_each(cast, django_assert_max_num_queries):
    """Memory and queries do not grow with the rows of a chunk."""
    for _ in range(30):
        cast.filed()
    with django_assert_max_num_queries(6):
        assert len(list(export.request_rows())) == 30
