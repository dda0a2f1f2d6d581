"""The table of faults in docs/model.md, made by searching: `python -m tests.approvals.model` writes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.approvals.model.faults import FAULTS
from tests.approvals.model.guards import TABLE
from tests.approvals.model.search import Search

PAGE: Final = Path(__file__).resolve().parents[3] / "docs" / "model.md"
BEGIN: Final = "<!-- made by `python -m tests.approvals.model` -->\n"
END: Final = "<!-- to here -->\n"


def spare() -> list[str]:
    """The guards that are in no fault: what is behind them holds without them."""
    return sorted(TABLE.keys() - {guard for fault in FAULTS for guard in fault.guards})


def lines() -> Iterator[str]:
    """The table as Markdown."""
    yield "| what was taken out | guards | broken | steps |"
    yield "|---|---|---|---|"
    for fault in FAULTS:
        found = Search(fault.scope, frozenset(fault.guards)).run(trace=True)
        guards = " + ".join(f"`{guard}`" for guard in fault.guards)
        yield f"| {fault.what} | {guards} | {found.breach} | {len(found.trace)} |"
    yield ""
    yield f"Any of these alone can be taken out and nothing breaks: {', '.join(f'`{guard}`' for guard in spare())}."


def text() -> str:
    """The part of the page that is made."""
    return BEGIN + "\n".join(lines()) + "\n" + END


def on_the_page() -> str:
    """The same part as the page has it."""
    page = PAGE.read_text("utf-8")
    return page[page.index(BEGIN) : page.index(END) + len(END)]


def write() -> None:
    """Put the table into the page."""
    PAGE.write_text(PAGE.read_text("utf-8").replace(on_the_page(), text()), "utf-8")
