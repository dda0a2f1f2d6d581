"""What CloudTrail's record of a denied call left open, in words: hidden, missing, unknown, dropped and renamed parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from approvals import canonical
from approvals.models import ApprovalRequest
from approvals.operations import words


@dataclass(frozen=True, slots=True)
class LeftOpen:
    """One parameter of the record. `open` says that a person has to look at it; the rest is told for completeness."""

    path: str
    said: str
    open: bool


_WORDS: Final = {
    "redacted": ("CloudTrail hides {}; you must enter it.", "CloudTrail hides {}; {who} entered it or left it out.", True),
    "missing": (
        "The record does not tell {}; enter it if the call had it.",
        "The record did not tell {}; {who} chose.",
        True,
    ),
    "unknown": (
        "The record has {}, which the operation is not known to take. Look whether it was meant as another parameter.",
        "The record has {}, which the operation is not known to take; it is not part of the call.",
        True,
    ),
    "dropped": ("The service wrote {} into the record itself; it is no parameter of the call.",) * 2 + (False,),
}


def of(request: ApprovalRequest) -> tuple[LeftOpen, ...]:
    """What the record left open, what a person must look at first; nothing for a request that no record began."""
    first = request.revisions.exclude(recorded="").order_by("number").first()
    if first is None:
        return ()
    told: dict[str, Any] = canonical.loads(first.recorded)
    entered = request.revisions.filter(number=request.revision_number).exclude(author=None).select_related("author").first()
    who = entered.author.handle if entered is not None and entered.author is not None else ""
    found = [_left_open(kind, path, who) for kind in _WORDS for path in told[kind]]
    for key, path in told["renamed"]:
        said = f"The record writes {words.visible(key)} for {words.visible(path)}."
        found.append(LeftOpen(words.visible(key), said, open=False))
    return tuple(found)


def _left_open(kind: str, path: str, who: str) -> LeftOpen:
    asking, settled, is_open = _WORDS[kind]
    name = words.visible(path)
    return LeftOpen(name, (settled if who else asking).format(name, who=who), is_open and not who)
