"""`manage.py audit_export`: the audit trail as CSV or JSON Lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from approvals import export
from approvals.management.exporting import ExportCommand


class Command(ExportCommand):
    """Every entry with its hash, so that the chain can be verified from the export alone."""

    help = (
        "Export the audit trail, streamed, in the order of its links. JSON Lines carries every entry exactly as it was hashed; "
        "in CSV a cell that a spreadsheet would take for a formula gets an apostrophe in front.\n\n"
        "Example: manage.py audit_export --format jsonl --since 2026-11-01 --output november.jsonl\n\n"
        "Exit status: 0 done, 2 usage, file or database."
    )
    what = "audit entries"
    columns = export.AUDIT_COLUMNS

    def rows(self, since: datetime | None, until: datetime | None) -> Iterable[Mapping[str, Any]]:
        return export.audit_rows(since=since, until=until)
