"""What a CloudTrail record tells of a call: boto3's keyword arguments, and how far they can be trusted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from approvals import canonical
from approvals.states import Completeness


@dataclass(frozen=True, slots=True)
class Conversion:
    """Parameters as boto3 takes them, how complete they are, and why in words for a person.

    Paths are dotted, as in the record: `dropped` are keys that the service added and no input member holds, `renamed` are (key,
    path of the member it became), `redacted` values that CloudTrail hides, `unknown` keys that nobody knows, `missing` input
    members that are needed, or may have been there, and are not told.
    """

    parameters: dict[str, Any]
    completeness: Completeness
    why: str
    unknown: tuple[str, ...] = ()
    redacted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()

    def told(self) -> str:
        """What the record left open, as canonical text for the revision."""
        open_ends = {name: list(getattr(self, name)) for name in ("dropped", "redacted", "unknown", "missing")}
        return canonical.dumps({**open_ends, "renamed": [list(pair) for pair in self.renamed]})
