"""Search every scope, print what was found, and write the table of faults into docs/model.md."""

from __future__ import annotations

from tests.approvals.model import scopes, table
from tests.approvals.model.search import Search

for scope in scopes.WIDE:
    print(f"{scope.name}: {Search(scope).run()}", flush=True)
table.write()
