"""`manage.py requests_export`: the approval requests as CSV or JSON Lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from approvals import export
from approvals.management.exporting import ExportCommand


class Command(ExportCommand):
    """One row a request: who asked for what, who approved, what came of it."""

    help = (
        "Export the approval requests, streamed, oldest first. In CSV a cell that a spreadsheet would take for a formula gets an "
        "apostrophe in front.\n\n"
        "Example: manage.py requests_export --since 2026-11-01 --until 2026-12-01 > november.csv\n\n"
        "Exit status: 0 done, 2 usage, file or database."
    )
    what = "requests"
    columns = export.REQUEST_COLUMNS

    def rows(self, since: datetime | None, until: datetime | None) -> Iterable[Mapping[str, Any]]:
        return export.request_rows(since=since, until=until)
