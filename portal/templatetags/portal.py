"""Tags of the portal's templates: texts with everything invisible escaped, statuses by word and shape, tables that fold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from approvals import changes, statements
from approvals.models import AuthorityChange, Statement
from approvals.operations import words
from portal import demo

register = template.Library()

_REGION = re.compile(r"\b([a-z]{2}(?:-[a-z]+)+-[0-9])\b")

# Word -> (shape, tone). The shape says the same as the tone, for whoever sees no colours.
_STATUSES = {
    "Draft": ("○", "quiet"),
    "Waiting for review": ("◆", "wait"),
    "Approved, about to run": ("▷", "go"),
    "Running": ("▶", "go"),
    "Done": ("✔", "good"),
    "Failed": ("✖", "bad"),
    "Outcome unknown": ("?", "bad"),
    "Stopped before the call": ("■", "wait"),
    "Denied": ("✖", "bad"),
    "Expired": ("◌", "quiet"),
    "Withdrawn": ("↩", "quiet"),
    "Disowned": ("!", "bad"),
    # Changes of authority.
    "Waiting for signatures": ("◆", "wait"),
    "Signed, about to be applied": ("▷", "go"),
    "Applied": ("✔", "good"),
    "Overtaken": ("◌", "quiet"),
    "Does not verify": ("✖", "bad"),
    # Executions and attempts.
    "ready": ("▷", "go"),
    "claimed": ("▶", "go"),
    "running": ("▶", "go"),
    "succeeded": ("✔", "good"),
    "failed": ("✖", "bad"),
    "aborted": ("■", "wait"),
    "unknown": ("?", "bad"),
    "sent": ("▶", "go"),
    "accepted": ("▶", "go"),
    "rejected": ("✖", "bad"),
    "partial": ("◑", "bad"),
    # Statements.
    "In force": ("✔", "good"),
    "in force": ("✔", "good"),
    "Over": ("◌", "quiet"),
    "over": ("◌", "quiet"),
    "refused": ("✖", "bad"),
    "denied": ("✖", "bad"),
    "withdrawn": ("◌", "quiet"),
    "expired": ("◌", "quiet"),
    # Alerts.
    "open": ("▲", "bad"),
    "closed": ("✔", "quiet"),
}


@register.filter
def visible(value: Any) -> str:
    """A text with every character that an eye cannot see written as an escape."""
    return words.visible(str(value))


@register.filter
def visible_lines(value: Any) -> str:
    """The same for a text of several lines: line breaks stay, everything else invisible is escaped."""
    return "\n".join(words.visible(line) for line in str(value).replace("\r\n", "\n").split("\n"))


@register.filter
def proposal(change: AuthorityChange) -> str:
    """What a change of authority proposes, as the end of "somebody proposes to ..."."""
    return words.visible(changes.sentence_of(change))


@register.filter
def states(statement: Statement) -> str:
    """What a statement says, as the end of "somebody states ..."."""
    return words.visible(statements.sentence_of(statement))


@register.filter
def breaking(path: Any) -> SafeString:
    """A dotted path that may break after a dot, and nowhere inside a name."""
    return format_html_join(mark_safe(".<wbr>"), "{}", ((part,) for part in words.visible(str(path)).split(".")))


@register.filter
def whole_places(text: Any) -> SafeString:
    """A sentence in which the name of a region is never broken over two lines."""
    parts = _REGION.split(words.visible(str(text)))
    # Every second part is what the pattern found.
    marked = [format_html('<span class="place">{}</span>', part) if odd % 2 else part for odd, part in enumerate(parts)]
    return format_html_join("", "{}", ((part,) for part in marked))


@register.simple_tag
def status(word: Any) -> SafeString:
    """A status as a shape and a word."""
    shape, tone = _STATUSES.get(str(word), ("●", "quiet"))
    return format_html(
        '<span class="status status-{}"><span class="shape" aria-hidden="true">{}</span>{}</span>', tone, shape, str(word)
    )


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """A time that both a person and a program can read."""
    if value is None:
        return "not yet"
    local = timezone.localtime(value)
    return format_html('<time datetime="{}">{}</time>', value.isoformat(), f"{local:%Y-%m-%d %H:%M:%S %Z}")


@register.filter
def distance(value: datetime | None) -> str:
    """How long ago, or how long still, in one unit that matters."""
    if value is None:
        return ""
    delta = value - timezone.now()
    ahead = delta > timedelta(0)
    seconds = int(abs(delta.total_seconds()))
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            said = f"{count} {unit}{'s' if count > 1 else ''}"
            return f"in {said}" if ahead else f"{said} ago"
    return "in less than a minute" if ahead else "just now"


@register.filter
def seconds(value: int) -> str:
    """A number of seconds in the unit that fits best: `4 hours`, `90 seconds`."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if value >= size and value % size == 0:
            return f"{value // size} {unit}{'s' if value > size else ''}"
    return f"{value} seconds"


@register.filter
def folded(cells: Iterable[str], headers: list[dict[str, Any]]) -> list[SafeString]:
    """Django's cells of a list row, each with the heading of its column, which narrow screens show beside the value."""
    found = []
    for cell, header in zip(cells, headers, strict=False):
        label = format_html(' data-label="{}"', str(header["text"]).capitalize())
        html = str(cell)
        end = html.index("<t") + 3
        # The cell is Django's own escaped markup; only an escaped attribute is added to its opening tag.
        found.append(mark_safe(html[:end] + label + html[end:]))  # noqa: S308
    return found


@register.simple_tag
def demo_people() -> list[demo.Stand]:
    """Whom the sign-in page of the demo offers."""
    return demo.people()
